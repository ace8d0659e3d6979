package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/page"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// An ExtendRequest is what a person asks for who needs more time.
type ExtendRequest struct {
	Environment string    // "" for every environment in which something is closed
	Services    []string  // none: all that are closed
	Until       time.Time // the new end
	Reason      string
	// Shorten lets the new end be before the present one.
	Shorten   bool
	OnFailure plan.OnFailure
}

// PlanExtend compiles one plan for each closing that holds the services asked
// for: it gives customers a page with the new end, and moves the end of the
// closing once that page is proved. Services that end then already are left
// out; if all do, there is no plan. It writes nothing.
//
// The texts of the page are the catalog's as they are now; the door is the one
// that was closed.
func (c *Control) PlanExtend(ctx context.Context, req ExtendRequest) ([]*Closing, error) {
	closed, err := c.Status(ctx)
	if err != nil {
		return nil, err
	}
	wanted, err := pick(closed, OpenRequest{Environment: req.Environment, Services: req.Services})
	if err != nil {
		return nil, err
	}
	if len(wanted) == 0 {
		return nil, &fault.Fault{Code: fault.NotFound, Summary: "nothing is closed",
			Detail: fmt.Sprintf("No run of noren holds anything closed%s: there is no end to move.", in(req.Environment)), Try: []string{"noren status"}}
	}
	if err := c.movable(wanted, req); err != nil {
		return nil, err
	}
	byRun := map[string][]ClosedService{}
	for _, s := range wanted {
		if !s.Until.Equal(req.Until) {
			byRun[s.Run.ID] = append(byRun[s.Run.ID], s)
		}
	}
	var plans []*Closing
	for _, id := range slices.Sorted(maps.Keys(byRun)) {
		p, err := c.planExtend(ctx, byRun[id], req)
		if err != nil {
			return nil, err
		}
		plans = append(plans, p)
	}
	return plans, nil
}

// movable refuses an end that cannot be meant, and services that are half open:
// those of one run that end together once.
func (c *Control) movable(wanted []ClosedService, req ExtendRequest) error {
	type alike struct {
		run   string
		until int64
	}
	var order []alike
	groups := map[alike][]ClosedService{}
	for _, s := range wanted {
		k := alike{s.Run.ID, s.Until.UnixNano()}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], s)
	}
	var errs []error
	for _, k := range order {
		errs = append(errs, c.unmovable(groups[k], req))
	}
	return joined(errs)
}

// unmovable says why the end of services that end together cannot be moved.
func (c *Control) unmovable(all []ClosedService, req ExtendRequest) error {
	s := all[0]
	var names []string
	for _, s := range all {
		names = append(names, s.Service)
	}
	is := "is"
	if len(names) > 1 {
		is = "are"
	}
	clock := func(t time.Time) string {
		if zone, err := time.LoadLocation(s.Closing.Plan.Zone); err == nil {
			t = t.In(zone)
		}
		return t.Format("2006-01-02 15:04 MST")
	}
	switch {
	case s.Run.Plan.Kind == plan.Open:
		return &fault.Fault{Code: fault.Locked, Summary: "service is half open",
			Detail: fmt.Sprintf("Run %s, started by %s, began to open %s and was %s: an end cannot be moved any more.", s.Run.ID, s.Run.Actor, some(names), s.Run.Status),
			Try:    []string{"noren open " + strings.Join(names, " ") + " --env " + s.Environment}}
	case !req.Until.After(c.Now()):
		return &fault.Fault{Code: fault.Invalid, Summary: "end is in the past", Detail: fmt.Sprintf("%s has passed. To open now: noren open.", clock(req.Until))}
	case !s.Until.IsZero() && req.Until.Before(s.Until) && !req.Shorten:
		return &fault.Fault{Code: fault.Invalid, Summary: "end is before the present one",
			Detail: fmt.Sprintf("%s in %s %s closed until %s, and %s is before that. --for counts from now on.", some(names), s.Environment, is, clock(s.Until), clock(req.Until)),
			Try:    []string{"--shorten     # if it is meant to end sooner"}}
	}
	return nil
}

