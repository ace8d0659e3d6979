package report_test

import (
	"encoding/json"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/report"
	"github.com/noren-dev/noren/internal/run"
)

// zone is a place without a tz database: reports are told of times there.
func zone() *time.Location { return time.FixedZone("JST", 9*3600) }

// night is 02:00 in the zone, when the stories of these tests begin.
func night() time.Time { return time.Date(2026, 11, 25, 2, 0, 0, 0, zone()).UTC() }

// A tape records the events of one run, on a clock that it is told to move.
type tape struct {
	part report.Part
	now  time.Time
	seq  int64
}

func record(id string, p *plan.Plan, who string, at time.Time) *tape {
	t := &tape{now: at, part: report.Part{Run: run.New(id, p, "sha256:46a800151eb80e6acd2798ddd5662fd4b85b312f9ea881cbd4bab0f8e85cdce7", who, at)}}
	origin := &run.Origin{User: "ann", Host: "bastion", Client: "203.0.113.7", PID: 4711, Version: "v1.2.0", Command: "noren " + string(p.Kind) + " --env prod --confirm prod"}
	return t.event(run.Event{Type: run.RunCreated, Data: run.Data{Actor: who, Origin: origin, Confirmed: &run.Confirmation{How: run.Flagged, Protected: true},
		Identities: map[string]string{"kube": "arn:aws:iam::123456789012:role/noren"}}}).event(run.Event{Type: run.RunStarted, Data: run.Data{Origin: origin}})
}

func (t *tape) event(e run.Event) *tape {
	t.seq++
	e.Run, e.Seq, e.At = t.part.Run.ID, t.seq, t.now
	t.part.Run.Fold(e)
	t.part.Events = append(t.part.Events, e)
	return t
}

// after moves the clock.
func (t *tape) after(d time.Duration) *tape {
	t.now = t.now.Add(d)
	return t
}

func (t *tape) stage(name plan.StageName) *tape {
	return t.event(run.Event{Type: run.StageStarted, Data: run.Data{Stage: name}})
}

func (t *tape) prepared() *tape { return t.event(run.Event{Type: run.Prepared}) }

func (t *tape) begin(steps ...string) *tape {
	for _, s := range steps {
		t.event(run.Event{Type: run.StepStarted, Step: s})
	}
	return t
}

func (t *tape) done(step, saw string) *tape {
	d := run.Data{}
	if saw != "" {
		d.Verdict = &action.Verdict{OK: true, Summary: saw}
	}
	return t.event(run.Event{Type: run.StepDone, Step: step, Data: d})
}

func (t *tape) waiting(step, saw string, findings ...string) *tape {
	return t.event(run.Event{Type: run.StepWaiting, Step: step, Data: run.Data{Verdict: &action.Verdict{Summary: saw, Findings: findings}}})
}

func (t *tape) failed(step string, p *run.Problem) *tape {
	return t.event(run.Event{Type: run.StepFailed, Step: step, Data: run.Data{Problem: p}})
}

func (t *tape) end(status run.Status, p *run.Problem) report.Part {
	return t.event(run.Event{Type: run.RunEnded, Data: run.Data{Status: status, Problem: p}}).part
}

func state(fields string) action.State {
	return action.State{Version: 1, Fields: json.RawMessage(fields)}
}

// change is a step that puts a page before a door, or takes it down.
func change(id, service string, stage plan.StageName) plan.Step {
	s := plan.Step{ID: id, Kind: action.KindChange, Action: "kube/ingress.patch", Target: "kube:prod/" + service + "/ingress/web", Service: service,
		Title: "Close kube:prod/" + service + "/ingress/web", From: state(`{"rules":1}`), To: state(`{"rules":2}`),
		Description: action.Description{Before: "rules:\n- host: " + service + ".example.com\n", After: "rules:\n- page: <closed>\n- host: " + service + ".example.com\n"}}
	if stage == plan.StageOpen {
		s.Title, s.From, s.To = "Open "+s.Target, s.To, s.From
		s.Description.Before, s.Description.After = s.Description.After, s.Description.Before
	}
	return s
}

func check(id, service, name, title string) plan.Step {
	return plan.Step{ID: id, Kind: action.KindCheck, Action: name, Target: "http:prod", Service: service, Title: title}
}

func services() []plan.Service {
	return []plan.Service{
		{Name: "shop", Team: "storefront", Entrances: []plan.Entrance{{Target: "kube:prod/shop/ingress/web"}}},
		{Name: "決済", Mode: "read-only", Entrances: []plan.Entrance{{Target: "kube:prod/決済/ingress/web"}}},
	}
}

