// Package report tells afterwards what a closing was: for the history, in a
// line, and for a post-mortem, in full, with its extensions and openings and a
// picture of the time it took. It makes a [Report] from runs and their events,
// and writes it as Markdown, HTML or SVG. It does no I/O; times and places are
// arguments.
//
// Everything in a report may come from people: names, reasons, what an outside
// system answered. Each writer escapes all of it.
package report

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// A Part is one run and everything that was recorded of it. Secrets have been
// taken out.
type Part struct {
	Run    *run.Run
	Events []run.Event
}

// A Source is what a report is made of.
type Source struct {
	Closing Part
	// Following are the runs about the closing, oldest first: those that took it
	// back, or tried to, and whatever else was done to it.
	Following []Part
	Now       time.Time
	Zone      *time.Location // in which people are told of times
	// Records is how many records there were in all when the report was made,
	// and Head the last one's hash. Broken is what is wrong with them, or "".
	Records int
	Head    string
	Broken  string
	Version string // of noren
}

func (s Source) parts() []Part { return append([]Part{s.Closing}, s.Following...) }

// A Report is what is told of a closing.
type Report struct {
	Run         string    `json:"run"`
	Environment string    `json:"environment"`
	Protected   bool      `json:"protected"`
	Services    []Service `json:"services"`
	Reason      string    `json:"reason,omitempty"`
	// Ending is how things stand: closed, closing, opening, open, undone,
	// stopped or stranded. Outcome says it in a sentence.
	Ending  string    `json:"ending"`
	Outcome string    `json:"outcome"`
	Began   time.Time `json:"began"`
	// Planned is the end as planned at first, Until as last extended.
	Planned    time.Time   `json:"planned,omitzero"`
	Until      time.Time   `json:"until,omitzero"`
	Extensions []Extension `json:"extensions,omitempty"`
	Closed     Period      `json:"closed"` // of all services together
	// PlannedMinutes and ClosedMinutes compare the plan with what customers saw.
	PlannedMinutes float64   `json:"plannedMinutes,omitempty"`
	ClosedMinutes  float64   `json:"closedMinutes,omitempty"`
	Runs           []Section `json:"runs"`
	Changes        []Change  `json:"changes,omitempty"`
	Proofs         []Proof   `json:"proofs,omitempty"`
	// Stuck is what could not be put back, and what cannot be by its nature.
	Stuck []Stuck     `json:"stuck,omitempty"`
	Notes []plan.Note `json:"notes,omitempty"`
	Made  time.Time   `json:"made"`
	Audit Audit       `json:"audit"`

	zone *time.Location
}

// An Audit is how the records stood when the report was made.
type Audit struct {
	Records int    `json:"records"`
	Head    string `json:"head"`
	Broken  string `json:"broken,omitempty"`
	Version string `json:"noren,omitempty"`
}

// A Service is one service that was closed.
type Service struct {
	Name      string   `json:"name"`
	Team      string   `json:"team,omitempty"`
	Extent    string   `json:"extent"`
	Entrances []string `json:"entrances"`
	Closed    []Period `json:"closed"`
}

// An Extension is a later end that somebody gave.
type Extension struct {
	At    time.Time `json:"at"`
	Who   string    `json:"who"`
	Until time.Time `json:"until"`
}

// A Section is one run of the report.
type Section struct {
	Run       string    `json:"run"`
	Kind      plan.Kind `json:"kind"`
	Who       string    `json:"who"`
	From      string    `json:"from,omitempty"`
	Command   string    `json:"command,omitempty"`
	Confirmed string    `json:"confirmed,omitempty"`
	// Identities are the names by which systems knew noren.
	Identities map[string]string `json:"identities,omitempty"`
	Plan       string            `json:"plan"` // digest
	Status     run.Status        `json:"status"`
	Began      time.Time         `json:"began"`
	Ended      time.Time         `json:"ended,omitzero"`
	Problem    *run.Problem      `json:"problem,omitempty"`
	Lines      []Line            `json:"timeline"`

	services []string
	stages   []span
	halts    []span
	bars     []bar
}

// A Change is one target that was to be changed, and what became of it.
type Change struct {
	Run     string `json:"run"`
	Target  string `json:"target"`
	Service string `json:"service,omitempty"`
	Title   string `json:"title"`
	Line    string `json:"line,omitempty"`
	Before  string `json:"before,omitempty"`
	After   string `json:"after,omitempty"`
	Became  string `json:"became"`
}

// A Proof is what was seen from outside.
type Proof struct {
	At      time.Time `json:"at"`
	Run     string    `json:"run"`
	Service string    `json:"service,omitempty"`
	Title   string    `json:"title"`
	Saw     string    `json:"saw"`
	OK      bool      `json:"ok"`
}

