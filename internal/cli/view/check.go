package view

import (
	"maps"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// Checked shows a line for each service. The faults themselves follow apart.
func (h Human) Checked(r *control.CheckReport) {
	width := 0
	for _, e := range r.Environments {
		for _, s := range e.Services {
			width = max(width, len(s.Name))
		}
	}
	for _, e := range r.Environments {
		h.print("%s", bold(e.Name))
		if e.Protected {
			h.print("  %s", faint("protected"))
		}
		if len(e.Problems) > 0 {
			h.print("  %s", red("✗ "+summaries(e.Problems)))
		}
		h.print("\n")
		noted := map[string][]string{}
		for _, s := range e.Services {
			for _, n := range s.Notes {
				noted[n] = append(noted[n], s.Name)
			}
		}
		for _, s := range e.Services {
			name := s.Name + strings.Repeat(" ", width-len(s.Name))
			if len(s.Problems) > 0 {
				h.print("  %s %s  %s\n", red("✗"), name, summaries(s.Problems))
			} else {
				h.print("  %s %s  %s\n", green("✓"), name, faint(strings.Join(s.Facts, ", ")))
			}
			for _, n := range s.Notes {
				if len(noted[n]) == 1 {
					h.print("    %s%s\n", strings.Repeat(" ", width+2), faint(n))
				}
			}
		}
		for _, n := range slices.Sorted(maps.Keys(noted)) { // what holds for many is said once
			if len(noted[n]) > 1 {
				h.print("  %s %s: %s\n", faint("note:"), strings.Join(noted[n], ", "), n)
			}
		}
		if len(e.Services) == 0 {
			h.print("  %s\n", faint("no service yet"))
		}
	}
	for _, e := range r.Environments {
		if e.Grant != "" {
			h.print("\nWhat %s lacks in %s is granted by:\n\n%s\n", e.Identity, e.Name, e.Grant)
		}
	}
}

func summaries(problems []error) string {
	var all []string
	seen := map[string]bool{}
	for _, err := range problems {
		for _, f := range fault.Of(err) {
			if !seen[f.Summary] {
				seen[f.Summary] = true
				all = append(all, f.Summary)
			}
		}
	}
	return strings.Join(all, ", ")
}

// Actions shows what the drivers can do.
func (h Human) Actions(drivers []*driver.Driver) {
	width := 0
	for _, d := range drivers {
		for _, a := range d.Actions {
			width = max(width, len(a.Name))
		}
	}
	for i, d := range drivers {
		if i > 0 {
			h.print("\n")
		}
		h.print("%s  %s\n", bold(d.Name), faint(d.Summary))
		for _, a := range d.Actions {
			name := a.Name + strings.Repeat(" ", width-len(a.Name))
			h.print("  %s  %-6s  %s", name, a.Kind, a.Summary)
			if a.Kind == "effect" {
				h.print("  %s", yellow("cannot be undone"))
			}
			h.print("\n")
		}
	}
}

// Checked prints {"type":"check","environments":[…]}.
func (j JSON) Checked(r *control.CheckReport) {
	environments := []map[string]any{}
	for _, e := range r.Environments {
		services := []map[string]any{}
		for _, s := range e.Services {
			services = append(services, map[string]any{"service": s.Name, "ok": len(s.Problems) == 0,
				"facts": s.Facts, "notes": s.Notes, "problems": problems(s.Problems)})
		}
		m := map[string]any{"environment": e.Name, "protected": e.Protected, "services": services, "problems": problems(e.Problems)}
		if e.Grant != "" {
			m["identity"], m["grant"] = e.Identity, e.Grant
		}
		environments = append(environments, m)
	}
	j.put(j.Out, "check", map[string]any{"file": r.File, "live": r.Live, "environments": environments})
}

func problems(errs []error) []map[string]any {
	all := []map[string]any{}
	for _, err := range errs {
		for _, f := range fault.Of(err) {
			all = append(all, map[string]any{"code": f.Code, "summary": f.Summary, "detail": f.Detail, "at": f.At, "try": f.Try})
		}
	}
	return all
}

// Actions prints {"type":"actions","actions":[…]}.
func (j JSON) Actions(drivers []*driver.Driver) {
	actions := []map[string]any{}
	for _, d := range drivers {
		for _, a := range d.Actions {
			actions = append(actions, map[string]any{"name": a.Name, "driver": d.Name, "kind": a.Kind, "summary": a.Summary, "undoable": a.Kind == "change"})
		}
	}
	j.put(j.Out, "actions", map[string]any{"actions": actions})
}
