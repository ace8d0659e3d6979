package view

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/report"
	"github.com/noren-dev/noren/internal/run"
)

// Human shows things to people. Out takes results and progress, Err messages
// and faults; both strip colour where there is no terminal.
type Human struct {
	Out, Err io.Writer
	// detail says how much of plans with more than mostDiffs changes is shown.
	detail detail
	// Columns is the width of the terminal that Err is, 0 if it is none.
	Columns int
}

// A detail is how much of a plan of many changes is shown.
type detail int

const (
	lines detail = iota // a line for each change, a diff of the first of a kind
	brief               // the first of a kind
	full                // everything
)

// Brief implements [View].
func (h Human) Brief() View {
	h.detail = brief
	return h
}

// Full implements [View].
func (h Human) Full() View {
	h.detail = full
	return h
}

func (h Human) print(format string, args ...any) { fmt.Fprintf(h.Out, format, args...) }

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Event prints one line for an event worth a line.
func (h Human) Event(e run.Event, r *run.Run) {
	if line := Line(e, r); line != "" {
		h.print("%s  %s\n", faint(e.At.Local().Format("15:04:05")), line)
	}
}

// Line is an event as one line (a check that does not pass yet has more), or
// "" if it is not worth one.
func Line(e run.Event, r *run.Run) string {
	step, _ := r.Planned(e.Step)
	switch e.Type {
	case run.RunCreated:
		return "run " + r.ID + " by " + e.Data.Actor
	case run.Adopted:
		return "run " + r.ID + " by " + r.Actor + ", adopted by " + e.Data.Actor + " from its marks"
	case run.StageStarted:
		return bold(string(e.Data.Stage))
	case run.StepWaiting:
		return "  " + cyan("…") + " " + step.Title + findings(e.Data.Verdict)
	case run.StepDone:
		if e.Data.Nothing {
			return "  " + green("✓") + " " + step.Title + faint("  already so")
		}
		return "  " + green("✓") + " " + step.Title + warned(e.Data.Verdict)
	case run.StepFailed:
		sign := red("✗")
		if step.Optional {
			sign = yellow("!")
		}
		return "  " + sign + " " + step.Title + problem(e.Data.Problem)
	case run.StepSkipped:
		return "  " + yellow("-") + " " + step.Title + "  skipped"
	case run.StepUndone:
		return "  " + green("↶") + " undone: " + step.Title
	case run.StepStranded:
		return "  " + red("✗") + " cannot be undone: " + step.Title + problem(e.Data.Problem)
	case run.Signalled:
		return yellow(e.Data.Actor + " says: " + string(e.Data.Signal))
	case run.RunWaiting:
		return yellow("waiting for a person: noren retry, skip, undo or stop " + r.ID)
	case run.RunUndoing:
		return yellow("going back")
	case run.Extended:
		return fmt.Sprintf("end moved to %s by %s, run %s", Human{}.clock(e.Data.Until, r.Plan.Zone), e.Data.Actor, e.Data.By)
	case run.Reminded:
		return faint("told: " + e.Data.Text)
	case run.Missed:
		return yellow(e.Data.Channel + " did not hear of it: " + e.Data.Text)
	}
	return ""
}

// warned are the findings of a verdict that is good all the same.
func warned(v *action.Verdict) string {
	text := ""
	if v != nil {
		for _, f := range v.Findings {
			text += "\n              " + yellow(f)
		}
	}
	return text
}

func findings(v *action.Verdict) string {
	if v == nil {
		return ""
	}
	text := "  " + v.Summary
	for _, f := range v.Findings {
		text += "\n              " + f
	}
	return text
}

func problem(p *run.Problem) string {
	if p == nil {
		return ""
	}
	return "\n              " + strings.ReplaceAll(cmp.Or(p.Detail, p.Summary), "\n", "\n              ")
}

// Status shows what is closed.
func (h Human) Status(closed []control.ClosedService, unfinished []*run.Run, asked StatusOf, now time.Time) {
	if len(closed) == 0 && len(unfinished) == 0 {
		in := ""
		if asked.Environment != "" {
			in = " in " + asked.Environment
		}
		h.print("No run of this state directory holds anything closed%s: %s\n", in, asked.StateDir)
		h.elsewhere(asked)
		h.print("%s\n", faint("To look at the doors themselves: noren leftovers"))
		return
	}
	env := ""
	for _, c := range closed {
		if c.Environment != env {
			env = c.Environment
			h.print("%s\n", bold(env))
		}
		h.print("  %s  %s since %s (%s) by %s  %s\n", bold(c.Service), closedState(c), h.clock(c.Since, c.Run.Plan.Zone),
			report.Roughly(now.Sub(c.Since)), c.Run.Actor, faint(c.Run.ID))
		if by := c.Run.Adopted; !by.IsZero() {
			h.print("    %s\n", faint(fmt.Sprintf("adopted by %s at %s, from the marks on its targets", by.By, h.clock(by.At, c.Run.Plan.Zone))))
		}
		if c.Missing > 0 {
			h.print("    %s\n", red(halfWay(c.Missing)))
		}
		switch {
		case c.Overdue > 0:
			h.print("    %s was to end at %s\n", loud("OVERDUE by "+report.Roughly(c.Overdue)), h.clock(c.Until, c.Run.Plan.Zone))
		case !c.Until.IsZero():
			h.print("    until %s (in %s)\n", h.clock(c.Until, c.Run.Plan.Zone), report.Roughly(c.Until.Sub(now)))
		default:
			h.print("    %s\n", faint("no end was given"))
		}
		h.opens(c)
		h.extended(c)
		if c.Reason != "" {
			h.print("    %s\n", faint("because: "+oneLine(c.Reason)))
		}
		if c.Extent != plan.All {
			h.print("    %s\n", yellow(c.Extent))
		}
		for _, e := range c.Entrances {
			h.print("    %s  %s\n", e.Target, faint(e.Strategy))
			for _, u := range e.Unproved {
				h.print("      %s at %s\n", loud("NOT PROVED"), cmp.Or(u.URL, e.Target))
			}
		}
		for _, w := range c.Workloads {
			h.print("    %s  %s\n", w.Target, faint("at rest"))
		}
		for _, m := range c.Monitors {
			h.print("    %s %s  %s\n", m.Kind, m.Name, faint("muted until "+h.clock(c.MutedUntil, c.Closing.Plan.Zone)))
		}
	}
	h.kept(closed)
	for _, r := range unfinished {
		h.print("%s run %s is %s: noren resume %s\n", yellow("unfinished:"), r.ID, r.Status, r.ID)
	}
	h.elsewhere(asked)
}

