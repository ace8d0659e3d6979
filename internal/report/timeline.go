package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// A Line is one line of a timeline.
type Line struct {
	At   time.Time `json:"at"`
	Kind LineKind  `json:"kind"`
	Text string    `json:"text"`
	// Detail has more lines: what was waited for, a problem in full.
	Detail string `json:"detail,omitempty"`
	// Took is how long the step, or the stage, took.
	Took time.Duration `json:"took,omitempty"`
}

// A LineKind tells how a line is drawn.
type LineKind string

// The kinds of line.
const (
	Mile   LineKind = "run"    // the run as a whole
	Stage  LineKind = "stage"  // a stage begins
	Good   LineKind = "done"   // a step is done
	Wait   LineKind = "wait"   // something is waited for
	Bad    LineKind = "failed" // a step failed, or is stranded
	Back   LineKind = "undone" // a step was taken back
	Person LineKind = "person" // somebody said something, or is asked
)

// mostWaits is how many lines a step may have for what it waited for: a check
// that sees something else each time would fill pages.
const mostWaits = 4

// A teller writes a run's timeline.
type teller struct {
	run   *run.Run
	when  func(time.Time) string
	begun map[string]time.Time
	waits map[string]int
	spans []span
	lines []Line
	last  time.Time
	ran   bool
}

func lines(part Part, when func(time.Time) string) []Line {
	t := &teller{run: part.Run, when: when, begun: map[string]time.Time{}, waits: map[string]int{}, spans: stageSpans(part)}
	for _, e := range part.Events {
		t.tell(e)
		t.last = e.At
	}
	return t.lines
}

func (t *teller) tell(e run.Event) {
	d := e.Data
	switch e.Type {
	case run.RunCreated:
		t.add(Line{At: e.At, Kind: Mile, Text: "run begun by " + d.Actor})
	case run.RunStarted:
		if t.ran {
			t.add(Line{At: e.At, Kind: Mile, Text: "carried on after noren had stopped" + by(d.Origin), Detail: "nothing was recorded for " + Spell(e.At.Sub(t.last))})
		}
		t.ran = true
	case run.Prepared:
		t.add(Line{At: e.At, Kind: Mile, Text: "every target was looked at, and every receipt committed"})
	case run.StageStarted:
		t.add(Line{At: e.At, Kind: Stage, Text: string(d.Stage), Took: t.took(d.Stage, e.At)})
	case run.SignalSent:
		t.add(Line{At: e.At, Kind: Person, Text: d.Actor + " said: " + string(d.Signal)})
	case run.Signalled:
		t.add(Line{At: e.At, Kind: Person, Text: "took the word: " + string(d.Signal) + " (" + d.Actor + ")", Detail: d.Text})
	case run.RunWaiting:
		t.add(Line{At: e.At, Kind: Person, Text: "waits for a person", Detail: explain(d.Problem)})
	case run.RunUndoing:
		t.add(Line{At: e.At, Kind: Back, Text: "going back", Detail: explain(d.Problem)})
	case run.Extended:
		t.add(Line{At: e.At, Kind: Person, Text: "extended until " + t.when(d.Until) + " by " + cmp.Or(d.Actor, d.Origin.Who(), "somebody")})
	case run.RunEnded:
		t.add(Line{At: e.At, Kind: Mile, Text: "run ended: " + string(d.Status), Detail: explain(d.Problem)})
	default:
		t.step(e)
	}
}

func (t *teller) step(e run.Event) {
	s, ok := t.run.Planned(e.Step)
	switch {
	case !ok && e.Step == "":
		// Of a kind that is not known here: it happened all the same.
		t.add(Line{At: e.At, Kind: Mile, Text: strings.TrimSpace(string(e.Type) + " " + e.Data.Actor), Detail: e.Data.Text})
		return
	case !ok:
		return
	}
	l := Line{At: e.At, Text: s.Title}
	if begun, ok := t.begun[e.Step]; ok {
		l.Took = e.At.Sub(begun)
	}
	switch e.Type {
	case run.StepStarted:
		if _, again := t.begun[e.Step]; !again {
			t.begun[e.Step] = e.At
		}
		return
	case run.StepWaiting:
		if t.waits[e.Step]++; t.waits[e.Step] > mostWaits || e.Data.Verdict == nil {
			return
		}
		l.Kind, l.Text, l.Detail, l.Took = Wait, "waiting: "+s.Title, verdict(e.Data.Verdict), 0
	case run.StepDone:
		l.Kind = Good
		if e.Data.Nothing {
			l.Detail = "was so already"
		}
		if e.Data.Verdict != nil {
			l.Detail = verdict(e.Data.Verdict)
		}
		if more := t.waits[e.Step] - mostWaits; more > 0 {
			l.Detail = strings.TrimPrefix(l.Detail+fmt.Sprintf("\n(saw %d more things meanwhile)", more), "\n")
		}
	case run.StepFailed:
		l.Kind, l.Detail = Bad, explain(e.Data.Problem)
	case run.StepStranded:
		l.Kind, l.Text, l.Detail, l.Took = Bad, "cannot be put back: "+s.Title, explain(e.Data.Problem), 0
	case run.StepSkipped:
		l.Kind, l.Text = Person, "skipped: "+s.Title
	case run.StepUndone:
		l.Kind, l.Text, l.Took = Back, "put back: "+s.Title, 0
	default:
		return
	}
	t.add(l)
}

