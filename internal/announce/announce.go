// Package announce is what the drivers of status pages share: the change that
// announces a closing there as maintenance that is in progress, and completes it on
// opening.
//
// Such pages take no key that would make announcing twice the same as once. Each
// driver leaves something in its maintenances by which noren finds its own, and
// noren looks for it before it announces anything.
package announce

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// An Entry is one maintenance of noren's on a page.
type Entry struct {
	ID      string
	Service string // as noren.yaml names it
	Name    string
	// Before is what the component was before, "" where the page keeps that itself
	// or nobody noted it.
	Before       string
	Since, Until time.Time
}

// A Book is where a page keeps its maintenances. Its errors are those of package
// vendorhttp, or alike.
type Book interface {
	// List returns the maintenances that noren made in this environment and that are
	// in progress.
	List(ctx context.Context) ([]Entry, error)
	// Component is the status of a service's component.
	Component(ctx context.Context, service string) (string, error)
	// Begin announces a maintenance, with its component in it.
	Begin(ctx context.Context, e Entry, body string) error
	// Move gives a maintenance another name, other times and other words, and the
	// component a status, if that is not "".
	Move(ctx context.Context, have, want Entry, body, component string) error
	// Complete ends a maintenance, and gives the component a status, if that is not "".
	Complete(ctx context.Context, e Entry, component string) error
	// Set gives the component of a service a status.
	Set(ctx context.Context, service, component string) error
}

// A System is one page as an environment reaches it.
type System struct {
	Book
	Env string
	// Target names a service on the page: "statuspage:kctbh9vrtdwd/shop".
	Target func(service string) string
	// Action is the name of the change, Check that of the check.
	Action, Check string
	// Has tells whether a service has a component on the page.
	Has func(service string) bool
	// During is the status of a component while its maintenance is in progress. It is
	// "" where the page shows that by the maintenance alone: then the status is no
	// part of the state.
	During string
	// Longest is how many characters a name may have.
	Longest int
	// Where a person sees the maintenances, and how one of them is completed by hand.
	Where  string
	ByHand func(e Entry) string
}

// unknownEnd is how far in the future the end of a closing is announced that has
// none: pages take no maintenance without.
const unknownEnd = 24 * time.Hour

// Params are the parameters of the change.
type Params struct {
	Service string    `json:"service" jsonschema_description:"The service, as noren.yaml names it."`
	Since   time.Time `json:"since" jsonschema_description:"When it was closed."`
	Until   time.Time `json:"until,omitzero" jsonschema_description:"When it is expected to open."`
	Name    string    `json:"name" jsonschema_description:"The title of the maintenance."`
	Body    string    `json:"body" jsonschema_description:"What subscribers and visitors read."`
}

// Validate finds what is missing without I/O.
func (p Params) Validate() error {
	if p.Service == "" || p.Since.IsZero() || p.Name == "" {
		return errors.New("service, since and name are needed")
	}
	return nil
}

// State is the component's status, where the change writes it, and the maintenance
// that is in progress, if there is one of noren's. Updates that people post under it
// are not in it.
type State struct {
	Component   string       `json:"component,omitempty"`
	Maintenance *Maintenance `json:"maintenance,omitempty"`
}

// Maintenance is one of noren's that is in progress.
type Maintenance struct {
	Name  string    `json:"name"`
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
}

// A Change announces the closing of one service.
type Change struct {
	system *System
	params Params
}

// Open opens the change.
func (s *System) Open(p Params) *Change { return &Change{s, p} }

// Target names the service on the page.
func (c *Change) Target() string { return c.system.Target(c.params.Service) }

func (e Entry) maintenance() *Maintenance {
	return &Maintenance{e.Name, e.Since.UTC().Truncate(time.Second), e.Until.UTC().Truncate(time.Second)}
}

// look returns the state and the maintenances of noren's that are in it: two where
// an answer came so late that noren asked again.
func (c *Change) look(ctx context.Context) (*State, []Entry, error) {
	now := &State{}
	if c.system.During != "" {
		var err error
		if now.Component, err = c.system.Component(ctx, c.params.Service); err != nil {
			return nil, nil, err
		}
	}
	all, err := c.system.List(ctx)
	if err != nil {
		return nil, nil, err
	}
	var mine []Entry
	for _, e := range all {
		if e.Service == c.params.Service {
			mine = append(mine, e)
		}
	}
	if len(mine) > 0 {
		now.Maintenance = mine[0].maintenance()
	}
	return now, mine, nil
}

// Observe reads the component and the maintenance.
func (c *Change) Observe(ctx context.Context) (*State, error) {
	now, _, err := c.look(ctx)
	return now, err
}

// Propose wants the maintenance of the parameters. One that is in progress
// already is another closing's.
func (c *Change) Propose(from *State) (*State, error) {
	m := &Maintenance{c.params.Name, c.params.Since, c.params.Until}
	if m.Until.IsZero() {
		m.Until = m.Since.Add(unknownEnd)
	}
	want := &State{c.system.During, m}
	if from != nil && from.Maintenance != nil && !same(from, want) {
		return nil, &fault.Fault{Code: fault.Locked, Summary: "the status page announces a maintenance of the service already", Err: action.ErrDrift,
			Detail: fmt.Sprintf("%s: a maintenance %q of a closing is announced there until %s, and no run that holds the service here has. Recover it, or complete it by hand, if nobody is at work.",
				c.Target(), from.Maintenance.Name, from.Maintenance.Until.Format(time.RFC3339)),
			Try: []string{"noren leftovers --env " + c.system.Env, "noren recover --env " + c.system.Env, c.system.Where}}
	}
	return want, nil
}

