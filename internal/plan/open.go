package plan

import (
	"slices"
	"time"

	"github.com/noren-dev/noren/internal/action"
)

// Opening returns the changes that take back what a closing did: its receipts
// in reverse, each with its states exchanged. Entrances come in the stage
// open, everything else (paused syncs) in the stage resume, after it. Receipts
// of changes that changed nothing are left out.
func Opening(closing *Plan, receipts []action.Receipt) (open, resume []Step) {
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
			undo := Undoing(s, r)
			if stage.Name == StagePause {
				resume = append(resume, undo)
			} else {
				open = append(open, undo)
			}
		}
	}
	return open, resume
}

// Undoing is the step that takes s back as its receipt says.
func Undoing(s Step, r action.Receipt) Step {
	undo := s
	undo.ID = "undo-" + s.ID
	undo.Undoes = s.ID
	undo.Title = "Undo: " + s.Title
	undo.From, undo.To = r.To, r.From
	undo.Description = action.Description{
		Line:   s.Description.Line,
		Before: s.Description.After,
		After:  s.Description.Before,
	}
	undo.Patience = max(s.Patience, time.Minute)
	return undo
}
