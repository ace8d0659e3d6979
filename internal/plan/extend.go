package plan

import (
	"time"

	"github.com/noren-dev/noren/internal/action"
)

// Written lists for each change of a closing every state that the closing and
// its extensions have written or may have written, oldest first. extensions
// holds the receipts of each extension that was not undone, in the order in
// which they were made. The last one is what the target should be; a target
// found in an earlier one was left there by an extension cut short.
func Written(closing []action.Receipt, extensions ...Extended) map[string][]action.State {
	written := map[string][]action.State{}
	for _, r := range closing {
		written[r.Step] = []action.State{r.To}
	}
	for _, e := range extensions {
		byStep := map[string]action.Receipt{}
		for _, r := range e.Receipts {
			byStep[r.Step] = r
		}
		for _, s := range e.Plan.Steps() {
			r, ok := byStep[s.ID]
			if _, known := written[s.Renews]; ok && known {
				written[s.Renews] = append(written[s.Renews], r.To)
			}
		}
	}
	return written
}

// An Extended is the plan of an extension and its receipts.
type Extended struct {
	Plan     *Plan
	Receipts []action.Receipt
}

// Renewing is the step of an extension that takes a target, which the closing's
// step s changed, from one page to another.
func Renewing(s Step, from, to action.State) Step {
	renew := s
	renew.ID = "renew-" + s.ID
	renew.Renews = s.ID
	renew.Title = "Renew the page on " + s.Target
	renew.From, renew.To = from, to
	renew.Description = action.Description{}
	renew.Patience = max(s.Patience, time.Minute)
	return renew
}

// ShownMark is the mark of the page that the newest extension put up for a
// service, "" if none put one up.
func ShownMark(service string, extensions []Extended) string {
	mark := ""
	for _, e := range extensions {
		for _, stage := range e.Plan.Stages {
			for _, s := range stage.Steps {
				if stage.Name == StageRenew && s.Renews != "" && s.Service == service {
					mark = e.Plan.Mark
				}
			}
		}
	}
	return mark
}