// elsewhere names what a status of one environment leaves out: its name may have
// been mistyped.
func (h Human) elsewhere(asked StatusOf) {
	if len(asked.Elsewhere) > 0 {
		h.print("%s\n", yellow("Not shown: "+strings.Join(asked.Elsewhere, ", ")+", where something is closed or unfinished (noren status)"))
	}
}

// oneLine makes what a person gave as a reason fit for one line of a terminal.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)), " ")
	if r := []rune(s); len(r) > 200 {
		return string(r[:200]) + "…"
	}
	return s
}

// closedState is the state of a service that a run holds.
func closedState(c control.ClosedService) string {
	if c.Missing > 0 && c.Run.Plan.Kind == plan.Close {
		return red("half closed")
	}
	return state(c.Run)
}

// halfWay says what is missing of a closing that was rebuilt from its marks.
func halfWay(missing int) string {
	return fmt.Sprintf("%d of its changes carried no usable mark when it was adopted: it may be closed half-way only, and customers may get in", missing)
}

// state is what a holder's run means for its service.
func state(r *run.Run) string {
	switch {
	case r.Status == run.Done && r.Plan.Kind == plan.Close:
		return yellow("closed")
	case !r.Status.Ended() && r.Plan.Kind == plan.Close:
		return cyan("closing")
	case !r.Status.Ended() && r.Plan.Kind == plan.Extend:
		return cyan("closed, extending")
	case !r.Status.Ended():
		return cyan("opening")
	default:
		return red(string(r.Status))
	}
}

// Sights answers who sees what.
func (h Human) Sights(request string, sights []control.Sight) {
	h.print("%s\n", request)
	for _, s := range sights {
		h.print("  %s\n", s.Target)
		h.print("    now          %s  %s\n", bold(s.Now.Action.String()), faint("by "+s.Now.Rule))
		h.print("    when closed  %s  %s\n", bold(s.Then.Action.String()), faint("by "+s.Then.Rule))
	}
}

// Say prints a message.
func (h Human) Say(format string, args ...any) { fmt.Fprintf(h.Err, format+"\n", args...) }

// Result prints a result.
func (h Human) Result(text string, _ any) { h.print("%s", ensureNewline(text)) }

// Fault shows an error, each of its faults apart.
func (h Human) Fault(err error) {
	for i, f := range fault.Of(err) {
		if i > 0 {
			fmt.Fprintln(h.Err)
		}
		h.fault(f)
	}
}

func (h Human) fault(f *fault.Fault) {
	w := h.Err
	fmt.Fprintf(w, "%s %s\n", red("error:"), bold(f.Summary))
	if f.At != nil {
		fmt.Fprintf(w, "\n%s\n", f.At)
		if f.At.Excerpt != "" {
			number := fmt.Sprintf("%d", f.At.Line)
			fmt.Fprintf(w, "  %s | %s\n", number, f.At.Excerpt)
			fmt.Fprintf(w, "  %s | %s%s\n", strings.Repeat(" ", len(number)), padding(f.At.Excerpt, f.At.Column), red("^"))
		}
	}
	if f.Detail != "" {
		fmt.Fprintf(w, "\n%s\n", f.Detail)
	}
	if f.Left != "" {
		fmt.Fprintf(w, "\nchanged now: %s\n", f.Left)
	}
	if len(f.Try) > 0 {
		fmt.Fprintln(w)
		for _, t := range f.Try {
			fmt.Fprintf(w, "    %s\n", strings.ReplaceAll(t, "\n", "\n    "))
		}
	}
	if f.Code == fault.Internal {
		fmt.Fprintf(w, "\nThis is a bug in noren. Please report it with what you did.\n")
	}
}

// padding is the blank before column (from 1) of a line, keeping its tabs so
// that the mark stands under the right letter.
func padding(line string, column int) string {
	var b strings.Builder
	for i, r := range []rune(line) {
		if i >= column-1 {
			break
		}
		if r == '\t' {
			b.WriteRune('\t')
		} else {
			b.WriteRune(' ')
		}
	}
	return b.String()
}
