package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/testkube"
)

const classYAML = `
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: alb}
spec: {controller: ingress.k8s.aws/alb}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: other}
spec: {controller: example.com/other}
`

// A scene is a namespace of its own with an Ingress web in a group of the
// namespace's name.
type scene struct {
	*conn
	server    *testkube.Server
	namespace string
}

func newScene(t *testing.T) scene {
	t.Helper()
	c, _, namespace := connectTest(t)
	s := scene{c, testkube.Start(t), namespace}
	s.server.Apply(t, classYAML)
	s.apply(t, `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  namespace: NS
  labels: {app.kubernetes.io/name: shop, team: cart}
  annotations:
    alb.ingress.kubernetes.io/group.name: NS
    alb.ingress.kubernetes.io/listen-ports: '[{"HTTPS":443}]'
    alb.ingress.kubernetes.io/healthcheck-path: /healthz
    argocd.argoproj.io/tracking-id: apps_shop:networking.k8s.io/Ingress:NS/web
spec:
  ingressClassName: alb
  rules:
  - host: shop.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: NS
  annotations: {alb.ingress.kubernetes.io/auth-type: cognito, alb.ingress.kubernetes.io/auth-idp-cognito: '{}'}
spec: {ports: [{port: 80}]}
`)
	return s
}

func (s scene) apply(t *testing.T, yaml string) {
	t.Helper()
	s.server.Apply(t, strings.ReplaceAll(yaml, "NS", s.namespace))
}

func (s scene) survey(t *testing.T, name string) (driver.Entrance, *driver.Survey, error) {
	t.Helper()
	e, err := openEntrance(newConn(s.client, s.env), s.namespace+"/"+name, Options{})
	must(t, err)
	got, err := e.Survey(t.Context())
	return e, got, err
}

// event records what the controller would on an Ingress.
func (s scene) event(t *testing.T, ingress, kind, reason, message string, at time.Time) {
	t.Helper()
	_, err := s.client.Typed.CoreV1().Events(s.namespace).Create(t.Context(), &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{GenerateName: ingress + ".", Namespace: s.namespace},
		InvolvedObject: corev1.ObjectReference{Kind: "Ingress", Namespace: s.namespace, Name: ingress},
		Type:           kind, Reason: reason, Message: message,
		FirstTimestamp: metav1.NewTime(at), LastTimestamp: metav1.NewTime(at), Count: 1,
	}, metav1.CreateOptions{})
	must(t, err)
}

func TestSurveyReadsTheGroup(t *testing.T) {
	s := newScene(t)
	_, got, err := s.survey(t, "web")
	must(t, err)
	if want := "kube:test/" + s.namespace + "/ingress/web"; got.Target != want {
		t.Errorf("target %s, want %s", got.Target, want)
	}
	if !slices.Equal(got.Hosts, []string{"shop.example.com"}) || !slices.Equal(got.URLs, []string{"https://shop.example.com/"}) {
		t.Errorf("hosts %q, URLs %q", got.Hosts, got.URLs)
	}
	if got.Owner == nil || *got.Owner != (driver.Owner{System: "argocd", Namespace: "apps", Name: "shop"}) {
		t.Errorf("owner %+v, want Application apps/shop", got.Owner)
	}
	d, err := got.Front.Decide(edge.Request{Scheme: "https", Host: "shop.example.com", Path: "/"})
	if err != nil || !d.Action.Login || d.Action.Kind != edge.Forward {
		t.Errorf("decision %+v (%v), want a login that the Service asks for, then the Service", d, err)
	}
	wantNote(t, got.Notes, false, "asks for a login")
	wantNote(t, got.Notes, false, "WebSockets")
}

func wantNote(t *testing.T, notes []driver.Note, warn bool, text string) {
	t.Helper()
	if !slices.ContainsFunc(notes, func(n driver.Note) bool { return n.Warn == warn && strings.Contains(n.Text, text) }) {
		t.Errorf("no note (warn %t) with %q among %+v", warn, text, notes)
	}
}

