package actiontest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/action/actiontest"
)

// A shelf is an outside system of one object, with the guard that most real
// ones have: a write names the revision it was made for.
type shelf struct {
	mu       sync.Mutex
	object   object
	writes   int
	loseNext bool
}

type object struct {
	Revision int
	Door     string // what the change under test writes
	Colour   string // what others write
	Mark     *action.Mark
}

var errConflict = errors.New("revision has moved")

func (s *shelf) get(ctx context.Context) (object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.object, ctx.Err()
}

// put writes o if its revision is current, or at any revision if that is -1.
func (s *shelf) put(ctx context.Context, o object) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.Revision != -1 && o.Revision != s.object.Revision {
		return errConflict
	}
	o.Revision = s.object.Revision + 1
	s.object = o
	s.writes++
	if s.loseNext {
		s.loseNext = false
		return fmt.Errorf("shelf did not answer: %w", action.ErrUnavailable)
	}
	return nil
}

func (s *shelf) edit(f func(*object)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.object)
	s.object.Revision++
	s.writes++
}

// right is a driver as it should be.
type right struct {
	shelf *shelf
	mark  *action.Mark
}

type fields struct {
	Door string `json:"door"`
	By   string `json:"by"`
}

func stateOf(o object) action.State {
	raw, err := json.Marshal(fields{Door: o.Door, By: "shelf"})
	if err != nil {
		panic(err)
	}
	return action.State{Version: 1, Fields: raw}
}

func doorOf(s action.State) string {
	var f fields
	if err := json.Unmarshal(s.Fields, &f); err != nil {
		panic(err)
	}
	return f.Door
}

func (r *right) Observe(ctx context.Context) (action.State, error) {
	o, err := r.shelf.get(ctx)
	return stateOf(o), err
}

func (r *right) Propose(action.State) (action.State, error) {
	return stateOf(object{Door: "closed"}), nil
}

func (r *right) Apply(ctx context.Context, from, to action.State) error {
	o, err := r.shelf.get(ctx)
	if err != nil {
		return err
	}
	switch now := stateOf(o); {
	case now.Equal(to):
		return nil
	case !now.Equal(from):
		return drift(o)
	}
	o.Door = doorOf(to)
	if r.mark != nil {
		o.Mark = nil
		if to.Equal(r.mark.Receipt.To) {
			o.Mark = r.mark
		}
	}
	return r.shelf.put(ctx, o)
}

func drift(o object) error {
	return fmt.Errorf("shelf test/door is %q: ask who did it, %w", o.Door, action.ErrDrift)
}

// harness serves a driver made by open on a fresh shelf; marked may be nil.
func harness(open func(*shelf) action.Change, marked func(*shelf, action.Mark) action.Change) actiontest.Harness {
	return actiontest.Harness{New: func(testing.TB) actiontest.Target {
		s := &shelf{object: object{Door: "open", Colour: "red"}}
		tg := actiontest.Target{
			Name:           "shelf test/door",
			Change:         open(s),
			Meddle:         func(testing.TB) { s.edit(func(o *object) { o.Door = "ajar" }) },
			MeddleBeside:   func(testing.TB) { s.edit(func(o *object) { o.Colour = "blue" }) },
			Beside:         func(testing.TB) string { return s.object.Colour },
			LoseNextAnswer: func(testing.TB) { s.loseNext = true },
			Writes:         func(testing.TB) int { return s.writes },
		}
		if marked != nil {
			tg.Marked = func(m action.Mark) action.Change { return marked(s, m) }
			tg.Mark = func(testing.TB) *action.Mark { return s.object.Mark }
		}
		return tg
	}}
}
