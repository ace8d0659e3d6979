package plan

import (
	"slices"
	"time"

	"github.com/noren-dev/noren/internal/action"
)

// A TakingBack is the changes that take back what a closing did, by the stage of
// the opening in which they come.
type TakingBack struct {
	Start  []Step // workloads
	Open   []Step // entrances
	Resume []Step // paused syncs
	Tell   []Step // who was told that it is closed
	Unmute []Step // monitors
}

// Opening returns the changes that take back what a closing did: its receipts
// in reverse, each with its states exchanged. Receipts of changes that changed
// nothing are left out. Where extensions have changed a target further, it is
// taken back from what they left, to what was there before the closing.
func Opening(closing *Plan, receipts []action.Receipt, extensions ...Extended) TakingBack {
	var back TakingBack
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
			switch stage.Name {
			case StagePause:
				back.Resume = append(back.Resume, undoing(s, r, "Resume automated sync of "))
			case StageTell:
				back.Tell = append(back.Tell, undoing(s, r, "Tell that it is open: "))
			case StageMute:
				back.Unmute = append(back.Unmute, undoing(s, r, "Let ring again: "))
			case StageRest:
				back.Start = append(back.Start, undoing(s, r, "Start "))
			default:
				back.Open = append(back.Open, undoing(s, r, "Open "))
			}
		}
	}
	return back
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
