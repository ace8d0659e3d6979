package gw

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/edge"
)

// A Reading is what the caller knows of a match of a rule that the rule itself
// does not say.
type Reading struct {
	// Name says what the match is for, "" for the usual
	// "httproute shop/web rules[0].matches[0]".
	Name string
	// Response is what the rule answers, nil if it goes on to its backends.
	Response *edge.Response
	// Conditions hold beside those of the match.
	Conditions []edge.Condition
}

// Front is the whole front door of Gateways with the routes attached to them:
// a listener for each scheme and port, its rules in the order of precedence.
// read tells what extensions of the implementation make of a rule.
//
// Regular expressions cannot be told apart from one another without the
// implementation's own engine: they are left out, and notes says so.
func Front(gateways []Gateway, routes []Route, read func(r Route, rule, match int) Reading) (front edge.Front, notes []string) {
	byPort := map[string]*port{}
	var order []string
	for _, g := range gateways {
		for _, l := range g.Listeners {
			if l.Scheme() == "" {
				continue
			}
			key := fmt.Sprintf("%s:%d", l.Scheme(), l.Port)
			if byPort[key] == nil {
				byPort[key] = &port{scheme: l.Scheme(), number: l.Port}
				order = append(order, key)
			}
		}
	}
	for _, r := range routes {
		attached, _ := Attach(r, gateways)
		for _, a := range attached {
			p := byPort[fmt.Sprintf("%s:%d", a.Listener.Scheme(), a.Listener.Port)]
			for _, n := range p.add(r, a.Hosts, read) {
				if !slices.Contains(notes, n) {
					notes = append(notes, n)
				}
			}
		}
	}
	for _, key := range order {
		front.Listeners = append(front.Listeners, byPort[key].listener())
	}
	return front, notes
}

// A port is a listener in the making.
type port struct {
	scheme  string
	number  int
	entries []entry
}

// An entry is one match of one rule for one host.
type entry struct {
	host        string
	route       Route
	rule, match int
	m           Match
	made        edge.Rule
}

func (p *port) add(r Route, hosts []string, read func(r Route, rule, match int) Reading) (notes []string) {
	for i, rule := range r.Rules {
		for j, m := range rule.Takes() {
			conditions, ok := m.conditions()
			if !ok {
				notes = append(notes, fmt.Sprintf("httproute %s rules[%d].matches[%d] has a regular expression, which who-sees does not evaluate", r.Key(), i, j))
				continue
			}
			reading := read(r, i, j)
			made := edge.Rule{Name: reading.Name, Action: rule.action(r, reading.Response)}
			if made.Name == "" {
				made.Name = fmt.Sprintf("httproute %s rules[%d].matches[%d]", r.Key(), i, j)
			}
			for _, host := range hosts {
				e := entry{host: host, route: r, rule: i, match: j, m: m, made: made}
				if host != "" {
					e.made.Conditions = append(e.made.Conditions, edge.Condition{Field: edge.Host, Values: []string{host}})
				}
				e.made.Conditions = append(append(e.made.Conditions, conditions...), reading.Conditions...)
				p.entries = append(p.entries, e)
			}
		}
	}
	return notes
}

// listener sorts the entries by precedence. Requests that no rule takes get
// 404 (HTTPRouteSpec.rules: "If no Rule matches … 404").
func (p *port) listener() edge.Listener {
	slices.SortStableFunc(p.entries, compare)
	l := edge.Listener{Scheme: p.scheme, Port: p.number,
		Default: edge.Action{Kind: edge.Respond, Response: &edge.Response{Status: 404, ContentType: "text/plain"}}}
	for _, e := range p.entries {
		l.Rules = append(l.Rules, e.made)
	}
	return l
}

