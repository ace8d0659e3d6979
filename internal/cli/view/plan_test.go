package view_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/colorprofile"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/cli/view"
	"github.com/noren-dev/noren/internal/plan"
)

// TestLargePlans: a plan of few changes shows their diffs. One of many shows a line
// for each and the diff of the first, and the question about it the first alone;
// both say where the rest is.
func TestLargePlans(t *testing.T) {
	t.Parallel()
	opening := func(n int) *plan.Plan {
		p := &plan.Plan{Kind: plan.Open, Notes: []plan.Note{{Warn: true, Text: "Everyone passes."}, {Text: "Look.", Targets: strings.Fields(strings.Repeat("target ", n))}}}
		state := func(s string) action.State { return action.State{Version: 1, Fields: json.RawMessage(s)} }
		stage := plan.Stage{Name: plan.StageOpen}
		for i := range n {
			stage.Steps = append(stage.Steps, plan.Step{Title: fmt.Sprintf("Open door-%d", i), Kind: action.KindChange, From: state("1"), To: state("2"),
				Description: action.Description{Line: fmt.Sprintf("line %d", i), Before: "the page", After: "the shop"}})
		}
		p.Stages = []plan.Stage{stage}
		return p
	}
	with := map[string]func(view.View) view.View{"lines": func(v view.View) view.View { return v }, "brief": view.View.Brief, "full": view.View.Full}
	for _, c := range []struct {
		n      int
		detail string
		diffs  int
		last   bool
		says   string
	}{
		{8, "brief", 8, true, ""},
		{8, "lines", 8, true, ""},
		{9, "brief", 0, false, "and 8 more like it"},
		{9, "brief", 0, false, "noren plan"},
		{9, "lines", 1, true, "--diffs"},
		{9, "full", 9, true, ""},
	} {
		var out bytes.Buffer
		with[c.detail](view.Human{Out: colorprofile.NewWriter(&out, nil)}).Opening(opening(c.n), time.Now())
		text := out.String()
		if got := strings.Count(text, "-the page"); got != c.diffs {
			t.Errorf("%+v: %d diffs\n%s", c, got, text)
		}
		if got := strings.Contains(text, fmt.Sprintf("line %d\n", c.n-1)); got != c.last || !strings.Contains(text, c.says) || !strings.Contains(text, fmt.Sprintf("%d targets to change", c.n)) {
			t.Errorf("%+v:\n%s", c, text)
		}
		if short := strings.Contains(text, fmt.Sprintf("    target and %d more\n", c.n-1)); short != (c.n > 8 && c.detail != "full") {
			t.Errorf("%+v: shortens the targets of a note: %t\n%s", c, short, text)
		}
		if !strings.HasSuffix(strings.TrimSpace(text), "warning: Everyone passes.") {
			t.Errorf("%+v: what it warns of is not nearest to the question\n%s", c, text)
		}
	}
}
