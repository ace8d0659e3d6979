package albrules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
)

// A Scope is what of a listener is a service's: hosts and paths, none for all.
type Scope struct {
	Hosts []string
	Paths []string
}

// conditions are those that every rule of the service's curtain has.
func (s Scope) conditions() []Condition {
	var out []Condition
	if len(s.Hosts) > 0 {
		out = append(out, Condition{Field: FieldHost, Values: s.Hosts})
	}
	if len(s.Paths) > 0 {
		out = append(out, Condition{Field: FieldPath, Values: s.Paths})
	}
	return out
}

// A Named is one rule of a curtain.
type Named struct {
	Name string `json:"name"`
	Rule
}

// Closes tells whether customers see the page by the rule.
func (n Named) Closes() bool { return strings.HasPrefix(n.Name, partClosed) }

// A Drawn is a curtain for one listener.
type Drawn struct {
	// Rules are in order. The probe's may be left out: see Bare.
	Rules []Named
	// Groups are the ARNs of the target groups behind what is closed.
	Groups []string
	// Unserved are patterns to keep open that are no part of the service.
	Unserved []string
}

// Bare is the curtain without the rules of the probe, where it does without:
// nobody passes, so that the probe sees what customers see.
func (d Drawn) Bare() Drawn {
	if len(d.Rules) == 2 && d.Rules[0].Name == partProbe && d.Rules[1].Name == partClosed {
		d.Rules = d.Rules[1:]
	}
	return d
}

// Parts of a curtain, as package edge names them. The names of all that close to
// customers begin with partClosed.
const (
	partProbe  = "probe"
	partClosed = "closed"
)

// Draw makes the curtain of package edge for the service's part of a listener.
// Where the curtain lets a request pass, the listener's own rules for it are
// copied, since a load balancer has no such action.
func Draw(l Listener, scope Scope, c edge.Closing) (Drawn, error) {
	var out Drawn
	for _, r := range edge.Curtain(c) {
		name := strings.TrimPrefix(r.Name, "noren: ")
		conditions, met, err := both(scope.conditions(), ruleConditions(r.Conditions))
		switch {
		case err != nil:
			return out, inexpressible(l, name, err)
		case !met && r.Action.Kind == edge.Pass:
			out.Unserved = append(out.Unserved, c.KeepOpen...)
			continue
		case !met:
			return out, &fault.Fault{Code: fault.Invalid, Summary: "path is not served here",
				Detail: fmt.Sprintf("Nothing of %s is a path of this service. Its paths are: %s.", strings.Join(c.Paths, ", "), strings.Join(scope.Paths, ", "))}
		}
		var rules []Rule
		if r.Action.Kind == edge.Pass {
			rules, err = copies(l, name, pared(conditions))
		} else {
			rules = []Rule{{Conditions: pared(conditions), Actions: []Action{{Type: TypeFixed, Fixed: Page(*r.Action.Response)}}}}
		}
		if err != nil {
			return out, err
		}
		for _, rule := range rules {
			rule.Conditions = some(rule.Conditions)
			fitting, err := fit(rule)
			if err != nil {
				return out, err
			}
			for _, f := range fitting {
				out.Rules = append(out.Rules, Named{Name: name, Rule: f.Canonical()})
			}
		}
	}
	out.Groups = Behind(l, scope)
	return out, nil
}

// some gives conditions to a rule that has none: AWS wants one.
func some(conditions []Condition) []Condition {
	if len(conditions) == 0 {
		return []Condition{{Field: FieldPath, Values: []string{"/*"}}}
	}
	return conditions
}

// Page is the page as a fixed response. It has no charset: see contentTypes.
func Page(r edge.Response) *Fixed {
	contentType, _, _ := strings.Cut(r.ContentType, ";")
	return &Fixed{Status: strconv.Itoa(r.Status), Type: strings.TrimSpace(contentType), Body: r.Body}
}

func ruleConditions(conditions []edge.Condition) []Condition {
	fields := map[edge.Field]string{edge.Host: FieldHost, edge.Path: FieldPath, edge.Method: FieldMethod, edge.Source: FieldSource, edge.Header: FieldHeader}
	var out []Condition
	for _, c := range conditions {
		out = append(out, Condition{Field: fields[c.Field], Name: c.Name, Values: slices.Clone(c.Values)})
	}
	return out
}

// copies are the listener's own rules, as far as requests that the conditions
// hold for can meet them.
func copies(l Listener, name string, conditions []Condition) ([]Rule, error) {
	var out []Rule
	add := func(what string, r Rule) error {
		for _, a := range r.Actions {
			if a.OIDC != "" {
				return &fault.Fault{Code: fault.Invalid, Summary: "a login cannot be copied",
					Detail: fmt.Sprintf("%s on port %d asks for a login with %s. To let anyone through there (%s), noren would have to copy it, and AWS does not tell the client secret that a copy needs.", what, l.Port, a.OIDC, name),
					Try:    []string{"close it without --allow, --pass and keep_open"}}
			}
		}
		out = append(out, r)
		return nil
	}
	for _, u := range l.Users() {
		joined, met, err := both(conditions, pared(u.Conditions))
		if err != nil {
			return nil, inexpressible(l, name, fmt.Errorf("rule %d: %w", u.Priority, err))
		}
		if !met {
			continue
		}
		if err := add(fmt.Sprintf("Rule %d", u.Priority), Rule{Conditions: joined, Actions: u.Actions, Transforms: u.Transforms}); err != nil {
			return nil, err
		}
		if implied(conditions, u.Conditions) {
			return tail(out), nil
		}
	}
	if err := add("The default action", Rule{Conditions: conditions, Actions: l.Default}); err != nil {
		return nil, err
	}
	return tail(out), nil
}

// tail leaves out the rules before the last, which takes every request, that do
// the same as it.
func tail(rules []Rule) []Rule {
	last := rules[len(rules)-1]
	same := func(r Rule) bool {
		return text(Rule{Actions: r.Actions, Transforms: r.Transforms}.Canonical()) == text(Rule{Actions: last.Actions, Transforms: last.Transforms}.Canonical())
	}
	keep := len(rules) - 1
	for keep > 0 && same(rules[keep-1]) {
		keep--
	}
	return append(rules[:keep:keep], last)
}

func inexpressible(l Listener, name string, err error) error {
	return &fault.Fault{Code: fault.Invalid, Summary: "rules cannot say this",
		Detail: fmt.Sprintf("The listener on port %d cannot be closed like that (%s): %v. Name hosts and paths as the listener's own rules write them.", l.Port, name, err), Err: err}
}

// Behind are the target groups that answer the service's requests now, in the
// order of the rules.
func Behind(l Listener, scope Scope) []string {
	conditions := scope.conditions()
	var actions []Action
	for _, u := range l.Users() {
		if _, met, err := both(conditions, u.Conditions); !met && err == nil {
			continue
		}
		actions = append(actions, u.Actions...)
		if implied(conditions, u.Conditions) {
			return TargetGroups(actions...)
		}
	}
	return TargetGroups(append(actions, l.Default...)...)
}

// Copyable tells whether a rule can be created that does what the actions do.
func Copyable(actions []Action) bool {
	return !slices.ContainsFunc(actions, func(a Action) bool { return a.OIDC != "" })
}
