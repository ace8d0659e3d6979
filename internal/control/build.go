package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
)

// A builder turns proposals into the stages of a closing.
type builder struct {
	*planner
	byStage  map[plan.StageName][]plan.Step
	services []plan.Service
	locks    []string
	notes    []driver.Note
	budgets  []driver.Budget
	seen     map[string]bool // checks and pauses that several places share
}

// A request is a call with what the plan says of it.
type request struct {
	stage    plan.StageName
	call     driver.Call
	service  string
	track    string
	title    string
	patience time.Duration
}

func (b *builder) place(ctx context.Context, p *place) error {
	target := p.survey.Target
	entrance := plan.Entrance{Kind: p.entrance.Kind, Name: p.entrance.Name, Target: target,
		Strategy: p.proposal.Strategy, Why: p.proposal.Why, URLs: b.urls(p)}
	b.locks = append(b.locks, target)
	b.notes = append(b.notes, prefixed(p, slices.Concat(p.survey.Notes, p.proposal.Notes))...)
	b.budgets = append(b.budgets, p.proposal.Budgets...)

	var requests []request
	for _, call := range p.proposal.Checks {
		requests = append(requests, request{plan.StageCheck, call, p.service.Name, "", "", checkPatience})
	}
	if o := p.survey.Owner; p.proposal.EditsOwned && o != nil {
		requests = append(requests, b.pause(p, *o)...)
		if err := b.resumedBy(ctx, *o); err != nil {
			return err
		}
	}
	for _, call := range p.proposal.Calls {
		requests = append(requests, request{plan.StageClose, call, p.service.Name, target, "", applyPatience})
	}
	if len(entrance.URLs) > 0 {
		requests = append(requests, b.proof(p, entrance.URLs))
	} else {
		b.notes = append(b.notes, driver.Note{Warn: true, Text: target + ": no public URL is known, so that noren cannot prove it closed. Give the service a health URL."})
	}
	for _, r := range requests {
		if err := b.add(ctx, r); err != nil {
			return err
		}
	}
	for _, call := range p.proposal.Ready {
		s, err := b.step(ctx, plan.StageReady, call)
		if err != nil {
			return err
		}
		s.Service, s.Track = p.service.Name, s.ID
		s.Title = "Is the application behind " + target + " up?"
		s.Patience = healthPatience
		entrance.Ready = append(entrance.Ready, s)
	}
	b.service(p, entrance)
	return nil
}

// service files the entrance under its service.
func (b *builder) service(p *place, e plan.Entrance) {
	i := slices.IndexFunc(b.services, func(s plan.Service) bool { return s.Name == p.service.Name })
	if i < 0 {
		b.services = append(b.services, plan.Service{Name: p.service.Name, Team: p.service.Team, Health: p.service.Health})
		i = len(b.services) - 1
	}
	b.services[i].Entrances = append(b.services[i].Entrances, e)
}

func prefixed(p *place, notes []driver.Note) []driver.Note {
	out := make([]driver.Note, len(notes))
	for i, n := range notes {
		out[i] = driver.Note{Warn: n.Warn, Text: p.survey.Target + ": " + n.Text}
	}
	return out
}

// pause asks for the owner's automated sync to be paused, after any sync under
// way has ended.
func (b *builder) pause(p *place, o driver.Owner) []request {
	return []request{
		{plan.StageCheck, ownerCall(o, "app.idle"), p.service.Name, "", "", idlePatience},
		{plan.StagePause, ownerCall(o, "app.pause"), p.service.Name, "", "", applyPatience},
	}
}

// ownerCall is a call of an action that every driver of a GitOps system has:
// app.idle, app.pause, app.owner, app.refresh, app.compared, app.sync,
// app.settled, each with the object's namespace and name.
func ownerCall(o driver.Owner, name string) driver.Call {
	return driver.Call{Action: o.System + "/" + name, Params: map[string]string{"namespace": o.Namespace, "name": o.Name}}
}

