package run

import (
	"strings"

	"github.com/noren-dev/noren/internal/plan"
)

// Untold says who was not told how things are now, a line each: of a run that is
// done, the tellings that, being optional, failed or were skipped. Others then
// go on hearing what was true before the run.
func (r *Run) Untold() []string { return r.leftOut(plan.StageTell) }

// StillMuted says which monitors a run that is done, an opening, could not let
// ring again, a line each: they stay muted until their mutes end by themselves.
func (r *Run) StillMuted() []string { return r.leftOut(plan.StageUnmute) }

// NotMuted says which monitors a run that is done, an extension, could not keep
// quiet for longer, a line each: they may ring though nothing is wrong.
func (r *Run) NotMuted() []string { return r.leftOut(plan.StageMute) }

// leftOut are the steps of a stage that, being optional, failed or were skipped.
func (r *Run) leftOut(name plan.StageName) []string {
	if r.Status != Done {
		return nil
	}
	var all []string
	for _, stage := range r.Plan.Stages {
		for _, s := range stage.Steps {
			st := r.Steps[s.ID]
			switch {
			case stage.Name != name:
			case st.Status == StepWasSkipped:
				all = append(all, s.Target+": skipped")
			case st.Status == StepHasFailed && st.Problem != nil:
				all = append(all, s.Target+": "+st.Problem.Detail)
			}
		}
	}
	return all
}

// UntoldBy tells whether a telling of the driver is among those that failed or
// were skipped.
func (r *Run) UntoldBy(driver string) bool {
	for _, stage := range r.Plan.Stages {
		for _, s := range stage.Steps {
			st := r.Steps[s.ID].Status
			if stage.Name == plan.StageTell && strings.HasPrefix(s.Action, driver+"/") && (st == StepWasSkipped || st == StepHasFailed) {
				return true
			}
		}
	}
	return false
}
