package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/fault"
)

// An API server that cuts its answers off: client-go writes a line of its own
// about that, which noren keeps back. The error says it.
func TestAnswerCutOff(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"kind":`) // the handler ends: the server cuts the connection
	}))
	t.Cleanup(server.Close)
	r := newRig(t, false)
	kubeconfig := filepath.Join(r.dir, "kubeconfig")
	r.write("kubeconfig", fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: prod, users: [{name: u, user: {}}],
clusters: [{name: c, cluster: {server: %q}}], contexts: [{name: prod, context: {cluster: c, user: u}}]}`, server.URL))
	r.write("noren.yaml", fmt.Sprintf(`version: 1
zone: Asia/Tokyo
environments:
  prod: {kube: {kubeconfig: %q, context: prod}}
services:
  shop: {entrances: [{kind: kube/ingress, name: shop/web}]}
`, kubeconfig))
	cmd := r.noren("close")
	var errs strings.Builder
	cmd.Stderr = &errs
	_ = cmd.Run() // its code says it
	if code := cmd.ProcessState.ExitCode(); code != fault.ExitError {
		t.Errorf("exit code %d", code)
	}
	if got := errs.String(); !strings.Contains(got, "error: target cannot be read\n") || !strings.Contains(got, "unexpected EOF") ||
		strings.Contains(got, "bug in noren") || strings.Contains(got, "request.go") {
		t.Errorf("standard error:\n%s", got)
	}
}
