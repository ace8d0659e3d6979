package control

import (
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
	"github.com/noren-dev/noren/internal/run"
)

// How long monitors are kept quiet. A mute always ends by itself, since noren may
// not be there to take it away; it outlives the planned end, since an opening
// begins there and takes its time. A closing without an end is not trusted for
// more than a night; a keeper prolongs what is late.
const (
	muteGrace = 30 * time.Minute
	muteBound = 12 * time.Hour
	// muteAhead is how long before its end a keeper prolongs a mute, by muteMore.
	muteAhead = 15 * time.Minute
	muteMore  = time.Hour
	// mutePatience is how long to try to reach what mutes: a vendor that refuses
	// requests for a minute is common, one that is down is waited for by nobody.
	mutePatience = 2 * time.Minute
	// prolongPatience bounds how long a keeper reads before it prolongs: nothing
	// else is minded meanwhile.
	prolongPatience = 10 * time.Second
)

// muteEnd is when the mutes of a closing end by themselves: to the whole minute,
// which is as fine as every system can say it.
func muteEnd(now, until time.Time) time.Time {
	if until.IsZero() {
		return wholeMinute(now.Add(muteBound))
	}
	return wholeMinute(until.Add(muteGrace))
}

func wholeMinute(t time.Time) time.Time {
	return t.Add(time.Minute - 1).UTC().Truncate(time.Minute)
}

// A bell is one monitor of one service, as it would be kept quiet.
type bell struct {
	service catalog.Service
	monitor catalog.Monitor
	quiet   *driver.Quiet
}

// mutes reads every monitor, side by side, and asks each driver how it would be
// kept quiet.
func (x *planner) mutes(ctx context.Context, services []catalog.Service) error {
	if x.req.LeaveMonitors {
		return nil
	}
	for _, s := range services {
		for _, m := range s.Monitors {
			x.bells = append(x.bells, &bell{service: s, monitor: m})
		}
	}
	return each(ctx, x.bells, func(ctx context.Context, b *bell) error {
		opened, err := x.session.At(b.monitor.Cluster).Monitor(ctx, b.monitor.Kind, b.monitor.Name, b.monitor.Options.JSON)
		if err != nil {
			return x.located(x.env.Name, b.monitor.Cluster, b.monitor.Options, err)
		}
		name := b.monitor.Kind + " " + b.monitor.Name
		answered := x.asks(x.env.Name, name)
		b.quiet, err = opened.Mute(ctx, driver.Muting{Mark: x.mark, Service: b.service.Name, Until: muteEnd(x.Now(), x.req.Until), Reason: x.req.Reason})
		answered()
		if err != nil {
			return unmutable(b.monitor, unread(name, x.env.Name, err))
		}
		return nil
	})
}

// unmutable places what is wrong with a monitor, and says how to close without it.
func unmutable(m catalog.Monitor, err error) error {
	var f *fault.Fault
	if !errors.As(err, &f) {
		return m.Options.Fault("", err)
	}
	more := *f
	more.Try = append(slices.Clone(f.Try), "--leave-monitors     # closes, and lets monitors ring")
	if f.At == nil && f.Code != fault.Unavailable {
		more.At = &m.At
	}
	return &more
}

// mute adds the steps by which a monitor is kept quiet: before anything of the
// service changes, and taken back when customers are proved to be in again.
func (b *builder) mute(ctx context.Context, m *bell) error {
	at := b.session.At(m.monitor.Cluster)
	b.plan.MutedUntil = muteEnd(b.Now(), b.req.Until)
	for _, call := range m.quiet.Calls {
		if err := b.add(ctx, at, request{plan.StageMute, call, m.service.Name, "", "", mutePatience}); err != nil {
			return err
		}
	}
	name := m.monitor.Kind + " " + m.monitor.Name
	for _, n := range m.quiet.Notes {
		b.plan.AddNote(n, name)
	}
	if mode, _ := b.req.mode(m.service); mode != edge.Closed {
		b.plan.AddNote(driver.Note{Text: "It is kept quiet though a part of " + m.service.Name + " stays open. --leave-monitors lets it ring."}, name)
	}
	s := b.service(m.service)
	s.Monitors = append(s.Monitors, plan.Monitor{Kind: m.monitor.Kind, Name: m.monitor.Name, Cluster: m.monitor.Cluster})
	return nil
}

// settleMuted looks at the mutes that an opening takes away. Nothing about them
// keeps customers out: what cannot be taken away is said loudly at the end.
func settleMuted(ctx context.Context, o *opener, steps []plan.Step) []plan.Step {
	for i := range steps {
		s := &steps[i]
		s.Optional, s.Patience = true, mutePatience
		in, now, err := observed(ctx, o.session.At(s.Cluster), *s)
		if err != nil {
			o.plan.AddNote(driver.Note{Warn: true, Text: fmt.Sprintf("It cannot be read now (%v). The opening goes on; the monitor may stay muted.", err)}, s.Target)
			continue
		}
		switch {
		case now.Equal(s.From):
		case now.IsZero():
			o.plan.AddNote(driver.Note{Text: "Its mute is gone already: it has ended, or someone took it away."}, s.Target)
		case !slices.ContainsFunc(o.written[s.Undoes], now.Equal):
			o.plan.AddNote(driver.Note{Warn: true, Text: "Someone changed the mute since; the opening takes it away all the same."}, s.Target)
		}
		s.From = now
		if in.Describer != nil {
			s.Description = in.Describer.Describe(now, s.To)
		}
	}
	return steps
}

