package engine_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/engine"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
	"github.com/noren-dev/noren/internal/store"
)

// childEnv makes the test binary play a noren that is killed: "state
// directory, outside, scenario, point", a line each.
const childEnv = "NOREN_ENGINE_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		if err := child(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A scenario is what the killed process, and then the next one, are asked to do.
type scenario struct {
	name   string
	proof  string // the verdict of the proof
	ask    bool   // wait for a person, who then says retry and undo at once
	open   bool   // open after closing
	health string // the verdict after opening
	back   string // the verdict after taking back, "" for ok
	want   map[string]run.Status
	web    []string // what is written to each thing, once
	locks  int
}

func scenarios() []scenario {
	return []scenario{
		{name: "close and open", proof: "ok", open: true, health: "ok", want: map[string]run.Status{"c1": run.Done, "o1": run.Done},
			web: []string{"open to closed", "closed to open"}},
		{name: "close undone", proof: "no", want: map[string]run.Status{"c1": run.Undone},
			web: []string{"open to closed", "closed to open"}},
		{name: "close asks", proof: "no", ask: true, want: map[string]run.Status{"c1": run.Undone},
			web: []string{"open to closed", "closed to open"}},
		{name: "open undone", proof: "ok", open: true, health: "no", want: map[string]run.Status{"c1": run.Done, "o1": run.Undone},
			web: []string{"open to closed", "closed to open", "open to closed"}, locks: 1},
		{name: "close undone, not seen", proof: "no", back: "no", want: map[string]run.Status{"c1": run.Stranded},
			web: []string{"open to closed", "closed to open"}, locks: 1},
	}
}

func (sc scenario) plan() *plan.Plan {
	p := closing(plan.Undo, stage(plan.StageCheck, asks("ready")), stage(plan.StagePause, closes("app")),
		stage(plan.StageClose, closes("web"), changes("fake/slow", "overlay", "", "closed"), tells("page")), stage(plan.StageProve, asks("proof")))
	if sc.ask {
		p.OnFailure = plan.Ask
	}
	p.Return = []plan.Step{asks("gone")}
	return p
}

func child() error {
	var dir, outside string
	var which, at int
	if _, err := fmt.Sscan(os.Getenv(childEnv), &dir, &outside, &which, &at); err != nil {
		return err
	}
	sc := scenarios()[which]
	var points atomic.Int64
	_, err := execute(context.Background(), sc, dir, outside, func(string) {
		if int(points.Add(1)) == at {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // nothing more happens while the signal is on its way
		}
	})
	if err == nil {
		fmt.Print(points.Load())
	}
	return err
}

// execute does what a noren does that is asked the same again: it creates the
// runs that are not there and follows them to their end. It returns how long
// the engine took to end what it found unfinished.
func execute(ctx context.Context, sc scenario, dir, outside string, hook func(string)) (time.Duration, error) {
	s, err := store.Open(ctx, dir, time.Now)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	f, c := &fake{dir: outside}, &clock{}
	var mu sync.Mutex
	moved := sync.NewCond(&mu)
	e, err := engine.Open(ctx, engine.Options{Store: s, Registry: driver.NewRegistry(f.driver()), Dir: dir, Now: c.now, Hook: func(point string) {
		if point == "step.waiting ask-gone" {
			c.pass(time.Hour) // the floor of its patience
		}
		if sc.ask && point == "run.waiting " {
			person(ctx, s)
		}
		hook(point)
		mu.Lock()
		defer mu.Unlock()
		moved.Broadcast()
	}})
	if err != nil {
		return 0, err
	}
	began := time.Now()
	follow := func(id string, p func() (*plan.Plan, error)) error {
		if _, err := s.Run(ctx, id); errors.Is(err, &fault.Fault{Code: fault.NotFound}) {
			p, err := p()
			if err != nil {
				return err
			}
			if _, err := s.Create(ctx, id, p, "tester@here"); err != nil {
				return err
			}
		}
		mu.Lock()
		defer mu.Unlock()
		for {
			r, err := s.Run(ctx, id)
			if err != nil || r.Status.Ended() {
				return err
			}
			if err := e.Failure(id); err != nil {
				return err
			}
			moved.Wait()
		}
	}
	err = follow("c1", func() (*plan.Plan, error) { return sc.plan(), nil })
	if err == nil && sc.open {
		err = follow("o1", func() (*plan.Plan, error) {
			receipts, err := s.Receipts(ctx, "c1")
			back := plan.Opening(sc.plan(), receipts)
			return &plan.Plan{Version: plan.Version, Kind: plan.Open, Locks: []string{"fake:door"}, Holder: "c1", Closing: "c1", OnFailure: plan.Undo, Stages: []plan.Stage{
				stage(plan.StageOpen, back.Open...), stage(plan.StageResume, back.Resume...), stage(plan.StageSettle, tells("sync")), stage(plan.StageProve, asks("health"))},
				Return: []plan.Step{asks("again")}}, err
		})
	}
	took := time.Since(began)
	return took, errors.Join(err, e.Close())
}