func TestSurveyRefuses(t *testing.T) {
	s := newScene(t)
	s.apply(t, `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: legacy, namespace: NS}
spec: {ingressClassName: other, defaultBackend: {service: {name: web, port: {number: 80}}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: lost, namespace: NS}
spec: {ingressClassName: nowhere, defaultBackend: {service: {name: web, port: {number: 80}}}}
`)
	for name, want := range map[string][]string{
		"wbe":    {"does not exist", "Did you mean " + s.namespace + "/web?"},
		"legacy": {`is of class "other" (controller example.com/other)`, "leading it to noren's page server"},
		"lost":   {`is of class "nowhere", which no IngressClass of this cluster defines`},
	} {
		_, _, err := s.survey(t, name)
		var f *fault.Fault
		if !errors.As(err, &f) {
			t.Fatalf("%s: no fault: %v", name, err)
		}
		for _, w := range want {
			if !strings.Contains(f.Error(), w) {
				t.Errorf("%s: %q does not say %q", name, f.Error(), w)
			}
		}
	}
	if _, err := openEntrance(s.conn, "web", Options{}); err == nil || !strings.Contains(err.Error(), "shop/web") {
		t.Errorf("a name without a namespace: %v", err)
	}
}

func TestGroupCheckFindsWhatFreezesTheGroup(t *testing.T) {
	s := newScene(t)
	check := func(before *int) action.Verdict {
		t.Helper()
		c, err := openGroupCheck(s.conn, GroupParams{Namespace: s.namespace, Name: "web", Before: before})
		must(t, err)
		v, err := c.Check(t.Context())
		must(t, err)
		return v
	}
	order := -1
	if v := check(&order); !v.OK {
		t.Fatalf("a healthy group: %+v", v)
	}
	now := time.Now()
	s.event(t, "web", "Warning", lbc.FailedDeployModel, "Failed deploy model due to AccessDenied", now.Add(-2*time.Minute))
	_, survey, err := s.survey(t, "web")
	must(t, err)
	wantNote(t, survey.Notes, true, "AccessDenied")
	if v := check(&order); v.OK || !strings.Contains(strings.Join(v.Findings, " "), "FailedDeployModel: Failed deploy model due to AccessDenied") {
		t.Fatalf("a failing group: %+v", v)
	}
	s.event(t, "web", "Normal", lbc.Reconciled, "Successfully reconciled", now.Add(-time.Minute))
	if v := check(&order); !v.OK {
		t.Fatalf("a group that recovered: %+v", v)
	}
	s.apply(t, `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: early
  namespace: NS
  annotations: {alb.ingress.kubernetes.io/group.name: NS, alb.ingress.kubernetes.io/group.order: "-5", alb.ingress.kubernetes.io/actions.x: '{"type":"nonsense"}'}
spec:
  ingressClassName: alb
  rules: [{host: early.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: x, port: {name: use-annotation}}}}]}}]
`)
	v := check(&order)
	said := strings.Join(v.Findings, "\n")
	if v.OK || !strings.Contains(said, "unknown action type: nonsense") || !strings.Contains(said, "group.order -5 and would come before the page") {
		t.Errorf("a broken member in front: %+v", v)
	}
}

func TestUnchanged(t *testing.T) {
	s := newScene(t)
	api := s.client.Typed.NetworkingV1().Ingresses(s.namespace)
	ing, err := api.Get(t.Context(), "web", metav1.GetOptions{})
	must(t, err)
	c, err := openUnchanged(s.conn, UnchangedParams{Namespace: s.namespace, Name: "web", UID: string(ing.UID), Digest: digest(ing)})
	must(t, err)
	ok := func(want bool, when string) {
		t.Helper()
		v, err := c.Check(t.Context())
		must(t, err)
		if v.OK != want {
			t.Errorf("%s: %+v", when, v)
		}
	}
	ok(true, "as it was")
	ing.Annotations["team"] = "other"
	ing, err = api.Update(t.Context(), ing, metav1.UpdateOptions{})
	must(t, err)
	ok(true, "an annotation that decides nothing")
	ing.Spec.Rules[0].Host = "new.example.com"
	_, err = api.Update(t.Context(), ing, metav1.UpdateOptions{})
	must(t, err)
	ok(false, "another host")
	must(t, api.Delete(t.Context(), "web", metav1.DeleteOptions{}))
	ok(false, "deleted")
}

