package report

import (
	"slices"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// A Period is a time during which customers were turned away. Its ends are
// proven if a request through the front door saw them; else they are when
// noren wrote, or took back, what closes. To is zero while it lasts.
type Period struct {
	From       time.Time `json:"from,omitzero"`
	FromProven bool      `json:"fromProven"`
	To         time.Time `json:"to,omitzero"`
	ToProven   bool      `json:"toProven"`
}

// Length is how long the period was, or has been by now.
func (p Period) Length(now time.Time) time.Duration {
	switch {
	case p.From.IsZero():
		return 0
	case p.To.IsZero():
		return max(now.Sub(p.From), 0)
	}
	return p.To.Sub(p.From)
}

// actionOpen is the check by which an opening proves that the page is gone.
const actionOpen = "http/open"

// closedPeriods tells for each service when customers were turned away. There
// may be more than one: an opening that fails after its proof closes again.
func closedPeriods(s Source) map[string][]Period {
	b := periods{}
	for _, part := range s.parts() {
		stages := stageOf(part.Run.Plan)
		for _, e := range part.Events {
			if step, ok := part.Run.Planned(e.Step); ok && step.Service != "" {
				b.event(e, step, stages[step.ID], part.Run.Plan.Kind)
			}
		}
		b.ended(part.Run)
	}
	return b
}

type periods map[string][]Period

func (b periods) event(e run.Event, s plan.Step, stage plan.StageName, kind plan.Kind) {
	writes := s.Kind == action.KindChange && !(e.Type == run.StepDone && e.Data.Nothing)
	closing, opening := kind == plan.Close, kind == plan.Open
	switch {
	case closing && stage == plan.StageClose && writes && e.Type == run.StepDone:
		b.begin(s.Service, e.At, false)
	case closing && stage == plan.StageProve && e.Type == run.StepDone:
		b.begin(s.Service, e.At, true)
	case closing && stage == plan.StageClose && writes && e.Type == run.StepUndone:
		b.end(s.Service, e.At, false)
	case opening && stage == plan.StageOpen && writes && e.Type == run.StepDone:
		b.end(s.Service, e.At, false)
	case opening && stage == plan.StageProve && s.Action == actionOpen && e.Type == run.StepDone:
		b.end(s.Service, e.At, true)
	case opening && stage == plan.StageOpen && writes && e.Type == run.StepUndone:
		b.again(s.Service, e.At)
	}
}

// begin notes that a service is closed. A proof counts from when it was seen;
// a write counts until there is a proof.
func (b periods) begin(service string, at time.Time, proven bool) {
	last := b.last(service)
	switch {
	case last == nil || !last.To.IsZero():
		b[service] = append(b[service], Period{From: at, FromProven: proven})
	case proven && !last.FromProven:
		last.From, last.FromProven = at, true
	}
}

// end notes that a service is open: the first proof counts, or else the last
// write.
func (b periods) end(service string, at time.Time, proven bool) {
	if last := b.last(service); last != nil && !last.ToProven {
		last.To, last.ToProven = at, proven
	}
}

// again notes that an opening was taken back: what was not proven open goes on
// being closed, and what was is closed anew.
func (b periods) again(service string, at time.Time) {
	switch last := b.last(service); {
	case last == nil || last.To.IsZero():
	case last.ToProven:
		b[service] = append(b[service], Period{From: at})
	default:
		last.To = time.Time{}
	}
}

// ended forgets the ends of an opening that stopped half way without a proof:
// one target of several may have been taken down.
func (b periods) ended(r *run.Run) {
	if r.Plan.Kind != plan.Open || r.Status == run.Done {
		return
	}
	for _, s := range r.Plan.Services {
		if last := b.last(s.Name); last != nil && !last.To.IsZero() && !last.ToProven && r.Status != run.Stranded {
			last.To = time.Time{}
		}
	}
}

func (b periods) last(service string) *Period {
	all := b[service]
	if len(all) == 0 {
		return nil
	}
	return &all[len(all)-1]
}

// together is the time from the first service's closing to the last one's
// opening.
func together(b map[string][]Period) Period {
	var all []Period
	for _, list := range b {
		all = append(all, list...)
	}
	if len(all) == 0 {
		return Period{}
	}
	first := slices.MinFunc(all, func(x, y Period) int { return x.From.Compare(y.From) })
	last := slices.MaxFunc(all, ends)
	return Period{From: first.From, FromProven: first.FromProven, To: last.To, ToProven: last.ToProven}
}

// ends orders periods by their ends: one that lasts is the last.
func ends(x, y Period) int {
	switch {
	case x.To.IsZero() && y.To.IsZero():
		return 0
	case x.To.IsZero():
		return 1
	case y.To.IsZero():
		return -1
	}
	return x.To.Compare(y.To)
}
