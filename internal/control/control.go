// Package control is what a person can ask of noren: plan, close, open, watch,
// signal, status, who sees what. Every face (command line, web, API) goes
// through it, and nothing below it knows that there are faces.
package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/engine"
	"github.com/noren-dev/noren/internal/herald"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
	"github.com/noren-dev/noren/internal/store"
)

// Options are what a Control is made of.
type Options struct {
	Catalog  *catalog.Catalog // nil where the request needs none (status, watch)
	Registry *driver.Registry
	StateDir string
	Now      func() time.Time
	Actor    string // "user@host"
	// Origin is where what is asked for comes from, for the audit record.
	Origin run.Origin
	// Hook is passed to the engine; tests kill the process there.
	Hook func(point string)
	// Patience, if not zero, is the longest that any step of a new plan waits;
	// tests shorten it.
	Patience time.Duration
	// Reading, if not nil, is told what is being read outside before a run,
	// whenever that changes, one call at a time. It must not block.
	Reading func(Reading)
	// Reach, if not nil, says where the systems of an environment are reached
	// instead: a rehearsal puts copies in their place. Plans keep what it says.
	Reach Reach
	// ReadPatience, if not zero, bounds all that is read before a run; tests
	// shorten it.
	ReadPatience time.Duration
	// HeardPatience, if not zero, is how long channels have at the end of a run;
	// tests shorten it.
	HeardPatience time.Duration
	// Quiet plans runs of which nobody hears: rehearsals.
	Quiet bool
}

// A Control answers requests on one catalog and one state directory.
type Control struct {
	Options
	store   *store.Store
	engine  *engine.Engine // nil while another process executes
	reading reading
	herald  *herald.Herald
}

// Open opens the state directory. It starts nothing: the engine comes with the
// first run.
func Open(ctx context.Context, o Options) (*Control, error) {
	s, err := store.Open(ctx, o.StateDir, o.Now)
	if err != nil {
		return nil, err
	}
	s.From(o.Origin)
	c := &Control{Options: o, store: s}
	c.herald = c.newHerald()
	return c, nil
}

// Close lets go of the state directory. A run still under way is carried on by
// the next noren that executes.
func (c *Control) Close() error {
	var err error
	c.herald.Stop()
	if c.engine != nil {
		err = c.engine.Close()
	}
	return errors.Join(err, c.store.Close())
}

// Start records a plan as a run and begins it. The error of an entrance held
// by another run has code Locked.
func (c *Control) Start(ctx context.Context, p *plan.Plan) (*run.Run, error) {
	return c.StartConfirmed(ctx, p, run.Confirmation{How: run.NotAsked})
}

// StartConfirmed is Start with how the person said yes, for the audit record.
func (c *Control) StartConfirmed(ctx context.Context, p *plan.Plan, said run.Confirmation) (*run.Run, error) {
	said.Protected, said.By = p.Environment.Protected, c.Origin.Who()
	told := run.Data{Confirmed: &said, Identities: c.session(p.Environment).Identities(ctx)}
	return c.store.CreateTelling(ctx, newID(p.Kind, c.Now()), p, c.Actor, told)
}

// followEvery is how often a follower looks for new events. Events come from
// any process, so that the file is where all look.
const followEvery = 50 * time.Millisecond

// Follow reports what happens to a run until it ends or ctx is done. When no
// process executes runs, this one does. tell is called for every event, the
// past ones first, with the run as it is after it.
func (c *Control) Follow(ctx context.Context, id string, tell func(run.Event, *run.Run)) (*run.Run, error) {
	if err := c.Tell(ctx, id); err != nil {
		return nil, err
	}
	return c.follow(ctx, id, tell, c.execute)
}

// Observe is Follow without ever becoming the one that executes.
func (c *Control) Observe(ctx context.Context, id string, tell func(run.Event, *run.Run)) (*run.Run, error) {
	return c.follow(ctx, id, tell, func(context.Context, string) error { return nil })
}

func (c *Control) follow(ctx context.Context, id string, tell func(run.Event, *run.Run), execute func(context.Context, string) error) (*run.Run, error) {
	past, err := c.store.Run(ctx, id)
	if err != nil {
		return nil, err
	}
	r := run.New(id, past.Plan, past.Digest, past.Actor, past.Created)
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		events, err := c.store.Events(ctx, id, r.Last)
		if err != nil {
			return r, err
		}
		for _, e := range events {
			r.Fold(e)
			tell(e, r)
		}
		if r.Status.Ended() {
			return r, nil
		}
		if err := execute(ctx, id); err != nil {
			return r, err
		}
		select {
		case <-ctx.Done():
			return r, ctx.Err()
		case <-tick.C:
		}
	}
}

