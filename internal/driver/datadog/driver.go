// Package datadog keeps Datadog's monitors quiet by downtimes. See package mute
// for how.
package datadog

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/mute"
	"github.com/noren-dev/noren/internal/vendorhttp"
)

// Driver returns the driver "datadog".
func Driver() *driver.Driver {
	return driver.New("datadog", "mutes monitors of Datadog by downtimes", connect,
		driver.Changes("datadog/downtime.mute", "A downtime keeps monitors quiet until its end", openMute),
		driver.Mutes("datadog/downtime", "One monitor by its number, or several by their tags; the name is one of your own", openMonitor),
		driver.FindsTraces(func(ctx context.Context, c *conn) (*driver.Traces, error) { return c.system.Traces(ctx) }),
	)
}

type conn struct {
	book   *book
	system *mute.System[What]
}

func connect(_ context.Context, cfg Config, env driver.Env) (*conn, error) {
	client, err := vendorhttp.New(vendorhttp.Options{System: "Datadog", Base: cfg.base(), Keys: cfg.keys()})
	if err != nil {
		return nil, err
	}
	b := &book{http: client}
	return &conn{b, &mute.System[What]{Book: b, Driver: "datadog", Env: env.Name, Word: "downtime", Seen: "downtimes", Action: "datadog/downtime.mute",
		// An @ in a message would call whoever is named after it.
		Now: env.Clock(), Forbidden: "@{}", ByHand: func(e mute.Entry[What]) string {
			return fmt.Sprintf(`curl -X DELETE -H "DD-API-KEY: $DD_API_KEY" -H "DD-APPLICATION-KEY: $DD_APP_KEY" %s%s/%s`, cfg.base(), downtimes, e.ID)
		}}}, nil
}

func openMute(c *conn, p mute.Params[What]) (driver.Typed[mute.State[What]], error) {
	return c.system.Open(p), nil
}

func openMonitor(c *conn, name string, o Options) (driver.Monitor, error) {
	w := o.what()
	return &mute.RingingMonitor[What]{
		Monitor: mute.Monitor[What]{System: c.system, Name: name, What: w, Exists: func(ctx context.Context) error {
			_, err := c.monitors(ctx, w)
			return err
		}},
		Rings: func(ctx context.Context) ([]driver.Ring, error) { return c.rings(ctx, w) }}, nil
}

// A monitor of version 1 of the API, which has no other.
// Source: https://docs.datadoghq.com/api/latest/monitors/
type monitor struct {
	ID       int64     `json:"id"`
	Name     string    `json:"name"`
	State    string    `json:"overall_state"`
	Modified time.Time `json:"overall_state_modified"`
	Matching []any     `json:"matching_downtimes"`
}

// monitors are those that a downtime covers. That there is none is a fault of code
// NotFound.
func (c *conn) monitors(ctx context.Context, w What) ([]monitor, error) {
	if w.MonitorID != 0 {
		var m monitor
		err := c.book.http.Call(ctx, vendorhttp.Request{Method: http.MethodGet, Path: "/api/v1/monitor/" + strconv.FormatInt(w.MonitorID, 10),
			Query: url.Values{"with_downtimes": {"true"}}, What: fmt.Sprintf("monitor %d", w.MonitorID)}, &m)
		if vendorhttp.Status(err) == http.StatusNotFound {
			return nil, &fault.Fault{Code: fault.NotFound, Summary: "no such monitor", Err: err,
				Detail: fmt.Sprintf("Datadog has no monitor %d in this organisation. The number stands in the monitor's URL.", w.MonitorID)}
		}
		return []monitor{m}, err
	}
	query := url.Values{"with_downtimes": {"true"}}
	if tags := strings.Join(w.MonitorTags, ","); tags != "*" {
		query.Set("monitor_tags", tags)
	}
	var all []monitor
	if err := c.book.http.Call(ctx, vendorhttp.Request{Method: http.MethodGet, Path: "/api/v1/monitor", Query: query, What: "its monitors"}, &all); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, &fault.Fault{Code: fault.NotFound, Summary: "no such monitor",
			Detail: fmt.Sprintf("No monitor in this organisation of Datadog has the tags %s. They are those of monitors, not of their queries.", strings.Join(w.MonitorTags, ", "))}
	}
	return all, nil
}

func (c *conn) rings(ctx context.Context, w What) ([]driver.Ring, error) {
	all, err := c.monitors(ctx, w)
	var out []driver.Ring
	for _, m := range all {
		if m.State == "Alert" {
			out = append(out, driver.Ring{What: cmp.Or(m.Name, strconv.FormatInt(m.ID, 10)), Since: m.Modified, Muted: len(m.Matching) > 0})
		}
	}
	return out, err
}
