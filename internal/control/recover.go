package control

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/store"
)

// A RecoverRequest is what a person asks to be recovered.
type RecoverRequest struct {
	Environment string
	Services    []string // none: all
	Run         string   // "": every run
	Patience    time.Duration
}

// A Recovery is what recover would adopt.
type Recovery struct {
	Environment plan.Environment
	Look        EnvironmentLook
	Runs        []RecoveredRun // newest first
	// Tagged are noren's own by their tag, and all that is left of their closings:
	// they are to be taken away, with nothing to be restored.
	Tagged []Leftover
	// Stuck are leftovers of noren's from which nothing can be restored.
	Stuck []Leftover
	// Behind are services of Runs on whose entrances another run's marks stay.
	Behind []string
}

// A RecoveredRun is a closing as its marks tell of it.
type RecoveredRun struct {
	// ID is under which it is adopted: its own, or, where a run of that name is
	// known here and has ended, a new one.
	ID       string
	Run      string
	Actor    string
	Created  time.Time
	Plan     *plan.Plan
	Receipts []action.Receipt
}

// Unproved are the services of which the marks tell no more than the target:
// they are restored, and nobody looks whether they are open.
func (r RecoveredRun) Unproved() []string {
	var names []string
	for _, s := range r.Plan.Services {
		if slices.ContainsFunc(s.Entrances, func(e plan.Entrance) bool { return e.Kind == "" }) {
			names = append(names, s.Name)
		}
	}
	return names
}

// PlanRecover reads the marks of an environment and rebuilds the closings that
// no current run of this state directory explains. It writes nothing. Where not
// everything could be looked at, Look.Err says so: what was found can be opened,
// and the rest be recovered later. Marks of
// two runs on one entrance are a fault of code Locked, unless one run is named.
func (c *Control) PlanRecover(ctx context.Context, req RecoverRequest) (*Recovery, error) {
	report, err := c.Leftovers(ctx, req.Patience, req.Environment)
	if err != nil {
		return nil, err
	}
	e := report.Environments[0]
	rec := &Recovery{Environment: e.env, Look: e}
	chosen := map[string][]action.Mark{}
	var contended []Leftover
	for _, l := range e.Leftovers {
		switch {
		case l.Cause == Tagged:
			if req.wants(l) {
				rec.Tagged = append(rec.Tagged, l)
			}
		case !l.Recoverable():
			if l.Ours && l.mine {
				rec.Stuck = append(rec.Stuck, l)
			}
		case !req.wants(l):
		case l.Cause == Contended && req.Run == "":
			contended = append(contended, l)
		default:
			chosen[l.Run] = append(chosen[l.Run], l.mark)
			if l.Cause == Contended {
				rec.Behind = append(rec.Behind, l.Service)
			}
		}
	}
	if len(contended) > 0 {
		return nil, contention(contended)
	}
	for _, id := range slices.Sorted(maps.Keys(chosen)) {
		r, err := c.rebuild(ctx, e.env, id, chosen[id])
		if err != nil {
			return nil, err
		}
		rec.Runs = append(rec.Runs, r)
	}
	slices.SortStableFunc(rec.Runs, func(a, b RecoveredRun) int { return b.Created.Compare(a.Created) })
	return rec, c.allFound(ctx, rec, req)
}

func (r RecoverRequest) wants(l Leftover) bool {
	return (r.Run == l.Run || r.Run == "" && l.Cause != OtherCatalog) && (len(r.Services) == 0 || slices.Contains(r.Services, l.Service) || slices.Contains(r.Services, l.Target))
}

func contention(all []Leftover) error {
	f := &fault.Fault{Code: fault.Locked, Summary: "marks of two runs on one entrance", Left: "nothing by this command"}
	said := map[string]bool{}
	slices.SortStableFunc(all, func(a, b Leftover) int { return cmp.Or(b.Since.Compare(a.Since), cmp.Compare(a.Run, b.Run)) })
	for _, l := range all {
		if said[l.Run] {
			continue
		}
		said[l.Run] = true
		f.Detail += fmt.Sprintf("%s %s\n", madeBy(l), l.What)
		for _, try := range l.Try { // what is held here comes first
			if !slices.Contains(f.Try, try) {
				f.Try = append(f.Try, try)
			}
		}
	}
	f.Detail = strings.TrimSuffix(f.Detail, "\n")
	return f
}

// madeBy says whose a leftover is.
func madeBy(l Leftover) string {
	what := l.Target
	if l.Service != "" {
		what = l.Service + " (" + l.Target + ")"
	}
	return fmt.Sprintf("%s in %s was closed by run %s of %s at %s.", what, l.Environment, l.Run, cmp.Or(l.By, "somebody"), l.Since.Local().Format("2006-01-02 15:04:05 MST"))
}

// rebuild makes one run of its marks.
func (c *Control) rebuild(ctx context.Context, env plan.Environment, id string, marks []action.Mark) (RecoveredRun, error) {
	p, receipts, err := plan.Rebuild(env, marks, c.Registry.Pause)
	if err != nil {
		return RecoveredRun{}, err
	}
	r := RecoveredRun{ID: id, Run: id, Plan: p, Receipts: receipts}
	for _, m := range marks {
		if taken := m.Receipt.TakenAt; r.Created.IsZero() || taken.Before(r.Created) {
			r.Created = taken
		}
		r.Actor = cmp.Or(r.Actor, m.Actor)
	}
	if r.Created.IsZero() {
		r.Created = c.Now()
	}
	if slices.ContainsFunc(p.Stages, func(s plan.Stage) bool { return s.Name == plan.StageMute }) {
		p.MutedUntil = muteEnd(r.Created, p.Until)
	}
	l := Leftover{Run: id}
	if err := c.known(ctx, &l); err != nil {
		return r, err
	}
	if l.Cause == EndedRun {
		r.ID = newID(plan.Close, c.Now())
	}
	return r, nil
}

