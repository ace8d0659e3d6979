package lbc

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/noren-dev/noren/internal/edge"
)

// A rule is one listener rule before it is given its priority, which is its
// place: 1, 2, 3 … Source: model_build_listener_rules.go buildListenerRules.
type rule struct {
	ing        *networkingv1.Ingress
	name       string
	conditions []Condition // hosts and paths merged, at most one of each
	backend    backend
}

// rules builds the rules of one member for a listener, in order.
func (b *builder) rules(ing *networkingv1.Ingress) []rule {
	var out []rule
	for i, r := range ing.Spec.Rules {
		if r.HTTP == nil {
			continue
		}
		for _, j := range PathOrder(r.HTTP.Paths) {
			built, err := b.rule(ing, i, j)
			if err != nil {
				b.fails(ing, fmt.Sprintf("rules[%d].paths[%d]: %v", i, j, err))
				continue
			}
			out = append(out, built)
		}
	}
	return out
}

func (b *builder) rule(ing *networkingv1.Ingress, i, j int) (rule, error) {
	r := ing.Spec.Rules[i]
	path := r.HTTP.Paths[j]
	back, err := b.backend(ing, path.Backend)
	if err != nil {
		return rule{}, err
	}
	patterns, regex, err := Patterns(ing, path)
	if err != nil {
		return rule{}, err
	}
	conds, err := merge(r.Host, patterns, regex, back.conditions)
	if err != nil {
		return rule{}, err
	}
	if regex || slices.ContainsFunc(conds, Condition.regex) {
		b.problem(ing, "", fmt.Sprintf("rules[%d].paths[%d] matches by regular expression, which noren does not evaluate", i, j))
	}
	name := fmt.Sprintf("ingress %s rules[%d].paths[%d]", Key(ing), i, j)
	if s := path.Backend.Service; s.Port.Name == UseAnnotation && strings.HasPrefix(s.Name, OursPrefix) {
		name = fmt.Sprintf("noren: %s (%s)", strings.TrimPrefix(s.Name, OursPrefix), name)
	}
	return rule{ing, name, conds, back}, nil
}

// PathOrder returns the indices of paths in the order of their rules: Exact,
// then Prefix with the longest first, then ImplementationSpecific as written.
// Source: model_build_listener_rules.go sortIngressPaths.
func PathOrder(paths []networkingv1.HTTPIngressPath) []int {
	var exact, prefix, other []int
	for i, p := range paths {
		switch pathType(p) {
		case networkingv1.PathTypeExact:
			exact = append(exact, i)
		case networkingv1.PathTypePrefix:
			prefix = append(prefix, i)
		default:
			other = append(other, i)
		}
	}
	slices.SortStableFunc(prefix, func(a, b int) int { return len(paths[b].Path) - len(paths[a].Path) })
	return append(append(exact, prefix...), other...)
}

func pathType(p networkingv1.HTTPIngressPath) networkingv1.PathType {
	if p.PathType == nil {
		return networkingv1.PathTypeImplementationSpecific
	}
	return *p.PathType
}

// Patterns returns the path patterns of a path of an Ingress, none for an empty
// path, and whether they are regular expressions. Prefix /foo makes two: /foo
// and /foo/*. Source: model_build_listener_rules.go buildPathPatterns….
func Patterns(ing *networkingv1.Ingress, p networkingv1.HTTPIngressPath) (patterns []string, regex bool, err error) {
	if p.Path == "" {
		return nil, false, nil
	}
	switch pathType(p) {
	case networkingv1.PathTypeExact:
		if strings.ContainsAny(p.Path, "*?") {
			return nil, false, fmt.Errorf("exact path shouldn't contain wildcards: %s", p.Path)
		}
		return []string{p.Path}, false, nil
	case networkingv1.PathTypePrefix:
		if p.Path == "/" {
			return []string{"/*"}, false, nil
		}
		if strings.ContainsAny(p.Path, "*?") {
			return nil, false, fmt.Errorf("prefix path shouldn't contain wildcards: %s", p.Path)
		}
		stem := strings.TrimSuffix(p.Path, "/")
		return []string{stem, stem + "/*"}, false, nil
	}
	regex, err = UsesRegex(ing)
	if err != nil {
		return nil, false, err
	}
	if regex {
		return []string{p.Path[1:]}, true, nil // without its slash
	}
	return []string{p.Path}, false, nil
}

