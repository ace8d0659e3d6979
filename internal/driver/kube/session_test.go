package kube_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/kube"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/testkube"
)

// TestThroughASession closes and opens an entrance as the engine does: by
// name, with parameters as JSON.
func TestThroughASession(t *testing.T) {
	server := testkube.Start(t)
	namespace := server.Namespace(t)
	server.Apply(t, strings.ReplaceAll(`
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: alb}
spec: {controller: ingress.k8s.aws/alb}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: NS}
spec:
  ingressClassName: alb
  rules:
  - host: shop.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
`, "NS", namespace))
	config, err := json.Marshal(kube.Config{Kubeconfig: server.Kubeconfig, Context: testkube.Admin})
	if err != nil {
		t.Fatal(err)
	}
	session := driver.NewRegistry(kube.Driver()).
		Open(driver.Env{Name: "test", Now: time.Now}, map[string]json.RawMessage{kube.Name: config})
	e, err := session.Entrance(t.Context(), kube.KindIngress, namespace+"/web", nil)
	if err != nil {
		t.Fatal(err)
	}
	survey, err := e.Survey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	body := `<meta name=noren content=m-1>closed`
	p, err := e.Close(survey, edge.Closing{Mode: edge.Closed, Mark: "m-1", Page: edge.Response{Status: 503, ContentType: "text/html", Body: body}})
	if err != nil {
		t.Fatal(err)
	}
	open := func(c driver.Call) *driver.Instance {
		t.Helper()
		raw, err := json.Marshal(c.Params)
		if err != nil {
			t.Fatal(err)
		}
		in, err := session.Action(t.Context(), c.Action, raw)
		if err != nil {
			t.Fatal(err)
		}
		if in.Target == "" || in.Requirer == nil || in.Change != nil && (in.Marker == nil || in.Waiter == nil || in.Describer == nil) {
			t.Errorf("%s lacks an ability: %+v", c.Action, in)
		}
		return in
	}
	for _, c := range p.Checks {
		v, err := open(c).Check.Check(t.Context())
		if err != nil || !v.OK {
			t.Fatalf("%s: %+v (%v)", c.Action, v, err)
		}
	}
	if v, err := open(p.Ready[0]).Check.Check(t.Context()); err != nil || v.OK {
		t.Errorf("ready without any pod: %+v (%v)", v, err)
	}
	in := open(p.Calls[0])
	from, err := in.Change.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	to, err := in.Change.Propose(from)
	if err != nil {
		t.Fatal(err)
	}
	mark := action.Mark{Receipt: action.Receipt{Run: "r", Action: in.Action, Target: in.Target, From: from, To: to}}
	if err := in.Marker.Marked(mark).Apply(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	// A new session surveys what there is now: the front that was proposed.
	again, err := driver.NewRegistry(kube.Driver()).
		Open(driver.Env{Name: "test"}, map[string]json.RawMessage{kube.Name: config}).
		Entrance(t.Context(), kube.KindIngress, namespace+"/web", nil)
	if err != nil {
		t.Fatal(err)
	}
	closed, err := again.Survey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want, _ := json.Marshal(p.Front)
	if got, _ := json.Marshal(closed.Front); string(got) != string(want) {
		t.Errorf("the front is\n%s\nproposed was\n%s", got, want)
	}
	if err := in.Change.Apply(t.Context(), to, from); err != nil {
		t.Fatal(err)
	}
	found, err := session.Traces(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range found.Marks {
		if m.On == in.Target {
			t.Error("a mark is left")
		}
	}
	for _, u := range found.Unmarked {
		if u.Target == in.Target {
			t.Errorf("left over: %+v", u)
		}
	}
}

func TestUnknownKeysAreRefused(t *testing.T) {
	session := driver.NewRegistry(kube.Driver()).
		Open(driver.Env{Name: "test"}, map[string]json.RawMessage{kube.Name: json.RawMessage(`{"contxt":"prod"}`)})
	if _, err := session.Entrance(t.Context(), kube.KindIngress, "shop/web", nil); err == nil || !strings.Contains(err.Error(), "contxt") {
		t.Errorf("an unknown key: %v", err)
	}
}
