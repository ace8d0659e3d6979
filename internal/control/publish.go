package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
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

// A Published is what publishing did.
type Published struct {
	Changes []ToldChange
	// Left says what was left as it is, and why.
	Left []string
}

// Publish brings what others are told up to date: what the catalog says, what
// this state directory holds closed, and what it has opened. What another noren
// holds closed stays as it is. What it did, also before an error, is recorded as
// a run of its own.
func (c *Control) Publish(ctx context.Context, environment string) (Published, error) {
	session, env, err := c.tellers(environment)
	if err != nil {
		return Published{}, err
	}
	p := &publisher{Control: c, session: session, env: env}
	err = p.publish(ctx)
	return Published{p.changed, p.left}, errors.Join(err, p.record(context.WithoutCancel(ctx), err))
}

// A publisher is one publishing.
type publisher struct {
	*Control
	session *driver.Session
	env     plan.Environment
	changed []ToldChange
	left    []string
	steps   []plan.Step
	failed  *plan.Step // what could not be written
}

func (p *publisher) publish(ctx context.Context) error {
	held, err := p.retellClosed(ctx)
	if err != nil {
		return err
	}
	if err := p.takeBackTold(ctx, held); err != nil {
		return err
	}
	for _, call := range p.session.Publishing() {
		in, params, err := openCall(ctx, p.session, call)
		if err != nil {
			return err
		}
		if err := p.bring(ctx, in, plan.Step{Action: call.Action, Params: params}, in.Change, in.Change.Propose); err != nil {
			return err
		}
	}
	return nil
}

// bring moves a target to the state wanted, and notes it if that is a change. of
// says which action that is, and of which service.
func (p *publisher) bring(ctx context.Context, in *driver.Instance, of plan.Step, change action.Change, want func(action.State) (action.State, error)) error {
	from, err := in.Change.Observe(ctx)
	if err != nil {
		return unread(in.Target, p.env.Name, err)
	}
	to, err := want(from)
	if err != nil {
		return err
	}
	step := plan.Step{ID: fmt.Sprintf("tell-%d", len(p.steps)+1), Kind: action.KindChange, Action: of.Action, Target: in.Target, Service: of.Service, Params: of.Params,
		Title: "Publish " + in.Target, From: from, To: to}
	step.Track = step.ID
	if in.Describer != nil {
		step.Description = in.Describer.Describe(from, to)
	}
	if err := change.Apply(ctx, from, to); err != nil {
		p.failed = &step
		return err
	}
	if !from.Equal(to) {
		p.steps = append(p.steps, step)
		p.changed = append(p.changed, ToldChange{in.Target, step.Description})
	}
	return p.await(ctx, in, to)
}

// How long publishing waits until others are seen to hear, and between two looks.
const (
	publishPatience = 2 * time.Minute
	firstPublished  = 200 * time.Millisecond
	lastPublished   = 5 * time.Second
)

