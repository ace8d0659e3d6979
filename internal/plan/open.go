package plan

import (
	"slices"
	"time"

	"github.com/noren-dev/noren/internal/action"
)

// Opening returns the changes that take back what a closing did: its receipts
// in reverse, each with its states exchanged. Entrances come in the stage
// open, everything else (paused syncs) in the stage resume, after it. Receipts
// of changes that changed nothing are left out. Where extensions have changed a
// target further, it is taken back from what they left, to what was there
// before the closing.
func Opening(closing *Plan, receipts []action.Receipt, extensions ...Extended) (open, resume []Step) {
	written := Written(receipts, extensions...)
	byStep := map[string]action.Receipt{}
	for _, r := range receipts {
		byStep[r.Step] = r
	}
	for _, stage := range slices.Backward(closing.Stages) {
		for _, s := range slices.Backward(stage.Steps) {
			r, ok := byStep[s.ID]
			if !ok || r.From.Equal(r.To) {
				continue
			}
			r.To = written[s.ID][len(written[s.ID])-1]
			if stage.Name == StagePause {
				resume = append(resume, undoing(s, r, "Resume automated sync of "))
			} else {
				open = append(open, undoing(s, r, "Open "))
			}
		}
	}
	return open, resume
}

// undoing is the step that takes s back as its receipt says.
func undoing(s Step, r action.Receipt, verb string) Step {
	undo := s
	undo.ID = "undo-" + s.ID
	undo.Undoes = s.ID
	undo.Title = verb + s.Target
	undo.From, undo.To = r.To, r.From
	undo.Description = action.Description{Before: s.Description.After, After: s.Description.Before}
	undo.Patience = max(s.Patience, time.Minute)
	return undo
}
