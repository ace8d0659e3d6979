package gw_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/noren-dev/noren/internal/driver/gatewayapi/gw"
	"github.com/noren-dev/noren/internal/edge"
)

func parse[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// gateway has a listener for every shop, one for admin's host, and one that
// takes no HTTPRoutes.
const gateway = `
namespace: infra
name: public
listeners:
- {name: web, port: 80, protocol: HTTP, hostname: "*.example.com", allowedRoutes: {namespaces: {from: All}}}
- {name: admin, port: 8443, protocol: HTTPS, hostname: admin.example.com, allowedRoutes: {namespaces: {from: Same}}}
- {name: tcp, port: 9000, protocol: TCP, allowedRoutes: {namespaces: {from: All}}}
`

func route(t *testing.T, name string, age time.Duration, spec string) gw.Route {
	t.Helper()
	r := parse[gw.Route](t, spec)
	r.Namespace, r.Name, r.Created = "shop", name, time.Unix(1e9, 0).Add(-age)
	if r.Parents == nil {
		r.Parents = parse[[]gw.Parent](t, "[{name: public, namespace: infra}]")
	}
	return r
}

// TestPrecedence is a table of the order that the specification gives.
// Sources: https://gateway-api.sigs.k8s.io/reference/spec/ HTTPRouteRule.matches
// ("Proxy or Load Balancer routing configuration generated from HTTPRoutes MUST
// prioritize matches based on the following criteria …") and hostnames; ties
// within a route are the first rule's.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	routes := []gw.Route{
		route(t, "old", 2*time.Hour, `
hostnames: [shop.example.com]
rules:
- {matches: [{path: {value: /}}], backendRefs: [{name: root}]}
- {matches: [{path: {type: Exact, value: /a}}], backendRefs: [{name: exact}]}
- {matches: [{path: {value: /a}}], backendRefs: [{name: prefix}]}
- {matches: [{path: {value: /a}, method: POST}], backendRefs: [{name: method}]}
- {matches: [{path: {value: /a}, headers: [{name: X-A, value: "1"}, {name: X-B, value: "1"}]}], backendRefs: [{name: headers}]}
- {matches: [{path: {value: /a}, headers: [{name: x-a, value: "1"}]}], backendRefs: [{name: header}]}
- {matches: [{path: {value: /a}, queryParams: [{name: q, value: "1"}]}], backendRefs: [{name: query}]}
- {matches: [{path: {value: /a/b/}}], backendRefs: [{name: longer}]}
- {matches: [{path: {value: /tie}}], backendRefs: [{name: first}]}
- {matches: [{path: {value: /tie}}], backendRefs: [{name: second}]}
- {matches: [{path: {value: /none}}], backendRefs: [{name: unused, weight: 0}]}
- {matches: [{path: {value: /moved}}], filters: [{type: RequestRedirect, requestRedirect: {scheme: https, statusCode: 301}}]}
`),
		route(t, "new", time.Hour, `{hostnames: [shop.example.com], rules: [{matches: [{path: {value: /tie}}, {path: {value: /only}}], backendRefs: [{name: younger}]}]}`),
		route(t, "wide", 3*time.Hour, `{hostnames: ["*.example.com"], rules: [{matches: [{path: {type: Exact, value: /a}}], backendRefs: [{name: wide}]}]}`),
		route(t, "any", 4*time.Hour, `{rules: [{matches: [{path: {type: Exact, value: /a/b/c}}], backendRefs: [{name: any}]}]}`),
	}
	front, notes := gw.Front([]gw.Gateway{parse[gw.Gateway](t, gateway)}, routes, func(gw.Route, int, int) gw.Reading { return gw.Reading{} })
	if len(notes) > 0 {
		t.Errorf("notes %q", notes)
	}
	for _, tt := range []struct{ why, request, want string }{
		{"any path", "GET /x", "root"},
		{"exact before prefix", "GET /a", "exact"},
		{"exact before a method", "POST /a", "exact"},
		{"a prefix is of whole elements", "GET /ab", "root"},
		{"below a prefix", "GET /a/x", "prefix"},
		{"a method before headers", "POST /a/x X-A=1 X-B=1", "method"},
		{"more headers before fewer", "GET /a/x X-A=1 X-B=1", "headers"},
		{"a header before a query", "GET /a/x?q=1 X-A=1", "header"},
		{"a query before nothing", "GET /a/x?q=1", "query"},
		{"the longest path before a method", "POST /a/b/c", "longer"},
		{"a slash at the end of a prefix does not count", "GET /a/b", "longer"},
		{"the very host before a wildcard, whatever the path", "GET /a", "exact"},
		{"the first rule of a tie", "GET /tie", "first"},
		{"the younger route where the older has none", "GET /only", "younger"},
		{"a wildcard host", "GET other.example.com/a", "wide"},
		{"a route without hosts has the listener's", "GET other.example.com/a/b/c", "any"},
		{"no rule", "GET other.example.com/x", "404"},
		{"no backend with a weight", "GET /none", "500"},
		{"a redirect", "GET /moved", "301 to https://the same host"},
	} {
		d, err := front.Decide(request(tt.request))
		if err != nil {
			t.Fatal(err)
		}
		got := strings.TrimPrefix(d.Action.String(), "service shop/")
		if d.Action.Response != nil {
			got, _, _ = strings.Cut(got, " ")
		}
		if got != tt.want {
			t.Errorf("%s: %s is served by %s (%s), want %s", tt.why, tt.request, got, d.Rule, tt.want)
		}
	}
}

