package plan_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/plan"
)

func state(v string) action.State {
	return action.State{Version: 1, Fields: json.RawMessage(fmt.Sprintf(`{"v":%q}`, v))}
}

func genStage(t *rapid.T) plan.Stage {
	tracks := rapid.SliceOf(rapid.SampledFrom([]string{"a", "b", "c", ""})).Draw(t, "tracks")
	s := plan.Stage{Name: plan.StageClose}
	for i, track := range tracks {
		s.Steps = append(s.Steps, plan.Step{ID: fmt.Sprint(i), Track: track, Kind: action.KindChange, From: state("open"), To: state("closed")})
	}
	return s
}

func TestRoundsKeepTracks(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := genStage(t)
		byTrack := map[string][]string{}
		var n int
		for _, round := range s.Rounds() {
			if len(round) == 0 {
				t.Fatal("an empty round")
			}
			seen := map[string]bool{}
			for _, step := range round {
				if seen[step.Track] {
					t.Fatalf("track %q twice in a round", step.Track)
				}
				seen[step.Track] = true
				byTrack[step.Track] = append(byTrack[step.Track], step.ID)
				n++
			}
		}
		want := map[string][]string{}
		longest := 0
		for _, step := range s.Steps {
			want[step.Track] = append(want[step.Track], step.ID)
			longest = max(longest, len(want[step.Track]))
		}
		for track := range want {
			if !slices.Equal(byTrack[track], want[track]) {
				t.Fatalf("track %q: %v, want %v", track, byTrack[track], want[track])
			}
		}
		if n != len(s.Steps) || len(s.Rounds()) != longest {
			t.Fatalf("%d steps in %d rounds, want %d in %d", n, len(s.Rounds()), len(s.Steps), longest)
		}
	})
}

func TestOpening(t *testing.T) {
	t.Parallel()
	step := func(id, track string) plan.Step {
		return plan.Step{ID: id, Track: track, Kind: action.KindChange, Action: "kube/x", Title: "Close " + id, Params: json.RawMessage(`{"n":1}`),
			Patience: 2 * time.Second, Description: action.Description{Line: "line", Before: "b", After: "a"}}
	}
	p := &plan.Plan{Stages: []plan.Stage{
		{Name: plan.StageCheck, Steps: []plan.Step{{ID: "check", Kind: action.KindCheck}}},
		{Name: plan.StagePause, Steps: []plan.Step{step("app1", "app1"), step("app2", "app2")}},
		{Name: plan.StageClose, Steps: []plan.Step{step("web1", "web"), step("web2", "web"), step("same", "x"), step("unreceipted", "y")}},
		{Name: plan.StageRest, Steps: []plan.Step{step("worker1", "worker"), step("worker2", "worker")}},
	}}
	receipt := func(id, from, to string) action.Receipt {
		return action.Receipt{Step: id, From: state(from), To: state(to)}
	}
	back := plan.Opening(p, []action.Receipt{receipt("app1", "on", "off"), receipt("app2", "on", "off"),
		receipt("web1", "open", "closed"), receipt("web2", "open", "closed"), receipt("same", "closed", "closed"), receipt("worker1", "3", "0"), receipt("worker2", "on", "off")})
	ids := func(steps []plan.Step) (ids []string) {
		for _, s := range steps {
			ids = append(ids, s.ID)
		}
		return ids
	}
	if got, want := ids(back.Open), []string{"undo-web2", "undo-web1"}; !slices.Equal(got, want) {
		t.Errorf("open %q, want %q", got, want)
	}
	if got, want := ids(back.Resume), []string{"undo-app2", "undo-app1"}; !slices.Equal(got, want) {
		t.Errorf("resume %q, want %q", got, want)
	}
	if got, want := ids(back.Start), []string{"undo-worker2", "undo-worker1"}; !slices.Equal(got, want) {
		t.Errorf("start %q, want %q", got, want)
	}
	u := back.Open[0]
	if !u.From.Equal(state("closed")) || !u.To.Equal(state("open")) || u.Undoes != "web2" || u.Track != "web" || u.Patience != time.Minute ||
		u.Title != "Open " || u.Description != (action.Description{Before: "a", After: "b"}) || string(u.Params) != `{"n":1}` {
		t.Errorf("undoing step %+v", u)
	}
}

func TestDigestSurvivesJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := &plan.Plan{Kind: plan.Close, Reason: rapid.String().Draw(t, "reason"), Stages: []plan.Stage{genStage(t)},
			Until: time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "until"), rapid.Int64Range(0, 999999999).Draw(t, "ns"))}
		raw, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var back plan.Plan
		if err := json.Unmarshal(raw, &back); err != nil {
			t.Fatal(err)
		}
		a, _ := p.Digest()
		b, _ := back.Digest()
		if a != b {
			t.Fatalf("%s became %s", a, b)
		}
		back.Reason += "."
		if c, _ := back.Digest(); c == a {
			t.Fatal("another plan, the same digest")
		}
	})
}

