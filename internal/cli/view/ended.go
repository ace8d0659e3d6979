package view

import (
	"fmt"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// Ended says how a run ended.
func (h Human) Ended(r *run.Run, _ time.Time) {
	took := ""
	if !r.Started.IsZero() && !r.Ended.IsZero() {
		took = fmt.Sprintf(" in %.1f s", r.Ended.Sub(r.Started).Seconds())
	}
	names := serviceNames(r.Plan)
	env := r.Plan.Environment.Name
	switch {
	case r.Status == run.Done && r.Plan.Kind == plan.Close:
		h.print("\n%s %s in %s%s.\n", proved(r, "Closed"), names, env, took)
		h.places(r.Unproved())
		for _, f := range r.Findings() {
			h.print("  %s %s\n", loud("WARNING"), f)
		}
		if !r.Until.IsZero() {
			h.print("  until %s\n", h.clock(r.Until, r.Plan.Zone))
		}
		h.staff(r)
		h.print("  open again:  %s\n", r.Plan.OpenCommand())
	case r.Status == run.Done && r.Plan.Kind == plan.Extend:
		h.print("\n%s %s in %s%s.\n", proved(r, "Extended"), names, env, took)
		h.print("  until %s\n", h.clock(r.Until, r.Plan.Zone))
		for _, n := range r.Plan.Notes { // customers read another end than who extended it
			if n.Warn {
				h.print("  %s %s\n", loud("WARNING"), n.Text)
			}
		}
		h.places(r.Unproved())
	case r.Status == run.Done:
		h.print("\n%s %s in %s%s.\n", proved(r, "Open"), names, env, took)
		h.places(r.Unproved())
	case r.Status == run.Undone:
		h.print("\n%s %s.\n", yellow("Undone:"), undone(r))
		if len(r.TakenBack()) > 0 {
			h.places(r.Unproved())
		}
	case r.Status == run.Stopped:
		h.print("\n%s left as it is: %s\n", yellow("Stopped:"), leftOf(r))
	case r.Status == run.Stranded:
		h.print("\n%s %s\n", loud("STRANDED"), leftOf(r))
	}
}

// proved is the word for what a run that is done has done, as far as it was seen.
func proved(r *run.Run, word string) string {
	if len(r.Unproved()) > 0 {
		return yellow(word + ", but NOT PROVED everywhere:")
	}
	return green(word + ":")
}

// places says where nothing was proved.
func (h Human) places(unproved []string) {
	for _, place := range unproved {
		h.print("  %s %s\n", loud("NOT PROVED"), strings.ReplaceAll(place, "\n", "\n    "))
	}
}

// staff says whether staff get in with the pass, if there is one.
func (h Human) staff(r *run.Run) {
	if r.Plan.Pass == "" {
		return
	}
	var in []string
	for _, a := range r.Staff() {
		if a.In {
			in = append(in, a.Service)
			continue
		}
		h.print("  %s\n", yellow("staff do NOT get in yet: "+a.Service+"; try again in a moment"))
		for _, met := range a.Met {
			h.print("    %s\n", met)
		}
	}
	if len(in) > 0 {
		h.print("  staff get in: %s\n", strings.Join(in, ", "))
	}
	h.print("  staff pass with the header or cookie that this prints: noren status --pass\n")
}

// undone says no more than was seen: a plan of an older noren, or one without a
// URL, has no proof that customers see what was taken back.
func undone(r *run.Run) string {
	switch {
	case len(r.TakenBack()) == 0:
		return "nothing was changed"
	case r.Returned():
		return "everything is as it was before, seen from outside"
	default:
		return "everything was written back; what customers see was not proved"
	}
}

func leftOf(r *run.Run) string {
	if r.Problem == nil || r.Problem.Left == "" {
		return "see noren status"
	}
	return r.Problem.Left
}

func serviceNames(p *plan.Plan) string {
	var names []string
	for _, s := range p.Services {
		names = append(names, s.Name)
	}
	return strings.Join(names, ", ")
}
