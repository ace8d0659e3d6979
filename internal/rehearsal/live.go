package rehearsal

import (
	"context"
	"slices"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/report"
	"github.com/noren-dev/noren/internal/run"
)

// A Live rehearsal is a real closing and a real opening, looked at on the way.
// Its methods are called one at a time.
type Live struct {
	Options
	control  *control.Control
	req      control.CloseRequest
	before   []control.Door
	watch    *watch
	closing  act
	opening  act
	untold   []string
	services []string
}

// NewLive looks at the doors of what is to be rehearsed for real. c reaches the
// real systems.
func NewLive(ctx context.Context, o Options, c *control.Control, req control.CloseRequest) (*Live, error) {
	services, err := o.Catalog.Services(req.Environment, req.Services...)
	if err != nil {
		return nil, err
	}
	l := &Live{Options: o, control: c, req: req}
	for _, s := range services {
		l.services = append(l.services, s.Name)
	}
	l.before, err = c.Doors(ctx, req.Environment, req.Services, nil)
	return l, err
}

// Services are those that are rehearsed.
func (l *Live) Services() []string { return l.services }

// Observe is told of every event of the two runs, with the run after it.
func (l *Live) Observe(ctx context.Context, e run.Event, r *run.Run) {
	a := &l.closing
	if r.Plan.Kind == plan.Open {
		a = &l.opening
	}
	a.plan, a.run = r.Plan, r
	a.event(e, r)
	if l.watch == nil {
		l.begin(r, e)
	}
	s, ok := r.Plan.Step(e.Step)
	switch {
	case ok && s.Kind == action.KindChange && (e.Type == run.StepDone || e.Type == run.StepUndone):
		l.look(ctx, during(r.Plan.Kind), e, s.Title)
	case e.Type == run.RunEnded && r.Status == run.Done:
		l.look(ctx, map[plan.Kind]report.Phase{plan.Close: report.Shut, plan.Open: report.After}[r.Plan.Kind], e, "the end of the run")
	}
}

func during(k plan.Kind) report.Phase {
	if k == plan.Open {
		return report.Opening
	}
	return report.Closing
}

// begin finds the visitors, once the closing's pass is known.
func (l *Live) begin(r *run.Run, e run.Event) {
	env, _ := l.Catalog.Environment(l.req.Environment)                  // found before
	services, _ := l.Catalog.Services(l.req.Environment, l.services...) // found before
	l.watch = newWatch(visitors(services, l.before, l.req, env.Bypass, r.Plan.Pass))
	l.watch.look(report.Before, e.At, "", l.before)
}

func (l *Live) look(ctx context.Context, phase report.Phase, e run.Event, write string) {
	doors, err := l.control.Doors(ctx, l.req.Environment, l.req.Services, nil)
	if err != nil {
		if text := "What visitors saw after " + write + ": " + err.Error(); !slices.Contains(l.untold, text) {
			l.untold = append(l.untold, text)
		}
		return
	}
	l.watch.look(phase, e.At, write, doors)
}

// untoldForReal is what a real rehearsal elsewhere cannot tell.
var untoldForReal = []string{
	"How another environment differs from this one: its size, its traffic, its controllers, its quotas and who may do what there.",
	"The table says what the rules were after each step, as noren read them; the proofs are what was seen through the door.",
}

// Report tells how it went; failed is why the opening could not be planned, if
// so. Without a closing that was begun there is none.
func (l *Live) Report(ctx context.Context, failed error) (*report.Rehearsal, error) {
	if l.closing.run == nil {
		return nil, nil
	}
	if l.opening.run == nil {
		l.opening.failed = failed
	}
	out := &report.Rehearsal{Environment: l.req.Environment, Services: l.services, OK: l.closing.ok() && l.opening.ok(), LeftOut: []string{},
		Different: []report.Difference{}, Visitors: l.watch.rows, Seen: orNone(l.watch.turns), Made: l.Now()}
	if err := tell(ctx, out, l.closing, l.opening, l.Real); err != nil {
		return nil, err
	}
	out.Untold = slices.Concat(l.untold, untoldForReal)
	var err error
	if out.Runs, err = l.control.Report(ctx, l.closing.run.ID); err != nil {
		return nil, err
	}
	out.Outcome = outcome(out, l.closing, l.opening)
	return out, nil
}
