package rehearsal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient/kubecopy"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/report"
	"github.com/noren-dev/noren/internal/run"
)

// patience is the longest that a step of a rehearsal on a copy waits: there is
// nothing to wait for but this machine.
const patience = 20 * time.Second

// Options are what a rehearsal is made of.
type Options struct {
	Catalog  *catalog.Catalog
	Registry *driver.Registry
	Now      func() time.Time
	Actor    string
	Origin   run.Origin
	// Real is the control of the real state directory. It is asked for earlier
	// runs, to tell how long the real thing should take.
	Real *control.Control
	// Patience, ReadPatience, Reading and Hook are as those of package control.
	Patience, ReadPatience time.Duration
	Reading                func(control.Reading)
	Hook                   func(point string)
	// Say, if not nil, is told what the rehearsal begins to do.
	Say func(text string)
}

// A copied rehearsal is one on a copy.
type copied struct {
	Options
	req     control.CloseRequest
	env     catalog.Environment
	dir     string
	copies  *kubecopy.Server
	front   *frontDoor
	control *control.Control
	leftOut []string

	closing, opening act
	visitors         []visitor
}

// An act is one run of a rehearsal.
type act struct {
	plan   *plan.Plan
	run    *run.Run
	failed error // before there was a run
	// broke is what had been written when the run began to be taken back.
	broke []plan.Step
	// ended is when each step was done or failed, before anything was taken back.
	ended map[string]time.Time
	// writes is how many writes each copy has taken by its end.
	writes []int
}

// ok tells whether the act went through.
func (a act) ok() bool { return a.failed == nil && a.run != nil && a.run.Status == run.Done }

// OnCopy rehearses a closing and its opening on copies of the clusters that it
// would change. It reads those, and writes nothing to them. An error is what
// keeps the rehearsal from beginning; a run that fails is told in the report.
func OnCopy(ctx context.Context, o Options, req control.CloseRequest) (_ *report.Rehearsal, err error) {
	r := &copied{Options: o, req: req}
	if r.env, err = o.Catalog.Environment(req.Environment); err != nil {
		return nil, err
	}
	if err := r.leave(); err != nil {
		return nil, err
	}
	if r.dir, err = os.MkdirTemp("", "noren-rehearsal-"); err != nil {
		return nil, &fault.Fault{Code: fault.Unavailable, Summary: "no place for the rehearsal", Err: err,
			Detail: fmt.Sprintf("The copy and its records need a folder among the temporary files: %v. Nothing was touched.", err), Try: []string{"df -h " + os.TempDir(), "TMPDIR=/var/tmp noren rehearse …"}}
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.dir)) }()
	if r.copies, err = kubecopy.Start(ctx, r.dir, o.Now); err != nil {
		return nil, internalFault("no copy of the cluster", err)
	}
	defer func() { err = errors.Join(err, r.copies.Close()) }()
	if r.control, err = control.Open(ctx, control.Options{Catalog: r.Catalog, Registry: o.Registry, StateDir: filepath.Join(r.dir, "state"), Now: o.Now,
		Actor: o.Actor, Origin: o.Origin, Hook: o.Hook, Patience: cmp.Or(o.Patience, patience), ReadPatience: o.ReadPatience, Reading: o.Reading, Reach: r.reach(nil)}); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.control.Close()) }()
	defer func() {
		if r.front != nil {
			err = errors.Join(err, r.front.close())
		}
	}()
	return r.perform(ctx)
}

// leave leaves out what is reached by no kubeconfig: of that there is no copy.
func (r *copied) leave() error {
	services, err := r.Catalog.Services(r.req.Environment, r.req.Services...)
	if err != nil {
		return err
	}
	other := func(kind string) bool {
		name, _, _ := strings.Cut(kind, "/")
		return !r.Registry.ThroughKubeconfig(name)
	}
	var names []string
	for _, s := range services {
		kept := false
		say := func(kind, name string) {
			if kept = kept || !other(kind); other(kind) {
				r.leftOut = append(r.leftOut, fmt.Sprintf("%s: %s %s, of which no copy can be made", s.Name, kind, name))
			}
		}
		for _, e := range s.Entrances {
			say(e.Kind, e.Name)
		}
		for _, w := range s.Workloads {
			say(w.Kind, w.Name)
		}
		for _, m := range s.Monitors {
			if other(m.Kind) {
				r.leftOut = append(r.leftOut, fmt.Sprintf("%s: %s %s, which rings as ever", s.Name, m.Kind, m.Name))
			}
		}
		if kept {
			names = append(names, s.Name)
		}
	}
	if len(names) == 0 {
		f := &fault.Fault{Code: fault.Invalid, Summary: "nothing to rehearse on a copy",
			Detail: fmt.Sprintf("--copy copies objects of Kubernetes, and none of what was asked for in %s is one: %s.", r.req.Environment, cmp.Or(strings.Join(r.leftOut, "; "), "it has no entrance and no workload"))}
		for _, e := range r.Catalog.Environments {
			if e.Name != r.req.Environment && !e.Protected {
				f.Try = append(f.Try, fmt.Sprintf("noren rehearse --env %s   # closes and opens it for real", e.Name))
			}
		}
		return f
	}
	r.req.Services = names
	r.Catalog = r.Catalog.Without(other)
	return nil
}