func closing() *plan.Plan {
	pause := plan.Step{ID: "pause-1", Kind: action.KindChange, Action: "argocd/app.pause", Target: "argocd:prod/argocd/shop", Service: "shop",
		Title: "Pause automated sync of argocd:prod/argocd/shop", From: state(`{"auto":true}`), To: state(`{"auto":false}`)}
	return &plan.Plan{Kind: plan.Close, Zone: "Asia/Tokyo", Environment: plan.Environment{Name: "prod", Protected: true}, Services: services(),
		Reason: `Aurora "8.0" upgrade <script>alert(1)</script> | phase *2*`, Until: night().Add(30 * time.Minute),
		Notes: []plan.Note{{Warn: true, Text: "A WebSocket that is open stays open.", Targets: []string{"kube:prod/shop/ingress/web"}}},
		Stages: []plan.Stage{
			{Name: plan.StageCheck, Steps: []plan.Step{check("check-1", "shop", "kube/group.healthy", "Check the group of shop")}},
			{Name: plan.StagePause, Steps: []plan.Step{pause}},
			{Name: plan.StageClose, Steps: []plan.Step{change("close-1", "shop", plan.StageClose), change("close-2", "決済", plan.StageClose)}},
			{Name: plan.StageProve, Steps: []plan.Step{check("prove-1", "shop", "http/closed", "Prove closed: https://shop.example.com"), check("prove-2", "決済", "http/closed", "Prove closed: https://pay.example.com")}},
		}}
}

func opening() *plan.Plan {
	sync := plan.Step{ID: "settle-1", Kind: action.KindEffect, Action: "argocd/app.sync", Target: "argocd:prod/argocd/shop", Service: "shop", Title: "Sync, if still out of step with Git: argocd:prod/argocd/shop"}
	return &plan.Plan{Kind: plan.Open, Closing: "close-1125-vrws", Zone: "Asia/Tokyo", Environment: plan.Environment{Name: "prod", Protected: true}, Services: services(),
		Stages: []plan.Stage{
			{Name: plan.StageReady, Steps: []plan.Step{check("ready-1", "shop", "http/healthy", "Behind the curtain, does shop answer?")}},
			{Name: plan.StageOpen, Steps: []plan.Step{change("undo-close-1", "shop", plan.StageOpen), change("undo-close-2", "決済", plan.StageOpen)}},
			{Name: plan.StageSettle, Steps: []plan.Step{sync}},
			{Name: plan.StageProve, Steps: []plan.Step{check("prove-1", "shop", "http/open", "Prove open: https://shop.example.com"), check("prove-2", "決済", "http/open", "Prove open: https://pay.example.com")}},
		}}
}

const ms = time.Millisecond

// closed tells a closing that goes well and ends after about five seconds.
func closed() *tape {
	t := record("close-1125-vrws", closing(), "ann@bastion", night())
	t.after(20*ms).stage(plan.StageCheck).begin("check-1").after(180*ms).done("check-1", "no Ingress of the group is refused")
	t.after(30*ms).prepared().stage(plan.StagePause).begin("pause-1").after(240*ms).done("pause-1", "")
	t.after(10*ms).stage(plan.StageClose).begin("close-1", "close-2").after(400*ms).done("close-1", "").after(350*ms).done("close-2", "")
	t.after(10*ms).stage(plan.StageProve).begin("prove-1", "prove-2")
	t.after(300*ms).waiting("prove-1", "not every address answers with this closing's page: 1 of 2 addresses", "198.51.100.4: 200, the application")
	t.after(1900*ms).done("prove-1", "every address answers with this closing's page (1 URL, 2 addresses)")
	return t.after(1200*ms).done("prove-2", "every address answers with this closing's page (1 URL, 2 addresses)")
}

func problem() *run.Problem {
	return &run.Problem{Code: fault.CheckFailed, Summary: "check failed", Detail: "http:prod: the page is not seen (waited 5m0s)\n198.51.100.4: 200, the application", Left: "kube:prod/shop/ingress/web"}
}

// A story is a source with the name of its golden files.
func stories() map[string]report.Source {
	with := func(closing report.Part, openings ...report.Part) report.Source {
		return report.Source{Closing: closing, Following: openings, Zone: zone(), Now: night().Add(time.Hour), Records: 61, Version: "v1.2.0",
			Head: "7c54a1c48b4759b2e01d5299fbf5d7a0220e9aad2cecaa7a3d49c23c1feef546"}
	}
	return map[string]report.Source{"done": with(doneStory()), "undone": with(undoneStory()), "stranded": with(strandedStory()), "resumed": with(resumedStory())}
}

func doneStory() (report.Part, report.Part) {
	c := closed()
	c.end(run.Done, nil)
	c.after(25 * time.Minute).event(run.Event{Type: run.Extended, Data: run.Data{Actor: "bob@bastion", Until: night().Add(45 * time.Minute)}})
	o := record("open-1125-kk3d", opening(), "bob@bastion", night().Add(48*time.Minute))
	o.after(20*ms).stage(plan.StageReady).begin("ready-1").after(500*ms).waiting("ready-1", "does not answer: 502").after(900*ms).done("ready-1", "shop answers")
	o.after(30*ms).prepared().stage(plan.StageOpen).begin("undo-close-1", "undo-close-2").after(300*ms).done("undo-close-1", "").after(300*ms).done("undo-close-2", "")
	o.after(10*ms).stage(plan.StageSettle).begin("settle-1").after(700*ms).done("settle-1", "")
	o.after(10*ms).stage(plan.StageProve).begin("prove-1", "prove-2").after(2*time.Second).done("prove-1", "the page is gone (1 URL, 2 addresses)").after(800*ms).done("prove-2", "the page is gone (1 URL, 2 addresses)")
	return c.part, o.end(run.Done, nil)
}

