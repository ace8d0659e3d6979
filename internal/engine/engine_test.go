package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

func wantStatus(t *testing.T, r *run.Run, want run.Status) {
	t.Helper()
	if r.Status != want {
		t.Errorf("run %s is %s (%+v), want %s", r.ID, r.Status, r.Problem, want)
	}
}

func TestCloseThenOpen(t *testing.T) {
	t.Parallel()
	r := newRig(t).start()
	r.put("web", "api", "app")
	overlay := changes("fake/slow", "overlay", "", "closed")
	got := r.run("c1", closing(plan.Undo, stage(plan.StageCheck, asks("web")), stage(plan.StagePause, closes("app")),
		stage(plan.StageClose, closes("web"), closes("api"), overlay, tells("page")), stage(plan.StageProve, asks("proof"))))
	wantStatus(t, got, run.Done)
	for _, name := range []string{"web", "api", "app"} {
		r.is(name, "closed", "open to closed")
		want := action.Mark{Actor: "tester@here", Params: mustStep(t, got.Plan, name).Params}
		mark := r.thing(name).Marks["c1/"+name]
		if mark.Actor != want.Actor || string(mark.Params) != string(want.Params) || mark.Receipt.Run != "c1" {
			t.Errorf("mark of %s: %+v", name, mark)
		}
	}
	r.is("overlay", "closed", "nothing to closed")
	if got := r.locks(); got["fake:door"] != "c1" {
		t.Errorf("locks %v, want the closing to hold its door", got)
	}
	if got := r.effects(); !slices.Equal(got, []string{"c1/tell-page"}) {
		t.Errorf("effects %q", got)
	}

	got = r.run("o1", r.opening("c1", plan.Undo))
	wantStatus(t, got, run.Done)
	for _, name := range []string{"web", "api", "app"} {
		r.is(name, "open", "open to closed", "closed to open")
	}
	r.is("overlay", "nothing", "nothing to closed", "closed to nothing")
	for _, name := range []string{"web", "overlay"} {
		if marks := r.thing(name).Marks; len(marks) > 0 {
			t.Errorf("%s still carries marks: %v", name, marks)
		}
	}
	if got := r.locks(); len(got) > 0 {
		t.Errorf("locks left: %v", got)
	}
	if err := r.store.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

func mustStep(t *testing.T, p *plan.Plan, id string) plan.Step {
	t.Helper()
	s, ok := p.Step(id)
	if !ok {
		t.Fatalf("no step %s", id)
	}
	return s
}

func TestEndsUndone(t *testing.T) {
	t.Parallel()
	full := func() *plan.Plan {
		return closing(plan.Undo, stage(plan.StageCheck, asks("web")), stage(plan.StagePause, closes("app")),
			stage(plan.StageClose, closes("web"), closes("api")), stage(plan.StageProve, asks("proof")))
	}
	tests := []struct {
		name    string
		arrange func(*rig)
		plan    func(*plan.Plan)
		code    fault.Code
		detail  string
		left    string
		written bool
	}{
		{name: "a check fails", arrange: func(r *rig) { r.file("web.verdict", "not well") },
			code: fault.CheckFailed, detail: "fake:web: not well", left: "nothing: this run wrote nothing"},
		{name: "a check fails and a person was to be asked", arrange: func(r *rig) { r.file("web.verdict", "not well") },
			plan: func(p *plan.Plan) { p.OnFailure = plan.Ask },
			code: fault.CheckFailed, detail: "fake:web: not well", left: "nothing: this run wrote nothing"},
		{name: "drift before anything", arrange: func(r *rig) { r.meddle("api", "hers") },
			code: fault.Drift, detail: "fake:api in test is not in the state", left: "nothing: this run wrote nothing"},
		{name: "the outside cannot be read", arrange: func(r *rig) {
			r.fake.before = func(_ context.Context, call string) error {
				if call == "observe web" {
					return errors.New("no route")
				}
				return nil
			}
		}, code: fault.Internal, detail: "fake:web in test: no route", left: "nothing: this run wrote nothing"},
		{name: "the proof fails", arrange: func(r *rig) { r.file("proof.verdict", "saw the shop") }, written: true,
			code: fault.CheckFailed, detail: "fake:proof: saw the shop", left: "nothing: every change of this run was taken back"},
		{name: "a change fails", arrange: func(r *rig) {
			refusal := errors.New("refused by webhook")
			r.fake.before = func(_ context.Context, call string) (err error) {
				if call == "apply api closed" {
					err, refusal = refusal, nil
				}
				return err
			}
		}, written: true, code: fault.Internal, detail: "refused by webhook", left: "nothing: every change of this run was taken back"},
		{name: "a change panics", arrange: func(r *rig) {
			var once sync.Once
			r.fake.before = func(_ context.Context, call string) error {
				if call == "apply api closed" {
					once.Do(func() { panic("nil map") })
				}
				return nil
			}
		}, written: true, code: fault.Internal, detail: "nil map", left: "nothing: every change of this run was taken back"},
		{name: "drift in the middle of what was never written", arrange: func(r *rig) {
			r.at("applied app", func() { r.meddle("api", "hers") })
		}, written: true, code: fault.Drift, detail: "fake:api in test: someone else changed it", left: "nothing: every change of this run was taken back"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.put("web", "api", "app")
			tt.arrange(r)
			p := full()
			if tt.plan != nil {
				tt.plan(p)
			}
			got := r.start().run("c1", p)
			wantStatus(t, got, run.Undone)
			if got.Problem == nil || got.Problem.Code != tt.code || !strings.Contains(got.Problem.Detail, tt.detail) || got.Problem.Left != tt.left {
				t.Errorf("problem %+v, want %s, %q, left %q", got.Problem, tt.code, tt.detail, tt.left)
			}
			if len(r.locks()) > 0 {
				t.Errorf("locks left: %v", r.locks())
			}
			var writes []string
			if tt.written {
				writes = []string{"open to closed", "closed to open"}
			}
			r.is("app", "open", writes...)
			if api := show(stateOf(r.thing("api").Value)); api != "open" && api != "hers" {
				t.Errorf("api is %s", api)
			}
		})
	}
}

