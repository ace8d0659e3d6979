package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/report"
)

const (
	mostDiffs   = 8 // a screen or two: beyond, the question would be out of sight
	mostTargets = 4
)

// Closing shows a plan to close.
func (h Human) Closing(c *control.Closing, now time.Time) {
	p := c.Plan
	h.heading("Close", p, now)
	said := map[string]bool{"": true}
	for _, s := range p.Services {
		h.print("  %s%s\n", bold(s.Name), faint(owner(s.Team)))
		for _, e := range s.Entrances {
			h.print("    %s  %s\n", e.Target, cyan(e.Strategy))
			if !said[e.Why] { // what holds for many is said once
				h.print("      %s\n", faint(e.Why))
			}
			said[e.Why] = true
		}
		for _, w := range s.Workloads {
			h.print("    %s  %s\n", w.Target, cyan("rests"))
		}
		for _, m := range s.Monitors {
			h.print("    %s %s  %s\n", m.Kind, m.Name, cyan("muted"))
		}
	}
	h.print("\n")
	h.stages(p)
	h.detail = h.detailOf(p)
	h.pages(c.Pages)
	h.foot(p)
	h.print("\n")
}

// Opening shows a plan to open.
func (h Human) Opening(p *plan.Plan, now time.Time) {
	h.heading("Open", p, now)
	for _, s := range p.Services {
		h.print("  %s%s\n", bold(s.Name), faint(owner(s.Team)))
	}
	h.print("\n")
	h.stages(p)
	h.foot(p)
	h.print("\n")
}

func owner(team string) string {
	if team == "" {
		return ""
	}
	return "  (" + team + ")"
}

func (h Human) heading(verb string, p *plan.Plan, now time.Time) {
	h.print("%s in %s", bold(verb), bold(p.Environment.Name))
	if p.Environment.Protected {
		h.print("  %s", loud("PROTECTED"))
	}
	h.print("\n")
	if !p.Until.IsZero() {
		h.print("  until %s (in %s)\n", h.clock(p.Until, p.Zone), report.Roughly(p.Until.Sub(now)))
	}
	if !p.MutedUntil.IsZero() && p.Kind != plan.Open {
		h.print("  monitors are quiet until %s at the latest\n", h.clock(p.MutedUntil, p.Zone))
	}
	switch p.Kind {
	case plan.Open:
		h.print("  takes back run %s\n", p.Closing)
	case plan.Extend:
		h.print("  moves the end of run %s\n", p.Closing)
	}
	h.print("\n")
}

// clock tells a time in the zone of the plan, with the date.
func (h Human) clock(t time.Time, zone string) string {
	if loc, err := time.LoadLocation(zone); err == nil {
		t = t.In(loc)
	}
	return t.Format("2006-01-02 15:04 MST")
}

// stages prints what is done, stage by stage. Of a plan of many changes those that
// do the same to other targets are shortened.
func (h Human) stages(p *plan.Plan) {
	for _, stage := range p.Stages {
		h.print("%s\n", bold(string(stage.Name)))
		h.steps(p, stage.Steps)
	}
	if len(p.Return) > 0 {
		h.print("%s %s\n", bold(string(plan.StageReturn)), faint("if it has to go back"))
		h.steps(p, p.Return)
	}
	h.print("\n")
}

// detailOf is how much of a plan is shown: of a short one everything.
func (h Human) detailOf(p *plan.Plan) detail {
	if changes, _ := p.Count(); changes <= mostDiffs {
		return full
	}
	return h.detail
}

func (h Human) steps(p *plan.Plan, steps []plan.Step) {
	type kind struct {
		kind   action.Kind
		action string
		so     bool
	}
	of := func(s plan.Step) kind { return kind{s.Kind, s.Action, s.From.Equal(s.To)} }
	alike, met := map[kind]int{}, map[kind]int{}
	for _, s := range steps {
		alike[of(s)]++
	}
	detail := h.detailOf(p)
	for _, s := range steps {
		k := of(s)
		met[k]++
		first, many, change := met[k] == 1, alike[k] > mostTargets, k.kind == action.KindChange && !k.so
		switch {
		case detail == full || first || !many:
			h.step(s, detail == full || detail == lines && first)
		case detail == lines && change:
			h.print("  %s %s\n", symbol(s), cmp.Or(s.Description.Line, s.Title))
		}
		if first && many && (detail == brief || detail == lines && !change) {
			h.print("      %s\n", faint(fmt.Sprintf("and %d more like it", alike[k]-1)))
		}
	}
}

