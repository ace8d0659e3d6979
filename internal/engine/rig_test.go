package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/engine"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
	"github.com/noren-dev/noren/internal/store"
)

// A rig is a state directory, an outside, and an engine between them.
type rig struct {
	t      testing.TB
	dir    string
	fake   *fake
	store  *store.Store
	engine *engine.Engine
	clock  *clock

	mu     sync.Mutex
	moved  *sync.Cond
	points []string
	on     map[string]func() // by point; each is called once
}

// A clock is the real one, moved forward by tests that have no patience.
type clock struct {
	mu  sync.Mutex
	add time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.add)
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add += d
}

func newRig(t testing.TB) *rig {
	t.Helper()
	outside := t.TempDir()
	dir := t.TempDir()
	fresh, err := fresh()
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "noren.db"), fresh, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, dir: dir, fake: &fake{dir: outside}, clock: &clock{}, on: map[string]func(){}}
	r.moved = sync.NewCond(&r.mu)
	s, err := store.Open(t.Context(), r.dir, r.clock.now)
	if err != nil {
		t.Fatal(err)
	}
	r.store = s
	t.Cleanup(func() {
		r.stop()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// fresh is a state file that an engine has opened, so that not every test waits
// for the tables of the checkpoints to be made.
var fresh = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "noren-engine-test")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	s, err := store.Open(context.Background(), dir, time.Now)
	if err != nil {
		return nil, err
	}
	e, err := engine.Open(context.Background(), engine.Options{Store: s, Registry: driver.NewRegistry(), Dir: dir, Now: time.Now})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := errors.Join(e.Close(), s.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, "noren.db"))
})

func (r *rig) start() *rig {
	r.t.Helper()
	var err error
	r.engine, err = engine.Open(r.t.Context(), engine.Options{Store: r.store, Registry: driver.NewRegistry(r.fake.driver()),
		Dir: r.dir, Now: r.clock.now, Hook: r.hook})
	if err != nil {
		r.t.Fatal(err)
	}
	return r
}

func (r *rig) stop() {
	if r.engine == nil {
		return
	}
	if err := r.engine.Close(); err != nil {
		r.t.Error(err)
	}
	r.engine = nil
}

func (r *rig) hook(point string) {
	r.mu.Lock()
	r.points = append(r.points, point)
	f := r.on[point]
	delete(r.on, point)
	r.moved.Broadcast()
	r.mu.Unlock()
	if f != nil {
		f()
	}
}

// at has f called, once, when the engine comes to the point.
func (r *rig) at(point string, f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on[point] = f
}

// reach waits until the engine came to the point the nth time.
func (r *rig) reach(point string, nth int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		n := 0
		for _, p := range r.points {
			if p == point {
				n++
			}
		}
		if n >= nth {
			return
		}
		r.moved.Wait()
	}
}

func (r *rig) create(id string, p *plan.Plan) {
	r.t.Helper()
	if _, err := r.store.Create(r.t.Context(), id, p, "tester@here"); err != nil {
		r.t.Fatal(err)
	}
}

// run creates a run and waits until the engine lets go of it.
func (r *rig) run(id string, p *plan.Plan) *run.Run {
	r.t.Helper()
	r.create(id, p)
	return r.ended(id)
}

func (r *rig) ended(id string) *run.Run {
	r.t.Helper()
	r.reach("left "+id, 1)
	if err := r.engine.Failure(id); err != nil {
		r.t.Fatalf("run %s: %v", id, err)
	}
	return r.read(id)
}

