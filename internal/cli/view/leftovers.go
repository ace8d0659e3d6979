package view

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/report"
)

// Leftovers shows what was found, environment by environment.
func (h Human) Leftovers(r *control.LeftoverReport, stateDir string, now time.Time) {
	ours, whole := false, true
	for _, e := range r.Environments {
		whole = whole && e.Err == nil && len(e.Unseen) == 0
		h.print("%s  %s\n", bold(e.Environment), faint(looked(e)))
		for i, l := range e.Leftovers {
			ours = ours || l.Ours
			if i == 0 || heading(l) != heading(e.Leftovers[i-1]) {
				h.print("  %s\n", h.leftover(l, now))
			}
			h.print("    %s\n", l.Target)
			if last := i == len(e.Leftovers)-1; last || heading(l) != heading(e.Leftovers[i+1]) {
				h.mending(l)
			}
		}
	}
	switch {
	case ours:
	case whole:
		h.print("\n%s of noren's is left over that the runs of %s do not explain.\n", green("Nothing"), stateDir)
	default:
		h.print("\n%s of noren's was found where noren could look. What it could not look at is not known.\n", yellow("Nothing"))
	}
}

// heading is what neighbours share that are shown together.
func heading(l control.Leftover) string {
	return strings.Join([]string{string(l.Cause), l.Run, l.Service, l.What, strings.Join(l.Try, "\n")}, "\x00")
}

func (h Human) leftover(l control.Leftover, now time.Time) string {
	name := cmp.Or(l.Service, "something")
	switch {
	case l.Cause == control.NoMark && l.Ours:
		return red("no mark") + "  " + l.What + since(l, now)
	case l.Cause == control.Tagged:
		return bold(name) + "  " + l.What + since(l, now) + "\n    " + yellow("It is all that is left of its closing.")
	case l.Cause == control.NoMark:
		return faint("worth a look") + "  " + l.What + since(l, now)
	case !l.Recoverable():
		return red(string(l.Cause)) + "  " + l.What
	}
	line := fmt.Sprintf("%s  closed by run %s of %s%s", bold(name), l.Run, cmp.Or(l.By, "somebody"), since(l, now))
	if !l.Until.IsZero() {
		line += ", until " + l.Until.Local().Format("2006-01-02 15:04 MST")
	}
	if l.Reason != "" {
		line += ", because: " + oneLine(l.Reason)
	}
	return line + "\n    " + yellow(l.What)
}

func since(l control.Leftover, now time.Time) string {
	if l.Since.IsZero() {
		return ""
	}
	text := fmt.Sprintf(", %s ago (%s)", report.Roughly(now.Sub(l.Since)), l.Since.Local().Format("2006-01-02 15:04 MST"))
	if l.Cause == control.NoMark && l.By != "" {
		text += ", last written by " + l.By
	}
	return text
}

func (h Human) mending(l control.Leftover) {
	for _, t := range l.Try {
		h.print("      %s\n", cyan(strings.ReplaceAll(t, "\n", "\n      ")))
	}
}

// looked says what was looked at in an environment.
func looked(e control.EnvironmentLook) string {
	if e.Err != nil && len(e.Seen) == 0 {
		return "could not be looked at"
	}
	text := "looked at " + e.Sights()
	if len(e.Unseen) > 0 {
		text += "; it may not list " + strings.Join(e.Unseen, ", ")
	}
	if e.Err != nil {
		text += ", and not at everything"
	}
	return text
}

// Recovery shows what recover is about to adopt.
func (h Human) Recovery(rec *control.Recovery, now time.Time) {
	h.print("%s in %s", bold("Recover"), bold(rec.Environment.Name))
	if rec.Environment.Protected {
		h.print("  %s", loud("PROTECTED"))
	}
	h.print("\n")
	for _, r := range rec.Runs {
		h.print("  run %s of %s, %s ago (%s)\n", bold(r.Run), cmp.Or(r.Actor, "somebody"), report.Roughly(now.Sub(r.Created)), h.clock(r.Created, r.Plan.Zone))
		if r.ID != r.Run {
			h.print("    %s\n", faint("that run is known here and has ended: it is adopted as "+r.ID))
		}
		for _, s := range r.Plan.Services {
			h.print("    %s%s\n", bold(s.Name), faint(owner(s.Team)))
			if s.Missing > 0 {
				h.print("      %s %d of its changes carry no usable mark: it may be closed half-way only, and customers may get in\n", yellow("half closed:"), s.Missing)
			}
		}
		for _, receipt := range r.Receipts {
			h.print("      %s\n", receipt.Target)
		}
		if names := r.Unproved(); len(names) > 0 {
			h.print("    %s an older noren left the mark, which tells no more than the target: %s is restored, and not proved open.\n", yellow("warning:"), strings.Join(names, ", "))
		}
	}
	for _, l := range rec.Tagged {
		h.print("  %s is noren's own, and all that is left of its closing: it is taken away\n", bold(l.Target))
	}
	h.print("  %s the noren that made a run must not be at work on it any more: its mark cannot tell.\n", yellow("warning:"))
	for _, l := range rec.Stuck {
		h.print("  %s %s: %s\n", yellow("warning:"), l.Target, l.What)
	}
	if rec.Look.Err != nil {
		h.print("  %s not everything could be looked at; what is found later can be recovered then: %v\n", yellow("warning:"), rec.Look.Err)
	}
	h.print("\n")
}

// Leftovers prints {"type":"leftovers","environments":[…]}.
func (j JSON) Leftovers(r *control.LeftoverReport, stateDir string, _ time.Time) {
	envs := []map[string]any{}
	for _, e := range r.Environments {
		found := []map[string]any{}
		for _, l := range e.Leftovers {
			m := map[string]any{"target": l.Target, "cause": l.Cause, "what": l.What, "ours": l.Ours, "recoverable": l.Recoverable() || l.Cause == control.Tagged,
				"run": l.Run, "by": l.By, "service": l.Service, "reason": l.Reason, "try": l.Try}
			if !l.Since.IsZero() {
				m["since"] = l.Since
			}
			if !l.Until.IsZero() {
				m["until"] = l.Until
			}
			found = append(found, m)
		}
		m := map[string]any{"environment": e.Environment, "seen": e.Seen, "unseen": e.Unseen, "leftovers": found}
		if e.Err != nil {
			m["error"] = e.Err.Error()
		}
		envs = append(envs, m)
	}
	j.put(j.Out, "leftovers", map[string]any{"environments": envs, "stateDirectory": stateDir})
}

// Recovery prints {"type":"recovery","environment":…,"runs":[…]}.
func (j JSON) Recovery(rec *control.Recovery, _ time.Time) {
	runs := []map[string]any{}
	for _, r := range rec.Runs {
		var targets []string
		for _, receipt := range r.Receipts {
			targets = append(targets, receipt.Target)
		}
		runs = append(runs, map[string]any{"run": r.Run, "as": r.ID, "by": r.Actor, "since": r.Created, "services": serviceNames(r.Plan), "targets": targets, "unproved": r.Unproved()})
	}
	var stuck []string
	for _, l := range rec.Stuck {
		stuck = append(stuck, l.Target)
	}
	tagged := []string{}
	for _, l := range rec.Tagged {
		tagged = append(tagged, l.Target)
	}
	j.put(j.Out, "recovery", map[string]any{"environment": rec.Environment.Name, "runs": runs, "tagged": tagged, "stuck": stuck})
}
