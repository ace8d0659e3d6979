package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
	"github.com/noren-dev/noren/internal/store"
)

// Pauses between looks at something that is not yet as it should be, and
// between looks for a signal meanwhile.
const (
	firstLook   = 50 * time.Millisecond
	lastLook    = 3 * time.Second
	signalEvery = 200 * time.Millisecond
)

// prepare observes every target that the run will change, compares each with
// what the plan's reader approved, and commits all receipts in one
// transaction. It writes nothing outside. If receipts are there already, an
// earlier pass committed them, and they are the truth.
func (x *execution) prepare(ctx context.Context) (outcome, error) {
	have, err := x.store.Receipts(ctx, x.id)
	if err != nil {
		return outcome{}, err
	}
	if len(have) > 0 {
		return outcome{Status: run.StepIsDone}, nil
	}
	changes := slices.DeleteFunc(x.plan.Steps(), func(s plan.Step) bool { return !isChange(s) })
	// What is optional may not keep the run from beginning: if its target is not
	// as it was planned, its Apply says so.
	receipts := make([]action.Receipt, len(changes))
	problems := make([]error, len(changes))
	ctx = driver.WithBatch(ctx, driver.Batch{Since: time.Now(), Size: len(changes)})
	var all sync.WaitGroup
	for i, s := range changes {
		all.Go(func() {
			select {
			case x.slots <- struct{}{}:
			case <-ctx.Done():
				problems[i] = ctx.Err()
				return
			}
			defer func() { <-x.slots }()
			if !s.Optional {
				problems[i] = x.compare(ctx, s)
			}
		})
		receipts[i] = action.Receipt{Run: x.id, Step: s.ID, Action: s.Action, Target: s.Target, From: s.From, To: s.To, TakenAt: x.now()}
	}
	all.Wait()
	if err := ctx.Err(); err != nil {
		return outcome{}, err // cut short, not refused
	}
	if err := errors.Join(problems...); err != nil {
		return outcome{Status: run.StepHasFailed, Problem: run.ProblemOf(err)}, nil
	}
	x.hook("receipts")
	err = x.store.PutReceipts(ctx, x.id, receipts)
	x.hook("prepared")
	return outcome{Status: run.StepIsDone}, err
}

func (x *execution) compare(ctx context.Context, s plan.Step) error {
	in, err := x.session(x.id, x.plan).At(s.Cluster).Action(ctx, s.Action, s.Params)
	if err != nil {
		return err
	}
	now, err := in.Change.Observe(ctx)
	if err != nil {
		return x.explain(s, err)
	}
	if now.Equal(s.From) {
		return nil
	}
	return &fault.Fault{Code: fault.Drift, Summary: "target is not as it was planned", Err: action.ErrDrift,
		Detail: fmt.Sprintf("%s in %s is not in the state that the plan was made from: someone changed it since.", s.Target, x.plan.Environment.Name),
		Try:    []string{"noren plan " + string(x.plan.Kind) + " --env " + x.plan.Environment.Name}}
}

// perform runs one step to its end, or until a signal waits.
func (x *execution) perform(ctx context.Context, s plan.Step) (outcome, error) {
	if stop, err := x.interrupted(ctx); stop || err != nil {
		return outcome{Status: run.StepWasSkipped}, err
	}
	if err := x.event(ctx, run.Event{Type: run.StepStarted, Step: s.ID}); err != nil {
		return outcome{}, err
	}
	in, err := x.session(x.id, x.plan).At(s.Cluster).Action(ctx, s.Action, s.Params)
	if err != nil {
		return x.failed(ctx, s, err)
	}
	switch s.Kind {
	case action.KindChange:
		return x.change(ctx, s, in)
	case action.KindEffect:
		if err := in.Effect.Do(ctx, x.id+"/"+s.ID); err != nil {
			return x.failed(ctx, s, err)
		}
		x.hook("did " + s.ID)
		return x.stepDone(ctx, s, nil, false)
	default:
		return x.await(ctx, s, in.Check.Check)
	}
}

