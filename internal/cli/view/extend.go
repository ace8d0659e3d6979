package view

import (
	"fmt"
	"time"

	"github.com/noren-dev/noren/internal/control"
)

// Extension shows a plan to extend.
func (h Human) Extension(c *control.Closing, now time.Time) {
	h.heading("Extend", c.Plan, now)
	for _, s := range c.Plan.Services {
		h.print("  %s%s\n", bold(s.Name), faint(owner(s.Team)))
	}
	h.print("\n")
	h.stages(c.Plan)
	h.foot(c.Plan)
	h.pages(c.Pages)
	h.print("\n")
}

// extended says who moved a service's end, if anybody did, and what became of
// an attempt that did not end well.
func (h Human) extended(c control.ClosedService) {
	if e := c.Extension; e != nil {
		from := ""
		if !e.From.IsZero() {
			from = " from " + h.clock(e.From, c.Closing.Plan.Zone)
		}
		h.print("    %s\n", faint(fmt.Sprintf("extended%s by %s at %s  %s", from, e.Actor, h.clock(e.At, c.Closing.Plan.Zone), e.Run)))
		if e.Reason != "" {
			h.print("    %s\n", faint("because: "+oneLine(e.Reason)))
		}
	}
	if r := c.Trouble; r != nil {
		h.print("    %s run %s by %s, to extend until %s: customers may see either end. Extend again, or open.\n",
			loud(string(r.Status)), r.ID, r.Actor, h.clock(r.Plan.Until, c.Closing.Plan.Zone))
	}
}

// Extension prints {"type":"plan","plan":…,"pages":…}.
func (j JSON) Extension(c *control.Closing, now time.Time) { j.Closing(c, now) }
