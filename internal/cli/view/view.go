// Package view is how the command line shows things: to people, or to
// programs as JSON. The two are implementations of one interface, so that no
// command knows which it has.
package view

import (
	"time"

	"github.com/noren-dev/noren/internal/audit"
	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/keeper"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/report"
	"github.com/noren-dev/noren/internal/run"
)

// StatusOf is what a status was asked of.
type StatusOf struct {
	StateDir    string
	Environment string   // "" for all
	Elsewhere   []string // environments left out in which something is closed or unfinished
}

// A View shows what commands have to say. Its methods do not fail: where
// standard output is gone there is nobody to tell.
type View interface {
	// Closing shows a plan to close. One of many changes shows the diff of the
	// first of each kind, and a line for each of the others.
	Closing(c *control.Closing, now time.Time)
	// Extension shows a plan to extend.
	Extension(c *control.Closing, now time.Time)
	// Opening shows a plan to open.
	Opening(p *plan.Plan, now time.Time)
	// Brief is the view for a question: of many changes of one kind it shows the
	// first, without its diff.
	Brief() View
	// Full is the view that shows the diff of every change, however many.
	Full() View
	// Event reports one thing that happened in a run, with the run after it.
	Event(e run.Event, r *run.Run)
	// Ended says how a run ended and what comes next.
	Ended(r *run.Run, now time.Time)
	// Reminder tells what a keeper has to tell of a closing.
	Reminder(r keeper.Reminder)
	// Rings shows what rings while something is closed, and is not muted.
	Rings(rings []control.Ringing)
	// Status shows what the runs of a state directory hold closed and which of
	// them have not ended.
	Status(closed []control.ClosedService, unfinished []*run.Run, asked StatusOf, now time.Time)
	// Leftovers shows what no run of a state directory explains.
	Leftovers(r *control.LeftoverReport, stateDir string, now time.Time)
	// Recovery shows what is about to be adopted.
	Recovery(rec *control.Recovery, now time.Time)
	// Rehearsal tells how a rehearsal went.
	Rehearsal(r *report.Rehearsal)
	// Sights answers who sees what.
	Sights(request string, sights []control.Sight)
	// Checked shows what check found, a line for each service.
	Checked(r *control.CheckReport)
	// Policies prints IAM policies.
	Policies(policies []control.Policy)
	// Actions lists what the drivers can do.
	Actions(drivers []*driver.Driver)
	// Records lists records of the audit.
	Records(records []audit.Record)
	// Verified says that records are as they were written. head is the one that
	// was compared with, or "".
	Verified(r audit.Report, head string)
	// History lists past runs.
	History(rows []report.Row, now time.Time)
	// Reading says what reading before a run waits for, once that takes long.
	Reading(r control.Reading)
	// Say prints a sentence that is no result: progress, a hint, a warning.
	Say(format string, args ...any)
	// Result prints a command's result: text for people, value as JSON.
	Result(text string, value any)
	// Fault shows what went wrong.
	Fault(err error)
}
