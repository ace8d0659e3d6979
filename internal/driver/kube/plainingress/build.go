// Package plainingress says who sees what through Ingresses of a controller
// that noren does not know closely: what the Ingress API itself promises, which
// controllers keep more or less. It is pure.
//
// Sources: the API's documentation,
// https://kubernetes.io/docs/concepts/services-networking/ingress/ ("Path
// types", "Multiple matches", "Hostname wildcards"), and
// https://gateway-api.sigs.k8s.io/guides/migrating-from-ingress/ for how
// controllers differ.
//
// Where the documentation leaves it open:
//
//   - rules of one host are merged over all Ingresses of a class, and of two
//     equal paths the older Ingress's counts, as ingress-nginx documents
//     (https://kubernetes.github.io/ingress-nginx/how-it-works/,
//     "Building the NGINX model");
//   - a host with rules of its own does not fall back to rules of a wildcard or
//     of any host: ingress-nginx and HAProxy make a server of each host, while
//     Traefik would fall through;
//   - ImplementationSpecific is taken for Prefix, which it is in Traefik and,
//     without use-regex, in ingress-nginx;
//   - "*" in a host stands for any labels; the documentation says one.
//
// Redirects, logins and rewrites come from annotations, which are each
// controller's own; package kube warns of those it knows.
package plainingress

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/noren-dev/noren/internal/edge"
)

// A Shown tells what a backend answers by itself, nil where it is none that
// does: a page server's Service, for the requests of a host and path.
type Shown func(namespace string, b networkingv1.IngressBackend, host, path string) *edge.Response

// An item is one path of a rule, or a default backend.
type item struct {
	ing      *networkingv1.Ingress
	name     string
	host     string
	path     string
	exact    bool
	backend  networkingv1.IngressBackend
	fallback bool // the default backend of an Ingress, for hosts of its rules
}

// Build returns the front door of Ingresses of one class: one listener for
// HTTP, and one for HTTPS where any of them has TLS.
func Build(ingresses []*networkingv1.Ingress, shown Shown) edge.Front {
	all := slices.Clone(ingresses)
	slices.SortStableFunc(all, func(a, b *networkingv1.Ingress) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(key(a), key(b)))
	})
	var items []item
	secure := false
	for _, ing := range all {
		items = append(items, itemsOf(ing)...)
		secure = secure || len(ing.Spec.TLS) > 0
	}
	slices.SortStableFunc(items, before)
	l := edge.Listener{Scheme: "http", Port: 80, Default: nowhere()}
	for i, it := range items {
		l.Rules = append(l.Rules, it.rule(shown))
		if last := i+1 == len(items) || items[i+1].host != it.host; last && it.host != "" {
			l.Rules = append(l.Rules, edge.Rule{Name: "no path of " + it.host, Conditions: hostIs(it.host), Action: nowhere()})
		}
	}
	front := edge.Front{Listeners: []edge.Listener{l}}
	if secure {
		l.Scheme, l.Port = "https", 443
		front.Listeners = append(front.Listeners, l)
	}
	return front
}

func key(ing *networkingv1.Ingress) string { return ing.Namespace + "/" + ing.Name }

func itemsOf(ing *networkingv1.Ingress) []item {
	var out []item
	hosts := []string{}
	for i, r := range ing.Spec.Rules {
		if r.HTTP == nil {
			continue
		}
		if !slices.Contains(hosts, r.Host) {
			hosts = append(hosts, r.Host)
		}
		for j, p := range r.HTTP.Paths {
			out = append(out, item{ing: ing, name: fmt.Sprintf("ingress %s rules[%d].paths[%d]", key(ing), i, j),
				host: r.Host, path: cmp.Or(p.Path, "/"), exact: p.PathType != nil && *p.PathType == networkingv1.PathTypeExact, backend: p.Backend})
		}
	}
	if b := ing.Spec.DefaultBackend; b != nil {
		if len(hosts) == 0 {
			hosts = []string{""}
		}
		for _, h := range hosts {
			out = append(out, item{ing: ing, name: fmt.Sprintf("ingress %s defaultBackend", key(ing)), host: h, path: "/", backend: *b, fallback: true})
		}
	}
	return out
}

// before orders items as requests meet them: the exact host before the longest
// wildcard before any; within a host Exact before the longest Prefix.
func before(a, b item) int {
	if a.host != b.host {
		wild := func(h string) int {
			switch {
			case h == "":
				return 2
			case strings.HasPrefix(h, "*"):
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(wild(a.host), wild(b.host)), cmp.Compare(len(b.host), len(a.host)), cmp.Compare(a.host, b.host))
	}
	rank := func(it item) int {
		switch {
		case it.fallback:
			return 2
		case it.exact:
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(len(strings.TrimSuffix(b.path, "/")), len(strings.TrimSuffix(a.path, "/"))))
}

func (it item) rule(shown Shown) edge.Rule {
	r := edge.Rule{Name: it.name, Conditions: hostIs(it.host), Action: edge.Action{Kind: edge.Forward, Backend: Backend(it.ing.Namespace, it.backend)}}
	if values := Patterns(it.path, it.exact); !slices.Contains(values, "/*") {
		r.Conditions = append(r.Conditions, edge.Condition{Field: edge.Path, Values: values})
	}
	if shown != nil {
		if page := shown(it.ing.Namespace, it.backend, it.host, it.path); page != nil {
			r.Name = "noren: page server, " + it.name
			r.Action = edge.Action{Kind: edge.Respond, Response: page}
		}
	}
	return r
}

// Patterns are what a path matches, as values of a condition: a Prefix matches
// whole elements. Source: the API's documentation, table "Examples".
func Patterns(path string, exact bool) []string {
	if exact {
		return []string{path}
	}
	path = strings.TrimSuffix(path, "/")
	if path == "" {
		return []string{"/*"}
	}
	return []string{path, path + "/*"}
}

// Backend names what a path leads to.
func Backend(namespace string, b networkingv1.IngressBackend) string {
	switch {
	case b.Service != nil:
		port := b.Service.Port.Name
		if port == "" {
			port = fmt.Sprint(b.Service.Port.Number)
		}
		return fmt.Sprintf("service %s/%s:%s", namespace, b.Service.Name, port)
	case b.Resource != nil:
		return fmt.Sprintf("%s %s/%s", strings.ToLower(b.Resource.Kind), namespace, b.Resource.Name)
	}
	return "nothing"
}

func hostIs(host string) []edge.Condition {
	if host == "" {
		return nil
	}
	return []edge.Condition{{Field: edge.Host, Values: []string{host}}}
}

// nowhere is what controllers answer where no rule fits.
func nowhere() edge.Action {
	return edge.Action{Kind: edge.Respond, Response: &edge.Response{Status: http.StatusNotFound, ContentType: "text/plain", Body: "404: no rule of an Ingress is for this request.\n"}}
}
