package lbc

import (
	"slices"
	"strconv"
	"strings"
)

// optimise leaves out redirects that would loop, and rules behind a redirect
// that catches all they would. Other actions do not make the controller leave
// rules out. Source: rule_optimizer.go Optimize.
func optimise(port int, scheme string, rules []rule) []rule {
	var out []rule
	for _, r := range rules {
		if loops(port, scheme, r) {
			continue
		}
		shadowed := slices.ContainsFunc(out, func(before rule) bool {
			return before.backend.action.Type == TypeRedirect && covers(before.conditions, r.conditions)
		})
		if !shadowed {
			out = append(out, r)
		}
	}
	return out
}

// loops tells whether a redirect leads to where it already is.
// Source: rule_optimizer.go isInfiniteRedirectRule.
func loops(port int, scheme string, r rule) bool {
	to := r.backend.action.Redirect
	if r.backend.action.Type != TypeRedirect || to == nil {
		return false
	}
	hosts, paths, others := hostsAndPaths(r.conditions)
	if others.regexPath {
		return false
	}
	same := func(p *string, keyword string, own ...string) bool {
		return p == nil || *p == keyword || slices.Contains(own, *p)
	}
	return same(to.Host, "#{host}", hosts...) && same(to.Path, "/#{path}", paths...) &&
		same(to.Port, "#{port}", strconv.Itoa(port)) && same(to.Protocol, "#{protocol}", strings.ToUpper(scheme)) &&
		same(to.Query, "#{query}")
}

// covers tells whether conditions a hold wherever b do, as far as the
// controller looks: only hosts and paths, value by value.
// Source: rule_optimizer.go isSupersetConditions.
func covers(a, b []Condition) bool {
	hostsA, pathsA, others := hostsAndPaths(a)
	if others.any {
		return false
	}
	hostsB, pathsB, _ := hostsAndPaths(b)
	within := func(part, whole []string) bool {
		return len(part) > 0 && !slices.ContainsFunc(part, func(v string) bool { return !slices.Contains(whole, v) })
	}
	host := len(hostsA) == 0 || within(hostsB, hostsA)
	path := len(pathsA) == 0 || slices.Contains(pathsA, "/*") || within(pathsB, pathsA)
	return host && path
}

type otherConditions struct{ any, regexPath bool }

func hostsAndPaths(conds []Condition) (hosts, paths []string, others otherConditions) {
	for _, c := range conds {
		switch c.Field {
		case FieldHost:
			hosts = append(hosts, c.Host.Values...)
		case FieldPath:
			if len(c.Path.RegexValues) > 0 {
				others.regexPath = true
			}
			paths = append(paths, c.values()...)
		default:
			others.any = true
		}
	}
	return hosts, paths, others
}
