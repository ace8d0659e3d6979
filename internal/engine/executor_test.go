package engine_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/engine"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
	"github.com/noren-dev/noren/internal/store"
)

func TestOneExecutor(t *testing.T) {
	t.Parallel()
	r := newRig(t).start()
	second := engine.Options{Store: r.store, Registry: driver.NewRegistry(r.fake.driver()), Dir: r.dir, Now: time.Now}
	if _, err := engine.Open(t.Context(), second); !errors.Is(err, engine.ErrBusy) {
		t.Fatalf("second engine: %v, want ErrBusy", err)
	}
	r.stop()
	e, err := engine.Open(t.Context(), second)
	if err != nil {
		t.Fatalf("after the first is closed: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

// Another process has the file open by itself and only creates the run.
func TestPumpPicksUpOthersRuns(t *testing.T) {
	t.Parallel()
	r := newRig(t).start()
	r.put("web")
	other, err := store.Open(t.Context(), r.dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Create(t.Context(), "c1", closing(plan.Undo, stage(plan.StageClose, closes("web"))), "colleague@there"); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, r.ended("c1"), run.Done)

	_, err = other.Create(t.Context(), "c2", closing(plan.Undo), "second@there")
	var f *fault.Fault
	if !errors.As(err, &f) || f.Code != fault.Locked {
		t.Fatalf("second closing: %v", err)
	}
	created := r.read("c1").Created.Local().Format("2006-01-02 15:04")
	for _, want := range []string{"fake:door", "c1", "colleague@there", created} {
		if !strings.Contains(f.Detail, want) {
			t.Errorf("%q does not say %q", f.Detail, want)
		}
	}
	if !slices.Contains(f.Try, "noren watch c1") {
		t.Errorf("try %q does not say how to watch", f.Try)
	}
}

// Closing the engine leaves the run as a crash would, and nothing is written
// after the lock is free.
func TestCloseLeavesRunsToTheNext(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.put("web", "api")
	hold := true
	r.fake.before = func(ctx context.Context, call string) error {
		if call == "apply api closed" && hold {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}
	p := closing(plan.Undo, stage(plan.StagePause, closes("web")), stage(plan.StageClose, closes("api")))
	r.start().create("c1", p)
	r.reach("apply api", 1)
	r.stop()
	got := r.read("c1")
	if got.Status != run.Running || got.Steps["api"].Status != run.StepIsRunning {
		t.Errorf("left as %s, api %s, want both running", got.Status, got.Steps["api"].Status)
	}
	hold = false
	r.reach("left c1", 1)
	r.start().reach("left c1", 2)
	wantStatus(t, r.ended("c1"), run.Done)
	r.is("web", "closed", "open to closed")
	r.is("api", "closed", "open to closed")
	if n := r.count("c1", "step.started web"); n != 1 {
		t.Errorf("web was begun %d times: the checkpoints were not used", n)
	}
}

// A workflow that ended in an engine error is begun anew. Going forward it
// finds its work done; a run that was being taken back goes on being so.
func TestEngineErrorThenNextAttempt(t *testing.T) {
	t.Parallel()
	full := func(r *rig) { // no event can be written any more, checkpoints can
		if err := r.exec(`CREATE TRIGGER full BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'disk full'); END`); err != nil {
			r.t.Error(err)
		}
	}
	tests := []struct {
		point  string
		fails  bool
		status run.Status
		left   []string // alternatives: steps run side by side
		web    []string
	}{
		{point: "applied web", status: run.Done, left: []string{"fake:app, fake:web, fake:api", "fake:app, fake:web"}, web: []string{"open to closed"}},
		{point: "undid web", fails: true, status: run.Undone, left: []string{"fake:app, fake:web, fake:api", "fake:app, fake:web"}, web: []string{"open to closed", "closed to open"}},
		{point: "end", status: run.Done, left: []string{"fake:app, fake:web, fake:api"}, web: []string{"open to closed"}},
	}
	for _, tt := range tests {
		t.Run(tt.point, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.put("web", "api", "app")
			if tt.fails {
				r.file("proof.verdict", "no")
			}
			r.at(tt.point, func() { full(r) })
			r.start().create("c1", closing(plan.Undo, stage(plan.StagePause, closes("app")),
				stage(plan.StageClose, closes("web"), closes("api")), stage(plan.StageProve, asks("proof"))))
			r.reach("left c1", 1)
			err := r.engine.Failure("c1")
			var f *fault.Fault
			if !errors.As(err, &f) || !slices.Contains(tt.left, f.Left) || len(f.Try) == 0 {
				t.Errorf("failure %#v, want what is changed now, one of %q", f, tt.left)
			}
			r.stop()
			if err := r.exec(`DROP TRIGGER full`); err != nil {
				t.Fatal(err)
			}
			r.file("proof.verdict", "ok") // it would end done if it went forward
			r.start().reach("left c1", 2)
			wantStatus(t, r.ended("c1"), tt.status)
			r.is("web", r.web(tt.status), tt.web...)
			r.is("app", r.web(tt.status), tt.web...)
			if err := r.store.Verify(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func (r *rig) web(s run.Status) string {
	return map[run.Status]string{run.Done: "closed", run.Undone: "open"}[s]
}

func (r *rig) exec(query string) error {
	db := r.store.OpenCheckpoints()
	_, err := db.Exec(query)
	return errors.Join(err, db.Close())
}

func TestPlanOfANewerNoren(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.put("web")
	p := closing(plan.Undo, stage(plan.StageClose, closes("web")))
	p.Version = plan.Version + 1
	r.start().create("c1", p)
	r.reach("left c1", 1)
	if err := r.engine.Failure("c1"); !errors.Is(err, &fault.Fault{Code: fault.Invalid}) {
		t.Errorf("failure %v", err)
	}
	r.is("web", "open")
}

func TestManyAtOnceAreBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var mu sync.Mutex
	now, most := 0, 0
	r.fake.before = func(_ context.Context, call string) error {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case strings.HasPrefix(call, "apply "):
			now++
			most = max(most, now)
		case strings.HasPrefix(call, "answer "):
			now--
		}
		return nil
	}
	var steps []plan.Step
	want := map[string]string{}
	for i := range 60 {
		s := closes(fmt.Sprintf("t%d", i))
		r.put(s.ID)
		want[s.ID] = "closed"
		steps = append(steps, s)
	}
	wantStatus(t, r.start().run("c1", closing(plan.Undo, stage(plan.StageClose, steps...))), run.Done)
	got := map[string]string{}
	for _, s := range steps {
		got[s.ID] = show(stateOf(r.thing(s.ID).Value))
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if most > 16 {
		t.Errorf("%d calls at a time", most)
	}
}

// A connection that failed is made anew when a person says retry.
func TestRetryReconnects(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.put("web")
	bad := &fake{dir: r.fake.dir}
	other := driver.New("other", "Refuses at first.", func(context.Context, struct{}, driver.Env) (*fake, error) { return bad, bad.dials() },
		driver.Checks("other/ask", "Reads a verdict.", func(f *fake, p named) (*ask, error) { return &ask{f, p.Name}, nil }))
	dials := 0
	bad.dials = func() error {
		if dials++; dials == 1 {
			return errors.New("connection refused")
		}
		return nil
	}
	var err error
	r.engine, err = engine.Open(t.Context(), engine.Options{Store: r.store, Registry: driver.NewRegistry(r.fake.driver(), other), Dir: r.dir, Now: r.clock.now, Hook: r.hook})
	if err != nil {
		t.Fatal(err)
	}
	r.create("c1", closing(plan.Ask, stage(plan.StageClose, closes("web")), stage(plan.StageProve, step("seen", action.KindCheck, "other/ask", "proof", named{"proof"}))))
	r.reach("run.waiting ", 1)
	r.send("c1", run.SignalRetry)
	wantStatus(t, r.ended("c1"), run.Done)
}
