package gatewayapi

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/noren-dev/noren/internal/driver/gatewayapi/gw"
	"github.com/noren-dev/noren/internal/edge"
)

// A cut is a match that the page takes: one of the user's, or a part of one.
type cut struct {
	rule  int
	match map[string]any
	m     gw.Match
	place place
	regex bool
	// own is how specific the user's match is, before noren adds to it.
	own int
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
			out = append(out, cut{rule: i, match: match, m: m, place: p, regex: !ok, own: weight(m)})
		}
	}
	// As the implementation orders them, so that copies of them which come to be
	// as specific as one another stay in that order.
	slices.SortStableFunc(out, func(a, b cut) int {
		exact := map[bool]int{false: 1}
		return cmp.Or(cmp.Compare(exact[a.place.exact], exact[b.place.exact]), cmp.Compare(len(b.place.path), len(a.place.path)), cmp.Compare(b.own, a.own))
	})
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
		if d.closing.Bypass.IsZero() { // all of them are answered with the same page
			return out, nil
		}
		return out, inOrder(out)
	case edge.Paths:
		return d.parts(all)
	}
	return all, nil
}

// inOrder refuses cuts that take requests from one another which they leave to
// one another today: a rule for a header, once it is for a method too, would come
// before the rule for the method alone.
func inOrder(cuts []cut) error {
	for i, before := range cuts {
		for _, k := range cuts[i+1:] {
			if k.rule != before.rule && k.place == before.place && k.m.Method == before.m.Method && weight(k.m) > weight(before.m) {
				return invalid("methods cannot be told apart", "rules[%d] of the route is for %s and comes before rules[%d], which is for headers; noren cannot copy them for staff so that they stay in order. Close the route whole, or without letting staff through.", before.rule, before.m.Method, k.rule)
			}
		}
	}
	return nil
}

// A placed pattern is a path pattern and the place that it is for.
type placed struct {
	pattern string
	place   place
}

// widest are the patterns that are not within another one, each once: what is
// done for a wider one is done for all within it.
func widest(patterns []string) ([]placed, error) {
	var all []placed
	for _, pattern := range patterns {
		p, err := placeIn(pattern)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, func(o placed) bool { return p.within(o.place) }) {
			continue
		}
		all = append(slices.DeleteFunc(all, func(o placed) bool { return o.place.within(p) }), placed{pattern, p})
	}
	return all, nil
}

// parts are the cuts of the paths to close.
func (d *drawing) parts(all []cut) ([]cut, error) {
	var out []cut
	patterns, err := widest(d.closing.Paths)
	if err != nil {
		return nil, err
	}
	for _, w := range patterns {
		pattern, p := w.pattern, w.place
		var around, there []cut
		for _, k := range all {
			switch {
			case k.regex:
				return nil, regular(k.rule)
			case k.place == p:
				there = append(there, k)
			case k.place.within(p):
				out = append(out, k)
			case p.within(k.place):
				around = append(around, k)
			}
		}
		out = append(out, there...)
		if d.closing.Bypass.IsZero() { // all of them are answered with the same page
			for _, k := range around {
				out = append(out, k.at(p))
			}
			continue
		}
		if around, err = beside(there, around, pattern); err != nil {
			return nil, err
		}
		copies, err := d.narrowed(around, p, pattern)
		if err != nil {
			return nil, err
		}
		out = append(out, copies...)
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
	patterns, err := widest(d.closing.KeepOpen)
	if err != nil {
		return nil, nil, err
	}
	for _, w := range patterns {
		pattern, p := w.pattern, w.place
		var rest, around, there []cut
		for _, k := range left {
			switch {
			case k.regex:
				return nil, nil, regular(k.rule)
			case k.place == p:
				there = append(there, k)
			case k.place.within(p):
			case p.within(k.place):
				around = append(around, k)
				rest = append(rest, k)
			default:
				rest = append(rest, k)
			}
		}
		if around, err = beside(there, around, pattern); err != nil {
			return nil, nil, err
		}
		copies, err := d.narrowed(around, p, pattern)
		if err != nil {
			return nil, nil, err
		}
		left, kept = rest, append(kept, copies...)
	}
	return left, kept, nil
}

// beside are the cuts around a path to copy, where the user has matches for just
// that path, which go on as they are. Today those come before the ones around
// them; a copy, which has the same path, would come before them unless it is for
// fewer headers and methods.
func beside(there, around []cut, pattern string) ([]cut, error) {
	for _, k := range there {
		if k.own == 0 { // it takes all requests to the path
			return nil, nil
		}
	}
	for _, k := range there {
		for _, a := range around {
			if weight(a.m) >= k.own {
				return nil, unordered(pattern)
			}
		}
	}
	return around, nil
}

func unordered(pattern string) error {
	f := invalid("path cannot be kept open", "More than one rule of the route serves %s, by headers or methods; noren cannot copy them so that they stay in order.", pattern)
	f.Try = []string{"give the path a rule of its own in the route"}
	return f
}

// narrowed are copies of cuts that take only p of their paths. The cut with
// the longest path comes first today; its copy has no longer path than the
// others', so it must come first by what else it has, or take all alone.
func (d *drawing) narrowed(around []cut, p place, pattern string) ([]cut, error) {
	var out []cut
	for _, k := range around {
		if rewritesPrefix(d.read[k.rule]) {
			return nil, invalid("path cannot be kept open", "rules[%d] of the route replaces the prefix of the path: a copy of it for %s alone would replace another prefix.", k.rule, pattern)
		}
		for _, before := range out {
			if len(before.place.path) > len(k.place.path) && weight(before.m) <= weight(k.m) {
				return nil, unordered(pattern)
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
