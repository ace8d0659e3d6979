// Package run is what happens to a plan: events, and what a run looks like
// after a list of them. It does no I/O; time comes with the events.
//
// A run is in one of these states. Only the engine writes events, and each
// state is the fold of the events before it.
//
//	created ─► running ─► done          every step is done
//	              │ ▲
//	              ▼ │ retry
//	           waiting                   a step failed; a person must say what next
//	              │
//	              ├──► undoing ─► undone      everything is as it was before
//	              │            └► stranded    changed, and undo failed or was refused;
//	              │                           or taken back, and customers do not see it
//	              └──► stopped                left as it is, on a person's word
package run

import (
	"slices"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
)

// A Status is one of the states drawn in the package's comment.
type Status string

// The states of a run.
const (
	Created  Status = "created"
	Running  Status = "running"
	Waiting  Status = "waiting"
	Undoing  Status = "undoing"
	Done     Status = "done"
	Undone   Status = "undone"
	Stopped  Status = "stopped"
	Stranded Status = "stranded"
)

// Ended tells whether nothing more will happen to a run by itself.
func (s Status) Ended() bool {
	return s == Done || s == Undone || s == Stopped || s == Stranded
}

// A Type is the kind of an event.
type Type string

// The types of event.
const (
	RunCreated   Type = "run.created"
	RunStarted   Type = "run.started" // also when it is carried on after a crash
	RunWaiting   Type = "run.waiting"
	RunUndoing   Type = "run.undoing"
	RunEnded     Type = "run.ended"
	StageStarted Type = "stage.started"
	Prepared     Type = "run.prepared" // all targets observed, all receipts committed
	StepStarted  Type = "step.started"
	StepWaiting  Type = "step.waiting" // applied, not settled yet; or a check that does not pass yet
	StepDone     Type = "step.done"
	StepFailed   Type = "step.failed"
	StepSkipped  Type = "step.skipped"
	StepUndone   Type = "step.undone"
	StepStranded Type = "step.stranded"
	Signalled    Type = "signal.received"
	Extended     Type = "run.extended"
	Reminded     Type = "run.reminded" // a person was told of a closing that is done
	Adopted      Type = "run.adopted"  // rebuilt from its marks; its own records are elsewhere, or lost
)

// An Event is one thing that happened in a run. Seq numbers all events of a
// store, over all runs; Hash covers the event and Prev, the hash before it.
type Event struct {
	Seq  int64     `json:"seq"`
	Run  string    `json:"run"`
	Type Type      `json:"type"`
	At   time.Time `json:"at"`
	Step string    `json:"step,omitempty"`
	Data Data      `json:"data,omitzero"`
	Prev string    `json:"prev,omitempty"`
	Hash string    `json:"hash,omitempty"`
}

// Data is what an event tells; which fields are set depends on its type. Fields
// are only added: a hash covers them as they were written.
type Data struct {
	Stage   plan.StageName  `json:"stage,omitempty"`
	Status  Status          `json:"status,omitempty"`
	Actor   string          `json:"actor,omitempty"`
	Digest  string          `json:"digest,omitempty"`
	Text    string          `json:"text,omitempty"`
	Verdict *action.Verdict `json:"verdict,omitempty"`
	Problem *Problem        `json:"problem,omitempty"`
	Signal  Signal          `json:"signal,omitempty"`
	// Until, From and By are of an extension: the end it gives, the end it
	// moves, and the run that did so; Services are those it is about.
	Until    time.Time     `json:"until,omitzero"`
	From     time.Time     `json:"from,omitzero"`
	By       string        `json:"by,omitempty"`
	Services []string      `json:"services,omitempty"`
	Topic    Topic         `json:"topic,omitempty"`  // of a reminder
	Offset   time.Duration `json:"offset,omitempty"` // of a reminder: of its moment from the end, negative before it
	Why      string        `json:"why,omitempty"`    // of a reminder: the part of Text that is no form of words
	// Channel, Handle and Upto are of a channel that tells people: its name, what
	// it kept, and the number of the last event that it has told.
	Channel  string `json:"channel,omitempty"`
	Handle   string `json:"handle,omitempty"`
	Upto     int64  `json:"upto,omitempty"`
	Nothing  bool   `json:"nothing,omitempty"` // the step found nothing to change
	Attempts int    `json:"attempts,omitempty"`

	// Of what a person did, and of a process that begins to execute.
	Origin    *Origin       `json:"origin,omitempty"`
	Confirmed *Confirmation `json:"confirmed,omitempty"`
	// Identities are the names by which the outside systems know noren, by driver
	// ("kube") or by cluster and driver ("osaka/kube").
	Identities map[string]string `json:"identities,omitempty"`
	// Receipts are the digests of the run's receipts, by step. Through them the
	// chain of events covers what the receipts say.
	Receipts map[string]string `json:"receipts,omitempty"`
}

// A Signal is what a person tells a run.
type Signal string

// The signals. Undo puts everything back; Stop leaves things as they are;
// Retry tries what failed again; Skip goes on without it.
const (
	SignalRetry Signal = "retry"
	SignalSkip  Signal = "skip"
	SignalUndo  Signal = "undo"
	SignalStop  Signal = "stop"
)

