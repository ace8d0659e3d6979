package control

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/page"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
	"github.com/noren-dev/noren/internal/store"
)

// atOnce bounds the targets read side by side while planning.
const atOnce = 16

// actionReachable asks, before anything is written, whether the proof could be
// had from this machine.
const actionReachable = "http/reachable"

// Patience of the steps that wait. The controller behind an Ingress usually
// needs seconds; see facts in docs/explanation/closing.md for when it does not.
const (
	checkPatience  = 0
	reachPatience  = 10 * time.Second // one lost packet is no reason to go home
	idlePatience   = 10 * time.Minute // a sync under way is waited for
	applyPatience  = 2 * time.Minute
	provePatience  = 5 * time.Minute
	staffPatience  = time.Minute // target groups of their own: first health checks
	readyPatience  = time.Minute // before opening: is it up, or is it sick?
	healthPatience = 15 * time.Minute
	lookPatience   = 20 * time.Second // for marks, beside what was asked for
)

// A CloseRequest is what a person asks to be closed.
type CloseRequest struct {
	Environment string
	Services    []string // none: all of the environment
	Until       time.Time
	Reason      string
	Mode        edge.Mode // "" is edge.Closed
	Paths       []string
	Sources     []netip.Prefix // beside those of the catalog
	Pass        bool           // make a pass for staff, also if the catalog does not ask
	OnFailure   plan.OnFailure
	// LeaveWorkloads lets the workloads of the services go on working.
	LeaveWorkloads bool
	// LeaveMonitors lets the monitors of the services ring.
	LeaveMonitors bool
	AutoOpen      bool // let a keeper open at the end
	// Unproved closes also where no probe can see the page, on a person's word.
	Unproved bool
}

// A Closing is a plan to close with what its reader wants to see beside it.
type Closing struct {
	Plan  *plan.Plan
	Pages []ServicePage
}

// A ServicePage is what customers of a service would be shown.
type ServicePage struct {
	Service string
	Page    page.Page
	Limit   int // bytes, 0: none
}

// PlanClose reads the world and compiles the plan that closes the services. It
// writes nothing.
func (c *Control) PlanClose(ctx context.Context, req CloseRequest) (*Closing, error) {
	env, err := c.Catalog.Environment(req.Environment)
	if err != nil {
		return nil, err
	}
	services, err := c.Catalog.Services(req.Environment, req.Services...)
	if err != nil {
		return nil, err
	}
	if err := req.endless(); err != nil {
		return nil, err
	}
	ctx, cancel := c.patiently(ctx)
	defer cancel()
	looks := 0
	for _, s := range services {
		looks += len(s.Entrances) + len(s.Workloads)
	}
	ctx = driver.WithBatch(ctx, driver.Batch{Since: time.Now(), Size: looks})
	x, err := newPlanner(ctx, c, env, req)
	if err != nil {
		return nil, err
	}
	withMarks := x.watchForMarks(ctx)
	return withMarks(x.planned(ctx, services))
}

// planned surveys, proposes and compiles.
func (x *planner) planned(ctx context.Context, services []catalog.Service) (*Closing, error) {
	if err := joined([]error{x.survey(ctx, services), x.rests(ctx, services), x.mutes(ctx, services)}); err != nil {
		return nil, err
	}
	if len(x.places)+len(x.works) == 0 {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "nothing to close",
			Detail: fmt.Sprintf("No service of %s that was asked for has an entrance or a workload in the catalog.", x.env.Name)}
	}
	if err := x.unheld(); err != nil {
		return nil, err
	}
	return x.compile(ctx)
}

// unheld fails if another run holds one of the entrances.
func (x *planner) unheld() error {
	var errs []error
	for _, p := range x.places {
		if l, ok := x.held[p.survey.Target]; ok {
			errs = append(errs, l.Fault())
		}
	}
	for _, w := range x.works {
		if l, ok := x.held[w.resting.Target]; ok {
			errs = append(errs, l.Fault())
		}
	}
	return joined(errs)
}