// An extender compiles the extension of some services of one closing.
type extender struct {
	*Control
	req     ExtendRequest
	plan    *plan.Plan
	session *driver.Session
	closing *run.Run
	catalog []catalog.Service
	marks   []string // of the pages that may be up, oldest first
	// extensions are those of the closing that were not undone.
	extensions []plan.Extended
	written    map[string][]action.State
	pages      []ServicePage
}

func (c *Control) planExtend(ctx context.Context, services []ClosedService, req ExtendRequest) (*Closing, error) {
	closing, receipts, err := c.closingOf(ctx, services[0].Run)
	if err != nil {
		return nil, err
	}
	extensions, marks, err := c.extensions(ctx, closing)
	if err != nil {
		return nil, err
	}
	p := &plan.Plan{Version: plan.Version, Kind: plan.Extend, Environment: closing.Plan.Environment, Until: req.Until, AutoOpen: closing.Plan.AutoOpen,
		Zone: closing.Plan.Zone, Reason: req.Reason, Mark: token(len(closing.Plan.Mark)), Pass: closing.Plan.Pass, Holder: services[0].Run.ID,
		Closing: closing.ID, Moves: len(marks), OnFailure: req.OnFailure, Lang: closing.Plan.Lang}
	x := &extender{Control: c, req: req, plan: p, session: c.session(p.Environment), closing: closing, marks: marks, extensions: extensions,
		written: plan.Written(receipts, extensions...)}
	var names []string
	for _, s := range services {
		names = append(names, s.Service)
	}
	if x.catalog, err = c.Catalog.Services(p.Environment.Name, names...); err != nil {
		return nil, err
	}
	var renew, prove, told, muted []plan.Step
	for _, s := range services {
		again, err := x.retell(ctx, s)
		if err != nil {
			return nil, err
		}
		told = append(told, again...)
		quiet, err := x.remute(ctx, s.Service, muteEnd(c.Now(), req.Until))
		if err != nil {
			return nil, err
		}
		muted = append(muted, quiet...)
		steps, proofs, err := x.service(ctx, s)
		if err != nil {
			return nil, err
		}
		renew, prove = append(renew, steps...), append(prove, proofs...)
	}
	p.Stages = nonEmpty(plan.Stage{Name: plan.StageRenew, Steps: renew}, plan.Stage{Name: plan.StageProve, Steps: prove}, plan.Stage{Name: plan.StageTell, Steps: told},
		plan.Stage{Name: plan.StageMute, Steps: muted})
	return &Closing{Plan: c.finished(p), Pages: x.pages}, nil
}

// extensions are those of a closing that were not undone, and the marks of all
// pages that it may show.
func (c *Control) extensions(ctx context.Context, closing *run.Run) ([]plan.Extended, []string, error) {
	marks := []string{closing.Plan.Mark}
	ids, err := c.store.On(ctx, closing.ID, plan.Extend)
	if err != nil {
		return nil, nil, err
	}
	var all []plan.Extended
	for _, id := range ids {
		r, err := c.store.Run(ctx, id)
		if err != nil {
			return nil, nil, err
		}
		marks = append(marks, r.Plan.Mark)
		if r.Status == run.Undone {
			continue
		}
		receipts, err := c.store.Receipts(ctx, id)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, plan.Extended{Plan: r.Plan, Receipts: receipts})
	}
	return all, marks, nil
}

