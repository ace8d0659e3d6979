package driver

import (
	"context"
	"errors"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/fault"
)

// Traces are what a driver found of closings on its whole system: noren's
// marks, and leftovers without one.
type Traces struct {
	// Seen counts what was looked at, by kind; Unseen are the kinds that noren
	// may not look at.
	Seen     []Seen
	Unseen   []string
	Marks    []FoundMark
	Unmarked []Unmarked
}

// Seen is how many things of a kind were looked at: 41 "Ingresses".
type Seen struct {
	Kind  string `json:"kind"`
	Count int    `json:"count"`
}

// A FoundMark is a mark as it stands on a target.
type FoundMark struct {
	// On is the target that carries it, in the words of this environment.
	On string
	// Cluster is the one in which On is, "" for that of the environment.
	Cluster string
	// Mark is what of it could be read.
	Mark action.Mark
	// Wrong says why it cannot be relied on; "" if it can.
	Wrong string
}

// ReadMark makes a FoundMark of a text that stands on a target.
func ReadMark(on, text string) FoundMark {
	m, err := action.ParseMark(text)
	f := FoundMark{On: on, Mark: m}
	if err != nil {
		f.Wrong = err.Error()
	}
	return f
}

// Unmarked is a thing that looks left over and carries no mark, so that it
// cannot be told what was there before; except of one that noren made beside what
// was there, see Made.
type Unmarked struct {
	Target string
	// Cluster is the one in which Target is, "" for that of the environment.
	Cluster string
	// What says what it looks like, By who made it so and Since when, as far as
	// the system knows.
	What  string
	By    string
	Since time.Time
	// Ours is set where nobody but noren makes such a thing.
	Ours bool
	// Advice are commands and sentences for a person; none is carried out.
	Advice []string
	// Made is set where the thing itself proves that a closing of noren's made it,
	// and tells enough to take it away.
	Made *Made
}

// Made is a thing that a closing made beside what was there, and that has no room
// for a mark. There is nothing to be restored but that it is gone.
type Made struct {
	// Token is that of the closing, "" where the thing does not say. Service or
	// Monitor is what it is about, as noren.yaml names it.
	Token, Service, Monitor string
	// Call is the change that made it, Now its state, and Before the one without it.
	Call        Call
	Before, Now action.State
}

// StateOf is a typed state as changes take it; nil is that of nothing.
func StateOf[F any](f *F) (action.State, error) { return encode(f) }

// FindsTraces adds the ability to look through the whole system for marks of
// noren's and for leftovers without one. A thing that carries a mark is not
// among the latter.
func FindsTraces[K any](find func(ctx context.Context, conn K) (*Traces, error)) Part[K] {
	return func(d *Driver) {
		d.traces = func(ctx context.Context, conn any) (*Traces, error) { return find(ctx, conn.(K)) }
	}
}

// Traces looks through every configured system, and those that take their
// configuration from one: a run may have used them. Of the latter, one that may
// not be read is taken for absent. With an error it returns what the systems
// that answered have.
func (s *Session) Traces(ctx context.Context) (*Traces, error) {
	all := &Traces{}
	var errs []error
	for _, in := range s.All() {
		errs = append(errs, in.tracesIn(ctx, all))
	}
	return all, errors.Join(errs...)
}

// tracesIn looks through what one session configures.
func (s *Session) tracesIn(ctx context.Context, all *Traces) error {
	var errs []error
	for _, d := range s.registry.drivers {
		own, configured := s.own(d)
		if d.traces == nil || !own {
			continue
		}
		found, err := s.tracesOf(ctx, d)
		if !configured && errors.Is(err, &fault.Fault{Code: fault.Denied}) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
		}
		if found == nil {
			continue
		}
		all.Seen = append(all.Seen, found.Seen...)
		all.Unseen = append(all.Unseen, found.Unseen...)
		for _, m := range found.Marks {
			m.Cluster = s.cluster
			all.Marks = append(all.Marks, m)
		}
		for _, u := range found.Unmarked {
			u.Cluster = s.cluster
			all.Unmarked = append(all.Unmarked, u)
		}
	}
	return errors.Join(errs...)
}

func (s *Session) tracesOf(ctx context.Context, d *Driver) (*Traces, error) {
	conn, err := s.connect(ctx, d)
	if err != nil {
		return nil, err
	}
	return retried(ctx, s.env.patience(), func(ctx context.Context) (*Traces, error) { return d.traces(ctx, conn) })
}
