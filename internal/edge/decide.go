package edge

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// Decide returns what the front does with r: the listener on r's port, its
// first rule whose conditions all hold, or its default action. It fails if no
// listener serves r's scheme and port.
func (f Front) Decide(r Request) (Decision, error) {
	port := r.Port
	if port == 0 {
		port = map[string]int{"https": 443}[r.Scheme]
		if port == 0 {
			port = 80
		}
	}
	for _, l := range f.Listeners {
		if l.Port == port && l.Scheme == r.Scheme {
			return l.Decide(r), nil
		}
	}
	return Decision{}, fmt.Errorf("no listener for %s on port %d", r.Scheme, port)
}

// Decide returns what the listener does with r. An action Pass that is not
// expanded goes on with the rules that are no part of the curtain.
func (l Listener) Decide(r Request) Decision {
	passed := false
	for i, rule := range l.Rules {
		if passed && rule.OfCurtain() {
			continue
		}
		if !rule.Matches(r) {
			continue
		}
		if rule.Action.Kind == Pass {
			passed = true
			continue
		}
		return Decision{Listener: l, Index: i, Rule: rule.Name, Action: rule.Action}
	}
	return Decision{Listener: l, Index: -1, Rule: "default", Action: l.Default}
}

// OfCurtain tells whether noren put the rule there.
func (r Rule) OfCurtain() bool { return strings.HasPrefix(r.Name, "noren: ") }

// Matches tells whether all conditions of the rule hold for req.
func (r Rule) Matches(req Request) bool {
	for _, c := range r.Conditions {
		if !c.matches(req) {
			return false
		}
	}
	return true
}

func (c Condition) matches(r Request) bool {
	for _, v := range c.Values {
		if c.matchesValue(r, v) {
			return true
		}
	}
	return false
}

func (c Condition) matchesValue(r Request, v string) bool {
	switch c.Field {
	case Host:
		return glob(strings.ToLower(v), strings.ToLower(r.Host))
	case Path:
		return glob(v, r.Path)
	case Method:
		return v == r.Method
	case Source:
		p, err := netip.ParsePrefix(v)
		return err == nil && r.Source.IsValid() && p.Contains(r.Source.Unmap().WithZone(""))
	case Header:
		for _, have := range r.Header.Values(c.Name) {
			if glob(strings.ToLower(v), strings.ToLower(have)) {
				return true
			}
		}
		return false
	case Query:
		return queryMatches(r.Query, v)
	default:
		return false
	}
}

func queryMatches(raw, want string) bool {
	values, _ := url.ParseQuery(raw)
	key, value, hasKey := strings.Cut(strings.ToLower(want), "=")
	if !hasKey {
		key, value = "*", key
	}
	for k, vs := range values {
		for _, v := range vs {
			if glob(key, strings.ToLower(k)) && glob(value, strings.ToLower(v)) {
				return true
			}
		}
	}
	return false
}

// glob matches s against a pattern in which * is any run of characters,
// also none, and ? any single one. It takes time proportional to the product
// of the lengths at worst: patterns come from people and from clusters.
func glob(pattern, s string) bool {
	p, i, star, mark := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
