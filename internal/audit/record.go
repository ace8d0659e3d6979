package audit

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/run"
)

// A Record is one link with what a reader needs beside it: where, who, about
// what. The names of its JSON members do not change.
type Record struct {
	Seq         int64    `json:"seq"`
	At          string   `json:"at"` // RFC 3339 in UTC
	Run         string   `json:"run"`
	Kind        string   `json:"kind"` // of the run: close, open, extend, publish
	Event       run.Type `json:"event"`
	Step        string   `json:"step,omitempty"`
	Environment string   `json:"environment"`
	Services    []string `json:"services"`
	// Who did it, or who began the run that did.
	Who string `json:"who"`
	// Origin and what follows it are of what a person did.
	Origin     *run.Origin       `json:"origin,omitempty"`
	Confirmed  *run.Confirmation `json:"confirmed,omitempty"`
	Identities map[string]string `json:"identities,omitempty"`
	Plan       string            `json:"plan,omitempty"` // digest
	// Title, Action, Target and Receipt (a digest) are of a step.
	Title   string `json:"title,omitempty"`
	Action  string `json:"action,omitempty"`
	Target  string `json:"target,omitempty"`
	Receipt string `json:"receipt,omitempty"`
	// Hidden tells that a secret was replaced in Data, so that Hash cannot be
	// computed from it.
	Hidden bool            `json:"hidden,omitempty"`
	Data   json.RawMessage `json:"data"`
	Prev   string          `json:"prev"`
	Hash   string          `json:"hash"`

	// Zone is that of the run's plan, in which people are told of times.
	Zone string `json:"-"`
}

// A Filter chooses records. Its zero value chooses all.
type Filter struct {
	Run, Environment, Service string
	Since                     time.Time
}

// Chooses tells whether the filter wants the record.
func (f Filter) Chooses(r Record) bool {
	at, err := time.Parse(time.RFC3339Nano, r.At)
	return (f.Run == "" || r.Run == f.Run) &&
		(f.Environment == "" || r.Environment == f.Environment) &&
		(f.Service == "" || slices.Contains(r.Services, f.Service)) &&
		(err != nil || !at.Before(f.Since))
}

// A Recorder makes records of links, in their order.
type Recorder struct {
	runs    map[string]*run.Run
	secrets []string
	sealed  map[string]map[string]string
}

// NewRecorder makes a recorder that knows these runs, and hides their passes.
func NewRecorder(runs []*run.Run) *Recorder {
	rec := &Recorder{runs: map[string]*run.Run{}, sealed: map[string]map[string]string{}}
	for _, r := range runs {
		rec.runs[r.ID] = r
		if pass := r.Plan.Pass; pass != "" && !slices.Contains(rec.secrets, pass) {
			rec.secrets = append(rec.secrets, pass)
		}
	}
	return rec
}

// Record makes the record of the next link.
func (rec *Recorder) Record(l Link) (Record, error) {
	shown, hidden := string(l.Data), false
	for _, secret := range rec.secrets {
		hidden = hidden || strings.Contains(shown, secret)
		shown = strings.ReplaceAll(shown, secret, run.Hidden)
	}
	l.Data = []byte(shown)
	e, err := l.Event()
	if err != nil {
		return Record{}, err
	}
	r := Record{Seq: l.Seq, At: l.At.UTC().Format(time.RFC3339Nano), Run: l.Run, Event: l.Type, Step: l.Step, Services: []string{},
		Who: cmp.Or(e.Data.Actor, e.Data.Origin.Who()), Origin: e.Data.Origin, Confirmed: e.Data.Confirmed, Identities: e.Data.Identities,
		Hidden: hidden, Data: l.Data, Prev: l.Prev, Hash: l.Hash}
	if e.Data.Receipts != nil {
		rec.sealed[e.Run] = e.Data.Receipts
	}
	if known := rec.runs[l.Run]; known != nil {
		rec.about(&r, known, e)
	}
	return r, nil
}

func (rec *Recorder) about(r *Record, of *run.Run, e run.Event) {
	r.Kind = string(of.Plan.Kind)
	r.Environment, r.Zone = of.Plan.Environment.Name, of.Plan.Zone
	for _, s := range of.Plan.Services {
		r.Services = append(r.Services, s.Name)
	}
	r.Who = cmp.Or(r.Who, of.Actor)
	if e.Type == run.RunCreated {
		r.Plan = e.Data.Digest
	}
	if s, ok := of.Planned(e.Step); ok {
		r.Title, r.Action, r.Target, r.Receipt = s.Title, s.Action, s.Target, rec.sealed[e.Run][s.ID]
	}
}

// Says is the record as a sentence for people, without when and who.
func (r Record) Says() string {
	e, err := Link{Data: r.Data}.Event()
	if err != nil {
		return string(r.Event)
	}
	d := e.Data
	step := cmp.Or(r.Title, r.Step)
	switch r.Event {
	case run.RunCreated:
		return "asked to " + strings.TrimSpace(r.Kind+" "+strings.Join(r.Services, ", ")) + " in " + r.Environment
	case run.RunStarted:
		if o := d.Origin; o != nil {
			return "run is executed by " + o.Who() + " (" + o.Where() + ")"
		}
		return "run is executed"
	case run.Prepared:
		return "looked at every target and committed " + count(len(d.Receipts), "receipt")
	case run.StageStarted:
		return "stage " + string(d.Stage)
	case run.StepStarted:
		return "began: " + step
	case run.StepWaiting:
		return "waiting: " + step + because(d)
	case run.StepDone:
		if d.Nothing {
			return "nothing to change: " + step
		}
		return "done: " + step + because(d)
	case run.StepFailed:
		return "FAILED: " + step + because(d)
	case run.StepSkipped:
		return "skipped: " + step
	case run.StepUndone:
		return "taken back: " + step
	case run.StepStranded:
		return "STRANDED: " + step + because(d)
	case run.SignalSent:
		return "said: " + string(d.Signal)
	case run.Signalled:
		return strings.TrimSpace("run took the word: " + string(d.Signal) + " " + d.Text)
	case run.RunWaiting:
		return "run waits for a person" + because(d)
	case run.RunUndoing:
		return "run goes back" + because(d)
	case run.Extended:
		return "extended until " + d.Until.Format(time.RFC3339)
	case run.Telling:
		return "about to tell " + d.Channel
	case run.Told:
		return "told " + d.Channel
	case run.Missed:
		return d.Channel + " was not told in time: " + d.Text
	case run.RunEnded:
		return "run ended: " + string(d.Status) + because(d)
	}
	return string(r.Event) + because(d)
}

// because is what was seen, or why something went wrong, in brief.
func because(d run.Data) string {
	switch {
	case d.Problem != nil:
		return " (" + d.Problem.Summary + ")"
	case d.Verdict != nil && d.Verdict.Summary != "":
		return " (" + d.Verdict.Summary + ")"
	}
	return ""
}

func count(n int, noun string) string {
	switch n {
	case 0:
		return "no " + noun
	case 1:
		return "1 " + noun
	}
	return itoa(n) + " " + noun + "s"
}