// step prints a step, and what it changes.
func (h Human) step(s plan.Step, diffs bool) {
	h.print("  %s %s\n", symbol(s), s.Title)
	switch {
	case s.Kind == action.KindEffect:
		h.print("      %s\n", yellow("cannot be undone"))
	case s.Kind == action.KindChange && s.From.Equal(s.To):
		h.print("      %s\n", faint("already so; nothing to change"))
	case s.Kind == action.KindChange:
		if s.Description.Line != "" {
			h.print("      %s\n", s.Description.Line)
		}
		if !diffs {
			return
		}
		before, after := s.Description.Before, s.Description.After
		if before == "" && after == "" {
			before, after = string(s.From.Fields), string(s.To.Fields)
		}
		h.print("%s", diff(before, after, "      "))
	}
}

func symbol(s plan.Step) string {
	switch s.Kind {
	case action.KindChange:
		return yellow("~")
	case action.KindEffect:
		return yellow("!")
	default:
		return cyan("?")
	}
}

func (h Human) foot(p *plan.Plan) {
	changes, effects := p.Count()
	h.print("%s to change", count(changes, "target"))
	if effects > 0 {
		h.print(", %s that cannot be undone", count(effects, "effect"))
	} else {
		h.print(", everything can be undone")
	}
	h.print(".\n")
	switch h.detailOf(p) {
	case brief:
		h.print("  %s\n", faint("Each of these changes: noren plan, with the same arguments."))
	case lines:
		h.print("  %s\n", faint("Each of these changes with its diff: the same with --diffs."))
	}
	if len(p.Ears) > 0 {
		var who []string
		for _, e := range p.Ears {
			who = append(who, e.Who)
		}
		h.print("  told of it: %s\n", strings.Join(who, ", "))
	}
	h.budgets(p.Budgets)
	h.detail = h.detailOf(p)
	h.notes(p.Notes)
}

// budgets prints how much of each limit is used: of limits of one kind, that
// which is nearest to its end.
func (h Human) budgets(all []driver.Budget) {
	said := map[string]bool{}
	for _, b := range all {
		if said[b.What] {
			continue
		}
		said[b.What] = true
		alike := slices.DeleteFunc(slices.Clone(all), func(o driver.Budget) bool { return o.What != b.What })
		fullest := slices.MaxFunc(alike, func(x, y driver.Budget) int { return cmp.Compare(x.Used*y.Limit, y.Used*x.Limit) })
		line := fmt.Sprintf("%s: at most %d of %d", fullest.What, fullest.Used, fullest.Limit)
		if fullest.Of != "" {
			line += fmt.Sprintf(" on %s, which has %d now", fullest.Of, fullest.Before)
		}
		h.print("  %s\n", line)
	}
}

// notes ends with what it warns of: nearest to the question, where a screen still
// shows it.
func (h Human) notes(notes []plan.Note) {
	notes = slices.SortedStableFunc(slices.Values(notes), func(a, b plan.Note) int {
		if a.Warn == b.Warn {
			return 0
		} else if a.Warn {
			return 1
		}
		return -1
	})
	for _, n := range notes {
		label := faint("note:")
		if n.Warn {
			label = yellow("warning:")
		}
		h.print("  %s %s\n", label, n.Text)
		if len(n.Targets) > 0 {
			h.print("    %s\n", faint(h.targets(n.Targets)))
		}
	}
}

// targets names the targets of a note: of many the first, for one line.
func (h Human) targets(all []string) string {
	if len(all) > mostTargets && h.detail != full {
		return fmt.Sprintf("%s and %d more", all[0], len(all)-1)
	}
	return strings.Join(all, ", ")
}

// pages says what the pages weigh: those of many services once.
func (h Human) pages(pages []control.ServicePage) {
	of := map[string][]string{}
	var order []string
	for _, page := range pages {
		size := fmt.Sprintf("%d bytes", len(page.Page.Body))
		if page.Limit > 0 {
			size = fmt.Sprintf("%d of %d bytes", len(page.Page.Body), page.Limit)
		}
		said := fmt.Sprintf("%s, %s\n", page.Page.ContentType, size)
		for _, n := range page.Page.Notes {
			said += fmt.Sprintf("    %s\n", faint(n))
		}
		if of[said] == nil {
			order = append(order, said)
		}
		of[said] = append(of[said], page.Service)
	}
	for _, said := range order {
		h.print("  page of %s: %s", h.targets(of[said]), said)
	}
}
