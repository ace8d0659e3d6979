package kube

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
	"github.com/noren-dev/noren/internal/kubeclient/kubepage"
)

const plainShop = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: shop}
spec:
  ingressClassName: nginx
  tls: [{hosts: [shop.example.com]}]
  rules:
  - host: shop.example.com
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
      - {path: /api, pathType: Prefix, backend: {service: {name: api, port: {number: 80}}}}
      - {path: /api/hooks, pathType: Prefix, backend: {service: {name: hooks, port: {number: 80}}}}
      - {path: /status, pathType: Exact, backend: {service: {name: web, port: {number: 80}}}}
  - host: www.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: blog, namespace: shop}
spec:
  ingressClassName: nginx
  rules:
  - host: www.example.com
    http: {paths: [{path: /blog, pathType: Prefix, backend: {service: {name: blog, port: {number: 80}}}}]}
`

// plainSurveyed is an entrance and a reading of it without a cluster.
func plainSurveyed(t *testing.T, text string, annotations map[string]string) (*entrance, *driver.Survey) {
	t.Helper()
	all := parseIngresses(t, text)
	all[0].Annotations = annotations
	e := &entrance{conn: newConn(nil, driver.Env{Name: "prod"}), namespace: "shop", name: "web", options: Options{PageService: "noren-page"}}
	s, err := e.surveyPlain(t.Context(), all[0], &cluster{ingresses: all, classes: lbc.Classes{ByName: map[string]lbc.Class{"nginx": {Name: "nginx", Controller: "k8s.io/ingress-nginx"}}}})
	must(t, err)
	return e, s
}

func largePage() edge.Response {
	p := testPage()
	p.Body += strings.Repeat(" ", 5000)
	return p
}

func pathsOfCall(t *testing.T, p *driver.Proposal) []string {
	t.Helper()
	for _, call := range p.Calls {
		if led, ok := call.Params.(RouteParams); ok {
			must(t, led.Validate())
			return pathNames(led.Paths)
		}
	}
	t.Fatal("no path is led anywhere")
	return nil
}

func TestPlainCloses(t *testing.T) {
	const root, api, hooks, status, www = "shop.example.com/ (Prefix)", "shop.example.com/api (Prefix)", "shop.example.com/api/hooks (Prefix)", "shop.example.com/status (Exact)", "www.example.com/ (Prefix)"
	for name, c := range map[string]struct {
		closing edge.Closing
		paths   []string
		urls    []string
	}{
		"all":              {edge.Closing{Mode: edge.Closed}, []string{root, api, hooks, status, www}, []string{"https://shop.example.com/", "http://www.example.com/"}},
		"one host":         {edge.Closing{Mode: edge.Closed, Hosts: []string{"www.example.com"}}, []string{www}, []string{"http://www.example.com/"}},
		"a path with more": {edge.Closing{Mode: edge.Paths, Hosts: []string{"shop.example.com"}, Paths: []string{"/api", "/api/*"}}, []string{api, hooks}, []string{"https://shop.example.com/api"}},
		"an exact path":    {edge.Closing{Mode: edge.Paths, Hosts: []string{"shop.example.com"}, Paths: []string{"/status"}}, []string{status}, []string{"https://shop.example.com/status"}},
		"all but a path":   {edge.Closing{Mode: edge.Closed, Hosts: []string{"shop.example.com"}, KeepOpen: []string{"/api/hooks", "/api/hooks/*"}}, []string{root, api, status}, []string{"https://shop.example.com/"}},
		"paths but one": {edge.Closing{Mode: edge.Paths, Hosts: []string{"shop.example.com"}, Paths: []string{"/api", "/api/*"}, KeepOpen: []string{"/api/hooks", "/api/hooks/*"}},
			[]string{api}, []string{"https://shop.example.com/api"}},
	} {
		t.Run(name, func(t *testing.T) {
			e, s := plainSurveyed(t, plainShop, nil)
			p, err := e.Close(s, withPage(c.closing, largePage()))
			must(t, err)
			if got := pathsOfCall(t, p); !slices.Equal(got, c.paths) {
				t.Errorf("leads %q, want %q", got, c.paths)
			}
			if !slices.Equal(p.URLs, c.urls) || !p.EditsOwned || p.Strategy != StrategyBackend || p.Calls[0].Action != ActionPage {
				t.Errorf("URLs %q, edits owned %t, strategy %s, first %s", p.URLs, p.EditsOwned, p.Strategy, p.Calls[0].Action)
			}
			for _, u := range c.urls {
				if d := see(p.Front, visitors()[0], u); d.Action.Response == nil || d.Action.Response.Mark != testMark {
					t.Errorf("%s would see %s", u, d.Action)
				}
			}
			if d := see(p.Front, visitors()[0], "http://www.example.com/blog/1"); d.Action.Kind != edge.Forward {
				t.Errorf("another Ingress's path would see %s", d.Action)
			}
		})
	}
}

func TestPlainRefuses(t *testing.T) {
	shop := []string{"shop.example.com"}
	for name, c := range map[string]struct {
		closing     edge.Closing
		annotations map[string]string
		words       []string
	}{
		"staff by address":         {edge.Closing{Bypass: edge.Bypass{Sources: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}}, nil, []string{"staff by address", "overlay and patch", "gate"}},
		"staff by pass":            {edge.Closing{Bypass: edge.Bypass{Pass: testPass}}, nil, []string{"staff by pass"}},
		"read-only":                {edge.Closing{Mode: edge.ReadOnly}, nil, []string{"read-only mode"}},
		"a part of a path":         {edge.Closing{Mode: edge.Paths, Hosts: shop, Paths: []string{"/cart/*"}}, nil, []string{"/cart/*", "only a part of shop.example.com/ (Prefix)"}},
		"a path without itself":    {edge.Closing{Mode: edge.Paths, Hosts: shop, Paths: []string{"/api/*"}}, nil, []string{"only a part of shop.example.com/api (Prefix)"}},
		"a part to be kept open":   {edge.Closing{Hosts: shop, KeepOpen: []string{"/.well-known/*"}}, nil, []string{"/.well-known/*", "kept open"}},
		"everything kept open":     {edge.Closing{Hosts: []string{"www.example.com"}, KeepOpen: []string{"/*"}}, nil, []string{"nothing is left to close"}},
		"a wildcard in the middle": {edge.Closing{Mode: edge.Paths, Hosts: shop, Paths: []string{"/a*b"}}, nil, []string{"cannot be told"}},
		"another host":             {edge.Closing{Hosts: []string{"shpo.example.com"}}, nil, []string{"Did you mean shop.example.com"}},
		"a redirect":               {edge.Closing{}, map[string]string{"nginx.ingress.kubernetes.io/permanent-redirect": "https://example.org"}, []string{"permanent-redirect", "never see the page"}},
		"TLS to backends":          {edge.Closing{}, map[string]string{"nginx.ingress.kubernetes.io/backend-protocol": "HTTPS"}, []string{"backend-protocol"}},
		"error pages":              {edge.Closing{}, map[string]string{"nginx.ingress.kubernetes.io/custom-http-errors": "404, 503"}, []string{"custom-http-errors"}},
	} {
		t.Run(name, func(t *testing.T) {
			e, s := plainSurveyed(t, plainShop, c.annotations)
			if c.closing.Mode == "" {
				c.closing.Mode = edge.Closed
			}
			p, err := e.Close(s, withPage(c.closing, testPage()))
			if err == nil {
				t.Fatalf("leads %q", pathsOfCall(t, p))
			}
			for _, w := range c.words {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%v\nlacks %q", err, w)
				}
			}
		})
	}
}

func TestPlainNotes(t *testing.T) {
	e, s := plainSurveyed(t, plainShop, map[string]string{
		"nginx.ingress.kubernetes.io/auth-url":         "https://login.example.com",
		"nginx.ingress.kubernetes.io/backend-protocol": "HTTP",
		"nginx.ingress.kubernetes.io/canary":           "false",
		"ingress.kubernetes.io/backends":               "{}",
	})
	wantNote(t, s.Notes, true, "log in before they see the page")
	if len(s.Notes) != 1 {
		t.Errorf("notes %+v", s.Notes)
	}
	p, err := e.Close(s, withPage(edge.Closing{Mode: edge.Closed, Hosts: []string{"shop.example.com"}}, testPage()))
	must(t, err)
	wantNote(t, p.Notes, false, "stay open: shop/blog")
	wantNote(t, p.Notes, true, "Google's load balancer")
	wantNote(t, p.Notes, false, "WebSockets")
}

// TestTheMarkOfAPageIsSmall: annotations of an object have 256 KiB together.
func TestTheMarkOfAPageIsSmall(t *testing.T) {
	params, err := kubepage.NewParams("shop", "noren-web-page", bigPage(900<<10))
	must(t, err)
	raw, err := json.Marshal(params)
	must(t, err)
	if len(raw) < 900<<10 {
		t.Errorf("the parameters have %d bytes: the page is not in them", len(raw))
	}
	o, err := openPage(newConn(nil, driver.Env{Name: "prod"}), params)
	must(t, err)
	to, err := o.Propose(nil)
	must(t, err)
	if state, err := json.Marshal(to); err != nil || len(state) > 200 {
		t.Errorf("the state has %d bytes (%v)", len(state), err)
	}
}

func TestImplementationSpecificPathsAreTakenByName(t *testing.T) {
	kind := networkingv1.PathTypeImplementationSpecific
	ing := webIngress("web", "shop.example.com")
	ing.Spec.Rules[0].HTTP.Paths[0].Path, ing.Spec.Rules[0].HTTP.Paths[0].PathType = "/(.*)", &kind
	closed, _, err := closedPaths(ing, edge.Closing{Mode: edge.Closed})
	if err != nil || len(closed) != 1 {
		t.Errorf("all: %v (%v)", closed, err)
	}
	closed, _, err = closedPaths(ing, edge.Closing{Mode: edge.Paths, Paths: []string{"/(.*)"}})
	if err != nil || len(closed) != 1 {
		t.Errorf("by its name: %v (%v)", closed, err)
	}
	if closed, _, err = closedPaths(ing, edge.Closing{Mode: edge.Paths, Paths: []string{"/cart/*"}}); err == nil {
		t.Errorf("a part: %v", closed)
	}
}

const lbcShop = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: shop, annotations: {alb.ingress.kubernetes.io/group.name: GROUP}}
spec:
  ingressClassName: alb
  rules:
  - host: shop.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
`

