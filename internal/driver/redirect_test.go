package driver_test

import (
	"context"
	"encoding/json"
	"strings"
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
	to := func(kubeconfig, context string, named bool) (string, string, error) {
		if !named {
			return "/copy/default", "copy", nil
		}
		return "/copy" + kubeconfig, "copy-of-" + context, nil
	}
	got, _, err := r.Redirected(driver.Configs{
		"kube":   json.RawMessage(`{"kubeconfig":"/k","context":"prod","pages":"noren-page"}`),
		"argocd": json.RawMessage(`{"context":"tools"}`),
		"gate":   json.RawMessage(`{"address":"127.0.0.1:1"}`),
	}, nil, to)
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
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	for name, c := range map[string]struct {
		env      driver.Configs
		clusters map[string]driver.Configs
	}{
		"nothing configured":  {},
		"the default by name": {env: driver.Configs{"kube": raw(`{}`)}},
		"only Argo CD":        {env: driver.Configs{"argocd": raw(`{"context":"tools"}`)}},
		"clusters":            {clusters: map[string]driver.Configs{"osaka": {"kube": raw(`{"context":"osaka"}`)}, "tokyo": {"argocd": raw(`{"context":"tokyo"}`)}}},
		"a hub and clusters":  {env: driver.Configs{"argocd": raw(`{"context":"tools"}`)}, clusters: map[string]driver.Configs{"osaka": {"kube": raw(`{"context":"osaka"}`)}, "bare": {}}},
	} {
		env, clusters, err := r.Redirected(c.env, c.clusters, to)
		if err != nil {
			t.Fatal(err)
		}
		reached, err := r.OpenClusters(driver.Env{}, env, clusters).Kubeconfigs()
		if err != nil || len(reached) != 2*(1+len(c.clusters)) {
			t.Errorf("%s: reached %q, %v", name, reached, err)
		}
		for _, path := range reached {
			if !strings.HasPrefix(path, "/copy") {
				t.Errorf("%s: a driver would reach %q", name, path)
			}
		}
	}
	if r.ThroughKubeconfig("gate") || !r.ThroughKubeconfig("argocd") || r.ThroughKubeconfig("nobody") {
		t.Error("who goes through a kubeconfig is not told right")
	}
}
