package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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
	plan    *plan.Plan
	byStage map[plan.StageName][]plan.Step
	seen    map[string]bool // checks and pauses that several places share
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
	at := b.session.At(p.entrance.Cluster)
	entrance := plan.Entrance{Kind: p.entrance.Kind, Name: p.entrance.Name, Cluster: p.entrance.Cluster, Target: target,
		Strategy: p.proposal.Strategy, Why: p.proposal.Why, URLs: b.urls(p)}
	b.plan.Locks = append(b.plan.Locks, target)
	for _, n := range slices.Concat(p.survey.Notes, p.proposal.Notes) {
		b.plan.AddNote(n, target)
	}
	for _, budget := range p.proposal.Budgets {
		if budget.Of != "" && at.Cluster() != "" { // clusters may use the same names
			budget.Of += " in " + at.Cluster()
		}
		b.plan.AddBudget(budget)
	}

	var requests []request
	for _, call := range p.proposal.Checks {
		requests = append(requests, request{plan.StageCheck, call, p.service.Name, "", "", checkPatience})
	}
	if o := p.survey.Owner; p.proposal.EditsOwned && o != nil {
		owner, pauses, err := b.pause(ctx, p, *o)
		if err != nil {
			return err
		}
		entrance.Owner = owner
		requests = append(requests, pauses...)
	}
	for _, call := range p.proposal.Calls {
		requests = append(requests, request{plan.StageClose, call, p.service.Name, target, "", applyPatience})
	}
	if len(entrance.URLs) > 0 {
		requests = append(requests, b.proof(p, entrance.URLs))
	} else {
		b.plan.AddNote(driver.Note{Warn: true, Text: "No public URL is known, so that noren cannot prove it closed. Give the service a health URL."}, target)
	}
	for _, r := range requests {
		if err := b.add(ctx, at, r); err != nil {
			return err
		}
	}
	for _, call := range p.proposal.Ready {
		s, err := b.step(ctx, at, plan.StageReady, call)
		if err != nil {
			return err
		}
		s.Service, s.Track = p.service.Name, s.ID
		s.Title = "Is the application behind " + target + " up?"
		s.Patience = readyPatience
		entrance.Ready = append(entrance.Ready, s)
	}
	b.service(p, entrance)
	return nil
}

// withinLimits refuses a plan whose closings, each of which has room enough,
// have not together: a load balancer that refuses one rule takes none.
func (b *builder) withinLimits() error {
	var errs []error
	for _, l := range b.plan.Budgets {
		if !l.Breaks() {
			continue
		}
		errs = append(errs, &fault.Fault{Code: fault.Invalid, Summary: "closings do not fit together",
			Detail: fmt.Sprintf("%s: %d %s are in use, closing all that was asked for needs %d more, and the limit is %d. Each closing alone would have room. Nothing was touched.",
				l.Of, l.Before, l.What, l.Used-l.Before, l.Limit),
			Try: slices.DeleteFunc([]string{
				"close fewer services at a time, or close them whole: without --path, --read-only, --allow and --pass, fewer rules are needed", l.Raise,
			}, func(s string) bool { return s == "" })})
	}
	return joined(errs)
}

// service files the entrance under its service.
func (b *builder) service(p *place, e plan.Entrance) {
	i := slices.IndexFunc(b.plan.Services, func(s plan.Service) bool { return s.Name == p.service.Name })
	if i < 0 {
		s := b.req.extent(p.service)
		s.Team, s.Health = p.service.Team, p.service.Health
		b.plan.Services = append(b.plan.Services, s)
		i = len(b.plan.Services) - 1
	}
	b.plan.Services[i].Entrances = append(b.plan.Services[i].Entrances, e)
}

// proof asks the front door, from outside, for our page, as a customer would.
// Where that would not show it, because staff pass by address (and noren may
// run in the office) or only some requests are closed, the probe's header does.
func (b *builder) proof(p *place, urls []string) request {
	probe := p.asked.Mode != edge.Closed || len(p.asked.Bypass.Sources) > 0
	return request{plan.StageProve, driver.Call{Action: "http/closed", Params: map[string]any{"urls": urls, "mark": b.mark, "probe": probe}},
		p.service.Name, "", "Prove closed: " + some(urls), provePatience}
}

// urls are the addresses to prove: what the entrance says, or else the health
// URLs of the service.
func (b *builder) urls(p *place) []string {
	if len(p.survey.URLs) > 0 {
		return p.survey.URLs
	}
	return p.service.Health
}

func (b *builder) add(ctx context.Context, at *driver.Session, r request) error {
	s, err := b.step(ctx, at, r.stage, r.call)
	if err != nil {
		return err
	}
	key := s.Action + " " + s.Target + " " + string(s.Params)
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
	if s.Title = r.title; s.Title == "" {
		s.Title = b.verb(r.stage, s.Action) + " " + s.Target
	}
	if r.stage == plan.StageCheck {
		_, what, _ := strings.Cut(s.Action, ".")
		s.Title += ": " + what
	}
	b.byStage[r.stage] = append(b.byStage[r.stage], s)
	return nil
}

// verb begins the title of a step whose request brings none.
func (b *builder) verb(stage plan.StageName, name string) string {
	switch pause, _ := b.Registry.Pause(name); {
	case pause.Title != "":
		return pause.Title
	case stage == plan.StageClose:
		return "Close"
	default:
		return "Check"
	}
}

// some names the first of several things.
func some(names []string) string {
	if len(names) > 1 {
		return fmt.Sprintf("%s and %d more", names[0], len(names)-1)
	}
	return strings.Join(names, "")
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
		in, err := b.session.At(s.Cluster).Action(ctx, s.Action, s.Params)
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
