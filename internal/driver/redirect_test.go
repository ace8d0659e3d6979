package driver_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/noren-dev/noren/internal/driver"
)

type clustered struct {
	Kubeconfig string `json:"kubeconfig,omitempty"`
	Context    string `json:"context,omitempty"`
	Pages      string `json:"pages,omitempty"`
}

type addressed struct {
	Address string `json:"address,omitempty"`
}

// TestRedirected leads drivers that go through a kubeconfig elsewhere, also those
// that take theirs from another driver, and leaves out the rest.
func TestRedirected(t *testing.T) {
	t.Parallel()
	through := func(context.Context, clustered, driver.Env) (*struct{}, error) { return nil, nil }
	r := driver.NewRegistry(
		driver.New("kube", "", through), driver.New("argocd", "", through, driver.Inherits[*struct{}]("kube", "kubeconfig", "context")),
		driver.New("gate", "", func(context.Context, addressed, driver.Env) (*struct{}, error) { return nil, nil }))
	got, err := r.Redirected(map[string]json.RawMessage{
		"kube":   json.RawMessage(`{"kubeconfig":"/k","context":"prod","pages":"noren-page"}`),
		"argocd": json.RawMessage(`{"context":"tools"}`),
		"gate":   json.RawMessage(`{"address":"127.0.0.1:1"}`),
	}, func(kubeconfig, context string) (string, string, error) {
		return "/copy" + kubeconfig, "copy-of-" + context, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	text := map[string]string{}
	for name, raw := range got {
		text[name] = string(raw)
	}
	want := map[string]string{
		"kube":   `{"context":"copy-of-prod","kubeconfig":"/copy/k","pages":"noren-page"}`,
		"argocd": `{"context":"copy-of-tools","kubeconfig":"/copy/k"}`,
	}
	if d := cmp.Diff(want, text); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	// Without any configuration, a driver would go through the default kubeconfig.
	got, err = r.Redirected(nil, func(string, string) (string, string, error) { return "/copy", "copy", nil })
	if raw := string(got["kube"]); err != nil || len(got) != 1 || raw != `{"context":"copy","kubeconfig":"/copy"}` {
		t.Errorf("without a configuration: %s, %d in all, %v", raw, len(got), err)
	}
	if r.ThroughKubeconfig("gate") || !r.ThroughKubeconfig("argocd") || r.ThroughKubeconfig("nobody") {
		t.Error("who goes through a kubeconfig is not told right")
	}
}
