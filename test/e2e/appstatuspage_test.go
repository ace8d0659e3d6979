package e2e

import (
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/appstatus"
)

// TestAppStatusOfThePageServer keeps the document in a ConfigMap, where the page
// server of the namespace finds it: apps read it with 200, at a host of its own
// and through the door that is closed, while customers get 503. noren is killed
// when the document is written, and when it is written again.
func TestAppStatusOfThePageServer(t *testing.T) {
	t.Parallel()
	s := newShop(t, withStall)
	s.rewrite(t, "    argocd: {", "    appstatus: {configmap: "+s.ns+"/app-status, services: {stall: {name: {en: Stall}}}}\n    argocd: {")
	state := t.TempDir()
	_, listen := s.pageServer(t) // behind status.example.com, say
	s.addr[s.host("status")] = listen
	told := func(host string, want appstatus.Status) {
		t.Helper()
		until(t, host+" tells apps that the stall is "+string(want), func() bool {
			res, body := s.browse(t, http.MethodGet, host, appstatus.Path)
			return res.StatusCode == http.StatusOK && res.Header.Get("ETag") != "" && statusOf(t, []byte(body), "stall") == want
		})
	}
	if res, _ := s.browse(t, http.MethodGet, "status", appstatus.Path); res.StatusCode != http.StatusNotFound {
		t.Errorf("before there is a document, apps get %d", res.StatusCode)
	}
	s.noren(t, state, "check", "--live", "--env", "prod").must(t, 0)
	s.noren(t, state, "appstatus", "publish", "--env", "prod").must(t, 0)
	told("status", appstatus.Operational)

	closeArgs := []string{"close", "stall", "--env", "prod", "--for", "30m", "--confirm", "prod"}
	noren(t, s.dir, state, []string{killAt + "=1 after applied tell"}, closeArgs...).must(t, -1)
	told("status", appstatus.Maintenance) // before customers are shut out
	if code, body := s.get(t, "stall", "/"); code != http.StatusOK {
		t.Errorf("the stall is closed too early: %d %.80s", code, body)
	}
	s.noren(t, state, closeArgs...).must(t, 0)
	if code, body := s.get(t, "stall", "/"); code != http.StatusServiceUnavailable || !strings.Contains(body, longMessage[:60]) {
		t.Errorf("the stall answers %d %.80s", code, body)
	}
	told("stall", appstatus.Maintenance)
	told("status", appstatus.Maintenance)

	openArgs := []string{"open", "--env", "prod", "--confirm", "prod"}
	noren(t, s.dir, state, []string{killAt + "=1 after apply undo-tell"}, openArgs...).must(t, -1)
	if code, _ := s.get(t, "stall", "/"); code != http.StatusOK {
		t.Errorf("apps are about to hear that the stall is open, and it answers %d", code)
	}
	told("status", appstatus.Maintenance)
	s.noren(t, state, openArgs...).must(t, 0)
	told("status", appstatus.Operational)
	object, err := s.client.Resource(configMaps).Namespace(s.ns).Get(t.Context(), "app-status", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if data := object.Object["data"].(map[string]any); len(data) != 1 {
		t.Errorf("marks are left: %v", data)
	}
}
