package gatewayapi

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
)

// publicGateway is a Gateway of a class of the namespace's own.
const publicGateway = `
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: class-NS}
spec: {controllerName: CONTROLLER}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public, namespace: NS}
spec:
  gatewayClassName: class-NS
  listeners:
  - {name: http, port: 80, protocol: HTTP, hostname: "*.example.com"}
  - {name: https, port: 8443, protocol: HTTPS, hostname: "*.example.com", tls: {certificateRefs: [{name: tls}]}}
`

func (s scene) gateway(t testing.TB, controller string) {
	t.Helper()
	s.apply(t, strings.ReplaceAll(publicGateway, "CONTROLLER", controller))
}

func (s scene) survey(t testing.TB, name string, o Options) (driver.Entrance, *driver.Survey, error) {
	t.Helper()
	e, err := openRouteEntrance(s.fresh(), s.namespace+"/"+name, o)
	must(t, err)
	got, err := e.Survey(t.Context())
	return e, got, err
}

const (
	ofAWS   = "gateway.k8s.aws/alb"
	ofEnvoy = "gateway.envoyproxy.io/gatewayclass-controller"
)

func TestSurveyReadsTheGateway(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.gateway(t, ofEnvoy)
	s.apply(t, fmt.Sprintf(webRoute, `, annotations: {argocd.argoproj.io/tracking-id: "apps_shop:gateway.networking.k8s.io/HTTPRoute:NS/web"}`))
	_, got, err := s.survey(t, "web", Options{})
	must(t, err)
	if want := "gatewayapi:test/" + s.namespace + "/httproute/web"; got.Target != want {
		t.Errorf("target %s, want %s", got.Target, want)
	}
	if !slices.Equal(got.URLs, []string{"http://shop.example.com/", "https://shop.example.com:8443/"}) || !slices.Equal(got.Hosts, []string{"shop.example.com"}) {
		t.Errorf("URLs %q, hosts %q", got.URLs, got.Hosts)
	}
	if got.Owner == nil || *got.Owner != (driver.Owner{System: "argocd", Namespace: "apps", Name: "shop"}) {
		t.Errorf("owner %+v, want Application apps/shop", got.Owner)
	}
	if got.PageLimit != 4096 || !got.Headers {
		t.Errorf("page limit %d, headers %t: Envoy Gateway's CRD has both", got.PageLimit, got.Headers)
	}
	d, err := got.Front.Decide(edge.Request{Scheme: "https", Port: 8443, Host: "shop.example.com", Path: "/api/x"})
	must(t, err)
	if d.Rule != "httproute "+s.namespace+"/web rules[0].matches[0]" || !strings.HasPrefix(d.Action.Backend, "service "+s.namespace+"/api:80 or ") {
		t.Errorf("decided by %q for %q", d.Rule, d.Action.Backend)
	}
}

func TestSurveyRefuses(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.gateway(t, ofAWS)
	route := func(name, spec string) string {
		return fmt.Sprintf("\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: %s, namespace: NS}\nspec: %s\n", name, spec)
	}
	s.apply(t, `
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: grpc, namespace: NS}
spec: {parentRefs: [{name: public}], rules: [{backendRefs: [{name: web, port: 80}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: strange, namespace: NS}
spec: {gatewayClassName: nobodys-NS, listeners: [{name: web, port: 80, protocol: HTTP}]}
`+route("other-host", `{parentRefs: [{name: public}], hostnames: [shop.example.org]}`)+
		route("no-section", `{parentRefs: [{name: public, sectionName: admin}]}`)+
		route("no-gateway", `{parentRefs: [{name: private}]}`)+
		route("no-parent", `{hostnames: [shop.example.com]}`)+
		route("mesh", `{parentRefs: [{group: "", kind: Service, name: web}]}`)+
		route("classless", `{parentRefs: [{name: strange}]}`))
	for name, says := range map[string]string{
		"other-host": "listener http is for *.example.com, and the route is for shop.example.org",
		"no-section": "has not a listener admin; it has http (port 80), https (port 8443)",
		"no-gateway": "there is no Gateway " + s.namespace + "/private",
		"no-parent":  "no parentRefs",
		"mesh":       "parent Service web is no Gateway",
		"classless":  `class "nobodys-` + s.namespace + `" no GatewayClass`,
		"grpc":       "is a GRPCRoute",
		"other-hst":  "Did you mean " + s.namespace + "/other-host?",
	} {
		_, _, err := s.survey(t, name, Options{})
		var f *fault.Fault
		if !asFault(err, &f) || !strings.Contains(f.Detail, says) {
			t.Errorf("%s: got %v, want a fault with %q", name, err, says)
		}
	}
}

func TestNativeNeedsAnImplementationThatAnswers(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.gateway(t, "example.com/other")
	s.apply(t, fmt.Sprintf(webRoute, ""))
	_, _, err := s.survey(t, "web", Options{Strategy: strategyNative})
	var f *fault.Fault
	if !asFault(err, &f) || !slices.Contains(f.Try, "strategy: backend") {
		t.Errorf("got %v, want a fault that names strategy backend", err)
	}
}