// await waits until others are seen to hear of what was written, and says what is
// left where they are not: it is written all the same.
func (p *publisher) await(ctx context.Context, in *driver.Instance, to action.State) error {
	if in.Waiter == nil {
		return nil
	}
	patience := publishPatience
	if p.Patience > 0 {
		patience = min(patience, p.Patience)
	}
	began := time.Now()
	for pause := firstPublished; ; pause = min(pause*3/2, lastPublished) {
		v, err := in.Waiter.Settled(ctx, to)
		switch {
		case err == nil && v.OK:
			return nil
		case err != nil && !errors.Is(err, action.ErrUnavailable):
			return err
		case err != nil:
			v = action.Verdict{Summary: err.Error()}
		}
		if time.Since(began)+pause > patience {
			p.left = append(p.left, in.Target+"  "+strings.Join(slices.Concat([]string{v.Summary}, v.Findings), "; "))
			return nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// record records who published what, if anything was written or could not be.
func (p *publisher) record(ctx context.Context, failed error) error {
	steps := slices.Clone(p.steps)
	var events []run.Event
	for _, s := range steps {
		events = append(events, run.Event{Type: run.StepDone, Step: s.ID})
	}
	told := run.Data{Status: run.Done}
	if p.failed != nil {
		steps = append(steps, *p.failed)
		told = run.Data{Status: run.Stopped, Problem: run.ProblemOf(failed)}
		events = append(events, run.Event{Type: run.StepFailed, Step: p.failed.ID, Data: run.Data{Problem: told.Problem}})
	}
	if len(steps) == 0 {
		return nil
	}
	return p.noteDone(ctx, plan.Publish, p.env, []plan.Stage{{Name: plan.StageTell, Steps: steps}}, events, told)
}

// retellClosed tells what is held closed here and is not told. It returns the
// targets of what is held.
func (p *publisher) retellClosed(ctx context.Context) (map[string]bool, error) {
	held := map[string]bool{}
	closed, err := p.Status(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range closed {
		if s.Environment != p.env.Name {
			continue
		}
		closing, receipts, err := p.closingOf(ctx, s.Run)
		if err != nil {
			return nil, err
		}
		extensions, _, err := p.extensions(ctx, closing)
		if err != nil {
			return nil, err
		}
		written := plan.Written(receipts, extensions...)
		open := p.openAgain(ctx, closing, receipts, s.Service)
		for _, step := range toldOf(closing, s.Service) {
			held[step.Target] = true
			states := written[step.ID]
			if len(states) == 0 || !s.Run.Status.Ended() {
				continue // the run tells it itself
			}
			if open {
				p.left = append(p.left, fmt.Sprintf("%s  not told that %s is closed: run %s holds it closed, and somebody has put back what it changed. End that: noren open %s --env %s",
					step.Target, s.Service, closing.ID, s.Service, p.env.Name))
				continue
			}
			in, err := p.session.Action(ctx, step.Action, step.Params)
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
			if err := p.bring(ctx, in, step, marked(in, mark), last); err != nil {
				return nil, err
			}
		}
	}
	return held, nil
}

// openAgain tells whether all that keeps customers out of a service is as it was
// before its closing: another noren recovered it, or a person put it back. What
// cannot be read is taken for closed, as the records say.
func (p *publisher) openAgain(ctx context.Context, closing *run.Run, receipts []action.Receipt, service string) bool {
	found := false
	for _, stage := range closing.Plan.Stages {
		if stage.Name != plan.StageClose {
			continue
		}
		for _, step := range ofServices(slices.Clone(stage.Steps), []ClosedService{{Service: service}}) {
			i := slices.IndexFunc(receipts, func(r action.Receipt) bool { return r.Step == step.ID })
			if i < 0 || receipts[i].From.Equal(receipts[i].To) {
				continue
			}
			in, err := p.session.At(step.Cluster).Action(ctx, step.Action, step.Params)
			if err != nil {
				return false
			}
			if now, err := in.Change.Observe(ctx); err != nil || !now.Equal(receipts[i].From) {
				return false
			}
			found = true
		}
	}
	return found
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
func (p *publisher) takeBackTold(ctx context.Context, held map[string]bool) error {
	marks, err := p.session.ToldMarks(ctx)
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
		if err := p.known(ctx, l); err != nil {
			return err
		}
		if l.Cause != EndedRun {
			continue // another noren's
		}
		in, err := p.session.Action(ctx, m.Mark.Receipt.Action, m.Mark.Params)
		if err != nil {
			return err
		}
		before := func(action.State) (action.State, error) { return m.Mark.Receipt.From, nil }
		of := plan.Step{Action: m.Mark.Receipt.Action, Params: m.Mark.Params}
		if o, err := plan.OriginOf(m.Mark); err == nil && o != nil {
			of.Service = o.Service.Name
		}
		if err := p.bring(ctx, in, of, marked(in, m.Mark), before); err != nil {
			return err
		}
	}
	published, err := p.session.Shown(ctx)
	if err != nil {
		return err
	}
	for _, shown := range published {
		for _, name := range slices.Sorted(maps.Keys(shown.Closed)) {
			in, params, err := openCall(ctx, p.session, shown.Closed[name])
			if err != nil {
				return err
			}
			if held[in.Target] || told[in.Target] {
				continue
			}
			open := func(action.State) (action.State, error) { return action.State{}, nil }
			if err := p.bring(ctx, in, plan.Step{Action: shown.Closed[name].Action, Params: params, Service: name}, in.Change, open); err != nil {
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
