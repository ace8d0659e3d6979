package kube

import (
	"fmt"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/driver/kube/plainingress"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
)

// closedPaths are the paths of an Ingress that are to lead to the page, and the
// patterns to keep open that it does not serve. An Ingress can only be closed
// by whole paths of its own: what cuts through one is refused.
func closedPaths(ing *networkingv1.Ingress, c edge.Closing) (closed []Path, unserved []string, err error) {
	hosts := c.Hosts
	for _, h := range hosts {
		if have := plainHosts(ing); !slices.Contains(have, h) {
			f := &fault.Fault{Code: fault.Invalid, Summary: "host is not served here",
				Detail: fmt.Sprintf("Ingress %s does not serve %s. It serves: %s.", lbc.Key(ing), h, strings.Join(named(have), ", "))}
			if near := fault.Nearest(h, named(have)); near != "" {
				f.Detail += fmt.Sprintf(" Did you mean %s?", near)
			}
			return nil, nil, f
		}
	}
	all := allPaths(ing, hosts)
	if len(all) == 0 {
		return nil, nil, &fault.Fault{Code: fault.Invalid, Summary: "ingress serves nothing",
			Detail: fmt.Sprintf("Ingress %s has neither rules nor a default backend: there is nothing to close.", lbc.Key(ing))}
	}
	closed = all
	if c.Mode == edge.Paths {
		var none []string
		if closed, none, err = choose(ing, all, c.Paths, "closed"); err != nil {
			return nil, nil, err
		}
		if len(none) > 0 {
			return nil, nil, &fault.Fault{Code: fault.Invalid, Summary: "path is not served here",
				Detail: fmt.Sprintf("Ingress %s has no path within %s. Its paths are: %s.", lbc.Key(ing), strings.Join(none, ", "), strings.Join(pathNames(all), ", "))}
		}
	}
	if len(c.KeepOpen) > 0 {
		var open []Path
		if open, unserved, err = choose(ing, all, c.KeepOpen, "kept open"); err != nil {
			return nil, nil, err
		}
		closed = slices.DeleteFunc(slices.Clone(closed), func(p Path) bool { return slices.Contains(open, p) })
	}
	if len(closed) == 0 {
		return nil, nil, &fault.Fault{Code: fault.Invalid, Summary: "nothing is left to close",
			Detail: fmt.Sprintf("Every path of ingress %s is to be kept open.", lbc.Key(ing))}
	}
	return closed, unserved, nil
}

func pathNames(paths []Path) []string {
	var out []string
	for _, p := range paths {
		out = append(out, p.String())
	}
	return out
}

// choose returns the paths that lie within the patterns, and the patterns that
// meet none. It fails where a pattern holds a part of a path only, and that
// part has no path of its own.
func choose(ing *networkingv1.Ingress, all []Path, patterns []string, what string) (chosen []Path, none []string, err error) {
	for _, p := range all {
		if within(p, patterns) {
			chosen = append(chosen, p)
		}
	}
	for _, pattern := range patterns {
		met := false
		var cut *Path // the narrowest of which the pattern is a part
		for i, p := range all {
			switch meets(p, pattern) {
			case apart:
				continue
			case unknowns:
				return nil, nil, uncut(ing, pattern, what, fmt.Sprintf("whether it meets %s cannot be told", p))
			}
			if slices.Contains(chosen, p) {
				met = true
				continue
			}
			if !slices.ContainsFunc(chosen, func(own Path) bool { return own.Host == p.Host && takes(own, pattern) }) && (cut == nil || len(p.Path) > len(cut.Path)) {
				cut = &all[i]
			}
		}
		if cut != nil {
			own, _ := patternsOf(*cut)
			return nil, nil, uncut(ing, pattern, what, fmt.Sprintf("it is only a part of %s, which is %s", cut, strings.Join(own, " and ")))
		}
		if !met {
			none = append(none, pattern)
		}
	}
	return chosen, none, nil
}

func uncut(ing *networkingv1.Ingress, pattern, what, why string) error {
	return &fault.Fault{Code: fault.Invalid, Summary: "strategy backend cannot do that",
		Detail: fmt.Sprintf("On ingress %s, %s cannot be %s: %s. Strategy backend leads whole paths of the Ingress to the page. Give the Ingress a path of its own for it; the strategies overlay and patch (AWS Load Balancer Controller) and noren's gate need none.",
			lbc.Key(ing), pattern, what, why)}
}

// patternsOf are what a path matches; literal where only its controller knows.
func patternsOf(p Path) (patterns []string, literal bool) {
	if p.Default {
		return []string{"/*"}, false
	}
	if p.Type == string(networkingv1.PathTypeImplementationSpecific) {
		return []string{p.Path}, true
	}
	return plainingress.Patterns(p.Path, p.Type == string(networkingv1.PathTypeExact)), false
}

// within tells whether all that a path matches lies in one of the patterns.
func within(p Path, patterns []string) bool {
	own, literal := patternsOf(p)
	for _, o := range own {
		in := func(pattern string) bool { return !literal && relate(pattern, o) == inside || pattern == o }
		if !slices.ContainsFunc(patterns, in) {
			return false
		}
	}
	return true
}

// takes tells whether a path matches all that a pattern does.
func takes(p Path, pattern string) bool {
	own, literal := patternsOf(p)
	return slices.ContainsFunc(own, func(o string) bool { return !literal && relate(o, pattern) == inside || pattern == o })
}

// meets says how a path stands to a pattern: apart, or not.
func meets(p Path, pattern string) relation {
	own, literal := patternsOf(p)
	met := apart
	for _, o := range own {
		switch r := relate(o, pattern); {
		case literal && pattern != o:
			return unknowns
		case r == unknowns:
			return unknowns
		case r != apart:
			met = r
		}
	}
	return met
}