// TestAPageServerElsewhereNeedsAGrant prints the grant.
func TestAPageServerElsewhereNeedsAGrant(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.gateway(t, ofAWS)
	s.apply(t, fmt.Sprintf(webRoute, ""))
	pages := s.cluster.Namespace(t)
	o := Options{Strategy: strategyBackend, PageNamespace: pages}
	e, got, err := s.survey(t, "web", o)
	must(t, err)
	_, err = e.Close(got, edge.Closing{Mode: edge.Closed, Page: closedPage})
	var f *fault.Fault
	if !asFault(err, &f) || !strings.Contains(f.Detail, "no ReferenceGrant") {
		t.Fatalf("got %v, want a fault about the grant", err)
	}
	_, yaml, _ := strings.Cut(strings.TrimSuffix(f.Try[0], "\nEOF"), "<<EOF\n")
	s.apply(t, yaml) // what is printed is what it takes
	e, got, err = s.survey(t, "web", o)
	must(t, err)
	p, err := e.Close(got, edge.Closing{Mode: edge.Closed, Page: closedPage})
	must(t, err)
	if p.Strategy != strategyBackend || p.Calls[0].Action != actionPage || p.Calls[1].Action != actionRoute {
		t.Errorf("strategy %s, calls %v", p.Strategy, p.Calls)
	}
}

// TestSettledReadsTheStatus as a controller writes it.
func TestSettledReadsTheStatus(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.apply(t, fmt.Sprintf(webRoute, ""))
	u := s.live(t, httpRoutes(), "web")
	p := InsertParams{Namespace: s.namespace, Name: "web", Rules: drawn(t, u, map[string]any{"filters": []any{awsLoadBalancer().filter("noren-web-closed")}}, edge.Closing{Mode: edge.Closed, Page: closedPage})}
	typed, err := openRoute(s.conn, p)
	must(t, err)
	want := &Inserted{Rules: p.Rules}
	must(t, typed.Apply(t.Context(), &Inserted{}, want))
	settled := func() (bool, string) {
		v, err := typed.(*insertion).Settled(t.Context(), want)
		must(t, err)
		return v.OK, v.Summary + strings.Join(v.Findings, "; ")
	}
	if ok, said := settled(); !ok || !strings.Contains(said, "the probe decides") {
		t.Errorf("without a status: %t, %s", ok, said)
	}
	report := func(generation int64, kind, status, reason string) {
		t.Helper()
		live := s.live(t, httpRoutes(), "web")
		conditions := []any{}
		for _, c := range []string{"Accepted", "ResolvedRefs"} {
			st, why := "True", c
			if c == kind {
				st, why = status, reason
			}
			conditions = append(conditions, map[string]any{"type": c, "status": st, "reason": why, "message": "", "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z"})
		}
		must(t, unstructured.SetNestedSlice(live.Object, []any{map[string]any{"parentRef": map[string]any{"name": "public"}, "controllerName": ofAWS, "conditions": conditions}}, "status", "parents"))
		_, err := s.objects(t, httpRoutes()).UpdateStatus(t.Context(), live, metav1.UpdateOptions{})
		must(t, err)
	}
	generation := s.live(t, httpRoutes(), "web").GetGeneration()
	for _, c := range []struct {
		generation           int64
		kind, status, reason string
		ok                   bool
		says                 string
	}{
		{generation - 1, "", "", "", false, "has not looked at it on Gateway public since"},
		{generation, "", "", "", true, "the page's rules are on"},
		{generation, "Accepted", "False", "NotAllowedByListeners", false, "no listener takes routes of its namespace"},
		{generation, "ResolvedRefs", "False", "RefNotPermitted", false, "a ReferenceGrant is missing"},
	} {
		report(c.generation, c.kind, c.status, c.reason)
		if ok, said := settled(); ok != c.ok || !strings.Contains(said, c.says) {
			t.Errorf("%+v: settled %t, %s", c, ok, said)
		}
	}
}

// TestARuleWrittenMeanwhileIsOpen, and settling says so.
func TestARuleWrittenMeanwhileIsOpen(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.gateway(t, ofAWS)
	s.apply(t, fmt.Sprintf(webRoute, ""))
	e, got, err := s.survey(t, "web", Options{})
	must(t, err)
	proposal, err := e.Close(got, edge.Closing{Mode: edge.Closed, Page: closedPage})
	must(t, err)
	params := proposal.Calls[len(proposal.Calls)-1].Params.(InsertParams)
	typed, err := openRoute(s.conn, params)
	must(t, err)
	s.edit(t, httpRoutes(), "web", func(u *unstructured.Unstructured) {
		rules, _, _ := unstructured.NestedSlice(u.Object, "spec", "rules")
		rules = append(rules, map[string]any{"matches": []any{map[string]any{"path": map[string]any{"type": "Exact", "value": "/new"}}}})
		must(t, unstructured.SetNestedSlice(u.Object, rules, "spec", "rules"))
	})
	check, err := openUnchanged(s.conn, proposal.Checks[0].Params.(UnchangedParams))
	must(t, err)
	if v, err := check.Check(t.Context()); err != nil || v.OK {
		t.Errorf("unchanged says %+v (%v)", v, err)
	}
	must(t, typed.Apply(t.Context(), &Inserted{}, &Inserted{Rules: params.Rules}))
	v, err := typed.(*insertion).Settled(t.Context(), &Inserted{Rules: params.Rules})
	must(t, err)
	if v.OK || !strings.Contains(strings.Join(v.Findings, ";"), "is open") {
		t.Errorf("settled says %+v", v)
	}
}