func (r *rig) read(id string) *run.Run {
	r.t.Helper()
	got, err := r.store.Run(context.WithoutCancel(r.t.Context()), id)
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

func (r *rig) send(id string, signals ...run.Signal) {
	r.t.Helper()
	for _, s := range signals {
		if err := r.store.Send(r.t.Context(), id, s, "tester@here"); err != nil {
			r.t.Error(err)
		}
	}
}

// events lists a run's events as "step.done web".
func (r *rig) events(id string) []string {
	r.t.Helper()
	events, err := r.store.Events(r.t.Context(), id, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	var lines []string
	for _, e := range events {
		lines = append(lines, strings.TrimSpace(string(e.Type)+" "+e.Step+string(e.Data.Signal)))
	}
	return lines
}

func (r *rig) count(id, event string) int {
	n := 0
	for _, line := range r.events(id) {
		if line == event {
			n++
		}
	}
	return n
}

// put makes things open, each with a neighbour that nobody may touch.
func (r *rig) put(names ...string) {
	r.t.Helper()
	for _, name := range names {
		open := "open"
		if err := r.fake.write(name, thing{Value: &open, Neighbour: "hers"}); err != nil {
			r.t.Fatal(err)
		}
	}
}

// meddle is another operator's hand on a thing.
func (r *rig) meddle(name, value string) {
	r.t.Helper()
	t, err := r.fake.read(name)
	if err != nil {
		r.t.Error(err)
	}
	t.Value = &value
	if err := r.fake.write(name, t); err != nil {
		r.t.Error(err)
	}
}

func (r *rig) file(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.fake.dir, name), []byte(text), 0o600); err != nil {
		r.t.Error(err)
	}
}

func (r *rig) thing(name string) thing {
	r.t.Helper()
	t, err := r.fake.read(name)
	if err != nil {
		r.t.Fatal(err)
	}
	return t
}

// is checks a thing's value and how it came to it.
func (r *rig) is(name, value string, writes ...string) {
	r.t.Helper()
	t := r.thing(name)
	if got := show(stateOf(t.Value)); got != value {
		r.t.Errorf("%s is %s, want %s", name, got, value)
	}
	if !slices.Equal(t.Writes, writes) {
		r.t.Errorf("%s was written %q, want %q", name, t.Writes, writes)
	}
	if t.Neighbour != "hers" && t.Neighbour != "" {
		r.t.Errorf("%s: the neighbour is now %q", name, t.Neighbour)
	}
}

func (r *rig) locks() map[string]string {
	r.t.Helper()
	locks, err := r.store.Locks(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	held := map[string]string{}
	for _, l := range locks {
		held[l.Target] = l.Run
	}
	return held
}

func (r *rig) effects() []string {
	raw, _ := os.ReadFile(filepath.Join(r.fake.dir, "effects"))
	return strings.Fields(string(raw))
}

func state(value string) action.State {
	if value == "" {
		return action.State{}
	}
	raw, err := json.Marshal(thingState{value})
	if err != nil {
		panic(err)
	}
	return action.State{Version: 1, Fields: raw}
}

func step(id string, kind action.Kind, act, name string, params any) plan.Step {
	raw, err := json.Marshal(params)
	if err != nil {
		panic(err)
	}
	return plan.Step{ID: id, Track: id, Kind: kind, Action: act, Target: "fake:" + name, Title: id, Params: raw}
}

// closes is the change that closes the thing of that name.
func closes(name string) plan.Step { return changes("fake/thing", name, "open", "closed") }

func changes(act, name, from, to string) plan.Step {
	s := step(name, action.KindChange, act, name, map[string]any{"name": name, "to": to})
	s.From, s.To = state(from), state(to)
	return s
}

func asks(name string) plan.Step {
	return step("ask-"+name, action.KindCheck, "fake/ask", name, named{name})
}

func tells(name string) plan.Step {
	return step("tell-"+name, action.KindEffect, "fake/tell", name, named{name})
}

func closing(onFailure plan.OnFailure, stages ...plan.Stage) *plan.Plan {
	return &plan.Plan{Version: plan.Version, Kind: plan.Close, Environment: plan.Environment{Name: "test"}, Zone: "UTC",
		Locks: []string{"fake:door"}, OnFailure: onFailure, Stages: stages}
}

// opening is the plan that takes a closing back.
func (r *rig) opening(id string, onFailure plan.OnFailure, more ...plan.Stage) *plan.Plan {
	r.t.Helper()
	c := r.read(id)
	receipts, err := r.store.Receipts(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	back := plan.Opening(c.Plan, receipts)
	stages := []plan.Stage{{Name: plan.StageOpen, Steps: back.Open}, {Name: plan.StageResume, Steps: back.Resume}}
	return &plan.Plan{Version: plan.Version, Kind: plan.Open, Environment: c.Plan.Environment, Zone: "UTC", Locks: c.Plan.Locks,
		Holder: id, Closing: id, OnFailure: onFailure, Stages: append(stages, more...)}
}

func stage(name plan.StageName, steps ...plan.Step) plan.Stage {
	return plan.Stage{Name: name, Steps: steps}
}
