package actiontest

import (
	"context"
	"errors"
	"strings"

	"github.com/noren-dev/noren/internal/action"
)

func observeIsReadOnlyAndStable(s *subject) {
	s.readsOnly(s.from, "preparing the target")
	s.forward().mustApply()
	s.readsOnly(s.to, "applying")
}

func (s *subject) readsOnly(want action.State, after string) {
	s.t.Helper()
	before := s.writes()
	for range 3 {
		s.is(want, after)
	}
	if n := s.writes() - before; n != 0 {
		s.t.Fatalf("Observe wrote %d times; it only reads", n)
	}
}

func applyReachesTo(s *subject) {
	s.forward().mustApply()
	s.is(s.to, "applying")
}

func undoReachesFrom(s *subject) {
	s.back().mustApply()
	s.is(s.from, "undoing")
	// The way is open again, as often as people rehearse.
	s.forward().mustApply()
	s.is(s.to, "applying again")
	(&leg{s, s.to, s.from, "undoing again"}).mustApply()
	s.is(s.from, "undoing again")
}

func applyTwiceWritesOnce(l *leg) {
	before := l.writes()
	l.mustApply()
	once := l.writes()
	if once == before {
		l.t.Fatalf("%s wrote nothing", l.name)
	}
	if err := l.apply(); err != nil {
		l.t.Fatalf("%s again: %v; a target that is already in the wanted state needs nothing", l.name, err)
	}
	if twice := l.writes(); twice != once {
		l.t.Fatalf("%s again wrote %d times more; a target that is already in the wanted state needs nothing", l.name, twice-once)
	}
	l.is(l.goal, l.name+" twice")
}

func retryAfterLostAnswer(l *leg) {
	before := l.writes()
	l.target.LoseNextAnswer(l.t)
	err := l.apply()
	switch {
	case l.writes() == before:
		l.t.Fatalf("%s wrote nothing before its answer was to be lost", l.name)
	case err == nil:
		l.t.Fatalf("%s said it was done though the answer was lost", l.name)
	case errors.Is(err, action.ErrDrift):
		l.t.Fatalf("%s called a lost answer drift: %v", l.name, err)
	case !errors.Is(err, action.ErrUnavailable):
		l.t.Fatalf("%s: %v; wrap action.ErrUnavailable when an answer is lost, or nobody tries again", l.name, err)
	}
	arrived, half := l.observe().Equal(l.goal), l.writes()
	if err := l.apply(); err != nil {
		l.t.Fatalf("%s, trying again after a lost answer: %v", l.name, err)
	}
	if n := l.writes() - half; arrived && n != 0 {
		l.t.Fatalf("%s, trying again after a lost answer, wrote %d times what was written already", l.name, n)
	}
	l.is(l.goal, l.name+" and trying again after a lost answer")
	// The retry must not have taken our own work for what was there before.
	if err := l.target.Change.Apply(l.ctx, l.goal, l.start); err != nil {
		l.t.Fatalf("going the other way after a retry: %v", err)
	}
	l.is(l.start, "a retry and going the other way")
}

func refusesDrift(l *leg) {
	l.target.Meddle(l.t)
	theirs, before := l.observe(), l.writes()
	if theirs.Equal(l.start) || theirs.Equal(l.goal) {
		l.t.Fatalf("harness: Meddle left the target in a state of ours, %s", text(theirs))
	}
	err := l.apply()
	switch {
	case err == nil:
		l.t.Errorf("%s went over a colleague's edit, or said that it had", l.name)
	case !errors.Is(err, action.ErrDrift):
		l.t.Errorf("%s: %v; wrap action.ErrDrift when someone else changed the target", l.name, err)
	}
	if n := l.writes() - before; n != 0 {
		l.t.Errorf("%s wrote %d times on a drifted target", l.name, n)
	}
	l.is(theirs, l.name+" on a drifted target")
}

func leavesOtherFieldsAlone(l *leg) {
	before := l.target.Beside(l.t)
	l.target.MeddleBeside(l.t)
	theirs := l.target.Beside(l.t)
	if theirs == before {
		l.t.Fatalf("harness: MeddleBeside changed nothing: %q", theirs)
	}
	l.is(l.start, "a colleague's edit beside our fields")
	if err := l.apply(); err != nil {
		l.t.Fatalf("%s after a colleague's edit beside our fields: %v", l.name, err)
	}
	if got := l.target.Beside(l.t); got != theirs {
		l.t.Fatalf("%s made %q of a colleague's %q beside our fields", l.name, got, theirs)
	}
	l.is(l.goal, l.name)
}

func cancelledContextWritesNothing(l *leg) {
	done, cancel := context.WithCancel(l.ctx)
	cancel()
	before := l.writes()
	for _, try := range []struct {
		when string
		ctx  context.Context
	}{
		{"cancelled before", done},
		{"cancelled while under way", &fleeting{}},
	} {
		err := l.target.Change.Apply(try.ctx, l.start, l.goal)
		switch {
		case err == nil:
			l.t.Errorf("%s with a context %s: no error", l.name, try.when)
		case errors.Is(err, action.ErrDrift):
			l.t.Errorf("%s with a context %s called it drift: %v", l.name, try.when, err)
		}
		if n := l.writes() - before; n != 0 {
			l.t.Fatalf("%s with a context %s wrote %d times", l.name, try.when, n)
		}
	}
	if _, err := l.target.Change.Observe(done); err == nil {
		l.t.Errorf("Observe with a cancelled context: no error")
	}
	l.is(l.start, l.name+" with a cancelled context")
}

func errorsSayWhatToDo(l *leg) {
	l.target.Meddle(l.t)
	err := l.apply()
	if err == nil {
		l.t.Fatalf("%s went over a colleague's edit, or said that it had", l.name)
	}
	if !strings.Contains(err.Error(), l.target.Name) {
		l.t.Errorf("the error does not name %q, so that a person could go and look: %v", l.target.Name, err)
	}
	said := strings.TrimSpace(strings.NewReplacer(l.target.Name, "", action.ErrDrift.Error(), "", ":", "").Replace(err.Error()))
	if said == "" {
		l.t.Errorf("the error says neither what was found nor what to do: %v", err)
	}
}
