package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// assessMade tells what can be done about a thing that proves by itself that a
// closing made it: if marks of that closing are among those found, it belongs with
// them, and their opening takes it away. If none is, it is all that is left.
func (c *Control) assessMade(l look, found []Leftover, left Leftover, u driver.Unmarked) (Leftover, error) {
	services, err := c.madeFor(l.env.Name, u.Made)
	if err != nil {
		return left, err
	}
	var of *Leftover
	for i, have := range found {
		same := have.origin != nil && have.Recoverable() && (u.Made.Token == "" || have.origin.Page == u.Made.Token)
		if named := slices.Contains(services, have.Service); same && (named || of == nil && u.Made.Token != "") {
			if of = &found[i]; named {
				break
			}
		}
	}
	switch {
	case of != nil:
		return withMark(*of, left, u, len(found))
	case len(services) > 0:
		left.Cause, left.Service, left.mine, left.made = Tagged, services[0], true, &u
		left.Try = append([]string{"noren recover --env " + left.Environment}, left.Try...)
	}
	return left, nil
}

// madeFor are the services of the catalog that a thing is about: what noren made in
// the same place for a service of another catalog, its team takes away.
func (c *Control) madeFor(env string, m *driver.Made) ([]string, error) {
	services, err := c.Catalog.Services(env)
	if err != nil {
		return nil, err
	}
	system, _, _ := strings.Cut(m.Call.Action, "/")
	var names []string
	for _, s := range services {
		about := s.Name == m.Service
		for _, monitor := range s.Monitors {
			about = about || m.Monitor != "" && monitor.Name == m.Monitor && strings.HasPrefix(monitor.Kind, system+"/")
		}
		if about {
			names = append(names, s.Name)
		}
	}
	return names, nil
}

// withMark gives a thing the mark that it has no room for: that of a step of the
// closing of which a mark was found.
func withMark(of, left Leftover, u driver.Unmarked, n int) (Leftover, error) {
	params, err := json.Marshal(u.Made.Call.Params)
	if err != nil {
		return left, fmt.Errorf("%s: %w", u.Target, err)
	}
	origin := *of.origin
	origin.Stage, origin.Order, origin.Cluster, origin.Patience = plan.StageMute, -1, u.Cluster, mutePatience
	origin.Title = "Keep quiet " + u.Target
	if u.Made.Monitor == "" {
		origin.Stage, origin.Title, origin.Patience = plan.StageTell, "Tell "+u.Target, tellPatience
	}
	step := fmt.Sprintf("tagged-%d", n)
	origin.Track = step
	raw, err := json.Marshal(origin)
	if err != nil {
		return left, fmt.Errorf("%s: %w", u.Target, err)
	}
	of.Target, of.origin = u.Target, &origin
	of.mark = action.Mark{Params: params, Actor: of.mark.Actor, Origin: raw, Receipt: action.Receipt{Run: of.Run, Step: step, Action: u.Made.Call.Action,
		Target: u.Target, From: u.Made.Before, To: u.Made.Now, TakenAt: of.mark.Receipt.TakenAt}}
	return of, nil
}

// TakeAway takes away what is left of closings that left nothing else. What it did,
// also before an error, is recorded as a run of its own.
func (c *Control) TakeAway(ctx context.Context, rec *Recovery) ([]string, error) {
	var gone []string
	stages := []plan.Stage{{Name: plan.StageTell}, {Name: plan.StageUnmute}} // as an opening has them
	var events []run.Event
	var errs []error
	for i, l := range rec.Tagged {
		stage := &stages[0]
		if l.made.Made.Monitor != "" {
			stage = &stages[1]
		}
		step, err := c.takeAway(ctx, rec.Environment, l)
		step.ID = fmt.Sprintf("%s-%d", stage.Name, i+1)
		step.Track = step.ID
		stage.Steps = append(stage.Steps, step)
		if err != nil {
			errs = append(errs, err)
			events = append(events, run.Event{Type: run.StepFailed, Step: step.ID, Data: run.Data{Problem: run.ProblemOf(err)}})
			continue
		}
		gone, events = append(gone, l.Target), append(events, run.Event{Type: run.StepDone, Step: step.ID})
	}
	stages = slices.DeleteFunc(stages, func(s plan.Stage) bool { return len(s.Steps) == 0 })
	if len(stages) == 0 {
		return nil, nil
	}
	failed := errors.Join(errs...)
	told := run.Data{Status: run.Done}
	if failed != nil {
		told = run.Data{Status: run.Stopped, Problem: run.ProblemOf(failed)}
	}
	return gone, errors.Join(failed, c.noteDone(context.WithoutCancel(ctx), plan.Recover, rec.Environment, stages, events, told))
}

func (c *Control) takeAway(ctx context.Context, env plan.Environment, l Leftover) (plan.Step, error) {
	u := l.made
	step := plan.Step{Kind: action.KindChange, Action: u.Made.Call.Action, Target: l.Target, Cluster: u.Cluster, Service: l.Service, Title: "Take away " + l.Target,
		From: u.Made.Now, To: u.Made.Before}
	in, params, err := openCall(ctx, c.session(env).At(u.Cluster), u.Made.Call)
	if err != nil {
		return step, err
	}
	step.Params = params
	if in.Describer != nil {
		step.Description = in.Describer.Describe(step.From, step.To)
	}
	return step, in.Change.Apply(ctx, step.From, step.To)
}

// noteDone records a run that is over.
func (c *Control) noteDone(ctx context.Context, kind plan.Kind, env plan.Environment, stages []plan.Stage, events []run.Event, told run.Data) error {
	done := &plan.Plan{Version: plan.Version, Kind: kind, Environment: env, Zone: c.Catalog.Zone.String(), OnFailure: plan.Ask, Locks: []string{},
		Services: []plan.Service{}, Stages: stages}
	for _, stage := range stages {
		for _, s := range stage.Steps {
			named := slices.ContainsFunc(done.Services, func(have plan.Service) bool { return have.Name == s.Service })
			if s.Service != "" && !named {
				done.Services = append(done.Services, plan.Service{Name: s.Service, Entrances: []plan.Entrance{}})
			}
		}
	}
	return c.store.Note(ctx, newID(kind, c.Now()), done, c.Actor, events, told)
}
