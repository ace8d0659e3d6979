// Package pagerduty keeps services of PagerDuty from opening incidents by
// maintenance windows. See package mute for how.
package pagerduty

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
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

// Driver returns the driver "pagerduty".
func Driver() *driver.Driver {
	return driver.New("pagerduty", "keeps services of PagerDuty quiet by maintenance windows", connect,
		driver.Changes("pagerduty/window.mute", "A maintenance window keeps services from opening incidents until its end", openMute),
		driver.Mutes("pagerduty/window", "Services of PagerDuty, by their ids; the name is one of your own", openMonitor),
		driver.FindsTraces(func(ctx context.Context, c *conn) (*driver.Traces, error) { return c.system.Traces(ctx) }),
	)
}

type conn struct {
	book   *book
	system *mute.System[What]
}

// textLimit is how long a description may be. PagerDuty does not say; a line fits.
const textLimit = 255

func connect(_ context.Context, cfg Config, env driver.Env) (*conn, error) {
	key := cfg.Key("PAGERDUTY_TOKEN")
	client, err := vendorhttp.New(vendorhttp.Options{System: "PagerDuty", Base: cfg.base(), CAFile: cfg.CAFile,
		Headers: map[string]string{"Accept": "application/vnd.pagerduty+json;version=2", "From": cfg.From},
		Keys:    map[string]vendorhttp.Secret{"Authorization": {Prefix: "Token token=", Key: key}}})
	if err != nil {
		return nil, err
	}
	b := &book{http: client}
	return &conn{b, &mute.System[What]{Book: b, Driver: "pagerduty", Env: env.Name, Word: "window", Seen: "maintenance windows", Action: "pagerduty/window.mute",
		Now: env.Clock(), Limit: textLimit, ByHand: func(e mute.Entry[What]) string {
			return fmt.Sprintf(`curl -X DELETE -H "Authorization: Token token=$PAGERDUTY_TOKEN" %s/maintenance_windows/%s`, cfg.base(), e.ID)
		}}}, nil
}

func openMute(c *conn, p mute.Params[What]) (driver.Typed[mute.State[What]], error) {
	return c.system.Open(p), nil
}

func openMonitor(c *conn, name string, o Options) (driver.Monitor, error) {
	w := What{slices.Compact(slices.Sorted(slices.Values(o.Services)))}
	return &mute.RingingMonitor[What]{
		Monitor: mute.Monitor[What]{System: c.system, Name: name, What: w, Exists: func(ctx context.Context) error { return c.exist(ctx, w) }},
		Rings:   func(ctx context.Context) ([]driver.Ring, error) { return c.book.rings(ctx, w) }}, nil
}

// exist fails where a service does not exist.
func (c *conn) exist(ctx context.Context, w What) error {
	for _, id := range w.Services {
		err := c.book.http.Call(ctx, vendorhttp.Request{Method: http.MethodGet, Path: "/services/" + url.PathEscape(id), What: "service " + id}, nil)
		if vendorhttp.Status(err) == http.StatusNotFound {
			return &fault.Fault{Code: fault.NotFound, Summary: "no such service", Err: err,
				Detail: fmt.Sprintf("PagerDuty has no service %s in this account. The id stands in the service's URL.", id)}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