// remute is the steps by which the monitors of a service stay quiet until a
// later moment. They fail no extension: that an alarm may ring is said loudly.
func (x *extender) remute(ctx context.Context, service string, until time.Time) ([]plan.Step, error) {
	var out []plan.Step
	for _, stage := range x.closing.Plan.Stages {
		for _, s := range stage.Steps {
			written := x.written[s.ID]
			if stage.Name != plan.StageMute || s.Service != service || len(written) == 0 {
				continue
			}
			step, err := x.remuted(ctx, s, written[len(written)-1], until)
			if err != nil {
				return nil, err
			}
			if !step.From.Equal(step.To) {
				x.plan.MutedUntil = until
				out = append(out, step)
			}
		}
	}
	return out, nil
}

func (x *extender) remuted(ctx context.Context, s plan.Step, last action.State, until time.Time) (plan.Step, error) {
	in, now, err := observed(ctx, x.session.At(s.Cluster), s)
	switch {
	case in == nil:
		return s, err
	case err != nil:
		x.plan.AddNote(driver.Note{Warn: true, Text: fmt.Sprintf("It cannot be read now (%v). The monitor may ring when its mute ends.", err)}, s.Target)
		now = last
	}
	base := now
	if base.IsZero() { // it has ended, or someone took it away
		base = last
	}
	to, err := in.Prolonger.Prolong(base, until)
	if err != nil {
		return s, err
	}
	step := plan.Renewing(s, now, to)
	step.Optional, step.Patience, step.Title = true, mutePatience, "Keep quiet until the new end: "+s.Target
	if in.Describer != nil {
		step.Description = in.Describer.Describe(now, to)
	}
	return step, nil
}

// mutedUntil is when the mutes of a closed service end by themselves, zero if it
// has none.
func (c *Control) mutedUntil(ctx context.Context, s ClosedService) (time.Time, error) {
	until := s.Closing.Plan.MutedUntil
	ids, err := c.store.On(ctx, s.Closing.ID, plan.Extend)
	if err != nil || until.IsZero() {
		return until, err
	}
	for _, id := range ids {
		r, err := c.store.Run(ctx, id)
		if err != nil {
			return until, err
		}
		about := slices.ContainsFunc(r.Plan.Services, func(p plan.Service) bool { return p.Name == s.Service })
		if about && r.Status == run.Done && !r.Plan.MutedUntil.IsZero() && len(r.NotMuted()) == 0 {
			until = r.Plan.MutedUntil
		}
	}
	return until, nil
}

// mutesEnd tells whether the mutes of a closed service are about to end, or have.
func (s ClosedService) mutesEnd(now time.Time) bool {
	return !s.MutedUntil.IsZero() && now.After(s.MutedUntil.Add(-muteAhead))
}

// PlanProlong compiles the plan that prolongs the mutes of services of one
// closing whose mutes are about to end, or have ended, while it goes on; nil if
// there is none. The end of the closing stays where it is. The catalog is not
// needed for it.
func (c *Control) PlanProlong(ctx context.Context, services []ClosedService) (*plan.Plan, error) {
	var due []ClosedService
	for _, s := range services {
		if held := s.Run.Plan.Kind == plan.Close && s.Run.Status == run.Done; held && s.mutesEnd(c.Now()) {
			due = append(due, s)
		}
	}
	if len(due) == 0 {
		return nil, nil
	}
	closing, receipts, err := c.closingOf(ctx, due[0].Run)
	if err != nil {
		return nil, err
	}
	extensions, _, err := c.extensions(ctx, closing)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, prolongPatience)
	defer cancel()
	mark := plan.ShownMark(due[0].Service, extensions)
	if mark == "" {
		mark = closing.Plan.Mark
	}
	p := &plan.Plan{Version: plan.Version, Kind: plan.Extend, Environment: closing.Plan.Environment, Until: due[0].Until, AutoOpen: closing.Plan.AutoOpen,
		Zone: closing.Plan.Zone, Reason: "it is late: its monitors stay quiet", Mark: mark, Pass: closing.Plan.Pass, Holder: due[0].Run.ID,
		Closing: closing.ID, OnFailure: plan.Undo}
	x := &extender{Control: c, plan: p, session: c.session(p.Environment), closing: closing, written: plan.Written(receipts, extensions...)}
	var muted []plan.Step
	for _, s := range due {
		x.holds(s)
		steps, err := x.remute(ctx, s.Service, wholeMinute(c.Now().Add(muteMore)))
		if err != nil {
			return nil, err
		}
		muted = append(muted, steps...)
	}
	// A run holds the services while it lasts, and a person may want to open just
	// then: none begins that would wait for a system which does not answer.
	if len(p.Notes) > 0 {
		return nil, &fault.Fault{Code: fault.Unavailable, Summary: "monitors cannot be kept quiet for longer", Detail: p.Notes[0].Text + " " + strings.Join(p.Notes[0].Targets, ", ")}
	}
	for i := range muted {
		muted[i].Patience = 0
	}
	if p.Stages = nonEmpty(plan.Stage{Name: plan.StageMute, Steps: muted}); len(p.Stages) == 0 {
		return nil, nil
	}
	return c.hurried(p), nil
}
