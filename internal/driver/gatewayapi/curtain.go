package gatewayapi

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/noren-dev/noren/internal/driver/gatewayapi/gw"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

// Limits of an HTTPRoute. Source: HTTPRouteSpec.rules, HTTPRouteRule.matches.
const (
	maxRules   = 16
	maxMatches = 64  // of one rule
	allMatches = 128 // of a route
	maxHeaders = 16  // of one match
)

// writes are the methods that read-only mode refuses.
// Source: https://www.rfc-editor.org/rfc/rfc9110#section-9.2.1, RFC 5789.
var writes = [...]string{"POST", "PUT", "PATCH", "DELETE"}

// A curtain is the rules to insert at the head of a route, in the order of
// package edge's Curtain: the probe's page, what goes through, the page.
//
// It relies on two sentences of the specification. A rule with the same match
// as one behind it in its route wins ("the FIRST matching rule (in list
// order)"). And a match with one more header wins over the same without it:
// whichever of the user's matches would take a request, its copy with the pass
// takes the same request of staff.
type curtain struct {
	probe, through, closed []map[string]any
	// sources are the objects to create for through, by name.
	sources map[string]any
}

func (c curtain) all() []map[string]any { return slices.Concat(c.probe, c.through, c.closed) }

// A cut is a match that the page takes: one of the user's, or a part of one.
type cut struct {
	rule  int
	match map[string]any
	m     gw.Match
	place place
	regex bool
}

// A drawing is a curtain in the making.
type drawing struct {
	rules   []map[string]any // the user's, as they are stored
	read    []gw.Rule        // the same, read
	closing edge.Closing
	// page is what makes a rule answer with the page: its filters, or its
	// backends.
	page map[string]any
	// sources makes what limits a rule to addresses, nil where the
	// implementation cannot; room is how many fit one rule.
	sources func(n int, cidrs []string) (filter map[string]any, object string, spec any)
	// values is how many values the conditions of a rule may have in all, hosts
	// how many of them the route's hosts are; 0 is no limit.
	values, hosts int
}

// draw makes the curtain.
func (d *drawing) draw() (curtain, error) {
	var c curtain
	cuts, err := d.cuts()
	if err != nil {
		return c, err
	}
	if len(cuts) == 0 {
		return c, d.nothing()
	}
	cuts, kept, err := d.keepOpen(cuts)
	if err != nil {
		return c, err
	}
	through := kept
	if pass := d.closing.Bypass.Pass; pass != "" {
		for _, k := range cuts {
			through = append(through, k.with(edge.PassHeader, pass))
		}
	}
	c.through = d.copies(through, nil)
	if err := d.addSources(&c, cuts); err != nil {
		return c, err
	}
	if d.closing.Mode != edge.Closed || len(d.closing.Bypass.Sources) > 0 {
		c.probe = d.pages(d.probes())
	}
	c.closed = d.pages(cuts)
	return c, d.fits(c)
}

func (d *drawing) nothing() error {
	if d.closing.Mode == edge.Paths {
		return invalid("route serves none of the paths", "None of the rules of the route serves %s.", some(d.closing.Paths))
	}
	return invalid("route serves nothing to close", "No rule of the route takes a request that would be closed.")
}

// every is each match of the user's rules.
func (d *drawing) every() []cut {
	var out []cut
	for i, rule := range d.rules {
		list, _ := rule["matches"].([]any)
		if len(list) == 0 {
			list = []any{map[string]any{"path": place{}.match()}}
		}
		for _, item := range list {
			match, _ := item.(map[string]any)
			var m gw.Match
			_ = convert(match, &m) // it was read as part of the route before
			p, ok := placeOf(m)
			out = append(out, cut{rule: i, match: match, m: m, place: p, regex: !ok})
		}
	}
	return out
}

// cuts are the matches that the page takes in the mode asked for.
func (d *drawing) cuts() ([]cut, error) {
	all := d.every()
	switch d.closing.Mode {
	case edge.ReadOnly:
		var out []cut
		for _, k := range all {
			if k.m.Method != "" && slices.Contains(writes[:], k.m.Method) {
				out = append(out, k)
			}
			for _, method := range writes {
				if k.m.Method == "" {
					out = append(out, k.set("method", method))
				}
			}
		}
		return out, nil
	case edge.Paths:
		return d.parts(all)
	}
	return all, nil
}

// parts are the cuts of the paths to close.
func (d *drawing) parts(all []cut) ([]cut, error) {
	var out []cut
	for _, pattern := range d.closing.Paths {
		p, err := placeIn(pattern)
		if err != nil {
			return nil, err
		}
		for _, k := range all {
			switch {
			case k.regex:
				return nil, regular(k.rule)
			case k.place.within(p):
				out = append(out, k)
			case p.within(k.place):
				out = append(out, k.at(p))
			}
		}
	}
	return out, nil
}