// execute makes sure that some process executes runs, this one if need be, and
// returns the error that keeps this one from going on.
func (c *Control) execute(ctx context.Context, id string) error {
	if c.engine != nil {
		return c.engine.Failure(id)
	}
	e, err := engine.Open(ctx, engine.Options{Store: c.store, Registry: c.Registry, Dir: c.StateDir, Now: c.Now, Hook: c.Hook})
	if errors.Is(err, engine.ErrBusy) {
		return nil
	}
	if err != nil {
		return err
	}
	c.engine = e
	return nil
}

// Executing tells whether this process executes runs; if not, another does.
func (c *Control) Executing() bool { return c.engine != nil }

// Signal tells a run what a person wants. It is kept until the run takes it.
func (c *Control) Signal(ctx context.Context, id string, s run.Signal) error {
	return c.store.Send(ctx, id, s, c.Actor)
}

// Run reads a run.
func (c *Control) Run(ctx context.Context, id string) (*run.Run, error) { return c.store.Run(ctx, id) }

// Unfinished lists the runs that have not ended, oldest first.
func (c *Control) Unfinished(ctx context.Context) ([]*run.Run, error) {
	ids, err := c.store.Unfinished(ctx)
	if err != nil {
		return nil, err
	}
	return c.runs(ctx, ids)
}

