package run_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

func thePlan() *plan.Plan {
	change := func(id string) plan.Step { return plan.Step{ID: id, Kind: action.KindChange, Target: "t:" + id} }
	return &plan.Plan{Stages: []plan.Stage{{Name: plan.StageClose, Steps: []plan.Step{change("a"), change("b"), change("c")}},
		{Name: plan.StageProve, Steps: []plan.Step{{ID: "proof", Kind: action.KindCheck}}}}}
}

var types = []run.Type{run.RunCreated, run.RunStarted, run.RunWaiting, run.RunUndoing, run.RunEnded, run.StageStarted, run.Prepared,
	run.StepStarted, run.StepWaiting, run.StepDone, run.StepFailed, run.StepSkipped, run.StepUndone, run.StepStranded, run.Signalled, run.Extended, "of.the.future"}

func genEvents(t *rapid.T) []run.Event {
	n := rapid.IntRange(0, 30).Draw(t, "n")
	var events []run.Event
	for i := range n {
		e := run.Event{Seq: int64(i + 1), Run: "r", At: time.Unix(int64(i), 0), Type: rapid.SampledFrom(types).Draw(t, "type"),
			Step: rapid.SampledFrom([]string{"", "a", "b", "c", "proof", "unknown"}).Draw(t, "step")}
		if e.Type == run.RunEnded {
			e.Data.Status = rapid.SampledFrom([]run.Status{run.Done, run.Undone, run.Stopped, run.Stranded}).Draw(t, "status")
		}
		if e.Type == run.Signalled {
			e.Data.Signal = rapid.SampledFrom([]run.Signal{run.SignalRetry, run.SignalSkip, run.SignalUndo, run.SignalStop}).Draw(t, "signal")
		}
		if rapid.Bool().Draw(t, "problem") {
			e.Data.Problem = &run.Problem{Code: rapid.SampledFrom([]fault.Code{fault.Drift, fault.Internal}).Draw(t, "code")}
		}
		events = append(events, e)
	}
	return events
}

func fold(events ...[]run.Event) *run.Run {
	r := run.New("r", thePlan(), "", "", time.Time{})
	for _, list := range events {
		for _, e := range list {
			r.Fold(e)
		}
	}
	return r
}

// Any order of events leaves the run and each step in a legal state; reading
// the list twice, or a part of it again, changes nothing.
func TestFoldAnyOrder(t *testing.T) {
	t.Parallel()
	statuses := []run.Status{run.Created, run.Running, run.Waiting, run.Undoing, run.Done, run.Undone, run.Stopped, run.Stranded}
	steps := []run.StepStatus{run.StepPending, run.StepIsRunning, run.StepIsWaiting, run.StepIsDone, run.StepHasFailed, run.StepWasSkipped, run.StepIsUndone, run.StepIsStranded}
	rapid.Check(t, func(t *rapid.T) {
		events := genEvents(t)
		r := fold(events)
		if !slices.Contains(statuses, r.Status) {
			t.Fatalf("run is %q", r.Status)
		}
		for id, s := range r.Steps {
			if !slices.Contains(steps, s.Status) {
				t.Fatalf("step %s is %q", id, s.Status)
			}
		}
		again := rapid.IntRange(0, len(events)).Draw(t, "again")
		if d := cmp.Diff(r, fold(events, events[again:], events), cmpopts.IgnoreUnexported(run.Run{})); d != "" {
			t.Fatalf("folding again changed:\n%s", d)
		}
		// Every change that was begun is undone, found to be nothing, refused
		// for drift at its only attempt, or listed: none is lost.
		listed := map[string]bool{}
		for _, s := range r.Changed() {
			listed[s.ID] = true
		}
		for _, id := range []string{"a", "b", "c"} {
			s := r.Steps[id]
			refused := s.Attempts == 1 && s.Problem != nil && s.Problem.Code == fault.Drift && s.Status != run.StepIsStranded
			if s.Attempts > 0 && s.Status != run.StepIsUndone && !s.Nothing && !refused && !listed[id] {
				t.Fatalf("step %s (%s) is lost", id, s.Status)
			}
		}
		_ = r.Failed()
	})
}

func TestNothingFollowsTheEnd(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		end := run.Event{Seq: 1, Run: "r", Type: run.RunEnded, Data: run.Data{Status: run.Stranded}}
		events := genEvents(t)
		for i := range events {
			events[i].Seq++
		}
		if r := fold([]run.Event{end}, events); r.Status != run.Stranded {
			t.Fatalf("ended stranded, now %s", r.Status)
		}
	})
}

func TestFold(t *testing.T) {
	t.Parallel()
	p := &run.Problem{Code: fault.CheckFailed}
	late := time.Unix(99, 0)
	tests := []struct {
		name   string
		events []run.Event
		status run.Status
		ending run.Signal
		why    *run.Problem
	}{
		{"waits", []run.Event{{Type: run.RunStarted}, {Type: run.RunWaiting, Data: run.Data{Problem: p}}}, run.Waiting, "", p},
		{"told to retry", []run.Event{{Type: run.RunStarted}, {Type: run.RunWaiting, Data: run.Data{Problem: p}}, {Type: run.Signalled, Data: run.Data{Signal: run.SignalRetry}}}, run.Running, "", nil},
		{"carried on while undoing", []run.Event{{Type: run.RunStarted}, {Type: run.RunUndoing, Data: run.Data{Problem: p}}, {Type: run.RunStarted}}, run.Undoing, run.SignalUndo, p},
		{"told to stop, then carried on", []run.Event{{Type: run.Signalled, Data: run.Data{Signal: run.SignalStop}}, {Type: run.RunStarted}}, run.Running, run.SignalStop, nil},
		{"too late", []run.Event{{Type: run.Signalled, Data: run.Data{Signal: run.SignalUndo, Text: "too late"}}, {Type: run.RunEnded, Data: run.Data{Status: run.Done}}}, run.Done, "", nil},
		{"another run's", []run.Event{{Run: "x", Type: run.RunStarted}}, run.Created, "", nil},
		{"extended after the end", []run.Event{{Type: run.RunEnded, Data: run.Data{Status: run.Done}}, {Type: run.Extended, Data: run.Data{Until: late}}}, run.Done, "", nil},
	}
	for _, tt := range tests {
		for i := range tt.events {
			tt.events[i].Seq = int64(i + 1)
			if tt.events[i].Run == "" {
				tt.events[i].Run = "r"
			}
		}
		r := fold(tt.events)
		if r.Status != tt.status || r.Ending != tt.ending || r.Problem != tt.why {
			t.Errorf("%s: %s, ending %q, problem %v", tt.name, r.Status, r.Ending, r.Problem)
		}
		if tt.name == "extended after the end" && !r.Until.Equal(late) {
			t.Errorf("%s: until %s", tt.name, r.Until)
		}
	}
}

func TestProblemOf(t *testing.T) {
	t.Parallel()
	if run.ProblemOf(nil) != nil {
		t.Error("nothing is no problem")
	}
	f := &fault.Fault{Code: fault.Drift, Summary: "s", Detail: "d", Left: "l", Try: []string{"t"}}
	if d := cmp.Diff(f, run.ProblemOf(fmt.Errorf("run c1: %w", f)).Fault()); d != "" {
		t.Errorf("there and back (-want +got):\n%s", d)
	}
}
