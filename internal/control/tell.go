package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/page"
	"github.com/noren-dev/noren/internal/plan"
)

// tellPatience is how long to try to tell others. A disk that is full stays
// full; one that another noren holds is free in a moment.
const tellPatience = 20 * time.Second

// patienceToTell is how long to tell again: as long as others took to hear, if
// that is long, and else no longer than it takes to write.
func patienceToTell(s plan.Step) time.Duration {
	if s.Patience > time.Minute { // that of any step that is taken back or renewed
		return s.Patience
	}
	return tellPatience
}

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
			if b.Quiet && t.Announced {
				continue
			}
			b.told = append(b.told, slices.Concat(t.Checks, t.Calls)...)
			for _, call := range t.Checks {
				if err := b.add(ctx, b.session, request{plan.StageCheck, call, p.service.Name, "", "", checkPatience}); err != nil {
					return err
				}
			}
			for _, call := range t.Calls {
				if err := b.add(ctx, b.session, request{plan.StageTell, call, p.service.Name, "", "", tellPatience + t.Patience}); err != nil {
					return err
				}
			}
		}
	}
	return b.published(ctx)
}

// namesKnown fails where a driver's section names a service that the
// environment does not have, or could not be used: apps would be told of
// nothing, for ever.
func (c *Control) namesKnown(environment string) error {
	env, err := c.Catalog.Environment(environment)
	if err != nil {
		return err
	}
	names := c.Catalog.ServiceNames(environment)
	clusters, sections := map[string]driver.Configs{}, map[string]map[string]catalog.Section{"": env.Drivers}
	for _, cluster := range env.Clusters {
		clusters[cluster.Name], sections[cluster.Name] = cluster.Configs(), cluster.Drivers
	}
	var errs []error
	for in, f := range c.Registry.OpenClusters(driver.Env{Name: env.Name, Now: c.Now}, env.Configs(), clusters).Astray() {
		at := sections[in[0]][in[1]].At()
		f.At = &at
		errs = append(errs, f)
	}
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
		s.Optional, s.Patience = true, patienceToTell(*s)
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
	step.Optional, step.Patience, step.Title = true, patienceToTell(step), "Tell the new end: "+s.Target
	if in.Describer != nil {
		step.Description = in.Describer.Describe(now, to)
	}
	return step, nil
}
