package actiontest_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/noren-dev/noren/internal/action"
)

// The wrong drivers, each taken from code that people run. They embed the
// right one and are wrong in one way.

// noopUndo does not write when going back.
type noopUndo struct{ right }

func (d *noopUndo) Apply(ctx context.Context, from, to action.State) error {
	if doorOf(to) == "open" {
		return nil
	}
	return d.right.Apply(ctx, from, to)
}

// blind writes without looking.
type blind struct{ right }

func (d *blind) Apply(ctx context.Context, _, to action.State) error {
	o, err := d.shelf.get(ctx)
	if err != nil {
		return err
	}
	o.Door = doorOf(to)
	return d.shelf.put(ctx, o)
}

// wholeObject puts the whole object back as it was when it closed.
type wholeObject struct {
	right
	saved *object
}

func (d *wholeObject) Apply(ctx context.Context, from, to action.State) error {
	o, err := d.shelf.get(ctx)
	if err != nil {
		return err
	}
	if doorOf(to) != "open" || d.saved == nil {
		if d.saved == nil {
			d.saved = &o
		}
		return d.right.Apply(ctx, from, to)
	}
	switch now := stateOf(o); {
	case now.Equal(to):
		return nil
	case !now.Equal(from):
		return drift(o)
	}
	back := *d.saved
	back.Revision = o.Revision
	return d.shelf.put(ctx, back)
}

// logsAndGoesOn tells a log what went wrong, and its caller that all is well.
type logsAndGoesOn struct{ right }

func (d *logsAndGoesOn) Apply(ctx context.Context, from, to action.State) error {
	if err := d.right.Apply(ctx, from, to); err != nil {
		log.Printf("could not write: %v", err)
	}
	return nil
}

// ownWorkIsDrift takes what it wrote itself for somebody else's edit.
type ownWorkIsDrift struct{ right }

func (d *ownWorkIsDrift) Apply(ctx context.Context, from, to action.State) error {
	o, err := d.shelf.get(ctx)
	if err != nil {
		return err
	}
	if !stateOf(o).Equal(from) {
		return drift(o)
	}
	return d.right.Apply(ctx, from, to)
}

// deaf does not listen to its context.
type deaf struct{ right }

func (d *deaf) Apply(_ context.Context, from, to action.State) error {
	return d.right.Apply(context.TODO(), from, to) // wrong on purpose
}

// looksOnce listens to its context at the door and nowhere else.
type looksOnce struct{ right }

func (d *looksOnce) Apply(ctx context.Context, from, to action.State) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return d.right.Apply(context.TODO(), from, to) // wrong on purpose
}

// recordsAgain keeps what was there each time it is called, also on a retry,
// and goes back to that.
type recordsAgain struct {
	right
	recorded action.State
}

func (d *recordsAgain) Apply(ctx context.Context, from, to action.State) error {
	if doorOf(to) != "open" {
		now, err := d.Observe(ctx)
		if err != nil {
			return err
		}
		d.recorded = now
		return d.right.Apply(ctx, from, to)
	}
	if !d.recorded.IsZero() {
		to = d.recorded
	}
	return d.right.Apply(ctx, from, to)
}

// dumb says neither what it found nor on what.
type dumb struct{ right }

func (d *dumb) Apply(ctx context.Context, from, to action.State) error {
	err := d.right.Apply(ctx, from, to)
	if errors.Is(err, action.ErrDrift) {
		return action.ErrDrift
	}
	return err
}

// hopeless does not tell a lost answer from a final no.
type hopeless struct{ right }

func (d *hopeless) Apply(ctx context.Context, from, to action.State) error {
	err := d.right.Apply(ctx, from, to)
	if errors.Is(err, action.ErrUnavailable) {
		return fmt.Errorf("could not write: %v", err) //nolint:errorlint // wrong on purpose
	}
	return err
}

// fickle proposes something new at each call.
type fickle struct {
	right
	calls int
}

func (d *fickle) Propose(action.State) (action.State, error) {
	d.calls++
	return stateOf(object{Door: fmt.Sprintf("closed %d", d.calls)}), nil
}

// nosy writes when it observes.
type nosy struct{ right }

func (d *nosy) Observe(ctx context.Context) (action.State, error) {
	d.shelf.edit(func(*object) {})
	return d.right.Observe(ctx)
}

// markLater leaves its mark in a write of its own, and never takes it away.
type markLater struct{ right }

func (d *markLater) Apply(ctx context.Context, from, to action.State) error {
	m := d.mark
	d.mark = nil
	defer func() { d.mark = m }()
	if err := d.right.Apply(ctx, from, to); err != nil || m == nil || !to.Equal(m.Receipt.To) {
		return err
	}
	o, err := d.shelf.get(ctx)
	if err != nil || o.Mark != nil {
		return err
	}
	o.Mark = m
	return d.shelf.put(ctx, o)
}