// A Stuck is something that was not, or cannot be, put back.
type Stuck struct {
	Run    string `json:"run"`
	Target string `json:"target"`
	Why    string `json:"why"`
}

// Of makes the report.
func Of(s Source) *Report {
	p := s.Closing.Run.Plan
	periods := closedPeriods(s)
	r := &Report{Run: s.Closing.Run.ID, Environment: p.Environment.Name, Protected: p.Environment.Protected, Reason: p.Reason,
		Began: s.Closing.Run.Created, Planned: p.Until, Until: s.Closing.Run.Until, Closed: together(periods), Notes: p.Notes,
		Made: s.Now, Audit: Audit{s.Records, s.Head, s.Broken, s.Version}, zone: s.Zone}
	for _, sv := range p.Services {
		service := Service{Name: sv.Name, Team: sv.Team, Extent: sv.Extent(), Closed: periods[sv.Name], Entrances: []string{}}
		for _, e := range sv.Entrances {
			service.Entrances = append(service.Entrances, e.Target)
		}
		r.Services = append(r.Services, service)
	}
	for _, part := range s.parts() {
		r.Runs = append(r.Runs, r.section(part))
		r.Changes = append(r.Changes, changes(part)...)
		r.Proofs = append(r.Proofs, proofs(part)...)
		r.Stuck = append(r.Stuck, stuck(part)...)
	}
	for _, e := range s.Closing.Events {
		if e.Type == run.Extended {
			r.Extensions = append(r.Extensions, Extension{e.At, cmp.Or(e.Data.Actor, e.Data.Origin.Who()), e.Data.Until})
		}
	}
	if !p.Until.IsZero() {
		r.PlannedMinutes = p.Until.Sub(r.Began).Minutes()
	}
	r.ClosedMinutes = r.Closed.Length(s.Now).Minutes()
	r.Ending, r.Outcome = ending(s, r)
	return r
}

func (r *Report) section(part Part) Section {
	of := part.Run
	s := Section{Run: of.ID, Kind: of.Plan.Kind, Who: of.Actor, Plan: of.Digest, Status: of.Status, Began: of.Created, Ended: of.Ended,
		Problem: of.Problem, Lines: lines(part, r.moment), stages: stageSpans(part), halts: halts(part), bars: bars(part)}
	for _, sv := range of.Plan.Services {
		s.services = append(s.services, sv.Name)
	}
	for _, e := range part.Events {
		if e.Type != run.RunCreated {
			continue
		}
		s.Identities = e.Data.Identities
		if o := e.Data.Origin; o != nil {
			s.Command, s.From = o.Command, o.Where()
		}
		if c := e.Data.Confirmed; c != nil {
			s.Confirmed = c.How.String()
		}
	}
	return s
}

// ending says how things stand after the last run.
func ending(s Source, r *Report) (word, sentence string) {
	last := s.Closing.Run
	for _, p := range s.Following {
		if p.Run.Plan.Kind == plan.Open {
			last = p.Run
		}
	}
	names := strings.Join(r.serviceNames(), ", ")
	are := "is"
	if len(r.Services) > 1 {
		are = "are"
	}
	took := ""
	if !r.Closed.From.IsZero() {
		took = " after " + Spell(r.Closed.Length(s.Now))
	}
	switch {
	case last.Status == run.Stranded:
		return "stranded", "Something could not be put back: a person must act. It is listed below."
	case !last.Status.Ended() && last.Plan.Kind == plan.Open:
		return "opening", fmt.Sprintf("%s %s being opened; the run is %s.", names, are, last.Status)
	case !last.Status.Ended():
		return "closing", fmt.Sprintf("%s %s being closed; the run is %s.", names, are, last.Status)
	case last.Status == run.Stopped:
		return "stopped", "A person stopped the run and left things as they were then."
	case s.Closing.Run.Status == run.Undone:
		return "undone", "The closing failed or was called off, and everything was put back."
	case !r.Closed.From.IsZero() && !r.Closed.To.IsZero():
		return "open", fmt.Sprintf("%s %s open again%s.", names, are, took)
	default:
		return "closed", fmt.Sprintf("%s %s still closed%s.", names, are, took)
	}
}

func (r *Report) serviceNames() []string {
	var names []string
	for _, s := range r.Services {
		names = append(names, s.Name)
	}
	return names
}

// changes lists what a run was to change, and what became of each.
func changes(part Part) []Change {
	var all []Change
	for _, s := range part.Run.Plan.Steps() {
		st := part.Run.Steps[s.ID]
		if s.Kind != action.KindChange || st == nil {
			continue
		}
		c := Change{Run: part.Run.ID, Target: s.Target, Service: s.Service, Title: s.Title, Line: s.Description.Line,
			Before: s.Description.Before, After: s.Description.After, Became: became(st)}
		if c.Before == "" && c.After == "" {
			c.Before, c.After = string(s.From.Fields), string(s.To.Fields)
		}
		all = append(all, c)
	}
	return all
}