// service renews the page of one service, or nothing where it does not tell
// when the service opens.
func (x *extender) service(ctx context.Context, s ClosedService) (renew, prove []plan.Step, err error) {
	x.holds(s)
	if len(s.Entrances) == 0 { // nothing but workloads: there is no page
		return nil, nil, nil
	}
	up := s.Closing.Plan.Mark
	changed := false
	for _, step := range x.closes(s.Service) {
		r, err := x.renew(ctx, step)
		if err != nil {
			return nil, nil, err
		}
		if r.mark == "" {
			continue // a part of the curtain that shows no page, or none that can change
		}
		up, changed = r.mark, changed || r.changed
		renew = append(renew, r.step)
	}
	switch {
	case changed:
		up = x.plan.Mark
	case len(renew) == 0:
		x.plan.AddNote(driver.Note{Warn: true, Text: "The page of " + s.Service + " cannot be changed while its door is closed: it goes on telling the end that it told before."}, s.Entrances[0].Target)
	default:
		renew = nil
		x.plan.AddNote(driver.Note{Text: "The page of " + s.Service + " does not tell when it opens: it stays as it is."}, s.Entrances[0].Target)
	}
	prove, err = x.proofs(ctx, s.Service, up)
	return renew, prove, err
}

// holds adds a closed service to the plan, with the locks that it takes over.
func (x *extender) holds(s ClosedService) {
	full := s.Closing.Plan.Services[slices.IndexFunc(s.Closing.Plan.Services, func(p plan.Service) bool { return p.Name == s.Service })]
	full.Entrances, full.Workloads = s.Entrances, s.Workloads
	x.plan.Services = append(x.plan.Services, full)
	for _, e := range s.Entrances {
		x.plan.Locks = append(x.plan.Locks, e.Target)
	}
	for _, w := range s.Workloads {
		x.plan.Locks = append(x.plan.Locks, w.Target)
	}
}

// closes are the changes of the closing that put up the service's page.
func (x *extender) closes(service string) []plan.Step {
	var steps []plan.Step
	for _, stage := range x.closing.Plan.Stages {
		for _, s := range stage.Steps {
			if stage.Name == plan.StageClose && s.Kind == action.KindChange && s.Service == service && len(x.written[s.ID]) > 0 {
				steps = append(steps, s)
			}
		}
	}
	return steps
}

// page is the service's page as it is to be, with a mark.
func (x *extender) page(service, mark string, room driver.Room) (edge.Response, error) {
	i := slices.IndexFunc(x.catalog, func(s catalog.Service) bool { return s.Name == service })
	content := page.Content{Until: x.req.Until, Mark: mark}
	p, err := PageOf(x.Catalog, x.catalog[i], content, room.Limit)
	if err != nil {
		return edge.Response{}, err
	}
	r, err := responseOf(x.Catalog, x.catalog[i], p, content, room.Limit, room.Headers)
	if err != nil {
		return edge.Response{}, err
	}
	if mark == x.plan.Mark && !slices.ContainsFunc(x.pages, func(s ServicePage) bool { return s.Service == service }) {
		p.ContentType = r.ContentType
		x.pages = append(x.pages, ServicePage{Service: service, Page: p, Limit: room.Limit})
	}
	return r, nil
}

// A renewed is what a change of the closing becomes.
type renewed struct {
	step    plan.Step
	mark    string // of the page that is up there now, "" if there is none
	changed bool   // whether the page says anything else, but for its mark
}

// renew looks at the target of a change. It must be as noren left it.
func (x *extender) renew(ctx context.Context, s plan.Step) (renewed, error) {
	session := x.session.At(s.Cluster)
	in, err := session.Action(ctx, s.Action, s.Params)
	if err != nil || in.Renewer == nil {
		return renewed{}, err
	}
	now, err := in.Change.Observe(ctx)
	if err != nil {
		return renewed{}, unread(s.Target, x.plan.Environment.Name, err)
	}
	written := x.written[s.ID]
	if !slices.ContainsFunc(written, now.Equal) {
		s.From, s.To = written[len(written)-1], s.From // as for an opening: before, ours, now
		return renewed{}, extendDrift(drifted(&s, in, now, x.plan.Environment.Name), x.plan.Environment.Name)
	}
	for _, params := range x.params(s) {
		if in, err = session.Action(ctx, s.Action, params); err != nil {
			return renewed{}, err
		}
		for _, mark := range x.marks {
			room, shows, err := in.Renewer.Shows(now, []string{mark})
			if err != nil {
				return renewed{}, err
			}
			if shows {
				return x.renewing(ctx, in, s, now, mark, room)
			}
		}
	}
	return renewed{}, nil
}

