package lbc

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// statusForm: no 3xx. Source: ELBv2 API, FixedResponseActionConfig.StatusCode.
var statusForm = regexp.MustCompile(`^(2|4|5)\d\d$`)

// methodForm. Source: ELBv2 API, HttpRequestMethodConditionConfig.
var methodForm = regexp.MustCompile(`^[A-Z_-]{1,40}$`)

// ContentTypes that a fixed response can have; no charset parameter.
// Source: ELBv2 API, FixedResponseActionConfig.ContentType.
func ContentTypes() []string {
	return []string{"text/plain", "text/css", "text/html", "application/javascript", "application/json"}
}

// checkLimits finds what AWS will refuse. The controller passes it on
// unchecked, and retries forever (FailedDeployModel).
func (b *builder) checkLimits(r rule) {
	reasons := append(conditionLimits(r.conditions), actionLimits(r.backend.action)...)
	for _, reason := range reasons {
		b.problem(r.ing, FailedDeployModel, fmt.Sprintf("%s: %s", r.name, reason))
	}
}

// Count returns how many values and wildcards conditions use of a rule's limits.
func Count(conds []Condition) (values, wildcards int) {
	for _, c := range conds {
		own := c.values()
		values += len(own)
		if c.Field == FieldMethod || c.Field == FieldSource || c.regex() {
			continue
		}
		for _, v := range own {
			wildcards += strings.Count(v, "*") + strings.Count(v, "?")
		}
		if c.Field == FieldQuery {
			for _, v := range c.Query.Values {
				wildcards += strings.Count(value(v.Key), "*") + strings.Count(value(v.Key), "?")
			}
		}
	}
	return values, wildcards
}

func conditionLimits(conds []Condition) []string {
	var reasons []string
	values, wildcards := Count(conds)
	if values > MaxValues {
		reasons = append(reasons, fmt.Sprintf("a rule can only have %d condition values, this one has %d", MaxValues, values))
	}
	if wildcards > MaxWildcards {
		reasons = append(reasons, fmt.Sprintf("a rule can only have %d wildcards, this one has %d", MaxWildcards, wildcards))
	}
	sources, methods := 0, 0
	for _, c := range conds {
		for _, v := range c.values() {
			reasons = append(reasons, valueLimits(c, v)...)
		}
		switch c.Field {
		case FieldSource:
			sources++
		case FieldMethod:
			methods++
		case FieldHeader:
			if n := utf8.RuneCountInString(c.Header.Name); n == 0 || n > maxHeaderName {
				reasons = append(reasons, fmt.Sprintf("header name %q must have 1 to %d characters", c.Header.Name, maxHeaderName))
			}
		}
	}
	if sources > 1 || methods > 1 {
		reasons = append(reasons, "a rule can have at most one source-ip and one http-request-method condition")
	}
	return reasons
}

func valueLimits(c Condition, v string) []string {
	if n := utf8.RuneCountInString(v); n > MaxLength {
		return []string{fmt.Sprintf("a condition value has %d characters, at most %d are allowed", n, MaxLength)}
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

func actionLimits(a Action) []string {
	switch a.Type {
	case TypeFixedResponse:
		return a.FixedResponse.Limits()
	case TypeRedirect:
		if c := a.Redirect.StatusCode; c != "HTTP_301" && c != "HTTP_302" {
			return []string{fmt.Sprintf("redirect statusCode %q must be HTTP_301 or HTTP_302", c)}
		}
	case TypeForward:
		if n := len(a.Forward.TargetGroups); n == 0 || n > maxTargetGroups {
			return []string{fmt.Sprintf("a forward needs 1 to %d target groups, this one has %d", maxTargetGroups, n)}
		}
	}
	return nil
}

// Limits says what AWS would refuse in a fixed response.
func (f FixedResponse) Limits() []string {
	var reasons []string
	if !statusForm.MatchString(f.StatusCode) {
		reasons = append(reasons, fmt.Sprintf("statusCode %q must be 2xx, 4xx or 5xx", f.StatusCode))
	}
	if f.ContentType != nil && !slices.Contains(ContentTypes(), *f.ContentType) {
		reasons = append(reasons, fmt.Sprintf("contentType %q must be one of %s", *f.ContentType, strings.Join(ContentTypes(), ", ")))
	}
	if n := utf8.RuneCountInString(value(f.MessageBody)); n > MaxBody {
		reasons = append(reasons, fmt.Sprintf("messageBody has %d characters, %d more than the %d allowed", n, n-MaxBody, MaxBody))
	}
	return reasons
}

func status(code string) int {
	n, _ := strconv.Atoi(code)
	return n
}
