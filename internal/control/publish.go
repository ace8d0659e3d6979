package control

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// A ToldChange is one change that publishing makes.
type ToldChange struct {
	Target      string
	Description action.Description
}

func (c *Control) tellers(environment string) (*driver.Session, plan.Environment, error) {
	env, err := c.Catalog.Environment(environment)
	if err != nil {
		return nil, plan.Environment{}, err
	}
	if err := c.namesKnown(environment); err != nil {
		return nil, plan.Environment{}, err
	}
	pinned, err := c.planEnvironment(env)
	if err != nil {
		return nil, pinned, err
	}
	session := c.session(pinned)
	if len(session.Tellers()) == 0 {
		return nil, pinned, &fault.Fault{Code: fault.Invalid, Summary: "no status document",
			Detail: fmt.Sprintf("The environment %s has no section appstatus: it says where the document is, and which services are in it.", environment),
			Try:    []string{"appstatus:\n  file: app-status.json\n  services:\n    shop: {name: {en: Shop}}"}}
	}
	return session, pinned, nil
}

// ToldNow is what others are told of an environment now.
func (c *Control) ToldNow(ctx context.Context, environment string) ([]driver.Publication, error) {
	session, _, err := c.tellers(environment)
	if err != nil {
		return nil, err
	}
	return session.Shown(ctx)
}

// ToldThen is what others would be told if the services (none: all) were closed
// now. It writes nothing.
func (c *Control) ToldThen(ctx context.Context, environment string, until time.Time, services ...string) ([]driver.Publication, error) {
	session, _, err := c.tellers(environment)
	if err != nil {
		return nil, err
	}
	closing, err := c.Catalog.Services(environment, services...)
	if err != nil {
		return nil, err
	}
	var as []driver.Announcement
	for _, s := range closing {
		a, err := c.announcement(s, c.Now(), until, s.Mode)
		if err != nil {
			return nil, err
		}
		as = append(as, a)
	}
	return session.Shown(ctx, as...)
}

// Publish brings what others are told up to date: what the catalog says, what
// this state directory holds closed, and what it has opened. What another noren
// holds closed stays as it is. It returns what it changed.
func (c *Control) Publish(ctx context.Context, environment string) ([]ToldChange, error) {
	session, env, err := c.tellers(environment)
	if err != nil {
		return nil, err
	}
	var changed []ToldChange
	held, err := c.retellClosed(ctx, session, env.Name, &changed)
	if err != nil {
		return changed, err
	}
	if err := c.takeBackTold(ctx, session, env.Name, held, &changed); err != nil {
		return changed, err
	}
	for _, call := range session.Publishing() {
		in, _, err := openCall(ctx, session, call)
		if err != nil {
			return changed, err
		}
		if err := bring(ctx, env.Name, in, in.Change, in.Change.Propose, &changed); err != nil {
			return changed, err
		}
	}
	return changed, nil
}

// bring moves a target to the state wanted, and notes it if that is a change.
func bring(ctx context.Context, env string, in *driver.Instance, change action.Change, want func(action.State) (action.State, error), changed *[]ToldChange) error {
	from, err := in.Change.Observe(ctx)
	if err != nil {
		return unread(in.Target, env, err)
	}
	to, err := want(from)
	if err != nil {
		return err
	}
	if err := change.Apply(ctx, from, to); err != nil {
		return err
	}
	if !from.Equal(to) && in.Describer != nil {
		*changed = append(*changed, ToldChange{in.Target, in.Describer.Describe(from, to)})
	}
	return nil
}

// retellClosed tells what is held closed here and is not told. It returns the
// targets of what is held.
func (c *Control) retellClosed(ctx context.Context, session *driver.Session, env string, changed *[]ToldChange) (map[string]bool, error) {
	held := map[string]bool{}
	closed, err := c.Status(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range closed {
		if s.Environment != env {
			continue
		}
		closing, receipts, err := c.closingOf(ctx, s.Run)
		if err != nil {
			return nil, err
		}
		extensions, _, err := c.extensions(ctx, closing)
		if err != nil {
			return nil, err
		}
		written := plan.Written(receipts, extensions...)
		for _, step := range toldOf(closing, s.Service) {
			held[step.Target] = true
			states := written[step.ID]
			if len(states) == 0 || !s.Run.Status.Ended() {
				continue // the run tells it itself
			}
			in, err := session.Action(ctx, step.Action, step.Params)
			if err != nil {
				return nil, err
			}
			i := slices.IndexFunc(receipts, func(r action.Receipt) bool { return r.Step == step.ID })
			of := receipts[i] // written has it
			of.To = states[len(states)-1]
			mark, err := plan.MarkOf(closing.Plan, of, step.Params, closing.Actor)
			if err != nil {
				return nil, err
			}
			last := func(action.State) (action.State, error) { return of.To, nil }
			if err := bring(ctx, env, in, marked(in, mark), last, changed); err != nil {
				return nil, err
			}
		}
	}
	return held, nil
}

func toldOf(closing *run.Run, service string) []plan.Step {
	var steps []plan.Step
	for _, stage := range closing.Plan.Stages {
		if stage.Name == plan.StageTell {
			steps = append(steps, ofServices(slices.Clone(stage.Steps), []ClosedService{{Service: service}})...)
		}
	}
	return steps
}

// takeBackTold takes back what runs of this state directory told that have ended
// and hold nothing, which is an opening that could not say so, and what nobody
// told: every closing leaves a mark.
func (c *Control) takeBackTold(ctx context.Context, session *driver.Session, env string, held map[string]bool, changed *[]ToldChange) error {
	marks, err := session.ToldMarks(ctx)
	if err != nil {
		return err
	}
	told := map[string]bool{}
	for _, m := range marks {
		told[m.On] = true
		l := &Leftover{Run: m.Mark.Receipt.Run}
		if m.Wrong != "" || held[m.On] {
			continue
		}
		if err := c.known(ctx, l); err != nil {
			return err
		}
		if l.Cause != EndedRun {
			continue // another noren's
		}
		in, err := session.Action(ctx, m.Mark.Receipt.Action, m.Mark.Params)
		if err != nil {
			return err
		}
		before := func(action.State) (action.State, error) { return m.Mark.Receipt.From, nil }
		if err := bring(ctx, env, in, marked(in, m.Mark), before, changed); err != nil {
			return err
		}
	}
	published, err := session.Shown(ctx)
	if err != nil {
		return err
	}
	for _, p := range published {
		for _, name := range slices.Sorted(maps.Keys(p.Closed)) {
			in, _, err := openCall(ctx, session, p.Closed[name])
			if err != nil {
				return err
			}
			if held[in.Target] || told[in.Target] {
				continue
			}
			open := func(action.State) (action.State, error) { return action.State{}, nil }
			if err := bring(ctx, env, in, in.Change, open, changed); err != nil {
				return err
			}
		}
	}
	return nil
}

func marked(in *driver.Instance, m action.Mark) action.Change {
	if in.Marker == nil {
		return in.Change
	}
	return in.Marker.Marked(m)
}