func (x *execution) change(ctx context.Context, s plan.Step, in *driver.Instance) (outcome, error) {
	r, mark, err := x.receipt(ctx, s, false)
	if err != nil {
		return outcome{}, err
	}
	// A target that somebody put back by hand may still carry the mark, which
	// an undo takes away.
	if r.From.Equal(r.To) && s.Undoes == "" {
		return x.stepDone(ctx, s, nil, true)
	}
	x.hook("apply " + s.ID)
	return x.await(ctx, s, x.applied(s, in, mark, r.From, r.To, "applied "))
}

// applied returns the question whether a change has been made and has taken
// effect. To ask is to make it: a system that does not answer for a while is
// waited for, as for everything else.
//
// Whether it has taken effect is asked after the other writes of the round that
// are ready to be made: what is waited for, such as a controller that takes in
// all writes at once, comes sooner when all are written, and one look at many
// targets shows all.
func (x *execution) applied(s plan.Step, in *driver.Instance, m action.Mark, from, to action.State, point string) func(context.Context) (action.Verdict, error) {
	tried, written := false, false
	return func(ctx context.Context) (action.Verdict, error) {
		if !written {
			writing := ctx
			if tried {
				writing = driver.Alone(ctx)
			}
			tried = true
			if err := marked(in, m).Apply(writing, from, to); err != nil {
				return action.Verdict{}, err
			}
			written = true
			x.hook(point + s.ID)
			if in.Waiter != nil {
				ctx = since(ctx, time.Now())
				x.letOthers()
			}
		}
		if in.Waiter == nil {
			return action.Verdict{OK: true}, nil
		}
		return in.Waiter.Settled(ctx, to)
	}
}

// receipt returns the step's receipt and the mark that goes with it. A step
// that undoes a closing's step carries the closing's mark, so that it is the
// closing's mark that is taken away; so does one that renews its page, so that
// the mark alone tells how to get from what is there to what was there before
// the closing. back is set where the step itself is being taken back.
func (x *execution) receipt(ctx context.Context, s plan.Step, back bool) (action.Receipt, action.Mark, error) {
	mine, err := x.kept(ctx, x.id, s.ID)
	if err != nil {
		return mine, action.Mark{}, err
	}
	of, closing := mine, x.closing
	if id := cmp.Or(s.Undoes, s.Renews); id != "" {
		if of, err = x.kept(ctx, x.plan.Closing, id); err != nil {
			return mine, action.Mark{}, err
		}
		switch {
		case mine.From.Equal(mine.To):
		case s.Undoes != "", back:
			of.To = mine.From
		default:
			of.To = mine.To
		}
	}
	if s.Renews != "" && !back {
		extended := *closing
		extended.Until, extended.Mark, extended.Moves = x.plan.Until, x.plan.Mark, x.plan.Moves
		closing = &extended
	}
	m, err := plan.MarkOf(closing, of, s.Params, x.actor)
	return mine, m, err
}

// kept returns a receipt. Receipts never change: those of a run are read
// together, once.
func (x *execution) kept(ctx context.Context, id, step string) (action.Receipt, error) {
	x.reading.Lock()
	defer x.reading.Unlock()
	if _, read := x.receipts[id]; !read {
		all, err := x.store.Receipts(ctx, id)
		if err != nil {
			return action.Receipt{}, err
		}
		of := make(map[string]action.Receipt, len(all))
		for _, r := range all {
			of[r.Step] = r
		}
		if x.receipts == nil {
			x.receipts = map[string]map[string]action.Receipt{}
		}
		x.receipts[id] = of
	}
	if r, have := x.receipts[id][step]; have {
		return r, nil
	}
	return x.store.Receipt(ctx, id, step) // which says that there is none
}

func marked(in *driver.Instance, m action.Mark) action.Change {
	if in.Marker == nil {
		return in.Change
	}
	return in.Marker.Marked(m)
}