// A planner gathers what a plan is compiled from.
type planner struct {
	*Control
	req     CloseRequest
	env     plan.Environment
	bypass  catalog.Bypass
	session *driver.Session
	mark    string
	pass    string
	places  []*place
	works   []*work
	bells   []*bell
	steps   int
	told    []driver.Call         // by which others hear of the closing
	held    map[string]store.Lock // by target
	// concerns tells which entrances are proposed to be closed; nil: all.
	concerns func(*driver.Survey) bool
	chains   map[keptIn]chain
}

// A place is one entrance of one service, as surveyed and as proposed.
type place struct {
	service  catalog.Service
	entrance catalog.Entrance
	survey   *driver.Survey
	page     page.Page
	limit    int // that page keeps, 0: none
	asked    edge.Closing
	proposal *driver.Proposal
}

func newPlanner(ctx context.Context, c *Control, env catalog.Environment, req CloseRequest) (*planner, error) {
	x := &planner{Control: c, req: req, bypass: env.Bypass, mark: token(10), held: map[string]store.Lock{}}
	if req.Pass || env.Bypass.Pass {
		x.pass = token(24)
	}
	var err error
	if x.env, err = c.planEnvironment(env); err != nil {
		return nil, err
	}
	x.session = c.session(x.env)
	locks, err := c.store.Locks(ctx)
	for _, l := range locks {
		x.held[l.Target] = l
	}
	return x, err
}

// planEnvironment is an environment as a plan keeps it: pinned, and as it is
// reached.
func (c *Control) planEnvironment(env catalog.Environment) (plan.Environment, error) {
	pinned, err := c.pinned(env)
	if err != nil || c.Reach == nil {
		return pinned, err
	}
	return c.Reach(pinned)
}

// pinned is an environment with each driver's configuration pinned, so that the
// run and its undo reach the same place.
func (c *Control) pinned(env catalog.Environment) (plan.Environment, error) {
	pinned := plan.Environment{Name: env.Name, Protected: env.Protected, Drivers: map[string]json.RawMessage{}}
	dir, err := filepath.Abs(filepath.Dir(c.Catalog.File))
	if err != nil {
		return pinned, err
	}
	var errs []error
	for name, section := range env.Drivers {
		raw, err := c.Registry.Pinned(name, section.JSON, dir)
		errs = append(errs, section.Fault("", err))
		pinned.Drivers[name] = raw
	}
	for _, cluster := range env.Clusters {
		own := driver.Configs{}
		for name, section := range cluster.Drivers {
			raw, err := c.Registry.Pinned(name, section.JSON, dir)
			errs = append(errs, section.Fault("", err))
			own[name] = raw
		}
		if pinned.Clusters == nil {
			pinned.Clusters = map[string]driver.Configs{}
		}
		pinned.Clusters[cluster.Name] = own
	}
	if err := joined(errs); err != nil {
		return pinned, err
	}
	return pinned, c.clustersApart(env, dir)
}

// survey reads every entrance, side by side, and asks each driver how it would
// be closed. All errors are gathered, so that a person mends them at once.
func (x *planner) survey(ctx context.Context, services []catalog.Service) error {
	for _, s := range services {
		for _, e := range s.Entrances {
			x.places = append(x.places, &place{service: s, entrance: e})
		}
	}
	return each(ctx, x.places, func(ctx context.Context, p *place) error {
		e, err := x.session.At(p.entrance.Cluster).Entrance(ctx, p.entrance.Kind, p.entrance.Name, p.entrance.Options.JSON)
		if err != nil {
			return x.located(x.env.Name, p.entrance.Cluster, p.entrance.Options, err)
		}
		name := p.entrance.Kind + " " + p.entrance.Name
		answered := x.asks(x.env.Name, name)
		p.survey, err = e.Survey(ctx)
		answered()
		if err != nil {
			return x.met(x.env.Name, p.entrance.Cluster, p.entrance.Options, p.entrance.At, unread(name, x.env.Name, err))
		}
		if x.concerns != nil && !x.concerns(p.survey) {
			return nil
		}
		if p.page, p.limit, err = x.pageFor(p.service, p.survey); err != nil {
			return err
		}
		if _, closed := x.held[p.survey.Target]; closed {
			return nil
		}
		if p.asked, err = x.closing(p); err != nil {
			return err
		}
		p.proposal, err = e.Close(p.survey, p.asked)
		return err
	})
}

