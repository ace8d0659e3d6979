package driver_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
)

// where is a driver whose check says which connection it has.
func where(name string, parts ...driver.Part[*whereConn]) *driver.Driver {
	connect := func(_ context.Context, c whereConfig, env driver.Env) (*whereConn, error) {
		return &whereConn{name + "@" + env.Name + "=" + c.URL}, nil
	}
	return driver.New(name, "Tells where.", connect, append(parts,
		driver.Checks(name+"/where", "Tells.", func(c *whereConn, _ struct{}) (*whereConn, error) { return c, nil }))...)
}

type whereConfig struct {
	URL   string `json:"url,omitempty"`
	Extra string `json:"extra,omitempty"`
}

type whereConn struct{ at string }

func (w *whereConn) Target() string                                { return w.at }
func (w *whereConn) Check(context.Context) (action.Verdict, error) { return action.Verdict{}, nil }

// TestClustersOfASession: a driver is the cluster's own where the cluster
// configures it, or where it inherits from what the cluster configures and says
// nothing itself; else it is the environment's, one for all.
func TestClustersOfASession(t *testing.T) {
	t.Parallel()
	registry := driver.NewRegistry(where("kube"), where("argo", driver.Inherits[*whereConn]("kube", "url")), where("http"))
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	for name, test := range map[string]struct {
		env     driver.Configs
		cluster driver.Configs
		want    string
	}{
		"kube alone":       {cluster: driver.Configs{"kube": raw(`{"url":"o"}`)}, want: "kube@prod/osaka=o argo@prod/osaka=o http@prod/osaka="},
		"a hub":            {env: driver.Configs{"argo": raw(`{"url":"hub"}`)}, cluster: driver.Configs{"kube": raw(`{"url":"o"}`)}, want: "kube@prod/osaka=o argo@prod=hub http@prod/osaka="},
		"a shared section": {env: driver.Configs{"argo": raw(`{"extra":"x"}`)}, cluster: driver.Configs{"kube": raw(`{"url":"o"}`)}, want: "kube@prod/osaka=o argo@prod/osaka=o http@prod/osaka="},
		"its own":          {env: driver.Configs{"argo": raw(`{"url":"hub"}`)}, cluster: driver.Configs{"kube": raw(`{"url":"o"}`), "argo": raw(`{}`)}, want: "kube@prod/osaka=o argo@prod/osaka=o http@prod/osaka="},
		"of the environment": {env: driver.Configs{"kube": raw(`{"url":"e"}`), "http": raw(`{"url":"h"}`)}, cluster: driver.Configs{},
			want: "kube@prod=e argo@prod=e http@prod=h"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := registry.OpenClusters(driver.Env{Name: "prod"}, test.env, map[string]driver.Configs{"osaka": test.cluster})
			var got []string
			for _, d := range []string{"kube", "argo", "http"} {
				in, err := s.At("osaka").Action(t.Context(), d+"/where", nil)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, in.Target)
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	s := registry.OpenClusters(driver.Env{Name: "prod"}, nil, map[string]driver.Configs{"tokyo": {}, "osaka": {}})
	if _, err := s.At("kyoto").Action(t.Context(), "kube/where", nil); err == nil || !strings.Contains(err.Error(), `no cluster "kyoto"`) {
		t.Errorf("got %v, want that there is none", err)
	}
	var names []string
	for _, in := range s.All() {
		names = append(names, in.Cluster())
	}
	if !slices.Equal(names, []string{"", "osaka", "tokyo"}) || s.At("") != s || s.At("osaka").At("osaka") != s.At("osaka") {
		t.Errorf("sessions %q", names)
	}
}