// person says retry, and undo without waiting, once.
func person(ctx context.Context, s *store.Store) {
	if r, err := s.Run(ctx, "c1"); err != nil || r.Ending != "" {
		return
	}
	if waits, err := s.Next(ctx, "c1"); err != nil || waits != nil {
		return
	}
	for _, sig := range []run.Signal{run.SignalRetry, run.SignalUndo} {
		_ = s.Send(ctx, "c1", sig, "tester@here")
	}
}

// TestKillAtEveryPoint kills a noren at each recorded point of its runs, one
// after another, and has the next one carry on.
func TestKillAtEveryPoint(t *testing.T) {
	t.Parallel()
	for i, sc := range scenarios() {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			points, killed := kill(t, i, 0)
			if killed || points < 20 {
				t.Fatalf("without a kill: %d points, killed %v", points, killed)
			}
			var slowest atomic.Int64
			t.Cleanup(func() {
				t.Logf("%d points; slowest recovery %s", points, time.Duration(slowest.Load()))
			})
			every := 1
			if testing.Short() {
				every = 7
			}
			for at := 1; at <= points+1; at += every {
				t.Run(strconv.Itoa(at), func(t *testing.T) {
					t.Parallel()
					_, killed := kill(t, i, at, func(took time.Duration) {
						for old := slowest.Load(); int64(took) > old && !slowest.CompareAndSwap(old, int64(took)); old = slowest.Load() {
						}
					})
					if !killed && at < points-2 {
						t.Errorf("not killed")
					}
				})
			}
		})
	}
}

// kill runs a child to its death at a point, or to its end if it never comes to
// it, and then carries on and compares the outside with what it should be.
func kill(t *testing.T, which, at int, measure ...func(time.Duration)) (points int, killed bool) {
	t.Helper()
	sc := scenarios()[which]
	r := newRig(t)
	r.put("web", "app")
	r.file("proof.verdict", sc.proof)
	r.file("health.verdict", sc.health)
	r.file("gone.verdict", cmp.Or(sc.back, "ok"))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+fmt.Sprintln(r.dir, r.fake.dir, which, at))
	out, err := cmd.Output()
	var exit *exec.ExitError
	switch {
	case err == nil:
		if points, err = strconv.Atoi(string(out)); err != nil {
			t.Fatalf("child said %q", out)
		}
	case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL:
		killed = true
	default:
		t.Fatalf("child: %v\n%s", err, exit.Stderr)
	}
	took, err := execute(t.Context(), sc, r.dir, r.fake.dir, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range measure {
		f(took)
	}
	sc.verify(t, r)
	return points, killed
}

func (sc scenario) verify(t *testing.T, r *rig) {
	t.Helper()
	for id, want := range sc.want {
		got := r.read(id)
		wantStatus(t, got, want)
		if want == run.Stranded && (got.Problem == nil || !strings.Contains(got.Problem.Left, "everything was written back, but")) {
			t.Errorf("problem %+v", got.Problem)
		}
		if seen := r.count(id, "step.done ask-gone") + r.count(id, "step.done ask-again"); (seen > 0) != (want == run.Undone) {
			t.Errorf("run %s is %s, and the return was seen %d times", id, want, seen)
		}
		if want == run.Undone && (got.Problem == nil || got.Problem.Left != "nothing: every change of this run was taken back") {
			t.Errorf("problem %+v", got.Problem)
		}
	}
	last := map[bool]string{true: "open", false: "closed"}[len(sc.web)%2 == 0]
	r.is("web", last, sc.web...)
	r.is("app", last, sc.web...)
	if got, want := show(stateOf(r.thing("overlay").Value)), map[string]string{"open": "nothing", "closed": "closed"}[last]; got != want {
		t.Errorf("overlay is %s, want %s", got, want)
	}
	if n := len(r.thing("overlay").Writes); n != len(sc.web) {
		t.Errorf("overlay was written %q", r.thing("overlay").Writes)
	}
	for _, name := range []string{"web", "app", "overlay"} {
		if n := len(r.thing(name).Marks); n != len(sc.web)%2 {
			t.Errorf("%s carries %d marks", name, n)
		}
	}
	times := map[string]int{}
	for _, key := range r.effects() {
		times[key]++
	}
	if n := times["c1/tell-page"]; n < 1 || n > 2 {
		t.Errorf("the page was told %d times", n)
	}
	if n := times["o1/tell-sync"]; sc.open != (n > 0) || n > 2 {
		t.Errorf("the sync was told %d times", n)
	}
	if len(r.locks()) != sc.locks {
		t.Errorf("locks: %v", r.locks())
	}
	for event, want := range map[string]int{"signal.received retry": 1, "signal.received undo": 1} {
		if !sc.ask {
			want = 0
		}
		if n := r.count("c1", event); n != want {
			t.Errorf("%d × %s, want %d", n, event, want)
		}
	}
	for id := range sc.want {
		if n := r.count(id, "run.ended"); n != 1 {
			t.Errorf("run %s ended %d times", id, n)
		}
	}
	if err := r.store.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}
