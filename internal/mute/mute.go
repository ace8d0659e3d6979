// Package mute is what the drivers of monitoring systems share: the change that
// keeps a monitor quiet until an end, by a mute of noren's own beside those of
// others.
//
// Such systems give a mute its id when they create it, and take no key that would
// make creating it twice the same as once. So each mute of noren's carries a tag in
// its words, with the token of its closing; noren looks for that tag before it
// creates anything, and whoever reads the words sees whose the mute is.
package mute

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// An Entry is one mute as its system has it. W says what is muted, in the system's
// own words; it survives a round trip through JSON.
type Entry[W any] struct {
	ID   string
	Text string // comment, message, description: where the tag is
	By   string
	What W
	// Since is when it began or begins, Until when it ends; zero: never.
	Since, Until time.Time
	// Recurring is set where it comes again and again, which somebody meant.
	Recurring bool
}

// A Book is where a system keeps its mutes. Its errors are those of package
// vendorhttp, or alike.
type Book[W any] interface {
	// List returns every mute that has not ended.
	List(ctx context.Context) ([]Entry[W], error)
	Create(ctx context.Context, e Entry[W]) error
	// Change gives a mute another end and other words.
	Change(ctx context.Context, have, want Entry[W]) error
	// Remove ends a mute. One that is gone already is no error.
	Remove(ctx context.Context, e Entry[W]) error
}

// A System is one monitoring system as an environment reaches it.
type System[W any] struct {
	Book[W]
	// Driver, Env and Word make targets: "alertmanager:prod/silence/NAME".
	Driver, Env, Word string
	// Seen is what mutes are called, in the plural: "silences".
	Seen string
	// Action is the name of the change.
	Action string
	Now    func() time.Time
	// Limit is how many bytes of words a mute can carry, 0 for any. Where there is
	// no room for a mark, the tag alone is left: it tells of which closing the mute is,
	// and recover takes it away with what else that has left.
	Limit int
	// Forbidden are characters that mean something in the system's words.
	Forbidden string
	// ByHand says how a person ends a mute without noren.
	ByHand func(e Entry[W]) string
}

// Params are the parameters of the change.
type Params[W any] struct {
	Name    string    `json:"name" jsonschema_description:"The monitor, as noren.yaml names it."`
	Service string    `json:"service" jsonschema_description:"The service that is closed."`
	Mark    string    `json:"mark" jsonschema_description:"The token of the closing, by which the mute is found again."`
	Reason  string    `json:"reason,omitempty" jsonschema_description:"Why it is closed, for those who see the mute."`
	What    W         `json:"what" jsonschema_description:"What is muted."`
	Until   time.Time `json:"until" jsonschema_description:"When the mute ends by itself."`
}

// Validate finds what is missing without I/O.
func (p Params[W]) Validate() error {
	if p.Name == "" || p.Mark == "" || p.Until.IsZero() {
		return errors.New("name, mark and until are needed")
	}
	return nil
}

// State is the mute of one closing on one monitor: what it covers, and its end.
type State[W any] struct {
	What  W         `json:"what"`
	Until time.Time `json:"until"`
}

// Open opens the change.
func (s *System[W]) Open(p Params[W]) *Change[W] {
	p.Until = second(p.Until)
	return &Change[W]{system: s, params: p}
}

// A Change keeps a monitor quiet.
type Change[W any] struct {
	system *System[W]
	params Params[W]
	mark   *action.Mark
}

func (s *System[W]) target(name string) string {
	return fmt.Sprintf("%s:%s/%s/%s", s.Driver, s.Env, s.Word, name)
}

// Target implements driver.Typed.
func (c *Change[W]) Target() string { return c.system.target(c.params.Name) }

// name is how people know it.
func (c *Change[W]) name() string {
	return fmt.Sprintf("%s of %s for monitor %s", c.system.Word, c.system.Driver, c.params.Name)
}

// Observe implements driver.Typed.
func (c *Change[W]) Observe(ctx context.Context) (*State[W], error) {
	mine, err := c.mine(ctx)
	return stateOf(mine), err
}