// await carries a step that must be waited for to its end, or until a signal
// waits.
func (x *execution) await(ctx context.Context, s plan.Step, ask func(context.Context) (action.Verdict, error)) (outcome, error) {
	w, err := x.until(ctx, s, true, ask)
	switch {
	case err != nil:
		return outcome{}, err
	case w.interrupted:
		return outcome{Status: run.StepWasSkipped}, nil
	case w.refusal != nil:
		return x.failed(ctx, s, w.refusal)
	default:
		return x.stepDone(ctx, s, said(w.verdict), false)
	}
}

// said is a verdict worth keeping, or nil: a change without a Waiter has none.
func said(v action.Verdict) *action.Verdict {
	if v.Summary == "" {
		return nil
	}
	return &v
}

// waited is how a wait ended: with a good verdict, with the reason why not, or
// because a signal waits.
type waited struct {
	verdict     action.Verdict
	refusal     error
	interrupted bool
}

// until asks again until the verdict is good, the step's patience is over, or,
// if heed is set, a signal waits. An outside that does not answer for a while
// is one more thing that patience is for.
func (x *execution) until(ctx context.Context, s plan.Step, heed bool, ask func(context.Context) (action.Verdict, error)) (waited, error) {
	var deadline time.Time // from the first answer on: the turn of a step may come late
	said := ""
	for pause := firstLook; ; pause = min(pause*3/2, lastLook) {
		v, err := ask(ctx)
		refusal := err
		switch {
		case err == nil && v.OK:
			return waited{verdict: v}, nil
		case err == nil:
			refusal = refused(s, v)
		case !errors.Is(err, action.ErrUnavailable):
			return waited{refusal: err}, nil
		default:
			v = action.Verdict{Summary: err.Error()}
		}
		if deadline.IsZero() {
			deadline = x.now().Add(s.Patience)
		}
		looked := time.Now()
		if now := strings.Join(append([]string{v.Summary}, v.Findings...), "\n"); now != said {
			said = now
			if err := x.event(ctx, run.Event{Type: run.StepWaiting, Step: s.ID, Data: run.Data{Verdict: &v}}); err != nil {
				return waited{}, err
			}
		}
		if x.now().Add(pause).After(deadline) {
			return waited{refusal: refusal}, nil
		}
		if stop, err := x.restAside(ctx, pause, heed); stop || err != nil {
			return waited{interrupted: true}, err
		}
		ctx = since(ctx, looked)
	}
}

// since is for a look that shows something new if it is newer than the moment
// given: one answer may do for all that are waited for.
func since(ctx context.Context, t time.Time) context.Context {
	return driver.WithBatch(ctx, driver.Batch{Since: t, Size: driver.BatchOf(ctx).Size})
}

// letOthers lets the steps that wait for their turn go first.
func (x *execution) letOthers() {
	<-x.slots
	x.slots <- struct{}{}
}

// restAside is rest for a step that is under way. It gives its slot to another
// meanwhile: what is waited for, such as a controller that takes in all writes
// at once, comes sooner when all are written.
func (x *execution) restAside(ctx context.Context, d time.Duration, heed bool) (stop bool, err error) {
	<-x.slots
	defer func() { x.slots <- struct{}{} }()
	return x.rest(ctx, d, heed)
}

func refused(s plan.Step, v action.Verdict) error {
	detail := v.Summary
	if s.Patience > 0 {
		detail += fmt.Sprintf(" (waited %s)", s.Patience)
	}
	return &fault.Fault{Code: fault.CheckFailed, Summary: "check failed",
		Detail: strings.Join(append([]string{s.Target + ": " + detail}, v.Findings...), "\n"), Try: v.Try}
}

// rest waits. If heed is set it wakes early when a signal waits, and says so.
func (x *execution) rest(ctx context.Context, d time.Duration, heed bool) (stop bool, err error) {
	end := time.NewTimer(d)
	defer end.Stop()
	look := time.NewTicker(signalEvery)
	defer look.Stop()
	for {
		over := false
		select {
		case <-ctx.Done():
			return true, ctx.Err()
		case <-end.C:
			over = true
		case <-look.C:
		}
		if heed {
			if stop, err := x.interrupted(ctx); stop || err != nil {
				return stop, err
			}
		}
		if over {
			return false, nil
		}
	}
}

