package actiontest

import (
	"encoding/json"

	"github.com/noren-dev/noren/internal/action"
)

func markLeftAndTaken(s *subject) {
	s.isMarked(nil, "preparing the target")
	m := s.newMark()
	change := s.target.Marked(m)
	if err := change.Apply(s.ctx, s.from, s.to); err != nil {
		s.t.Fatalf("applying with a mark: %v", err)
	}
	s.is(s.to, "applying with a mark")
	s.isMarked(&m, "applying with a mark")
	before := s.writes()
	if err := change.Apply(s.ctx, s.from, s.to); err != nil {
		s.t.Fatalf("applying with a mark again: %v", err)
	}
	if n := s.writes() - before; n != 0 {
		s.t.Errorf("applying with a mark again wrote %d times", n)
	}
	s.isMarked(&m, "applying with a mark again")
	if err := change.Apply(s.ctx, s.to, s.from); err != nil {
		s.t.Fatalf("undoing with a mark: %v", err)
	}
	s.is(s.from, "undoing with a mark")
	s.isMarked(nil, "undoing")
}

// markSurvivesLostAnswer holds the mark to the same write as the change: a
// changed target without a mark could not be undone from the outside.
func markSurvivesLostAnswer(s *subject) {
	m := s.newMark()
	change := s.target.Marked(m)
	s.target.LoseNextAnswer(s.t)
	if err := change.Apply(s.ctx, s.from, s.to); err == nil {
		s.t.Fatal("applying with a mark said it was done though the answer was lost")
	}
	if s.observe().Equal(s.to) {
		s.isMarked(&m, "the write whose answer was lost")
	}
	if err := change.Apply(s.ctx, s.from, s.to); err != nil {
		s.t.Fatalf("applying with a mark, trying again after a lost answer: %v", err)
	}
	s.isMarked(&m, "trying again after a lost answer")
	s.target.LoseNextAnswer(s.t)
	if err := change.Apply(s.ctx, s.to, s.from); err == nil {
		s.t.Fatal("undoing with a mark said it was done though the answer was lost")
	}
	if err := change.Apply(s.ctx, s.to, s.from); err != nil {
		s.t.Fatalf("undoing with a mark, trying again after a lost answer: %v", err)
	}
	s.is(s.from, "undoing with a mark")
	s.isMarked(nil, "undoing, trying again after a lost answer")
}

// isMarked fails unless the mark on the target is want; nil is none.
func (s *subject) isMarked(want *action.Mark, after string) {
	s.t.Helper()
	got := s.target.Mark(s.t)
	switch {
	case want == nil && got == nil:
		return
	case want == nil:
		s.t.Fatalf("after %s there is a mark of run %s", after, got.Receipt.Run)
	case got == nil:
		s.t.Fatalf("after %s there is no mark", after)
	}
	a, b := got.Receipt, want.Receipt
	same := a.Run == b.Run && a.Step == b.Step && a.Action == b.Action && a.Target == b.Target &&
		a.From.Equal(b.From) && a.To.Equal(b.To) && a.TakenAt.Equal(b.TakenAt) &&
		got.Actor == want.Actor && sameJSON(got.Params, want.Params)
	if !same {
		s.t.Fatalf("after %s the mark reads\n  %+v\nwant\n  %+v", after, *got, *want)
	}
}

func sameJSON(a, b json.RawMessage) bool {
	return action.State{Fields: a}.Equal(action.State{Fields: b})
}
