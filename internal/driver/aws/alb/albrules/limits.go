package albrules

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/noren-dev/noren/internal/fault"
)

// Limits of a rule and of a load balancer.
// Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
// and the API's model of FixedResponseActionConfig.
const (
	MaxRules     = 100 // of a load balancer, default rules not counted; can be raised
	MaxValues    = 5   // of a rule, over all its conditions
	MaxWildcards = 5   // of a rule
	MaxLength    = 128 // of a value, in characters
	MaxBody      = 1024
	MaxPriority  = 50000
)

// contentTypes that a fixed response can have; no charset parameter.
var contentTypes = []string{"text/plain", "text/css", "text/html", "application/javascript", "application/json"}

var (
	statusForm = regexp.MustCompile(`^(2|4|5)\d\d$`)
	methodForm = regexp.MustCompile(`^[A-Z_-]{1,40}$`)
)

// values are those of a condition that count.
func (c Condition) values() []string {
	out := slices.Concat(c.Values, c.Regex)
	for _, q := range c.Query {
		out = append(out, q.Value)
	}
	return out
}

// Count returns how many values and wildcards conditions use of a rule's limits.
func Count(conditions []Condition) (values, wildcards int) {
	for _, c := range conditions {
		values += len(c.values())
		if c.Field == FieldMethod || c.Field == FieldSource {
			continue
		}
		for _, v := range c.Values {
			wildcards += strings.Count(v, "*") + strings.Count(v, "?")
		}
		for _, q := range c.Query {
			wildcards += strings.Count(q.Key+q.Value, "*") + strings.Count(q.Key+q.Value, "?")
		}
	}
	return values, wildcards
}

// Limits says what AWS refuses in a rule, one sentence each.
func (r Rule) Limits() []string {
	var reasons []string
	if len(r.Conditions) == 0 {
		reasons = append(reasons, "a rule must have a condition")
	}
	values, wildcards := Count(r.Conditions)
	if values > MaxValues {
		reasons = append(reasons, fmt.Sprintf("a rule can only have '%d' condition values, this one has %d", MaxValues, values))
	}
	if wildcards > MaxWildcards {
		reasons = append(reasons, fmt.Sprintf("a rule can only have '%d' wildcards, this one has %d", MaxWildcards, wildcards))
	}
	once := map[string]int{}
	for _, c := range r.Conditions {
		once[c.Field]++
		for _, v := range c.values() {
			reasons = append(reasons, valueLimits(c, v)...)
		}
	}
	for _, field := range []string{FieldHost, FieldPath, FieldMethod, FieldSource} {
		if once[field] > 1 {
			reasons = append(reasons, fmt.Sprintf("a rule can have one %s condition, this one has %d", field, once[field]))
		}
	}
	if f := Responds(r.Actions); f != nil {
		reasons = append(reasons, f.Limits()...)
	}
	return reasons
}

func valueLimits(c Condition, v string) []string {
	if n := utf8.RuneCountInString(v); n > MaxLength || n == 0 {
		return []string{fmt.Sprintf("a condition value has %d characters; it must have 1 to %d", n, MaxLength)}
	}
	switch c.Field {
	case FieldSource:
		if _, err := netip.ParsePrefix(v); err != nil {
			return []string{fmt.Sprintf("source-ip value %q is not a CIDR such as 203.0.113.7/32", v)}
		}
	case FieldMethod:
		if !methodForm.MatchString(v) {
			return []string{fmt.Sprintf("http-request-method value %q must be capital letters, - or _", v)}
		}
	}
	return nil
}

// Limits says what AWS refuses in a fixed response.
func (f Fixed) Limits() []string {
	var reasons []string
	if !statusForm.MatchString(f.Status) {
		reasons = append(reasons, fmt.Sprintf("statusCode %q must be 2xx, 4xx or 5xx", f.Status))
	}
	if f.Type != "" && !slices.Contains(contentTypes, f.Type) {
		reasons = append(reasons, fmt.Sprintf("contentType %q must be one of %s", f.Type, strings.Join(contentTypes, ", ")))
	}
	if n := utf8.RuneCountInString(f.Body); n > MaxBody {
		reasons = append(reasons, fmt.Sprintf("messageBody has %d characters, %d more than the %d allowed", n, n-MaxBody, MaxBody))
	}
	return reasons
}

// fit splits a rule into as many as the limit on a rule's values asks for: the
// alternatives of one condition are shared out among several rules.
func fit(r Rule) ([]Rule, error) {
	values, wildcards := Count(r.Conditions)
	if values <= MaxValues && wildcards <= MaxWildcards {
		return []Rule{r}, nil
	}
	at, most := -1, 1
	for i, c := range r.Conditions {
		if n := len(c.Values); n > most {
			at, most = i, n
		}
	}
	if at < 0 {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "rule does not fit the load balancer",
			Detail: fmt.Sprintf("A rule that noren needs (%s) would have %d condition values and %d wildcards; a listener rule has at most %d of each.",
				words(r.Conditions), values, wildcards, MaxValues)}
	}
	room := max(1, MaxValues-(values-most))
	if room >= most { // wildcards are the trouble
		room = most - 1
	}
	var out []Rule
	for chunk := range slices.Chunk(r.Conditions[at].Values, room) {
		part := r
		part.Conditions = slices.Clone(r.Conditions)
		part.Conditions[at].Values = slices.Clone(chunk)
		fitting, err := fit(part)
		if err != nil {
			return nil, err
		}
		out = append(out, fitting...)
	}
	return out, nil
}

func words(conditions []Condition) string {
	var out []string
	for _, c := range conditions {
		out = append(out, c.edge().String())
	}
	return strings.Join(out, ", ")
}