func TestBackendsReady(t *testing.T) {
	s := newScene(t)
	s.apply(t, `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: NS, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1], conditions: {ready: true}}, {addresses: [10.0.0.2], conditions: {ready: false}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: cart-1, namespace: NS, labels: {kubernetes.io/service-name: cart}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.3], conditions: {ready: false}}]
`)
	for _, c := range []struct {
		services []string
		ok       bool
	}{{[]string{"web"}, true}, {[]string{"web", "cart"}, false}, {[]string{"gone"}, false}} {
		check, err := openBackends(s.conn, BackendParams{Namespace: s.namespace, Services: c.services})
		must(t, err)
		v, err := check.Check(t.Context())
		must(t, err)
		if v.OK != c.ok || !c.ok && !strings.Contains(v.Findings[0], "has no ready endpoint (0 of ") {
			t.Errorf("%q: %+v, want OK %t", c.services, v, c.ok)
		}
	}
}

// TestOverlayLife follows an overlay: put up, a failure of the controller seen
// on a member, taken down, held by the controller's finalizer, gone.
func TestOverlayLife(t *testing.T) {
	s := newScene(t)
	e, survey, err := s.survey(t, "web")
	must(t, err)
	p, err := e.Close(survey, withPage(edge.Closing{Mode: edge.Closed}, testPage()))
	must(t, err)
	o, err := openOverlay(s.conn, p.Calls[0].Params.(OverlayParams))
	must(t, err)
	in := driver.Bare(o)
	to, err := in.Change.Propose(action.State{})
	must(t, err)
	must(t, in.Change.Apply(t.Context(), action.State{}, to))
	settled := func(want action.State, ok bool, says string) {
		t.Helper()
		v, err := in.Waiter.Settled(t.Context(), want)
		must(t, err)
		if v.OK != ok || !strings.Contains(v.Summary+strings.Join(v.Findings, " "), says) {
			t.Errorf("%+v, want OK %t and %q", v, ok, says)
		}
	}
	s.event(t, "web", "Warning", lbc.FailedBuildModel, "old trouble", time.Now().Add(-time.Hour))
	settled(to, true, "is there")
	s.event(t, "web", "Warning", lbc.FailedBuildModel, "Failed build model due to conflicting tags", time.Now().Add(2*time.Second))
	settled(to, false, "Failed build model due to conflicting tags")

	api := s.client.Typed.NetworkingV1().Ingresses(s.namespace)
	ing, err := api.Get(t.Context(), "noren-web-closed", metav1.GetOptions{})
	must(t, err)
	ing.Finalizers = []string{lbc.GroupFinalizer + "x"}
	_, err = api.Update(t.Context(), ing, metav1.UpdateOptions{})
	must(t, err)
	must(t, in.Change.Apply(t.Context(), to, action.State{}))
	settled(action.State{}, false, "held by the finalizers group.ingress.k8s.aws/x")
	if got, err := in.Change.Observe(t.Context()); err != nil || !got.IsZero() {
		t.Errorf("an overlay under deletion is observed as %s (%v), want none", got.Fields, err)
	}
	if err := in.Change.Apply(t.Context(), action.State{}, to); !errors.Is(err, action.ErrUnavailable) {
		t.Errorf("putting it up while the last is being deleted: %v, want to be asked to try again", err)
	}
	ing, err = api.Get(t.Context(), "noren-web-closed", metav1.GetOptions{})
	must(t, err)
	ing.Finalizers = nil
	_, err = api.Update(t.Context(), ing, metav1.UpdateOptions{})
	must(t, err)
	settled(action.State{}, true, "is gone")
}

