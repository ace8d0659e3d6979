package driver

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/noren-dev/noren/internal/action"
)

// An Action is one kind of thing a driver can do, by name, and how to open it.
type Action struct {
	Name    string // "kube/ingress.overlay"
	Summary string
	Kind    action.Kind
	// NewParams and NewState return pointers to empty values, for reference
	// pages and schemas. NewState is nil for checks and effects.
	NewParams func() any
	NewState  func() any

	open func(conn any, params json.RawMessage) (*Instance, error)
}

// An Instance is an action opened on one target. Exactly one of Change, Check
// and Effect is set; the abilities after them are nil where absent.
type Instance struct {
	Action string
	Target string

	Change action.Change
	Check  action.Check
	Effect action.Effect

	Waiter    action.Waiter
	Describer action.Describer
	Marker    action.Marker
	Requirer  action.Requirer
	Renewer   Renewer
	Prolonger Prolonger
	Midway    Midway
}

// Typed is what the author of a change writes: package action's Change with
// the state as a Go type. A nil *F means that there is no target. F must
// survive a round trip through JSON.
type Typed[F any] interface {
	// Target is the thing acted on, as "kube:prod/shop/ingress/web".
	Target() string
	Observe(ctx context.Context) (*F, error)
	Propose(from *F) (*F, error)
	Apply(ctx context.Context, from, to *F) error
}

// TypedWaiter is action.Waiter with the state as a Go type.
type TypedWaiter[F any] interface {
	Settled(ctx context.Context, want *F) (action.Verdict, error)
}

// TypedDescriber is action.Describer with the states as a Go type.
type TypedDescriber[F any] interface {
	Describe(from, to *F) action.Description
}

// TypedMarker is action.Marker for a change with the state as a Go type.
type TypedMarker[F any] interface {
	Marked(m action.Mark) Typed[F]
}

// MarkLimiter is a TypedMarker whose target cannot carry any mark: see
// action.Marker. Without it, every mark fits.
type MarkLimiter interface {
	Fits(ctx context.Context, m action.Mark) error
}

// Targeted names what a check or an effect is about.
type Targeted interface{ Target() string }

// Changes adds a change to a driver. P is its parameters' type, F its state's.
func Changes[K, P, F any](name, summary string, open func(conn K, params P) (Typed[F], error)) Part[K] {
	return add[K](Action{
		Name: name, Summary: summary, Kind: action.KindChange,
		NewParams: func() any { return new(P) },
		NewState:  func() any { return new(F) },
	}, func(conn K, p P) (*Instance, error) {
		t, err := open(conn, p)
		if err != nil {
			return nil, err
		}
		return instanceOf(t), nil
	})
}

// Checks adds a check to a driver.
func Checks[K, P any, C interface {
	action.Check
	Targeted
}](name, summary string, open func(conn K, params P) (C, error)) Part[K] {
	return add[K](Action{Name: name, Summary: summary, Kind: action.KindCheck, NewParams: func() any { return new(P) }},
		func(conn K, p P) (*Instance, error) {
			c, err := open(conn, p)
			if err != nil {
				return nil, err
			}
			r, _ := any(c).(action.Requirer)
			return &Instance{Target: c.Target(), Check: c, Requirer: r}, nil
		})
}

// Effects adds an effect to a driver.
func Effects[K, P any, E interface {
	action.Effect
	Targeted
}](name, summary string, open func(conn K, params P) (E, error)) Part[K] {
	return add[K](Action{Name: name, Summary: summary, Kind: action.KindEffect, NewParams: func() any { return new(P) }},
		func(conn K, p P) (*Instance, error) {
			e, err := open(conn, p)
			if err != nil {
				return nil, err
			}
			r, _ := any(e).(action.Requirer)
			return &Instance{Target: e.Target(), Effect: e, Requirer: r}, nil
		})
}

func add[K, P any](a Action, open func(conn K, params P) (*Instance, error)) Part[K] {
	a.open = func(conn any, raw json.RawMessage) (*Instance, error) {
		var p P
		if err := decodeStrict(raw, &p); err != nil {
			return nil, fmt.Errorf("%s: parameters: %w", a.Name, err)
		}
		in, err := open(conn.(K), p)
		if err != nil {
			return nil, err
		}
		in.Action = a.Name
		return in, nil
	}
	return func(d *Driver) { d.Actions = append(d.Actions, &a) }
}
