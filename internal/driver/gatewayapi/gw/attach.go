package gw

import (
	"fmt"
	"slices"
	"strings"
)

// An Attachment is a route on one listener of a Gateway. Hosts are those that
// both serve; "" is any.
type Attachment struct {
	Gateway  Gateway
	Listener Listener
	Hosts    []string
}

// Attach finds the listeners that a route is attached to, in the order of its
// parents, and says in a person's words why a parent of it is none.
func Attach(r Route, gateways []Gateway) (attached []Attachment, problems []string) {
	for _, p := range r.Parents {
		got, problem := attach(r, p, gateways)
		if problem != "" {
			problems = append(problems, problem)
		}
		for _, a := range got {
			same := func(b Attachment) bool {
				return a.Gateway.Key() == b.Gateway.Key() && a.Listener.Name == b.Listener.Name
			}
			if !slices.ContainsFunc(attached, same) {
				attached = append(attached, a)
			}
		}
	}
	if len(r.Parents) == 0 {
		problems = append(problems, "it has no parentRefs, so no Gateway serves it")
	}
	return attached, problems
}

func attach(r Route, p Parent, gateways []Gateway) ([]Attachment, string) {
	if !p.IsGateway() {
		kind := "Gateway"
		if p.Kind != nil {
			kind = *p.Kind
		}
		return nil, fmt.Sprintf("its parent %s %s is no Gateway, and noren knows no other kind of parent", kind, p.Name)
	}
	namespace := r.Namespace
	if p.Namespace != nil {
		namespace = *p.Namespace
	}
	i := slices.IndexFunc(gateways, func(g Gateway) bool { return g.Namespace == namespace && g.Name == p.Name })
	if i < 0 {
		return nil, fmt.Sprintf("there is no Gateway %s/%s", namespace, p.Name)
	}
	g := gateways[i]
	chosen, why := g.chosen(p)
	if len(chosen) == 0 {
		return nil, why
	}
	var out []Attachment
	var refused []string
	for _, l := range chosen {
		hosts := Common(l.Hostname, r.Hostnames)
		switch from := l.AllowedRoutes.Namespaces.From; {
		case !l.takes():
			refused = append(refused, fmt.Sprintf("listener %s (%s) takes no HTTPRoutes", l.Name, l.Protocol))
		case (from == "" || from == "Same") && r.Namespace != g.Namespace, from == "None":
			refused = append(refused, fmt.Sprintf("listener %s takes no routes from namespace %s", l.Name, r.Namespace))
		case len(hosts) == 0:
			refused = append(refused, fmt.Sprintf("listener %s is for %s, and the route is for %s", l.Name, l.Hostname, strings.Join(r.Hostnames, ", ")))
		default:
			out = append(out, Attachment{g, l, hosts})
		}
	}
	if len(out) == 0 {
		return nil, fmt.Sprintf("no listener of Gateway %s takes it: %s", g.Key(), strings.Join(refused, "; "))
	}
	return out, ""
}

// chosen are the listeners that a parent reference names.
func (g Gateway) chosen(p Parent) (chosen []Listener, why string) {
	var have []string
	for _, l := range g.Listeners {
		have = append(have, fmt.Sprintf("%s (port %d)", l.Name, l.Port))
		if (p.SectionName == nil || *p.SectionName == l.Name) && (p.Port == nil || *p.Port == l.Port) {
			chosen = append(chosen, l)
		}
	}
	asked := "any listener"
	if p.SectionName != nil {
		asked = "a listener " + *p.SectionName
	}
	if p.Port != nil {
		asked += fmt.Sprintf(" on port %d", *p.Port)
	}
	return chosen, fmt.Sprintf("Gateway %s has not %s; it has %s", g.Key(), asked, strings.Join(have, ", "))
}

// Common are the hosts that a listener and a route both serve; none where they
// have nothing in common, "" where both serve any.
func Common(listener string, route []string) []string {
	if len(route) == 0 {
		return []string{listener}
	}
	var out []string
	for _, host := range route {
		both, ok := meet(strings.ToLower(listener), strings.ToLower(host))
		if ok && !slices.Contains(out, both) {
			out = append(out, both)
		}
	}
	return out
}

// meet is the narrower of two hosts, if one is within the other.
func meet(a, b string) (string, bool) {
	switch {
	case within(a, b):
		return a, true
	case within(b, a):
		return b, true
	}
	return "", false
}

// within tells whether every host that a stands for is one of b's. A wildcard
// stands for one or more labels.
func within(a, b string) bool {
	if b == "" || a == b {
		return true
	}
	suffix, wild := strings.CutPrefix(b, "*")
	return wild && strings.HasSuffix(strings.TrimPrefix(a, "*"), suffix) && a != suffix && len(a) > len(suffix)
}
