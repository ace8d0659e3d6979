package alertmanager

import (
	"errors"
	"strings"

	"github.com/noren-dev/noren/internal/vendorhttp"
)

// Config says how to reach an Alertmanager, or Grafana's.
type Config struct {
	URL string `json:"url" jsonschema:"required,example=http://alertmanager.monitoring:9093,example=https://grafana.example.com/api/alertmanager/grafana" jsonschema_description:"The Alertmanager, with its prefix if it has one. Grafana's own is at /api/alertmanager/grafana of Grafana."`
	Org int    `json:"org,omitempty" jsonschema_description:"The number of the organisation, where Grafana has several."`
	vendorhttp.Access
}

// Validate finds what is wrong without I/O.
func (c Config) Validate() error {
	if c.URL == "" {
		return errors.New("url is missing: that of the Alertmanager, such as http://127.0.0.1:9093")
	}
	if err := c.Access.Validate("url", c.URL); err != nil {
		return err
	}
	if strings.HasSuffix(strings.TrimSuffix(c.URL, "/"), "/api/v2") {
		return errors.New("url: leave out /api/v2, which noren adds")
	}
	return nil
}
