package cachet

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/announce"
	"github.com/noren-dev/noren/internal/vendorhttp"
)

// book is the schedules of a page.
type book struct {
	cfg    Config
	env    string
	client *vendorhttp.Client
	now    func() time.Time
}

// What Cachet's numbers mean, of a schedule and of a component.
const (
	upcoming         = 0 // also for the second in which it was made
	inProgress       = 1
	underMaintenance = 6
)

// pageSize is how many schedules are asked for at a time.
const pageSize = 100

// A schedule is a maintenance as Cachet gives it. Its times come without a zone, and
// are not read: noren's own are in the tag.
type schedule struct {
	ID         string `json:"id"`
	Attributes struct {
		Name    string `json:"name"`
		Message string `json:"message"`
		Status  struct {
			Value int `json:"value"`
		} `json:"status"`
	} `json:"attributes"`
}

// tagForm is how noren finds its own: a definition of Markdown that nothing refers
// to, which Cachet does not show. Its title is when the maintenance began and is
// expected to end, or that noren has completed it.
var tagForm = regexp.MustCompile(`(?m)^\[noren:([^:\[\]\s]*):([^:\[\]\s]*)\]: # "([^"]*)"$`)

// done is the title of one that is completed: by Cachet's clock it may still be in
// progress for a moment.
const done = "done"

func (b *book) tag(service, title string) string {
	return fmt.Sprintf(`[noren:%s:%s]: # %q`, url.QueryEscape(b.env), url.QueryEscape(service), title)
}

func (b *book) message(e announce.Entry, body string) string {
	return strings.TrimSpace(body) + "\n\n" + b.tag(e.Service, stamp(e.Since)+"/"+stamp(e.Until))
}

// entry reads a schedule; not ok if it is none of noren's in this environment that
// is in progress.
func (b *book) entry(s schedule) (e announce.Entry, ok bool) {
	m := tagForm.FindStringSubmatch(s.Attributes.Message)
	if m == nil || s.Attributes.Status.Value != inProgress && s.Attributes.Status.Value != upcoming {
		return e, false
	}
	env, errEnv := url.QueryUnescape(m[1])
	service, errService := url.QueryUnescape(m[2])
	from, to, _ := strings.Cut(m[3], "/")
	since, errSince := time.Parse(time.RFC3339, from)
	until, errUntil := time.Parse(time.RFC3339, to)
	if errEnv != nil || errService != nil || errSince != nil || errUntil != nil || env != b.env {
		return e, false
	}
	return announce.Entry{ID: s.ID, Service: service, Name: s.Attributes.Name, Since: since, Until: until}, true
}

// List implements announce.Book.
func (b *book) List(ctx context.Context) ([]announce.Entry, error) {
	var mine []announce.Entry
	for page := 1; ; page++ {
		var got struct {
			Data []schedule `json:"data"`
		}
		query := url.Values{"filter[status]": {fmt.Sprintf("%d,%d", upcoming, inProgress)}, "sort": {"id"}, "per_page": {strconv.Itoa(pageSize)}, "page": {strconv.Itoa(page)}}
		if err := b.client.Call(ctx, vendorhttp.Request{Method: http.MethodGet, Path: "/schedules", Query: query, What: "its schedules"}, &got); err != nil {
			return nil, err
		}
		for _, s := range got.Data {
			if e, ok := b.entry(s); ok {
				mine = append(mine, e)
			}
		}
		if len(got.Data) < pageSize {
			return mine, nil
		}
	}
}

// Component implements announce.Book.
func (b *book) Component(ctx context.Context, service string) (string, error) {
	id := b.cfg.Components[service]
	if id == "" {
		return "", fmt.Errorf("cachet: %s has no component in noren.yaml", service)
	}
	var got struct {
		Data struct {
			Attributes struct {
				Status struct {
					Human string `json:"human"`
				} `json:"status"`
			} `json:"attributes"`
		} `json:"data"`
	}
	err := b.client.Call(ctx, vendorhttp.Request{Method: http.MethodGet, Path: "/components/" + id, What: "the component " + id + " of " + service}, &got)
	return strings.ToLower(got.Data.Attributes.Status.Human), err
}

// Begin implements announce.Book.
func (b *book) Begin(ctx context.Context, e announce.Entry, body string) error {
	id, err := strconv.ParseInt(b.cfg.Components[e.Service], 10, 64)
	if err != nil {
		return fmt.Errorf("cachet: the component of %s: %w", e.Service, err)
	}
	return b.write(ctx, http.MethodPost, "/schedules", e.Service, map[string]any{"name": e.Name, "message": b.message(e, body), "scheduled_at": stamp(e.Since),
		"notifications": !b.cfg.Quiet, "components": []map[string]int64{{"id": id, "status": underMaintenance}}})
}

// Move implements announce.Book.
func (b *book) Move(ctx context.Context, have, want announce.Entry, body, _ string) error {
	return b.write(ctx, http.MethodPut, "/schedules/"+url.PathEscape(have.ID), have.Service,
		map[string]any{"name": want.Name, "message": b.message(want, body), "scheduled_at": stamp(want.Since)})
}

// Complete implements announce.Book.
func (b *book) Complete(ctx context.Context, e announce.Entry, _ string) error {
	path := "/schedules/" + url.PathEscape(e.ID)
	var got struct {
		Data schedule `json:"data"`
	}
	if err := b.client.Call(ctx, vendorhttp.Request{Method: http.MethodGet, Path: path, What: "the maintenance of " + e.Service}, &got); err != nil {
		return err
	}
	text := tagForm.ReplaceAllLiteralString(got.Data.Attributes.Message, b.tag(e.Service, done))
	return b.write(ctx, http.MethodPut, path, e.Service, map[string]any{"message": text, "completed_at": stamp(b.now())})
}

func (b *book) write(ctx context.Context, method, path, service string, fields map[string]any) error {
	return b.client.Call(ctx, vendorhttp.Request{Method: method, Path: path, Body: fields, What: "the maintenance of " + service}, nil)
}

// Set implements announce.Book. The status of a component is no part of the state.
func (b *book) Set(context.Context, string, string) error { return nil }

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
