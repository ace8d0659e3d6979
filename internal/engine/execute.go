package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/dbos-inc/dbos-transact-golang/dbos"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// An execution is one pass of the workflow over a run. Everything that is not
// the same in every pass happens inside a checkpoint.
type execution struct {
	*Engine
	id   string
	plan *plan.Plan
	ctx  dbos.Context
	// prepared is set once receipts are committed: from then on something may
	// be changed.
	prepared bool
}

// An outcome is what a checkpoint keeps of a step.
type outcome struct {
	Status  run.StepStatus `json:"status"`
	Problem *run.Problem   `json:"problem,omitempty"`
}

func (o outcome) good() bool { return o.Status == run.StepIsDone || o.Status == run.StepIsUndone }

// execute is the workflow. Its steps follow from the plan and from recorded
// outcomes alone.
func (e *Engine) execute(ctx dbos.Context, id string) (run.Status, error) {
	r, err := e.store.Run(ctx, id)
	if err != nil {
		return "", err
	}
	if r.Status.Ended() {
		return r.Status, nil
	}
	x := &execution{Engine: e, id: id, plan: r.Plan, ctx: ctx}
	if err := x.event(ctx, run.Event{Type: run.RunStarted}); err != nil {
		return "", err
	}
	for i, stage := range x.plan.Stages {
		end, err := x.stage(i, stage)
		if err != nil || end != "" {
			return end, err
		}
	}
	return x.end(run.Done, nil)
}

// stage runs one stage. A status other than "" means that the run has ended.
func (x *execution) stage(i int, stage plan.Stage) (run.Status, error) {
	if err := x.note("stage", run.Event{Type: run.StageStarted, Data: run.Data{Stage: stage.Name}}); err != nil {
		return "", err
	}
	if !x.prepared && slices.ContainsFunc(stage.Steps, isChange) {
		o, err := checkpoint(x, "prepare", x.prepare)
		if err != nil {
			return "", err
		}
		if !o.good() {
			return x.end(run.Undone, o.Problem)
		}
		x.prepared = true
	}
	for _, round := range stage.Rounds() {
		next, problem, err := x.round(round)
		if err != nil {
			return "", err
		}
		switch next {
		case run.SignalUndo:
			return x.undo(i, problem)
		case run.SignalStop:
			return x.end(run.Stopped, problem)
		}
	}
	return "", nil
}

func isChange(s plan.Step) bool { return s.Kind == action.KindChange }

// round runs steps side by side until all are done or somebody decided to go
// on without them. It returns SignalUndo or SignalStop if that was decided.
func (x *execution) round(steps []plan.Step) (run.Signal, *run.Problem, error) {
	pending := steps
	for {
		outcomes, err := x.parallel(pending, x.perform)
		if err != nil {
			return "", nil, err
		}
		var left []plan.Step
		var problem *run.Problem
		for i, o := range outcomes {
			if o.good() || (o.Status == run.StepHasFailed && pending[i].Optional) {
				continue
			}
			left = append(left, pending[i])
			if problem == nil {
				problem = o.Problem
			}
		}
		if len(left) == 0 {
			return "", nil, nil
		}
		sig, err := checkpoint(x, "decide", func(ctx context.Context) (run.Signal, error) { return x.decide(ctx, problem) })
		if err != nil || sig == run.SignalUndo || sig == run.SignalStop {
			return sig, problem, err
		}
		if sig == run.SignalSkip {
			return "", nil, x.skip(left)
		}
		pending = left
	}
}

