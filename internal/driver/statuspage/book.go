package statuspage

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/noren-dev/noren/internal/announce"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/vendorhttp"
)

// Words of Statuspage.
const (
	inProgress       = "in_progress"
	verifying        = "verifying"
	completed        = "completed"
	underMaintenance = "under_maintenance"
)

// book is the incidents of a page.
type book struct {
	cfg    Config
	env    string
	client *vendorhttp.Client

	// What was read last, for looks that are many: see driver.Batch.
	mu         sync.Mutex
	incidents  read[[]announce.Entry]
	components read[map[string]string]
}

// A read is what was read, by a call begun at that time.
type read[T any] struct {
	at   time.Time
	what T
}

// shared answers looks that are made side by side by one call.
func shared[T any](ctx context.Context, mu *sync.Mutex, have *read[T], ask func() (T, error)) (T, error) {
	b := driver.BatchOf(ctx)
	if !b.Many() {
		return ask()
	}
	mu.Lock()
	defer mu.Unlock()
	if !have.at.IsZero() && !have.at.Before(b.Since) {
		return have.what, nil
	}
	began := time.Now()
	what, err := ask()
	if err == nil {
		*have = read[T]{began, what}
	}
	return what, err
}

// An incident is a maintenance as Statuspage has it.
type incident struct {
	ID             string    `json:"id"`
	Name           string    `json:"name"`
	Status         string    `json:"status"`
	ScheduledFor   time.Time `json:"scheduled_for"`
	ScheduledUntil time.Time `json:"scheduled_until"`
	Metadata       metadata  `json:"metadata"`
}

// metadata is what people do not see of a maintenance. Other programs may have
// left theirs there.
type metadata struct {
	Noren owner `json:"noren"`
}

// An owner says whose a maintenance is, and what the component was before it.
type owner struct {
	Environment string `json:"environment"`
	Service     string `json:"service"`
	Before      string `json:"before,omitempty"`
}

// List implements announce.Book.
func (b *book) List(ctx context.Context) ([]announce.Entry, error) {
	return shared(ctx, &b.mu, &b.incidents, func() ([]announce.Entry, error) { return b.list(ctx) })
}

func (b *book) list(ctx context.Context) ([]announce.Entry, error) {
	var all []incident
	r := vendorhttp.Request{Method: http.MethodGet, Path: "/incidents/active_maintenance", Query: url.Values{"per_page": {"100"}}, What: "its maintenances"}
	if err := b.client.Call(ctx, r, &all); err != nil {
		return nil, err
	}
	var mine []announce.Entry
	for _, i := range all {
		if own := i.Metadata.Noren; own.Environment == b.env && (i.Status == inProgress || i.Status == verifying) {
			mine = append(mine, announce.Entry{ID: i.ID, Service: own.Service, Name: i.Name, Before: own.Before, Since: i.ScheduledFor, Until: i.ScheduledUntil})
		}
	}
	return mine, nil
}

// Component implements announce.Book.
func (b *book) Component(ctx context.Context, service string) (string, error) {
	var found struct {
		Status string `json:"status"`
	}
	id := b.cfg.Components[service]
	if id == "" {
		return "", fmt.Errorf("statuspage: %s has no component in noren.yaml", service)
	}
	if driver.BatchOf(ctx).Many() {
		all, err := shared(ctx, &b.mu, &b.components, func() (map[string]string, error) { return b.statuses(ctx) })
		if status := all[id]; err != nil || status != "" {
			return status, err
		}
	}
	err := b.client.Call(ctx, vendorhttp.Request{Method: http.MethodGet, Path: "/components/" + url.PathEscape(id), What: "the component " + id + " of " + service}, &found)
	return found.Status, err
}

// statuses are those of the components, by id: of a large page, of the first ones.
func (b *book) statuses(ctx context.Context) (map[string]string, error) {
	var found []struct {
		ID     string `json:"id"`
		Status string `json:"status"`
	}
	r := vendorhttp.Request{Method: http.MethodGet, Path: "/components", Query: url.Values{"per_page": {"100"}}, What: "its components"}
	if err := b.client.Call(ctx, r, &found); err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, c := range found {
		all[c.ID] = c.Status
	}
	return all, nil
}

// Begin implements announce.Book.
func (b *book) Begin(ctx context.Context, e announce.Entry, body string) error {
	return b.write(ctx, http.MethodPost, "/incidents", e.Service, underMaintenance, map[string]any{
		"name": e.Name, "body": body, "status": inProgress, "impact_override": "maintenance", "scheduled_for": stamp(e.Since), "scheduled_until": stamp(e.Until),
		// Never by itself: at the planned end the service may still be closed.
		"scheduled_auto_in_progress": false, "scheduled_auto_completed": false,
		"component_ids": []string{b.cfg.Components[e.Service]}, "metadata": metadata{owner{b.env, e.Service, e.Before}},
	})
}

// Move implements announce.Book.
func (b *book) Move(ctx context.Context, have, want announce.Entry, body, component string) error {
	return b.write(ctx, http.MethodPatch, "/incidents/"+url.PathEscape(have.ID), have.Service, component,
		map[string]any{"name": want.Name, "scheduled_for": stamp(want.Since), "scheduled_until": stamp(want.Until), "body": body})
}

// Complete implements announce.Book.
func (b *book) Complete(ctx context.Context, e announce.Entry, component string) error {
	return b.write(ctx, http.MethodPatch, "/incidents/"+url.PathEscape(e.ID), e.Service, component, map[string]any{"status": completed})
}

// write changes an incident and the component in one call.
func (b *book) write(ctx context.Context, method, path, service, component string, fields map[string]any) error {
	if component != "" {
		fields["components"] = map[string]string{b.cfg.Components[service]: component}
	}
	fields["deliver_notifications"] = !b.cfg.Quiet
	return b.client.Call(ctx, vendorhttp.Request{Method: method, Path: path, Body: map[string]any{"incident": fields}, What: "the maintenance of " + service}, nil)
}

// Set implements announce.Book.
func (b *book) Set(ctx context.Context, service, component string) error {
	return b.client.Call(ctx, vendorhttp.Request{Method: http.MethodPatch, Path: "/components/" + url.PathEscape(b.cfg.Components[service]), What: "the component of " + service,
		Body: map[string]any{"component": map[string]string{"status": component}}}, nil)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
