package engine_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// toldShop tells of a closing, closes web and proves it; it has a check of its
// return.
func toldShop() *plan.Plan {
	p := closing(plan.Undo, stage(plan.StageTell, of("shop", closes("apps"))...), stage(plan.StageClose, of("shop", closes("web"))...),
		stage(plan.StageProve, asks("proof")))
	p.Return = of("shop", asks("web-gone"))
	return p
}

// Who was told hears of it before the door closes, and that it is open only
// once that is proved.
func TestToldOfTheReturnLast(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.put("apps", "web")
	r.file("proof.verdict", "no")
	got := r.start().run("c1", toldShop())
	wantStatus(t, got, run.Undone)
	events := r.events("c1")
	var order []int
	for _, e := range []string{"step.done apps", "step.done web", "step.undone web", "step.done ask-web-gone", "step.undone apps"} {
		order = append(order, slices.Index(events, e))
	}
	if slices.Contains(order, -1) || !slices.IsSorted(order) {
		t.Errorf("events %q: places %v", events, order)
	}
}

// While customers may still see the page, apps go on hearing that it is closed.
func TestNotToldWhileStranded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.put("apps", "web")
	r.file("proof.verdict", "no")
	r.at("undo web", func() { r.meddle("web", "hers") })
	got := r.start().run("c1", toldShop())
	wantStatus(t, got, run.Stranded)
	r.is("apps", "closed", "open to closed")
	if got.Steps["apps"].Status != run.StepIsDone || !strings.Contains(got.Problem.Left, "apps") {
		t.Errorf("apps %s, left %q", got.Steps["apps"].Status, got.Problem.Left)
	}
}

// What is optional neither keeps a run from beginning nor fails it, and the run
// says so.
func TestOptionalChangeThatFails(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.put("apps", "web")
	apps := changes("fake/thing", "apps", "open", "closed")
	apps.Optional = true
	r.fake.before = func(_ context.Context, call string) error {
		if strings.Contains(call, "apps") {
			return errors.New("the disk is full")
		}
		return nil
	}
	p := closing(plan.Undo, stage(plan.StageClose, of("shop", closes("web"))...), stage(plan.StageTell, of("shop", apps)...))
	got := r.start().run("c1", p)
	wantStatus(t, got, run.Done)
	r.is("web", "closed", "open to closed")
	if late := got.Untold(); len(late) != 1 || !strings.Contains(late[0], "the disk is full") {
		t.Errorf("untold %q", late)
	}
}

// A closing that is taken back lets monitors ring once that is proved, last of all.
func TestUnmutedLast(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.put("bell", "apps", "web")
	r.file("proof.verdict", "no")
	p := toldShop()
	p.Stages = append([]plan.Stage{stage(plan.StageMute, of("shop", closes("bell"))...)}, p.Stages...)
	wantStatus(t, r.start().run("c1", p), run.Undone)
	events := r.events("c1")
	var order []int
	for _, e := range []string{"step.done bell", "step.done apps", "step.done web", "step.undone web", "step.done ask-web-gone", "step.undone apps", "step.undone bell"} {
		order = append(order, slices.Index(events, e))
	}
	if slices.Contains(order, -1) || !slices.IsSorted(order) {
		t.Errorf("events %q: places %v", events, order)
	}
}
