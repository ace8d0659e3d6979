package view

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/noren-dev/noren/internal/report"
)

// Rehearsal tells how a rehearsal went, the worst first.
func (h Human) Rehearsal(r *report.Rehearsal) {
	sign := green("✓")
	if !r.OK {
		sign = loud("FAILED")
	}
	h.print("\n%s\n%s %s\n", bold(r.Title()), sign, oneLine(r.Outcome))
	h.whereItFailed(r)
	h.print("\n%s\n", bold("Who sees what"))
	h.whoSaw(r.Visitors)
	if rest := r.Resting(); rest != "" {
		h.print("  %s\n", rest)
	}
	h.print("\n%s\n", bold("Steps"))
	h.rehearsedSteps(r.Steps)
	if len(r.CannotUndo) > 0 {
		h.print("\n%s\n", bold("Cannot be undone"))
		for _, s := range r.CannotUndo {
			h.print("  %s %s: %s\n", yellow("!"), s.Target, s.Why)
		}
	}
	for _, d := range r.Different {
		h.print("\n%s %s\n%s", red("NOT as before:"), d.Object, diff(d.Before, d.After, "  "))
	}
	h.print("\n%s\n", bold("The real thing should take"))
	for _, e := range r.Expected {
		h.print("  %s\n", e.HowLong())
	}
	for _, n := range r.Notes {
		h.print("\n  %s %s\n    %s\n", loud("WARNING"), n.Value, faint(n.Name))
	}
	if len(r.LeftOut) > 0 {
		h.print("\n%s\n", yellow("Not rehearsed"))
		h.items(r.LeftOut)
	}
	h.print("\n%s\n", bold("What this cannot tell"))
	h.items(r.Untold)
}

func (h Human) items(all []string) {
	for _, text := range all {
		h.print("  - %s\n", text)
	}
}

func (h Human) whereItFailed(r *report.Rehearsal) {
	f := r.Failure
	if f == nil {
		return
	}
	what := "it would have"
	if !r.OnCopy {
		what = "it had"
	}
	h.print("\n  %s\n", strings.ReplaceAll(strings.TrimSpace(f.Problem.Summary+": "+f.Problem.Detail), "\n", "\n  "))
	if len(f.Written) > 0 {
		h.print("  By then %s changed:\n", what)
		h.items(f.Written)
	}
	h.print("  %s\n", f.Undo)
}

// whoSaw prints a table of the phases for each request. A visitor who sees the
// same all the time is told of in a line.
func (h Human) whoSaw(visitors []report.Visitor) {
	widths := []int{len("customer who writes")}
	for _, p := range report.Phases() {
		widths = append(widths, utf8.RuneCountInString(string(p)))
	}
	cells := func(v report.Visitor) []string {
		row := []string{v.Who}
		for _, p := range report.Phases() {
			row = append(row, v.Met(p))
		}
		return row
	}
	for _, v := range visitors {
		for i, text := range cells(v) {
			widths[i] = max(widths[i], utf8.RuneCountInString(text))
		}
	}
	if h.narrow(widths) {
		h.whoSawInLines(visitors)
		return
	}
	line := func(row []string) string {
		var b strings.Builder
		for i, text := range row {
			b.WriteString(text + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text)+2))
		}
		return strings.TrimRight(b.String(), " ")
	}
	head := []string{""}
	for _, p := range report.Phases() {
		head = append(head, string(p))
	}
	h.print("    %s\n", faint(line(head)))
	request := ""
	for _, v := range visitors {
		if v.Request != request {
			request = v.Request
			h.print("  %s  %s\n", request, faint(v.Service))
		}
		h.print("    %s\n", line(cells(v)))
	}
}

// The table's margin on the left, and the space between its columns.
const tableMargin, tableGap = 4, 2

// narrow tells whether a table of columns is wider than the terminal, in which its
// lines would break anywhere.
func (h Human) narrow(widths []int) bool {
	width := tableMargin - tableGap
	for _, w := range widths {
		width += w + tableGap
	}
	return h.Columns > 0 && width > h.Columns
}

// whoSawInLines tells what the table does, for a narrow terminal.
func (h Human) whoSawInLines(visitors []report.Visitor) {
	request := ""
	for _, v := range visitors {
		if v.Request != request {
			request = v.Request
			h.print("  %s  %s\n", request, faint(v.Service))
		}
		h.print("    %s\n", v.Who)
		line := ""
		for _, p := range report.Phases() {
			part := string(p) + ": " + v.Met(p)
			if line != "" && 6+utf8.RuneCountInString(line+"; "+part) >= h.Columns {
				h.print("      %s;\n", line)
				line = ""
			}
			if line != "" {
				line += "; "
			}
			line += part
		}
		h.print("      %s\n", line)
	}
}

func (h Human) rehearsedSteps(steps []report.RehearsedStep) {
	for _, s := range steps {
		sign := green("✓")
		switch s.Status {
		case "done":
		case "pending":
			sign = faint("·")
		case "undone":
			sign = yellow("↶")
		default:
			sign = red("✗")
		}
		h.print("  %s %s %s  %s\n", sign, fmt.Sprintf("%8s", report.Spell(s.Took)), faint(s.Doing), s.Title)
	}
}

// Rehearsal prints {"type":"rehearsal",…}; see [report.Rehearsal].
func (j JSON) Rehearsal(r *report.Rehearsal) {
	members, err := membersOf(r)
	if err != nil {
		j.Fault(fmt.Errorf("rehearsal: %w", err))
		return
	}
	j.put(j.Out, "rehearsal", members)
}
