package statuspage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/vendorhttp"
)

// Words of Statuspage.
const (
	inProgress       = "in_progress"
	verifying        = "verifying"
	completed        = "completed"
	underMaintenance = "under_maintenance"
)

// unknownEnd is how far in the future the end of a closing is announced that has
// none: Statuspage takes no maintenance without.
const unknownEnd = 24 * time.Hour

// AnnounceParams are the parameters of statuspage/maintenance.announce.
type AnnounceParams struct {
	Service string    `json:"service" jsonschema_description:"The service, as noren.yaml names it."`
	Since   time.Time `json:"since" jsonschema_description:"When it was closed."`
	Until   time.Time `json:"until,omitzero" jsonschema_description:"When it is expected to open."`
	Name    string    `json:"name" jsonschema_description:"The title of the maintenance."`
	Body    string    `json:"body" jsonschema_description:"What subscribers and visitors read."`
}

// Validate finds what is missing without I/O.
func (p AnnounceParams) Validate() error {
	if p.Service == "" || p.Since.IsZero() || p.Name == "" {
		return errors.New("service, since and name are needed")
	}
	return nil
}

// Announced is the state: the component's status, and the maintenance that is in
// progress, if there is one of noren's. Updates that people post under it are not
// in it.
type Announced struct {
	Component   string       `json:"component"`
	Maintenance *Maintenance `json:"maintenance,omitempty"`
}

// Maintenance is one of noren's that is in progress.
type Maintenance struct {
	Name  string    `json:"name"`
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
}

type announce struct {
	c *conn
	p AnnounceParams
}

func openAnnounce(c *conn, p AnnounceParams) (driver.Typed[Announced], error) {
	return &announce{c, p}, nil
}

// Target names the service on the page.
func (a *announce) Target() string { return a.c.target(a.p.Service) }

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

func (i incident) maintenance() *Maintenance {
	return &Maintenance{i.Name, i.ScheduledFor.UTC().Truncate(time.Second), i.ScheduledUntil.UTC().Truncate(time.Second)}
}

// mine finds the maintenances of noren's that are in progress.
func (c *conn) mine(ctx context.Context) ([]incident, error) {
	var all []incident
	r := vendorhttp.Request{Method: http.MethodGet, Path: "/incidents/active_maintenance", Query: url.Values{"per_page": {"100"}}, What: "its maintenances"}
	if err := c.client.Call(ctx, r, &all); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(i incident) bool {
		return i.Metadata.Noren.Environment != c.env || i.Status != inProgress && i.Status != verifying
	}), nil
}

func (a *announce) look(ctx context.Context) (*Announced, string, error) {
	status, err := a.c.component(ctx, a.p.Service)
	if err != nil {
		return nil, "", err
	}
	all, err := a.c.mine(ctx)
	if err != nil {
		return nil, "", err
	}
	now := &Announced{Component: status}
	for _, i := range all {
		if i.Metadata.Noren.Service == a.p.Service {
			now.Maintenance = i.maintenance()
			return now, i.ID, nil
		}
	}
	return now, "", nil
}

// Observe reads the component and the maintenance.
func (a *announce) Observe(ctx context.Context) (*Announced, error) {
	now, _, err := a.look(ctx)
	return now, err
}

// Propose wants the maintenance of the parameters. One that is in progress
// already is another closing's.
func (a *announce) Propose(from *Announced) (*Announced, error) {
	m := &Maintenance{a.p.Name, a.p.Since, a.p.Until}
	if m.Until.IsZero() {
		m.Until = m.Since.Add(unknownEnd)
	}
	want := &Announced{underMaintenance, m}
	if from != nil && from.Maintenance != nil && !equal(from, want) {
		return nil, &fault.Fault{Code: fault.Locked, Summary: "the status page announces a maintenance of the service already", Err: action.ErrDrift,
			Detail: fmt.Sprintf("%s: a maintenance %q of a closing is announced there until %s, and no run that holds the service here has. Complete it by hand if nobody is at work.", a.Target(), from.Maintenance.Name, from.Maintenance.Until.Format(time.RFC3339)),
			Try:    []string{"https://manage.statuspage.io/pages/" + a.c.cfg.Page + "/incidents"}}
	}
	return want, nil
}

func equal(a, b *Announced) bool {
	if a == nil || b == nil {
		return a == b
	}
	if a.Component != b.Component || (a.Maintenance == nil) != (b.Maintenance == nil) {
		return false
	}
	x, y := a.Maintenance, b.Maintenance
	return x == nil || x.Name == y.Name && x.Since.Equal(y.Since) && x.Until.Equal(y.Until)
}

