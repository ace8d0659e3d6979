package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// A Side says whose state wins where a target has drifted.
type Side string

// The sides: the receipt's, overwriting what someone wrote meanwhile; or the
// other's, leaving the target as it is.
const (
	Neither Side = ""
	Ours    Side = "ours"
	Theirs  Side = "theirs"
)

// An OpenRequest is what a person asks to be opened.
type OpenRequest struct {
	Environment string   // "" for every environment in which something is closed
	Services    []string // none: all that are closed
	// Sick opens also if the application behind does not answer.
	Sick bool
	// Behind are services that another closing's page stays in front of: what
	// customers see is said, and does not fail the opening.
	Behind    []string
	Side      Side
	OnFailure plan.OnFailure
}

// ErrNotHeld means that no run of this state directory holds a service that was
// named. Whether it is closed all the same, only a look at it can tell.
var ErrNotHeld = errors.New("no run holds it")

// PlanOpen compiles one plan for each closing that holds the services asked
// for, from the closing's receipts. It writes nothing. A drifted target
// without a side is a fault that shows what was before, what noren wrote and
// what is there now.
func (c *Control) PlanOpen(ctx context.Context, req OpenRequest) ([]*plan.Plan, error) {
	closed, err := c.Status(ctx)
	if err != nil {
		return nil, err
	}
	wanted, err := pick(closed, req)
	if err != nil {
		return nil, err
	}
	byRun := map[string][]ClosedService{}
	for _, s := range wanted {
		byRun[s.Run.ID] = append(byRun[s.Run.ID], s)
	}
	var plans []*plan.Plan
	for _, id := range slices.Sorted(maps.Keys(byRun)) {
		p, err := c.planOpen(ctx, byRun[id], closed, req)
		if err != nil {
			return nil, err
		}
		plans = append(plans, p)
	}
	return plans, nil
}

// pick chooses the closed services that a request names.
func pick(closed []ClosedService, req OpenRequest) ([]ClosedService, error) {
	var wanted []ClosedService
	var names []string
	for _, s := range closed {
		if req.Environment != "" && s.Environment != req.Environment {
			continue
		}
		names = append(names, s.Service)
		if len(req.Services) == 0 || slices.Contains(req.Services, s.Service) {
			wanted = append(wanted, s)
		}
	}
	for _, name := range req.Services {
		if slices.Contains(names, name) {
			continue
		}
		f := &fault.Fault{Code: fault.NotFound, Summary: "service is not closed",
			Detail: fmt.Sprintf("No run of this state directory holds %q%s closed.", name, in(req.Environment)), Try: []string{"noren status"}, Err: ErrNotHeld}
		if near := fault.Nearest(name, names); near != "" {
			f.Detail += fmt.Sprintf(" Did you mean %q?", near)
		}
		return nil, f
	}
	for _, s := range wanted {
		if !s.Run.Status.Ended() {
			return nil, &fault.Fault{Code: fault.Locked, Summary: "run has not ended",
				Detail: fmt.Sprintf("Run %s, started by %s, is still %s on %s.", s.Run.ID, s.Run.Actor, s.Run.Status, s.Service),
				Try:    []string{"noren watch " + s.Run.ID, "noren undo " + s.Run.ID, "noren resume " + s.Run.ID}}
		}
	}
	return wanted, nil
}

func in(env string) string {
	if env == "" {
		return ""
	}
	return " in " + env
}

