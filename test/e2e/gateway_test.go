package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/noren-dev/noren/internal/driver/argocd/argotest"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/page"
	"github.com/noren-dev/noren/internal/testkube"
	"github.com/noren-dev/noren/test/gatewaysim"
)

var (
	httpRoutes      = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}
	virtualServices = schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "virtualservices"}
	ruleConfigs     = schema.GroupVersionResource{Group: "gateway.k8s.aws", Version: "v1", Resource: "listenerruleconfigurations"}
	routeFilters    = schema.GroupVersionResource{Group: "gateway.envoyproxy.io", Version: "v1alpha1", Resource: "httproutefilters"}
)

// gatewayRoutes are three routes on Gateways of three implementations, each
// with a rule for / and one for /api, and a VirtualService with the same.
const gatewayRoutes = `
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: %[2]s-%[1]s}
spec: {controllerName: %[3]s}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: %[2]s, namespace: %[1]s}
spec:
  gatewayClassName: %[2]s-%[1]s
  listeners: [{name: web, port: 80, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: %[2]s, namespace: %[1]s, annotations: {owner: storefront}}
spec:
  parentRefs: [{name: %[2]s}]
  hostnames: [%[2]s.%[1]s.example.com]
  rules:
  - backendRefs: [{name: %[2]s, port: 80}]
  - name: api
    matches: [{path: {type: PathPrefix, value: /api}}]
    timeouts: {request: 10s}
    backendRefs: [{name: %[2]sapi, port: 80}]
`

const istioRoutes = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: istio, namespace: %[1]s}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: istio, namespace: %[1]s}
spec:
  hosts: [istio.%[1]s.example.com]
  gateways: [istio]
  http:
  - match: [{uri: {prefix: /api}}]
    route: [{destination: {host: istioapi}}]
  - route: [{destination: {host: istio}}]
`

// implementations are the controllers of the routes.
var implementations = map[string]string{"aws": "gateway.k8s.aws/alb", "envoy": "gateway.envoyproxy.io/gatewayclass-controller", "plain": "example.com/controller"}

const gatewayCatalog = `version: 1
zone: Asia/Tokyo
environments:
  prod:
    protected: true
    kube: {kubeconfig: %[2]s, context: admin}
    gatewayapi: {}
    http:
      resolve:
%[3]s    bypass: %[4]s
teams:
  storefront: {contact: "#storefront"}
