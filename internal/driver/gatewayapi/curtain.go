package gatewayapi

import (
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
// which are unique in a route. They are in the order of the cuts: of copies that
// are as specific as one another, the first one is taken. A rule that replaces a
// prefix may have one match only.
func (d *drawing) copies(cuts []cut, filter map[string]any) []map[string]any {
	var out []map[string]any
	for len(cuts) > 0 {
		i := cuts[0].rule
		var matches []any
		for len(cuts) > 0 && cuts[0].rule == i {
			matches = append(matches, cuts[0].match)
			cuts = cuts[1:]
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
