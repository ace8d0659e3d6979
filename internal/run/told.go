package run

import "github.com/noren-dev/noren/internal/plan"

// Untold says who was not told how things are now, a line each: of a run that is
// done, the tellings that, being optional, failed or were skipped. Others then
// go on hearing what was true before the run.
func (r *Run) Untold() []string {
	if r.Status != Done {
		return nil
	}
	var all []string
	for _, stage := range r.Plan.Stages {
		for _, s := range stage.Steps {
			st := r.Steps[s.ID]
			switch {
			case stage.Name != plan.StageTell:
			case st.Status == StepWasSkipped:
				all = append(all, s.Target+": skipped")
			case st.Status == StepHasFailed && st.Problem != nil:
				all = append(all, s.Target+": "+st.Problem.Detail)
			}
		}
	}
	return all
}