func same(a, b *State) bool {
	if a == nil || b == nil {
		return a == b
	}
	if a.Component != b.Component || (a.Maintenance == nil) != (b.Maintenance == nil) {
		return false
	}
	x, y := a.Maintenance, b.Maintenance
	return x == nil || x.Name == y.Name && x.Since.Equal(y.Since) && x.Until.Equal(y.Until)
}

// Apply makes, changes or completes the maintenance, and the component with it. It
// looks just before it writes: what a colleague does to noren's own between the two
// is written over.
func (c *Change) Apply(ctx context.Context, from, to *State) error {
	now, mine, err := c.look(driver.Alone(ctx)) // nothing else guards the write
	switch {
	case err != nil:
		return err
	case to == nil:
		return fmt.Errorf("%s: a component is not taken away", c.Target())
	case same(now, to):
		return c.complete(ctx, mine[min(1, len(mine)):], "")
	case !same(now, from):
		return fmt.Errorf("%s is %s and should be %s: someone else changed it: %w", c.Target(), titled(now), titled(from), action.ErrDrift)
	case to.Maintenance == nil && len(mine) == 0: // only the component differs
		return c.system.Set(ctx, c.params.Service, to.Component)
	case to.Maintenance == nil:
		return c.complete(ctx, mine, to.Component)
	}
	m := to.Maintenance
	want := Entry{Service: c.params.Service, Name: m.Name, Since: m.Since, Until: m.Until, Before: now.Component}
	if len(mine) == 0 {
		return c.system.Begin(ctx, want, c.params.Body)
	}
	if err := c.system.Move(ctx, mine[0], want, c.params.Body, to.Component); err != nil {
		return err
	}
	return c.complete(ctx, mine[1:], "")
}

func (c *Change) complete(ctx context.Context, all []Entry, component string) error {
	for _, e := range all {
		if err := c.system.Complete(ctx, e, component); err != nil {
			return err
		}
	}
	return nil
}

// String says a state to people.
func (s *State) String() string {
	text := ""
	if s != nil {
		text = s.Component
	}
	switch {
	case s == nil:
		return "not there"
	case s.Maintenance == nil && text == "":
		return "without a maintenance of noren's"
	case s.Maintenance == nil:
		return text + " without a maintenance of noren's"
	case text != "":
		text += ", "
	}
	return text + "in maintenance until " + s.Maintenance.Until.Format("2006-01-02 15:04 MST")
}

// titled says a state with its title, which may be all that somebody changed.
func titled(s *State) string {
	if s == nil || s.Maintenance == nil {
		return s.String()
	}
	return fmt.Sprintf("%s (%q)", s, s.Maintenance.Name)
}

// Describe implements driver.TypedDescriber.
func (c *Change) Describe(from, to *State) action.Description {
	return action.Description{Line: "the status page says of " + c.params.Service + ": " + to.String(), Before: lines(from), After: lines(to)}
}

func lines(s *State) string {
	if s == nil {
		return ""
	}
	text := ""
	if s.Component != "" {
		text = "component: " + s.Component + "\n"
	}
	if m := s.Maintenance; m != nil {
		text += fmt.Sprintf("maintenance: %s\nsince: %s\nuntil: %s\n", m.Name, stamp(m.Since), stamp(m.Until))
	}
	return text
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Traces finds maintenances of noren's that are in progress. They carry no mark: it
// is not sure that what is left in one is never public, and marks name people. What
// is there is enough to complete them.
func (s *System) Traces(ctx context.Context) (*driver.Traces, error) {
	all, err := s.List(ctx)
	if err != nil {
		return nil, err
	}
	t := &driver.Traces{Seen: []driver.Seen{{Kind: "maintenances in progress", Count: len(all)}}}
	for _, e := range all {
		u := driver.Unmarked{Target: s.Target(e.Service), Since: e.Since, Ours: true,
			What: fmt.Sprintf("the status page announces %q until %s", e.Name, stamp(e.Until)), Advice: []string{s.ByHand(e)}}
		if u.Made, err = s.made(e); err != nil {
			return nil, err
		}
		t.Unmarked = append(t.Unmarked, u)
	}
	return t, nil
}

// made says how a maintenance of noren's is completed, nil for one that does not
// tell what the component was before.
func (s *System) made(e Entry) (*driver.Made, error) {
	if s.During != "" && e.Before == "" {
		return nil, nil
	}
	now, errNow := driver.StateOf(&State{s.During, e.maintenance()})
	before, errBefore := driver.StateOf(&State{Component: e.Before})
	return &driver.Made{Service: e.Service, Now: now, Before: before, Call: driver.Call{Action: s.Action,
		Params: Params{Service: e.Service, Since: e.Since, Until: e.Until, Name: e.Name}}}, errors.Join(errNow, errBefore)
}
