package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
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
	// closing and actor are the plan of the run whose marks are left or taken
	// away, and who asked for it: this run, or the closing that it undoes.
	closing *plan.Plan
	actor   string
	ctx     dbos.Context
	// prepared is set once receipts are committed: from then on something may
	// be changed.
	prepared bool

	reading  sync.Mutex
	receipts map[string]map[string]action.Receipt // by run and step, as far as they were read
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
	if v := r.Plan.Version; v > plan.Version {
		return "", &fault.Fault{Code: fault.Invalid, Summary: "run made by a newer noren",
			Detail: fmt.Sprintf("The plan of run %s has version %d; this noren knows up to %d.", id, v, plan.Version), Try: []string{"noren version"}}
	}
	x := &execution{Engine: e, id: id, plan: r.Plan, closing: r.Plan, actor: r.Actor, ctx: ctx}
	if closing := r.Plan.Closing; closing != "" {
		c, err := e.store.Run(ctx, closing)
		if err != nil {
			return "", err
		}
		x.closing, x.actor = c.Plan, c.Actor
	}
	if err := x.event(ctx, run.Event{Type: run.RunStarted}); err != nil {
		return "", err
	}
	so, err := checkpoint(x, "begin", x.begin)
	if err != nil {
		return "", err
	}
	x.prepared = so.Prepared
	switch so.Ending {
	case run.SignalUndo:
		return x.undo(so.Problem)
	case run.SignalStop:
		return x.end(run.Stopped, so.Problem)
	}
	for _, stage := range x.plan.Stages {
		end, err := x.stage(stage)
		if err != nil || end != "" {
			return end, err
		}
	}
	return x.end(run.Done, nil)
}

// A beginning is what an earlier workflow of the same run, which ended in an
// engine error, leaves to this one.
type beginning struct {
	Prepared bool         `json:"prepared"`
	Ending   run.Signal   `json:"ending,omitempty"`
	Problem  *run.Problem `json:"problem,omitempty"`
}

// begin reads what was decided before: a run that was being taken back is not
// driven forward again because its checkpoints were lost.
func (x *execution) begin(ctx context.Context) (beginning, error) {
	r, err := x.store.Run(ctx, x.id)
	if err != nil {
		return beginning{}, err
	}
	receipts, err := x.store.Receipts(ctx, x.id)
	return beginning{Prepared: len(receipts) > 0, Ending: r.Ending, Problem: r.Problem}, err
}

// stage runs one stage. A status other than "" means that the run has ended.
func (x *execution) stage(stage plan.Stage) (run.Status, error) {
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
			return x.undo(problem)
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
	var why *run.Problem // the last failure: a signal may come when it is being retried
	for {
		outcomes, err := x.parallel("perform", pending, x.perform)
		if err != nil {
			return "", nil, err
		}
		var left, failed, interrupted []plan.Step
		var problem *run.Problem
		for i, o := range outcomes {
			switch s := pending[i]; {
			case o.good() || (o.Status == run.StepHasFailed && s.Optional):
				continue
			case o.Status == run.StepHasFailed:
				failed = append(failed, s)
			default:
				interrupted = append(interrupted, s)
			}
			left = append(left, pending[i])
			if problem == nil {
				problem = o.Problem
			}
		}
		if len(left) == 0 {
			return "", nil, nil
		}
		if problem != nil {
			why = problem
		}
		sig, err := x.decide(problem)
		if err != nil || sig == run.SignalUndo || sig == run.SignalStop {
			return sig, why, err
		}
		if len(failed) > 0 {
			x.forget(x.id)
		}
		pending = left
		if sig == run.SignalSkip {
			// Only what failed: the others were merely interrupted by the signal.
			if err := x.skip(failed); err != nil {
				return "", nil, err
			}
			pending, why = interrupted, nil
		}
	}
}

// decide answers a round that did not end well, and takes the signal that
// answered it. They are two checkpoints, so that a crash between them loses no
// signal: one that is answered but not taken yet is taken when carried on.
func (x *execution) decide(problem *run.Problem) (run.Signal, error) {
	a, err := checkpoint(x, "decide", func(ctx context.Context) (answer, error) { return x.answer(ctx, problem) })
	if err != nil || a.Sent == nil {
		return a.Signal, err
	}
	_, err = checkpoint(x, "take", func(ctx context.Context) (bool, error) {
		x.hook("take " + string(a.Signal))
		err := x.store.Take(ctx, x.id, *a.Sent)
		x.hook("taken " + string(a.Signal))
		return true, err
	})
	return a.Signal, err
}

// parallel runs f for each step, a checkpoint each, and gathers the outcomes
// in the steps' order.
func (x *execution) parallel(name string, steps []plan.Step, f func(context.Context, plan.Step) (outcome, error)) ([]outcome, error) {
	batch := driver.Batch{Since: time.Now(), Size: len(steps)}
	channels := make([]<-chan dbos.StepOutcome[outcome], len(steps))
	for i, s := range steps {
		c, err := dbos.Go(x.ctx, func(ctx context.Context) (outcome, error) {
			select {
			case x.slots <- struct{}{}:
			case <-ctx.Done():
				return outcome{}, ctx.Err()
			}
			defer func() { <-x.slots }()
			return f(driver.WithBatch(ctx, batch), s)
		}, dbos.WithStepName(name))
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
// back to the closing, and so does an extension however it ended: an opening
// finds out by itself which page is up. A run that was stopped before anything was written is
// undone, so that it holds no lock.
func (x *execution) end(status run.Status, problem *run.Problem) (run.Status, error) {
	if status == run.Stopped && !x.prepared {
		status = run.Undone
	}
	if status == run.Stopped && problem == nil {
		problem = &run.Problem{Code: fault.Interrupted, Summary: "run was stopped",
			Detail: "A person stopped run " + x.id + " and left everything as it is.", Try: []string{"noren status", x.plan.OpenCommand()}}
	}
	return checkpoint(x, "end", func(ctx context.Context) (run.Status, error) {
		x.hook("end")
		release := (x.plan.Kind == plan.Open && status == run.Done) || (x.plan.Kind == plan.Close && status == run.Undone)
		giveBack := ""
		if x.plan.Kind == plan.Extend || x.plan.Kind == plan.Open && status == run.Undone {
			giveBack = x.plan.Closing
		}
		also, err := x.consequences(ctx, status)
		if err != nil {
			return status, err
		}
		err = x.store.End(ctx, x.id, run.Event{Type: run.RunEnded, Data: run.Data{Status: status, Problem: x.withLeft(ctx, problem, status)}.Without(x.plan.Pass)}, release, giveBack, also...)
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
		with.Left = "unknown: the records cannot be read"
		if r, err := x.store.Run(ctx, x.id); err == nil {
			with.Left = changedNow(r)
		}
	}
	if status == run.Stranded {
		with.Code = fault.Stranded
		// Whatever is to be mended first, this is what brings everything back.
		if again := x.plan.OpenCommand(); x.plan.Kind != plan.Extend && !slices.Contains(with.Try, again) {
			with.Try = append(slices.Clone(with.Try), again)
		}
	}
	return &with
}

// note records an event once, in a checkpoint of its own.
func (x *execution) note(name string, e run.Event) error {
	_, err := checkpoint(x, name, func(ctx context.Context) (bool, error) { return true, x.event(ctx, e) })
	return err
}

func (x *execution) event(ctx context.Context, e run.Event) error {
	e.Run, e.Data = x.id, e.Data.Without(x.plan.Pass)
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
