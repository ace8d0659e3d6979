// Package mackerel keeps Mackerel's monitors quiet by downtimes. See package mute
// for how.
package mackerel

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/mute"
	"github.com/noren-dev/noren/internal/vendorhttp"
)

// Config says how to reach an organisation of Mackerel.
type Config struct {
	URL string `json:"url,omitempty" jsonschema:"default=https://api.mackerelio.com" jsonschema_description:"The API, where it is elsewhere, as for a proxy."`
	vendorhttp.Access
}

func (c Config) base() string { return cmp.Or(c.URL, "https://api.mackerelio.com") }

// Validate finds what is wrong without I/O.
func (c Config) Validate() error {
	if err := vendorhttp.CheckURL("url", c.base(), true); err != nil {
		return err
	}
	return c.Access.Validate("url", c.base())
}

// Options are what a monitor of the kind mackerel/downtime is.
type Options struct {
	Services []string `json:"services,omitempty" jsonschema:"example=shop" jsonschema_description:"Services of Mackerel, all of whose alerts are muted."`
	Roles    []string `json:"roles,omitempty" jsonschema:"example=shop: worker" jsonschema_description:"Roles, as service: role."`
	Monitors []string `json:"monitors,omitempty" jsonschema:"example=2cSZzK3XfmG" jsonschema_description:"Monitors, by their ids. With services or roles beside them, only their alerts there."`
}

// roleForm is a role's full name.
var roleForm = regexp.MustCompile(`^([A-Za-z0-9_-]+):\s*([A-Za-z0-9_-]+)$`)

// Validate finds what is wrong without I/O.
func (o Options) Validate() error {
	if len(o.Services)+len(o.Roles)+len(o.Monitors) == 0 {
		return errors.New("say what is muted: services, roles or monitors. Without any, Mackerel would mute the whole organisation")
	}
	for _, r := range o.Roles {
		if !roleForm.MatchString(r) {
			return fmt.Errorf("roles: %q is no role; it is written as service: role, such as shop: worker, in quotes", r)
		}
	}
	return nil
}

// What is what a downtime covers, each sorted.
type What struct {
	Services []string `json:"services,omitempty"`
	Roles    []string `json:"roles,omitempty"`
	Monitors []string `json:"monitors,omitempty"`
	// Excluded is set where a colleague's downtime leaves something out; noren's
	// never do.
	Excluded bool `json:"excluded,omitempty"`
}

func (o Options) what() (What, error) {
	sorted := func(all []string) []string { return slices.Compact(slices.Sorted(slices.Values(all))) }
	w := What{Services: sorted(o.Services), Monitors: sorted(o.Monitors)}
	for _, r := range o.Roles {
		w.Roles = append(w.Roles, roleForm.ReplaceAllString(r, "$1: $2"))
	}
	w.Roles = sorted(w.Roles)
	return w, nil
}

// memoLimit is how long a memo may be, as far as is known of Mackerel's memos.
const memoLimit = 250

// Driver returns the driver "mackerel".
func Driver() *driver.Driver {
	return driver.New("mackerel", "mutes alerts of Mackerel by downtimes", mute.Connect(kind(), openBook),
		driver.Changes("mackerel/downtime.mute", "A downtime keeps alerts quiet until its end", mute.Open[What]),
		driver.Mutes("mackerel/downtime", "Services, roles or monitors of Mackerel; the name is one of your own", kind().Open),
		driver.FindsTraces(mute.Traces[What]),
	)
}

func kind() mute.Kind[Options, What] {
	return mute.Kind[Options, What]{What: Options.what, Words: mute.Words{Driver: "mackerel", Word: "downtime", Seen: "downtimes", Limit: memoLimit},
		// An alert names its monitor, and not its service.
		Mum: func(w What) bool { return len(w.Monitors) == 0 }}
}

func openBook(cfg Config, env driver.Env) (mute.Book[What], error) {
	client, err := vendorhttp.New(vendorhttp.Options{System: "Mackerel", Base: cfg.base(), CAFile: cfg.CAFile,
		Keys: map[string]vendorhttp.Secret{"X-Api-Key": {Key: cfg.Key("MACKEREL_APIKEY")}}})
	if err != nil {
		return nil, err
	}
	return &book{client, cfg.base(), env.Clock()}, nil
}