// allFound fails if a service or run that was named is not among what was
// found, nor held by this state directory since it was adopted.
func (c *Control) allFound(ctx context.Context, rec *Recovery, req RecoverRequest) error {
	adopted, err := c.Adopted(ctx, req.Environment, nil)
	if err != nil {
		return err
	}
	names, runs := []string{}, []string{}
	for _, l := range rec.Tagged {
		names = append(names, l.Service, l.Target)
	}
	for _, r := range rec.Runs {
		runs = append(runs, r.Run)
		for _, s := range r.Plan.Services {
			names = append(names, s.Name)
		}
	}
	for _, s := range adopted {
		names, runs = append(names, s.Service), append(runs, closingID(s.Run))
	}
	for _, name := range req.Services {
		if !slices.Contains(names, name) && rec.Look.Err == nil {
			return unmarked("service is not left over", fmt.Sprintf("No mark in %s is of %q%s", req.Environment, name, orNear(name, names)), req.Environment)
		}
	}
	if req.Run != "" && !slices.Contains(runs, req.Run) && rec.Look.Err == nil {
		return unmarked("run left nothing over", fmt.Sprintf("No mark in %s that this state directory does not explain is of run %q%s", req.Environment, req.Run, orNear(req.Run, runs)), req.Environment)
	}
	return nil
}

func unmarked(summary, detail, env string) error {
	return &fault.Fault{Code: fault.NotFound, Summary: summary, Detail: detail, Try: []string{"noren leftovers --env " + env, "noren status"}}
}

func orNear(name string, names []string) string {
	if near := fault.Nearest(name, names); near != "" {
		return fmt.Sprintf(". Did you mean %q?", near)
	}
	return "."
}

// Adopt records the runs in this state directory as if they had been made
// here: from then on status, open and all else know them.
func (c *Control) Adopt(ctx context.Context, rec *Recovery) error {
	for _, r := range rec.Runs {
		c.hook("adopt " + r.ID)
		err := c.store.Adopt(ctx, store.Adoption{ID: r.ID, Plan: r.Plan, Receipts: r.Receipts, Actor: r.Actor, Created: r.Created, By: c.Actor})
		if err != nil {
			return err
		}
		c.hook("adopted " + r.ID)
	}
	return nil
}

func (c *Control) hook(point string) {
	if c.Hook != nil {
		c.Hook(point)
	}
}

// Adopted lists the services in an environment that adopted runs hold: those
// named, or all.
func (c *Control) Adopted(ctx context.Context, env string, names []string) ([]ClosedService, error) {
	closed, err := c.Status(ctx)
	if err != nil {
		return nil, err
	}
	var adopted []ClosedService
	for _, s := range closed {
		if s.Environment != env || len(names) > 0 && !slices.Contains(names, s.Service) {
			continue
		}
		r, err := c.store.Run(ctx, closingID(s.Run))
		if err != nil {
			return nil, err
		}
		if !r.Adopted.IsZero() {
			adopted = append(adopted, s)
		}
	}
	return adopted, nil
}

// FoundElsewhere is what was found, outside, of closings that a person wants to open
// and that no run of this state directory holds.
type FoundElsewhere struct {
	// Fault says by whom and since when they were closed elsewhere, and how to
	// recover them. It is nil if none is.
	Fault *fault.Fault
	// Ended are those whose run is known here and has ended: marks that stayed.
	Ended []Leftover
	// Looked are the environments that were looked at, Err what kept others
	// from it.
	Looked []string
	Err    error
}

// Elsewhere looks whether services (none: any) were closed by runs that this
// state directory does not know: in the environments named, or all of the
// catalog.
func (c *Control) Elsewhere(ctx context.Context, patience time.Duration, services []string, environments ...string) (*FoundElsewhere, error) {
	report, err := c.Leftovers(ctx, patience, environments...)
	if err != nil {
		return nil, err
	}
	found := &FoundElsewhere{Err: report.Err()}
	var unknown []Leftover
	for _, e := range report.Environments {
		if e.Err == nil {
			found.Looked = append(found.Looked, e.Environment)
		}
		for _, l := range e.Leftovers {
			switch {
			case !l.Recoverable() || !l.mine || len(services) > 0 && !slices.Contains(services, l.Service):
			case l.Cause == EndedRun:
				found.Ended = append(found.Ended, l)
			default:
				unknown = append(unknown, l)
			}
		}
	}
	if len(unknown) > 0 {
		found.Fault = elsewhere(unknown)
	}
	return found, nil
}

// elsewhere says who closed what this state directory does not know of.
func elsewhere(closed []Leftover) *fault.Fault {
	f := &fault.Fault{Code: fault.Locked, Summary: "closed by a run that is not known here", Left: "nothing by this command"}
	said := map[string]bool{}
	var lines, try []string
	for _, l := range closed {
		if key := l.Environment + " " + l.Run + " " + l.Service; !said[key] {
			said[key] = true
			lines = append(lines, madeBy(l))
		}
		if cmd := "noren recover --env " + l.Environment; !slices.Contains(try, cmd) {
			try = append(try, cmd)
		}
	}
	f.Detail = strings.Join(lines, "\n") + "\nThe state directory in use here has no such run. Open it where it was closed; if that is lost, or not at work any more, recover it from the marks on the targets."
	try = append(try, "noren leftovers")
	f.Try = try
	return f
}