func TestOpeningThatFailsGivesLocksBack(t *testing.T) {
	t.Parallel()
	r := newRig(t).start()
	r.put("web", "api")
	wantStatus(t, r.run("c1", closing(plan.Undo, stage(plan.StageClose, closes("web"), closes("api")))), run.Done)
	r.file("health.verdict", "502")
	got := r.run("o1", r.opening("c1", plan.Undo, stage(plan.StageProve, asks("health"))))
	wantStatus(t, got, run.Undone)
	r.is("web", "closed", "open to closed", "closed to open", "open to closed")
	if got := r.locks()["fake:door"]; got != "c1" {
		t.Errorf("the door is held by %q, want the closing", got)
	}
	if _, ok := r.thing("web").Marks["c1/web"]; !ok {
		t.Errorf("the closing's mark is gone: %v", r.thing("web").Marks)
	}
	r.file("health.verdict", "ok")
	wantStatus(t, r.run("o2", r.opening("c1", plan.Undo, stage(plan.StageProve, asks("health")))), run.Done)
	r.is("web", "open", "open to closed", "closed to open", "open to closed", "closed to open")
	if len(r.thing("web").Marks) > 0 || len(r.locks()) > 0 {
		t.Errorf("left: marks %v, locks %v", r.thing("web").Marks, r.locks())
	}

	_, err := r.store.Create(t.Context(), "o3", &plan.Plan{Kind: plan.Open, Locks: []string{"fake:door"}, Holder: "c1", Closing: "c1"}, "late@here")
	if !errors.Is(err, &fault.Fault{Code: fault.Invalid}) {
		t.Errorf("an opening planned before another opened: %v, want a plan out of date", err)
	}
}

