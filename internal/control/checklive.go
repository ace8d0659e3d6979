package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
)

// checkLive asks the systems of one environment: is every entrance there and
// could it be closed, is anything needed refused, do the health URLs answer?
func (c *Control) checkLive(ctx context.Context, env catalog.Environment, e *EnvironmentCheck) error {
	services, err := c.Catalog.Services(env.Name)
	if err != nil {
		return err
	}
	pinned, err := c.planEnvironment(env)
	if err != nil {
		return err
	}
	session := c.session(pinned)
	l := &liveCheck{Control: c, env: env, session: session, needs: make([][]action.Permission, len(services)), denied: make([]error, len(services))}
	if err := each(ctx, indexes(services), func(ctx context.Context, i int) error {
		l.service(ctx, i, services[i], &e.Services[i])
		return ctx.Err()
	}); err != nil {
		return err
	}
	if err := l.ears(ctx, e); err != nil {
		return err
	}
	return l.permissions(ctx, e)
}

// ears asks whether people could be told, without telling them.
func (l *liveCheck) ears(ctx context.Context, e *EnvironmentCheck) error {
	calls := l.Registry.Reaches(l.env.Configs())
	problems := make([]error, len(calls))
	err := each(ctx, indexes(calls), func(ctx context.Context, i int) error {
		ctx, cancel := l.patiently(ctx)
		defer cancel()
		params, err := json.Marshal(calls[i].Params)
		if err != nil {
			return err
		}
		v, err := l.asked(ctx, calls[i].Action, params)
		if err == nil && !v.OK {
			err = &fault.Fault{Code: fault.CheckFailed, Summary: "channel cannot be used", Detail: v.Summary + "\n" + strings.Join(v.Findings, "\n"), Try: v.Try}
		}
		problems[i] = err
		return ctx.Err()
	})
	for _, p := range problems {
		if p != nil {
			e.Problems = append(e.Problems, p)
		}
	}
	return err
}

// A liveCheck is the checking of one environment.
type liveCheck struct {
	*Control
	env     catalog.Environment
	session *driver.Session
	needs   [][]action.Permission // by service
	denied  []error               // by service: why its entrances could not be read
	asking  sync.Map              // checks of what is told of many services, of which one asks
}

// service plans the service's closing, which reads all that a closing would
// read, and asks its health URLs. What is wrong goes into out.
func (l *liveCheck) service(ctx context.Context, i int, s catalog.Service, out *ServiceCheck) {
	ctx, cancel := l.patiently(ctx)
	defer cancel()
	x, err := newPlanner(ctx, l.Control, l.env, CloseRequest{Environment: l.env.Name})
	if err != nil {
		out.Problems = append(out.Problems, err)
		return
	}
	x.session = l.session
	if err := joined([]error{x.survey(ctx, []catalog.Service{s}), x.rests(ctx, []catalog.Service{s}), x.mutes(ctx, []catalog.Service{s})}); err != nil {
		l.needs[i] = l.entranceNeeds(ctx, s)
		l.problem(i, out, err)
		return
	}
	for _, p := range x.places {
		if lock, held := x.held[p.survey.Target]; held {
			out.Notes = append(out.Notes, p.survey.Target+" is held by run "+lock.Run+": what a closing needs can be checked once it is open")
			return
		}
	}
	closing, err := x.compile(ctx)
	if err != nil {
		l.problem(i, out, err)
	} else {
		for _, service := range closing.Plan.Services {
			for _, e := range service.Entrances {
				out.Facts = append(out.Facts, e.Strategy)
			}
		}
		for _, n := range closing.Plan.Notes {
			if n.Warn {
				out.Notes = append(out.Notes, n.Text)
			}
		}
		l.reachable(ctx, closing.Plan, s, out)
		l.told(ctx, i, x.told, s, out)
	}
	l.needs[i] = l.required(ctx, x)
	l.health(ctx, s, out)
}

// problem files what is wrong with a service. A refusal waits until it is known
// what else is refused: that is said, and granted, at once.
func (l *liveCheck) problem(i int, out *ServiceCheck, err error) {
	if errors.Is(err, &fault.Fault{Code: fault.Denied}) {
		l.denied[i] = err
		return
	}
	out.Problems = append(out.Problems, err)
}

