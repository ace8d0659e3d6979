package plainingress_test

import (
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	"github.com/noren-dev/noren/internal/driver/kube/plainingress"
	"github.com/noren-dev/noren/internal/edge"
)

const shop = `
metadata: {name: web, namespace: shop, creationTimestamp: "2026-01-02T00:00:00Z"}
spec:
  rules:
  - host: shop.example.com
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
      - {path: /v1/, pathType: Prefix, backend: {service: {name: api, port: {name: http}}}}
      - {path: /v1/items, pathType: Prefix, backend: {service: {name: items, port: {number: 80}}}}
      - {path: /v1, pathType: Exact, backend: {service: {name: root, port: {number: 80}}}}
      - {path: /img, pathType: ImplementationSpecific, backend: {resource: {kind: Bucket, name: img}}}
  - host: "*.example.com"
    http: {paths: [{path: /wide, pathType: Prefix, backend: {service: {name: wide, port: {number: 80}}}}]}
---
metadata: {name: older, namespace: shop, creationTimestamp: "2026-01-01T00:00:00Z"}
spec:
  rules:
  - host: shop.example.com
    http: {paths: [{path: /img, pathType: Prefix, backend: {service: {name: older, port: {number: 80}}}}]}
  - http: {paths: [{path: /any, pathType: Prefix, backend: {service: {name: any, port: {number: 80}}}}]}
---
metadata: {name: fallback, namespace: shop}
spec:
  tls: [{hosts: [api.example.com]}]
  defaultBackend: {service: {name: rest, port: {number: 80}}}
  rules:
  - host: api.example.com
    http: {paths: [{path: /v2, pathType: Prefix, backend: {service: {name: v2, port: {number: 80}}}}]}
`

func parse(t *testing.T, text string) []*networkingv1.Ingress {
	t.Helper()
	var out []*networkingv1.Ingress
	for doc := range strings.SplitSeq(text, "\n---\n") {
		ing := &networkingv1.Ingress{}
		if err := yaml.UnmarshalStrict([]byte(doc), ing); err != nil {
			t.Fatal(err)
		}
		out = append(out, ing)
	}
	return out
}

// TestWhoSeesWhat has the examples of the API's documentation among its cases:
// https://kubernetes.io/docs/concepts/services-networking/ingress/#examples
func TestWhoSeesWhat(t *testing.T) {
	front := plainingress.Build(parse(t, shop), nil)
	for _, c := range []struct{ url, want string }{
		{"http://shop.example.com/", "service shop/web:80"},
		{"http://shop.example.com/cart", "service shop/web:80"},
		{"http://shop.example.com/v1", "service shop/root:80"},    // Exact first
		{"http://shop.example.com/v1/", "service shop/api:http"},  // Exact is without the slash
		{"http://shop.example.com/v1/x", "service shop/api:http"}, // longest Prefix
		{"http://shop.example.com/v12", "service shop/web:80"},    // whole elements
		{"http://shop.example.com/v1/items/7", "service shop/items:80"},
		{"http://shop.example.com/img/a.png", "service shop/older:80"}, // the older Ingress's
		{"http://shop.example.com/any", "service shop/web:80"},
		{"http://x.example.com/wide/1", "service shop/wide:80"},
		{"http://x.example.com/", "404 text/plain"}, // no falling through to rules of any host
		{"http://x.example.com/any", "404 text/plain"},
		{"http://example.org/any", "service shop/any:80"},
		{"http://example.org/", "404 text/plain"},
		{"https://api.example.com/v2/x", "service shop/v2:80"},
		{"https://api.example.com/v1", "service shop/rest:80"},
	} {
		scheme, rest, _ := strings.Cut(c.url, "://")
		host, path, _ := strings.Cut(rest, "/")
		d, err := front.Decide(edge.Request{Scheme: scheme, Method: "GET", Host: host, Path: "/" + path})
		if err != nil || d.Action.String() != c.want {
			t.Errorf("%s: %s by %s (%v), want %s", c.url, d.Action, d.Rule, err, c.want)
		}
	}
	if len(front.Listeners) != 2 {
		t.Errorf("%d listeners, want one for TLS too", len(front.Listeners))
	}
}

func TestADefaultBackendAloneTakesEverything(t *testing.T) {
	front := plainingress.Build(parse(t, "metadata: {name: all, namespace: shop}\nspec: {defaultBackend: {service: {name: web, port: {number: 80}}}}"), nil)
	d, err := front.Decide(edge.Request{Scheme: "http", Host: "example.org", Path: "/x"})
	if err != nil || d.Action.String() != "service shop/web:80" {
		t.Errorf("%+v (%v)", d, err)
	}
}

func TestAPageServerIsSeenThrough(t *testing.T) {
	page := &edge.Response{Status: 503, ContentType: "text/html", Mark: "m-1"}
	front := plainingress.Build(parse(t, shop), func(namespace string, b networkingv1.IngressBackend, host, path string) *edge.Response {
		if namespace == "shop" && b.Service != nil && b.Service.Name == "web" && host == "shop.example.com" && path == "/" {
			return page
		}
		return nil
	})
	d, err := front.Decide(edge.Request{Scheme: "http", Host: "shop.example.com", Path: "/cart"})
	if err != nil || d.Action.Kind != edge.Respond || d.Action.Response.Mark != "m-1" || !strings.Contains(d.Rule, "ingress shop/web rules[0].paths[0]") {
		t.Errorf("%+v (%v)", d, err)
	}
}