// compare orders entries: the most specific host, then Exact before prefix,
// the longest path, a method, the most headers, the most query parameters;
// ties go to the oldest route, the first by name, the first rule, the first
// match. Source: HTTPRouteRule.matches of the specification, and
// routeutils/route_rule_precedence.go of the AWS Load Balancer Controller,
// which puts regular expressions last.
func compare(a, b entry) int {
	kindA, pathA := a.m.At()
	kindB, pathB := b.m.At()
	return cmp.Or(
		compareHosts(a.host, b.host),
		cmp.Compare(rank(kindB), rank(kindA)),
		cmp.Compare(len(pathB), len(pathA)),
		-compareBool(a.m.Method != "", b.m.Method != ""),
		cmp.Compare(len(b.m.Headers), len(a.m.Headers)),
		cmp.Compare(len(b.m.Query), len(a.m.Query)),
		a.route.Created.Compare(b.route.Created),
		cmp.Compare(a.route.Key(), b.route.Key()),
		cmp.Compare(a.rule, b.rule),
		cmp.Compare(a.match, b.match),
	)
}

func rank(kind string) int {
	return map[string]int{Exact: 3, Prefix: 2, Regex: 1}[kind]
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func compareHosts(a, b string) int {
	wild := func(h string) bool { return h == "" || strings.HasPrefix(h, "*") }
	return cmp.Or(
		compareBool(wild(a), wild(b)),
		compareBool(a == "", b == ""),
		cmp.Compare(strings.Count(b, "."), strings.Count(a, ".")),
		cmp.Compare(len(b), len(a)),
		cmp.Compare(a, b),
	)
}

// conditions are a match in the words of package edge; false where it has a
// regular expression.
func (m Match) conditions() ([]edge.Condition, bool) {
	var out []edge.Condition
	switch kind, path := m.At(); {
	case kind == Regex:
		return nil, false
	case kind == Exact:
		out = append(out, edge.Condition{Field: edge.Path, Values: []string{path}})
	case strings.Trim(path, "/") != "":
		path = strings.TrimSuffix(path, "/")
		out = append(out, edge.Condition{Field: edge.Path, Values: []string{path, path + "/*"}})
	}
	if m.Method != "" {
		out = append(out, edge.Condition{Field: edge.Method, Values: []string{m.Method}})
	}
	for _, h := range m.Headers {
		if !h.exact() {
			return nil, false
		}
		out = append(out, edge.Condition{Field: edge.Header, Name: h.Name, Values: []string{h.Value}})
	}
	for _, q := range m.Query {
		if !q.exact() {
			return nil, false
		}
		out = append(out, edge.Condition{Field: edge.Query, Values: []string{q.Name + "=" + q.Value}})
	}
	return out, true
}

// action is what a rule does: its own answer, a redirect, or its backends. A
// rule without backends answers 500 (HTTPRouteRule.backendRefs).
func (r Rule) action(route Route, response *edge.Response) edge.Action {
	if response != nil {
		return edge.Action{Kind: edge.Respond, Response: response}
	}
	for _, f := range r.Filters {
		if f.Type == "RequestRedirect" && f.Redirect != nil {
			return f.redirect()
		}
	}
	var backends []string
	for _, b := range r.Backends {
		if b.Weight != nil && *b.Weight == 0 {
			continue
		}
		name := fmt.Sprintf("service %s/%s", b.In(route.Namespace), b.Name)
		if !b.IsService() {
			name = fmt.Sprintf("%s %s/%s", strings.ToLower(*b.Kind), b.In(route.Namespace), b.Name)
		}
		if b.Port != nil {
			name += fmt.Sprintf(":%d", *b.Port)
		}
		backends = append(backends, name)
	}
	if len(backends) == 0 {
		return edge.Action{Kind: edge.Respond, Response: &edge.Response{Status: 500, ContentType: "text/plain"}}
	}
	return edge.Action{Kind: edge.Forward, Backend: strings.Join(backends, " or ")}
}

func (f Filter) redirect() edge.Action {
	where, status := "", 302
	r := f.Redirect
	if r.Scheme != nil {
		where = *r.Scheme + "://"
	}
	if r.Hostname != nil {
		where += *r.Hostname
	} else if where != "" {
		where += "the same host"
	}
	if r.Port != nil {
		where += fmt.Sprintf(":%d", *r.Port)
	}
	if r.Path != nil && r.Path.Full != nil {
		where += *r.Path.Full
	}
	if r.Path != nil && r.Path.Prefix != nil {
		where += *r.Path.Prefix + " and the rest"
	}
	if r.Status != nil {
		status = *r.Status
	}
	return edge.Action{Kind: edge.Redirect, Location: where, Status: status}
}
