package datadog

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/noren-dev/noren/internal/mute"
	"github.com/noren-dev/noren/internal/vendorhttp"
)

// book is the downtimes of an organisation, by version 2 of the API.
// Source: https://docs.datadoghq.com/api/latest/downtimes/ and
// DataDog/datadog-api-client-go, api/datadogV2.
type book struct {
	http *vendorhttp.Client
	url  string
}

const downtimes = "/api/v2/downtime"

// pageSize is how many downtimes are asked for at a time. A server that gives
// fewer is asked on from what it gave.
const pageSize = 100

type attributes struct {
	Message    *string     `json:"message,omitempty"`
	Scope      string      `json:"scope,omitempty"`
	Identifier *identifier `json:"monitor_identifier,omitempty"`
	Schedule   *schedule   `json:"schedule,omitempty"`
	// MuteFirst keeps the recovery of an alert that began in the downtime quiet.
	MuteFirst bool `json:"mute_first_recovery_notification,omitempty"`
	// Status and Created are the server's.
	Status  string    `json:"status,omitempty"`
	Created time.Time `json:"created,omitzero"`
}

type identifier struct {
	MonitorID   int64    `json:"monitor_id,omitempty"`
	MonitorTags []string `json:"monitor_tags,omitempty"`
}

// A schedule is for once, or has recurrences. Without an end it is for ever.
type schedule struct {
	Start *time.Time `json:"start,omitempty"`
	End   *time.Time `json:"end,omitempty"`
	// Recurrences are only read.
	Recurrences []any `json:"recurrences,omitempty"`
}

type resource struct {
	ID            string     `json:"id,omitempty"`
	Type          string     `json:"type"`
	Attributes    attributes `json:"attributes"`
	Relationships *struct {
		CreatedBy struct {
			Data *struct {
				ID string `json:"id"`
			} `json:"data"`
		} `json:"created_by"`
	} `json:"relationships,omitempty"`
}

type list struct {
	Data     []resource `json:"data"`
	Included []struct {
		ID         string `json:"id"`
		Type       string `json:"type"`
		Attributes struct {
			Name  string `json:"name"`
			Email string `json:"email"`
		} `json:"attributes"`
	} `json:"included"`
}

// List implements mute.Book. Downtimes that were cancelled are listed for two more
// days; they are over.
func (b *book) List(ctx context.Context) ([]mute.Entry[What], error) {
	var out []mute.Entry[What]
	for offset := 0; ; {
		var page list
		query := url.Values{"page[offset]": {strconv.Itoa(offset)}, "page[limit]": {strconv.Itoa(pageSize)}, "include": {"created_by"}}
		if err := b.http.Call(ctx, vendorhttp.Request{Method: http.MethodGet, Path: downtimes, Query: query, What: "its downtimes"}, &page); err != nil {
			return nil, err
		}
		if len(page.Data) == 0 {
			return out, nil
		}
		for _, r := range page.Data {
			if s := r.Attributes.Status; s != "ended" && s != "canceled" {
				out = append(out, page.entry(r))
			}
		}
		offset += len(page.Data)
	}
}

func (l list) entry(r resource) mute.Entry[What] {
	a := r.Attributes
	e := mute.Entry[What]{ID: r.ID, Since: a.Created, What: What{Scope: a.Scope}}
	if a.Message != nil {
		e.Text = *a.Message
	}
	if i := a.Identifier; i != nil {
		e.What.MonitorID, e.What.MonitorTags = i.MonitorID, slices.Sorted(slices.Values(i.MonitorTags))
	}
	if s := a.Schedule; s != nil {
		e.Recurring = len(s.Recurrences) > 0
		if s.Start != nil {
			e.Since = *s.Start
		}
		if s.End != nil {
			e.Until = *s.End
		}
	}
	if r.Relationships == nil || r.Relationships.CreatedBy.Data == nil {
		return e
	}
	for _, i := range l.Included {
		if i.ID == r.Relationships.CreatedBy.Data.ID {
			e.By = cmp.Or(i.Attributes.Name, i.Attributes.Email)
		}
	}
	return e
}

// Create implements mute.Book. Without a start, the downtime begins at once.
func (b *book) Create(ctx context.Context, e mute.Entry[What]) error {
	a := attributes{Message: &e.Text, Scope: e.What.Scope, Schedule: until(e.Until), MuteFirst: true,
		Identifier: &identifier{MonitorID: e.What.MonitorID, MonitorTags: e.What.MonitorTags}}
	return b.http.Call(ctx, vendorhttp.Request{Method: http.MethodPost, Path: downtimes, What: "a downtime",
		Body: map[string]resource{"data": {Type: "downtime", Attributes: a}}}, nil)
}

// Change implements mute.Book. What is left out stays as it is.
func (b *book) Change(ctx context.Context, have, want mute.Entry[What]) error {
	return b.http.Call(ctx, vendorhttp.Request{Method: http.MethodPatch, Path: downtimes + "/" + url.PathEscape(have.ID), What: "downtime " + have.ID,
		Body: map[string]resource{"data": {ID: have.ID, Type: "downtime", Attributes: attributes{Message: &want.Text, Schedule: until(want.Until)}}}}, nil)
}

// until is a schedule that has begun. Times have the offset zero, as the API asks.
func until(t time.Time) *schedule {
	end := t.UTC()
	return &schedule{End: &end}
}

// Remove implements mute.Book.
func (b *book) Remove(ctx context.Context, e mute.Entry[What]) error {
	err := b.http.Call(ctx, vendorhttp.Request{Method: http.MethodDelete, Path: downtimes + "/" + url.PathEscape(e.ID), What: "downtime " + e.ID}, nil)
	if vendorhttp.Status(err) == http.StatusNotFound {
		return nil
	}
	return err
}

// ByHand implements mute.Book.
func (b *book) ByHand(e mute.Entry[What]) string {
	return fmt.Sprintf(`curl -X DELETE -H "DD-API-KEY: $DD_API_KEY" -H "DD-APPLICATION-KEY: $DD_APP_KEY" %s%s/%s`, b.url, downtimes, e.ID)
}
