package kube

import (
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/edge"
)

// An entry is one path of an Ingress as it counts for one host: what must
// hold, and what happens then.
type entry struct {
	path       networkingv1.HTTPIngressPath
	patterns   []string // none: any path
	regex      bool
	conditions []lbc.Condition // beside host and path
	action     lbc.Action
	transforms string
	fallback   bool  // the default backend: behind every rule of the load balancer
	err        error // the controller could not make sense of it
}

// entriesOf are the paths of an Ingress that can serve a host, in the order of
// their rules; "" is any host that no rule names.
func entriesOf(ing *networkingv1.Ingress, host string) []entry {
	var out []entry
	for _, r := range ing.Spec.Rules {
		if r.HTTP == nil {
			continue
		}
		for _, i := range lbc.PathOrder(r.HTTP.Paths) {
			p := r.HTTP.Paths[i]
			if servesHost(pathHosts(ing, r, p), host) {
				out = append(out, newEntry(ing, p))
			}
		}
	}
	if b := ing.Spec.DefaultBackend; b != nil {
		e := newEntry(ing, networkingv1.HTTPIngressPath{Backend: *b})
		e.fallback = true
		out = append(out, e)
	}
	return out
}

func newEntry(ing *networkingv1.Ingress, p networkingv1.HTTPIngressPath) entry {
	e := entry{path: p}
	if e.patterns, e.regex, e.err = lbc.Patterns(ing, p); e.err != nil || p.Backend.Service == nil {
		return e
	}
	name := p.Backend.Service.Name
	conds, err := lbc.ConditionsOf(ing, name)
	if err != nil {
		e.err = err
		return e
	}
	for _, c := range conds {
		switch c.Field {
		case lbc.FieldHost: // servesHost has seen to it
		case lbc.FieldPath:
			e.patterns = append(e.patterns, c.Path.Values...)
			e.patterns = append(e.patterns, c.Path.RegexValues...)
			e.regex = e.regex || len(c.Path.RegexValues) > 0
		default:
			e.conditions = append(e.conditions, c)
		}
	}
	e.action, e.err = lbc.ActionOf(ing, p.Backend)
	e.transforms = ing.Annotations[lbc.TransformsAnnotation(name)]
	return e
}

// servesHost tells whether requests to host can meet a rule for one of hosts.
func servesHost(hosts []string, host string) bool {
	return slices.ContainsFunc(hosts, func(h string) bool { return h == "" || hostCovers(h, host) })
}

// hostCovers tells whether a host pattern of a rule matches all that another
// does: an equal one, or a wildcard for the first label or labels, since * is
// any run of characters to the load balancer.
func hostCovers(pattern, host string) bool {
	pattern, host = strings.ToLower(pattern), strings.ToLower(host)
	if pattern == host {
		return true
	}
	suffix, ok := strings.CutPrefix(pattern, "*")
	return ok && !strings.ContainsAny(suffix, "*?") && host != "" && edge.Covers(pattern, host)
}

// hostsMeet tells whether some request could be for both.
func hostsMeet(a, b string) bool {
	return a == "" || b == "" || hostCovers(a, b) || hostCovers(b, a)
}

// relation says how two path patterns stand to each other.
type relation int

const (
	apart    relation = iota // no path matches both
	inside                   // all that the second matches, the first does
	around                   // all that the first matches, the second does
	unknowns                 // cannot be told: wildcards in the middle
)

// relate compares patterns whose only wildcard is a * at the end, and equal
// ones.
func relate(first, second string) relation {
	if first == second {
		return inside
	}
	if strings.ContainsAny(strings.TrimSuffix(first, "*"), "*?") || strings.ContainsAny(strings.TrimSuffix(second, "*"), "*?") {
		return unknowns
	}
	switch {
	case edge.Covers(first, second):
		return inside
	case edge.Covers(second, first):
		return around
	}
	return apart
}
