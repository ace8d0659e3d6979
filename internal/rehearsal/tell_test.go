package rehearsal

import (
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/report"
	"github.com/noren-dev/noren/internal/run"
)

func step(id, track, name string) plan.Step {
	return plan.Step{ID: id, Track: track, Action: name, Title: "do " + id, Kind: action.KindChange}
}

// TestExpected: tracks go side by side and stages one after the other, by the
// median of what was measured, else by what is published, else by nothing.
func TestExpected(t *testing.T) {
	p := &plan.Plan{Kind: plan.Close, Stages: []plan.Stage{
		{Name: plan.StageClose, Steps: []plan.Step{step("a", "1", "kube/ingress.overlay"), step("b", "1", "kube/page"), step("c", "2", "kube/ingress.overlay")}},
		{Name: plan.StageProve, Steps: []plan.Step{step("d", "d", "http/closed")}},
		{Name: plan.StageRest, Steps: []plan.Step{step("e", "e", "kube/workload.scale"), step("f", "f", "kube/cronjob.suspend")}},
	}}
	measured := past{map[string][]time.Duration{
		ofRun(plan.Close, "kube/ingress.overlay"): {9 * time.Second, 2 * time.Second, 4 * time.Second},
		ofRun(plan.Close, "kube/page"):            {time.Second},
		ofRun(plan.Open, "http/closed"):           {time.Hour}, // of another kind of run
	}, map[plan.Kind]int{plan.Close: 3}}
	for _, c := range []struct {
		past     past
		about    time.Duration
		unknown  string
		sentence string
	}{
		{past{}, 35 * time.Second, "do d, do f", "closing: about 35 s, by published figures; no run is recorded; and what 2 of the steps take, of which nothing is known"},
		{measured, 35 * time.Second, "do d, do f", "closing: about 35 s, by 3 recorded runs; and what 2 of the steps take, of which nothing is known"},
	} {
		e := c.past.expected("closing", p)
		if e.About != c.about || strings.Join(e.Unknown, ", ") != c.unknown || e.HowLong() != c.sentence {
			t.Errorf("got %s, unknown %v: %s", e.About, e.Unknown, e.HowLong())
		}
	}
}

// TestFailure: of a run that failed it is told what had been written by then,
// also when all of it has been taken back since.
func TestFailure(t *testing.T) {
	p := &plan.Plan{Kind: plan.Close, Stages: []plan.Stage{
		{Name: plan.StageClose, Steps: []plan.Step{step("a", "a", "x/y")}}, {Name: plan.StageProve, Steps: []plan.Step{step("b", "b", "x/z")}}}}
	p.Stages[1].Steps[0].Kind = action.KindCheck
	r := run.New("close-1", p, "", "mika", time.Time{})
	a := act{plan: p, run: r}
	at := time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC)
	for i, e := range []run.Event{
		{Type: run.StepStarted, Step: "a"}, {Type: run.StepDone, Step: "a"}, {Type: run.StepStarted, Step: "b"},
		{Type: run.StepFailed, Step: "b", Data: run.Data{Problem: &run.Problem{Summary: "check failed", Detail: "no page"}}},
		{Type: run.RunUndoing, Data: run.Data{Problem: &run.Problem{Summary: "check failed", Detail: "no page"}}},
		{Type: run.StepUndone, Step: "a"}, {Type: run.RunEnded, Data: run.Data{Status: run.Undone}},
	} {
		e.Run, e.Seq, e.At = r.ID, int64(i+1), at.Add(time.Duration(i)*time.Second)
		r.Fold(e)
		a.event(e, r)
	}
	f := failure("closing", a)
	if f == nil || f.Step != "do b" || strings.Join(f.Written, ", ") != "do a" || f.Undo != "Taking back the one change went through, and everything was as before." {
		t.Errorf("got %+v", f)
	}
	if s := steps("closing", a); s[0].Took != time.Second || s[0].Status != string(run.StepIsUndone) {
		t.Errorf("step %+v: want the second that it took, not the time until it was taken back", s[0])
	}
}

// TestWatch: a visitor is told of by what it met in each phase, each once.
func TestWatch(t *testing.T) {
	door := func(rules ...edge.Rule) []control.Door {
		return []control.Door{{Service: "shop", Survey: &driver.Survey{Hosts: []string{"shop.example.com"}, URLs: []string{"http://shop.example.com/"},
			Front: edge.Front{Listeners: []edge.Listener{{Scheme: "http", Port: 80, Rules: rules, Default: edge.Action{Kind: edge.Forward, Backend: "service shop/web:80"}}}}}}}
	}
	page := edge.Rule{Name: "noren: closed", Action: edge.Action{Kind: edge.Respond, Response: &edge.Response{Status: 503, Mark: "m"}}}
	served := edge.Rule{Name: "noren: closed", Action: edge.Action{Kind: edge.Forward, Backend: "service shop/noren-page:80"}}
	request, err := requestOf("GET", "http://shop.example.com/cart", outside, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := newWatch([]visitor{{"shop", "customer", "GET /cart", request}})
	at := time.Time{}
	w.look(report.Before, at, "", door())
	w.look(report.Closing, at, "one", door())
	w.look(report.Closing, at, "two", door(page))
	w.look(report.Shut, at, "the end", door(page))
	w.look(report.Opening, at, "three", door(served))
	w.look(report.Opening, at, "four", door())
	w.look(report.After, at, "the end", door())
	got := ""
	for _, p := range report.Phases() {
		got += string(p) + ": " + w.rows[0].Met(p) + "; "
	}
	if want := "before: service; while closing: service → page 503; closed: page 503; while opening: page 503 → service; after: service; "; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if len(w.turns) != 2 || w.turns[0].Write != "two" || w.turns[1].Write != "four" {
		t.Errorf("turns %+v", w.turns)
	}
}
