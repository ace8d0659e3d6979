package datadog

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/vendorhttp"
)

// Config says how to reach an organisation of Datadog.
type Config struct {
	Site       string `json:"site,omitempty" jsonschema:"default=datadoghq.com,example=datadoghq.eu,example=ap1.datadoghq.com" jsonschema_description:"The site of the organisation."`
	URL        string `json:"url,omitempty" jsonschema_description:"The API, where it is not at api.SITE."`
	APIKeyEnv  string `json:"api_key_env,omitempty" jsonschema:"default=DD_API_KEY" jsonschema_description:"The environment variable that holds the API key."`
	APIKeyFile string `json:"api_key_file,omitempty" jsonschema_description:"The file that holds the API key instead, on one line."`
	AppKeyEnv  string `json:"app_key_env,omitempty" jsonschema:"default=DD_APP_KEY" jsonschema_description:"The environment variable that holds the application key, which has the scopes monitors_downtime and monitors_read."`
	AppKeyFile string `json:"app_key_file,omitempty" jsonschema_description:"The file that holds the application key instead, on one line."`
}

// Pin makes the paths absolute.
func (c *Config) Pin(dir string) error {
	driver.Absolute(dir, &c.APIKeyFile, &c.AppKeyFile)
	return nil
}

func (c Config) base() string {
	return cmp.Or(c.URL, "https://api."+cmp.Or(c.Site, "datadoghq.com"))
}

var siteForm = regexp.MustCompile(`^[a-z0-9.-]+$`)

// Validate finds what is wrong without I/O.
func (c Config) Validate() error {
	switch {
	case c.Site != "" && c.URL != "":
		return errors.New("site and url are both given; keep one")
	case c.Site != "" && !siteForm.MatchString(c.Site):
		return fmt.Errorf("site: %q is no site of Datadog, such as datadoghq.eu", c.Site)
	case c.APIKeyEnv != "" && c.APIKeyFile != "":
		return errors.New("api_key_file and api_key_env are both given; keep one")
	case c.AppKeyEnv != "" && c.AppKeyFile != "":
		return errors.New("app_key_file and app_key_env are both given; keep one")
	}
	return vendorhttp.CheckURL("url", c.base(), true)
}

func (c Config) keys() map[string]vendorhttp.Secret {
	return map[string]vendorhttp.Secret{
		"DD-API-KEY":         {Key: vendorhttp.Key{Env: c.APIKeyEnv, File: c.APIKeyFile, Usual: "DD_API_KEY", Names: [2]string{"api_key_env", "api_key_file"}}},
		"DD-APPLICATION-KEY": {Key: vendorhttp.Key{Env: c.AppKeyEnv, File: c.AppKeyFile, Usual: "DD_APP_KEY", Names: [2]string{"app_key_env", "app_key_file"}}},
	}
}

// Options are what a monitor of the kind datadog/downtime is.
type Options struct {
	MonitorID   int64    `json:"monitor_id,omitempty" jsonschema_description:"The number of one monitor."`
	MonitorTags []string `json:"monitor_tags,omitempty" jsonschema:"example=service:shop" jsonschema_description:"Instead: the monitors that have all of these tags, on the monitor itself and not in its query."`
	Scope       string   `json:"scope,omitempty" jsonschema:"default=*,example=env:prod AND service:shop" jsonschema_description:"Which of their groups are muted."`
}

// Validate finds what is wrong without I/O.
func (o Options) Validate() error {
	switch {
	case o.MonitorID == 0 && len(o.MonitorTags) == 0:
		return errors.New(`say which monitors are muted: monitor_id, or monitor_tags`)
	case o.MonitorID != 0 && len(o.MonitorTags) > 0:
		return errors.New("monitor_id and monitor_tags are both given; keep one")
	case o.MonitorID < 0:
		return errors.New("monitor_id is the number that stands in the monitor's URL")
	case slices.Contains(o.MonitorTags, "*") && (o.Scope == "" || o.Scope == "*"):
		return errors.New("monitor_tags: every monitor of the organisation would be muted; give a scope")
	}
	return nil
}

// What is what a downtime covers.
type What struct {
	MonitorID   int64    `json:"monitor_id,omitempty"`
	MonitorTags []string `json:"monitor_tags,omitempty"`
	Scope       string   `json:"scope"`
}

func (o Options) what() (What, error) {
	tags := slices.Clone(o.MonitorTags)
	slices.Sort(tags)
	return What{MonitorID: o.MonitorID, MonitorTags: slices.Compact(tags), Scope: cmp.Or(o.Scope, "*")}, nil
}