// required lists what a closing and its opening need, also where a target
// could not be read: a missing permission may be why.
func (l *liveCheck) required(ctx context.Context, x *planner) []action.Permission {
	var need []action.Permission
	ask := func(cluster string, call driver.Call) {
		params, err := json.Marshal(call.Params)
		if err != nil {
			return
		}
		if in, err := l.session.At(cluster).Action(ctx, call.Action, params); err == nil && in.Requirer != nil {
			need = append(need, inCluster(cluster, in.Requirer.Requires())...)
		}
	}
	for _, p := range x.places {
		for _, call := range slices.Concat(p.proposal.Checks, p.proposal.Calls, p.proposal.Ready) {
			ask(p.entrance.Cluster, call)
		}
		if o := p.survey.Owner; o != nil && p.proposal.EditsOwned {
			need = append(need, x.ownerNeeds(ctx, p.entrance.Cluster, *o)...)
		}
	}
	for _, call := range x.told {
		ask("", call)
	}
	for _, m := range x.bells {
		for _, call := range m.quiet.Calls {
			ask(m.monitor.Cluster, call)
		}
	}
	for _, w := range x.works {
		for _, call := range w.resting.Calls {
			ask(w.workload.Cluster, call)
		}
		if o := w.resting.Owner; o != nil {
			need = append(need, x.ownerNeeds(ctx, w.workload.Cluster, *o)...)
		}
	}
	return need
}

// ownerNeeds lists what pausing an owner needs, and those who would take that
// back, as far as they could be read.
func (x *planner) ownerNeeds(ctx context.Context, cluster string, o driver.Owner) []action.Permission {
	var need []action.Permission
	c, _ := x.chain(ctx, cluster, o) // why it could not be read is said with the plan
	for _, owner := range c.owners {
		if more, err := x.session.At(cluster).OwnerRequires(ctx, owner); err == nil {
			need = append(need, inCluster(cluster, more)...)
		}
	}
	return need
}

// inCluster says of permissions which cluster they are needed in.
func inCluster(cluster string, need []action.Permission) []action.Permission {
	for i := range need {
		need[i].Cluster = cluster
	}
	return need
}

// entranceNeeds lists what the entrances of a service may need, where they
// could not be read.
func (l *liveCheck) entranceNeeds(ctx context.Context, s catalog.Service) []action.Permission {
	var need []action.Permission
	for _, e := range s.Entrances {
		opened, err := l.session.At(e.Cluster).Entrance(ctx, e.Kind, e.Name, e.Options.JSON)
		if r, ok := opened.(action.Requirer); ok && err == nil {
			need = append(need, inCluster(e.Cluster, r.Requires())...)
		}
	}
	for _, w := range s.Workloads {
		opened, err := l.session.At(w.Cluster).Workload(ctx, w.Kind, w.Name, w.Options.JSON)
		if r, ok := opened.(action.Requirer); ok && err == nil {
			need = append(need, inCluster(w.Cluster, r.Requires())...)
		}
	}
	for _, m := range s.Monitors {
		opened, err := l.session.At(m.Cluster).Monitor(ctx, m.Kind, m.Name, m.Options.JSON)
		if r, ok := opened.(action.Requirer); ok && err == nil {
			need = append(need, inCluster(m.Cluster, r.Requires())...)
		}
	}
	return need
}

// reachable asks whether a closing could be proved from here.
func (l *liveCheck) reachable(ctx context.Context, p *plan.Plan, s catalog.Service, out *ServiceCheck) {
	for _, step := range p.Steps() {
		if step.Action != actionReachable {
			continue
		}
		switch v, err := l.asked(ctx, step.Action, step.Params); {
		case err != nil:
			out.Problems = append(out.Problems, err)
		case !v.OK:
			out.Problems = append(out.Problems, &fault.Fault{Code: fault.CheckFailed, Summary: "front door cannot be asked from here",
				Detail: fmt.Sprintf("%s in %s: a closing asks it from outside, as customers do, and would refuse to begin.\n%s", s.Name, l.env.Name, strings.Join(v.Findings, "\n")),
				Try:    v.Try})
		}
	}
}

// told asks whether others could be told, as a closing asks before anything else:
// once of what several services are told in.
func (l *liveCheck) told(ctx context.Context, i int, calls []driver.Call, s catalog.Service, out *ServiceCheck) {
	for _, call := range calls {
		in, _, err := openCall(ctx, l.session, call)
		if err != nil || in.Check == nil {
			continue // it is said by the plan
		}
		if _, asked := l.asking.LoadOrStore(in.Action+" "+in.Target, true); asked {
			continue
		}
		switch v, err := in.Check.Check(ctx); {
		case err != nil:
			l.problem(i, out, err)
		case !v.OK:
			out.Problems = append(out.Problems, &fault.Fault{Code: fault.CheckFailed, Summary: "others could not be told",
				Detail: fmt.Sprintf("%s in %s: %s.\n%s", s.Name, l.env.Name, v.Summary, strings.Join(v.Findings, "\n")), Try: v.Try})
		}
	}
}

