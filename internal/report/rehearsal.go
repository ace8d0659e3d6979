package report

import (
	"time"

	"github.com/noren-dev/noren/internal/run"
)

// A Phase is a part of a rehearsal, as its visitors meet it.
type Phase string

// The phases, in their order.
const (
	Before  Phase = "before"
	Closing Phase = "while closing"
	Shut    Phase = "closed"
	Opening Phase = "while opening"
	After   Phase = "after"
)

// Phases are all phases in their order.
func Phases() []Phase { return []Phase{Before, Closing, Shut, Opening, After} }

// A Rehearsal is what closing and opening were when they were tried out.
type Rehearsal struct {
	Environment string   `json:"environment"`
	Services    []string `json:"services"`
	// OnCopy is set where the live objects were copied and nothing real was
	// written to.
	OnCopy  bool   `json:"onCopy"`
	OK      bool   `json:"ok"`
	Outcome string `json:"outcome"`
	// Failure is where it failed; nil if it did not.
	Failure *RehearsalFailure `json:"failure,omitempty"`
	Steps   []RehearsedStep   `json:"steps"`
	// Visitors are who was followed through the doors; Seen is what each change
	// made them see.
	Visitors []Visitor `json:"visitors"`
	Seen     []Turn    `json:"seen"`
	// AtRest are the workloads that rest while closed: whoever gets to a service
	// then meets it without them.
	AtRest []string `json:"atRest"`
	// CannotUndo is what has no undo by its nature.
	CannotUndo []Stuck `json:"cannotUndo"`
	// Objects is how many objects of the copy were written to, Different are
	// those that are not as they were before.
	Objects   int          `json:"objects,omitempty"`
	Different []Difference `json:"different"`
	Expected  []Expected   `json:"expected"`
	// Notes are what the plan's reader must know.
	Notes []Fact `json:"notes"`
	// LeftOut is what was not rehearsed, Untold what a rehearsal cannot tell.
	LeftOut []string  `json:"leftOut"`
	Untold  []string  `json:"untold"`
	Made    time.Time `json:"made"`
	// Runs is the report of the runs, nil where none was begun.
	Runs *Report `json:"report,omitempty"`
}

// A RehearsalFailure is where a rehearsal failed, and what that would have
// meant.
type RehearsalFailure struct {
	Doing   string      `json:"doing"` // "closing" or "opening"
	Step    string      `json:"step,omitempty"`
	Problem run.Problem `json:"problem"`
	// Written are the changes that had been made by then, in sentences.
	Written []string `json:"written"`
	// Undo says what taking back did.
	Undo string `json:"undo"`
}

// A RehearsedStep is one step with the time that it took.
type RehearsedStep struct {
	Doing   string        `json:"doing"` // "closing" or "opening"
	Stage   string        `json:"stage"`
	Title   string        `json:"title"`
	Change  string        `json:"change,omitempty"` // what it writes, in a line
	Status  string        `json:"status"`
	Took    time.Duration `json:"-"`
	Seconds float64       `json:"seconds"`
}

// A Visitor is one kind of request, and what it was answered in each phase: what
// it met one after the other.
type Visitor struct {
	Service string             `json:"service"`
	Who     string             `json:"who"`
	Request string             `json:"request"`
	Sees    map[Phase][]string `json:"sees"`
}

// A Turn is a visitor's seeing something else from a write on.
type Turn struct {
	At      time.Time `json:"at"`
	Phase   Phase     `json:"phase"`
	Write   string    `json:"write"`
	Visitor string    `json:"visitor"`
	From    string    `json:"from"`
	To      string    `json:"to"`
}

// A Difference is an object that is not as it was, as YAML; "" where there is none.
type Difference struct {
	Object string `json:"object"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Diff is the way from before to after.
func (d Difference) Diff() []DiffLine { return Change{Before: d.Before, After: d.After}.Diff() }

// An Expected is how long the real thing should take.
type Expected struct {
	Doing   string        `json:"doing"` // "closing" or "opening"
	About   time.Duration `json:"-"`
	Seconds float64       `json:"seconds"`
	// Measured is how many earlier runs it rests on.
	Measured int `json:"measured"`
	// Basis are published figures that it rests on, with their sources; Unknown
	// are the steps for which there is neither.
	Basis   []string `json:"basis"`
	Unknown []string `json:"unknown"`
}
