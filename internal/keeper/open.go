package keeper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// A refusal is why the keeper does not open: what people are told once, why, and
// what to do. One without a topic needs no telling of its own.
type refusal struct {
	topic run.Topic
	why   string
	try   []string
}

// open opens a group whose end has come, if that is for the keeper to do. It
// tells whether an opening is under way, or else why there is none.
func (k *Keeper) open(ctx context.Context, g group, now time.Time) (opening bool, no refusal, err error) {
	if g.holder.Plan.Kind != plan.Close || g.holder.Status != run.Done {
		return false, refusal{why: fmt.Sprintf("run %s left it %s: it does not open by itself any more", g.holder.ID, g.holder.Status)}, nil
	}
	last, err := k.lastAttempt(ctx, g)
	if err != nil {
		return false, no, err
	}
	// An opening that let customers in, did not pass and closed again is not
	// repeated: a service that opens and closes all night is worse than one that
	// is late.
	if last != nil && letIn(last) {
		return false, refusal{run.Failed, fmt.Sprintf("run %s began to open it and was %s: it does not open by itself any more", last.ID, last.Status),
			[]string{"noren watch " + last.ID, advice(g)[1]}}, nil
	}
	if tried, ok := k.tried[g.key()]; ok && now.Sub(tried.at) >= 0 && now.Sub(tried.at) < tryEvery {
		return false, tried.refuse, nil
	}
	// One that has workloads to start finds out only then that the application
	// is not ready. It is tried again a while after it has put them to rest.
	if last != nil && now.Sub(last.Ended) >= 0 && now.Sub(last.Ended) < tryEvery {
		why := fmt.Sprintf("it stays closed: run %s was %s", last.ID, last.Status)
		if last.Problem != nil {
			why += ": " + brief(last.Problem.Fault())
		}
		return false, refusal{run.Unready, why, advice(g)}, nil
	}
	opening, no, err = k.try(ctx, g)
	k.tried[g.key()] = attempt{now, no}
	return opening, no, err
}

// try plans the opening, asks whether the application is ready, and opens.
func (k *Keeper) try(ctx context.Context, g group) (opening bool, no refusal, err error) {
	plans, err := k.Control.PlanOpen(ctx, control.OpenRequest{Environment: g.environment, Services: g.services, OnFailure: plan.Undo})
	for _, p := range plans {
		if err == nil {
			err = k.Control.Ready(ctx, p)
		}
	}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return false, no, ctx.Err()
	case errors.Is(err, action.ErrDrift):
		open := advice(g)[1]
		return false, refusal{run.Drifted, "someone else changed what noren wrote, and a person must choose a side", []string{open, open + " --ours", open + " --theirs"}}, nil
	default:
		return false, refusal{run.Unready, "it stays closed: " + brief(err), advice(g)}, nil
	}
	for _, p := range plans {
		r, err := k.Control.Start(ctx, p)
		if err != nil {
			return false, no, err // somebody was quicker, perhaps: the next look tells
		}
		k.opening[r.ID], k.did[r.ID] = g, true
		k.Complain("%s in %s: opening, run %s", strings.Join(g.services, ", "), g.environment, r.ID)
		if err := k.Control.Execute(ctx, r.ID); err != nil {
			return true, no, err
		}
	}
	return len(plans) > 0, no, nil
}

// report tells of openings that have ended well. Of others, what is done next
// tells.
func (k *Keeper) report(ctx context.Context) error {
	for id, g := range k.opening {
		r, err := k.Control.Run(ctx, id)
		if err != nil {
			return err
		}
		if !r.Status.Ended() {
			continue
		}
		delete(k.opening, id)
		if r.Status != run.Done {
			continue
		}
		text := fmt.Sprintf("%s in %s: open again, by run %s", strings.Join(g.services, ", "), g.environment, id)
		var try, why []string
		if late := r.Untold(); len(late) > 0 {
			who := "others"
			try = []string{"noren leftovers --env " + g.environment}
			if r.UntoldBy("appstatus") {
				who, try = "apps", []string{"noren appstatus publish --env " + g.environment}
			}
			why = append(why, who+" still hear that it is closed: "+strings.Join(late, "; "))
		}
		if muted := r.StillMuted(); len(muted) > 0 {
			why = append(why, "monitors are still muted: "+strings.Join(muted, "; "))
			try = append(try, "noren leftovers --env "+g.environment)
		}
		text = strings.Join(append([]string{text}, why...), "; ")
		if err := k.tell(ctx, g, run.Reminder{Topic: run.Opened, Text: text, Why: strings.Join(why, "; ")}, try); err != nil {
			return err
		}
	}
	return nil
}

// lastAttempt is the last opening since the end that did not end well, nil if
// there was none.
func (k *Keeper) lastAttempt(ctx context.Context, g group) (*run.Run, error) {
	attempts, err := k.Control.Attempts(ctx, g.closing.ID)
	if err != nil {
		return nil, err
	}
	for _, r := range slices.Backward(attempts) {
		about := slices.ContainsFunc(r.Plan.Services, func(s plan.Service) bool { return slices.Contains(g.services, s.Name) })
		if about && r.Status.Ended() && r.Status != run.Done && !r.Created.Before(g.until) {
			return r, nil
		}
	}
	return nil, nil
}

// letIn tells whether customers were let in by an opening, be it for a while.
func letIn(r *run.Run) bool {
	for _, stage := range r.Plan.Stages {
		for _, s := range stage.Steps {
			if stage.Name == plan.StageOpen && r.Steps[s.ID].Attempts > 0 {
				return true
			}
		}
	}
	return false
}