func TestSignals(t *testing.T) {
	t.Parallel()
	// Three doors; api fails until mended.
	tests := []struct {
		name   string
		send   []run.Signal
		status run.Status
		web    string
		api    string
		left   string
		taken  []string
	}{
		{name: "retry", send: []run.Signal{"mend", run.SignalRetry}, status: run.Done, web: "closed", api: "closed", taken: []string{"mend", "retry"}},
		{name: "skip", send: []run.Signal{run.SignalSkip}, status: run.Done, web: "closed", api: "open", taken: []string{"skip"}},
		{name: "undo", send: []run.Signal{run.SignalUndo}, status: run.Undone, web: "open", api: "open",
			left: "nothing: every change of this run was taken back", taken: []string{"undo"}},
		{name: "stop", send: []run.Signal{run.SignalStop}, status: run.Stopped, web: "closed", api: "open",
			left: "fake:web, fake:api", taken: []string{"stop"}},
		{name: "several in a row", send: []run.Signal{run.SignalRetry, run.SignalRetry, run.SignalSkip, run.SignalUndo, run.SignalStop}, status: run.Undone, web: "open", api: "open",
			taken: []string{"retry", "retry", "skip", "undo", "stop"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.put("web", "api")
			var mu sync.Mutex
			mended := slices.Contains(tt.send, "mend")
			fails := 1
			r.fake.before = func(_ context.Context, call string) error {
				mu.Lock()
				defer mu.Unlock()
				if call == "apply api closed" && (!mended || fails > 0) {
					fails--
					return errors.New("refused")
				}
				return nil
			}
			r.start().create("c1", closing(plan.Ask, stage(plan.StageClose, closes("web"), closes("api")), stage(plan.StageProve, asks("proof"))))
			r.reach("run.waiting ", 1)
			if got := r.read("c1"); got.Status != run.Waiting || got.Problem == nil {
				t.Errorf("while waiting: %s %+v", got.Status, got.Problem)
			}
			sendTogether(t, r, "c1", tt.send)
			got := r.ended("c1")
			wantStatus(t, got, tt.status)
			if now := show(stateOf(r.thing("web").Value)); now != tt.web {
				t.Errorf("web is %s, want %s", now, tt.web)
			}
			if now := show(stateOf(r.thing("api").Value)); now != tt.api {
				t.Errorf("api is %s, want %s", now, tt.api)
			}
			left := ""
			if got.Problem != nil {
				left = got.Problem.Left
			}
			if left != tt.left {
				t.Errorf("left %q, want %q", left, tt.left)
			}
			var taken []string
			for _, e := range r.events("c1") {
				if s, ok := strings.CutPrefix(e, "signal.received "); ok {
					taken = append(taken, s)
				}
			}
			if d := cmp.Diff(tt.taken, taken); d != "" {
				t.Errorf("signals taken (-want +got):\n%s", d)
			}
			err := r.store.Send(t.Context(), "c1", run.SignalUndo, "late@here")
			if !errors.Is(err, &fault.Fault{Code: fault.Invalid}) {
				t.Errorf("a signal to a run that has ended: %v", err)
			}
		})
	}
}

// sendTogether leaves all signals while no step can look between them.
func sendTogether(t *testing.T, r *rig, id string, signals []run.Signal) {
	t.Helper()
	ready := make(chan struct{})
	r.at("take "+string(signals[0]), func() { <-ready })
	r.send(id, signals[0])
	r.send(id, signals[1:]...)
	close(ready)
}

// A skip is for what failed. Steps that the signal merely interrupted go on.
func TestSkipSparesInterruptedSteps(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.put("web", "api")
	r.fake.before = func(_ context.Context, call string) error {
		if call == "apply api closed" {
			return errors.New("refused")
		}
		return nil
	}
	r.file("web.settled", "still old")
	web := changes("fake/slow", "web", "open", "closed")
	web.Patience = time.Hour
	r.start().create("c1", closing(plan.Ask, stage(plan.StageClose, web, closes("api"))))
	r.reach("step.waiting web", 1)
	r.reach("step.failed api", 1)
	r.at("taken skip", func() { r.file("web.settled", "ok") })
	r.send("c1", run.SignalSkip)
	got := r.ended("c1")
	wantStatus(t, got, run.Done)
	if s := got.Steps["web"].Status; s != run.StepIsDone {
		t.Errorf("web is %s, want done", s)
	}
	if s := got.Steps["api"].Status; s != run.StepWasSkipped {
		t.Errorf("api is %s, want skipped", s)
	}
}

// A stop before anything was written leaves no lock behind.
func TestStopBeforeAnyWrite(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.put("web")
	r.file("web.verdict", "not yet")
	check := asks("web")
	check.Patience = time.Hour
	r.start().create("c1", closing(plan.Ask, stage(plan.StageCheck, check), stage(plan.StageClose, closes("web"))))
	r.reach("step.waiting ask-web", 1)
	r.send("c1", run.SignalStop)
	wantStatus(t, r.ended("c1"), run.Undone)
	r.is("web", "open")
	if len(r.locks()) > 0 {
		t.Errorf("locks left: %v", r.locks())
	}
}

func TestStranded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.put("web", "api", "app")
	r.file("proof.verdict", "no")
	r.at("run.undoing ", func() { r.meddle("api", "hers") })
	got := r.start().run("c1", closing(plan.Undo, stage(plan.StagePause, closes("app")),
		stage(plan.StageClose, closes("web"), closes("api")), stage(plan.StageProve, asks("proof"))))
	wantStatus(t, got, run.Stranded)
	r.is("web", "open", "open to closed", "closed to open")
	r.is("app", "open", "open to closed", "closed to open")
	r.is("api", "hers", "open to closed")
	p := got.Problem
	if p == nil || p.Code != fault.Stranded || !strings.Contains(p.Detail, "fake:api") || p.Left != "fake:api (someone else's write)" || len(p.Try) == 0 {
		t.Errorf("problem %+v", p)
	}
	if d := cmp.Diff([]string{"ask-proof", "api"}, got.Failed(), cmpSet); d != "" {
		t.Errorf("failed (-want +got):\n%s", d)
	}
	if got := r.locks()["fake:door"]; got != "c1" {
		t.Errorf("the door of a stranded run is held by %q", got)
	}
}

