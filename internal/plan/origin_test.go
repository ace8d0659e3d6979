package plan_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/plan"
)

// closing is a plan whose steps of two services and a pause leave marks.
func closing() (*plan.Plan, []action.Receipt) {
	change := func(id, track, name, target, service string) plan.Step {
		return plan.Step{ID: id, Track: track, Kind: action.KindChange, Action: name, Target: target, Service: service, Title: "Do " + target,
			Params: json.RawMessage(`{"name":"` + target + `"}`), From: state("open"), To: state("closed"), Patience: time.Minute}
	}
	p := &plan.Plan{Version: plan.Version, Kind: plan.Close, Environment: plan.Environment{Name: "prod", Protected: true},
		Services: []plan.Service{
			{Name: "shop", Team: "web", Health: []string{"https://shop.example.com/healthz"}, Mode: "read-only", Entrances: []plan.Entrance{
				{Kind: "kube/ingress", Name: "s/web", Target: "k:web", Strategy: "overlay", URLs: []string{"https://shop.example.com/"}, Ready: []plan.Step{{ID: "ready-9", Kind: action.KindCheck}}},
				{Kind: "kube/ingress", Name: "s/solo", Target: "k:solo", Strategy: "patch"}}},
			{Name: "api", Entrances: []plan.Entrance{{Kind: "kube/ingress", Name: "s/api", Target: "k:api", Strategy: "overlay"}}, Workloads: []plan.Workload{{Kind: "kube/deployment", Name: "s/worker", Target: "k:worker"}}},
		},
		Locks: []string{"k:web", "k:solo", "k:api", "k:worker", "a:app"}, Until: time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC), Zone: "Asia/Tokyo", Reason: "upgrade", Mark: "token", Pass: "secret-pass",
		Stages: []plan.Stage{
			{Name: plan.StageCheck, Steps: []plan.Step{{ID: "check-1", Track: "c", Kind: action.KindCheck}}},
			{Name: plan.StagePause, Steps: []plan.Step{change("pause-2", "pause-2", "argocd/app.pause", "a:app", "shop")}},
			{Name: plan.StageClose, Steps: []plan.Step{change("close-3", "k:web", "kube/ingress.overlay", "k:web-closed", "shop"), change("close-4", "k:web", "kube/ingress.overlay", "k:web-probe", "shop"),
				change("close-5", "k:solo", "kube/ingress.patch", "k:solo", "shop"), change("close-6", "k:api", "kube/ingress.overlay", "k:api-closed", "api")}},
			{Name: plan.StageRest, Steps: []plan.Step{change("rest-7", "k:worker", "kube/hpa.pin", "k:hpa", "api"), change("rest-8", "k:worker", "kube/workload.scale", "k:worker", "api")}},
		}}
	var receipts []action.Receipt
	for _, s := range p.Steps() {
		if s.Kind == action.KindChange {
			receipts = append(receipts, action.Receipt{Run: "close-1", Step: s.ID, Action: s.Action, Target: s.Target, From: s.From, To: s.To, TakenAt: time.Unix(1e9, 0).UTC()})
		}
	}
	return p, receipts
}

func marksOf(t *testing.T, p *plan.Plan, receipts []action.Receipt, steps ...string) []action.Mark {
	t.Helper()
	var marks []action.Mark
	for _, r := range receipts {
		if len(steps) > 0 && !slices.Contains(steps, r.Step) {
			continue
		}
		s, _ := p.Step(r.Step)
		m, err := plan.MarkOf(p, r, s.Params, "sato@ops")
		if err != nil {
			t.Fatal(err)
		}
		text, err := m.Text()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(text, p.Pass) {
			t.Errorf("the mark of %s holds the pass", r.Step)
		}
		if m, err = action.ParseMark(text); err != nil {
			t.Fatal(err)
		}
		marks = append(marks, m)
	}
	return marks
}

// pauses knows the pause of the closing.
func pauses(name string) (driver.Pause, bool) {
	return driver.Pause{Action: name, Title: "Pause"}, strings.HasSuffix(name, ".pause")
}