// TestDiscoverFindsRoutes of every kind, and says what it leaves out.
func TestDiscoverFindsRoutes(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.gateway(t, ofAWS)
	s.apply(t, fmt.Sprintf(webRoute, ", labels: {team: cart}"))
	s.apply(t, webVirtualService)
	s.apply(t, `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: NS}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 443, name: https, protocol: HTTPS}, tls: {mode: SIMPLE, credentialName: tls}, hosts: ["./*.example.com"]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: to-https, namespace: NS}
spec: {parentRefs: [{name: public, sectionName: http}], rules: [{filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]}]}
`)
	d, err := discover(t.Context(), s.fresh())
	must(t, err)
	found := map[string]driver.Found{}
	for _, f := range d.Entrances {
		if strings.HasPrefix(f.Name, s.namespace+"/") {
			found[f.Kind+" "+f.Name] = f
		}
	}
	web := found[kindRoute+" "+s.namespace+"/web"]
	if web.Team != "cart" || !slices.Equal(web.Hosts, []string{"shop.example.com"}) || web.Class != "AWS Load Balancer Controller (Gateway "+s.namespace+"/public)" {
		t.Errorf("found %+v", web)
	}
	if vs := found[kindVirtualService+" "+s.namespace+"/web"]; !slices.Equal(vs.Hosts, []string{"shop.example.com"}) || vs.Class != "Istio (Gateway public)" {
		t.Errorf("found %+v", vs)
	}
	if !slices.ContainsFunc(d.Notes, func(n string) bool {
		return strings.Contains(n, s.namespace+"/to-https was left out: it only redirects")
	}) {
		t.Errorf("notes %q", d.Notes)
	}
}

// TestVirtualServiceRefuses what has no front door.
func TestVirtualServiceRefuses(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.apply(t, webVirtualService)
	s.apply(t, `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: inside, namespace: NS}
spec: {hosts: [web], http: [{route: [{destination: {host: web}}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: tcp, namespace: NS}
spec: {hosts: [web], gateways: [public], tcp: [{route: [{destination: {host: web}}]}]}
`)
	for name, says := range map[string]string{
		"web":    "there is no Gateway " + s.namespace + "/public",
		"inside": "for the inside of the mesh only",
		"tcp":    "no entries in spec.http",
		"wbe":    "Did you mean " + s.namespace + "/web?",
	} {
		e, err := openVirtualServiceEntrance(s.fresh(), s.namespace+"/"+name, VirtualServiceOptions{})
		must(t, err)
		_, err = e.Survey(t.Context())
		var f *fault.Fault
		if !asFault(err, &f) || !strings.Contains(f.Detail, says) {
			t.Errorf("%s: got %v, want a fault with %q", name, err, says)
		}
	}
}

// TestVirtualServiceNamesItself where a closing cannot be expressed: several
// services are closed by one command.
func TestVirtualServiceNamesItself(t *testing.T) {
	t.Parallel()
	e := &virtualServiceEntrance{namespace: "shop", name: "web"}
	c := edge.Closing{Mode: edge.Closed, Page: closedPage, Bypass: edge.Bypass{Sources: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}}
	_, err := e.Close(&driver.Survey{Seen: &vsReading{}}, c)
	var f *fault.Fault
	if !asFault(err, &f) || !strings.HasPrefix(f.Detail, "VirtualService shop/web: ") {
		t.Errorf("got %v, want a fault that names the VirtualService", err)
	}
}

// TestPlansHideThePass in what they show of rules.
func TestPlansHideThePass(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.apply(t, fmt.Sprintf(webRoute, ""))
	c := edge.Closing{Mode: edge.Closed, Page: closedPage, Bypass: edge.Bypass{Pass: "s3cret"}}
	entries, err := drawEntries(c)
	must(t, err)
	ofIstio := InsertParams{Namespace: s.namespace, Name: "web"}
	for _, e := range entries {
		ofIstio.Rules = append(ofIstio.Rules, rawJSON(t, e))
	}
	ofRoute := InsertParams{Namespace: s.namespace, Name: "web", Rules: drawn(t, s.live(t, httpRoutes(), "web"), map[string]any{"filters": []any{envoyGateway().filter("x")}}, c)}
	for _, i := range []*insertion{{conn: s.conn, p: ofIstio, on: virtualServiceList()}, {conn: s.conn, p: ofRoute, on: routeList()}} {
		d := i.Describe(&Inserted{}, &Inserted{Rules: i.p.Rules})
		if strings.Contains(d.After, "s3cret") || !strings.Contains(d.After, "•••") {
			t.Errorf("shown:\n%s", d.After)
		}
	}
}