func regular(rule int) error {
	return invalid("path is a regular expression", "rules[%d] of the route matches a path by a regular expression: noren cannot tell which paths are in it. Close the route whole.", rule)
}

// keepOpen takes the paths to keep open out of the cuts, and returns the
// copies that serve them.
func (d *drawing) keepOpen(cuts []cut) (left, kept []cut, err error) {
	left = cuts
	for _, pattern := range d.closing.KeepOpen {
		p, err := placeIn(pattern)
		if err != nil {
			return nil, nil, err
		}
		var rest, around []cut
		for _, k := range left {
			switch {
			case k.regex:
				return nil, nil, regular(k.rule)
			case k.place.within(p):
			case p.within(k.place):
				around = append(around, k)
				rest = append(rest, k)
			default:
				rest = append(rest, k)
			}
		}
		copies, err := d.narrowed(around, p, pattern)
		if err != nil {
			return nil, nil, err
		}
		left, kept = rest, append(kept, copies...)
	}
	return left, kept, nil
}

// narrowed are copies of cuts that take only p of their paths. The cut with
// the longest path comes first today; its copy has no longer path than the
// others', so it must come first by what else it has, or take all alone.
func (d *drawing) narrowed(around []cut, p place, pattern string) ([]cut, error) {
	slices.SortStableFunc(around, func(a, b cut) int {
		return cmp.Or(cmp.Compare(len(b.place.path), len(a.place.path)), cmp.Compare(weight(b.m), weight(a.m)))
	})
	var out []cut
	for _, k := range around {
		if rewritesPrefix(d.read[k.rule]) {
			return nil, invalid("path cannot be kept open", "rules[%d] of the route replaces the prefix of the path: a copy of it for %s alone would replace another prefix.", k.rule, pattern)
		}
		for _, before := range out {
			if len(before.place.path) > len(k.place.path) && weight(before.m) <= weight(k.m) {
				f := invalid("path cannot be kept open", "More than one rule of the route serves %s, by headers or methods; noren cannot copy them so that they stay in order.", pattern)
				f.Try = []string{"give the path a rule of its own in the route"}
				return nil, f
			}
		}
		out = append(out, k)
		if weight(k.m) == 0 {
			break
		}
	}
	for i, k := range out {
		out[i] = k.at(p)
	}
	return out, nil
}

// weight is how specific a match is at the same path.
func weight(m gw.Match) int {
	w := len(m.Headers)*100 + len(m.Query)
	if m.Method != "" {
		w += 10000
	}
	return w
}

func rewritesPrefix(r gw.Rule) bool {
	return slices.ContainsFunc(r.Filters, func(f gw.Filter) bool {
		return f.Rewrite != nil && f.Rewrite.Path != nil && f.Rewrite.Path.Prefix != nil ||
			f.Redirect != nil && f.Redirect.Path != nil && f.Redirect.Path.Prefix != nil
	})
}

// set returns the cut with a member of its match replaced.
func (k cut) set(member string, value any) cut {
	k.match = runtime.DeepCopyJSON(k.match)
	k.match[member] = value
	_ = convert(k.match, &k.m) // of what was read before
	return k
}

// at returns the cut at a place.
func (k cut) at(p place) cut {
	k = k.set("path", p.match())
	k.place = p
	return k
}

// with returns the cut for requests with a header.
func (k cut) with(header, value string) cut {
	list, _ := k.match["headers"].([]any)
	return k.set("headers", append(slices.Clone(list), map[string]any{"name": header, "type": gw.Exact, "value": value}))
}

// probes are the user's matches for noren's own requests.
func (d *drawing) probes() []cut {
	all := d.every()
	for i, k := range all {
		all[i] = k.with(edge.ProbeHeader, probeValue)
	}
	return all
}

// probeValue is what noren's requests have in the probe's header. Source:
// package httpcheck.
const probeValue = "1"

// pages are rules that answer with the page.
func (d *drawing) pages(cuts []cut) []map[string]any {
	var matches []any
	seen := map[string]bool{}
	for _, k := range cuts {
		if id := digest(k.match); !seen[id] {
			seen[id] = true
			matches = append(matches, k.match)
		}
	}
	var out []map[string]any
	for chunk := range slices.Chunk(matches, maxMatches) {
		rule := maps.Clone(d.page)
		rule["matches"] = slices.Clone(chunk)
		out = append(out, rule)
	}
	return out
}

