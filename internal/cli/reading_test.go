package cli_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/cli"
	"github.com/noren-dev/noren/internal/driver/all"
	"github.com/noren-dev/noren/internal/fault"
)

// hung is the URL of a server that takes requests and never answers.
func hung(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-t.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// TestHungOutside plans against servers that do not answer: noren says what it
// waits for, gives up while its reader still sits there, and has begun nothing.
func TestHungOutside(t *testing.T) {
	server := hung(t)
	dir := t.TempDir()
	t.Setenv("NOREN_STATE_DIR", filepath.Join(dir, "state"))
	write(t, dir, "kubeconfig", fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: prod, users: [{name: u, user: {}}],
clusters: [{name: c, cluster: {server: %q}}], contexts: [{name: prod, context: {cluster: c, user: u}}]}`, server))
	write(t, dir, "token", "a token that is long enough to be one")
	write(t, dir, "noren.yaml", fmt.Sprintf(`version: 1
zone: Asia/Tokyo
environments:
  gate: {gate: {admin: %q, token_file: token}}
  kube: {kube: {kubeconfig: kubeconfig, context: prod}}
services:
  shop: {environments: {gate: {}}, entrances: [{kind: gate/door, name: shop}, {kind: gate/door, name: api}]}
  web: {environments: {kube: {}}, entrances: [{kind: kube/ingress, name: shop/web}]}
`, server))
	for _, c := range []struct{ name, env, output, waiting, says string }{
		{"gate", "gate", "text", "reading gate; still waiting for: gate/door ", "gate does not answer"},
		{"API server", "kube", "text", "reading kube; still waiting for: kube/ingress shop/web\n", "the API server did not answer"},
		{"JSON", "gate", "json", "", "gate does not answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			begun := time.Now()
			code := cli.Main(t.Context(), cli.World{Args: []string{"close", "--file", filepath.Join(dir, "noren.yaml"), "--env", c.env, "--output", c.output},
				Stdout: &out, Stderr: &errs, Registry: all.Registry(), Now: time.Now, ReadPatience: time.Second, Slow: time.Millisecond})
			if took := time.Since(begun); took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
			if code != fault.ExitError || out.Len() > 0 {
				t.Errorf("exit code %d, standard output %q", code, &out)
			}
			if said := strings.Count(errs.String(), "still waiting"); said != min(1, len(c.waiting)) || !strings.Contains(errs.String(), c.waiting) || !strings.Contains(errs.String(), c.says) {
				t.Errorf("standard error:\n%s\nwant once %q, and %q", &errs, c.waiting, c.says)
			}
			if strings.Contains(errs.String(), "bug in noren") {
				t.Errorf("standard error:\n%s", &errs)
			}
			out.Reset()
			if code := cli.Main(t.Context(), cli.World{Args: []string{"status"}, Stdout: &out, Stderr: &errs, Registry: all.Registry(), Now: time.Now}); code != 0 ||
				!strings.Contains(out.String(), "No run of this state directory holds anything closed") {
				t.Errorf("status: %d %s", code, &out)
			}
		})
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
