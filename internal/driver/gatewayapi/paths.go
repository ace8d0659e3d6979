package gatewayapi

import (
	"strings"

	"github.com/noren-dev/noren/internal/driver/gatewayapi/gw"
)

// A place is what a path match of Gateway API takes: one path, or a path with
// all below it; "" as a prefix is every path.
type place struct {
	exact bool
	path  string
}

// placeOf is the place of a match; false for a regular expression.
func placeOf(m gw.Match) (place, bool) {
	kind, value := m.At()
	switch kind {
	case gw.Exact:
		return place{true, value}, true
	case gw.Prefix:
		return place{false, strings.TrimRight(value, "/")}, true
	}
	return place{}, false
}

// placeIn is the place that a pattern of noren's stands for: "/hook", or
// "/api/*" for all below /api. Gateway API takes /api itself with it.
func placeIn(pattern string) (place, error) {
	path, below := strings.CutSuffix(pattern, "*")
	if pattern == "*" {
		return place{}, nil
	}
	switch {
	case !strings.HasPrefix(pattern, "/"):
		return place{}, invalid("malformed path pattern", "The path pattern %q must begin with /, for example /checkout/*.", pattern)
	case strings.ContainsAny(path, "*?"), below && !strings.HasSuffix(path, "/"):
		f := invalid("path pattern cannot be expressed", "A route of Gateway API matches one path, or a path with all below it. The pattern %q is neither.", pattern)
		f.Try = []string{"write it as /checkout or as /checkout/*"}
		return place{}, f
	case below:
		return place{false, strings.TrimRight(path, "/")}, nil
	}
	return place{true, pattern}, nil
}

// within tells whether every path of p is in q.
func (p place) within(q place) bool {
	if q.exact {
		return p == q
	}
	return q.path == "" || p.path == q.path || strings.HasPrefix(p.path, q.path+"/")
}

// match is the place as a match's path is written.
func (p place) match() map[string]any {
	if p.exact {
		return map[string]any{"type": gw.Exact, "value": p.path}
	}
	if p.path == "" {
		return map[string]any{"type": gw.Prefix, "value": "/"}
	}
	return map[string]any{"type": gw.Prefix, "value": p.path}
}