// resumedBy warns where somebody would switch a paused sync on again.
func (b *builder) resumedBy(ctx context.Context, o driver.Owner) error {
	call := ownerCall(o, "app.owner")
	params, err := json.Marshal(call.Params)
	if err != nil {
		return err
	}
	in, err := b.session.Action(ctx, call.Action, params)
	if err != nil {
		return err
	}
	v, err := in.Check.Check(ctx)
	if err != nil {
		return unread(in.Target, b.env.Name, err)
	}
	for _, f := range v.Findings {
		b.notes = append(b.notes, driver.Note{Warn: true, Text: f})
	}
	return nil
}

// proof asks the front door, from outside, for our page, as a customer would.
// Where that would not show it, because staff pass by address (and noren may
// run in the office) or only some requests are closed, the probe's header does.
func (b *builder) proof(p *place, urls []string) request {
	asked := b.closing(p)
	probe := asked.Mode != edge.Closed || len(asked.Bypass.Sources) > 0
	return request{plan.StageProve, driver.Call{Action: "http/closed", Params: map[string]any{"urls": urls, "mark": b.mark, "probe": probe}},
		p.service.Name, "", "", provePatience}
}

// urls are the addresses to prove: what the entrance says, or else the health
// URLs of the service.
func (b *builder) urls(p *place) []string {
	if len(p.survey.URLs) > 0 {
		return p.survey.URLs
	}
	return p.service.Health
}

func (b *builder) add(ctx context.Context, r request) error {
	s, err := b.step(ctx, r.stage, r.call)
	if err != nil {
		return err
	}
	key := s.Action + " " + string(s.Params)
	if b.seen == nil {
		b.seen, b.byStage = map[string]bool{}, map[plan.StageName][]plan.Step{}
	}
	if b.seen[key] {
		return nil
	}
	b.seen[key] = true
	s.Service, s.Patience, s.Track = r.service, r.patience, r.track
	if s.Track == "" {
		s.Track = s.ID
	}
	s.Title = title(s)
	b.byStage[r.stage] = append(b.byStage[r.stage], s)
	return nil
}

// title is what a step does, for a tired reader.
func title(s plan.Step) string {
	verbs := map[plan.StageName]string{plan.StageCheck: "Check", plan.StagePause: "Pause automated sync of",
		plan.StageClose: "Close", plan.StageProve: "Prove closed:"}
	for stage, verb := range verbs {
		if len(s.ID) > len(stage) && s.ID[:len(stage)] == string(stage) {
			return verb + " " + s.Target
		}
	}
	return s.Target
}

// observe reads every target that would change, side by side, and writes what
// it is and what it would be into the steps.
func (b *builder) observe(ctx context.Context) error {
	var changes []*plan.Step
	for _, stage := range b.byStage {
		for i := range stage {
			if stage[i].Kind == action.KindChange {
				changes = append(changes, &stage[i])
			}
		}
	}
	return each(ctx, changes, func(ctx context.Context, s *plan.Step) error {
		in, err := b.session.Action(ctx, s.Action, s.Params)
		if err != nil {
			return err
		}
		if s.From, err = in.Change.Observe(ctx); err != nil {
			return unread(s.Target, b.env.Name, err)
		}
		if s.To, err = in.Change.Propose(s.From); err != nil {
			return unread(s.Target, b.env.Name, err)
		}
		if in.Describer != nil {
			s.Description = in.Describer.Describe(s.From, s.To)
		}
		return nil
	})
}

func unread(target, env string, err error) error {
	var f *fault.Fault
	if errors.As(err, &f) {
		return err
	}
	code := fault.Internal
	if errors.Is(err, action.ErrUnavailable) {
		code = fault.Unavailable
	}
	return &fault.Fault{Code: code, Summary: "target cannot be read", Err: err,
		Detail: fmt.Sprintf("%s in %s: %v. Nothing was touched.", target, env, err)}
}

func (b *builder) stages(names ...plan.StageName) []plan.Stage {
	var all []plan.Stage
	for _, n := range names {
		if steps := b.byStage[n]; len(steps) > 0 {
			all = append(all, plan.Stage{Name: n, Steps: steps})
		}
	}
	return all
}

// joined is errors.Join for errors of which many may be the same one: a
// cluster that does not answer is said once.
func joined(errs []error) error {
	var distinct []error
	said := map[string]bool{}
	for _, err := range errs {
		if err != nil && !said[err.Error()] {
			said[err.Error()] = true
			distinct = append(distinct, err)
		}
	}
	return errors.Join(distinct...)
}