// mine are the mutes with the tag of this change, the one that lasts longest
// first. There are two where an answer came so late that noren asked again.
func (c *Change[W]) mine(ctx context.Context) ([]Entry[W], error) {
	all, err := c.system.List(ctx)
	if err != nil {
		return nil, err
	}
	wanted := tag{c.system.Env, c.params.Mark, c.params.Name}
	mine := slices.DeleteFunc(all, func(e Entry[W]) bool {
		t, ok := tagOf(e.Text)
		return !ok || t != wanted
	})
	slices.SortStableFunc(mine, func(a, b Entry[W]) int {
		return cmp.Or(b.Until.Compare(a.Until), cmp.Compare(a.ID, b.ID))
	})
	return mine, nil
}

func stateOf[W any](mine []Entry[W]) *State[W] {
	if len(mine) == 0 {
		return nil
	}
	return &State[W]{mine[0].What, second(mine[0].Until)}
}

// second is a time as every system keeps it.
func second(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Second)
}

// Propose implements driver.Typed.
func (c *Change[W]) Propose(*State[W]) (*State[W], error) {
	return &State[W]{c.params.What, c.params.Until}, nil
}

// Prolong implements driver.TypedProlonger.
func (c *Change[W]) Prolong(s *State[W], until time.Time) (*State[W], error) {
	return &State[W]{s.What, second(until)}, nil
}

// Apply implements driver.Typed. It looks just before it writes: what a colleague
// does to noren's own mute between the two is written over.
func (c *Change[W]) Apply(ctx context.Context, from, to *State[W]) error {
	mine, err := c.mine(ctx)
	if err != nil {
		return err
	}
	now := stateOf(mine)
	ended := now == nil && from != nil && !from.Until.After(c.system.Now())
	switch {
	case same(now, to):
		return c.only(ctx, mine, to)
	case !same(now, from) && !ended:
		return fmt.Errorf("%s is %s and should be %s: someone else changed it; see who in %s: %w",
			c.name(), inWords(now), inWords(from), c.system.Driver, action.ErrDrift)
	case to == nil:
		return c.remove(ctx, mine)
	case !to.Until.After(c.system.Now()):
		return &fault.Fault{Code: fault.Invalid, Summary: "end of the mute is in the past",
			Detail: fmt.Sprintf("%s was to last until %s, which has passed.", c.name(), clock(to.Until))}
	}
	want := Entry[W]{What: to.What, Since: second(c.system.Now()), Until: to.Until}
	if want.Text, err = c.text(to); err != nil {
		return err
	}
	if len(mine) == 0 {
		return c.system.Create(ctx, want)
	}
	if err := c.system.Change(ctx, mine[0], want); err != nil {
		return err
	}
	return c.remove(ctx, mine[1:])
}

// only takes away what was made twice.
func (c *Change[W]) only(ctx context.Context, mine []Entry[W], to *State[W]) error {
	if to == nil || len(mine) < 2 {
		return nil
	}
	return c.remove(ctx, mine[1:])
}

func (c *Change[W]) remove(ctx context.Context, mine []Entry[W]) error {
	for _, e := range mine {
		if err := c.system.Remove(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// Marked implements driver.TypedMarker.
func (c *Change[W]) Marked(m action.Mark) driver.Typed[State[W]] {
	marked := *c
	marked.mark = &m
	return &marked
}

// Describe implements driver.TypedDescriber.
func (c *Change[W]) Describe(from, to *State[W]) action.Description {
	d := action.Description{Before: yaml(from), After: yaml(to)}
	switch {
	case to == nil:
		d.Line = "let " + c.params.Name + " ring again"
	case from == nil:
		d.Line = "keep " + c.params.Name + " quiet until " + clock(to.Until)
	default:
		d.Line = "keep " + c.params.Name + " quiet until " + clock(to.Until) + ", not " + clock(from.Until)
	}
	return d
}

func same[W any](a, b *State[W]) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Until.Equal(b.Until) && Alike(a.What, b.What)
}

// Alike tells whether two mutes cover the same.
func Alike[W any](a, b W) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

func inWords[W any](s *State[W]) string {
	switch {
	case s == nil:
		return "not there"
	case s.Until.IsZero():
		return "there without an end"
	}
	what, err := json.Marshal(s.What)
	if err != nil {
		return "there until " + clock(s.Until)
	}
	return fmt.Sprintf("there until %s for %s", s.Until.UTC().Format("2006-01-02 15:04:05 MST"), what)
}
