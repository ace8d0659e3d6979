package driver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/noren-dev/noren/internal/action"
)

// stateVersion is the version of the layout of every state so far. A driver
// that changes the layout of its state adds a field instead, so that receipts
// written before stay readable.
const stateVersion = 1

// untyped turns a Typed change into an action.Change, its state into JSON.
type untyped[F any] struct{ t Typed[F] }

func instanceOf[F any](t Typed[F]) *Instance {
	u := untyped[F]{t}
	in := &Instance{Target: t.Target(), Change: u}
	if w, ok := t.(TypedWaiter[F]); ok {
		in.Waiter = untypedWaiter[F]{w}
	}
	if d, ok := t.(TypedDescriber[F]); ok {
		in.Describer = untypedDescriber[F]{d}
	}
	if m, ok := t.(TypedMarker[F]); ok {
		in.Marker = untypedMarker[F]{m}
	}
	if r, ok := t.(TypedRenewer[F]); ok {
		in.Renewer = untypedRenewer[F]{r}
	}
	if p, ok := t.(TypedProlonger[F]); ok {
		in.Prolonger = untypedProlonger[F]{p}
	}
	if m, ok := t.(TypedMidway[F]); ok {
		in.Midway = untypedMidway[F]{m}
	}
	in.Requirer, _ = t.(action.Requirer)
	return in
}

func (u untyped[F]) Observe(ctx context.Context) (action.State, error) {
	f, err := u.t.Observe(ctx)
	if err != nil {
		return action.State{}, err
	}
	return encode(f)
}

func (u untyped[F]) Propose(from action.State) (action.State, error) {
	f, err := decode[F](from)
	if err != nil {
		return action.State{}, err
	}
	to, err := u.t.Propose(f)
	if err != nil {
		return action.State{}, err
	}
	return encode(to)
}

func (u untyped[F]) Apply(ctx context.Context, from, to action.State) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f, err := decode[F](from)
	if err != nil {
		return err
	}
	t, err := decode[F](to)
	if err != nil {
		return err
	}
	return u.t.Apply(ctx, f, t)
}

type untypedWaiter[F any] struct{ w TypedWaiter[F] }

func (u untypedWaiter[F]) Settled(ctx context.Context, want action.State) (action.Verdict, error) {
	f, err := decode[F](want)
	if err != nil {
		return action.Verdict{}, err
	}
	return u.w.Settled(ctx, f)
}

type untypedDescriber[F any] struct{ d TypedDescriber[F] }

func (u untypedDescriber[F]) Describe(from, to action.State) action.Description {
	f, errFrom := decode[F](from)
	t, errTo := decode[F](to)
	if errFrom != nil || errTo != nil {
		return action.Description{Line: "state written by another version of noren", Before: string(from.Fields), After: string(to.Fields)}
	}
	return u.d.Describe(f, t)
}

type untypedMarker[F any] struct{ m TypedMarker[F] }

func (u untypedMarker[F]) Marked(m action.Mark) action.Change {
	return untyped[F]{u.m.Marked(m)}
}

func (u untypedMarker[F]) Fits(ctx context.Context, m action.Mark) error {
	if l, ok := u.m.(MarkLimiter); ok {
		return l.Fits(ctx, m)
	}
	return nil
}

func encode[F any](f *F) (action.State, error) {
	if f == nil {
		return action.State{}, nil
	}
	raw, err := json.Marshal(f)
	return action.State{Version: stateVersion, Fields: raw}, err
}

func decode[F any](s action.State) (*F, error) {
	if s.IsZero() {
		return nil, nil
	}
	if s.Version != stateVersion {
		return nil, fmt.Errorf("state has version %d, this noren reads version %d: use the noren that wrote it, or a newer one", s.Version, stateVersion)
	}
	// A field that this noren does not know was written by a newer one. Leaving
	// it out would restore less than was there.
	var f F
	dec := json.NewDecoder(bytes.NewReader(s.Fields))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return nil, fmt.Errorf("state, perhaps of a newer noren: %w", err)
	}
	return &f, nil
}
