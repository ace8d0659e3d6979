package examples_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/all"
	"github.com/noren-dev/noren/internal/driver/kube"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/testkube"
)

// TestAnyClass puts the example's Ingress on a real API server, and asks how
// the example's catalog would have it closed.
func TestAnyClass(t *testing.T) {
	t.Parallel()
	if got := ingresses(t, "kubernetes-any-class"); len(got) != 1 {
		t.Fatalf("%d Ingresses, want one", len(got))
	}
	text, err := os.ReadFile("kubernetes-any-class/ingress.yaml")
	if err != nil {
		t.Fatal(err)
	}
	server := testkube.Start(t)
	namespace := server.Namespace(t)
	server.Apply(t, strings.ReplaceAll(string(text), "namespace: shop", "namespace: "+namespace))
	c := parse(t, "kubernetes-any-class/noren.yaml")
	services, err := c.Services("prod", "shop")
	if err != nil {
		t.Fatal(err)
	}
	var config kube.Config
	if err := json.Unmarshal(c.Environments[0].Configs()[kube.Name], &config); err != nil {
		t.Fatal(err)
	}
	config.Kubeconfig, config.Context = server.Kubeconfig, testkube.Admin
	raw, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	session := all.Registry().Open(driver.Env{Name: "prod", Now: time.Now}, map[string]json.RawMessage{kube.Name: raw})
	e, err := session.Entrance(t.Context(), kube.KindIngress, namespace+"/web", services[0].Entrances[0].Options.JSON)
	if err != nil {
		t.Fatal(err)
	}
	survey, err := e.Survey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Close(survey, edge.Closing{Mode: edge.Closed, Mark: "m-1", Hosts: survey.Hosts, KeepOpen: services[0].KeepOpen,
		Page: edge.Response{Status: 503, ContentType: "text/html", Body: strings.Repeat("x", 5000)}})
	if err != nil {
		t.Fatal(err)
	}
	if p.Strategy != kube.StrategyBackend || len(p.Calls) != 2 {
		t.Errorf("strategy %s with %d changes", p.Strategy, len(p.Calls))
	}
	for path, want := range map[string]edge.Kind{"/": edge.Respond, "/api/orders": edge.Respond, "/webhooks/payment": edge.Forward} {
		d, err := p.Front.Decide(edge.Request{Scheme: "https", Method: "POST", Host: "shop.example.com", Path: path})
		if err != nil || d.Action.Kind != want {
			t.Errorf("%s would get %s (%v), want %s", path, d.Action, err, want)
		}
	}
}
