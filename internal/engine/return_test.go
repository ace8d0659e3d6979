package engine_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// of makes steps those of a service.
func of(service string, steps ...plan.Step) []plan.Step {
	for i := range steps {
		steps[i].Service = service
	}
	return steps
}

// twoShops closes web and api and proves them; each has a check of its return.
func twoShops() *plan.Plan {
	p := closing(plan.Undo, stage(plan.StageClose, slices.Concat(of("shop", closes("web")), of("api", closes("api")))...),
		stage(plan.StageProve, asks("proof")))
	p.Return = slices.Concat(of("shop", asks("web-gone")), of("api", asks("api-gone")))
	return p
}

// The return is proved after the last change was taken back, and only for
// services of which something was.
func TestReturnIsProved(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.put("web", "api")
	r.fake.before = func(_ context.Context, call string) error {
		if strings.HasPrefix(call, "check api-gone") {
			t.Error("the return of a service was asked that was not changed")
		}
		return nil
	}
	r.at("receipts", func() { r.meddle("api", "hers") }) // drift: nothing of api is written
	got := r.start().run("c1", twoShops())
	wantStatus(t, got, run.Undone)
	if !got.Returned() {
		t.Error("the run does not say that it was seen to be taken back")
	}
	events := r.events("c1")
	undone, proved := slices.Index(events, "step.undone web"), slices.Index(events, "step.done ask-web-gone")
	if undone < 0 || proved < undone || got.Steps["ask-api-gone"].Status != run.StepPending {
		t.Errorf("events %q", events)
	}
	if len(r.locks()) != 0 {
		t.Errorf("locks %v", r.locks())
	}
}

func TestReturnOfNothingIsNotAsked(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(r *rig, p *plan.Plan){
		"a check before any write failed": func(r *rig, p *plan.Plan) {
			r.file("ready.verdict", "no")
			p.Stages = slices.Insert(p.Stages, 0, stage(plan.StageCheck, asks("ready")))
		},
		"drift before any write": func(r *rig, _ *plan.Plan) {
			r.at("receipts", func() { r.meddle("api", "hers"); r.meddle("web", "hers") })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.put("web", "api")
			r.file("web-gone.verdict", "no")
			r.file("api-gone.verdict", "no")
			p := twoShops()
			fail(r, p)
			got := r.start().run("c1", p)
			wantStatus(t, got, run.Undone)
			if n := r.count("c1", "stage.started"); got.Stage == plan.StageReturn || got.Returned() {
				t.Errorf("the return was asked (%d stages)", n)
			}
		})
	}
}

// Everything was written back and customers still see the page: a person must
// look. The locks stay, so that opening works, and it ends when they see it.
func TestReturnNotSeen(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.put("web", "api")
	r.file("proof.verdict", "no")
	r.file("web-gone.verdict", "still the page")
	r.at("step.waiting ask-web-gone", func() { r.clock.pass(time.Hour) })
	got := r.start().run("c1", twoShops())
	wantStatus(t, got, run.Stranded)
	r.is("web", "open", "open to closed", "closed to open")
	p := got.Problem
	if p == nil || p.Code != fault.Stranded || !strings.Contains(p.Detail, "still the page") || !strings.Contains(p.Detail, "fake:proof") ||
		!strings.Contains(p.Left, "everything was written back, but customers do not see it: finding of web-gone.verdict") ||
		!slices.Equal(p.Try, []string{"mend web-gone.verdict", "noren open --env test"}) {
		t.Errorf("problem %+v", p)
	}
	if got := r.locks()["fake:door"]; got != "c1" {
		t.Fatalf("the door is held by %q", got)
	}
	opening := r.opening("c1", plan.Undo, stage(plan.StageProve, asks("web-gone")))
	for i := range opening.Stages[0].Steps {
		s := &opening.Stages[0].Steps[i]
		s.From = s.To // as control finds them
	}
	r.file("web-gone.verdict", "ok")
	wantStatus(t, r.run("o1", opening), run.Done)
	if len(r.locks()) != 0 {
		t.Errorf("locks %v", r.locks())
	}
}

// Signals wait while the return is proved: nothing but the end follows.
func TestReturnThatNeedNotBeSeen(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.put("web", "api")
	r.file("proof.verdict", "no")
	r.file("web-gone.verdict", "something else")
	p := twoShops()
	p.Return[0].Optional = true
	r.at("undo web", func() { r.send("c1", run.SignalStop) })
	got := r.start().run("c1", p)
	wantStatus(t, got, run.Undone)
	if got.Returned() || got.Steps["ask-web-gone"].Status != run.StepHasFailed || got.Steps["ask-api-gone"].Status != run.StepIsDone {
		t.Errorf("the return %+v, %+v", got.Steps["ask-web-gone"], got.Steps["ask-api-gone"])
	}
}

// An engine error in the middle of the return loses no proof: the workflow
// begins anew, and what was taken back before is still to be seen.
func TestReturnAfterAnEngineError(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.put("web", "api")
	r.file("proof.verdict", "no")
	asked := make(chan struct{}, 1)
	broken := true
	r.fake.before = func(_ context.Context, call string) error {
		if call != "check web-gone" {
			return nil
		}
		if broken {
			broken = false
			return errors.Join(r.exec(`CREATE TRIGGER full BEFORE INSERT ON events WHEN NEW.type = 'step.done' BEGIN SELECT RAISE(ABORT, 'disk full'); END`))
		}
		asked <- struct{}{}
		return nil
	}
	p := twoShops()
	p.Return = p.Return[:1]
	r.create("c1", p)
	r.start().reach("left c1", 1)
	if r.engine.Failure("c1") == nil {
		t.Fatal("the engine did not fail")
	}
	r.stop()
	if err := r.exec(`DROP TRIGGER full`); err != nil {
		t.Fatal(err)
	}
	r.start().reach("left c1", 2)
	got := r.read("c1")
	wantStatus(t, got, run.Undone)
	if len(asked) == 0 || !got.Returned() {
		t.Errorf("the return was not proved: %q", r.events("c1"))
	}
	r.is("web", "open", "open to closed", "closed to open")
}
