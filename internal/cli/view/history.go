package view

import (
	"fmt"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/report"
)

// History shows runs, newest first.
func (h Human) History(rows []report.Row, now time.Time) {
	if len(rows) == 0 {
		h.print("No run is recorded that is asked for.\n")
		return
	}
	for _, r := range rows {
		h.print("%s  %s  %s in %s  %s\n", h.clock(r.Began, r.Zone), bold(r.Run), strings.TrimSpace(r.Kind+" "+strings.Join(r.Services, ", ")), r.Environment, faint("by "+oneLine(r.Who)))
		line := endingOf(r)
		if r.Closed != nil {
			line += "  " + closedFor(r, now)
		}
		if r.Closing != "" {
			word := "took back "
			if r.Kind == string(plan.Extend) {
				word = "of "
			}
			line += "  " + faint(word+r.Closing)
		}
		h.print("    %s\n", line)
		if r.Reason != "" {
			h.print("    %s\n", faint("because: "+oneLine(r.Reason)))
		}
		if r.Problem != "" {
			h.print("    %s\n", yellow(r.Problem))
		}
	}
}

// endingOf says how things stand after a run; closings go on until they are
// opened.
func endingOf(r report.Row) string {
	switch r.Ending {
	case "done", "open":
		return green("✓ " + r.Ending)
	case "stranded":
		return red("✗ stranded")
	case "closed":
		return yellow("closed still")
	}
	return yellow(r.Ending)
}

func closedFor(r report.Row, now time.Time) string {
	text := "closed for " + report.Spell(r.Closed.Length(now))
	if !r.Closed.FromProven || !r.Closed.ToProven && !r.Closed.To.IsZero() {
		text += " (not proven)"
	}
	if r.PlannedSeconds > 0 {
		text += fmt.Sprintf(", planned: %s", report.Roughly(time.Duration(r.PlannedSeconds*float64(time.Second))))
	}
	return text
}

// History prints {"type":"run",…}, one a line; see [report.Row].
func (j JSON) History(rows []report.Row, _ time.Time) {
	for _, r := range rows {
		members, err := membersOf(r)
		if err != nil {
			j.Fault(fmt.Errorf("run %s: %w", r.Run, err))
			continue
		}
		j.put(j.Out, "run", members)
	}
}
