package actiontest

import (
	"testing"
)

// Exercise runs every obligation of the contract as a subtest of its own name.
func Exercise(t *testing.T, h Harness) {
	if h.New == nil {
		t.Fatal("harness: New is not set")
	}
	first := h.New(t)
	first.check(t)
	for _, o := range obligations() {
		if o.applies != nil && !o.applies(first) {
			continue
		}
		t.Run(o.name, func(t *testing.T) {
			if o.change != nil {
				o.change(begin(t, h))
				return
			}
			t.Run("Forward", func(t *testing.T) { o.way(begin(t, h).forward()) })
			t.Run("Back", func(t *testing.T) { o.way(begin(t, h).back()) })
		})
	}
}

// An obligation is tested on one fresh target (change), or on two: on one
// going forward and on one going back (way), since undo is the same call.
type obligation struct {
	name    string
	applies func(Target) bool
	change  func(*subject)
	way     func(*leg)
}

func obligations() []obligation {
	besides := func(tg Target) bool { return tg.MeddleBeside != nil }
	marks := func(tg Target) bool { return tg.Marked != nil }
	return []obligation{
		{name: "ObserveIsReadOnlyAndStable", change: observeIsReadOnlyAndStable},
		{name: "ApplyReachesTo", change: applyReachesTo},
		{name: "UndoReachesFrom", change: undoReachesFrom},
		{name: "ApplyTwiceWritesOnce", way: applyTwiceWritesOnce},
		{name: "RetryAfterLostAnswer", way: retryAfterLostAnswer},
		{name: "ApplyRefusesDrift", change: func(s *subject) { refusesDrift(s.forward()) }},
		{name: "UndoRefusesDrift", change: func(s *subject) { refusesDrift(s.back()) }},
		{name: "LeavesOtherFieldsAlone", applies: besides, way: leavesOtherFieldsAlone},
		{name: "CancelledContextWritesNothing", way: cancelledContextWritesNothing},
		{name: "ProposedIsWhatIsRead", change: proposedIsWhatIsRead},
		{name: "MarkLeftAndTaken", applies: marks, change: markLeftAndTaken},
		{name: "MarkSurvivesLostAnswer", applies: marks, change: markSurvivesLostAnswer},
		{name: "ErrorsSayWhatToDo", way: errorsSayWhatToDo},
	}
}