// UsesRegex tells whether the ImplementationSpecific paths of an Ingress are
// regular expressions. Source: getUseRegexPathMatch.
func UsesRegex(ing *networkingv1.Ingress) (bool, error) {
	raw, ok := ing.Annotations[RegexPaths]
	if !ok {
		return false, nil
	}
	on, err := strconv.ParseBool(raw)
	if err != nil {
		return false, fmt.Errorf("failed to parse bool annotation, %s: %s", RegexPaths, raw)
	}
	return on, nil
}

// merge joins a rule's host and path with the further conditions of its
// backend: hosts and paths become alternatives, the rest must hold as well.
// Source: model_build_listener_rules.go buildRuleConditions.
func merge(host string, patterns []string, regex bool, further []Condition) ([]Condition, error) {
	var hosts, paths Values
	if host != "" {
		hosts.Values = []string{host}
	}
	if regex {
		paths.RegexValues = slices.Clone(patterns)
	} else {
		paths.Values = slices.Clone(patterns)
	}
	var rest []Condition
	for _, c := range further {
		switch c.Field {
		case FieldHost:
			hosts.Values = append(hosts.Values, c.Host.Values...)
			hosts.RegexValues = append(hosts.RegexValues, c.Host.RegexValues...)
		case FieldPath:
			paths.Values = append(paths.Values, c.Path.Values...)
			paths.RegexValues = append(paths.RegexValues, c.Path.RegexValues...)
		case FieldHeader, FieldMethod, FieldQuery, FieldSource:
			rest = append(rest, c)
		}
	}
	var out []Condition
	for _, m := range []struct {
		what string
		v    Values
		c    Condition
	}{{"host", hosts, Condition{Field: FieldHost, Host: &hosts}}, {"path", paths, Condition{Field: FieldPath, Path: &paths}}} {
		if len(m.v.Values) > 0 && len(m.v.RegexValues) > 0 {
			return nil, fmt.Errorf("%s condition must specify exactly one of Values and RegexValues, got both Values %s and RegexValues %s",
				m.what, m.v.Values, m.v.RegexValues)
		}
		if len(m.v.Values)+len(m.v.RegexValues) > 0 {
			out = append(out, m.c)
		}
	}
	if out = append(out, rest...); len(out) == 0 {
		out = []Condition{{Field: FieldPath, Path: &Values{Values: []string{"/*"}}}}
	}
	return out, nil
}

func (c Condition) regex() bool {
	return c.Host != nil && len(c.Host.RegexValues) > 0 || c.Path != nil && len(c.Path.RegexValues) > 0 ||
		c.Header != nil && len(c.Header.RegexValues) > 0
}

// edgeRule puts a rule in the words of package edge. A regular expression
// becomes a condition on a field that edge does not know and that never holds.
func (b *builder) edgeRule(r rule, scheme string) edge.Rule {
	out := edge.Rule{Name: r.name, Action: b.edgeAction(r.backend, scheme)}
	for _, c := range r.conditions {
		out.Conditions = append(out.Conditions, c.edge())
	}
	return out
}

func (c Condition) edge() edge.Condition {
	fields := map[string]edge.Field{FieldHost: edge.Host, FieldPath: edge.Path, FieldHeader: edge.Header,
		FieldMethod: edge.Method, FieldQuery: edge.Query, FieldSource: edge.Source}
	out := edge.Condition{Field: fields[c.Field], Values: c.values()}
	if c.Field == FieldHeader {
		out.Name = c.Header.Name
	}
	if c.Field == FieldQuery {
		out.Values = nil
		for _, v := range c.Query.Values {
			key := "*"
			if v.Key != nil {
				key = *v.Key
			}
			out.Values = append(out.Values, key+"="+v.Value)
		}
	}
	if c.regex() {
		out.Field += " regex"
	}
	return out
}
