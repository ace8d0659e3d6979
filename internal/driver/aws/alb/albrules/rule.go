// Package albrules is listener rules of an Application Load Balancer as data:
// what they match, which limits they must keep, the curtain in front of them,
// and in which order to put it up and take it down. Nothing here does I/O.
package albrules

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// The fields of a condition.
// Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_RuleCondition.html
const (
	FieldHost   = "host-header"
	FieldPath   = "path-pattern"
	FieldHeader = "http-header"
	FieldMethod = "http-request-method"
	FieldQuery  = "query-string"
	FieldSource = "source-ip"
)

// The types of action.
// Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_Action.html
const (
	TypeForward  = "forward"
	TypeRedirect = "redirect"
	TypeFixed    = "fixed-response"
	TypeCognito  = "authenticate-cognito"
	TypeOIDC     = "authenticate-oidc"
	TypeJWT      = "jwt-validation"
)

// A Rule is what a listener rule says, without its place.
type Rule struct {
	Conditions []Condition `json:"conditions"`
	Actions    []Action    `json:"actions"`
	Transforms []Transform `json:"transforms,omitempty"`
}

// A Condition holds when any of its values, or of its regular expressions,
// matches. Name is the header's, for http-header only; Query is for
// query-string only.
type Condition struct {
	Field  string       `json:"field"`
	Name   string       `json:"name,omitempty"`
	Values []string     `json:"values,omitempty"`
	Regex  []string     `json:"regex,omitempty"`
	Query  []QueryValue `json:"query,omitempty"`
}

// A QueryValue is a parameter's value, of any parameter if Key is empty.
type QueryValue struct {
	Key   string `json:"key,omitempty"`
	Value string `json:"value"`
}

// An Action is one step of what is done with a request. Exactly one of the
// pointers is set, by Type.
type Action struct {
	Type     string    `json:"type"`
	Forward  *Forward  `json:"forward,omitempty"`
	Redirect *Redirect `json:"redirect,omitempty"`
	Fixed    *Fixed    `json:"fixed,omitempty"`
	Cognito  *Cognito  `json:"cognito,omitempty"`
	JWT      *JWT      `json:"jwt,omitempty"`
	// OIDC is the issuer of an authenticate-oidc action. AWS does not tell the
	// client secret that a copy of it would need.
	OIDC string `json:"oidc,omitempty"`
}

// A Forward sends the request to target groups, by weight.
type Forward struct {
	Groups []Group `json:"groups"`
	// Sticky is for how many seconds a client stays with its group, 0 if it does not.
	Sticky int32 `json:"sticky,omitempty"`
}

// A Group is a target group with its weight.
type Group struct {
	ARN    string `json:"arn"`
	Weight int32  `json:"weight"`
}

// A Redirect sends the visitor elsewhere. #{host} and the like stand for the
// request's own parts.
type Redirect struct {
	Protocol string `json:"protocol"`
	Host     string `json:"host"`
	Port     string `json:"port"`
	Path     string `json:"path"`
	Query    string `json:"query"`
	Status   string `json:"status"`
}

// A Fixed is a fixed response: the load balancer answers itself.
type Fixed struct {
	Status string `json:"status"`
	Type   string `json:"type,omitempty"`
	Body   string `json:"body,omitempty"`
}

// A Cognito asks for a login with a user pool.
type Cognito struct {
	Pool            string            `json:"pool"`
	Client          string            `json:"client"`
	Domain          string            `json:"domain"`
	Extra           map[string]string `json:"extra,omitempty"`
	Unauthenticated string            `json:"unauthenticated"`
	Scope           string            `json:"scope"`
	Cookie          string            `json:"cookie"`
	Timeout         int64             `json:"timeout"`
}

// A JWT asks for a signed token.
type JWT struct {
	Issuer string  `json:"issuer"`
	Keys   string  `json:"keys"`
	Claims []Claim `json:"claims,omitempty"`
}

// A Claim is a further demand on a token.
type Claim struct {
	Name   string   `json:"name"`
	Format string   `json:"format"`
	Values []string `json:"values"`
}

// A Transform rewrites the host or the URL of a request before a target gets it.
type Transform struct {
	Type     string    `json:"type"`
	Rewrites []Rewrite `json:"rewrites"`
}

// A Rewrite replaces what matches a regular expression.
type Rewrite struct {
	Regex   string `json:"regex"`
	Replace string `json:"replace"`
}

// Canonical is the rule in the one form that all equal rules have: AWS returns
// conditions and values in an order of its own, and fills in defaults.
func (r Rule) Canonical() Rule {
	out := Rule{Transforms: r.Transforms}
	for _, c := range r.Conditions {
		c.Values, c.Regex, c.Query = sorted(c.Values), sorted(c.Regex), slices.Clone(c.Query)
		slices.SortFunc(c.Query, func(a, b QueryValue) int { return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Value, b.Value)) })
		out.Conditions = append(out.Conditions, c)
	}
	slices.SortStableFunc(out.Conditions, func(a, b Condition) int { return strings.Compare(text(a), text(b)) })
	for _, a := range r.Actions {
		out.Actions = append(out.Actions, a.canonical())
	}
	return out
}

func sorted(values []string) []string {
	values = slices.Clone(values)
	slices.Sort(values)
	return values
}

// canonical fills in what AWS fills in.
// Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_RedirectActionConfig.html
// and the pages of the other actions.
func (a Action) canonical() Action {
	if r := a.Redirect; r != nil {
		full := *r
		for _, part := range []struct {
			value     *string
			otherwise string
		}{{&full.Protocol, "#{protocol}"}, {&full.Host, "#{host}"}, {&full.Port, "#{port}"}, {&full.Path, "/#{path}"}, {&full.Query, "#{query}"}} {
			*part.value = cmp.Or(*part.value, part.otherwise)
		}
		a.Redirect = &full
	}
	if c := a.Cognito; c != nil {
		full := *c
		full.Unauthenticated = cmp.Or(full.Unauthenticated, "authenticate")
		full.Scope = cmp.Or(full.Scope, "openid")
		full.Cookie = cmp.Or(full.Cookie, "AWSELBAuthSessionCookie")
		full.Timeout = cmp.Or(full.Timeout, 604800)
		a.Cognito = &full
	}
	return a
}

// Equal compares what the rules say.
func (r Rule) Equal(o Rule) bool { return text(r.Canonical()) == text(o.Canonical()) }

// text is v as JSON, for comparing.
func text(v any) string {
	raw, err := json.Marshal(v)
	if err != nil { // strings, numbers and lists of them
		return err.Error()
	}
	return string(raw)
}

// Responds returns the fixed response of actions, nil if there is none.
func Responds(actions []Action) *Fixed {
	for _, a := range actions {
		if a.Fixed != nil {
			return a.Fixed
		}
	}
	return nil
}

// TargetGroups are the ARNs of the target groups to which actions forward with
// a weight, in their order.
func TargetGroups(actions ...Action) []string {
	var out []string
	for _, a := range actions {
		if a.Forward == nil {
			continue
		}
		for _, g := range a.Forward.Groups {
			if g.Weight > 0 && !slices.Contains(out, g.ARN) {
				out = append(out, g.ARN)
			}
		}
	}
	return out
}

// onlyRedirects tells whether actions send every visitor elsewhere.
func onlyRedirects(actions []Action) bool {
	return len(actions) > 0 && actions[len(actions)-1].Redirect != nil
}
