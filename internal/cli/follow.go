package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/cli/live"
	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// close plans, asks, and closes; or carries on the same closing if an earlier
// command was cut off.
func (a *app) close(ctx context.Context, c *control.Control, req control.CloseRequest, confirm confirmFlags, stay bool) error {
	begun, err := c.Closing(ctx, req.Environment, req.Services)
	if err != nil {
		return err
	}
	if begun != nil {
		if err := c.Otherwise(begun, req); err != nil {
			return err
		}
		if begun.Status.Ended() {
			a.view.Say("Closed already, by run %s. To move its end: noren extend. To close it differently, open it first.", begun.ID)
		} else {
			a.view.Say("Carrying on run %s, started by %s.", begun.ID, begun.Actor)
		}
		if err := a.follow(ctx, c, begun.ID); err != nil {
			return err
		}
		return a.closed(ctx, c, begun.ID, stay)
	}
	closing, err := c.PlanClose(ctx, req)
	if err != nil {
		return err
	}
	if a.interactive() {
		a.view.Brief().Closing(closing, a.Now())
	} else {
		a.warn(closing.Plan)
	}
	how, err := a.confirm(ctx, closing.Plan, confirm)
	if err != nil {
		return err
	}
	id, err := a.start(ctx, c, closing.Plan, how)
	if err != nil {
		return err
	}
	return a.closed(ctx, c, id, stay)
}

// open carries on openings that were cut off; then it plans, asks, and opens
// every closing that holds what was asked for.
func (a *app) open(ctx context.Context, c *control.Control, req control.OpenRequest, confirm confirmFlags) error {
	begun, err := c.Openings(ctx, req.Environment)
	if err != nil {
		return err
	}
	var late []error // the next service is opened all the same
	for _, r := range begun {
		a.view.Say("Carrying on run %s, started by %s.", r.ID, r.Actor)
		if err := a.follow(ctx, c, r.ID); errors.Is(err, errUntold) {
			late = append(late, err)
		} else if err != nil {
			return err
		}
		named := len(req.Services) > 0
		if req.Services = without(req.Services, r.Plan); named && len(req.Services) == 0 {
			return errors.Join(late...)
		}
	}
	plans, err := a.planOpen(ctx, c, req)
	if err != nil {
		return err
	}
	if len(plans) == 0 && len(begun) == 0 {
		return a.nothingHeld(ctx, c, req, nil)
	}
	for _, p := range plans {
		if a.interactive() {
			a.view.Brief().Opening(p, a.Now())
		} else {
			a.warn(p)
		}
		how, err := a.confirm(ctx, p, confirm)
		if err != nil {
			return err
		}
		if _, err := a.start(ctx, c, p, how); errors.Is(err, errUntold) {
			late = append(late, err)
		} else if err != nil {
			return err
		}
	}
	return errors.Join(late...)
}

// planOpen plans an opening. Where a service that was named is not held here,
// it looks whether it is held elsewhere.
func (a *app) planOpen(ctx context.Context, c *control.Control, req control.OpenRequest) ([]*plan.Plan, error) {
	plans, err := c.PlanOpen(ctx, req)
	if errors.Is(err, control.ErrNotHeld) {
		return nil, a.nothingHeld(ctx, c, req, err)
	}
	return plans, err
}

// without leaves out of names the services of p.
func without(names []string, p *plan.Plan) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return slices.ContainsFunc(p.Services, func(s plan.Service) bool { return s.Name == name })
	})
}

func where(env string) string {
	if env == "" {
		return ""
	}
	return " in " + env
}

// start records the plan as a run and follows it; it returns the run's id. From
// here on the run is under way, whatever becomes of the terminal.
func (a *app) start(ctx context.Context, c *control.Control, p *plan.Plan, how run.How) (id string, err error) {
	h := takeHold(ctx)
	defer h.release()
	if err := ctx.Err(); err != nil {
		return "", err
	}
	r, err := c.StartConfirmed(context.WithoutCancel(ctx), p, run.Confirmation{How: how})
	if err != nil {
		return "", err
	}
	return r.ID, a.show(ctx, c, r.ID, h)
}

// follow carries on a run that is recorded already.
func (a *app) follow(ctx context.Context, c *control.Control, id string) error {
	h := takeHold(ctx)
	defer h.release()
	return a.show(ctx, c, id, h)
}

// show shows a run until it ends, lets the person interrupt it, and returns
// how it ended as an error, nil if it is done.
func (a *app) show(ctx context.Context, c *control.Control, id string, h *hold) error {
	// The run outlives the cancellation of the command: a person who presses
	// Ctrl-C is asked, and a run half way is never just dropped.
	ctx = context.WithoutCancel(ctx)
	var r *run.Run
	var err error
	if a.interactive() && a.roomy() {
		rings, stop := a.ringLines(ctx, c, id)
		r, err = live.Run(ctx, live.Terminal{Rings: rings, In: a.Stdin, Out: a.Stdout, Now: a.Now, Interrupts: h.interrupts, Hangups: h.hangups,
			Line: a.view.Event, Waits: a.waits}, id, c)
		stop()
	} else {
		r, err = a.followLines(ctx, c, id, h)
	}
	if err != nil {
		return err
	}
	a.view.Ended(r, a.Now())
	if err := a.heard(ctx, c, r, h); err != nil {
		return errors.Join(outcome(r), err)
	}
	return outcome(r)
}