// A Problem is a fault as an event keeps it.
type Problem struct {
	Code    fault.Code `json:"code"`
	Summary string     `json:"summary"`
	Detail  string     `json:"detail,omitempty"`
	Left    string     `json:"left,omitempty"`
	Try     []string   `json:"try,omitempty"`
}

// ProblemOf makes the event form of an error.
func ProblemOf(err error) *Problem {
	faults := fault.Of(err)
	if len(faults) == 0 {
		return nil
	}
	f := faults[0]
	return &Problem{Code: f.Code, Summary: f.Summary, Detail: f.Detail, Left: f.Left, Try: f.Try}
}

// Fault gives the problem back as an error.
func (p *Problem) Fault() *fault.Fault {
	return &fault.Fault{Code: p.Code, Summary: p.Summary, Detail: p.Detail, Left: p.Left, Try: p.Try}
}

// A Run is a plan with what happened to it.
type Run struct {
	ID      string
	Plan    *plan.Plan
	Digest  string
	Actor   string
	Created time.Time

	Status  Status
	Started time.Time
	Ended   time.Time
	Stage   plan.StageName
	// Until is the end of the plan or, as extended, the last of its services'.
	Until time.Time
	// Extensions moved the end, oldest first.
	Extensions []Extension
	// Reminders are what people were told of the closing, oldest first.
	Reminders []Reminder
	// Heard is how far each channel has told people.
	Heard   map[string]Heard
	Steps   map[string]*Step
	planned map[string]*plan.Step
	Problem *Problem // why the run waits, takes back, or ended as it did
	// Adopted is who rebuilt the run from its marks, and when: its records
	// before that are elsewhere, or lost. It is zero for any other run.
	Adopted Adoption
	// Ending is undo or stop once the run was told so, or decided so: nothing
	// but the end follows, also after a crash.
	Ending Signal
	Last   int64     // seq of the last event folded
	LastAt time.Time // its time
}

// An Adoption is who rebuilt a run from its marks, and when.
type Adoption struct {
	By string
	At time.Time
}

// IsZero tells whether nobody did.
func (a Adoption) IsZero() bool { return a.At.IsZero() }

// A Step is what happened to one step of the plan.
type Step struct {
	Status   StepStatus
	Started  time.Time
	Ended    time.Time
	Nothing  bool
	Verdict  *action.Verdict
	Problem  *Problem
	Attempts int
}

// A StepStatus is how far a step is.
type StepStatus string

// The states of a step.
const (
	StepPending    StepStatus = "pending"
	StepIsRunning  StepStatus = "running"
	StepIsWaiting  StepStatus = "waiting"
	StepIsDone     StepStatus = "done"
	StepHasFailed  StepStatus = "failed"
	StepWasSkipped StepStatus = "skipped"
	StepIsUndone   StepStatus = "undone"
	StepIsStranded StepStatus = "stranded"
)

// New returns the run of a plan to which nothing has happened yet.
func New(id string, p *plan.Plan, digest, actor string, created time.Time) *Run {
	r := &Run{ID: id, Plan: p, Digest: digest, Actor: actor, Created: created,
		Status: Created, Until: p.Until, Steps: map[string]*Step{}, planned: map[string]*plan.Step{}}
	expect := func(steps []plan.Step) {
		for i := range steps {
			s := &steps[i]
			r.Steps[s.ID], r.planned[s.ID] = &Step{Status: StepPending}, s
		}
	}
	for _, stage := range p.Stages {
		expect(stage.Steps)
	}
	expect(p.Return)
	return r
}

// Planned returns the plan's step of that id.
func (r *Run) Planned(id string) (plan.Step, bool) {
	if s, ok := r.planned[id]; ok {
		return *s, true
	}
	return plan.Step{}, false
}

// Fold applies an event to the run. Events it has seen already, and those of
// other runs, change nothing, so that a view may read a list twice.
func (r *Run) Fold(e Event) {
	if e.Run != r.ID || e.Seq <= r.Last {
		return
	}
	r.Last, r.LastAt = e.Seq, e.At
	if r.Status.Ended() && e.Type != Extended && e.Type != Reminded && !e.Type.ofChannels() {
		return // a closing that is done may still be extended and told of, nothing else
	}
	if e.Step != "" {
		r.foldStep(e)
		return
	}
	switch e.Type {
	case RunStarted:
		if r.Status != Undoing {
			r.Status = Running
		}
		if r.Started.IsZero() {
			r.Started = e.At
		}
	case StageStarted:
		r.Stage = e.Data.Stage
	case RunWaiting:
		r.Status, r.Problem = Waiting, e.Data.Problem
	case RunUndoing:
		r.Status, r.Problem, r.Ending = Undoing, e.Data.Problem, SignalUndo
	case Signalled:
		if r.Status == Waiting {
			r.Status, r.Problem = Running, nil
		}
		if s := e.Data.Signal; r.Ending == "" && e.Data.Text == "" && (s == SignalUndo || s == SignalStop) {
			r.Ending = s
		}
	case Extended:
		r.extended(e)
	case Reminded:
		r.reminded(e)
	case Telling, Told, Missed:
		r.heard(e)
	case Adopted:
		r.Adopted = Adoption{e.Data.Actor, e.At}
	case RunEnded:
		r.Status, r.Ended = e.Data.Status, e.At
		if e.Data.Problem != nil {
			r.Problem = e.Data.Problem
		}
		if r.Status == Done {
			r.Problem = nil
		}
	}
}

