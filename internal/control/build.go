package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/catalog"
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
	seen    map[string]bool     // checks and pauses that several places share
	gone    map[string][]string // by service, the URLs from which the page is gone if it is taken back
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
		Strategy: p.proposal.Strategy, Why: p.proposal.Why, URLs: b.provableURLs(p), Unproved: b.unprovable(p)}
	b.plan.Locks = append(b.plan.Locks, target)
	for _, n := range slices.Concat(p.survey.Notes, p.proposal.Notes) {
		b.plan.AddNote(n, target)
	}
	if p.service.Kind == catalog.API && p.limit > 0 && !p.survey.Headers {
		b.plan.AddNote(driver.Note{Text: "The page has no headers: a script of another origin sees a network error, and not the page. A page server sends them: strategy: backend."}, target)
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
		owner, pauses, err := b.pauses(ctx, p.service, p.entrance.Cluster, target, *o)
		if err != nil {
			return err
		}
		entrance.Owner = owner
		requests = append(requests, pauses...)
	}
	for _, call := range p.proposal.Calls {
		requests = append(requests, request{plan.StageClose, call, p.service.Name, target, "", applyPatience})
	}
	if urls := entrance.URLs; len(urls) > 0 {
		requests = append(requests, b.proof(p, urls), request{plan.StageCheck,
			driver.Call{Action: actionReachable, Params: map[string]any{"urls": urls}},
			p.service.Name, "", "Reachable from here: " + some(urls), reachPatience})
	}
	for _, u := range entrance.Unproved {
		b.plan.AddNote(driver.Note{Warn: true, Text: "NOT PROVED at " + cmp.Or(u.URL, target) + ". " + u.Why}, target)
	}
	for _, r := range requests {
		if err := b.add(ctx, at, r); err != nil {
			return err
		}
	}
	b.returning(p.service.Name, entrance.URLs)
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
	s := b.service(p.service)
	s.Entrances = append(s.Entrances, entrance)
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

// service is the plan's entry of a service, made when it is first asked for.
// It is good until the next one is made.
func (b *builder) service(s catalog.Service) *plan.Service {
	i := slices.IndexFunc(b.plan.Services, func(have plan.Service) bool { return have.Name == s.Name })
	if i < 0 {
		entry := b.req.extent(s)
		entry.Team, entry.Health = s.Team, s.Health
		b.plan.Services = append(b.plan.Services, entry)
		i = len(b.plan.Services) - 1
	}
	return &b.plan.Services[i]
}

// proof asks the front door, from outside, for our page, as a customer would.
// Where that would not show it, because staff pass by address (and noren may
// run in the office) or only some requests are closed, the probe's header does.
func (b *builder) proof(p *place, urls []string) request {
	byAddress := len(p.asked.Bypass.Sources) > 0
	params := map[string]any{"urls": urls, "mark": b.mark, "probe": p.asked.Mode != edge.Closed || byAddress}
	if p.asked.Mode == edge.Closed && byAddress {
		params["plain"] = true // is it let through, and ought it to be?
	}
	return request{plan.StageProve, driver.Call{Action: "http/closed", Params: params},
		p.service.Name, "", "Prove closed: " + some(urls), provePatience}
}

// staff asks, beside the proofs, whether who brings the pass gets in: on some
// doors a moment later than customers are shut out. The closing does not depend
// on it.
func (b *builder) staff(ctx context.Context) error {
	if b.pass == "" {
		return nil
	}
	for _, s := range b.plan.Services {
		urls := s.Health
		for _, e := range s.Entrances {
			if len(s.Health) == 0 {
				urls = append(urls, e.URLs...)
			}
		}
		if len(urls) == 0 {
			continue
		}
		step, err := b.step(ctx, b.session, plan.StageProve, driver.Call{Action: plan.ActionStaff, Params: map[string]any{"urls": urls, "pass": b.pass}})
		if err != nil {
			return err
		}
		step.Service, step.Track, step.Patience, step.Optional = s.Name, step.ID, staffPatience, true
		step.Title = "Do staff get into " + s.Name + " with the pass?"
		b.byStage[plan.StageProve] = append(b.byStage[plan.StageProve], step)
	}
	return nil
}

// returning asks that the page of this closing be gone from the URLs too, if the
// closing is taken back. An address that does not answer shows no page: that it
// does not may be why the closing failed.
func (b *builder) returning(service string, urls []string) {
	if b.gone == nil {
		b.gone = map[string][]string{}
	}
	for _, u := range urls {
		if !slices.Contains(b.gone[service], u) {
			b.gone[service] = append(b.gone[service], u)
		}
	}
}

// returns are the steps by which the plan proves, service by service, that it
// was taken back.
func (b *builder) returns(ctx context.Context) ([]plan.Step, error) {
	var steps []plan.Step
	for _, s := range b.plan.Services {
		urls := b.gone[s.Name]
		if len(urls) == 0 {
			continue
		}
		step, err := b.step(ctx, b.session, plan.StageReturn, driver.Call{Action: "http/open",
			Params: map[string]any{"urls": urls, "mark": b.mark, "silent": true}})
		if err != nil {
			return nil, err
		}
		step.Service, step.Track, step.Patience = s.Name, step.ID, provePatience
		step.Title = "Prove that the page is gone again: " + some(urls)
		steps = append(steps, step)
	}
	return steps, nil
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
		b.needed(s, r.service)
		return nil
	}
	b.seen[key] = true
	s.Service, s.Patience, s.Track = r.service, r.patience, r.track
	if s.Track == "" {
		s.Track = s.ID
	}
	if s.Title = r.title; s.Title == "" {
		s.Title = b.verb(r.stage, s.Action) + " " + s.Target
		if _, what, _ := strings.Cut(s.Action, "."); r.stage == plan.StageCheck {
			s.Title += ": " + what
		}
	}
	b.byStage[r.stage] = append(b.byStage[r.stage], s)
	b.needed(s, r.service)
	return nil
}

// needed writes down that a service needs a pause: it lasts until the last of
// them opens.
func (b *builder) needed(s plan.Step, service string) {
	pauses := b.byStage[plan.StagePause]
	for i := range pauses {
		p := &pauses[i]
		if p.Action == s.Action && p.Target == s.Target && string(p.Params) == string(s.Params) && !slices.Contains(p.Services, service) {
			p.Services = append(p.Services, service)
		}
	}
}

// verb begins the title of a step whose request brings none.
func (b *builder) verb(stage plan.StageName, name string) string {
	switch pause, _ := b.Registry.Pause(name); {
	case pause.Title != "":
		return pause.Title
	case stage == plan.StageTell:
		return "Tell that it is closed:"
	case stage == plan.StageMute:
		return "Keep quiet"
	case stage == plan.StageClose:
		return "Close"
	case stage == plan.StageRest:
		return "Bring to rest"
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
		answered := b.asks(b.env.Name, s.Target)
		s.From, err = in.Change.Observe(ctx)
		answered()
		if err != nil {
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
	code, next := fault.Internal, ""
	if errors.Is(err, action.ErrUnavailable) {
		code, next = fault.Unavailable, " Try again once it answers."
	}
	return &fault.Fault{Code: code, Summary: "target cannot be read", Err: err,
		Detail: fmt.Sprintf("%s in %s: %v. Nothing was touched.%s", target, env, err, next)}
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