// closing is what is asked of one place.
func (x *planner) closing(p *place) (edge.Closing, error) {
	mode, paths := x.req.mode(p.service)
	shown, err := x.response(p.service, p.page, p.survey, p.limit)
	return edge.Closing{
		Mark: x.mark, Hosts: hostsToClose(p.survey), Mode: mode, Paths: paths, KeepOpen: p.service.KeepOpen,
		Bypass: edge.Bypass{Sources: slices.Concat(x.bypass.Sources, x.req.Sources), Pass: x.pass},
		Page:   shown,
	}, err
}

// hostsToClose are the hosts that the entrance serves: none, which stands for
// any, where it has rules without a host.
func hostsToClose(s *driver.Survey) []string {
	if slices.Contains(s.Hosts, "") {
		return nil
	}
	return s.Hosts
}

// mode is how much of a service is closed: what the person says, or else the
// catalog.
func (r CloseRequest) mode(s catalog.Service) (edge.Mode, []string) {
	if r.Mode == "" {
		return s.Mode, s.Paths
	}
	return r.Mode, r.Paths
}

// extent is a service of the plan with how much of it is closed.
func (r CloseRequest) extent(s catalog.Service) plan.Service {
	mode, paths := r.mode(s)
	if mode == edge.Closed {
		return plan.Service{Name: s.Name}
	}
	return plan.Service{Name: s.Name, Mode: string(mode), Paths: paths}
}

// Otherwise refuses to take a closing for what is asked now where it closes
// more or less of a service, or lets others pass: to say "closed already" would
// be false.
func (c *Control) Otherwise(r *run.Run, req CloseRequest) error {
	services, err := c.Catalog.Services(req.Environment, req.Services...)
	if err != nil {
		return err
	}
	how := ""
	for _, s := range services {
		asked := req.extent(s).Extent()
		for _, have := range r.Plan.Services {
			if have.Name == s.Name && have.Extent() != asked {
				how = fmt.Sprintf("closes %s: %s; asked for is: %s", s.Name, have.Extent(), asked)
			}
		}
	}
	if resting := slices.ContainsFunc(r.Plan.Services, func(s plan.Service) bool { return len(s.Workloads) > 0 }); how == "" && req.LeaveWorkloads && resting {
		how = "brought workloads to rest; asked for is --leave-workloads"
	}
	if quiet := slices.ContainsFunc(r.Plan.Services, func(s plan.Service) bool { return len(s.Monitors) > 0 }); how == "" && req.LeaveMonitors && quiet {
		how = "keeps monitors quiet; asked for is --leave-monitors"
	}
	if asked := networks(req.Sources); how == "" && !slices.Equal(r.Plan.Allow, asked) {
		how = fmt.Sprintf("was made with --allow %v; asked for is %v", r.Plan.Allow, asked)
	}
	if how == "" && req.AutoOpen && !r.Plan.AutoOpen {
		how = "was made without --auto-open"
	}
	if how == "" {
		return nil
	}
	return &fault.Fault{Code: fault.Locked, Summary: "closed otherwise than asked for",
		Detail: fmt.Sprintf("Run %s of %s, started by %s, %s. A closing cannot be changed: open it, then close again.", r.ID, req.Environment, r.Actor, how),
		Left:   "nothing by this command; what run " + r.ID + " closed is as it was",
		Try:    []string{"noren status", "noren open --env " + req.Environment}}
}

func networks(sources []netip.Prefix) []string {
	var all []string
	for _, p := range sources {
		all = append(all, p.String())
	}
	return all
}

