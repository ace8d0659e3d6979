package alertmanager

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Options are what a monitor of the kind alertmanager/silence is.
type Options struct {
	Matchers []string `json:"matchers" jsonschema:"required,minItems=1,example=service=\"shop\",example=severity=~\"page|ticket\"" jsonschema_description:"The labels of the alerts that are silenced, all of which must match: with =, !=, =~ or !~. Regular expressions match whole values."`
}

// Validate finds what is wrong without I/O.
func (o Options) Validate() error {
	_, err := o.what()
	return err
}

// What is what a silence covers: its matchers, in the canonical form and sorted.
type What struct {
	Matchers []string `json:"matchers"`
}

func (o Options) what() (What, error) {
	if len(o.Matchers) == 0 {
		return What{}, errors.New(`matchers are missing: say which alerts are silenced, such as service="shop"`)
	}
	var w What
	some := false
	for _, text := range o.Matchers {
		m, err := parseMatcher(text)
		if err != nil {
			return What{}, err
		}
		some = some || !m.matches("")
		w.Matchers = append(w.Matchers, m.String())
	}
	if !some {
		return What{}, errors.New("matchers: each of them matches alerts without the label, so that every alert there is would be silenced")
	}
	slices.Sort(w.Matchers)
	w.Matchers = slices.Compact(w.Matchers)
	return w, nil
}

// A matcher is one condition on one label, as the API writes it.
// Source: prometheus/alertmanager api/v2/openapi.yaml, definition matcher.
type matcher struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	IsRegex bool   `json:"isRegex"`
	// IsEqual is true where it is left out.
	IsEqual *bool `json:"isEqual,omitempty"`
}

func (m matcher) equal() bool { return m.IsEqual == nil || *m.IsEqual }

func (m matcher) String() string {
	op := map[[2]bool]string{{true, false}: "=", {false, false}: "!=", {true, true}: "=~", {false, true}: "!~"}[[2]bool{m.equal(), m.IsRegex}]
	return m.Name + op + strconv.Quote(m.Value)
}

// matches tells whether a label of that value is matched; "" is no such label.
func (m matcher) matches(value string) bool {
	hit := m.Value == value
	if m.IsRegex {
		re, err := regexp.Compile("^(?:" + m.Value + ")$")
		hit = err == nil && re.MatchString(value)
	}
	return hit == m.equal()
}

// matcherForm is a matcher as people write it, with or without quotes.
var matcherForm = regexp.MustCompile(`^\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|!~|!=|=)\s*(.*?)\s*$`)

func parseMatcher(text string) (matcher, error) {
	parts := matcherForm.FindStringSubmatch(text)
	if parts == nil {
		return matcher{}, fmt.Errorf(`matchers: %q is no matcher: it is a label, one of = != =~ !~, and a value, such as service="shop"`, text)
	}
	equal := parts[2] == "=" || parts[2] == "=~"
	m := matcher{Name: parts[1], Value: parts[3], IsRegex: strings.HasSuffix(parts[2], "~"), IsEqual: &equal}
	if strings.HasPrefix(m.Value, `"`) {
		value, err := strconv.Unquote(m.Value)
		if err != nil {
			return matcher{}, fmt.Errorf("matchers: %q: the value's quotes do not end, or it has an escape that does not exist", text)
		}
		m.Value = value
	}
	if m.IsRegex {
		if _, err := regexp.Compile(m.Value); err != nil {
			return matcher{}, fmt.Errorf("matchers: %q: %w", text, err)
		}
	}
	return m, nil
}
