package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
)

// marksFit fails if a target has no room for the mark of the change that the
// plan makes there.
func (b *builder) marksFit(ctx context.Context) error {
	var changes []plan.Step
	for _, s := range b.plan.Steps() {
		if s.Kind == action.KindChange && !s.From.Equal(s.To) {
			changes = append(changes, s)
		}
	}
	return each(ctx, changes, func(ctx context.Context, s plan.Step) error {
		in, err := b.session.At(s.Cluster).Action(ctx, s.Action, s.Params)
		if err != nil || in.Marker == nil {
			return err
		}
		m, err := plan.MarkOf(b.plan, action.Receipt{Run: newID(b.plan.Kind, b.Now()), Step: s.ID, Action: s.Action, Target: s.Target,
			From: s.From, To: s.To, TakenAt: b.Now()}, s.Params, b.Actor)
		if err != nil {
			return err
		}
		if err := in.Marker.Fits(ctx, m); err != nil {
			return unread(s.Target, b.env.Name, err)
		}
		return nil
	})
}

// watchForMarks begins to look for marks that no current run of this state
// directory explains, while a closing is planned. What it returns waits for
// that, and gives the closing and its error back, unless an entrance to close
// carries the mark of a run that is not known: the fault then says whose.
func (x *planner) watchForMarks(ctx context.Context) func(*Closing, error) (*Closing, error) {
	ctx, cancel := context.WithCancel(ctx)
	seen := make(chan *LeftoverReport, 1)
	go func() {
		// Through the planner's session: what both look at is read once.
		report, err := x.leftovers(ctx, lookPatience, func(plan.Environment) *driver.Session { return x.session }, x.env.Name)
		if err != nil {
			report = &LeftoverReport{} // planning reads the same systems, and says what is wrong
		}
		seen <- report
	}()
	return func(c *Closing, err error) (*Closing, error) {
		defer cancel()
		if errors.Is(err, &fault.Fault{Code: fault.Unavailable}) || errors.Is(err, &fault.Fault{Code: fault.Denied}) {
			cancel()
			<-seen // so that nothing is asked once the state directory is closed
			return c, err
		}
		answered := x.asks(x.env.Name, "marks of earlier runs")
		report := <-seen
		answered()
		unknown, ended := x.marked(report)
		if len(unknown) > 0 {
			return nil, elsewhere(unknown)
		}
		if err == nil {
			for _, l := range ended {
				c.Plan.AddNote(driver.Note{Warn: true, Text: fmt.Sprintf("It still carries the mark of run %s, which has ended.", l.Run)}, l.Target)
			}
		}
		return c, err
	}
}

// marked are the leftovers on what is to be closed or brought to rest, by
// whether their run is known here.
func (x *planner) marked(r *LeftoverReport) (unknown, ended []Leftover) {
	for _, e := range r.Environments {
		for _, l := range e.Leftovers {
			switch {
			case !l.Recoverable() || !x.asked().covers(l.origin):
			case l.Cause == EndedRun:
				ended = append(ended, l)
			default:
				unknown = append(unknown, l)
			}
		}
	}
	return unknown, ended
}

// asked is what the closing is to close and to bring to rest.
func (x *planner) asked() scope {
	var s scope
	for _, p := range x.places {
		s = append(s, catalogued{p.entrance.Cluster, p.entrance.Kind, p.entrance.Name})
	}
	for _, w := range x.works {
		s = append(s, catalogued{w.workload.Cluster, w.workload.Kind, w.workload.Name})
	}
	return s
}