func (x *execution) interrupted(ctx context.Context) (bool, error) {
	sent, err := x.store.Next(ctx, x.id)
	return sent != nil, err
}

// An answer is what to do with a round that did not end well. Sent is the
// signal that says so, nil if the plan does.
type answer struct {
	Signal run.Signal  `json:"signal"`
	Sent   *store.Sent `json:"sent,omitempty"`
}

// answer reads the oldest signal. Without one it does as the plan says: undo,
// or wait for a person. If nothing failed and the signal is gone, or is a skip,
// the run goes on.
func (x *execution) answer(ctx context.Context, problem *run.Problem) (answer, error) {
	waiting := false
	for {
		sent, err := x.store.Next(ctx, x.id)
		switch {
		case err != nil:
			return answer{}, err
		case sent != nil:
			return answer{sent.Signal, sent}, nil
		case problem == nil:
			return answer{Signal: run.SignalRetry}, nil
		case x.plan.OnFailure != plan.Ask || !x.prepared:
			return answer{Signal: run.SignalUndo}, nil
		}
		if !waiting {
			waiting = true
			if err := x.event(ctx, run.Event{Type: run.RunWaiting, Data: run.Data{Problem: problem}}); err != nil {
				return answer{}, err
			}
		}
		if _, err := x.rest(ctx, lastLook, true); err != nil {
			return answer{}, err
		}
	}
}

func (x *execution) stepDone(ctx context.Context, s plan.Step, v *action.Verdict, nothing bool) (outcome, error) {
	return outcome{Status: run.StepIsDone}, x.event(ctx, run.Event{Type: run.StepDone, Step: s.ID, Data: run.Data{Verdict: v, Nothing: nothing}})
}

func (x *execution) failed(ctx context.Context, s plan.Step, err error) (outcome, error) {
	p := run.ProblemOf(x.explain(s, err))
	return outcome{run.StepHasFailed, p}, x.event(ctx, run.Event{Type: run.StepFailed, Step: s.ID, Data: run.Data{Problem: p}})
}

// explain makes a fault of what a driver returned.
func (x *execution) explain(s plan.Step, err error) error {
	var f *fault.Fault
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, action.ErrDrift):
		return &fault.Fault{Code: fault.Drift, Summary: "target has drifted", Err: err,
			Detail: fmt.Sprintf("%s in %s: someone else changed it, and noren left it alone: %v.", s.Target, x.plan.Environment.Name, err),
			Try:    []string{"noren plan open --env " + x.plan.Environment.Name}}
	case errors.Is(err, action.ErrUnavailable):
		return &fault.Fault{Code: fault.Unavailable, Summary: "no answer from outside", Err: err,
			Detail: fmt.Sprintf("%s in %s: %v.", s.Target, x.plan.Environment.Name, err), Try: []string{"noren check --live --env " + x.plan.Environment.Name}}
	default:
		return &fault.Fault{Code: fault.Internal, Summary: "step failed", Err: err,
			Detail: fmt.Sprintf("%s in %s: %v.", s.Target, x.plan.Environment.Name, err)}
	}
}

// changedNow says in one line which targets a run has changed and not taken
// back, or else where customers do not see that they were.
func changedNow(r *run.Run) string {
	var changed []string
	for _, s := range r.Changed() {
		line := s.Target
		if p := r.Steps[s.ID].Problem; p != nil && p.Code == fault.Drift {
			line += " (someone else's write)"
		}
		changed = append(changed, line)
	}
	if len(changed) > 0 {
		return strings.Join(changed, ", ")
	}
	if unseen := unseen(r); len(unseen) > 0 {
		return "everything was written back, but customers do not see it: " + strings.Join(unseen, "; ")
	}
	return "nothing"
}