func (t *teller) add(l Line) { t.lines = append(t.lines, l) }

func (t *teller) took(stage plan.StageName, at time.Time) time.Duration {
	i := slices.IndexFunc(t.spans, func(s span) bool { return s.name == string(stage) && s.from.Equal(at) })
	if i < 0 {
		return 0
	}
	return t.spans[i].to.Sub(t.spans[i].from)
}

func by(o *run.Origin) string {
	if o.Who() == "" {
		return ""
	}
	return " by " + o.Who() + " (" + o.Where() + ")"
}

// explain is a problem in full.
func explain(p *run.Problem) string {
	if p == nil {
		return ""
	}
	text := p.Summary
	if p.Detail != "" {
		text += "\n" + p.Detail
	}
	if p.Left != "" {
		text += "\nchanged at that time: " + p.Left
	}
	return text
}

// A span is a stage as it happened.
type span struct {
	name     string
	from, to time.Time
}

// stageUndo is the stage of a picture in which a run goes back.
const stageUndo = "undo"

// stageSpans lists the stages of a run. One that was begun again after a crash
// is one span.
func stageSpans(part Part) []span {
	var all []span
	next := func(name string, at time.Time) {
		if n := len(all); n > 0 {
			if all[n-1].name == name {
				return
			}
			all[n-1].to = at
		}
		if name != "" {
			all = append(all, span{name: name, from: at})
		}
	}
	var last time.Time
	over := false
	for _, e := range part.Events {
		switch {
		case over:
		case e.Type == run.StageStarted:
			next(string(e.Data.Stage), e.At)
		case e.Type == run.RunUndoing:
			next(stageUndo, e.At)
		case e.Type == run.RunEnded:
			next("", e.At)
			over = true
		}
		if !over {
			last = e.At
		}
	}
	if n := len(all); n > 0 && all[n-1].to.IsZero() {
		all[n-1].to = last
	}
	return all
}

// halts lists when a run stood still: noren was not running, or waited for a
// person's word.
func halts(part Part) []span {
	var all []span
	var last, asked time.Time
	ran := false
	for _, e := range part.Events {
		switch e.Type {
		case run.RunStarted:
			if ran {
				all = append(all, span{"noren was not running", last, e.At})
			}
			ran = true
		case run.RunWaiting:
			asked = e.At
		case run.Signalled, run.RunEnded:
			if !asked.IsZero() {
				all = append(all, span{"waited for a person", asked, e.At})
			}
			asked = time.Time{}
		}
		last = e.At
	}
	return all
}

// A bar is one attempt of one step, as a picture draws it.
type bar struct {
	service, title, stage string
	from, to              time.Time
	outcome               outcome
}

type outcome string

const (
	barDone    outcome = "done"
	barFailed  outcome = "failed"
	barSkipped outcome = "skipped"
	barOpen    outcome = "not ended"
	barCut     outcome = "cut off" // noren stopped meanwhile
)

// bars lists what each step did when.
func bars(part Part) []bar {
	stages := stageOf(part.Run.Plan)
	open := map[string]int{} // step: index of its bar under way
	var all []bar
	var undoing, last time.Time
	begin := func(s plan.Step, stage string, at time.Time) {
		open[s.ID] = len(all)
		all = append(all, bar{service: cmp.Or(s.Service, s.Target), title: s.Title, stage: stage, from: at, outcome: barOpen})
	}
	end := func(id string, at time.Time, o outcome) {
		if i, ok := open[id]; ok {
			all[i].to, all[i].outcome = at, o
			delete(open, id)
		}
	}
	for _, e := range part.Events {
		s, isStep := part.Run.Planned(e.Step)
		switch {
		case e.Type == run.RunStarted:
			for id := range open {
				end(id, last, barCut)
			}
		case e.Type == run.RunUndoing:
			for id := range open {
				end(id, e.At, barSkipped)
			}
			if undoing.IsZero() {
				undoing = e.At
			}
		case !isStep:
		case e.Type == run.StepStarted:
			end(s.ID, e.At, barSkipped) // interrupted by a signal, and begun again
			begin(s, string(stages[s.ID]), e.At)
		case e.Type == run.StepDone:
			end(s.ID, e.At, barDone)
		case e.Type == run.StepFailed:
			end(s.ID, e.At, barFailed)
		case e.Type == run.StepSkipped:
			end(s.ID, e.At, barSkipped)
		case e.Type == run.StepUndone, e.Type == run.StepStranded:
			begin(s, stageUndo, undoing)
			end(s.ID, e.At, map[bool]outcome{true: barDone, false: barFailed}[e.Type == run.StepUndone])
		}
		if e.Type != run.Extended { // a closing that is done may still be extended
			last = e.At
		}
	}
	for _, i := range open {
		all[i].to = last
	}
	return all
}
