package engine_test

import (
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

var later = time.Date(2026, 11, 24, 4, 0, 0, 0, time.UTC)

// closed is a rig with the closing c1 of web, which is proved.
func closedRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.put("web")
	r.start()
	p := closing(plan.Undo, stage(plan.StageClose, closes("web")))
	p.Until, p.Services = later.Add(-time.Hour), []plan.Service{{Name: "shop"}}
	wantStatus(t, r.run("c1", p), run.Done)
	return r
}

// extension is the plan that gives web another page.
func (r *rig) extension(from, to string, more ...plan.Stage) *plan.Plan {
	r.t.Helper()
	c := r.read("c1")
	web, _ := c.Plan.Step("web")
	return &plan.Plan{Version: plan.Version, Kind: plan.Extend, Environment: c.Plan.Environment, Zone: "UTC", Locks: c.Plan.Locks,
		Holder: "c1", Closing: "c1", OnFailure: plan.Undo, Until: later, Reason: "slow", Services: c.Plan.Services,
		Stages: append([]plan.Stage{stage(plan.StageRenew, plan.Renewing(web, state(from), state(to)))}, more...)}
}

// wantMark checks that web bears the closing's mark alone, which tells the way
// from what is there to what was there before the closing.
func (r *rig) wantMark(to string) {
	r.t.Helper()
	marks := r.thing("web").Marks
	m, ok := marks["c1/web"]
	if len(marks) != 1 || !ok {
		r.t.Fatalf("marks %v", marks)
	}
	if !m.Receipt.From.Equal(state("open")) || !m.Receipt.To.Equal(state(to)) || m.Receipt.Run != "c1" || m.Actor != "tester@here" || string(m.Params) == "" {
		r.t.Errorf("mark %+v, want from open to %s", m, to)
	}
}

func (r *rig) wantHolder(id string) {
	r.t.Helper()
	if locks := r.locks(); len(locks) != 1 || locks["fake:door"] != id {
		r.t.Errorf("locks %v, want all with %s", locks, id)
	}
}

func (r *rig) openingOf(extended ...string) *plan.Plan {
	r.t.Helper()
	p := r.opening("c1", plan.Undo)
	receipts := func(id string) []action.Receipt {
		all, err := r.store.Receipts(r.t.Context(), id)
		if err != nil {
			r.t.Fatal(err)
		}
		return all
	}
	var chain []plan.Extended
	for _, id := range extended {
		chain = append(chain, plan.Extended{Plan: r.read(id).Plan, Receipts: receipts(id)})
	}
	back := plan.Opening(r.read("c1").Plan, receipts("c1"), chain...)
	p.Stages = []plan.Stage{stage(plan.StageOpen, back.Open...)}
	return p
}

// TestExtensionMovesTheEnd: two extensions, and an opening that takes the
// newest page back to what was before the closing.
func TestExtensionMovesTheEnd(t *testing.T) {
	t.Parallel()
	r := closedRig(t)
	wantStatus(t, r.run("e1", r.extension("closed", "closed until 4")), run.Done)
	r.wantMark("closed until 4")
	r.wantHolder("c1")
	c := r.read("c1")
	if len(c.Extensions) != 1 || !c.Until.Equal(later) || c.Status != run.Done {
		t.Fatalf("the closing is %s until %s with %+v", c.Status, c.Until, c.Extensions)
	}
	want := run.Extension{At: c.Extensions[0].At, Run: "e1", Actor: "tester@here", From: later.Add(-time.Hour), Until: later, Services: []string{"shop"}, Reason: "slow"}
	if got := c.Extensions[0]; got.Run != want.Run || got.Actor != want.Actor || !got.From.Equal(want.From) || !got.Until.Equal(want.Until) || got.Reason != want.Reason || len(got.Services) != 1 {
		t.Errorf("extension %+v, want %+v", got, want)
	}
	wantStatus(t, r.run("e2", r.extension("closed until 4", "closed until 5")), run.Done)
	r.wantMark("closed until 5")
	wantStatus(t, r.run("o1", r.openingOf("e1", "e2")), run.Done)
	r.is("web", "open", "open to closed", "closed to closed until 4", "closed until 4 to closed until 5", "closed until 5 to open")
	if marks := r.thing("web").Marks; len(marks) > 0 || len(r.locks()) > 0 {
		t.Errorf("left: marks %v, locks %v", marks, r.locks())
	}
}

// TestExtensionUndone: one whose page is not proved puts the former page back,
// and the end stays where it was.
func TestExtensionUndone(t *testing.T) {
	t.Parallel()
	r := closedRig(t)
	r.file("proof.verdict", "no")
	e := r.run("e1", r.extension("closed", "closed until 4", stage(plan.StageProve, asks("proof"))))
	wantStatus(t, e, run.Undone)
	r.is("web", "closed", "open to closed", "closed to closed until 4", "closed until 4 to closed")
	r.wantMark("closed")
	r.wantHolder("c1")
	if c := r.read("c1"); len(c.Extensions) > 0 || !c.Until.Equal(later.Add(-time.Hour)) {
		t.Errorf("until %s, extensions %+v", c.Until, c.Extensions)
	}
}

// TestOpeningOfExtendedUndone: an opening that fails puts the newest page back,
// with the mark that goes with it.
func TestOpeningOfExtendedUndone(t *testing.T) {
	t.Parallel()
	r := closedRig(t)
	wantStatus(t, r.run("e1", r.extension("closed", "closed until 4")), run.Done)
	r.file("health.verdict", "no")
	o := r.openingOf("e1")
	o.Stages = append(o.Stages, stage(plan.StageProve, asks("health")))
	wantStatus(t, r.run("o1", o), run.Undone)
	r.is("web", "closed until 4", "open to closed", "closed to closed until 4", "closed until 4 to open", "open to closed until 4")
	r.wantMark("closed until 4")
	r.wantHolder("c1")
}

// TestProlongingMovesNoEnd: a run that only keeps monitors quiet for longer gives
// the closing back as it was, with its end.
func TestProlongingMovesNoEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.put("web", "bell")
	r.start()
	p := closing(plan.Undo, stage(plan.StageMute, of("shop", closes("bell"))...), stage(plan.StageClose, of("shop", closes("web"))...))
	p.Until, p.Services = later, []plan.Service{{Name: "shop"}}
	wantStatus(t, r.run("c1", p), run.Done)
	bell, _ := r.read("c1").Plan.Step("bell")
	longer := r.extension("closed", "closed")
	longer.Stages = []plan.Stage{stage(plan.StageMute, plan.Renewing(bell, state("closed"), state("closed for longer")))}
	wantStatus(t, r.run("e1", longer), run.Done)
	r.is("bell", "closed for longer", "open to closed", "closed to closed for longer")
	r.wantHolder("c1")
	if c := r.read("c1"); len(c.Extensions) > 0 || !c.Until.Equal(later) || c.Status != run.Done {
		t.Errorf("the closing is %s until %s with %+v", c.Status, c.Until, c.Extensions)
	}
	receipts, err := r.store.Receipts(t.Context(), "e1")
	if err != nil {
		t.Fatal(err)
	}
	if mark := plan.ShownMark("shop", []plan.Extended{{Plan: r.read("e1").Plan, Receipts: receipts}}); mark != "" {
		t.Errorf("it is said to show the page %q", mark)
	}
}