// copies are copies of the user's rules for the cuts, all but their names,
// which are unique in a route. A rule that replaces a prefix may have one match
// only.
func (d *drawing) copies(cuts []cut, filter map[string]any) []map[string]any {
	var out []map[string]any
	for i := range d.rules {
		var matches []any
		for _, k := range cuts {
			if k.rule == i {
				matches = append(matches, k.match)
			}
		}
		size := maxMatches
		if rewritesPrefix(d.read[i]) {
			size = 1
		}
		for chunk := range slices.Chunk(matches, size) {
			rule := runtime.DeepCopyJSON(d.rules[i])
			delete(rule, "name")
			rule["matches"] = slices.Clone(chunk)
			if filter != nil {
				filters, _ := rule["filters"].([]any)
				rule["filters"] = append(filters, filter)
			}
			out = append(out, rule)
		}
	}
	return out
}

// addSources lets staff through by address: copies with the very matches of
// the page, in front of it, that hold for those addresses only.
func (d *drawing) addSources(c *curtain, cuts []cut) error {
	sources := d.closing.Bypass.Sources
	if len(sources) == 0 {
		return nil
	}
	if d.sources == nil {
		return addressless()
	}
	room := len(sources)
	for _, k := range cuts {
		if d.values > 0 {
			room = min(room, d.values-d.count(k.m))
		}
		if len(awsLoadBalancer().names(d.read[k.rule])) > 0 {
			return invalid("rule is configured already", "rules[%d] of the route has a ListenerRuleConfiguration of its own, and a rule can have one only: staff cannot be told by their address there. A pass can be kept.", k.rule)
		}
	}
	if room < 1 {
		return invalid("rules have no room for addresses", "A rule of the load balancer has at most %d condition values, and those of the route have them already: staff cannot be told by their address. A pass may fit.", d.values)
	}
	var cidrs []string
	for _, p := range sources {
		cidrs = append(cidrs, p.String())
	}
	c.sources = map[string]any{}
	n := 0
	for chunk := range slices.Chunk(cidrs, room) {
		n++
		filter, object, spec := d.sources(n, slices.Clone(chunk))
		c.sources[object] = spec
		c.through = append(c.through, d.copies(cuts, filter)...)
	}
	return nil
}

// addressless is the answer where a route cannot see the client's address.
func addressless() error {
	return &fault.Fault{Code: fault.Invalid, Summary: "staff cannot be told by address here",
		Detail: "No match of a route looks at the client's address, so --allow and bypass.sources cannot be kept on it. A pass can: staff send it in the header " + edge.PassHeader + ". By address, staff pass an Ingress or a Gateway of the AWS Load Balancer Controller, and noren's gate.",
		Try:    []string{"bypass: {pass: true}   # in the environment of the catalog, without sources"}}
}

// fits refuses what the API server would refuse, in words about the route.
func (d *drawing) fits(c curtain) error {
	all := c.all()
	matches := 0
	for _, r := range slices.Concat(all, d.rules) {
		list, _ := r["matches"].([]any)
		matches += max(1, len(list))
	}
	for _, r := range all {
		var read gw.Rule
		_ = convert(r, &read) // of what was read before
		for _, m := range read.Matches {
			if n := len(m.Headers); n > maxHeaders {
				return d.full(fmt.Sprintf("a match would have %d headers; %d are the most", n, maxHeaders))
			}
			if n := d.count(m); d.values > 0 && n > d.values {
				return d.full(fmt.Sprintf("a rule of the load balancer would have %d condition values; %d are the most", n, d.values))
			}
		}
	}
	if n := len(all) + len(d.rules); n > maxRules {
		return d.full(fmt.Sprintf("it would have %d rules; %d are the most", n, maxRules))
	}
	if matches > allMatches {
		return d.full(fmt.Sprintf("it would have %d matches; %d are the most", matches, allMatches))
	}
	return nil
}

// count is how many condition values a match is on an Application Load
// Balancer: a prefix is two, the prefix and what is below it. Source:
// routeutils/route_rule_condition.go of the AWS Load Balancer Controller.
func (d *drawing) count(m gw.Match) int {
	n := d.hosts + 1 + len(m.Headers) + len(m.Query)
	if p, ok := placeOf(m); ok && !p.exact && p.path != "" {
		n++
	}
	if m.Method != "" {
		n++
	}
	return n
}

func (d *drawing) full(why string) error {
	f := invalid("closing does not fit the route", "The route has %d rules, and closing it this way does not fit beside them: %s.", len(d.rules), why)
	f.Try = []string{"close it whole: without --path, --read-only, --allow and --pass, fewer rules are needed", "move some rules into a second HTTPRoute, at a calm time"}
	return f
}

// userRules are the rules of a route that are not noren's.
func userRules(r *route, ours func(map[string]any) bool) (rules []map[string]any, read []gw.Rule) {
	for i, rule := range r.rules {
		if !ours(rule) {
			rules = append(rules, rule)
			read = append(read, r.Rules[i])
		}
	}
	return rules, read
}

// sourceName is the object that limits rules to addresses.
func sourceName(route string, n int) string {
	return kubeobject.Name(route, fmt.Sprintf("staff-%d", n))
}
