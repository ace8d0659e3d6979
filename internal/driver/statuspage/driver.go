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
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/action"
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
	if len(c.Components) == 0 {
		return errors.New("components: name the component of at least one service, such as components: {shop: 8kbf7d35c070}")
	}
	seen := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(c.Components)) {
		id := c.Components[name]
		if !idForm.MatchString(id) {
			return fmt.Errorf("components: %q of %s is no id of a component, such as 8kbf7d35c070", id, name)
		}
		if other := seen[id]; other != "" {
			return fmt.Errorf("components: %s and %s have one component: opening one would call the other open", other, name)
		}
		seen[id] = name
	}
	if c.KeyEnv != "" && c.KeyFile != "" {
		return errors.New("key_file and key_env are both given; keep one")
	}
	return vendorhttp.CheckURL("url", cmp.Or(c.URL, apiURL), true)
}

// ServicesNamed implements driver.ServiceNamer.
func (c Config) ServicesNamed() map[string]string {
	named := map[string]string{}
	for name := range c.Components {
		named["components."+name] = name
	}
	return named
}

// Driver returns the driver "statuspage".
func Driver() *driver.Driver {
	return driver.New("statuspage", "announces closings on Statuspage as scheduled maintenance", connect,
		driver.Changes("statuspage/maintenance.announce", "A maintenance of the service is in progress on the status page", openAnnounce),
		driver.Checks("statuspage/component.there", "The service's component is on the status page, and noren may read it", openThere),
		driver.Announces(tell),
		driver.FindsTraces(findTraces),
	)
}

type conn struct {
	cfg    Config
	env    string
	client *vendorhttp.Client
}

func connect(_ context.Context, cfg Config, env driver.Env) (*conn, error) {
	key := vendorhttp.Key{Env: cfg.KeyEnv, File: cfg.KeyFile, Usual: usualKey, Names: [2]string{"key_env", "key_file"}}
	client, err := vendorhttp.New(vendorhttp.Options{System: "Statuspage", Base: cmp.Or(cfg.URL, apiURL) + "/pages/" + url.PathEscape(cfg.Page),
		Keys: map[string]vendorhttp.Secret{"Authorization": {Prefix: "OAuth ", Key: key}}})
	if err != nil {
		return nil, err
	}
	return &conn{cfg, env.Name, client}, nil
}

func (c *conn) target(service string) string { return "statuspage:" + c.cfg.Page + "/" + service }

// longestName is of a maintenance.
const longestName = 250

// tell announces the services that have a component.
func tell(c *conn, a driver.Announcement) (driver.Telling, error) {
	if c.cfg.Components[a.Service] == "" {
		return driver.Telling{}, nil
	}
	p := AnnounceParams{Service: a.Service, Since: a.Since.UTC().Truncate(time.Second), Until: a.Until.UTC().Truncate(time.Second), Name: a.Words[a.Lang].Title + " (" + a.Service + ")"}
	if a.Until.IsZero() {
		p.Until = time.Time{}
	}
	if runes := []rune(p.Name); len(runes) > longestName {
		p.Name = string(runes[:longestName])
	}
	langs := slices.Sorted(maps.Keys(a.Words))
	slices.SortStableFunc(langs, func(x, y string) int { return rank(x, a.Lang) - rank(y, a.Lang) })
	var texts []string
	for _, lang := range langs {
		texts = append(texts, strings.TrimSpace(a.Words[lang].Title+"\n"+a.Words[lang].Detail))
	}
	p.Body = strings.Join(texts, "\n\n")
	return driver.Telling{
		Checks: []driver.Call{{Action: "statuspage/component.there", Params: ThereParams{Service: a.Service}}},
		Calls:  []driver.Call{{Action: "statuspage/maintenance.announce", Params: p}},
	}, nil
}

// rank puts the main language first.
func rank(lang, first string) int {
	if lang == first {
		return 0
	}
	return 1
}

// ThereParams are the parameters of statuspage/component.there.
type ThereParams struct {
	Service string `json:"service" jsonschema_description:"The service, as noren.yaml names it."`
}

type there struct {
	c       *conn
	service string
}

func openThere(c *conn, p ThereParams) (*there, error) { return &there{c, p.Service}, nil }

// Target names the component.
func (t *there) Target() string { return t.c.target(t.service) }

// Check reads the component.
func (t *there) Check(ctx context.Context) (action.Verdict, error) {
	status, err := t.c.component(ctx, t.service)
	if err != nil {
		return action.Verdict{}, err
	}
	return action.Verdict{OK: true, Summary: t.service + " is " + status + " on the status page"}, nil
}

func (c *conn) component(ctx context.Context, service string) (string, error) {
	var found struct {
		Status string `json:"status"`
	}
	id := c.cfg.Components[service]
	if id == "" {
		return "", fmt.Errorf("statuspage: %s has no component in noren.yaml", service)
	}
	err := c.client.Call(ctx, vendorhttp.Request{Method: http.MethodGet, Path: "/components/" + url.PathEscape(id), What: "the component " + id + " of " + service}, &found)
	return found.Status, err
}
