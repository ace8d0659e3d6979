package mackerel

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/mute"
	"github.com/noren-dev/noren/internal/vendorhttp"
)

// book is the downtimes of an organisation.
// Source: https://mackerel.io/api-docs/entry/downtimes, mackerel-client-go.
type book struct {
	http *vendorhttp.Client
	url  string
	now  func() time.Time
}

const downtimes = "/api/v0/downtimes"

// A downtime begins at Start, in seconds since 1970, and lasts for Duration, in
// minutes: it always has an end.
type downtime struct {
	ID                   string      `json:"id,omitempty"`
	Name                 string      `json:"name"`
	Memo                 string      `json:"memo,omitempty"`
	Start                int64       `json:"start"`
	Duration             int64       `json:"duration"`
	Recurrence           *recurrence `json:"recurrence,omitempty"`
	ServiceScopes        []string    `json:"serviceScopes,omitempty"`
	ServiceExcludeScopes []string    `json:"serviceExcludeScopes,omitempty"`
	RoleScopes           []string    `json:"roleScopes,omitempty"`
	RoleExcludeScopes    []string    `json:"roleExcludeScopes,omitempty"`
	MonitorScopes        []string    `json:"monitorScopes,omitempty"`
	MonitorExcludeScopes []string    `json:"monitorExcludeScopes,omitempty"`
}

type recurrence struct {
	Type  string `json:"type"`
	Until int64  `json:"until,omitempty"`
}

func (d downtime) end() time.Time { return time.Unix(d.Start+60*d.Duration, 0).UTC() }

// List implements mute.Book. Those that have ended are listed until somebody
// deletes them.
func (b *book) List(ctx context.Context) ([]mute.Entry[What], error) {
	var all struct {
		Downtimes []downtime `json:"downtimes"`
	}
	if err := b.http.Call(ctx, vendorhttp.Request{Method: http.MethodGet, Path: downtimes, What: "its downtimes"}, &all); err != nil {
		return nil, err
	}
	var out []mute.Entry[What]
	for _, d := range all.Downtimes {
		if d.Recurrence == nil && !d.end().After(b.now()) {
			continue
		}
		sorted := func(all []string) []string { return slices.Sorted(slices.Values(all)) }
		out = append(out, mute.Entry[What]{ID: d.ID, Text: strings.TrimSpace(d.Name + "\n" + d.Memo), Since: time.Unix(d.Start, 0).UTC(), Until: d.end(), Recurring: d.Recurrence != nil,
			What: What{Services: sorted(d.ServiceScopes), Roles: sorted(d.RoleScopes), Monitors: sorted(d.MonitorScopes),
				Excluded: len(d.ServiceExcludeScopes)+len(d.RoleExcludeScopes)+len(d.MonitorExcludeScopes) > 0}})
	}
	return out, nil
}

// body is a downtime that goes on now and ends exactly when it is to: it begins at
// the whole number of minutes before that which is now or has just passed.
func (b *book) body(e mute.Entry[What], since time.Time) downtime {
	minutes := int64((e.Until.Sub(since) + time.Minute - 1) / time.Minute)
	return downtime{Name: "noren", Memo: e.Text, Start: e.Until.Unix() - 60*minutes, Duration: minutes,
		ServiceScopes: e.What.Services, RoleScopes: e.What.Roles, MonitorScopes: e.What.Monitors}
}

// Create implements mute.Book.
func (b *book) Create(ctx context.Context, e mute.Entry[What]) error {
	return b.http.Call(ctx, vendorhttp.Request{Method: http.MethodPost, Path: downtimes, Body: b.body(e, b.now()), What: "a downtime"}, nil)
}

// Change implements mute.Book. The API takes the whole downtime.
func (b *book) Change(ctx context.Context, have, want mute.Entry[What]) error {
	want.What = have.What
	return b.http.Call(ctx, vendorhttp.Request{Method: http.MethodPut, Path: downtimes + "/" + url.PathEscape(have.ID), Body: b.body(want, have.Since), What: "downtime " + have.ID}, nil)
}

// Remove implements mute.Book.
func (b *book) Remove(ctx context.Context, e mute.Entry[What]) error {
	err := b.http.Call(ctx, vendorhttp.Request{Method: http.MethodDelete, Path: downtimes + "/" + url.PathEscape(e.ID), What: "downtime " + e.ID}, nil)
	if vendorhttp.Status(err) == http.StatusNotFound {
		return nil
	}
	return err
}

// Look implements mute.Looker.
func (b *book) Look(ctx context.Context, w What) ([]driver.Note, error) {
	var m struct {
		Monitors []struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		} `json:"monitors"`
	}
	var s struct {
		Services []struct {
			Name  string   `json:"name"`
			Roles []string `json:"roles"`
		} `json:"services"`
	}
	if len(w.Monitors) > 0 {
		if err := b.http.Call(ctx, vendorhttp.Request{Method: http.MethodGet, Path: "/api/v0/monitors", What: "its monitors"}, &m); err != nil {
			return nil, err
		}
	}
	if len(w.Services)+len(w.Roles) > 0 {
		if err := b.http.Call(ctx, vendorhttp.Request{Method: http.MethodGet, Path: "/api/v0/services", What: "its services"}, &s); err != nil {
			return nil, err
		}
	}
	var monitors, services, roles []string
	for _, x := range m.Monitors {
		monitors = append(monitors, x.ID)
	}
	for _, x := range s.Services {
		services = append(services, x.Name)
		for _, r := range x.Roles {
			roles = append(roles, x.Name+": "+r)
		}
	}
	for _, part := range []struct {
		what         string
		wanted, have []string
	}{{"monitor", w.Monitors, monitors}, {"service", w.Services, services}, {"role", w.Roles, roles}} {
		for _, name := range part.wanted {
			if !slices.Contains(part.have, name) {
				return nil, missing(part.what, name, part.have)
			}
		}
	}
	return nil, nil
}

func missing(what, name string, have []string) error {
	f := &fault.Fault{Code: fault.NotFound, Summary: "no such " + what, Detail: fmt.Sprintf("Mackerel has no %s %q in this organisation.", what, name)}
	if near := fault.Nearest(name, have); near != "" {
		f.Detail += fmt.Sprintf(" Did you mean %q?", near)
	}
	return f
}

// Rings implements mute.Ringer: the open alerts of monitors.
func (b *book) Rings(ctx context.Context, w What) ([]driver.Ring, error) {
	var all struct {
		Alerts []struct {
			Status    string `json:"status"`
			MonitorID string `json:"monitorId"`
			Message   string `json:"message"`
			OpenedAt  int64  `json:"openedAt"`
		} `json:"alerts"`
	}
	if err := b.http.Call(ctx, vendorhttp.Request{Method: http.MethodGet, Path: "/api/v0/alerts", What: "its alerts"}, &all); err != nil {
		return nil, err
	}
	var out []driver.Ring
	for _, a := range all.Alerts {
		if slices.Contains(w.Monitors, a.MonitorID) && a.Status != "OK" {
			out = append(out, driver.Ring{What: strings.TrimSpace(fmt.Sprintf("%s %s %s", a.Status, a.MonitorID, a.Message)), Since: time.Unix(a.OpenedAt, 0)})
		}
	}
	return out, nil
}

// ByHand implements mute.Book.
func (b *book) ByHand(e mute.Entry[What]) string {
	return fmt.Sprintf(`curl -X DELETE -H "X-Api-Key: $MACKEREL_APIKEY" %s%s/%s`, b.url, downtimes, e.ID)
}
