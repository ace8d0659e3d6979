package albrules

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/edge"
)

// both are the conditions of a request that both lists are for; ok is false if
// there is no such request. It fails where a rule cannot say it: a rule has one
// host-header condition, and two patterns that only cross make no third.
func both(a, b []Condition) (out []Condition, ok bool, err error) {
	out = slices.Clone(a)
	for _, c := range b {
		at := slices.IndexFunc(out, func(o Condition) bool { return o.Field == c.Field && once(c.Field) })
		if at < 0 {
			if !slices.ContainsFunc(out, func(o Condition) bool { return text(o) == text(c) }) {
				out = append(out, c)
			}
			continue
		}
		joined, err := bothValues(out[at], c)
		if err != nil {
			return nil, false, err
		}
		if len(joined.values()) == 0 {
			return nil, false, nil
		}
		out[at] = joined
	}
	return out, true, nil
}

// once tells whether a rule can have one condition of the field only.
func once(field string) bool { return field != FieldHeader && field != FieldQuery }

func bothValues(a, b Condition) (Condition, error) {
	if len(a.Regex)+len(b.Regex) > 0 {
		if text(a) == text(b) {
			return a, nil
		}
		return a, fmt.Errorf("whether %s meets %s cannot be told: one is a regular expression", a.edge(), b.edge())
	}
	out := Condition{Field: a.Field}
	for _, x := range a.Values {
		for _, y := range b.Values {
			v, err := bothOf(a.Field, x, y)
			if err != nil {
				return out, err
			}
			if v != "" && !slices.Contains(out.Values, v) {
				out.Values = append(out.Values, v)
			}
		}
	}
	return out, nil
}

// bothOf is the value that matches what both do, "" if nothing does.
func bothOf(field, x, y string) (string, error) {
	switch field {
	case FieldMethod:
		if x == y {
			return x, nil
		}
		return "", nil
	case FieldSource:
		switch {
		case within(field, x, y):
			return x, nil
		case within(field, y, x):
			return y, nil
		}
		return "", nil
	case FieldHost:
		x, y = strings.ToLower(x), strings.ToLower(y)
	}
	switch {
	case edge.Covers(x, y):
		return y, nil
	case edge.Covers(y, x):
		return x, nil
	case edge.Meet(x, y):
		return "", fmt.Errorf("some of %s is also %s, and one listener rule cannot say both", x, y)
	}
	return "", nil
}

// implied tells whether every request that the conditions a hold for also
// meets those of b. It may miss that they do.
func implied(a, b []Condition) bool {
	for _, c := range b {
		if everything(c) {
			continue
		}
		held := slices.ContainsFunc(a, func(o Condition) bool {
			if o.Field != c.Field || !strings.EqualFold(o.Name, c.Name) {
				return false
			}
			if text(o) == text(c) {
				return true
			}
			if len(o.Regex)+len(c.Regex)+len(o.Query)+len(c.Query) > 0 {
				return false
			}
			return !slices.ContainsFunc(o.Values, func(x string) bool {
				return !slices.ContainsFunc(c.Values, func(y string) bool { return within(c.Field, x, y) })
			})
		})
		if !held {
			return false
		}
	}
	return true
}

// within tells whether value y matches all that x does.
func within(field, x, y string) bool {
	switch field {
	case FieldMethod:
		return x == y
	case FieldSource:
		p, errP := netip.ParsePrefix(x)
		q, errQ := netip.ParsePrefix(y)
		return errP == nil && errQ == nil && q.Bits() <= p.Bits() && q.Contains(p.Addr())
	case FieldPath:
		return edge.Covers(y, x)
	}
	return edge.Covers(strings.ToLower(y), strings.ToLower(x))
}

// everything tells whether a condition holds for every request.
func everything(c Condition) bool {
	return c.Field == FieldPath && (slices.Contains(c.Values, "/*") || slices.Contains(c.Values, "*")) ||
		c.Field == FieldHost && slices.Contains(c.Values, "*")
}

// pared leaves out the conditions that hold for every request: they cost values
// and wildcards.
func pared(conditions []Condition) []Condition {
	return slices.DeleteFunc(slices.Clone(conditions), everything)
}