// parallel runs f for each step, a checkpoint each, and gathers the outcomes
// in the steps' order.
func (x *execution) parallel(steps []plan.Step, f func(context.Context, plan.Step) (outcome, error)) ([]outcome, error) {
	channels := make([]<-chan dbos.StepOutcome[outcome], len(steps))
	for i, s := range steps {
		c, err := dbos.Go(x.ctx, func(ctx context.Context) (outcome, error) {
			x.slots <- struct{}{}
			defer func() { <-x.slots }()
			return f(ctx, s)
		})
		if err != nil {
			return nil, err
		}
		channels[i] = c
	}
	outcomes := make([]outcome, len(steps))
	var failed error
	for i, c := range channels {
		got := <-c
		outcomes[i] = got.Result
		if got.Err != nil && failed == nil {
			failed = got.Err
		}
	}
	return outcomes, failed
}

// undo takes back every change of the stages up to last, in reverse.
func (x *execution) undo(last int, problem *run.Problem) (run.Status, error) {
	if !x.prepared {
		return x.end(run.Undone, problem)
	}
	if err := x.note("undoing", run.Event{Type: run.RunUndoing, Data: run.Data{Problem: problem}}); err != nil {
		return "", err
	}
	stranded := problem
	all := true
	for _, stage := range slices.Backward(x.plan.Stages[:last+1]) {
		for _, round := range slices.Backward(stage.Rounds()) {
			outcomes, err := x.parallel(slices.DeleteFunc(slices.Clone(round), func(s plan.Step) bool { return !isChange(s) }), x.takeBack)
			if err != nil {
				return "", err
			}
			for _, o := range outcomes {
				if !o.good() && all {
					all, stranded = false, o.Problem
				}
			}
		}
	}
	if all {
		return x.end(run.Undone, problem)
	}
	return x.end(run.Stranded, stranded)
}

func (x *execution) skip(steps []plan.Step) error {
	for _, s := range steps {
		if err := x.note("skip", run.Event{Type: run.StepSkipped, Step: s.ID}); err != nil {
			return err
		}
	}
	return nil
}

// end records how the run ended and what becomes of its locks: a closing that
// is done keeps them until it is opened; an opening that was undone gives them
// back to the closing.
func (x *execution) end(status run.Status, problem *run.Problem) (run.Status, error) {
	return checkpoint(x, "end", func(ctx context.Context) (run.Status, error) {
		x.hook("end")
		release := (x.plan.Kind == plan.Open && status == run.Done) || (x.plan.Kind == plan.Close && status == run.Undone)
		giveBack := ""
		if x.plan.Kind == plan.Open && status == run.Undone {
			giveBack = x.plan.Closing
		}
		err := x.store.End(ctx, x.id, run.Event{Type: run.RunEnded, Data: run.Data{Status: status, Problem: x.withLeft(ctx, problem, status)}}, release, giveBack)
		x.hook("ended")
		return status, err
	})
}

// withLeft adds to a problem what is changed right now.
func (x *execution) withLeft(ctx context.Context, p *run.Problem, status run.Status) *run.Problem {
	if p == nil {
		return nil
	}
	with := *p
	switch {
	case !x.prepared:
		with.Left = "nothing: this run wrote nothing"
	case status == run.Undone:
		with.Left = "nothing: every change of this run was taken back"
	default:
		with.Left = x.changedNow(ctx)
	}
	if status == run.Stranded {
		with.Code = fault.Stranded
	}
	return &with
}

// note records an event once, in a checkpoint of its own.
func (x *execution) note(name string, e run.Event) error {
	_, err := checkpoint(x, name, func(ctx context.Context) (bool, error) { return true, x.event(ctx, e) })
	return err
}

func (x *execution) event(ctx context.Context, e run.Event) error {
	e.Run = x.id
	_, err := x.store.Append(ctx, e)
	x.hook(string(e.Type) + " " + e.Step)
	return err
}

// checkpoint runs f once: when the workflow is carried on after a crash, it
// returns what f returned then.
func checkpoint[R any](x *execution, name string, f func(context.Context) (R, error)) (R, error) {
	r, err := dbos.RunAsStep(x.ctx, f, dbos.WithStepName(name))
	if err != nil {
		return r, fmt.Errorf("run %s: %s: %w", x.id, name, err)
	}
	return r, nil
}
