package kube

import (
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/fault"
)

// fitAll splits each piece into as many as the limit on a rule's values asks
// for: alternatives of one condition are shared out among several rules.
func fitAll(pieces []piece) ([]piece, error) {
	var out []piece
	for _, p := range pieces {
		fitting, err := fit(p)
		if err != nil {
			return nil, err
		}
		out = append(out, fitting...)
	}
	return out, nil
}

func fit(p piece) ([]piece, error) {
	total, wildcards := p.count()
	if total <= lbc.MaxValues && wildcards <= lbc.MaxWildcards {
		return []piece{p}, nil
	}
	p = p.unfolded()
	at, most := -1, 1
	for i, c := range p.conditions {
		if n := len(alternatives(c)); n > most {
			at, most = i, n
		}
	}
	if at < 0 {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "rule does not fit the load balancer",
			Detail: fmt.Sprintf("A rule for host %q (%s) needs %d condition values and %d wildcards; a listener rule has at most %d of each.",
				p.host, p.part, total, wildcards, lbc.MaxValues)}
	}
	room := max(1, lbc.MaxValues-(total-most))
	if room >= most { // wildcards are the trouble
		room = most - 1
	}
	var out []piece
	for chunk := range slices.Chunk(alternatives(p.conditions[at]), room) {
		part := p
		part.conditions = slices.Clone(p.conditions)
		part.conditions[at] = withAlternatives(p.conditions[at], chunk)
		fitting, err := fit(part)
		if err != nil {
			return nil, err
		}
		out = append(out, fitting...)
	}
	return out, nil
}

// count is how many values and wildcards the rule of a piece will have.
func (p piece) count() (values, wildcards int) {
	values, wildcards = lbc.Count(p.conditions)
	patterns := []lbc.Condition{}
	if p.host != "" {
		patterns = append(patterns, lbc.Condition{Field: lbc.FieldHost, Host: &lbc.Values{Values: []string{p.host}}})
	}
	if p.path != "" {
		patterns = append(patterns, paths(p.patterns()...))
	}
	v, w := lbc.Count(patterns)
	if p.regex {
		w = 0
	}
	return values + v, wildcards + w
}

// patterns are those of the piece's path.
func (p piece) patterns() []string {
	if p.regex {
		return []string{p.path}
	}
	kind := p.pathType
	out, _, err := lbc.Patterns(&networkingv1.Ingress{}, networkingv1.HTTPIngressPath{Path: p.path, PathType: &kind})
	if err != nil {
		return []string{p.path}
	}
	return out
}

// unfolded moves a path that makes two patterns into the conditions, where it
// can be split.
func (p piece) unfolded() piece {
	own := p.patterns()
	if p.path == "" || p.regex || len(own) < 2 {
		return p
	}
	conditions := slices.Clone(p.conditions)
	at := slices.IndexFunc(conditions, func(c lbc.Condition) bool { return c.Field == lbc.FieldPath })
	if at < 0 {
		conditions = append(conditions, paths(own...))
	} else {
		conditions[at] = paths(append(own, conditions[at].Path.Values...)...)
	}
	p.path, p.pathType, p.conditions = "", "", conditions
	return p
}

// alternatives are the values of a condition that can be shared out.
func alternatives(c lbc.Condition) []string {
	switch {
	case c.Field == lbc.FieldSource && c.Source != nil:
		return c.Source.Values
	case c.Field == lbc.FieldMethod && c.Method != nil:
		return c.Method.Values
	case c.Field == lbc.FieldPath && c.Path != nil:
		return c.Path.Values
	case c.Field == lbc.FieldHeader && c.Header != nil:
		return c.Header.Values
	}
	return nil
}

func withAlternatives(c lbc.Condition, values []string) lbc.Condition {
	values = slices.Clone(values)
	switch c.Field {
	case lbc.FieldSource:
		c.Source = &lbc.Values{Values: values}
	case lbc.FieldMethod:
		c.Method = &lbc.Values{Values: values}
	case lbc.FieldPath:
		c.Path = &lbc.Values{Values: values}
	case lbc.FieldHeader:
		c.Header = &lbc.HeaderValues{Name: c.Header.Name, Values: values}
	}
	return c
}
