package driver

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/fault"
)

// A MonitorKind is one kind of thing that calls people when a service does not
// work, by name: "alertmanager/silence", "datadog/downtime".
type MonitorKind struct {
	Name       string
	Summary    string
	NewOptions func() any

	open func(conn any, name string, options json.RawMessage) (Monitor, error)
}

// A Monitor answers what keeping it quiet takes. It never writes: what it
// proposes are calls of actions.
type Monitor interface {
	// Mute reads the monitor and proposes how to keep it quiet from now on. A
	// monitor that does not exist is a fault of code NotFound. Undoing the calls
	// in reverse order lets it ring again.
	Mute(ctx context.Context, m Muting) (*Quiet, error)
}

// A Muting is what a closing asks of its monitors.
type Muting struct {
	// Mark is the closing's token. A mute carries it where its system has room
	// for words: creating has no idempotency on such systems, so that a mute whose
	// answer was lost is found by its token, and not made twice.
	Mark    string
	Service string
	// Until is when the mute ends by itself if nobody takes it away, to the whole
	// minute. It is never zero.
	Until  time.Time
	Reason string
}

// A Quiet says how a monitor is kept quiet.
type Quiet struct {
	// Calls are the changes, in order; each of their states has an end, which a
	// [Prolonger] moves.
	Calls []Call
	Notes []Note
}

// A Ringer is a monitor that can tell whether it rings at the moment.
type Ringer interface {
	// Ringing returns what rings now, also what a mute keeps quiet. It only reads.
	Ringing(ctx context.Context) ([]Ring, error)
}

// A Ring is one alert that is going off.
type Ring struct {
	What  string // "CheckoutErrors (service=shop)"
	Since time.Time
	// Muted is set where a mute of anybody's keeps it quiet.
	Muted bool
}

// A Prolonger is a change of which a state has an end.
type Prolonger interface {
	// Prolong returns the state with another end. It does no I/O.
	Prolong(s action.State, until time.Time) (action.State, error)
}

// TypedProlonger is [Prolonger] with the state as a Go type. It may not write to s.
type TypedProlonger[F any] interface {
	Prolong(s *F, until time.Time) (*F, error)
}

type untypedProlonger[F any] struct{ p TypedProlonger[F] }

func (u untypedProlonger[F]) Prolong(s action.State, until time.Time) (action.State, error) {
	f, err := decode[F](s)
	if err != nil || f == nil {
		return s, err
	}
	to, err := u.p.Prolong(f, until)
	if err != nil {
		return s, err
	}
	return encode(to)
}

// Mutes adds a kind of monitor to a driver. O is the type of its options.
func Mutes[K, O any](kind, summary string, open func(conn K, name string, options O) (Monitor, error)) Part[K] {
	m := MonitorKind{Name: kind, Summary: summary, NewOptions: func() any { return new(O) }}
	m.open = func(conn any, name string, raw json.RawMessage) (Monitor, error) {
		var o O
		if err := decodeStrict(raw, &o); err != nil {
			return nil, fmt.Errorf("%s %s: %w", kind, name, err)
		}
		return open(conn.(K), name, o)
	}
	return func(d *Driver) { d.Monitors = append(d.Monitors, &m) }
}

// MonitorKinds lists the names of every kind of monitor.
func (r *Registry) MonitorKinds() []string {
	var names []string
	for _, d := range r.drivers {
		for _, m := range d.Monitors {
			names = append(names, m.Name)
		}
	}
	return names
}

// MonitorKind returns the kind of monitor of that name, or nil.
func (r *Registry) MonitorKind(name string) *MonitorKind {
	_, m := r.monitorKind(name)
	return m
}

func (r *Registry) monitorKind(name string) (*Driver, *MonitorKind) {
	for _, d := range r.drivers {
		for _, m := range d.Monitors {
			if m.Name == name {
				return d, m
			}
		}
	}
	return nil, nil
}

// CheckMonitor decodes and validates the options of a monitor, without any I/O.
func (r *Registry) CheckMonitor(kind string, raw json.RawMessage) error {
	if m := r.MonitorKind(kind); m != nil {
		return decodeStrict(raw, m.NewOptions())
	}
	return nil
}

// Monitor opens a monitor by its kind and name.
func (s *Session) Monitor(ctx context.Context, kind, name string, options json.RawMessage) (Monitor, error) {
	d, m := s.registry.monitorKind(kind)
	if m == nil {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "unknown kind of monitor",
			Detail: fmt.Sprintf("%q is none of %s.", kind, strings.Join(s.registry.MonitorKinds(), ", "))}
	}
	conn, err := s.connect(ctx, d)
	if err != nil {
		return nil, err
	}
	opened, err := m.open(conn, name, options)
	if err != nil {
		return nil, err
	}
	g := guardedMonitor{opened, s.env.patience()}
	if r, ok := opened.(Ringer); ok {
		return ringingMonitor{g, r}, nil
	}
	return g, nil
}

type guardedMonitor struct {
	Monitor
	patience patience
}

// Requires lists what muting the monitor may need, as far as that is known
// before it is read.
func (g guardedMonitor) Requires() []action.Permission {
	if r, ok := g.Monitor.(action.Requirer); ok {
		return r.Requires()
	}
	return nil
}

func (g guardedMonitor) Mute(ctx context.Context, m Muting) (*Quiet, error) {
	return retried(ctx, g.patience, func(ctx context.Context) (*Quiet, error) { return g.Monitor.Mute(ctx, m) })
}

// ringingMonitor is a guarded monitor that is a Ringer.
type ringingMonitor struct {
	guardedMonitor
	ringer Ringer
}

func (r ringingMonitor) Ringing(ctx context.Context) ([]Ring, error) {
	return retried(ctx, r.patience, r.ringer.Ringing)
}