func TestReturningIsOfWhatWasTakenBack(t *testing.T) {
	t.Parallel()
	p := &plan.Plan{Stages: []plan.Stage{{Name: plan.StageClose, Steps: []plan.Step{{ID: "web", Service: "shop"}, {ID: "api", Service: "api"}, {ID: "more", Service: "shop"}}}},
		Return: []plan.Step{{ID: "shop-gone", Service: "shop"}, {ID: "api-gone", Service: "api"}}}
	for _, tt := range []struct{ back, want []string }{
		{nil, nil}, {[]string{"web", "more"}, []string{"shop-gone"}}, {[]string{"web", "api"}, []string{"shop-gone", "api-gone"}}, {[]string{"another"}, nil},
	} {
		var got []string
		for _, s := range p.Returning(tt.back).Steps {
			got = append(got, s.ID)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("of %q: %q, want %q", tt.back, got, tt.want)
		}
	}
	if _, ok := p.Step("api-gone"); !ok || len(p.Steps()) != 5 {
		t.Error("the steps of the return are not among the plan's")
	}
	before, _ := p.Digest()
	p.Return[0].Title = "another"
	if after, _ := p.Digest(); after == before {
		t.Error("another return, the same digest")
	}
}

func TestCountAndStep(t *testing.T) {
	t.Parallel()
	p := &plan.Plan{Stages: []plan.Stage{{Steps: []plan.Step{
		{ID: "a", Kind: action.KindChange, From: state("x"), To: state("y")},
		{ID: "b", Kind: action.KindChange, From: state("x"), To: state("x")},
		{ID: "c", Kind: action.KindCheck}}}, {Steps: []plan.Step{{ID: "d", Kind: action.KindEffect}}}}}
	if changes, effects := p.Count(); changes != 1 || effects != 1 {
		t.Errorf("%d changes, %d effects", changes, effects)
	}
	if s, ok := p.Step("d"); !ok || s.Kind != action.KindEffect {
		t.Errorf("step d: %v %v", s, ok)
	}
	if _, ok := p.Step("e"); ok {
		t.Error("there is no step e")
	}
}

func TestStateEqual(t *testing.T) {
	t.Parallel()
	s := func(v int, fields string) action.State {
		return action.State{Version: v, Fields: json.RawMessage(fields)}
	}
	tests := []struct {
		name string
		a, b action.State
		want bool
	}{
		{"both none", action.State{}, action.State{}, true},
		{"none and empty", action.State{}, s(1, `{}`), false},
		{"keys reordered", s(1, `{"a":1,"b":{"c":[1,2],"d":null}}`), s(1, ` {"b": {"d": null, "c": [1, 2]}, "a": 1}`), true},
		{"order of a list", s(1, `{"a":[1,2]}`), s(1, `{"a":[2,1]}`), false},
		{"large numbers", s(1, `{"n":9007199254740993}`), s(1, ` {"n":9007199254740992}`), false},
		{"the same large number", s(1, `{"n":12345678901234567890123}`), s(1, ` {"n": 12345678901234567890123}`), true},
		{"absent and null", s(1, `{"a":null}`), s(1, `{}`), false},
		{"absent and empty", s(1, `{"a":{}}`), s(1, `{}`), false},
		{"text and number", s(1, `{"a":"1"}`), s(1, `{"a":1}`), false},
		{"escapes", s(1, `{"a":"\u003c"}`), s(1, `{"a":"<"}`), true},
		{"versions", s(1, `{}`), s(2, `{}`), false},
		{"broken", s(1, `{`), s(1, `{} `), false},
	}
	for _, tt := range tests {
		if got := tt.a.Equal(tt.b); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
		if got := tt.b.Equal(tt.a); got != tt.want {
			t.Errorf("%s, the other way round: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestBudgetsAddUp: what several entrances need of one load balancer adds up;
// a limit that each rule has to itself does not.
func TestBudgetsAddUp(t *testing.T) {
	t.Parallel()
	var p plan.Plan
	for _, b := range []driver.Budget{
		{What: "rules", Of: "a", Before: 10, Used: 50, Limit: 100},
		{What: "values", Used: 3, Limit: 5},
		{What: "rules", Of: "b", Before: 10, Used: 99, Limit: 100},
		{What: "rules", Of: "a", Before: 10, Used: 71, Limit: 100},
		{What: "values", Used: 2, Limit: 5},
	} {
		p.AddBudget(b)
	}
	want := []driver.Budget{
		{What: "rules", Of: "a", Before: 10, Used: 111, Limit: 100},
		{What: "values", Used: 3, Limit: 5},
		{What: "rules", Of: "b", Before: 10, Used: 99, Limit: 100},
	}
	if !slices.Equal(p.Budgets, want) {
		t.Errorf("got  %+v\nwant %+v", p.Budgets, want)
	}
	for i, breaks := range []bool{true, false, false} {
		if p.Budgets[i].Breaks() != breaks {
			t.Errorf("%+v breaks its limit: %t, want %t", p.Budgets[i], !breaks, breaks)
		}
	}
	if (driver.Budget{Before: 120, Used: 130, Limit: 100}).Breaks() {
		t.Error("a limit that is passed already is taken for the limit")
	}
}
