package gate

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/gate/gateapi"
)

// discover lists the gate's doors for init.
func discover(ctx context.Context, c *client) (*driver.Discovery, error) {
	g, err := c.gate(ctx)
	if err != nil {
		return nil, err
	}
	found := &driver.Discovery{}
	for _, d := range g.Doors {
		found.Entrances = append(found.Entrances, driver.Found{
			Kind: "gate/door", Name: d.Name, Service: d.Name,
			Hosts: d.Hosts, Health: healthURLs(d), API: looksLikeAPI(d),
			Class: "noren's gate",
		})
		if d.Closed != nil {
			found.Notes = append(found.Notes, fmt.Sprintf("Door %s of the gate at %s is closed now%s.", d.Name, c.admin, byWhom(d)))
		}
	}
	return found, nil
}

// healthURLs are the health path under each URL of the door.
func healthURLs(d gateapi.Door) []string {
	if d.Health == "" {
		return nil
	}
	health, err := url.Parse(d.Health)
	if err != nil {
		return nil
	}
	var out []string
	for _, u := range d.URLs {
		if base, err := url.Parse(u); err == nil {
			out = append(out, base.ResolveReference(health).String())
		}
	}
	return out
}

func looksLikeAPI(d gateapi.Door) bool {
	if strings.Contains(d.Name, "api") {
		return true
	}
	for _, h := range d.Hosts {
		if strings.HasPrefix(h, "api.") || strings.HasPrefix(h, "api-") {
			return true
		}
	}
	return false
}