// TestRebuildOpensLikeTheClosing opens a closing from its own records and from
// its marks, found in any order: the steps are the same.
func TestRebuildOpensLikeTheClosing(t *testing.T) {
	t.Parallel()
	p, receipts := closing()
	marks := marksOf(t, p, receipts)
	slices.Reverse(marks)
	again, theirs, err := plan.Rebuild(p.Environment, marks, pauses)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(plan.Opening(p, receipts), plan.Opening(again, theirs)); d != "" {
		t.Errorf("-records +marks:\n%s", d)
	}
	if d := cmp.Diff(p.Services, again.Services); d != "" {
		t.Errorf("services: -records +marks:\n%s", d)
	}
	slices.Sort(p.Locks)
	slices.Sort(again.Locks)
	if d := cmp.Diff(p.Locks, again.Locks); d != "" {
		t.Errorf("locks: %s", d)
	}
	if !again.Until.Equal(p.Until) || again.Zone != p.Zone || again.Reason != p.Reason || again.Mark != p.Mark || again.Pass != "" {
		t.Errorf("rebuilt %+v", again)
	}
}

// TestRebuildOfAPart rebuilds what a run that died half way has marked.
func TestRebuildOfAPart(t *testing.T) {
	t.Parallel()
	p, receipts := closing()
	again, theirs, err := plan.Rebuild(p.Environment, marksOf(t, p, receipts, "pause-2"), pauses)
	if err != nil {
		t.Fatal(err)
	}
	back := plan.Opening(again, theirs)
	open, resume := back.Open, back.Resume
	if len(open) != 0 || len(resume) != 1 || resume[0].Target != "a:app" || len(again.Services) != 1 || again.Services[0].Name != "shop" {
		t.Errorf("open %+v, resume %+v, services %+v", open, resume, again.Services)
	}
	again, _, err = plan.Rebuild(p.Environment, marksOf(t, p, receipts, "close-4", "close-6"), pauses)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"k:web", "k:api"}, again.Locks); d != "" {
		t.Errorf("locks: %s", d)
	}
	missing := map[string]int{}
	for _, s := range again.Services {
		missing[s.Name] = s.Missing
	}
	if d := cmp.Diff(map[string]int{"shop": 2, "api": 2}, missing); d != "" {
		t.Errorf("changes without a mark: %s", d)
	}
}

// TestRebuildWithoutOrigin rebuilds what an older noren left.
func TestRebuildWithoutOrigin(t *testing.T) {
	t.Parallel()
	p, receipts := closing()
	marks := marksOf(t, p, receipts, "pause-2", "close-5")
	for i := range marks {
		marks[i].Origin, marks[i].Sum = nil, ""
	}
	again, theirs, err := plan.Rebuild(p.Environment, marks, pauses)
	if err != nil {
		t.Fatal(err)
	}
	back := plan.Opening(again, theirs)
	open, resume := back.Open, back.Resume
	if len(open) != 1 || open[0].To.Fields == nil || len(resume) != 1 || len(again.Services) != 2 || !slices.ContainsFunc(again.Services, func(s plan.Service) bool { return s.Name == "k:solo" }) {
		t.Errorf("open %+v, resume %+v, services %+v", open, resume, again.Services)
	}
}

func TestOriginOfANewerNoren(t *testing.T) {
	t.Parallel()
	_, err := plan.OriginOf(action.Mark{Origin: json.RawMessage(`{"version":99}`)})
	if err == nil || !strings.Contains(err.Error(), "newer") {
		t.Errorf("got %v", err)
	}
}

// TestRebuildTakesTheNewestEnd: an extension writes some marks anew, and may
// move the end back; the others go on telling the former end.
func TestRebuildTakesTheNewestEnd(t *testing.T) {
	t.Parallel()
	p, receipts := closing()
	marks := marksOf(t, p, receipts)
	moved := *p
	moved.Until, moved.Mark, moved.Moves = p.Until.Add(-time.Minute), "newer", 1
	again, err := plan.MarkOf(&moved, receipts[0], marks[0].Params, marks[0].Actor)
	if err != nil {
		t.Fatal(err)
	}
	marks[0] = again
	got, _, err := plan.Rebuild(p.Environment, marks, pauses)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Until.Equal(moved.Until) || got.Mark != "newer" {
		t.Errorf("rebuilt until %s with the page %q, want %s", got.Until, got.Mark, moved.Until)
	}
}
