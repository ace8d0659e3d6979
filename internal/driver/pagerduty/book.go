package pagerduty

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/mute"
	"github.com/noren-dev/noren/internal/vendorhttp"
)

// book is the maintenance windows of an account.
// Source: PagerDuty/api-schema reference/REST/openapiv3.json.
type book struct {
	http *vendorhttp.Client
	url  string
}

const windows = "/maintenance_windows"

// pageSize is the most windows that are given at a time.
const pageSize = 100

type reference struct {
	ID      string `json:"id"`
	Type    string `json:"type,omitempty"`
	Summary string `json:"summary,omitempty"`
}

type window struct {
	ID          string      `json:"id,omitempty"`
	Type        string      `json:"type"`
	StartTime   time.Time   `json:"start_time"`
	EndTime     time.Time   `json:"end_time"`
	Description string      `json:"description"`
	Services    []reference `json:"services"`
	CreatedBy   *reference  `json:"created_by,omitempty"`
}

// List implements mute.Book: those that go on and those to come.
func (b *book) List(ctx context.Context) ([]mute.Entry[What], error) {
	var out []mute.Entry[What]
	for offset := 0; ; {
		var page struct {
			Windows []window `json:"maintenance_windows"`
			More    bool     `json:"more"`
		}
		query := url.Values{"filter": {"open"}, "limit": {strconv.Itoa(pageSize)}, "offset": {strconv.Itoa(offset)}}
		if err := b.http.Call(ctx, vendorhttp.Request{Method: http.MethodGet, Path: windows, Query: query, What: "its maintenance windows"}, &page); err != nil {
			return nil, err
		}
		for _, w := range page.Windows {
			out = append(out, entry(w))
		}
		offset += len(page.Windows)
		if !page.More || len(page.Windows) == 0 {
			return out, nil
		}
	}
}

func entry(w window) mute.Entry[What] {
	e := mute.Entry[What]{ID: w.ID, Text: w.Description, Since: w.StartTime, Until: w.EndTime}
	for _, s := range w.Services {
		e.What.Services = append(e.What.Services, s.ID)
	}
	slices.Sort(e.What.Services)
	if w.CreatedBy != nil {
		e.By = w.CreatedBy.Summary
	}
	return e
}

func body(e mute.Entry[What]) map[string]window {
	w := window{ID: e.ID, Type: "maintenance_window", StartTime: e.Since.UTC(), EndTime: e.Until.UTC(), Description: e.Text}
	for _, id := range e.What.Services {
		w.Services = append(w.Services, reference{ID: id, Type: "service_reference"})
	}
	return map[string]window{"maintenance_window": w}
}

// Create implements mute.Book. A start that has passed is taken for now.
func (b *book) Create(ctx context.Context, e mute.Entry[What]) error {
	return b.http.Call(ctx, vendorhttp.Request{Method: http.MethodPost, Path: windows, Body: body(e), What: "a maintenance window"}, nil)
}

// Change implements mute.Book. The API takes the whole window.
func (b *book) Change(ctx context.Context, have, want mute.Entry[What]) error {
	want.ID, want.What, want.Since = have.ID, have.What, have.Since
	return b.http.Call(ctx, vendorhttp.Request{Method: http.MethodPut, Path: windows + "/" + url.PathEscape(have.ID), Body: body(want), What: "maintenance window " + have.ID}, nil)
}

// Remove implements mute.Book: a window that goes on ends now. One that has ended
// cannot be deleted any more (405).
func (b *book) Remove(ctx context.Context, e mute.Entry[What]) error {
	err := b.http.Call(ctx, vendorhttp.Request{Method: http.MethodDelete, Path: windows + "/" + url.PathEscape(e.ID), What: "maintenance window " + e.ID}, nil)
	if s := vendorhttp.Status(err); s == http.StatusNotFound || s == http.StatusMethodNotAllowed {
		return nil
	}
	return err
}

// Rings implements mute.Ringer: the open incidents of services. A window opens none;
// those of before it stay.
func (b *book) Rings(ctx context.Context, w What) ([]driver.Ring, error) {
	var page struct {
		Incidents []struct {
			Title     string    `json:"title"`
			CreatedAt time.Time `json:"created_at"`
			Service   reference `json:"service"`
		} `json:"incidents"`
	}
	query := url.Values{"service_ids[]": w.Services, "statuses[]": {"triggered", "acknowledged"}, "limit": {strconv.Itoa(pageSize)}}
	if err := b.http.Call(ctx, vendorhttp.Request{Method: http.MethodGet, Path: "/incidents", Query: query, What: "its incidents"}, &page); err != nil {
		return nil, err
	}
	var out []driver.Ring
	for _, i := range page.Incidents {
		out = append(out, driver.Ring{What: fmt.Sprintf("%s (%s)", i.Title, i.Service.Summary), Since: i.CreatedAt})
	}
	return out, nil
}

// ByHand implements mute.Book.
func (b *book) ByHand(e mute.Entry[What]) string {
	return fmt.Sprintf(`curl -X DELETE -H "Authorization: Token token=$PAGERDUTY_TOKEN" %s/maintenance_windows/%s`, b.url, e.ID)
}

// Look implements mute.Looker.
func (b *book) Look(ctx context.Context, w What) ([]driver.Note, error) {
	for _, id := range w.Services {
		err := b.http.Call(ctx, vendorhttp.Request{Method: http.MethodGet, Path: "/services/" + url.PathEscape(id), What: "service " + id}, nil)
		if vendorhttp.Status(err) == http.StatusNotFound {
			return nil, &fault.Fault{Code: fault.NotFound, Summary: "no such service", Err: err,
				Detail: fmt.Sprintf("PagerDuty has no service %s in this account. The id stands in the service's URL.", id)}
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}
