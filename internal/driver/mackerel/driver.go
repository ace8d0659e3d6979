// Package mackerel keeps Mackerel's monitors quiet by downtimes. See package mute
// for how.
package mackerel

import (
	"cmp"
	"context"
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

func (o Options) what() What {
	sorted := func(all []string) []string { return slices.Compact(slices.Sorted(slices.Values(all))) }
	w := What{Services: sorted(o.Services), Monitors: sorted(o.Monitors)}
	for _, r := range o.Roles {
		w.Roles = append(w.Roles, roleForm.ReplaceAllString(r, "$1: $2"))
	}
	w.Roles = sorted(w.Roles)
	return w
}

// Driver returns the driver "mackerel".
func Driver() *driver.Driver {
	return driver.New("mackerel", "mutes alerts of Mackerel by downtimes", connect,
		driver.Changes("mackerel/downtime.mute", "A downtime keeps alerts quiet until its end", openMute),
		driver.Mutes("mackerel/downtime", "Services, roles or monitors of Mackerel; the name is one of your own", openMonitor),
		driver.FindsTraces(func(ctx context.Context, c *conn) (*driver.Traces, error) { return c.system.Traces(ctx) }),
	)
}

type conn struct {
	book   *book
	system *mute.System[What]
}

// memoLimit is how long a memo may be, as far as is known of Mackerel's memos.
const memoLimit = 250

func connect(_ context.Context, cfg Config, env driver.Env) (*conn, error) {
	client, err := vendorhttp.New(vendorhttp.Options{System: "Mackerel", Base: cfg.base(), CAFile: cfg.CAFile,
		Keys: map[string]vendorhttp.Secret{"X-Api-Key": {Key: cfg.Key("MACKEREL_APIKEY")}}})
	if err != nil {
		return nil, err
	}
	b := &book{http: client, now: env.Clock()}
	return &conn{b, &mute.System[What]{Book: b, Driver: "mackerel", Env: env.Name, Word: "downtime", Seen: "downtimes", Action: "mackerel/downtime.mute",
		Now: env.Clock(), Limit: memoLimit, ByHand: func(e mute.Entry[What]) string {
			return fmt.Sprintf(`curl -X DELETE -H "X-Api-Key: $MACKEREL_APIKEY" %s%s/%s`, cfg.base(), downtimes, e.ID)
		}}}, nil
}

func openMute(c *conn, p mute.Params[What]) (driver.Typed[mute.State[What]], error) {
	return c.system.Open(p), nil
}

func openMonitor(c *conn, name string, o Options) (driver.Monitor, error) {
	w := o.what()
	m := mute.Monitor[What]{System: c.system, Name: name, What: w, Exists: func(ctx context.Context) error { return c.book.exist(ctx, w) }}
	if len(w.Monitors) == 0 { // an alert names its monitor, and not its service
		return &m, nil
	}
	return &mute.RingingMonitor[What]{Monitor: m, Rings: func(ctx context.Context) ([]driver.Ring, error) { return c.book.rings(ctx, w) }}, nil
}