// TestALoadBalancersRulesLeadToThePageServer: noren's own do, where the page is
// too large or the catalog asks for it; never the user's, and never without need.
func TestALoadBalancersRulesLeadToThePageServer(t *testing.T) {
	alone := strings.Replace(lbcShop, ", annotations: {alb.ingress.kubernetes.io/group.name: GROUP}", "", 1)
	for name, c := range map[string]struct {
		members  string
		options  Options
		page     edge.Response
		strategy string
		served   bool
	}{
		"small":                  {lbcShop, Options{PageService: "noren-page"}, testPage(), StrategyOverlay, false},
		"large":                  {lbcShop, Options{PageService: "noren-page"}, largePage(), StrategyOverlay, true},
		"large, alone":           {alone, Options{PageService: "noren-page"}, largePage(), StrategyPatch, true},
		"asked for":              {lbcShop, Options{Strategy: StrategyBackend}, testPage(), StrategyOverlay, true},
		"asked for, alone":       {alone, Options{Strategy: StrategyBackend}, testPage(), StrategyPatch, true},
		"large, patch asked for": {lbcShop, Options{Strategy: StrategyPatch, PageService: "pages", PagePort: 8080}, largePage(), StrategyPatch, true},
	} {
		t.Run(name, func(t *testing.T) {
			e, s := surveyed(t, strings.ReplaceAll(c.members, "GROUP", "shared"), "")
			e.options = c.options
			p, err := e.Close(s, withPage(edge.Closing{Mode: edge.Closed}, c.page))
			must(t, err)
			if p.Strategy != c.strategy || (p.Calls[0].Action == ActionPage) != c.served {
				t.Errorf("strategy %s, first %s", p.Strategy, p.Calls[0].Action)
			}
			if d := see(p.Front, visitors()[0], "http://shop.example.com/"); d.Action.Response == nil || d.Action.Response.Mark != testMark || d.Action.Response.Body != c.page.Body {
				t.Errorf("customers would see %s by %s", d.Action, d.Rule)
			}
			text, err := kubeobject.JSON(p.Calls)
			must(t, err)
			if led := strings.Contains(text, e.pageServer().service+`\"`); c.served && !led {
				t.Errorf("no rule leads to the page server: %s", text)
			}
			for _, call := range p.Calls {
				if call.Action == ActionRoute {
					t.Error("a path of the user's leads there")
				}
			}
		})
	}
	e, s := surveyed(t, strings.ReplaceAll(lbcShop, "GROUP", "shared"), "")
	if _, err := e.Close(s, withPage(edge.Closing{Mode: edge.Closed}, largePage())); err == nil {
		t.Error("a large page without a page server")
	}
}
