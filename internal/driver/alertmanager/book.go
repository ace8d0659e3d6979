package alertmanager

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/mute"
	"github.com/noren-dev/noren/internal/vendorhttp"
)

// book is the silences of an Alertmanager, by its API v2, which Grafana speaks too.
// Source: prometheus/alertmanager api/v2/openapi.yaml.
type book struct {
	http *vendorhttp.Client
	url  string
}

// A silence as the API writes it.
type silence struct {
	ID        string    `json:"id,omitempty"`
	Matchers  []matcher `json:"matchers"`
	StartsAt  time.Time `json:"startsAt"`
	EndsAt    time.Time `json:"endsAt"`
	CreatedBy string    `json:"createdBy"`
	Comment   string    `json:"comment"`
	Status    *struct {
		State string `json:"state"`
	} `json:"status,omitempty"`
}

// List implements mute.Book. Expired silences stay for days; they are over.
func (b *book) List(ctx context.Context) ([]mute.Entry[What], error) {
	var all []silence
	if err := b.http.Call(ctx, vendorhttp.Request{Method: http.MethodGet, Path: "/api/v2/silences", What: "its silences"}, &all); err != nil {
		return nil, err
	}
	var out []mute.Entry[What]
	for _, s := range all {
		if s.Status != nil && s.Status.State == "expired" {
			continue
		}
		var w What
		for _, m := range s.Matchers {
			w.Matchers = append(w.Matchers, m.String())
		}
		slices.Sort(w.Matchers)
		out = append(out, mute.Entry[What]{ID: s.ID, Text: s.Comment, By: s.CreatedBy, What: w, Since: s.StartsAt, Until: s.EndsAt})
	}
	return out, nil
}

// Create implements mute.Book.
func (b *book) Create(ctx context.Context, e mute.Entry[What]) error { return b.post(ctx, e) }

// Change implements mute.Book. With the matchers and the start of the silence that
// has the id, the server changes it in place; else it would make a second.
func (b *book) Change(ctx context.Context, have, want mute.Entry[What]) error {
	want.ID, want.What, want.Since = have.ID, have.What, have.Since
	return b.post(ctx, want)
}

func (b *book) post(ctx context.Context, e mute.Entry[What]) error {
	s := silence{ID: e.ID, StartsAt: e.Since, EndsAt: e.Until, CreatedBy: "noren", Comment: e.Text}
	for _, text := range e.What.Matchers {
		m, err := parseMatcher(text)
		if err != nil {
			return err
		}
		s.Matchers = append(s.Matchers, m)
	}
	var made struct {
		SilenceID string `json:"silenceID"`
	}
	return b.http.Call(ctx, vendorhttp.Request{Method: http.MethodPost, Path: "/api/v2/silences", Body: s, What: "a silence"}, &made)
}

// Remove implements mute.Book.
func (b *book) Remove(ctx context.Context, e mute.Entry[What]) error {
	err := b.http.Call(ctx, vendorhttp.Request{Method: http.MethodDelete, Path: "/api/v2/silence/" + url.PathEscape(e.ID), What: "silence " + e.ID}, nil)
	if vendorhttp.Status(err) == http.StatusNotFound {
		return nil
	}
	return err
}

// ByHand implements mute.Book.
func (b *book) ByHand(e mute.Entry[What]) string {
	return fmt.Sprintf("curl -X DELETE %s/api/v2/silence/%s     # %s", b.url, e.ID, strings.Join(e.What.Matchers, ", "))
}

// Rings implements mute.Ringer: the alerts that the matchers match.
func (b *book) Rings(ctx context.Context, w What) ([]driver.Ring, error) {
	var all []struct {
		Labels   map[string]string `json:"labels"`
		StartsAt time.Time         `json:"startsAt"`
		Status   struct {
			State string `json:"state"`
		} `json:"status"`
	}
	query := url.Values{"filter": w.Matchers, "inhibited": {"false"}}
	if err := b.http.Call(ctx, vendorhttp.Request{Method: http.MethodGet, Path: "/api/v2/alerts", Query: query, What: "its alerts"}, &all); err != nil {
		return nil, err
	}
	var out []driver.Ring
	for _, a := range all {
		name := cmp.Or(a.Labels["alertname"], "an alert")
		if on := cmp.Or(a.Labels["service"], a.Labels["job"], a.Labels["instance"]); on != "" {
			name = fmt.Sprintf("%s (%s)", name, on)
		}
		out = append(out, driver.Ring{What: name, Since: a.StartsAt, Muted: a.Status.State == "suppressed"})
	}
	return out, nil
}