// heard gives the channels a moment to tell how the run ended, or until the
// person interrupts, and says who did not hear. That fails nothing.
func (a *app) heard(ctx context.Context, c *control.Control, r *run.Run, h *hold) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-ctx.Done():
		case <-h.interrupts:
			cancel()
		}
	}()
	missed, err := c.Heard(ctx, r.ID)
	for _, m := range missed {
		a.view.Say("warning: %s did not hear of all of run %s: %s", m.Who, m.Run, m.Why)
	}
	return err
}

// followLines shows a run line by line. The first interrupt puts everything
// back, since there is nobody to ask; the second leaves at once. Where the
// lines go no longer, the run goes on all the same.
func (a *app) followLines(ctx context.Context, c *control.Control, id string, h *hold) (*run.Run, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case s := <-h.interrupts:
				if n > 0 {
					cancel(left(id, s))
					return
				}
				a.view.Say("%s: going back; once more to leave at once", s)
				if err := c.Signal(ctx, id, run.SignalUndo); err != nil {
					cancel(err)
				}
			}
		}
	}()
	stop := a.sayRings(ctx, c, id)
	defer stop()
	r, err := c.Follow(ctx, id, a.view.Event)
	if cause := context.Cause(ctx); err != nil && cause != nil && errors.Is(err, context.Canceled) {
		return r, cause
	}
	return r, err
}

func left(id string, s os.Signal) error {
	return &fault.Fault{Code: fault.Interrupted, Summary: "left in the middle of a run",
		Detail: fmt.Sprintf("Run %s has not ended; %s was asked for twice.", id, s),
		Left:   "as far as the run has come; it stays recorded", Try: []string{"noren resume " + id, "noren undo " + id}}
}

// errUntold means that a run has done its work, and that others, such as apps,
// still hear what was true before it.
var errUntold = errors.New("not told")

// untold is who was not told of a run that is done, as an error: a person must
// act, though customers are where they should be.
func untold(r *run.Run) error {
	lines := r.Untold()
	if len(lines) == 0 {
		return nil
	}
	env := r.Plan.Environment.Name
	if !r.UntoldBy("appstatus") {
		return &fault.Fault{Code: fault.Stranded, Summary: "others were not told", Err: errUntold,
			Detail: fmt.Sprintf("Run %s has done what it was for, but what others read of %s does not say so.\n%s", r.ID, env, strings.Join(lines, "\n")),
			Left:   "what others read says what was true before this run", Try: []string{"noren leftovers --env " + env + "     # says where to put it right by hand"}}
	}
	return &fault.Fault{Code: fault.Stranded, Summary: "apps were not told", Err: errUntold,
		Detail: fmt.Sprintf("Run %s has done what it was for, but apps were not seen to hear of it in %s.\n%s", r.ID, env, strings.Join(lines, "\n")),
		Left:   "what apps read says what was true before this run, or may do so", Try: []string{"noren appstatus publish --env " + env + "     # once the reason is gone"}}
}

// unquiet is which monitors a run that is done could not let ring again, or could
// not keep quiet, as an error.
func unquiet(r *run.Run) error {
	env := r.Plan.Environment.Name
	var errs []error
	if lines := r.StillMuted(); len(lines) > 0 {
		errs = append(errs, &fault.Fault{Code: fault.Stranded, Summary: "monitors are still muted", Err: errUntold,
			Detail: fmt.Sprintf("Run %s has opened, but alarms about it would call nobody until their mutes end by themselves (at %s).\n%s",
				r.ID, r.Plan.MutedUntil.Local().Format("2006-01-02 15:04 MST"), strings.Join(lines, "\n")),
			Left: "the mutes named above", Try: []string{"noren leftovers --env " + env, "noren recover --env " + env + "     # once the reason is gone"}})
	}
	if lines := r.NotMuted(); len(lines) > 0 {
		errs = append(errs, &fault.Fault{Code: fault.Stranded, Summary: "monitors could not be kept quiet for longer", Err: errUntold,
			Detail: fmt.Sprintf("Run %s has moved the end, but alarms may call people before it, though nothing is wrong.\n%s", r.ID, strings.Join(lines, "\n")),
			Left:   "the mutes end when they ended before", Try: []string{"noren keep     # a keeper tries again before they end"}})
	}
	return errors.Join(errs...)
}

// outcome is a run's end as an error.
func outcome(r *run.Run) error {
	if r.Status == run.Done {
		return errors.Join(untold(r), unquiet(r))
	}
	if r.Problem != nil {
		return r.Problem.Fault()
	}
	return &fault.Fault{Code: fault.Interrupted, Summary: "run was " + string(r.Status), Detail: fmt.Sprintf("Run %s was %s on a person's word.", r.ID, r.Status)}
}