func became(st *run.Step) string {
	switch {
	case st.Status == run.StepIsDone && st.Nothing:
		return "was so already"
	case st.Status == run.StepIsDone:
		return "changed"
	case st.Status == run.StepIsUndone:
		return "changed, and put back"
	case st.Status == run.StepIsStranded:
		return "changed, and could not be put back"
	case st.Status == run.StepPending:
		return "not touched"
	}
	return string(st.Status)
}

// outside tells whether a check asks through a front door: that endpoints are
// ready is what a cluster says of itself.
func outside(s plan.Step) bool { return strings.HasPrefix(s.Action, "http/") }

// proofs lists what a run saw from outside, at the end of each check.
func proofs(part Part) []Proof {
	stages := stageOf(part.Run.Plan)
	var all []Proof
	for _, e := range part.Events {
		s, ok := part.Run.Planned(e.Step)
		if !ok || s.Kind != action.KindCheck || (stages[s.ID] != plan.StageProve && stages[s.ID] != plan.StageReady) || !outside(s) {
			continue
		}
		p := Proof{At: e.At, Run: part.Run.ID, Service: s.Service, Title: s.Title}
		switch {
		case e.Type == run.StepDone && e.Data.Verdict != nil:
			p.OK, p.Saw = true, verdict(e.Data.Verdict)
		case e.Type == run.StepFailed && e.Data.Problem != nil:
			p.Saw = cmp.Or(e.Data.Problem.Detail, e.Data.Problem.Summary)
		case e.Type == run.StepSkipped:
			p.Saw = "not asked any longer: a person skipped it"
		default:
			continue
		}
		all = append(all, p)
	}
	return all
}

func verdict(v *action.Verdict) string {
	return strings.Join(append([]string{v.Summary}, v.Findings...), "\n")
}

func stageOf(p *plan.Plan) map[string]plan.StageName {
	stages := map[string]plan.StageName{}
	for _, stage := range p.Stages {
		for _, s := range stage.Steps {
			stages[s.ID] = stage.Name
		}
	}
	return stages
}

func stuck(part Part) []Stuck {
	var all []Stuck
	for _, s := range part.Run.Plan.Steps() {
		st := part.Run.Steps[s.ID]
		switch {
		case st == nil:
		case st.Status == run.StepIsStranded:
			why := "undo failed"
			if st.Problem != nil {
				why = cmp.Or(st.Problem.Detail, st.Problem.Summary)
			}
			all = append(all, Stuck{part.Run.ID, s.Target, why})
		case s.Kind == action.KindEffect && st.Status == run.StepIsDone:
			all = append(all, Stuck{part.Run.ID, s.Target, s.Title + ": done, and cannot be undone by its nature"})
		}
	}
	return all
}

// Spell says how long something took, in the two largest units that it has.
func Spell(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	d = d.Round(time.Second)
	h, m, s := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	var parts []string
	for _, p := range []struct {
		n    int
		unit string
	}{{h, "h"}, {m, "min"}, {s, "s"}} {
		if p.n > 0 && len(parts) < 2 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.unit))
		}
	}
	return strings.Join(parts, " ")
}

func (r *Report) clock(t time.Time) string { return t.In(r.zone).Format("15:04:05") }

// tenths is clock for what goes on in seconds.
func (r *Report) tenths(t time.Time) string { return t.In(r.zone).Format("15:04:05.0") }

func (r *Report) moment(t time.Time) string {
	return t.In(r.zone).Format("2006-01-02 15:04:05 MST")
}

// closedUntil is the end of the closing, or now while it lasts.
func (r *Report) closedUntil() time.Time {
	if r.Closed.To.IsZero() {
		return r.Made
	}
	return r.Closed.To
}

// late is by how much the closing went over its planned end, zero if it did
// not or had none.
func (r *Report) late() time.Duration {
	end := r.closedUntil()
	if r.Planned.IsZero() || r.Closed.From.IsZero() || !end.After(r.Planned) {
		return 0
	}
	return end.Sub(r.Planned)
}

// Roughly says a duration as people do who wait for its end: to the minute, from
// one minute on.
func Roughly(d time.Duration) string {
	d = d.Round(time.Second)
	if d < time.Minute {
		return fmt.Sprintf("%d s", int(d.Seconds()))
	}
	d = d.Round(time.Minute)
	h, m := int(d.Hours()), int(d.Minutes())%60
	switch {
	case h == 0:
		return fmt.Sprintf("%d min", m)
	case m == 0:
		return fmt.Sprintf("%d h", h)
	}
	return fmt.Sprintf("%d h %d min", h, m)
}