// planOpen compiles the opening of some services of one closing.
func (c *Control) planOpen(ctx context.Context, services, closed []ClosedService, req OpenRequest) (*plan.Plan, error) {
	holder := services[0].Run
	closing, receipts, err := c.closingOf(ctx, holder)
	if err != nil {
		return nil, err
	}
	p := &plan.Plan{Version: plan.Version, Kind: plan.Open, Environment: closing.Plan.Environment, Zone: closing.Plan.Zone,
		Mark: closing.Plan.Mark, Pass: closing.Plan.Pass, Closing: closing.ID, OnFailure: req.OnFailure, Holder: holder.ID, Lang: closing.Plan.Lang,
		Whole: closing.Plan.Whole && len(services) == len(closing.Plan.Services)}
	ctx, cancel := c.patiently(ctx)
	defer cancel()
	ctx = driver.WithBatch(ctx, driver.Batch{Since: time.Now(), Size: len(receipts)})
	o := &opener{Control: c, ctx: ctx, plan: p, session: c.session(p.Environment), left: map[string]bool{}, strayed: map[string]bool{},
		adopted: !closing.Adopted.IsZero()}
	for _, s := range services {
		p.MutedUntil = s.MutedUntil
		o.service(s, req)
		o.left[s.Service] = slices.Contains(req.Behind, s.Service)
	}
	extensions, _, err := c.extensions(ctx, closing)
	if err != nil {
		return nil, err
	}
	o.written = plan.Written(receipts, extensions...)
	back := plan.Opening(closing.Plan, receipts, extensions...)
	if back.Start, err = c.settle(ctx, o, ofServices(back.Start, services), req.Side); err != nil {
		return nil, err
	}
	doors := ofServices(back.Open, services)
	if back.Open, err = c.settle(ctx, o, slices.Clone(doors), req.Side); err != nil {
		return nil, err
	}
	o.stray(doors, back.Open)
	if back.Resume, err = c.settle(ctx, o, unneeded(back.Resume, closing.ID, services, closed), req.Side); err != nil {
		return nil, err
	}
	if err := c.takePauses(ctx, p, closing, services, closed); err != nil {
		return nil, err
	}
	after, err := o.resumed(closing.Plan, back.Resume)
	if err != nil {
		return nil, err
	}
	back.Tell = settleTold(ctx, o, ofServices(back.Tell, services))
	back.Unmute = settleMuted(ctx, o, ofServices(back.Unmute, services))
	p.Stages = nonEmpty(plan.Stage{Name: plan.StageStart, Steps: back.Start}, plan.Stage{Name: plan.StageReady, Steps: o.ready},
		plan.Stage{Name: plan.StageOpen, Steps: back.Open}, plan.Stage{Name: plan.StageResume, Steps: back.Resume}, plan.Stage{Name: plan.StageSettle, Steps: after},
		plan.Stage{Name: plan.StageProve, Steps: o.proofs()}, plan.Stage{Name: plan.StageTell, Steps: back.Tell},
		plan.Stage{Name: plan.StageUnmute, Steps: back.Unmute})
	if p.Return, err = o.returns(closing, extensions); err != nil {
		return nil, err
	}
	return c.finished(p), o.err
}

// takePauses takes over the locks of all pauses that end with this opening: also
// of those that nothing is to be put back on, since the sync was paused before
// the closing, or stays as somebody else made it.
func (c *Control) takePauses(ctx context.Context, p *plan.Plan, closing *run.Run, services, closed []ClosedService) error {
	locks, err := c.store.Locks(ctx)
	if err != nil {
		return err
	}
	held := map[string]bool{}
	for _, l := range locks {
		held[l.Target] = l.Run == p.Holder
	}
	var pauses []plan.Step
	for _, stage := range closing.Plan.Stages {
		if stage.Name == plan.StagePause {
			pauses = append(pauses, stage.Steps...)
		}
	}
	for _, s := range unneeded(pauses, closing.ID, services, closed) {
		if held[s.Target] && !slices.Contains(p.Locks, s.Target) {
			p.Locks = append(p.Locks, s.Target)
		}
	}
	return nil
}

// closingOf returns the closing whose receipts are to be taken back: the
// holder itself, or the closing that the holder tried to open or extended.
func (c *Control) closingOf(ctx context.Context, holder *run.Run) (*run.Run, []action.Receipt, error) {
	closing := holder
	if holder.Plan.Closing != "" {
		var err error
		if closing, err = c.store.Run(ctx, holder.Plan.Closing); err != nil {
			return nil, nil, err
		}
	}
	receipts, err := c.store.Receipts(ctx, closing.ID)
	return closing, receipts, err
}

func ofServices(steps []plan.Step, services []ClosedService) []plan.Step {
	return slices.DeleteFunc(steps, func(s plan.Step) bool {
		return !slices.ContainsFunc(services, func(c ClosedService) bool { return c.Service == s.Service })
	})
}

// unneeded keeps the pauses of a closing that end with this opening: those which
// a service that opens needs, and none that stays closed. A pause that several
// services share ends when the last of them opens, and one whose services have
// all opened before has ended then. A plan of before pauses named their
// services has one answer for all: they end with the last service.
func unneeded(resume []plan.Step, closing string, services, closed []ClosedService) []plan.Step {
	var opens, stays []string
	for _, s := range services {
		opens = append(opens, s.Service)
	}
	for _, c := range closed {
		if same := c.Run.ID == closing || c.Run.Plan.Closing == closing; same && !slices.Contains(opens, c.Service) {
			stays = append(stays, c.Service)
		}
	}
	return slices.DeleteFunc(resume, func(s plan.Step) bool {
		if len(s.Services) == 0 {
			return len(stays) > 0
		}
		among := func(names []string) bool {
			return slices.ContainsFunc(s.Services, func(name string) bool { return slices.Contains(names, name) })
		}
		return among(stays) || !among(opens)
	})
}