func request(text string) edge.Request {
	words := strings.Fields(text)
	target, query, _ := strings.Cut(words[1], "?")
	host, path, _ := strings.Cut(target, "/")
	if host == "" {
		host = "shop.example.com"
	}
	r := edge.Request{Scheme: "http", Method: words[0], Host: host, Path: "/" + path, Query: query, Header: http.Header{}}
	for _, h := range words[2:] {
		key, value, _ := strings.Cut(h, "=")
		r.Header.Set(key, value)
	}
	return r
}

// TestAttach is a table of which listeners take a route.
// Source: https://gateway-api.sigs.k8s.io/reference/spec/ ParentReference,
// AllowedRoutes, HTTPRouteSpec.hostnames.
func TestAttach(t *testing.T) {
	t.Parallel()
	gateways := []gw.Gateway{parse[gw.Gateway](t, gateway)}
	for name, tt := range map[string]struct {
		spec string
		want string // listener hosts …
		why  string
	}{
		"its hosts":           {`{hostnames: [shop.example.com, shop.example.org]}`, "web shop.example.com", ""},
		"a narrower wildcard": {`{hostnames: ["*.b.example.com"]}`, "web *.b.example.com", ""},
		"a wider wildcard":    {`{hostnames: ["*.com"]}`, "web *.example.com", ""},
		"no hosts":            {`{}`, "web *.example.com", ""},
		"another domain":      {`{hostnames: [example.com]}`, "", "listener web is for *.example.com"},
		"another namespace":   {`{parentRefs: [{name: public, namespace: infra, sectionName: admin}]}`, "", "listener admin takes no routes from namespace shop"},
		"no HTTP":             {`{parentRefs: [{name: public, namespace: infra, port: 9000}]}`, "", "listener tcp (TCP) takes no HTTPRoutes"},
		"no such port":        {`{parentRefs: [{name: public, namespace: infra, port: 81}]}`, "", "has not any listener on port 81"},
		"its own namespace":   {`{parentRefs: [{name: public}]}`, "", "no Gateway shop/public"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			attached, problems := gw.Attach(route(t, "web", 0, tt.spec), gateways)
			var got []string
			for _, a := range attached {
				got = append(got, a.Listener.Name+" "+strings.Join(a.Hosts, " "))
			}
			if strings.Join(got, "; ") != tt.want {
				t.Errorf("attached to %q, want %q", got, tt.want)
			}
			if tt.why != "" && !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, tt.why) }) {
				t.Errorf("problems %q, want one with %q", problems, tt.why)
			}
		})
	}
}

// TestRegularExpressionsAreNotGuessed: who-sees says that it does not know.
func TestRegularExpressionsAreNotGuessed(t *testing.T) {
	t.Parallel()
	r := route(t, "web", 0, `{rules: [{matches: [{path: {type: RegularExpression, value: "/a.*"}}], backendRefs: [{name: x}]}]}`)
	front, notes := gw.Front([]gw.Gateway{parse[gw.Gateway](t, gateway)}, []gw.Route{r}, func(gw.Route, int, int) gw.Reading { return gw.Reading{} })
	if len(front.Listeners[0].Rules) > 0 || len(notes) != 1 || !strings.Contains(notes[0], "regular expression") {
		t.Errorf("rules %v, notes %q", front.Listeners[0].Rules, notes)
	}
}
