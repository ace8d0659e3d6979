package engine

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// leastReturn is the least time to wait for something that was taken back, and
// for customers to see it, however little patience the run has.
const leastReturn = time.Minute

// undo takes back, in reverse, every change that the run may have written. It
// leaves the others alone: what someone else did there meanwhile is no drift.
func (x *execution) undo(problem *run.Problem) (run.Status, error) {
	if !x.prepared {
		return x.end(run.Undone, problem)
	}
	changed, err := checkpoint(x, "undoing", func(ctx context.Context) ([]string, error) {
		if err := x.event(ctx, run.Event{Type: run.RunUndoing, Data: run.Data{Problem: problem}}); err != nil {
			return nil, err
		}
		r, err := x.store.Run(ctx, x.id)
		if err != nil {
			return nil, err
		}
		var ids []string
		for _, s := range r.Changed() {
			ids = append(ids, s.ID)
		}
		return ids, nil
	})
	if err != nil {
		return "", err
	}
	told := func(s plan.Stage) bool {
		return (s.Name == plan.StageTell || s.Name == plan.StageMute) && x.plan.Kind == plan.Close
	}
	stranded, err := x.takeBackStages(changed, func(s plan.Stage) bool { return !told(s) })
	if err != nil {
		return "", err
	}
	if stranded != nil {
		return x.end(run.Stranded, stranded)
	}
	unseen, err := x.proveReturn(problem)
	if err != nil {
		return "", err
	}
	if unseen != nil {
		return x.end(run.Stranded, unseen)
	}
	// Who was told that a service is closed hears that it is open once customers
	// see that: not before, and not at all while the run is stranded. The same
	// holds for monitors that were muted.
	if stranded, err = x.takeBackStages(changed, told); err != nil {
		return "", err
	}
	if stranded != nil {
		return x.end(run.Stranded, stranded)
	}
	return x.end(run.Undone, problem)
}

// takeBackStages takes back the changed steps of some stages, in reverse. It
// returns the first problem of a step that could not be taken back.
func (x *execution) takeBackStages(changed []string, which func(plan.Stage) bool) (*run.Problem, error) {
	untouched := func(s plan.Step) bool { return !slices.Contains(changed, s.ID) }
	var stranded *run.Problem
	for _, stage := range slices.Backward(x.plan.Stages) {
		if !which(stage) {
			continue
		}
		for _, round := range slices.Backward(stage.Rounds()) {
			outcomes, err := x.parallel("undo", slices.DeleteFunc(slices.Clone(round), untouched), x.takeBack)
			if err != nil {
				return nil, err
			}
			for _, o := range outcomes {
				if !o.good() && stranded == nil {
					stranded = o.Problem
				}
			}
		}
	}
	return stranded, nil
}

// proveReturn asks, for what was taken back, whether customers see it. It
// returns what they see instead, nil if all is well. why is the reason for
// going back.
func (x *execution) proveReturn(why *run.Problem) (*run.Problem, error) {
	if len(x.plan.Return) == 0 {
		return nil, nil // also a plan of an older noren, whose checkpoints know no more
	}
	back, err := checkpoint(x, "returning", x.takenBack)
	if err != nil {
		return nil, err
	}
	stage := x.plan.Returning(back)
	outcomes, err := x.parallel("return", stage.Steps, x.seeReturned)
	if err != nil {
		return nil, err
	}
	var details, try []string
	for i, o := range outcomes {
		if !o.good() && !stage.Steps[i].Optional {
			details = append(details, o.Problem.Detail)
			try = append(try, o.Problem.Try...)
		}
	}
	if len(details) == 0 {
		return nil, nil
	}
	if why != nil {
		details = append(details, "The run went back because of this: "+why.Summary+". "+why.Detail)
	}
	return &run.Problem{Code: fault.Stranded, Summary: "everything was written back, but customers do not see it",
		Detail: strings.Join(details, "\n"),
		Try:    append(try, x.plan.OpenCommand())}, nil
}

// takenBack lists the steps that the run has taken back, also before an engine
// error had it begin anew, and says that the return begins if there are any.
func (x *execution) takenBack(ctx context.Context) ([]string, error) {
	r, err := x.store.Run(ctx, x.id)
	if err != nil {
		return nil, err
	}
	back := r.TakenBack()
	if len(x.plan.Returning(back).Steps) == 0 {
		return nil, nil
	}
	return back, x.event(ctx, run.Event{Type: run.StageStarted, Data: run.Data{Stage: plan.StageReturn}})
}

// seeReturned makes one check of the return. Signals wait, since nothing but
// the end follows.
func (x *execution) seeReturned(ctx context.Context, s plan.Step) (outcome, error) {
	if err := x.event(ctx, run.Event{Type: run.StepStarted, Step: s.ID}); err != nil {
		return outcome{}, err
	}
	in, err := x.session(x.id, x.plan).At(s.Cluster).Action(ctx, s.Action, s.Params)
	if err != nil {
		return x.failed(ctx, s, err)
	}
	if !s.Optional {
		s.Patience = max(s.Patience, leastReturn)
	}
	w, err := x.until(ctx, s, false, in.Check.Check)
	switch {
	case err != nil:
		return outcome{}, err
	case w.refusal != nil:
		return x.failed(ctx, s, w.refusal)
	}
	return x.stepDone(ctx, s, said(w.verdict), false)
}

// unseen says where a run that wrote everything back could not prove it.
func unseen(r *run.Run) []string {
	var places []string
	for _, s := range r.Plan.Return {
		if st := r.Steps[s.ID]; st.Status == run.StepHasFailed && !s.Optional {
			said := s.Target
			if v := st.Verdict; v != nil && len(v.Findings) > 0 {
				said = strings.Join(v.Findings, "; ")
			}
			places = append(places, said)
		}
	}
	return places
}

// takeBack undoes one step of this run from its receipt, and waits until that
// has taken effect: "undone" is said of what customers see. Signals wait, since
// nothing but the end follows.
func (x *execution) takeBack(ctx context.Context, s plan.Step) (outcome, error) {
	r, mark, err := x.receipt(ctx, s, true)
	if err != nil {
		return outcome{}, err
	}
	if r.From.Equal(r.To) {
		return outcome{Status: run.StepIsUndone}, nil
	}
	in, err := x.session(x.id, x.plan).At(s.Cluster).Action(ctx, s.Action, s.Params)
	if err == nil {
		x.hook("undo " + s.ID)
		s.Patience = max(s.Patience, leastReturn)
		w, broken := x.until(ctx, s, false, x.applied(s, in, mark, r.To, r.From, "undid "))
		if broken != nil {
			return outcome{}, broken
		}
		err = w.refusal
	}
	if err != nil {
		p := run.ProblemOf(x.explain(s, err))
		return outcome{run.StepIsStranded, p}, x.event(ctx, run.Event{Type: run.StepStranded, Step: s.ID, Data: run.Data{Problem: p}})
	}
	return outcome{Status: run.StepIsUndone}, x.event(ctx, run.Event{Type: run.StepUndone, Step: s.ID})
}