func (r *Run) foldStep(e Event) {
	s := r.Steps[e.Step]
	if s == nil {
		s = &Step{Status: StepPending}
		r.Steps[e.Step] = s
	}
	if e.Data.Verdict != nil {
		s.Verdict = e.Data.Verdict
	}
	switch e.Type {
	case StepStarted:
		s.Status, s.Problem = StepIsRunning, nil
		s.Attempts++
		if s.Started.IsZero() {
			s.Started = e.At
		}
		return
	case StepWaiting:
		s.Status = StepIsWaiting
		return
	case StepDone:
		s.Status, s.Problem, s.Nothing = StepIsDone, nil, e.Data.Nothing
	case StepFailed:
		s.Status, s.Problem = StepHasFailed, e.Data.Problem
	case StepSkipped:
		s.Status = StepWasSkipped
	case StepUndone:
		s.Status = StepIsUndone
	case StepStranded:
		s.Status, s.Problem = StepIsStranded, e.Data.Problem
	default:
		return
	}
	s.Ended = e.At
}

// Changed lists the changes that the run may have written and has not taken
// back, in the plan's order. A step counts from the moment it was begun: the
// process may have died with the write on its way. One that was refused for
// drift at its only attempt wrote nothing, by the contract of a change.
func (r *Run) Changed() []plan.Step {
	var changed []plan.Step
	for _, s := range r.Plan.Steps() {
		st := r.Steps[s.ID]
		if s.Kind != action.KindChange || st.Attempts == 0 || st.Nothing || st.Status == StepIsUndone {
			continue
		}
		if st.Attempts == 1 && st.Status != StepIsStranded && st.Problem != nil && st.Problem.Code == fault.Drift {
			continue
		}
		changed = append(changed, s)
	}
	return changed
}

// Findings are what the checks that passed found all the same, and a person
// should know, in the plan's order and each once.
func (r *Run) Findings() []string {
	var all []string
	for _, s := range r.Plan.Steps() {
		st := r.Steps[s.ID]
		if st.Status != StepIsDone || st.Verdict == nil || !st.Verdict.OK {
			continue
		}
		for _, f := range st.Verdict.Findings {
			if !slices.Contains(all, f) {
				all = append(all, f)
			}
		}
	}
	return all
}

// An Admission tells whether staff got into a service when they were last looked
// for, and what they met if not.
type Admission struct {
	Service string   `json:"service"`
	In      bool     `json:"in"`
	Met     []string `json:"met,omitempty"`
}

// Staff tells for each service whose staff were looked for whether they got in.
func (r *Run) Staff() []Admission {
	var all []Admission
	for _, s := range r.Plan.Steps() {
		st := r.Steps[s.ID]
		if s.Action != plan.ActionStaff || st.Ended.IsZero() {
			continue
		}
		a := Admission{Service: s.Service, In: st.Status == StepIsDone}
		if v := st.Verdict; v != nil && !a.In {
			a.Met = v.Findings
		}
		all = append(all, a)
	}
	return all
}

// Unproved says where nothing was proved, a line each: where the plan could prove
// nothing, and, of a run that is done, the proofs that were skipped or that,
// being optional, failed.
func (r *Run) Unproved() []string {
	all := r.Plan.Unproved()
	if r.Status != Done {
		return all
	}
	for _, stage := range r.Plan.Stages {
		for _, s := range stage.Steps {
			st := r.Steps[s.ID]
			if stage.Name != plan.StageProve || s.Action == plan.ActionStaff {
				continue
			}
			switch {
			case st.Status == StepWasSkipped:
				all = append(all, s.Title+": skipped")
			case st.Status == StepHasFailed && st.Problem != nil:
				all = append(all, s.Title+": "+st.Problem.Detail)
			}
		}
	}
	return all
}

// TakenBack lists the ids of the changes that the run has taken back, in the
// plan's order.
func (r *Run) TakenBack() []string {
	var ids []string
	for _, s := range r.Plan.Steps() {
		if r.Steps[s.ID].Status == StepIsUndone {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// Returned tells whether the run took something back and proved from outside
// that customers see it.
func (r *Run) Returned() bool {
	proved := false
	for _, s := range r.Plan.Return {
		switch st := r.Steps[s.ID]; st.Status {
		case StepIsDone:
			proved = true
		case StepHasFailed:
			return false
		}
	}
	return proved
}

// Failed lists the ids of the steps that stand in a state a person must look
// at, in the plan's order.
func (r *Run) Failed() []string {
	var ids []string
	for _, s := range r.Plan.Steps() {
		if st := r.Steps[s.ID].Status; st == StepHasFailed || st == StepIsStranded {
			ids = append(ids, s.ID)
		}
	}
	return ids
}
