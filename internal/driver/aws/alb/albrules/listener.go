package albrules

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/noren-dev/noren/internal/edge"
)

// A Listener is one port of a load balancer with its rules by priority, the
// default action beside them.
type Listener struct {
	ARN      string
	Port     int
	Protocol string // HTTP or HTTPS
	Default  []Action
	Rules    []Placed
}

// A Placed is a rule at its place.
type Placed struct {
	ARN      string
	Priority int
	Rule
	// Own says which of noren's rules it is, nil if it is not noren's.
	Own *Own
}

// Own is what noren notes on a rule of its own when it creates it.
type Own struct {
	// ID is the curtain that the rule is of, N its place in it from 0, or Shield.
	ID string
	N  int
	// Shift is by how much the user's rules stand behind their own priorities
	// while this rule is in front.
	Shift int
	// Name is for people, and for who-sees.
	Name string
}

// Shield is the N of the rule that keeps parked rules from being reached.
const Shield = -1

// Users are the rules that are not noren's.
func (l Listener) Users() []Placed {
	return slices.DeleteFunc(slices.Clone(l.Rules), func(p Placed) bool { return p.Own != nil })
}

// Of are the rules of a curtain, by N.
func (l Listener) Of(id string) []Placed {
	var out []Placed
	for _, p := range l.Rules {
		if p.Own != nil && p.Own.ID == id {
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b Placed) int { return a.Own.N - b.Own.N })
	return out
}

// Sorted puts the rules in the order in which they are evaluated.
func (l *Listener) Sorted() {
	slices.SortFunc(l.Rules, func(a, b Placed) int { return a.Priority - b.Priority })
}

// OnlyRedirects tells whether the listener does nothing but send visitors
// elsewhere, as one on port 80 does whose site is on 443.
func (l Listener) OnlyRedirects() bool {
	return onlyRedirects(l.Default) && !slices.ContainsFunc(l.Users(), func(p Placed) bool { return !onlyRedirects(p.Actions) })
}

// Scheme is that of URLs.
func (l Listener) Scheme() string { return strings.ToLower(l.Protocol) }

// Hosts are the hosts that the user's rules name, in order; "" where a rule that
// names none, or the default action, serves any.
func (l Listener) Hosts() []string {
	var hosts []string
	add := func(h string) {
		if !slices.Contains(hosts, h) {
			hosts = append(hosts, h)
		}
	}
	for _, p := range l.Users() {
		named := false
		for _, c := range p.Conditions {
			if c.Field == FieldHost {
				named = true
				for _, h := range c.Values {
					add(strings.ToLower(h))
				}
			}
		}
		if !named {
			add("")
		}
	}
	if fixed := Responds(l.Default); fixed == nil {
		add("")
	}
	return hosts
}

// Edge puts the listener in the words of package edge. mark finds noren's token
// in a body.
func (l Listener) Edge(mark func(body string) string) edge.Listener {
	out := edge.Listener{Scheme: l.Scheme(), Port: l.Port, Default: edgeAction(l.Default, mark)}
	for _, p := range l.Rules {
		out.Rules = append(out.Rules, edgeRule(ruleName(l, p), p.Rule, mark))
	}
	return out
}

func ruleName(l Listener, p Placed) string {
	if p.Own != nil {
		return Label(p.Own.Name)
	}
	return fmt.Sprintf("rule %d on port %d", p.Priority, l.Port)
}

// Line is the rule for a person: what must hold, and what happens then.
func (r Rule) Line(mark func(body string) string) string {
	return words(r.Conditions) + " → " + edgeAction(r.Actions, mark).String()
}

// Label is what one of noren's rules is called in who-sees and in the console.
func Label(name string) string { return "noren: " + name }

func edgeRule(name string, r Rule, mark func(string) string) edge.Rule {
	out := edge.Rule{Name: name, Action: edgeAction(r.Actions, mark)}
	for _, c := range r.Conditions {
		out.Conditions = append(out.Conditions, c.edge())
	}
	return out
}

// edge puts a condition in the words of package edge. A regular expression
// becomes one on a field that edge does not know and that never holds.
func (c Condition) edge() edge.Condition {
	fields := map[string]edge.Field{FieldHost: edge.Host, FieldPath: edge.Path, FieldHeader: edge.Header,
		FieldMethod: edge.Method, FieldQuery: edge.Query, FieldSource: edge.Source}
	out := edge.Condition{Field: fields[c.Field], Name: c.Name, Values: c.Values}
	for _, q := range c.Query {
		key := q.Key
		if key == "" {
			key = "*"
		}
		out.Values = append(out.Values, key+"="+q.Value)
	}
	if len(c.Regex) > 0 {
		out.Field += " regex"
		out.Values = c.Regex
	}
	return out
}

func edgeAction(actions []Action, mark func(string) string) edge.Action {
	var out edge.Action
	for _, a := range actions {
		switch {
		case a.Forward != nil:
			out.Kind, out.Backend = edge.Forward, backend(*a.Forward)
		case a.Redirect != nil:
			out.Kind, out.Location, out.Status = edge.Redirect, location(*a.Redirect), http.StatusFound
			if a.Redirect.Status == "HTTP_301" {
				out.Status = http.StatusMovedPermanently
			}
		case a.Fixed != nil:
			status, _ := strconv.Atoi(a.Fixed.Status)
			out.Kind, out.Response = edge.Respond, &edge.Response{Status: status, ContentType: a.Fixed.Type, Body: a.Fixed.Body, Mark: mark(a.Fixed.Body)}
		case a.Cognito != nil, a.OIDC != "", a.JWT != nil:
			out.Login = true
		}
	}
	return out
}

func backend(f Forward) string {
	var names []string
	for _, g := range f.Groups {
		name := GroupName(g.ARN)
		if len(f.Groups) > 1 {
			name += fmt.Sprintf(" (weight %d)", g.Weight)
		}
		names = append(names, name)
	}
	return "target group " + strings.Join(names, " or ")
}

// GroupName is the name in the ARN of a target group:
// arn:aws:elasticloadbalancing:REGION:ACCOUNT:targetgroup/NAME/ID.
func GroupName(arn string) string {
	if _, rest, ok := strings.Cut(arn, ":targetgroup/"); ok {
		name, _, _ := strings.Cut(rest, "/")
		return name
	}
	return arn
}

func location(r Redirect) string {
	host := r.Host
	if r.Port != "#{port}" && r.Port != "80" && r.Port != "443" {
		host += ":" + r.Port
	}
	query := ""
	if r.Query != "" {
		query = "?" + r.Query
	}
	return strings.ToLower(r.Protocol) + "://" + host + r.Path + query
}