services:
`

const gatewayService = `  %[2]s:
    team: storefront
    kind: web
    entrances: [{kind: gatewayapi/%[3]s, name: %[1]s/%[2]s}]
    health: [http://%[2]s.%[1]s.example.com/healthz]
%[4]s`

// A mallPlan is what a mall is to be.
type mallPlan struct {
	bypass string           // of the environment
	more   string           // of each service of the catalog
	names  []string         // of the services: all of mallNames if empty
	server *testkube.Server // the shared one if nil
}

// newMall makes a shop whose services are behind Gateways.
func newMall(t testing.TB, p mallPlan) (*shop, *gatewaysim.Sim) {
	t.Helper()
	if p.server == nil {
		p.server = testkube.Start(t)
	}
	if p.names == nil {
		p.names = mallNames
	}
	s := &shop{dir: t.TempDir(), addr: map[string]string{}, server: p.server,
		kinds: []schema.GroupVersionResource{httpRoutes, virtualServices, ruleConfigs, routeFilters}}
	s.server.InstallCRDs(t, testkube.ArgoCDCurrent)
	s.server.InstallCRDs(t, testkube.GatewayAPI)
	s.server.InstallCRDs(t, testkube.EnvoyGateway)
	s.server.InstallCRDs(t, testkube.Istio, "virtualservices.networking.istio.io", "gateways.networking.istio.io")
	s.server.InstallCRDs(t, testkube.AWSGateway)
	s.ns, s.kubeconfig = s.server.Namespace(t), s.server.Kubeconfig
	var err error
	if s.client, err = dynamic.NewForConfig(s.server.Config(testkube.Admin)); err != nil {
		t.Fatal(err)
	}
	sim := gatewaysim.Start(t, s.server.Config(testkube.Admin), s.ns)
	var resolve, services strings.Builder
	for _, name := range p.names {
		for _, app := range []string{name, name + "api"} {
			sim.Backend(s.ns+"/"+app+":80", s.serve(t, app))
		}
		s.addr[s.host(name)] = sim.Address()
		fmt.Fprintf(&resolve, "        \"%s:80\": %s\n", s.host(name), sim.Address())
		kind := "virtualservice"
		if controller, ok := implementations[name]; ok {
			kind = "httproute"
			s.server.Apply(t, fmt.Sprintf(gatewayRoutes, s.ns, name, controller))
		}
		fmt.Fprintf(&services, gatewayService, s.ns, name, kind, p.more)
	}
	s.server.Apply(t, fmt.Sprintf(istioRoutes, s.ns))
	manifest := noren(t, t.TempDir(), t.TempDir(), nil, "page", "manifest", "--namespace", s.ns, "--image", "registry.example.com/noren:test")
	s.server.Apply(t, manifest.must(t, 0).out)
	s.server.Apply(t, fmt.Sprintf(pageRights, s.ns))
	_, pages := s.pageServer(t)
	sim.Backend(s.ns+"/noren-page:80", pages)
	s.write(t, "noren.yaml", fmt.Sprintf(gatewayCatalog, s.ns, s.kubeconfig, resolve.String(), p.bypass)+services.String())
	sim.CatchUp(t)
	return s, sim
}

// mallNames are the services of a mall.
var mallNames = []string{"aws", "envoy", "plain", "istio"}

// answers fails the test unless the applications answer.
func (s *shop) answers(t testing.TB, header ...string) {
	t.Helper()
	for _, name := range mallNames {
		for path, app := range map[string]string{"/": name, "/api/x": name + "api"} {
			if code, body := s.get(t, name, path, header...); code != 200 || !strings.HasPrefix(body, app+" answers") {
				t.Errorf("%s%s: %d %q, want the application %s", name, path, code, body, app)
			}
		}
	}
}

// TestCloseRoutes closes what is behind Gateways of every implementation and
// opens it again.
func TestCloseRoutes(t *testing.T) {
	t.Parallel()
	s, sim := newMall(t, mallPlan{bypass: "{pass: true}"})
	before, state := s.objects(t), t.TempDir()
	s.answers(t)
	s.noren(t, state, "plan", "close", "--env", "prod").must(t, 0).says(t, "native", "backend", "the AWS Load Balancer Controller", "Envoy Gateway", "page server")
	s.same(t, before)
	closed := s.noren(t, state, "close", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 0)
	pass := passIn(t, s.noren(t, state, "status", "--pass").must(t, 0).out)
	sim.CatchUp(t)
	for _, name := range mallNames {
		for _, path := range []string{"/", "/api/x", "/healthz"} {
			res, body := s.browse(t, "GET", name, path)
			if _, ours := page.MarkIn([]byte(body)); res.StatusCode != 503 || !ours {
				t.Errorf("%s%s: %d, our page: %t", name, path, res.StatusCode, ours)
			}
			if headers := name != "aws"; (res.Header.Get("Retry-After") != "") != headers {
				t.Errorf("%s%s: Retry-After %q", name, path, res.Header.Get("Retry-After"))
			}
			if headers := name == "envoy" || name == "istio"; headers && (res.Header.Get("Access-Control-Allow-Origin") != "*" || res.Header.Get("Cache-Control") != "no-store") {
				t.Errorf("%s%s: a script may not read it, or a cache may keep it: %v", name, path, res.Header)
			}
			if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
				t.Errorf("%s%s: Content-Type %q", name, path, res.Header.Get("Content-Type"))
			}
		}
	}
	s.answers(t, edge.PassHeader, pass)
	if text := closed.out + closed.err; strings.Contains(text, pass) {
		t.Errorf("closing shows the pass:\n%s", text)
	}
	s.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
	s.same(t, before)
	s.answers(t)
}

// TestRoutesWhoseRecordsAreLost are opened from their marks alone.
func TestRoutesWhoseRecordsAreLost(t *testing.T) {
	t.Parallel()
	s, _ := newMall(t, mallPlan{bypass: "{pass: true}"})
	before := s.objects(t)
	s.noren(t, t.TempDir(), "close", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 0)
	s.noren(t, t.TempDir(), "leftovers", "--env", "prod").says(t, "httproute/aws", "virtualservice/istio")
	s.recovered(t).must(t, 0)
	s.same(t, before)
	s.answers(t)
}

// passIn finds the pass that a closing showed.
func passIn(t testing.TB, text string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, edge.PassHeader+": ")
	if !ok {
		t.Fatalf("no pass is shown:\n%s", text)
	}
	return strings.FieldsFunc(rest, func(r rune) bool { return r == '\n' || r == '\'' || r == '"' || r == ' ' })[0]
}

// TestRoutesReadOnly refuses writes alone.
func TestRoutesReadOnly(t *testing.T) {
	t.Parallel()
	s, sim := newMall(t, mallPlan{bypass: "{}"})
	before, state := s.objects(t), t.TempDir()
	s.noren(t, state, "close", "--env", "prod", "--read-only", "--for", "30m", "--confirm", "prod").must(t, 0)
	sim.CatchUp(t)
	s.answers(t)
	for _, name := range mallNames {
		for _, path := range []string{"/", "/api/x"} {
			if res, body := s.browse(t, "POST", name, path); res.StatusCode != 503 || strings.Contains(body, "answers") {
				t.Errorf("POST %s%s: %d %s", name, path, res.StatusCode, body)
			}
		}
	}
	s.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
	s.same(t, before)
}

// TestRoutesKeepPathsOpen: where a door cannot, it says which can.
func TestRoutesKeepPathsOpen(t *testing.T) {
	t.Parallel()
	s, sim := newMall(t, mallPlan{bypass: "{}", more: "    keep_open: [/api/hook, /.well-known/*]\n"})
	before, state := s.objects(t), t.TempDir()
	s.noren(t, state, "close", "istio", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 2).says(t, "cannot be for all paths but some", "mode: paths")
	s.noren(t, state, "close", "aws", "envoy", "plain", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 0)
	sim.CatchUp(t)
	for _, name := range []string{"aws", "envoy", "plain"} {
		for path, app := range map[string]string{"/api/hook": name + "api", "/.well-known/x": name, "/api": "", "/": "", "/api/hook/x": ""} {
			code, body := s.get(t, name, path)
			if app == "" && code != 503 || app != "" && !strings.HasPrefix(body, app+" answers") {
				t.Errorf("%s%s: %d %s, want the application %q", name, path, code, body, app)
			}
		}
	}
	s.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
	s.same(t, before)
}

// TestRoutesLetStaffThroughByAddress on an Application Load Balancer, and say
// what can where they cannot.
func TestRoutesLetStaffThroughByAddress(t *testing.T) {
	t.Parallel()
	s, sim := newMall(t, mallPlan{bypass: "{sources: [127.0.0.2/32]}"})
	before, state := s.objects(t), t.TempDir()
	for _, name := range []string{"envoy", "istio", "plain"} {
		s.noren(t, state, "close", name, "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 2).says(t, "X-Noren-Pass", "pass: true")
	}
	s.same(t, before)
	s.noren(t, state, "close", "aws", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 0)
	sim.CatchUp(t)
	for from, want := range map[string]int{"127.0.0.1": 503, "127.0.0.2": 200} {
		a, err := s.ask(t.Context(), question{host: s.host("aws"), path: "/api/x", from: from})
		if err != nil || a.code != want {
			t.Errorf("from %s: %d (%v), want %d", from, a.code, err, want)
		}
	}
	s.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
	s.same(t, before)
}

// TestAColleaguesRuleSurvives an opening, and noren says what it found.
func TestAColleaguesRuleSurvives(t *testing.T) {
	t.Parallel()
	s, sim := newMall(t, mallPlan{bypass: "{}"})
	state := t.TempDir()
	s.noren(t, state, "close", "aws", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 0)
	s.edit(t, httpRoutes, "aws", func(object map[string]any) {
		rules, _, _ := unstructured.NestedSlice(object, "spec", "rules")
		added := map[string]any{"matches": []any{map[string]any{"path": map[string]any{"type": "PathPrefix", "value": "/new"}}},
			"backendRefs": []any{map[string]any{"name": "awsapi", "port": int64(80)}}}
		if err := unstructured.SetNestedSlice(object, append([]any{added}, rules...), "spec", "rules"); err != nil {
			t.Error(err)
		}
	})
	sim.CatchUp(t)
	if _, body := s.get(t, "aws", "/new"); !strings.HasPrefix(body, "awsapi answers") {
		t.Errorf("the new rule serves %q", body)
	}
	s.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
	live, err := s.client.Resource(httpRoutes).Namespace(s.ns).Get(t.Context(), "aws", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if rules, _, _ := unstructured.NestedSlice(live.Object, "spec", "rules"); len(rules) != 3 {
		t.Errorf("the route has %d rules, want the two of before and the colleague's", len(rules))
	}
}

const routeApplication = `
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: storefront, namespace: %[1]s}
spec:
  project: default
  source: {repoURL: https://example.com/git, path: storefront, targetRevision: main}
  destination: {server: https://kubernetes.default.svc, namespace: %[1]s}
  syncPolicy: {automated: {prune: true, selfHeal: true}}
`

// TestARouteOfArgoCDs stays closed, since automated sync is paused meanwhile,
// and is what Git says afterwards.
func TestARouteOfArgoCDs(t *testing.T) {
	t.Parallel()
	s, sim := newMall(t, mallPlan{bypass: "{}", names: []string{"aws", "istio"}})
	s.rewrite(t, "    gatewayapi: {}\n", "    gatewayapi: {}\n    argocd: {namespace: "+s.ns+"}\n")
	s.server.Apply(t, fmt.Sprintf(routeApplication, s.ns))
	git := &argotest.Manifests{Client: s.client}
	for kind, r := range map[string]struct {
		gvr  schema.GroupVersionResource
		name string
	}{"HTTPRoute": {httpRoutes, "aws"}, "VirtualService": {virtualServices, "istio"}} {
		s.edit(t, r.gvr, r.name, func(object map[string]any) {
			(&unstructured.Unstructured{Object: object}).SetAnnotations(map[string]string{
				"argocd.argoproj.io/tracking-id": fmt.Sprintf("%s_storefront:%s/%s:%s/%s", s.ns, r.gvr.Group, kind, s.ns, r.name)})
		})
		live, err := s.client.Resource(r.gvr).Namespace(s.ns).Get(t.Context(), r.name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		git.Commit(s.ns+"/storefront", "rev-1", argotest.Manifest{Resource: r.gvr, Object: &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": live.GetAPIVersion(), "kind": kind, "metadata": map[string]any{"namespace": s.ns, "name": r.name}, "spec": live.Object["spec"]}}})
	}
	controller := &argotest.Controller{Client: s.client, Repository: git, Namespace: s.ns, Managed: []schema.GroupVersionResource{httpRoutes, virtualServices}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- controller.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && ctx.Err() == nil {
			t.Errorf("argotest: %v", err)
		}
	})
	before, state := s.objects(t), t.TempDir()
	s.noren(t, state, "close", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 0).says(t, "Pause automated sync of argocd:prod/"+s.ns+"/application/storefront")
	sim.CatchUp(t)
	for _, name := range []string{"aws", "istio"} {
		if code, _ := s.get(t, name, "/"); code != 503 {
			t.Errorf("%s answers %d, want the page", name, code)
		}
	}
	s.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
	s.same(t, before)
}

// TestInitFindsRoutes, and what it writes can be checked and closed with.
func TestInitFindsRoutes(t *testing.T) {
	t.Parallel()
	s, _ := newMall(t, mallPlan{bypass: "{}", server: testkube.Start(t, testkube.Dedicated())}) // init looks at the whole cluster
	before, state := s.objects(t), t.TempDir()
	s.noren(t, state, "init", "--kubeconfig", s.kubeconfig, "--context", "admin", "--env", "prod", "--out", "found.yaml", "--zone", "Asia/Tokyo").must(t, 0).
		says(t, "gatewayapi/httproute "+s.ns+"/aws", "gatewayapi/virtualservice "+s.ns+"/istio")
	found := s.text(t, "found.yaml")
	for _, want := range []string{"gatewayapi: {}", "gatewayapi/httproute", "gatewayapi/virtualservice", s.ns + "/plain"} {
		if !strings.Contains(found, want) {
			t.Errorf("what was found does not have %q:\n%s", want, found)
		}
	}
	s.noren(t, state, "check", "-f", "found.yaml").must(t, 0)
	var resolve strings.Builder
	for host, addr := range s.addr {
		fmt.Fprintf(&resolve, "        \"%s:80\": %s\n", host, addr)
	}
	s.write(t, "found.yaml", strings.Replace(found, "  prod:\n", "  prod:\n    http:\n      resolve:\n"+resolve.String(), 1))
	s.noren(t, state, "check", "-f", "found.yaml", "--live").must(t, 0)
	s.noren(t, state, "close", "-f", "found.yaml", "--env", "prod", "--confirm", "prod").must(t, 0)
	s.noren(t, state, "open", "--confirm", "prod").must(t, 0)
	s.same(t, before)
}

// TestWhoSeesRoutes compares what noren says with what a visitor is answered.
func TestWhoSeesRoutes(t *testing.T) {
	t.Parallel()
	s, sim := newMall(t, mallPlan{bypass: "{}"})
	state := t.TempDir()
	says := func(name, path, method, want string) {
		t.Helper()
		s.noren(t, state, "who-sees", "http://"+s.host(name)+path, "--env", "prod", "-X", method, "--read-only").must(t, 0).says(t, want)
	}
	for _, name := range mallNames {
		says(name, "/api/x", "POST", "noren: closed")
		says(name, "/api/x", "GET", name+"api")
	}
	s.noren(t, state, "close", "--env", "prod", "--read-only", "--for", "30m", "--confirm", "prod").must(t, 0)
	sim.CatchUp(t)
	for _, name := range mallNames {
		says(name, "/api/x", "POST", "noren: closed")
		says(name, "/api/x", "GET", name+"api")
	}
}

// TestKilledAtEveryPointOfRoutes is TestKilledAtEveryPoint behind Gateways: an
// answer of the implementation's own, the page server, and an entry of Istio's.
func TestKilledAtEveryPointOfRoutes(t *testing.T) {
	t.Parallel()
	names := []string{"aws", "plain", "istio"}
	eachPointOf(t, 30, func(t testing.TB) *shop {
		s, _ := newMall(t, mallPlan{bypass: "{pass: true}", names: names})
		return s
	}, func(t *testing.T, s *shop, n int, reached func(result)) bool {
		closeArgs := []string{"close", "--env", "prod", "--for", "30m", "--confirm", "prod"}
		openArgs := []string{"open", "--env", "prod", "--confirm", "prod"}
		state, kill := t.TempDir(), []string{fmt.Sprintf("%s=%d", killAt, n)}
		first := noren(t, s.dir, state, kill, closeArgs...)
		if reached(first); first.code == -1 {
			s.noren(t, state, closeArgs...).must(t, 0)
		}
		for _, name := range names {
			if code, _ := s.get(t, name, "/"); code != 503 {
				t.Fatalf("closed after a kill at point %d, and %s answers %d\n%s", n, name, code, first.err)
			}
		}
		second := noren(t, s.dir, state, kill, openArgs...)
		if reached(second); second.code == -1 {
			s.noren(t, state, openArgs...).must(t, 0)
		}
		return first.code == -1 || second.code == -1
	})
}