func TestPatchSettles(t *testing.T) {
	s := newScene(t)
	annotations, rules := pagePieces(t, "shop.example.com")
	p, err := openPatch(s.conn, PatchParams{Namespace: s.namespace, Name: "web", Annotations: annotations, Rules: rules})
	must(t, err)
	in := driver.Bare(p)
	from, err := in.Change.Observe(t.Context())
	must(t, err)
	to, err := in.Change.Propose(from)
	must(t, err)
	s.event(t, "web", "Warning", lbc.FailedBuildModel, "old trouble", time.Now().Add(-time.Hour))
	must(t, in.Change.Apply(t.Context(), from, to))
	v, err := in.Waiter.Settled(t.Context(), to)
	if err != nil || !v.OK {
		t.Errorf("settled %+v (%v), want OK in spite of an old failure", v, err)
	}
	s.event(t, "web", "Warning", lbc.FailedDeployModel, "InvalidConfiguration: body too long", time.Now().Add(2*time.Second))
	v, err = in.Waiter.Settled(t.Context(), to)
	if err != nil || v.OK || !strings.Contains(strings.Join(v.Findings, ""), "body too long") {
		t.Errorf("settled %+v (%v), want the controller's failure", v, err)
	}
}

func TestDiscover(t *testing.T) {
	s := newScene(t)
	s.apply(t, `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: checkout-api-ingress, namespace: NS}
spec:
  ingressClassName: alb
  rules: [{host: "*.pay.example.com", http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: pay, port: {number: 80}}}}]}}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: old, namespace: NS}
spec: {ingressClassName: other, defaultBackend: {service: {name: web, port: {number: 80}}}}
`)
	d, err := discover(t.Context(), newConn(s.client, s.env))
	must(t, err)
	found := map[string]driver.Found{}
	for _, f := range d.Entrances {
		found[f.Name] = f
	}
	web, api := found[s.namespace+"/web"], found[s.namespace+"/checkout-api-ingress"]
	if !strings.Contains(web.Service, "shop") || web.Team != "cart" || web.API || !slices.Equal(web.Health, []string{"https://shop.example.com/healthz"}) ||
		web.Owner == nil || web.Class != fmt.Sprintf("AWS Load Balancer Controller (group %s)", s.namespace) {
		t.Errorf("web is found as %+v", web)
	}
	if !strings.HasSuffix(api.Service, "checkout-api") || !api.API || api.Health != nil || api.Owner != nil {
		t.Errorf("checkout-api is found as %+v", api)
	}
	if _, ok := found[s.namespace+"/old"]; ok || !strings.Contains(strings.Join(d.Notes, "\n"), s.namespace+"/old was left out") {
		t.Errorf("an Ingress of another class: notes %q", d.Notes)
	}
}

// TestPermissions: everything the driver needs is refused to a user without
// rights; the YAML that is printed grants it.
func TestPermissions(t *testing.T) {
	s := newScene(t)
	client, err := kubeclient.NewForConfig(s.server.Config(testkube.Limited), testkube.Limited)
	must(t, err)
	limited := newConn(client, s.env)
	overlay, err := openOverlay(limited, OverlayParams{Namespace: s.namespace, Name: "x", Members: []string{s.namespace + "/web"}})
	must(t, err)
	if _, err := overlay.Observe(t.Context()); !errors.Is(err, &fault.Fault{Code: fault.Denied}) {
		t.Errorf("reading without rights: %v, want denied", err)
	}
	patch, err := openPatch(limited, PatchParams{Namespace: s.namespace, Name: "x"})
	must(t, err)
	var need []action.Permission
	for _, r := range []any{overlay, patch, &unchanged{limited, UnchangedParams{Namespace: s.namespace}}, &backends{limited, BackendParams{Namespace: s.namespace}}} {
		need = append(need, r.(action.Requirer).Requires()...)
	}
	refused, err := client.Refusals(t.Context(), need)
	must(t, err)
	if len(refused) == 0 || refused[0].Identity != testkube.Limited {
		t.Fatalf("refusals %+v", refused)
	}
	s.server.Apply(t, refused[0].Grant)
	waitFor(t, func(ctx context.Context) bool {
		refused, err = client.Refusals(ctx, need)
		return err == nil && len(refused) == 0
	})
	if _, err := overlay.Observe(t.Context()); err != nil {
		t.Errorf("reading with the rights granted: %v", err)
	}
}

// waitFor asks until ok, as the API server's authorizer takes a moment to
// learn of a new role.
func waitFor(t *testing.T, ok func(context.Context) bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(20 * time.Second)
	for !ok(t.Context()) {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("still not so after 20 s")
		}
	}
}