// Closing returns the run that the same request began before: one that has not
// ended, which the same command typed again carries on, or one of this actor
// that is done and still holds exactly these services. Without either, nil.
func (c *Control) Closing(ctx context.Context, env string, services []string) (*run.Run, error) {
	if len(services) == 0 {
		services = c.Catalog.ServiceNames(env)
	}
	runs, err := c.Unfinished(ctx)
	if err != nil {
		return nil, err
	}
	closed, err := c.Status(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range closed {
		// An adopted one may have closed only a part when its noren died.
		if s.Run.Status == run.Done && s.Run.Actor == c.Actor && s.Run.Adopted.IsZero() {
			runs = append(runs, s.Run)
		}
	}
	for _, r := range runs {
		if r.Plan.Kind == plan.Close && r.Plan.Environment.Name == env && sameServices(r.Plan, services) {
			return r, nil
		}
	}
	return nil, nil
}

// Openings lists the openings in an environment ("": any) that have not ended.
func (c *Control) Openings(ctx context.Context, env string) ([]*run.Run, error) {
	runs, err := c.Unfinished(ctx)
	return slices.DeleteFunc(runs, func(r *run.Run) bool {
		return r.Plan.Kind != plan.Open || (env != "" && r.Plan.Environment.Name != env)
	}), err
}

func sameServices(p *plan.Plan, names []string) bool {
	var have []string
	for _, s := range p.Services {
		have = append(have, s.Name)
	}
	slices.Sort(have)
	return slices.Equal(have, slices.Compact(slices.Sorted(slices.Values(names))))
}

// Runs lists the newest runs.
func (c *Control) Runs(ctx context.Context, limit int) ([]*run.Run, error) {
	ids, err := c.store.RunIDs(ctx, limit)
	if err != nil {
		return nil, err
	}
	return c.runs(ctx, ids)
}

func (c *Control) runs(ctx context.Context, ids []string) ([]*run.Run, error) {
	var all []*run.Run
	for _, id := range ids {
		r, err := c.store.Run(ctx, id)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// A ClosedService is a service of which a run holds entrances.
type ClosedService struct {
	Environment string
	Service     string
	Team        string
	Entrances   []plan.Entrance
	Workloads   []plan.Workload
	// Monitors are kept quiet, until MutedUntil at the latest.
	Monitors   []plan.Monitor
	MutedUntil time.Time
	Run        *run.Run // that holds it
	Closing    *run.Run // that closed it
	Since      time.Time
	Until      time.Time
	Reason     string
	Overdue    time.Duration // zero if not late, or if no end was given
	AutoOpen   bool          // a keeper may open it at the end
	// Extension gave it its end, nil if the closing did. Trouble is an
	// extension after it that ended neither done nor undone.
	Extension *run.Extension
	Trouble   *run.Run
	// Keeper minds it, nil if nobody does.
	Keeper *Keeper
	Extent string // how much of it is closed: plan.All, "read-only", "only /checkout/*"
	// Missing is how many of its changes carried no mark when its closing was
	// adopted: it is closed half-way.
	Missing int
}

// Status lists what is closed, or half way, by environment and service.
func (c *Control) Status(ctx context.Context) ([]ClosedService, error) {
	locks, err := c.store.Locks(ctx)
	if err != nil {
		return nil, err
	}
	keeper, err := c.Keeper(ctx)
	if err != nil {
		return nil, err
	}
	runs := map[string]*run.Run{}
	held := map[string]string{}
	for _, l := range locks {
		held[l.Target] = l.Run
		if runs[l.Run] == nil {
			if runs[l.Run], err = c.store.Run(ctx, l.Run); err != nil {
				return nil, err
			}
		}
	}
	var closed []ClosedService
	seen := map[string]bool{}
	for _, l := range locks {
		if seen[l.Run] {
			continue
		}
		seen[l.Run] = true
		since := runs[l.Run]
		if opens := since.Plan.Closing; opens != "" {
			if since, err = c.store.Run(ctx, opens); err != nil {
				return nil, err
			}
		}
		mine := c.closedBy(runs[l.Run], since, held)
		if err := c.troubles(ctx, since, mine); err != nil {
			return nil, err
		}
		for i := range mine {
			mine[i].Keeper = keeper
			if mine[i].MutedUntil, err = c.mutedUntil(ctx, mine[i]); err != nil {
				return nil, err
			}
		}
		closed = append(closed, mine...)
	}
	return closed, nil
}

// troubles finds the last extension of each service, and keeps one that left
// something half done.
func (c *Control) troubles(ctx context.Context, closing *run.Run, closed []ClosedService) error {
	ids, err := c.store.On(ctx, closing.ID, plan.Extend)
	if err != nil {
		return err
	}
	for _, id := range ids {
		r, err := c.store.Run(ctx, id)
		if err != nil {
			return err
		}
		if r.Status == run.Undone {
			continue // it left what it found
		}
		for i, s := range closed {
			if !slices.ContainsFunc(r.Plan.Services, func(p plan.Service) bool { return p.Name == s.Service }) {
				continue
			}
			closed[i].Trouble = nil
			if r.Status == run.Stopped || r.Status == run.Stranded {
				closed[i].Trouble = r
			}
		}
	}
	return nil
}

// closedBy lists what a run holds. The closing, which an opening has taken it
// over from, says since when and until when.
func (c *Control) closedBy(r, closing *run.Run, held map[string]string) []ClosedService {
	var closed []ClosedService
	for _, s := range r.Plan.Services {
		var mine []plan.Entrance
		for _, e := range s.Entrances {
			if held[e.Target] == r.ID {
				mine = append(mine, e)
			}
		}
		resting := slices.DeleteFunc(slices.Clone(s.Workloads), func(w plan.Workload) bool { return held[w.Target] != r.ID })
		if len(mine)+len(resting) == 0 {
			continue
		}
		cs := ClosedService{Environment: r.Plan.Environment.Name, Service: s.Name, Team: s.Team, Entrances: mine, Workloads: resting, Monitors: s.Monitors,
			Run: r, Closing: closing, Since: closing.Created, Until: closing.UntilOf(s.Name), Extension: closing.LastExtension(s.Name),
			AutoOpen: closing.Plan.AutoOpen, Reason: closing.Plan.Reason, Extent: s.Extent(), Missing: s.Missing}
		if now := c.Now(); !cs.Until.IsZero() && now.After(cs.Until) {
			cs.Overdue = now.Sub(cs.Until).Round(time.Second)
		}
		closed = append(closed, cs)
	}
	return closed
}

// finished says who hears of a plan's run, and bounds the patience of every step.
func (c *Control) finished(p *plan.Plan) *plan.Plan {
	if !c.Quiet {
		p.Ears = c.Registry.Ears(p.Environment.Drivers)
	}
	return c.hurried(p)
}

// hurried bounds the patience of every step. By itself it is for a run of which
// people need not hear.
func (c *Control) hurried(p *plan.Plan) *plan.Plan {
	hurry := func(steps []plan.Step) {
		for i := range steps {
			if s := &steps[i]; c.Patience > 0 {
				s.Patience = min(s.Patience, c.Patience)
			}
		}
	}
	for _, stage := range p.Stages {
		hurry(stage.Steps)
	}
	hurry(p.Return)
	return p
}

// session connects to an environment to read it before a run.
func (c *Control) session(env plan.Environment) *driver.Session {
	return c.Registry.OpenClusters(driver.Env{Name: env.Name, Now: c.Now, CallPatience: c.callPatience()}, env.Drivers, env.Clusters)
}

// newID names a run so that a person can say it aloud: the kind, the day, and
// four letters without look-alikes.
func newID(k plan.Kind, now time.Time) string {
	return fmt.Sprintf("%s-%s-%s", k, now.Format("0102"), token(4))
}
