package control

import (
	"context"
	"fmt"
	"maps"
	"slices"
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

// tellPatience is how long to try to tell others. A disk that is full stays
// full; one that another noren holds is free in a moment.
const tellPatience = 20 * time.Second

// announcement is what there is to tell of a service that is closed.
func (c *Control) announcement(s catalog.Service, since, until time.Time, mode edge.Mode) (driver.Announcement, error) {
	p := s.Page
	texts, err := page.Texts(page.Content{Languages: p.Languages, Title: p.Title, Message: p.Message, Contact: p.Contact, Zone: c.Catalog.Zone,
		Until: until, Mark: previewMark})
	if err != nil {
		return driver.Announcement{}, placed(s, err)
	}
	a := driver.Announcement{Service: s.Name, Since: since, Until: until, Words: map[string]driver.Words{}}
	if mode != edge.Closed && mode != "" {
		a.Extent = string(mode)
	}
	for _, t := range texts {
		if a.Lang == "" {
			a.Lang = t.Lang
		}
		a.Words[t.Lang] = driver.Words{Title: t.Title, Detail: t.Detail, Late: t.Late}
	}
	return a, nil
}

// tell adds the steps by which others hear that the services close: checks
// first, and the telling just before customers are shut out. If it fails,
// nothing is closed.
func (b *builder) tell(ctx context.Context) error {
	if err := b.namesKnown(b.req.Environment); err != nil {
		return err
	}
	told := map[string]bool{}
	for _, p := range b.places {
		if told[p.service.Name] {
			continue
		}
		told[p.service.Name] = true
		mode, _ := b.req.mode(p.service)
		a, err := b.announcement(p.service, b.Now(), b.req.Until, mode)
		if err != nil {
			return err
		}
		tellings, err := b.session.Tell(ctx, a)
		if err != nil {
			return err
		}
		for _, t := range tellings {
			b.told = append(b.told, slices.Concat(t.Checks, t.Calls)...)
			for _, call := range t.Checks {
				if err := b.add(ctx, b.session, request{plan.StageCheck, call, p.service.Name, "", "", checkPatience}); err != nil {
					return err
				}
			}
			for _, call := range t.Calls {
				if err := b.add(ctx, b.session, request{plan.StageTell, call, p.service.Name, "", "", tellPatience}); err != nil {
					return err
				}
			}
		}
	}
	return b.published(ctx)
}

// namesKnown fails where a driver's section names a service that the
// environment does not have: apps would be told of nothing, for ever.
func (c *Control) namesKnown(environment string) error {
	env, err := c.Catalog.Environment(environment)
	if err != nil {
		return err
	}
	names := c.Catalog.ServiceNames(environment)
	var errs []error
	for driverName, section := range env.Drivers {
		for key, name := range c.Registry.ServicesNamed(driverName, section.JSON) {
			if slices.Contains(names, name) {
				continue
			}
			near := ""
			if n := fault.Nearest(name, names); n != "" {
				near = fmt.Sprintf(" Did you mean %q?", n)
			}
			errs = append(errs, section.Fault(key, &fault.Fault{Code: fault.Invalid, Summary: "unknown service",
				Detail: fmt.Sprintf("The section %s of %s names the service %q, and %s has none of that name.%s", driverName, environment, name, environment, near)}))
		}
	}
	return joined(errs)
}

// published notes where others are told less than the catalog says.
func (b *builder) published(ctx context.Context) error {
	for _, call := range b.session.Publishing() {
		in, _, err := openCall(ctx, b.session, call)
		if err != nil {
			return err
		}
		from, err := in.Change.Observe(ctx)
		if err != nil {
			return unread(in.Target, b.env.Name, err)
		}
		to, err := in.Change.Propose(from)
		if err != nil {
			return err
		}
		if !from.Equal(to) {
			b.plan.AddNote(driver.Note{Text: "It does not say all that the catalog does of names, apps and announced windows: noren appstatus publish --env " + b.env.Name}, in.Target)
		}
	}
	return nil
}

// settleTold looks at what others are told. Nothing about it keeps customers
// out: what cannot be read or was changed is noted, the telling is tried once
// they are in again, and whether it succeeded is said at the end.
func settleTold(ctx context.Context, o *opener, steps []plan.Step) []plan.Step {
	for i := range steps {
		s := &steps[i]
		s.Optional, s.Patience = true, tellPatience
		in, now, err := observed(ctx, o.session, *s)
		switch {
		case err != nil:
			o.plan.AddNote(driver.Note{Warn: true, Text: fmt.Sprintf("It cannot be read now (%v). The opening goes on; apps may not hear of it.", err)}, s.Target)
			continue
		case !now.Equal(s.From) && !now.Equal(s.To):
			o.plan.AddNote(driver.Note{Warn: true, Text: "Someone changed what it says since; the opening writes over that."}, s.Target)
		}
		s.From = now
		if in.Describer != nil {
			s.Description = in.Describer.Describe(now, s.To)
		}
	}
	return steps
}

func observed(ctx context.Context, session *driver.Session, s plan.Step) (*driver.Instance, action.State, error) {
	in, err := session.Action(ctx, s.Action, s.Params)
	if err != nil {
		return nil, action.State{}, err
	}
	now, err := in.Change.Observe(ctx)
	return in, now, err
}

// retell is the steps by which others hear of the new end of a service. They
// fail no extension: the page tells it already.
func (x *extender) retell(ctx context.Context, s ClosedService) ([]plan.Step, error) {
	var told []plan.Step
	for _, stage := range x.closing.Plan.Stages {
		for _, step := range stage.Steps {
			if stage.Name == plan.StageTell && step.Service == s.Service && len(x.written[step.ID]) > 0 {
				told = append(told, step)
			}
		}
	}
	if len(told) == 0 {
		return nil, nil
	}
	i := slices.IndexFunc(x.catalog, func(c catalog.Service) bool { return c.Name == s.Service })
	of := s.Closing.Plan.Services[slices.IndexFunc(s.Closing.Plan.Services, func(p plan.Service) bool { return p.Name == s.Service })]
	a, err := x.announcement(x.catalog[i], s.Closing.Created, x.req.Until, edge.Mode(of.Mode))
	if err != nil {
		return nil, err
	}
	tellings, err := x.session.Tell(ctx, a)
	if err != nil {
		return nil, err
	}
	var out []plan.Step
	for _, t := range tellings {
		for _, call := range t.Calls {
			in, params, err := openCall(ctx, x.session, call)
			if err != nil {
				return nil, err
			}
			j := slices.IndexFunc(told, func(step plan.Step) bool { return step.Target == in.Target })
			if j < 0 {
				continue // told of only since the closing
			}
			step, err := x.retold(ctx, in, told[j])
			if err != nil {
				return nil, err
			}
			step.Params = params
			out = append(out, step)
		}
	}
	return out, nil
}

func (x *extender) retold(ctx context.Context, in *driver.Instance, s plan.Step) (plan.Step, error) {
	written := x.written[s.ID]
	now, err := in.Change.Observe(ctx)
	if err != nil {
		x.plan.AddNote(driver.Note{Warn: true, Text: fmt.Sprintf("It cannot be read now (%v). Apps may not hear of the new end.", err)}, s.Target)
		now = written[len(written)-1]
	}
	to, err := in.Change.Propose(action.State{}) // over what the closing told, which is to be replaced
	if err != nil {
		return s, err
	}
	step := plan.Renewing(s, now, to)
	step.Optional, step.Patience, step.Title = true, tellPatience, "Tell the new end: "+s.Target
	if in.Describer != nil {
		step.Description = in.Describer.Describe(now, to)
	}
	return step, nil
}

// A Told is what others are told of an environment, by one driver.
type Told struct {
	driver.Publication
	Environment string
	// Changes are what publishing would bring, or brought, up to date.
	Changes []ToldChange
}

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
