// Package statuspage announces closings on a page of Statuspage as scheduled
// maintenance: it is in progress while a service is closed, its end moves with the
// closing's, and it is completed when the service is open again.
//
// The state is the maintenance with noren's metadata, and the status of the
// service's component; both are written in one call. Statuspage has no key that
// makes a call idempotent: noren finds its own by the metadata before it makes one.
//
// Source: https://developer.statuspage.io
package statuspage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"time"

	"github.com/noren-dev/noren/internal/announce"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/vendorhttp"
)

// Config is the section statuspage of an environment.
type Config struct {
	Page       string            `json:"page" jsonschema:"required,example=kctbh9vrtdwd" jsonschema_description:"The page's id, as in the address of its settings."`
	KeyEnv     string            `json:"key_env,omitempty" jsonschema:"example=STATUSPAGE_KEY" jsonschema_description:"The environment variable that holds the API key. By default STATUSPAGE_KEY."`
	KeyFile    string            `json:"key_file,omitempty" jsonschema_description:"The file that holds it instead, on one line."`
	Components map[string]string `json:"components" jsonschema:"required" jsonschema_description:"The id of the component of each service, by the services' names in this file. Others are not announced."`
	Quiet      bool              `json:"quiet,omitempty" jsonschema_description:"Do not let Statuspage send its subscribers mails."`
	URL        string            `json:"url,omitempty" jsonschema_description:"Where the API is. By default https://api.statuspage.io/v1."`
}

const (
	apiURL   = "https://api.statuspage.io/v1"
	usualKey = "STATUSPAGE_KEY"
)

var idForm = regexp.MustCompile(`^[A-Za-z0-9]+$`)

// Pin makes the path absolute.
func (c *Config) Pin(dir string) error {
	driver.Absolute(dir, &c.KeyFile)
	return nil
}

// Validate finds what is wrong without I/O.
func (c Config) Validate() error {
	if !idForm.MatchString(c.Page) {
		return fmt.Errorf("page: %q is no id of a page, such as kctbh9vrtdwd", c.Page)
	}
	if err := announce.CheckComponents(c.Components, idForm, "8kbf7d35c070"); err != nil {
		return err
	}
	if c.KeyEnv != "" && c.KeyFile != "" {
		return errors.New("key_file and key_env are both given; keep one")
	}
	return vendorhttp.CheckURL("url", cmp.Or(c.URL, apiURL), true)
}

// ServicesNamed implements driver.ServiceNamer.
func (c Config) ServicesNamed() map[string]string { return announce.ServicesNamed(c.Components) }

// Driver returns the driver "statuspage".
func Driver() *driver.Driver {
	return driver.New("statuspage", "announces closings on Statuspage as scheduled maintenance", connect,
		driver.Changes("statuspage/maintenance.announce", "A maintenance of the service is in progress on the status page", openAnnounce),
		driver.Checks("statuspage/component.there", "The service's component is on the status page, and noren may read it", openThere),
		driver.Announces((*announce.System).Tell),
		driver.FindsTraces(func(ctx context.Context, s *announce.System) (*driver.Traces, error) { return s.Traces(ctx) }),
	)
}

// pace is what Statuspage takes: a call a second, over a minute. More are refused
// with 420. Source: https://developer.statuspage.io (rate limiting).
var pace = vendorhttp.Pace{Calls: 60, Per: time.Minute}

// longestName is of a maintenance.
const longestName = 250

func connect(_ context.Context, cfg Config, env driver.Env) (*announce.System, error) {
	key := vendorhttp.Key{Env: cfg.KeyEnv, File: cfg.KeyFile, Usual: usualKey, Names: [2]string{"key_env", "key_file"}}
	client, err := vendorhttp.New(vendorhttp.Options{System: "Statuspage", Base: cmp.Or(cfg.URL, apiURL) + "/pages/" + url.PathEscape(cfg.Page),
		Keys: map[string]vendorhttp.Secret{"Authorization": {Prefix: "OAuth ", Key: key}}, Pace: pace})
	if err != nil {
		return nil, err
	}
	where := "https://manage.statuspage.io/pages/" + cfg.Page + "/incidents"
	return &announce.System{Book: &book{cfg: cfg, env: env.Name, client: client}, Env: env.Name, Action: "statuspage/maintenance.announce", Check: "statuspage/component.there", During: underMaintenance, Longest: longestName, Where: where,
		Target: func(service string) string { return "statuspage:" + cfg.Page + "/" + service },
		Has:    func(service string) bool { return cfg.Components[service] != "" },
		ByHand: func(e announce.Entry) string { return "Complete it at " + where + "/" + e.ID }}, nil
}

func openAnnounce(s *announce.System, p announce.Params) (driver.Typed[announce.State], error) {
	return s.Open(p), nil
}

func openThere(s *announce.System, p announce.ThereParams) (*announce.There, error) {
	return s.OpenThere(p), nil
}
