// Package pagerduty keeps services of PagerDuty from opening incidents by
// maintenance windows. See package mute for how.
package pagerduty

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/mute"
	"github.com/noren-dev/noren/internal/vendorhttp"
)

// Config says how to reach an account of PagerDuty.
type Config struct {
	From string `json:"from" jsonschema:"required,example=ops@example.com" jsonschema_description:"The e-mail address of a user of the account, as whom noren makes maintenance windows."`
	URL  string `json:"url,omitempty" jsonschema:"default=https://api.pagerduty.com,example=https://api.eu.pagerduty.com" jsonschema_description:"The API, where the account is in another region."`
	vendorhttp.Access
}

func (c Config) base() string { return cmp.Or(c.URL, "https://api.pagerduty.com") }

// Validate finds what is wrong without I/O.
func (c Config) Validate() error {
	if !strings.Contains(c.From, "@") {
		return errors.New("from is needed: the e-mail address of a user of the account")
	}
	if err := vendorhttp.CheckURL("url", c.base(), true); err != nil {
		return err
	}
	return c.Access.Validate("url", c.base())
}

// Options are what a monitor of the kind pagerduty/window is.
type Options struct {
	Services []string `json:"services" jsonschema:"required,minItems=1,example=PIJ90N7" jsonschema_description:"The ids of the services, which stand in their URLs."`
}

// idForm is what ids look like.
var idForm = regexp.MustCompile(`^[A-Z0-9]+$`)

// Validate finds what is wrong without I/O.
func (o Options) Validate() error {
	if len(o.Services) == 0 {
		return errors.New("services are missing: the ids that stand in their URLs, such as PIJ90N7")
	}
	for _, id := range o.Services {
		if !idForm.MatchString(id) {
			return fmt.Errorf("services: %q is no id; it stands in the service's URL, such as PIJ90N7", id)
		}
	}
	return nil
}

// What is what a window covers: the ids of services, sorted.
type What struct {
	Services []string `json:"services"`
}

func (o Options) what() (What, error) {
	return What{slices.Compact(slices.Sorted(slices.Values(o.Services)))}, nil
}

// textLimit is how long a description may be. PagerDuty does not say; a line fits.
const textLimit = 255

// Driver returns the driver "pagerduty".
func Driver() *driver.Driver {
	return driver.New("pagerduty", "keeps services of PagerDuty quiet by maintenance windows", mute.Connect(kind(), openBook),
		driver.Changes("pagerduty/window.mute", "A maintenance window keeps services from opening incidents until its end", mute.Open[What]),
		driver.Mutes("pagerduty/window", "Services of PagerDuty, by their ids; the name is one of your own", kind().Open),
		driver.FindsTraces(mute.Traces[What]),
	)
}

func kind() mute.Kind[Options, What] {
	return mute.Kind[Options, What]{What: Options.what, Words: mute.Words{Driver: "pagerduty", Word: "window", Seen: "maintenance windows", Limit: textLimit}}
}

func openBook(cfg Config, _ driver.Env) (mute.Book[What], error) {
	client, err := vendorhttp.New(vendorhttp.Options{System: "PagerDuty", Base: cfg.base(), CAFile: cfg.CAFile,
		Headers: map[string]string{"Accept": "application/vnd.pagerduty+json;version=2", "From": cfg.From},
		Keys:    map[string]vendorhttp.Secret{"Authorization": {Prefix: "Token token=", Key: cfg.Key("PAGERDUTY_TOKEN")}}})
	if err != nil {
		return nil, err
	}
	return &book{client, cfg.base()}, nil
}