// compile turns proposals into stages, observing each target that would change.
func (x *planner) compile(ctx context.Context) (*Closing, error) {
	zone := x.Catalog.Zone
	p := &plan.Plan{Version: plan.Version, Kind: plan.Close, Environment: x.env, Until: x.req.Until,
		Zone: zone.String(), Reason: x.req.Reason, Mark: x.mark, Pass: x.pass, OnFailure: x.req.OnFailure,
		AutoOpen: x.req.AutoOpen, Allow: networks(x.req.Sources), Whole: len(x.req.Services) == 0}
	if err := x.provable(); err != nil {
		return nil, err
	}
	b := &builder{planner: x, plan: p}
	for _, pl := range x.places {
		if err := b.place(ctx, pl); err != nil {
			return nil, err
		}
	}
	for _, w := range x.works {
		if err := b.work(ctx, w); err != nil {
			return nil, err
		}
	}
	for _, m := range x.bells {
		if err := b.mute(ctx, m); err != nil {
			return nil, err
		}
	}
	if err := b.tell(ctx); err != nil {
		return nil, err
	}
	if err := b.withinLimits(); err != nil {
		return nil, err
	}
	if err := b.staff(ctx); err != nil {
		return nil, err
	}
	err := b.observe(ctx)
	if err != nil {
		return nil, err
	}
	p.Stages = b.stages(plan.StageCheck, plan.StageMute, plan.StagePause, plan.StageTell, plan.StageClose, plan.StageProve, plan.StageRest)
	if p.Return, err = b.returns(ctx); err != nil {
		return nil, err
	}
	if err := b.marksFit(ctx); err != nil {
		return nil, err
	}
	// What is paused is locked too: if another closing relied on the same pause,
	// the first to open would let Git take down the other's page.
	for _, s := range b.byStage[plan.StagePause] {
		p.Locks = append(p.Locks, s.Target)
	}
	if err := x.opensByItself(ctx, p); err != nil {
		return nil, err
	}
	p.Lang = x.lang()
	closing := &Closing{Plan: x.finished(p)}
	for _, pl := range x.places {
		sent := pl.page
		sent.ContentType = pl.asked.Page.ContentType
		closing.Pages = append(closing.Pages, ServicePage{Service: pl.service.Name, Page: sent, Limit: pl.limit})
	}
	return closing, nil
}

// each calls f for every item, bounded side by side, and joins all errors.
func each[T any](ctx context.Context, items []T, f func(context.Context, T) error) error {
	errs := make([]error, len(items))
	var g errgroup.Group
	g.SetLimit(atOnce)
	for i, item := range items {
		g.Go(func() error {
			errs[i] = f(ctx, item)
			return nil
		})
	}
	_ = g.Wait()
	return joined(errs)
}

// step makes the closing's next step of a call.
func (x *planner) step(ctx context.Context, at *driver.Session, stage plan.StageName, call driver.Call) (plan.Step, error) {
	x.steps++
	return stepOf(ctx, at, fmt.Sprintf("%s-%d", stage, x.steps), call)
}

// stepOf opens a call's action and makes a plan step of it.
func stepOf(ctx context.Context, session *driver.Session, id string, call driver.Call) (plan.Step, error) {
	in, params, err := openCall(ctx, session, call)
	if err != nil {
		return plan.Step{}, err
	}
	return plan.Step{ID: id, Action: call.Action, Target: in.Target, Cluster: session.Cluster(), Kind: kindOf(in), Params: params}, nil
}

// openCall opens a call's action, and returns its parameters as JSON too.
func openCall(ctx context.Context, session *driver.Session, call driver.Call) (*driver.Instance, json.RawMessage, error) {
	params, err := json.Marshal(call.Params)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: parameters: %w", call.Action, err)
	}
	in, err := session.Action(ctx, call.Action, params)
	return in, params, err
}

func kindOf(in *driver.Instance) action.Kind {
	switch {
	case in.Change != nil:
		return action.KindChange
	case in.Check != nil:
		return action.KindCheck
	default:
		return action.KindEffect
	}
}
