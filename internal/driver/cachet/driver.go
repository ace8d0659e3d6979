// Package cachet announces closings on a page of Cachet as scheduled maintenance:
// it is in progress while a service is closed, its words move with the closing's
// end, and it is completed when the service is open again.
//
// A schedule of Cachet is complete once the time of its end has passed, and would
// say so of a shop that is still closed. So noren gives it no end before it opens
// the shop, and tells the planned one in its words. While it is in progress Cachet
// shows its components as under maintenance by itself, and afterwards as before.
//
// Source: the source code of Cachet 3 (cachethq/core 9183688b, 2026-08-22), which
// its OpenAPI document is made of.
package cachet

import (
	"cmp"
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/noren-dev/noren/internal/announce"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/vendorhttp"
)

// Config is the section cachet of an environment.
type Config struct {
	URL        string            `json:"url" jsonschema:"required,example=https://status.example.com" jsonschema_description:"Where the page is; its API is below it, at /api."`
	Components map[string]string `json:"components" jsonschema:"required" jsonschema_description:"The number of the component of each service, in quotes, by the services' names in this file. Others are not announced."`
	Quiet      bool              `json:"quiet,omitempty" jsonschema_description:"Do not let Cachet tell its subscribers when a maintenance begins. It tells them of its end all the same."`
	vendorhttp.Access
}

var idForm = regexp.MustCompile(`^[1-9][0-9]{0,17}$`)

// Validate finds what is wrong without I/O.
func (c Config) Validate() error {
	if c.URL == "" {
		return errors.New("url is needed: where the page is, such as https://status.example.com")
	}
	if err := announce.CheckComponents(c.Components, idForm, `"3"`); err != nil {
		return err
	}
	return cmp.Or(vendorhttp.CheckURL("url", c.URL, true), c.Access.Validate("url", c.URL))
}

// ServicesNamed implements driver.ServiceNamer.
func (c Config) ServicesNamed() map[string]string { return announce.ServicesNamed(c.Components) }

// Driver returns the driver "cachet".
func Driver() *driver.Driver {
	return driver.New("cachet", "announces closings on a page of Cachet as scheduled maintenance", connect,
		driver.Changes("cachet/maintenance.announce", "A maintenance of the service is in progress on the status page", openAnnounce),
		driver.Checks("cachet/component.there", "The service's component is on the status page", openThere),
		driver.Announces((*announce.System).Tell),
		driver.FindsTraces(func(ctx context.Context, s *announce.System) (*driver.Traces, error) { return s.Traces(ctx) }),
	)
}

// longestName is of a schedule.
const longestName = 255

func connect(_ context.Context, cfg Config, env driver.Env) (*announce.System, error) {
	base := strings.TrimSuffix(cfg.URL, "/")
	client, err := vendorhttp.New(vendorhttp.Options{System: "Cachet", Base: base + "/api", CAFile: cfg.CAFile,
		Keys: map[string]vendorhttp.Secret{"Authorization": {Prefix: "Bearer ", Key: cfg.Key("CACHET_TOKEN")}}})
	if err != nil {
		return nil, err
	}
	host := regexp.MustCompile(`^https?://`).ReplaceAllString(base, "")
	where := base + "/dashboard/schedules"
	return &announce.System{Book: &book{cfg, env.Name, client, env.Clock()}, Env: env.Name, Action: "cachet/maintenance.announce", Check: "cachet/component.there", Longest: longestName, Where: where,
		Target: func(service string) string { return "cachet:" + host + "/" + service },
		Has:    func(service string) bool { return cfg.Components[service] != "" },
		ByHand: func(e announce.Entry) string { return "Complete it at " + where + "/" + e.ID + "/edit" }}, nil
}

func openAnnounce(s *announce.System, p announce.Params) (driver.Typed[announce.State], error) {
	return s.Open(p), nil
}

func openThere(s *announce.System, p announce.ThereParams) (*announce.There, error) {
	return s.OpenThere(p), nil
}