// params are those with which the closing and its extensions changed a target,
// oldest first: a page that is not in a state is in one of them.
func (x *extender) params(s plan.Step) []json.RawMessage {
	all := []json.RawMessage{s.Params}
	for _, e := range x.extensions {
		for _, step := range e.Plan.Steps() {
			if step.Renews == s.ID && !slices.ContainsFunc(all, func(have json.RawMessage) bool { return bytes.Equal(have, step.Params) }) {
				all = append(all, step.Params)
			}
		}
	}
	return all
}

// renewing is the step that gives a target that shows a page of the mark
// another one.
func (x *extender) renewing(ctx context.Context, in *driver.Instance, s plan.Step, now action.State, mark string, room driver.Room) (renewed, error) {
	fresh, err := x.page(s.Service, x.plan.Mark, room)
	if err != nil {
		return renewed{}, err
	}
	same, err := x.page(s.Service, mark, room)
	if err != nil {
		return renewed{}, err
	}
	to, err := in.Renewer.Renew(now, fresh, []string{mark})
	if err != nil {
		return renewed{}, err
	}
	unchanged, err := in.Renewer.Renew(now, same, []string{mark})
	if err != nil {
		return renewed{}, err
	}
	params, err := in.Renewer.Params(now, fresh)
	if err != nil {
		return renewed{}, err
	}
	out := renewed{step: plan.Renewing(s, now, to), mark: mark, changed: !unchanged.Equal(now)}
	if params != nil {
		out.step.Params = params
		if in, err = x.session.At(s.Cluster).Action(ctx, s.Action, params); err != nil {
			return renewed{}, err
		}
	}
	if in.Describer != nil {
		out.step.Description = in.Describer.Describe(now, to)
	}
	return out, nil
}

// extendDrift words the drift of an opening for a person who wants more time.
func extendDrift(err error, env string) error {
	var f *fault.Fault
	if !errors.As(err, &f) {
		return err
	}
	f.Detail += "\nThe page there cannot be renewed."
	f.Left = "nothing: this command wrote nothing; the end is where it was"
	f.Try = []string{"noren status", "noren plan open --env " + env}
	return f
}

// proofs are those of the closing, with the mark of the page that will be up.
func (x *extender) proofs(ctx context.Context, service, mark string) ([]plan.Step, error) {
	var out []plan.Step
	for _, stage := range x.closing.Plan.Stages {
		for _, s := range stage.Steps {
			if stage.Name != plan.StageProve || s.Optional || s.Service != service {
				continue
			}
			params, err := askingFor(mark, s.Params)
			if err != nil {
				return nil, fmt.Errorf("step %s of run %s: %w", s.ID, x.closing.ID, err)
			}
			p, err := stepOf(ctx, x.session, "renewed-"+s.ID, driver.Call{Action: s.Action, Params: params})
			if err != nil {
				return nil, err
			}
			p.Track, p.Service, p.Patience = p.ID, s.Service, s.Patience
			p.Title = strings.Replace(s.Title, "Prove closed", "Prove that the page tells it", 1)
			if mark != x.plan.Mark {
				p.Title = s.Title
			}
			out = append(out, p)
		}
	}
	return out, nil
}

// Extendings lists the extensions in an environment ("": any) that have not
// ended.
func (c *Control) Extendings(ctx context.Context, env string) ([]*run.Run, error) {
	runs, err := c.Unfinished(ctx)
	return slices.DeleteFunc(runs, func(r *run.Run) bool {
		return r.Plan.Kind != plan.Extend || (env != "" && r.Plan.Environment.Name != env)
	}), err
}