// settle looks at each target: as noren left it, in the closing or in an
// extension that was perhaps cut short, it is taken back; as it was
// before, there is nothing to do; else somebody changed it, and a side must
// be chosen.
func (c *Control) settle(ctx context.Context, o *opener, steps []plan.Step, side Side) ([]plan.Step, error) {
	var mu sync.Mutex
	drop := map[string]bool{}
	err := each(ctx, indexes(steps), func(ctx context.Context, i int) error {
		s := &steps[i]
		inst, err := o.session.At(s.Cluster).Action(ctx, s.Action, s.Params)
		if err != nil {
			return err
		}
		answered := c.asks(o.plan.Environment.Name, s.Target)
		now, err := inst.Change.Observe(ctx)
		answered()
		if err != nil {
			return unread(s.Target, o.plan.Environment.Name, err)
		}
		if inst.Describer != nil {
			s.Description = inst.Describer.Describe(now, s.To)
		}
		switch {
		case now.Equal(s.From):
			return nil
		case now.Equal(s.To), side == Ours, slices.ContainsFunc(o.written[s.Undoes], now.Equal):
			s.From = now
			return nil
		case o.midway(inst, now, s):
			s.From = now
			mu.Lock()
			defer mu.Unlock()
			o.plan.AddNote(driver.Note{Text: "Whoever closed or extended it was cut off in the middle: what is there of noren's is taken away."}, s.Target)
			return nil
		case side == Theirs:
			mu.Lock()
			defer mu.Unlock()
			drop[s.ID], o.left[s.Service] = true, true
			o.plan.AddNote(driver.Note{Warn: true, Text: "Left as someone else changed it; noren does not restore it."}, s.Target)
			return nil
		default:
			return drifted(s, inst, now, o.plan.Environment.Name)
		}
	})
	return slices.DeleteFunc(steps, func(s plan.Step) bool { return drop[s.ID] }), err
}

func indexes[T any](items []T) []int {
	all := make([]int, len(items))
	for i := range all {
		all[i] = i
	}
	return all
}

// midway tells whether a target is between the two states of a step, in an
// adopted closing: nobody is there to say who was cut off, and what is taken away
// is noren's alone. In a closing of this state directory, a run that was cut off
// carries on by itself, so that there it is drift.
func (o *opener) midway(inst *driver.Instance, now action.State, s *plan.Step) bool {
	if !o.adopted || inst.Midway == nil {
		return false
	}
	between, err := inst.Midway.Between(now, s.From, s.To)
	return between && err == nil
}

// drifted shows the three states of a target that somebody else changed.
func drifted(s *plan.Step, inst *driver.Instance, now action.State, env string) error {
	show := func(st action.State) string {
		if inst.Describer == nil {
			return string(st.Fields)
		}
		return inst.Describer.Describe(action.State{}, st).After
	}
	indent := func(text string) string {
		if strings.TrimSpace(text) == "" {
			text = "(not there)"
		}
		return "    " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n    ")
	}
	return &fault.Fault{Code: fault.Drift, Summary: "target has drifted", Err: action.ErrDrift,
		Detail: fmt.Sprintf("%s in %s was changed by someone else since noren wrote it.\n  before:\n%s\n  ours:\n%s\n  now:\n%s",
			s.Target, env, indent(show(s.To)), indent(show(s.From)), indent(show(now))),
		Left: "nothing: this command wrote nothing; the service is still closed",
		Try:  []string{"noren open --env " + env + " --ours     # put back what was before, over what is there now", "noren open --env " + env + " --theirs   # leave it as it is now, open the rest"}}
}

func nonEmpty(stages ...plan.Stage) []plan.Stage {
	return slices.DeleteFunc(stages, func(s plan.Stage) bool { return len(s.Steps) == 0 })
}

// An opener makes the checks and effects around the changes of an opening.
type opener struct {
	*Control
	ctx     context.Context
	plan    *plan.Plan
	session *driver.Session
	ready   []plan.Step
	proof   []plan.Step
	written map[string][]action.State
	left    map[string]bool // services of which a target stays as someone else left it
	strayed map[string]bool // services of which a door is not as the closing left it
	adopted bool            // the closing was rebuilt from its marks
	err     error
}

// proofs are the proofs of the opening. Where a target stays as someone else
// left it, noren says once what customers see, and does not wait for more.
func (o *opener) proofs() []plan.Step {
	for i := range o.proof {
		if s := &o.proof[i]; o.left[s.Service] {
			s.Optional, s.Patience = true, 0
		}
	}
	return o.proof
}