// perform closes and opens the copy, and reports.
func (r *copied) perform(ctx context.Context) (*report.Rehearsal, error) {
	r.say("copying what the closing reads in " + r.env.Name)
	doors, err := r.control.Doors(ctx, r.req.Environment, r.req.Services, nil)
	if err != nil {
		return nil, err
	}
	services, err := r.Catalog.Services(r.req.Environment, r.req.Services...)
	if err != nil {
		return nil, err
	}
	if err := r.openFront(ctx, services, doors); err != nil {
		return nil, internalFault("no front door for the rehearsal", err)
	}
	// Nobody is asked in a rehearsal: what fails is taken back.
	r.req.OnFailure, r.req.AutoOpen = plan.Undo, false
	closing, err := r.control.PlanClose(ctx, r.req)
	if err != nil {
		return nil, err
	}
	r.visitors = visitors(services, doors, r.req, r.env.Bypass, closing.Plan.Pass)
	r.say("closing the copy")
	if r.closing, err = r.act(ctx, closing.Plan); err != nil {
		return nil, err
	}
	if r.closing.ok() {
		r.say("opening the copy")
		plans, err := r.control.PlanOpen(ctx, control.OpenRequest{Environment: r.req.Environment, Services: r.req.Services, OnFailure: plan.Undo})
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			r.opening.failed = err
		default:
			if r.opening, err = r.act(ctx, plans[0]); err != nil {
				return nil, err
			}
		}
	}
	return r.report(ctx)
}

func (r *copied) say(text string) {
	if r.Say != nil {
		r.Say(text)
	}
}

// act executes a plan to its end.
func (r *copied) act(ctx context.Context, p *plan.Plan) (act, error) {
	begun, err := r.control.StartConfirmed(ctx, p, run.Confirmation{How: run.Rehearsed})
	if err != nil {
		return act{}, err
	}
	a := act{plan: p}
	a.run, err = r.control.Follow(ctx, begun.ID, func(e run.Event, now *run.Run) {
		a.event(e, now)
	})
	for _, c := range r.copies.Copies() {
		a.writes = append(a.writes, len(c.Writes()))
	}
	return a, err
}

// event takes note of an event of the act's run, with the run after it.
func (a *act) event(e run.Event, now *run.Run) {
	switch e.Type {
	case run.RunUndoing:
		if a.broke == nil {
			a.broke = now.Changed()
		}
	case run.StepDone, run.StepFailed:
		if a.ended == nil {
			a.ended = map[string]time.Time{}
		}
		if _, again := a.ended[e.Step]; !again {
			a.ended[e.Step] = e.At
		}
	}
}

// report tells how it went.
func (r *copied) report(ctx context.Context) (*report.Rehearsal, error) {
	out := &report.Rehearsal{Environment: r.req.Environment, Services: r.req.Services, OnCopy: true, OK: r.closing.ok() && r.opening.ok(),
		LeftOut: orNone(r.leftOut), Made: r.Now(), Different: []report.Difference{}}
	for _, c := range r.copies.Copies() {
		out.Objects += c.Written()
		for _, d := range c.Differences() {
			out.Different = append(out.Different, report.Difference(d))
		}
	}
	w := newWatch(r.visitors)
	untold := r.watch(ctx, w)
	out.Visitors, out.Seen = w.rows, orNone(w.turns)
	if err := tell(ctx, out, r.closing, r.opening, r.Real); err != nil {
		return nil, err
	}
	out.Untold = slices.Concat(untold, untoldByCopy)
	var err error
	if out.Runs, err = r.control.Report(ctx, r.closing.run.ID); err != nil {
		return nil, err
	}
	out.OK = out.OK && len(out.Different) == 0
	out.Outcome = outcome(out, r.closing, r.opening)
	return out, ctx.Err()
}

// untoldByCopy is what no copy can tell.
var untoldByCopy = []string{
	"Whether the cluster takes the writes: permissions (noren check --live asks), admission webhooks and policies, quotas, and the schemas of custom resources.",
	"Whether and when controllers follow: each was played by a stand-in for which all goes well at once.",
	"How long a change takes to reach every node of the front door, and what caches or a CDN before it go on showing.",
	"Whether the application answers: what lies behind the door was taken for well.",
	"What others do meanwhile: nobody else works on a copy.",
}

func outcome(r *report.Rehearsal, closing, opening act) string {
	names := strings.Join(r.Services, ", ")
	switch {
	case r.Failure != nil && r.Failure.Step != "":
		return fmt.Sprintf("The rehearsal of %s %s in %s FAILED at: %s", r.Failure.Doing, names, r.Environment, r.Failure.Step)
	case r.Failure != nil:
		return fmt.Sprintf("The rehearsal of %s %s in %s FAILED: %s", r.Failure.Doing, names, r.Environment, r.Failure.Problem.Summary)
	case len(r.Different) > 0:
		return fmt.Sprintf("Closed and opened a copy of %s in %s, and %d of the %d objects that were written to are NOT as they were before.", names, r.Environment, len(r.Different), r.Objects)
	case r.OnCopy:
		return fmt.Sprintf("Closed a copy of %s in %s in %s and opened it in %s; afterwards all %d objects that were written to were byte for byte as before.",
			names, r.Environment, took(closing.run), took(opening.run), r.Objects)
	default:
		return fmt.Sprintf("Closed %s in %s in %s and opened it in %s.", names, r.Environment, took(closing.run), took(opening.run))
	}
}

func took(r *run.Run) string { return report.Spell(r.Ended.Sub(r.Started)) }

// orNone is never nil, for JSON.
func orNone[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

// watch follows the visitors over the writes of the copies, and returns what it
// could not tell.
func (r *copied) watch(ctx context.Context, w *watch) (untold []string) {
	for _, m := range r.moments() {
		doors, err := r.control.Doors(ctx, r.req.Environment, r.req.Services, r.reach(m.counts))
		if err != nil {
			untold = append(untold, fmt.Sprintf("What visitors see after the write %q: %v", m.write, err))
			continue
		}
		w.look(m.phase, m.at, m.write, doors)
	}
	return slices.Compact(untold)
}
