package report

import (
	"fmt"
	"github.com/noren-dev/noren/internal/plan"
	"maps"
	"slices"
	"strings"
	"time"
)

// A Fact is a name and a value for the head of a report.
type Fact struct{ Name, Value string }

// facts are the summary: what, who, why, planned against actual.
func (r *Report) facts() []Fact {
	facts := []Fact{{"Services", r.title()}, {"Environment", r.environment()}}
	add := func(name, value string) {
		if value != "" {
			facts = append(facts, Fact{name, value})
		}
	}
	first := r.Runs[0]
	add("Asked for by", strings.TrimSuffix(first.Who+", "+first.From, ", "))
	add("Confirmation", first.Confirmed)
	add("Reason", r.Reason)
	add("Asked at", r.moment(r.Began))
	if !r.Planned.IsZero() {
		add("Planned end", r.moment(r.Planned)+" (after "+Spell(r.Planned.Sub(r.Began))+")")
	}
	for _, e := range r.Extensions {
		add("Extended", "to "+r.moment(e.Until)+" by "+e.Who+", at "+r.clock(e.At))
	}
	add("Closed for customers", r.closedInWords())
	if late := r.late(); late > 0 {
		text := Spell(late)
		if len(r.Extensions) > 0 {
			text += ", " + against(r.closedUntil().Sub(r.Until))
		}
		add("Later than planned", text)
	}
	return facts
}

// against compares an end with the end as extended.
func against(over time.Duration) string {
	if over > 0 {
		return Spell(over) + " later than extended"
	}
	return "within the extension"
}

func (r *Report) title() string { return strings.Join(r.serviceNames(), ", ") }

func (r *Report) environment() string {
	if r.Protected {
		return r.Environment + " (protected)"
	}
	return r.Environment
}

func (r *Report) closedInWords() string {
	if r.Closed.From.IsZero() {
		return "never"
	}
	text := r.between(r.Closed)
	if !r.Closed.FromProven || !r.Closed.To.IsZero() && !r.Closed.ToProven {
		text += " (as noren wrote it; not all of it was proven from outside)"
	}
	return text
}

// A Customer is what the customers of one service saw, in words.
type Customer struct{ Service, From, To, For string }

func (r *Report) customers() []Customer {
	var all []Customer
	for _, s := range r.Services {
		name := s.Name
		if s.Extent != "all of it" {
			name += " (" + s.Extent + ")"
		}
		if len(s.Closed) == 0 {
			all = append(all, Customer{name, "never", "–", "–"})
		}
		for _, p := range s.Closed {
			c := Customer{name, r.moment(p.From) + proven(p.FromProven), "still closed", Spell(p.Length(r.Made))}
			if !p.To.IsZero() {
				c.To = r.moment(p.To) + proven(p.ToProven)
			}
			all = append(all, c)
		}
	}
	return all
}

func proven(yes bool) string {
	if yes {
		return ""
	}
	return " (not proven)"
}

// sectionFacts are what is told of one run beside its timeline.
func (r *Report) sectionFacts(s Section) []Fact {
	var facts []Fact
	add := func(name, value string) {
		if value != "" {
			facts = append(facts, Fact{name, value})
		}
	}
	add("command", s.Command)
	add("from", s.From)
	add("confirmation", s.Confirmed)
	for _, system := range slices.Sorted(maps.Keys(s.Identities)) {
		add("known to "+system+" as", s.Identities[system])
	}
	add("plan", s.Plan)
	if !s.Ended.IsZero() {
		add("took", Spell(s.Ended.Sub(s.Began)))
	}
	return facts
}

func (r *Report) took(l Line) string {
	if l.Took == 0 {
		return ""
	}
	return " (" + Spell(l.Took) + ")"
}

// zoneName is the zone of the report's times, by name and difference.
func (r *Report) zoneName() string {
	return fmt.Sprintf("%s (%s)", r.zone, r.Began.In(r.zone).Format("-07:00"))
}

// foot says what the report rests on.
func (r *Report) foot() string {
	text := fmt.Sprintf("Made by noren %s at %s from %d records. Head of the records: %s", r.Audit.Version, r.moment(r.Made), r.Audit.Records, r.Audit.Head)
	if r.Audit.Broken == "" {
		text += ". They were verified when this was made."
	}
	return text
}

// sign stands before a line of the timeline.
func (k LineKind) sign() string {
	return map[LineKind]string{Good: "✓ ", Wait: "… ", Bad: "✗ ", Back: "↶ ", Person: "☞ ", Stage: "▸ "}[k]
}

// Row is a run in the history.
type Row struct {
	Run         string    `json:"run"`
	Kind        string    `json:"kind"`
	Environment string    `json:"environment"`
	Services    []string  `json:"services"`
	Who         string    `json:"who"`
	Began       time.Time `json:"began"`
	Ended       time.Time `json:"ended,omitzero"`
	Status      string    `json:"status"`
	Reason      string    `json:"reason,omitempty"`
	// Closing is the run that an opening took back.
	Closing string `json:"closing,omitempty"`
	// Closed is when customers were turned away, of a closing.
	Closed         *Period `json:"closed,omitempty"`
	ClosedSeconds  float64 `json:"closedSeconds,omitempty"`
	PlannedSeconds float64 `json:"plannedSeconds,omitempty"`
	Ending         string  `json:"ending"`
	Problem        string  `json:"problem,omitempty"`

	Zone string `json:"-"`
}

// RowOf makes the history's row of a closing, with its openings, or of an
// opening alone.
func RowOf(s Source) Row {
	of := s.Closing.Run
	row := Row{Run: of.ID, Kind: string(of.Plan.Kind), Environment: of.Plan.Environment.Name, Services: []string{}, Who: of.Actor, Began: of.Created, Ended: of.Ended,
		Status: string(of.Status), Reason: of.Plan.Reason, Closing: of.Plan.Closing, Ending: string(of.Status), Zone: of.Plan.Zone}
	for _, sv := range of.Plan.Services {
		row.Services = append(row.Services, sv.Name)
	}
	if of.Problem != nil {
		row.Problem = of.Problem.Summary
	}
	if row.Closing != "" || of.Plan.Kind == plan.Publish || of.Plan.Kind == plan.Recover {
		return row
	}
	r := Of(s)
	row.Ending = r.Ending
	if !r.Closed.From.IsZero() {
		row.Closed, row.ClosedSeconds = &r.Closed, r.Closed.Length(s.Now).Seconds()
	}
	if !r.Planned.IsZero() {
		row.PlannedSeconds = r.Planned.Sub(r.Began).Seconds()
	}
	return row
}
