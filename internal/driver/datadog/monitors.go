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
	"github.com/noren-dev/noren/internal/vendorhttp"
)

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
func (b *book) monitors(ctx context.Context, w What) ([]monitor, error) {
	if w.MonitorID != 0 {
		var m monitor
		err := b.http.Call(ctx, vendorhttp.Request{Method: http.MethodGet, Path: "/api/v1/monitor/" + strconv.FormatInt(w.MonitorID, 10),
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
	if err := b.http.Call(ctx, vendorhttp.Request{Method: http.MethodGet, Path: "/api/v1/monitor", Query: query, What: "its monitors"}, &all); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, &fault.Fault{Code: fault.NotFound, Summary: "no such monitor",
			Detail: fmt.Sprintf("No monitor in this organisation of Datadog has the tags %s. They are those of monitors, not of their queries.", strings.Join(w.MonitorTags, ", "))}
	}
	return all, nil
}

// Look implements mute.Looker.
func (b *book) Look(ctx context.Context, w What) ([]driver.Note, error) {
	_, err := b.monitors(ctx, w)
	return nil, err
}

// Rings implements mute.Ringer: the monitors that are in alert.
func (b *book) Rings(ctx context.Context, w What) ([]driver.Ring, error) {
	all, err := b.monitors(ctx, w)
	var out []driver.Ring
	for _, m := range all {
		if m.State == "Alert" {
			out = append(out, driver.Ring{What: cmp.Or(m.Name, strconv.FormatInt(m.ID, 10)), Since: m.Modified, Muted: len(m.Matching) > 0})
		}
	}
	return out, err
}