var cmpSet = cmp.Transformer("sorted", func(s []string) []string { return slices.Sorted(slices.Values(s)) })

// Undone is said only when it has taken effect.
func TestUndoWaitsUntilSettled(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		then func(*rig)
		want run.Status
	}{
		{"settles", func(r *rig) { r.file("web.settled", "ok") }, run.Undone},
		{"never settles", func(r *rig) { r.clock.pass(time.Hour) }, run.Stranded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.put("web")
			r.file("proof.verdict", "no")
			r.at("run.undoing ", func() { r.file("web.settled", "still closed") })
			r.at("step.waiting web", func() { tt.then(r) })
			got := r.start().run("c1", closing(plan.Undo, stage(plan.StageClose, changes("fake/slow", "web", "open", "closed")), stage(plan.StageProve, asks("proof"))))
			wantStatus(t, got, tt.want)
			r.is("web", "open", "open to closed", "closed to open")
		})
	}
}

func TestOptionalStepMayFail(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.put("web")
	r.file("extra.verdict", "no")
	optional := asks("extra")
	optional.Optional = true
	got := r.start().run("c1", closing(plan.Undo, stage(plan.StageClose, closes("web"), optional)))
	wantStatus(t, got, run.Done)
	if s := got.Steps["ask-extra"]; s.Status != run.StepHasFailed || s.Problem == nil {
		t.Errorf("the optional step is %s, want it reported as failed", s.Status)
	}
}

// An outside that does not answer for a while is covered by patience.
func TestPatienceOutlastsUnavailable(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.put("web")
	calls := 0
	r.fake.before = func(_ context.Context, call string) error {
		if call == "check proof" {
			if calls++; calls <= 7 { // more than the driver's wrapper tries
				return action.ErrUnavailable
			}
		}
		return nil
	}
	proof := asks("proof")
	proof.Patience = time.Hour
	wantStatus(t, r.start().run("c1", closing(plan.Undo, stage(plan.StageClose, closes("web")), stage(plan.StageProve, proof))), run.Done)
}

func TestTracks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var mu sync.Mutex
	var order []string
	var together sync.WaitGroup
	together.Add(3)
	r.fake.before = func(_ context.Context, call string) error {
		words := strings.Fields(call)
		if words[0] != "apply" {
			return nil
		}
		name := words[1]
		if strings.HasSuffix(name, "1") {
			together.Done()
			together.Wait() // returns only if all three are here at once
		}
		mu.Lock()
		defer mu.Unlock()
		order = append(order, name)
		return nil
	}
	var steps []plan.Step
	for _, track := range []string{"a", "b", "c"} {
		for n := 1; n <= 3; n++ {
			s := closes(fmt.Sprintf("%s%d", track, n))
			s.Track = track
			r.put(s.ID)
			steps = append(steps, s)
		}
	}
	r.start()
	wantStatus(t, r.run("c1", closing(plan.Undo, stage(plan.StageClose, steps...))), run.Done)
	for _, track := range []string{"a", "b", "c"} {
		var mine []string
		for _, name := range order {
			if strings.HasPrefix(name, track) {
				mine = append(mine, name)
			}
		}
		if want := []string{track + "1", track + "2", track + "3"}; !slices.Equal(mine, want) {
			t.Errorf("track %s went %q", track, mine)
		}
	}
	order = nil
	together.Add(3)
	wantStatus(t, r.run("o1", r.opening("c1", plan.Undo)), run.Done)
	for _, track := range []string{"a", "b", "c"} {
		i := func(n int) int { return slices.Index(order, fmt.Sprintf("%s%d", track, n)) }
		if !(i(3) < i(2) && i(2) < i(1)) {
			t.Errorf("opening went %q, want each track backwards", order)
		}
	}
}

func TestEffectKeyOnRetry(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.put("web")
	lost := errors.New("answer lost")
	r.fake.before = func(_ context.Context, call string) error {
		if call == "told page" {
			defer func() { lost = nil }()
			return lost
		}
		return nil
	}
	r.start().create("c1", closing(plan.Ask, stage(plan.StageClose, closes("web")), stage(plan.StageProve, tells("page"))))
	r.reach("run.waiting ", 1)
	r.send("c1", run.SignalRetry)
	wantStatus(t, r.ended("c1"), run.Done)
	if got := r.effects(); !slices.Equal(got, []string{"c1/tell-page", "c1/tell-page"}) {
		t.Errorf("keys %q, want the same twice", got)
	}
}
