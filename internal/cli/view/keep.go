package view

import (
	"fmt"
	"slices"

	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/keeper"
	"github.com/noren-dev/noren/internal/run"
)

// Reminder prints one line, and what to do about it.
func (h Human) Reminder(r keeper.Reminder) {
	text := r.Text
	switch {
	case r.Topic == run.Opened:
		text = green(text)
	case r.Left <= 0 || r.Topic != run.Ending:
		text = yellow(text)
	}
	h.print("%s  %s\n", faint(r.At.Local().Format("15:04:05")), text)
	for _, t := range r.Try {
		h.print("            %s\n", t)
	}
}

// Reminder prints {"type":"reminder","reminder":…}.
func (j JSON) Reminder(r keeper.Reminder) {
	j.put(j.Out, "reminder", map[string]any{"reminder": r})
}

// opens says whether a service opens by itself, and who would do it.
func (h Human) opens(c control.ClosedService) {
	switch {
	case !c.AutoOpen:
	case c.Keeper == nil:
		h.print("    %s\n", loud("nothing opens it: no keeper is at work")+" it was closed to open by itself: noren keep")
	default:
		h.print("    opens by itself at %s if healthy\n", h.clock(c.Until, c.Closing.Plan.Zone))
	}
	if why := notOpened(c); why != "" {
		h.print("    %s\n", yellow(oneLine(why)))
	}
}

// notOpened is why a keeper did not open at the present end, as it last said.
func notOpened(c control.ClosedService) string {
	if c.Closing == nil {
		return ""
	}
	for _, m := range slices.Backward(c.Closing.Reminders) {
		told := m.Topic == run.Unready || m.Topic == run.Drifted || m.Topic == run.Failed
		if told && m.Until.Equal(c.Until) && slices.Contains(m.Services, c.Service) {
			return "told at " + Human{}.clock(m.At, c.Closing.Plan.Zone) + ": " + m.Text
		}
	}
	return ""
}

// kept says who minds what is closed.
func (h Human) kept(closed []control.ClosedService) {
	if len(closed) == 0 {
		return
	}
	k := closed[0].Keeper
	if k == nil {
		h.print("%s\n", faint("no keeper is at work: nobody is reminded (noren keep)"))
		return
	}
	h.print("%s\n", faint(fmt.Sprintf("keeper: process %d of %s, since %s", k.PID, k.Actor, h.clock(k.Since, closed[0].Closing.Plan.Zone))))
}