// asked looks once.
func (l *liveCheck) asked(ctx context.Context, name string, params json.RawMessage) (action.Verdict, error) {
	in, err := l.session.Action(ctx, name, params)
	if err != nil {
		return action.Verdict{}, err
	}
	return in.Check.Check(ctx)
}

// health asks the health URLs as they are now.
func (l *liveCheck) health(ctx context.Context, s catalog.Service, out *ServiceCheck) {
	if len(s.Health) == 0 {
		return
	}
	params, err := json.Marshal(map[string]any{"urls": s.Health, "notMark": true})
	if err != nil {
		out.Problems = append(out.Problems, err)
		return
	}
	switch v, err := l.asked(ctx, "http/healthy", params); {
	case err != nil:
		out.Problems = append(out.Problems, err)
	case v.OK:
		out.Facts = append(out.Facts, "healthy")
	default:
		at := s.HealthAt(s.Health[0])
		for _, url := range s.Health {
			if strings.Contains(strings.Join(v.Findings, "\n"), url) {
				at = s.HealthAt(url)
				break
			}
		}
		out.Problems = append(out.Problems, &fault.Fault{Code: fault.CheckFailed, Summary: "health check fails", At: &at,
			Detail: fmt.Sprintf("%s in %s: %s.\n%s", s.Name, l.env.Name, v.Summary, strings.Join(v.Findings, "\n")), Try: v.Try})
	}
}

// permissions asks which of the needs are refused, once for the environment,
// and tells each service what it lacks.
func (l *liveCheck) permissions(ctx context.Context, e *EnvironmentCheck) error {
	var all []action.Permission
	for _, need := range l.needs {
		all = append(all, need...)
	}
	refusals, err := l.session.Refusals(ctx, all)
	if err != nil {
		e.Problems = append(e.Problems, unread("what noren is permitted", e.Name, err))
		return nil
	}
	grants := map[string]bool{}
	var texts []string
	for _, r := range refusals {
		e.Identity = r.Identity
		grant := strings.TrimSpace(r.Grant)
		if c := r.Permission.Cluster; c != "" {
			grant = "# in cluster " + c + ":\n" + grant
		}
		if !grants[grant] {
			grants[grant] = true
			texts = append(texts, grant)
		}
	}
	e.Grant = strings.Join(texts, "\n---\n")
	for i, need := range l.needs {
		var lacks []string
		for _, r := range refusals {
			for _, p := range need {
				p.Why = r.Permission.Why
				if p == r.Permission {
					lacks = append(lacks, words(r.Permission))
					break
				}
			}
		}
		switch s := &e.Services[i]; {
		case len(lacks) > 0:
			s.Problems = append(s.Problems, &fault.Fault{Code: fault.Denied, Summary: "permission is missing",
				Detail: fmt.Sprintf("%s in %s: %s may not\n  %s", s.Name, e.Name, e.Identity, strings.Join(lacks, "\n  "))})
		case l.denied[i] != nil:
			s.Problems = append(s.Problems, l.denied[i])
		case len(need) > 0:
			s.Facts = append(s.Facts, l.permitted(need))
		}
	}
	return nil
}

// permitted says that nothing is refused, as far as anybody was asked.
func (l *liveCheck) permitted(need []action.Permission) string {
	var unasked []string
	for _, p := range need {
		if !l.session.CanAskPermission(p.System) && !slices.Contains(unasked, p.System) {
			unasked = append(unasked, p.System)
		}
	}
	if len(unasked) > 0 {
		text := "permissions not asked about in " + strings.Join(unasked, ", ")
		if slices.Contains(unasked, iamSystem) {
			text += ": noren iam --env " + l.env.Name + " lists them"
		}
		return text
	}
	return "permitted"
}

// words say a permission as a person would: "patch ingresses web in shop".
func words(p action.Permission) string {
	text := p.Verb + " " + p.Resource
	if p.Name != "" {
		text += " " + p.Name
	}
	if p.Namespace != "" {
		text += " in " + p.Namespace
	}
	if p.Cluster != "" {
		text += " of cluster " + p.Cluster
	}
	if p.Why != "" {
		text += "  (" + p.Why + ")"
	}
	return text
}