// undoneStory: the proof fails, a person is asked, and says undo.
func undoneStory() report.Part {
	c := record("close-1125-vrws", closing(), "ann@bastion", night())
	c.stage(plan.StageCheck).begin("check-1").after(200*ms).done("check-1", "").prepared().stage(plan.StagePause).begin("pause-1").after(200*ms).done("pause-1", "")
	c.stage(plan.StageClose).begin("close-1", "close-2").after(time.Second).done("close-1", "").done("close-2", "")
	c.stage(plan.StageProve).begin("prove-1", "prove-2").after(3*time.Second).done("prove-2", "every address answers with this closing's page")
	for _, saw := range []string{"a", "b", "c", "d", "e", "f"} {
		c.after(10*time.Second).waiting("prove-1", "not every address answers with this closing's page", saw)
	}
	c.after(10*time.Second).failed("prove-1", problem()).event(run.Event{Type: run.RunWaiting, Data: run.Data{Problem: problem()}})
	c.after(40 * time.Second).event(run.Event{Type: run.SignalSent, Data: run.Data{Signal: run.SignalUndo, Actor: "bob@laptop"}})
	c.after(ms).event(run.Event{Type: run.Signalled, Data: run.Data{Signal: run.SignalUndo, Actor: "bob@laptop"}}).event(run.Event{Type: run.RunUndoing, Data: run.Data{Problem: problem()}})
	for _, step := range []string{"close-1", "close-2", "pause-1"} {
		c.after(4 * time.Second).event(run.Event{Type: run.StepUndone, Step: step})
	}
	return c.end(run.Undone, problem())
}

func strandedStory() report.Part {
	c := record("close-1125-vrws", closing(), "ann@bastion", night())
	c.stage(plan.StageCheck).begin("check-1").after(200*ms).done("check-1", "").prepared().stage(plan.StageClose).begin("close-1", "close-2").after(time.Second).done("close-1", "")
	c.after(time.Second).failed("close-2", problem()).event(run.Event{Type: run.RunUndoing, Data: run.Data{Problem: problem()}})
	p := &run.Problem{Code: fault.Denied, Summary: "permission is missing", Detail: "ingresses.networking.k8s.io \"web\" is forbidden: User \"noren\" cannot patch"}
	c.after(3 * time.Second).event(run.Event{Type: run.StepStranded, Step: "close-1", Data: run.Data{Problem: p}})
	return c.end(run.Stranded, p)
}

// resumedStory: noren is killed while it closes, carried on four minutes later
// by somebody else, and opened by an opening that fails once its proof is seen.
func resumedStory() (report.Part, report.Part, report.Part) {
	c := record("close-1125-vrws", closing(), "ann@bastion", night())
	c.stage(plan.StageCheck).begin("check-1").after(200*ms).done("check-1", "").prepared().stage(plan.StageClose).begin("close-1", "close-2").after(500*ms).done("close-1", "")
	c.after(4 * time.Minute).event(run.Event{Type: run.RunStarted, Data: run.Data{Origin: &run.Origin{User: "bob", Host: "laptop", PID: 99, Version: "v1.2.0"}}})
	c.stage(plan.StageClose).begin("close-2").after(400*ms).done("close-2", "").stage(plan.StageProve).begin("prove-1", "prove-2").after(2*time.Second).done("prove-1", "closed").done("prove-2", "closed")
	closing := c.end(run.Done, nil)
	o := record("open-1125-aaaa", opening(), "ann@bastion", night().Add(20*time.Minute))
	o.stage(plan.StageOpen).begin("undo-close-1", "undo-close-2").after(300*ms).done("undo-close-1", "").done("undo-close-2", "")
	o.stage(plan.StageProve).begin("prove-1", "prove-2").after(time.Second).done("prove-1", "the page is gone").after(time.Minute).failed("prove-2", problem())
	o.event(run.Event{Type: run.RunUndoing, Data: run.Data{Problem: problem()}}).after(2 * time.Second).event(run.Event{Type: run.StepUndone, Step: "undo-close-2"}).event(run.Event{Type: run.StepUndone, Step: "undo-close-1"})
	first := o.end(run.Undone, problem())
	o = record("open-1125-bbbb", opening(), "bob@laptop", night().Add(28*time.Minute))
	o.stage(plan.StageOpen).begin("undo-close-1", "undo-close-2").after(300*ms).done("undo-close-1", "").done("undo-close-2", "")
	o.stage(plan.StageProve).begin("prove-1", "prove-2").after(time.Second).done("prove-1", "the page is gone").done("prove-2", "the page is gone")
	return closing, first, o.end(run.Done, nil)
}
