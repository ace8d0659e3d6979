// Package newrelic keeps New Relic's alerts quiet by muting rules. See package mute
// for how.
package newrelic

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/mute"
	"github.com/noren-dev/noren/internal/vendorhttp"
)

// Config says how to reach an account of New Relic.
type Config struct {
	Account int    `json:"account" jsonschema:"required" jsonschema_description:"The number of the account."`
	Region  string `json:"region,omitempty" jsonschema:"enum=us,enum=eu,default=us" jsonschema_description:"Where the account is."`
	URL     string `json:"url,omitempty" jsonschema_description:"NerdGraph, where it is elsewhere, as for a proxy."`
	vendorhttp.Access
}

func (c Config) base() string {
	switch {
	case c.URL != "":
		return c.URL
	case c.Region == "eu":
		return "https://api.eu.newrelic.com/graphql"
	}
	return "https://api.newrelic.com/graphql"
}

// Validate finds what is wrong without I/O.
func (c Config) Validate() error {
	switch {
	case c.Account <= 0:
		return errors.New("account is needed: the number of the account")
	case c.Region != "" && c.Region != "us" && c.Region != "eu":
		return fmt.Errorf("region: %q is none of us, eu", c.Region)
	case c.Region != "" && c.URL != "":
		return errors.New("region and url are both given; keep one")
	}
	if err := vendorhttp.CheckURL("url", c.base(), true); err != nil {
		return err
	}
	return c.Access.Validate("url", c.base())
}

// Options are what a monitor of the kind newrelic/rule is.
type Options struct {
	Match      string      `json:"match,omitempty" jsonschema:"enum=all,enum=any,default=all" jsonschema_description:"Whether all of the conditions must hold, or any of them."`
	Conditions []Condition `json:"conditions" jsonschema:"required,minItems=1,maxItems=20" jsonschema_description:"Which alerts are muted."`
}

// A Condition is about one attribute of an alert.
type Condition struct {
	Attribute string   `json:"attribute" jsonschema:"required,example=policyName,example=conditionId,example=entity.guid,example=tags.service" jsonschema_description:"The attribute, as New Relic calls it."`
	Operator  string   `json:"operator,omitempty" jsonschema:"default=EQUALS,example=IN,example=STARTS_WITH" jsonschema_description:"How it is compared, as New Relic calls it."`
	Values    []string `json:"values" jsonschema_description:"What it is compared with."`
}

// mostConditions is how many a rule may have.
const mostConditions = 20

// operators are those of NerdGraph's AlertsMutingRuleConditionOperator.
// Source: newrelic-client-go pkg/alerts/types.go.
var operators = []string{"ANY", "CONTAINS", "ENDS_WITH", "EQUALS", "IN", "IS_BLANK", "IS_NOT_BLANK", "NOT_CONTAINS", "NOT_ENDS_WITH",
	"NOT_EQUALS", "NOT_IN", "NOT_STARTS_WITH", "STARTS_WITH"}

// Validate finds what is wrong without I/O.
func (o Options) Validate() error {
	switch {
	case len(o.Conditions) == 0:
		return errors.New("conditions are missing: say which alerts are muted, such as {attribute: policyName, values: [Shop]}")
	case len(o.Conditions) > mostConditions:
		return fmt.Errorf("conditions: a rule has at most %d, and these are %d", mostConditions, len(o.Conditions))
	case o.Match != "" && o.Match != "all" && o.Match != "any":
		return fmt.Errorf("match: %q is none of all, any", o.Match)
	}
	for _, c := range o.Conditions {
		op := cmp.Or(c.Operator, "EQUALS")
		switch {
		case c.Attribute == "":
			return errors.New("attribute is missing in one of the conditions")
		case !slices.Contains(operators, op):
			return fmt.Errorf("operator: %q is none of New Relic's: %v", c.Operator, operators)
		case len(c.Values) == 0 && op != "ANY" && op != "IS_BLANK" && op != "IS_NOT_BLANK":
			return fmt.Errorf("values are missing: what is %s compared with?", c.Attribute)
		}
	}
	return nil
}

// What is what a rule covers, in NerdGraph's words.
type What struct {
	Operator   string      `json:"operator"`
	Conditions []Condition `json:"conditions"`
}

func (o Options) what() (What, error) {
	w := What{Operator: "AND"}
	if o.Match == "any" {
		w.Operator = "OR"
	}
	for _, c := range o.Conditions {
		c.Operator = cmp.Or(c.Operator, "EQUALS")
		if c.Values == nil {
			c.Values = []string{}
		}
		w.Conditions = append(w.Conditions, c)
	}
	return w, nil
}

// textLimit is how long a description may be. New Relic does not say; a line fits.
const textLimit = 255

// Driver returns the driver "newrelic".
func Driver() *driver.Driver {
	return driver.New("newrelic", "mutes alerts of New Relic by muting rules", mute.Connect(kind(), openBook),
		driver.Changes("newrelic/rule.mute", "A muting rule keeps alerts quiet until its end", mute.Open[What]),
		driver.Mutes("newrelic/rule", "Alerts, by conditions on their attributes; the name is one of your own", kind().Open),
		driver.FindsTraces(mute.Traces[What]),
	)
}

func kind() mute.Kind[Options, What] {
	return mute.Kind[Options, What]{What: Options.what, Words: mute.Words{Driver: "newrelic", Word: "rule", Seen: "muting rules", Limit: textLimit}}
}

func openBook(cfg Config, env driver.Env) (mute.Book[What], error) {
	client, err := vendorhttp.New(vendorhttp.Options{System: "New Relic", Base: cfg.base(), CAFile: cfg.CAFile,
		Keys: map[string]vendorhttp.Secret{"API-Key": {Key: cfg.Key("NEW_RELIC_API_KEY")}}})
	if err != nil {
		return nil, err
	}
	return &book{http: client, url: cfg.base(), account: cfg.Account, now: env.Clock()}, nil
}