// Apply makes, changes or completes the maintenance, and the component with it,
// in one call.
func (a *announce) Apply(ctx context.Context, from, to *Announced) error {
	now, id, err := a.look(ctx)
	switch {
	case err != nil:
		return err
	case to == nil:
		return fmt.Errorf("statuspage: %s: a component is not taken away", a.Target())
	case equal(now, to):
		return nil
	case !equal(now, from):
		return fmt.Errorf("%s is %s and should be %s: someone else changed it: %w", a.Target(), now, from, action.ErrDrift)
	}
	component := a.c.cfg.Components[a.p.Service]
	r := vendorhttp.Request{What: "the maintenance of " + a.p.Service}
	body := map[string]any{"components": map[string]string{component: to.Component}, "deliver_notifications": !a.c.cfg.Quiet}
	switch {
	case to.Maintenance == nil && id == "": // only the component differs
		r.Method, r.Path = http.MethodPatch, "/components/"+url.PathEscape(component)
		r.Body = map[string]any{"component": map[string]string{"status": to.Component}}
		return a.c.client.Call(ctx, r, nil)
	case to.Maintenance == nil:
		r.Method, r.Path = http.MethodPatch, "/incidents/"+url.PathEscape(id)
		body["status"] = completed
	case id != "":
		r.Method, r.Path = http.MethodPatch, "/incidents/"+url.PathEscape(id)
		body["name"], body["scheduled_for"], body["scheduled_until"], body["body"] = to.Maintenance.Name, stamp(to.Maintenance.Since), stamp(to.Maintenance.Until), a.p.Body
	default:
		r.Method, r.Path = http.MethodPost, "/incidents"
		body["name"], body["body"], body["status"], body["impact_override"] = to.Maintenance.Name, a.p.Body, inProgress, "maintenance"
		body["scheduled_for"], body["scheduled_until"] = stamp(to.Maintenance.Since), stamp(to.Maintenance.Until)
		// Never by itself: at the planned end the service may still be closed.
		body["scheduled_auto_in_progress"], body["scheduled_auto_completed"] = false, false
		body["component_ids"] = []string{component}
		body["metadata"] = metadata{owner{a.c.env, a.p.Service, now.Component}}
	}
	r.Body = map[string]any{"incident": body}
	return a.c.client.Call(ctx, r, nil)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// String says a state to people.
func (a *Announced) String() string {
	switch {
	case a == nil:
		return "not there"
	case a.Maintenance == nil:
		return a.Component + " without a maintenance of noren's"
	}
	return fmt.Sprintf("%s, in maintenance until %s", a.Component, a.Maintenance.Until.Format("2006-01-02 15:04 MST"))
}

// Describe implements driver.TypedDescriber.
func (a *announce) Describe(from, to *Announced) action.Description {
	return action.Description{Line: "the status page says of " + a.p.Service + ": " + to.String(), Before: lines(from), After: lines(to)}
}

func lines(s *Announced) string {
	if s == nil {
		return ""
	}
	text := "component: " + s.Component + "\n"
	if m := s.Maintenance; m != nil {
		text += fmt.Sprintf("maintenance: %s\nsince: %s\nuntil: %s\n", m.Name, stamp(m.Since), stamp(m.Until))
	}
	return text
}

// findTraces finds maintenances of noren's that are in progress. They carry no
// mark: it is not sure that what stands in metadata is never public, and marks
// name people. What is there is enough to complete them.
func findTraces(ctx context.Context, c *conn) (*driver.Traces, error) {
	all, err := c.mine(ctx)
	if err != nil {
		return nil, err
	}
	t := &driver.Traces{Seen: []driver.Seen{{Kind: "maintenances in progress", Count: len(all)}}}
	for _, i := range all {
		u := driver.Unmarked{Target: c.target(i.Metadata.Noren.Service), Since: i.ScheduledFor, Ours: true,
			What:   fmt.Sprintf("the status page announces %q until %s", i.Name, i.ScheduledUntil.UTC().Format(time.RFC3339)),
			Advice: []string{"Complete it at https://manage.statuspage.io/pages/" + c.cfg.Page + "/incidents/" + i.ID}}
		if u.Made, err = made(i); err != nil {
			return nil, err
		}
		t.Unmarked = append(t.Unmarked, u)
	}
	return t, nil
}

// made says how a maintenance of noren's is completed, nil for one that does not
// tell what the component was before.
func made(i incident) (*driver.Made, error) {
	own := i.Metadata.Noren
	if own.Before == "" {
		return nil, nil
	}
	now, errNow := driver.StateOf(&Announced{underMaintenance, i.maintenance()})
	before, errBefore := driver.StateOf(&Announced{Component: own.Before})
	return &driver.Made{Service: own.Service, Now: now, Before: before, Call: driver.Call{Action: "statuspage/maintenance.announce",
		Params: AnnounceParams{Service: own.Service, Since: i.ScheduledFor, Until: i.ScheduledUntil, Name: i.Name}}}, errors.Join(errNow, errBefore)
}