// stray notes the services of which a door is not as the closing left it: settle
// has left its step out, or found another state to begin from.
func (o *opener) stray(left, settled []plan.Step) {
	for _, s := range left {
		i := slices.IndexFunc(settled, func(now plan.Step) bool { return now.ID == s.ID })
		if i < 0 || !settled[i].From.Equal(s.From) {
			o.strayed[s.Service] = true
		}
	}
}

// returns are the closing's own proofs of the services, by which an opening that
// is taken back is proved to have closed them again. Where the closing had not
// been proved, or a door is not as it left it, they only tell what is seen.
func (o *opener) returns(closing *run.Run, extensions []plan.Extended) ([]plan.Step, error) {
	var steps []plan.Step
	for _, stage := range closing.Plan.Stages {
		for _, s := range stage.Steps {
			mine := slices.ContainsFunc(o.plan.Services, func(p plan.Service) bool { return p.Name == s.Service })
			if stage.Name != plan.StageProve || s.Optional || !mine {
				continue
			}
			if closing.Steps[s.ID].Status != run.StepIsDone || o.strayed[s.Service] {
				s.Optional = true
			}
			var err error
			if s.Params, err = askingFor(plan.ShownMark(s.Service, extensions), s.Params); err != nil {
				return nil, err
			}
			s.ID = fmt.Sprintf("%s-%s", plan.StageReturn, s.ID)
			s.Track, s.Title = s.ID, strings.Replace(s.Title, "Prove closed:", "Prove closed again:", 1)
			s.Patience = provePatience
			if s.Optional {
				s.Patience = 0
			}
			steps = append(steps, s)
		}
	}
	return steps, nil
}

// askingFor are the parameters of a proof that asks for the page of another
// mark: that which an extension put up, or "" for the one asked for already.
func askingFor(mark string, params json.RawMessage) (json.RawMessage, error) {
	if mark == "" {
		return params, nil
	}
	var fields map[string]any
	if err := json.Unmarshal(params, &fields); err != nil {
		return nil, fmt.Errorf("parameters of a proof: %w", err)
	}
	fields["mark"] = mark
	return json.Marshal(fields)
}

// service adds a closed service: is it well behind the curtain, and did it
// open for customers?
func (o *opener) service(s ClosedService, req OpenRequest) {
	full := s.Run.Plan.Services[slices.IndexFunc(s.Run.Plan.Services, func(p plan.Service) bool { return p.Name == s.Service })]
	full.Entrances, full.Workloads = s.Entrances, s.Workloads
	for _, w := range s.Workloads {
		o.plan.Locks = append(o.plan.Locks, w.Target)
	}
	o.plan.Services = append(o.plan.Services, full)
	var urls []string
	for _, e := range s.Entrances {
		o.plan.Locks = append(o.plan.Locks, e.Target)
		urls = append(urls, e.URLs...)
		if !req.Sick {
			o.ready = append(o.ready, e.Ready...)
		}
	}
	if o.plan.Pass != "" && len(full.Health) > 0 && !req.Sick {
		o.ready = o.check(o.ready, plan.StageReady, s.Service, "Behind the curtain, does "+s.Service+" answer?", "http/healthy",
			map[string]any{"urls": full.Health, "pass": o.plan.Pass})
	}
	if len(urls) > 0 {
		o.proof = o.check(o.proof, plan.StageProve, s.Service, "Prove open: "+some(urls), "http/open", map[string]any{"urls": urls})
	}
	if len(full.Health) > 0 {
		o.proof = o.check(o.proof, plan.StageProve, s.Service, "Health checks of "+s.Service, "http/healthy",
			map[string]any{"urls": full.Health, "notMark": true})
		if req.Sick && o.err == nil { // told so: it must not close again
			s := &o.proof[len(o.proof)-1]
			s.Optional, s.Patience = true, readyPatience
		}
	}
}

func (o *opener) check(steps []plan.Step, stage plan.StageName, service, title, name string, params any) []plan.Step {
	s, err := o.step(stage, len(steps)+1, service, title, driver.Call{Action: name, Params: params})
	if err != nil {
		o.err = joined([]error{o.err, err})
		return steps
	}
	if s.Patience = healthPatience; stage == plan.StageReady {
		s.Patience = readyPatience
	}
	return append(steps, s)
}

func (o *opener) step(stage plan.StageName, n int, service, title string, call driver.Call) (plan.Step, error) {
	return o.stepAt("", stage, n, service, title, call)
}

func (o *opener) stepAt(cluster string, stage plan.StageName, n int, service, title string, call driver.Call) (plan.Step, error) {
	s, err := stepOf(o.ctx, o.session.At(cluster), fmt.Sprintf("%s-%s-%d", stage, service, n), call)
	s.Track, s.Service, s.Title = s.ID, service, title
	return s, err
}
