package view_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/cli/view"
	"github.com/noren-dev/noren/internal/plan"
)

// TestBrief: a question about few changes shows their diffs; one about many
// shows the steps, and says where the diffs are. A plan shows all.
func TestBrief(t *testing.T) {
	t.Parallel()
	opening := func(n int) *plan.Plan {
		p := &plan.Plan{Kind: plan.Open, Notes: []plan.Note{{Text: "Look.", Targets: strings.Fields(strings.Repeat("target ", n))}}}
		state := func(s string) action.State { return action.State{Version: 1, Fields: json.RawMessage(s)} }
		stage := plan.Stage{Name: plan.StageOpen}
		for i := range n {
			stage.Steps = append(stage.Steps, plan.Step{Title: fmt.Sprintf("Open door-%d", i), Kind: action.KindChange, From: state("1"), To: state("2"),
				Description: action.Description{Line: fmt.Sprintf("line %d", i), Before: "the page", After: "the shop"}})
		}
		p.Stages = []plan.Stage{stage}
		return p
	}
	for _, c := range []struct {
		n     int
		brief bool
		diffs bool
	}{{8, true, true}, {9, true, false}, {9, false, true}} {
		var out bytes.Buffer
		var v view.View = view.Human{Out: &out}
		if c.brief {
			v = v.Brief()
		}
		v.Opening(opening(c.n), time.Now())
		text := out.String()
		if got := strings.Contains(text, "the page"); got != c.diffs {
			t.Errorf("%+v: diffs %t\n%s", c, got, text)
		}
		if !strings.Contains(text, fmt.Sprintf("line %d", c.n-1)) || !strings.Contains(text, fmt.Sprintf("%d targets to change", c.n)) {
			t.Errorf("%+v: a step is missing\n%s", c, text)
		}
		if told := strings.Contains(text, "noren plan"); told == c.diffs {
			t.Errorf("%+v: says where the diffs are: %t\n%s", c, told, text)
		}
		if short := strings.Contains(text, fmt.Sprintf("and %d more", c.n-4)); short != c.brief {
			t.Errorf("%+v: shortens the targets of a note: %t\n%s", c, short, text)
		}
	}
}
