package actiontest

import (
	"context"
	"testing"

	"github.com/noren-dev/noren/internal/action"
)

// A subject is a fresh target, what was observed on it and what is proposed.
type subject struct {
	t        testing.TB
	ctx      context.Context
	target   Target
	from, to action.State
}

func begin(t *testing.T, h Harness) *subject {
	t.Helper()
	tg := h.New(t)
	tg.check(t)
	s := &subject{t: t, ctx: t.Context(), target: tg}
	s.from = s.observe()
	to, err := tg.Change.Propose(s.from)
	if err != nil {
		t.Fatalf("Propose: %v", err)
	}
	if to.Equal(s.from) {
		t.Fatalf("harness: the fresh target is already in the proposed state %s", text(to))
	}
	s.to = to
	return s
}

func (s *subject) observe() action.State {
	s.t.Helper()
	st, err := s.target.Change.Observe(s.ctx)
	if err != nil {
		s.t.Fatalf("Observe: %v", err)
	}
	return st
}

// is fails unless the target is in the state want, said to be after what.
func (s *subject) is(want action.State, after string) {
	s.t.Helper()
	if got := s.observe(); !got.Equal(want) {
		s.t.Fatalf("after %s the target is in\n  %s\nwant\n  %s", after, text(got), text(want))
	}
}

func (s *subject) writes() int {
	s.t.Helper()
	return s.target.Writes(s.t)
}

// A leg is one way between the two states, with the target ready at its start.
type leg struct {
	*subject
	start, goal action.State
	name        string
}

func (s *subject) forward() *leg { return &leg{s, s.from, s.to, "applying"} }

// back brings the target to the changed state first.
func (s *subject) back() *leg {
	s.t.Helper()
	s.forward().mustApply()
	s.is(s.to, "applying")
	return &leg{s, s.to, s.from, "undoing"}
}

func (l *leg) apply() error { return l.target.Change.Apply(l.ctx, l.start, l.goal) }

func (l *leg) mustApply() {
	l.t.Helper()
	if err := l.apply(); err != nil {
		l.t.Fatalf("%s: %v", l.name, err)
	}
}

func text(s action.State) string {
	if s.IsZero() {
		return "(no target)"
	}
	return string(s.Fields)
}
