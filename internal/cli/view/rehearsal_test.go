package view_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/noren-dev/noren/internal/cli/view"
	"github.com/noren-dev/noren/internal/report"
)

// TestWhoSeesWhatOnANarrowTerminal: no line of what visitors saw is longer than
// the terminal is wide (short of a long URL), and each visitor's five phases are told all the same.
func TestWhoSeesWhatOnANarrowTerminal(t *testing.T) {
	t.Parallel()
	told := &report.Rehearsal{OK: true, Visitors: []report.Visitor{{Service: "shop", Who: "staff from 203.0.113.0", Request: "GET http://shop.example.com/",
		Sees: map[report.Phase][]string{report.Before: {"service"}, report.Closing: {"service", "page 503", "service"}, report.Shut: {"service"},
			report.Opening: {"service", "page 503", "service"}, report.After: {"service"}}}}}
	for _, columns := range []int{0, 56, 80, 200} {
		var out bytes.Buffer
		view.Human{Out: &out, Columns: columns}.Rehearsal(told)
		_, table, _ := strings.Cut(out.String(), "Who sees what")
		table, _, _ = strings.Cut(table, "Steps")
		for line := range strings.Lines(table) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); columns > 0 && n > columns {
				t.Errorf("%d columns, and a line of %d: %q", columns, n, line)
			}
		}
		for _, p := range report.Phases() {
			if !strings.Contains(table, string(p)) {
				t.Errorf("%d columns: nothing of %q:\n%s", columns, p, table)
			}
		}
		if n := strings.Count(table, "service → page 503 → service"); n != 2 {
			t.Errorf("%d columns: staff see the page %d times, want 2:\n%s", columns, n, table)
		}
	}
}
