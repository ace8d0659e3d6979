// Package plan is a run before it happens: its steps in order, each with the
// state its reader saw and the state it will write. A plan is compiled,
// shown, approved and then executed as it is; editing files afterwards cannot
// change it. Nothing here does I/O.
package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
)

// Version is the version of the plan format, raised when an older noren could
// not execute a plan rightly.
const Version = 2

// A Kind is what a plan is for.
type Kind string

// The kinds of plan.
const (
	Close  Kind = "close"
	Open   Kind = "open"
	Extend Kind = "extend" // moves the end of a closing
	// Publish brings what others are told up to date. It holds nothing, and is
	// recorded when it is over.
	Publish Kind = "publish"
	// Recover takes away what is left of a closing that left nothing else.
	Recover Kind = "recover"
)

// A Plan is a run before it happens.
type Plan struct {
	Version     int         `json:"version"`
	Kind        Kind        `json:"kind"`
	Environment Environment `json:"environment"`
	Services    []Service   `json:"services"`
	// Stages run one after another: the next begins when the last is done.
	Stages []Stage `json:"stages"`
	// Return are the checks that prove, once a run has taken everything back,
	// that customers see again what they saw before it. Each is of one service
	// and is made only if something of that service was taken back. A plan
	// without any is taken back without proof.
	Return []Step `json:"return,omitempty"`
	// Locks are the targets of the entrances; while a run holds one, no other
	// run may close or open that entrance.
	Locks []string `json:"locks"`
	// Until is when the work is expected to end, zero if nobody said. Zone is
	// the IANA name in which people are told of times.
	Until time.Time `json:"until,omitzero"`
	// AutoOpen lets a keeper open at the end, once the application is ready.
	AutoOpen bool `json:"autoOpen,omitempty"`
	// MutedUntil is when the mutes that the plan makes, or prolongs, end by
	// themselves; zero if it makes none.
	MutedUntil time.Time `json:"mutedUntil,omitzero"`
	Zone       string    `json:"zone"`
	Reason     string    `json:"reason,omitempty"`
	// Mark is the token in this plan's pages.
	Mark string `json:"mark"`
	// Pass lets staff through while closed. It is kept with the plan in the
	// state file and never printed but on request.
	Pass string `json:"pass,omitempty"`
	// Holder is the run from which an Open or Extend plan takes over the locks:
	// the closing, or an opening of it that did not end well.
	Holder string `json:"holder,omitempty"`
	// Closing is the run that an Open plan undoes and an Extend plan extends.
	Closing string `json:"closing,omitempty"`
	// Moves is how many extensions of the closing there are, with this one.
	Moves int `json:"moves,omitempty"`
	// OnFailure is what to do when a step fails and nobody is there to ask.
	OnFailure OnFailure       `json:"onFailure"`
	Notes     []Note          `json:"notes,omitempty"`
	Budgets   []driver.Budget `json:"budgets,omitempty"`
	// Whole tells that a Close plan is of every service of its environment, and an
	// Open plan of everything that such a run closed.
	Whole bool `json:"whole,omitempty"`
	// Allow are the networks that the person let pass beside the catalog's.
	Allow []string `json:"allow,omitempty"`
	// Ears are the channels through which people hear of the run, and Lang the
	// language in which.
	Ears []driver.Ear `json:"ears,omitempty"`
	Lang string       `json:"lang,omitempty"`
}

// OpenCommand is what a person types to open the services of p and no others: in
// the same environment may be closed what is another's work.
func (p *Plan) OpenCommand() string {
	command := "noren open"
	if !p.Whole {
		for _, s := range p.Services {
			command += " " + s.Name
		}
	}
	return command + " --env " + p.Environment.Name
}

// A Note is a sentence for the plan's reader, and the targets it is about.
type Note struct {
	Warn    bool     `json:"warn,omitempty"`
	Text    string   `json:"text"`
	Targets []string `json:"targets,omitempty"`
}

// AddNote adds a note to the plan; the same sentence about another target
// becomes one note about both.
func (p *Plan) AddNote(n driver.Note, target string) {
	for i, have := range p.Notes {
		if have.Text == n.Text && have.Warn == n.Warn {
			if !slices.Contains(have.Targets, target) {
				p.Notes[i].Targets = append(p.Notes[i].Targets, target)
			}
			return
		}
	}
	p.Notes = append(p.Notes, Note{Warn: n.Warn, Text: n.Text, Targets: []string{target}})
}

// AddBudget adds a use of a limit to the plan. What several entrances need of
// one thing adds up; of limits that each has to itself, the fullest counts.
func (p *Plan) AddBudget(b driver.Budget) {
	for i, have := range p.Budgets {
		if have.What != b.What || have.Of != b.Of || have.Limit != b.Limit {
			continue
		}
		if b.Of != "" {
			p.Budgets[i].Used += b.Used - b.Before
		} else {
			p.Budgets[i].Used = max(have.Used, b.Used)
		}
		return
	}
	p.Budgets = append(p.Budgets, b)
}

// OnFailure is what a run does when a step fails.
type OnFailure string

// The answers to a failed step: put everything back; wait for a person to say
// retry, undo or stop.
const (
	Undo OnFailure = "undo"
	Ask  OnFailure = "ask"
)

// An Environment is where a plan acts, with each driver's configuration as it
// was when the plan was made.
type Environment struct {
	Name      string                     `json:"name"`
	Protected bool                       `json:"protected,omitempty"`
	Drivers   map[string]json.RawMessage `json:"drivers,omitempty"`
	// Clusters hold further configurations, where the environment has several.
	Clusters map[string]driver.Configs `json:"clusters,omitempty"`
}

// A Service is what customers use, as the plan's reader should see it.
type Service struct {
	Name      string     `json:"name"`
	Team      string     `json:"team,omitempty"`
	Health    []string   `json:"health,omitempty"`
	Entrances []Entrance `json:"entrances"`
	// Mode is how much of it is closed, "" for all of it, and Paths which paths.
	Mode  string   `json:"mode,omitempty"`
	Paths []string `json:"paths,omitempty"`
	// Workloads rest while it is closed.
	Workloads []Workload `json:"workloads,omitempty"`
	// Missing is, of a closing that was rebuilt from its marks, how many of the
	// service's changes carry none: the closing was cut off, or is half undone.
	Missing int `json:"missing,omitempty"`
	// Monitors are kept quiet while it is closed.
	Monitors []Monitor `json:"monitors,omitempty"`
}

// A Monitor is what would call people while the service is closed.
type Monitor struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Cluster string `json:"cluster,omitempty"`
}

// A Workload is what works behind the entrances and rests while they are closed.
type Workload struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Cluster string `json:"cluster,omitempty"`
	Target  string `json:"target"`
	// Owner is the target of the GitOps object that keeps the workload, where
	// the plan edits what it keeps.
	Owner string `json:"owner,omitempty"`
}

// All is the extent of a closing that leaves nothing open.
const All = "all of it"

// Extent says how much of the service is closed.
func (s Service) Extent() string {
	switch {
	case len(s.Paths) > 0:
		return "only " + strings.Join(s.Paths, ", ")
	case s.Mode != "":
		return s.Mode
	}
	return All
}

// An Entrance is one place of a service that the plan closes or opens.
type Entrance struct {
	Kind     string `json:"kind"`
	Name     string `json:"name"`
	Cluster  string `json:"cluster,omitempty"`
	Target   string `json:"target"`
	Strategy string `json:"strategy,omitempty"`
	Why      string `json:"why,omitempty"`
	// URLs at which the plan is proved, and Unproved those at which it cannot be,
	// which a person has accepted.
	URLs     []string            `json:"urls,omitempty"`
	Unproved []driver.Unprovable `json:"unproved,omitempty"`
	// Owner is the target of the GitOps object that keeps the entrance, where
	// the plan edits what it keeps.
	Owner string `json:"owner,omitempty"`
	// Ready are the checks that tell, before this entrance is opened, whether
	// the application behind it would answer.
	Ready []Step `json:"ready,omitempty"`
}

// A Stage is a part of a run with a name that people know. Its steps run side
// by side, except that steps of one track run in the order written.
type Stage struct {
	Name  StageName `json:"name"`
	Steps []Step    `json:"steps"`
}

// A StageName is one of the words below, which every view shows.
type StageName string

// The stages. A closing checks, mutes, pauses, tells, closes, proves and brings to
// rest; an opening starts, is ready, opens, resumes, settles, proves, tells and
// unmutes; an extension mutes on, renews, proves and tells.
const (
	StageCheck  StageName = "check"  // nothing has been written yet
	StageMute   StageName = "mute"   // monitors call nobody
	StagePause  StageName = "pause"  // GitOps must not revert what follows
	StageTell   StageName = "tell"   // apps hear of it
	StageClose  StageName = "close"  // the page goes up
	StageRenew  StageName = "renew"  // the page tells the new end
	StageProve  StageName = "prove"  // seen from outside
	StageRest   StageName = "rest"   // what works behind the doors stops
	StageStart  StageName = "start"  // and works again
	StageReady  StageName = "ready"  // would the application answer?
	StageOpen   StageName = "open"   // the page comes down
	StageResume StageName = "resume" // GitOps takes over again
	StageSettle StageName = "settle" // Git's state is back
	StageUnmute StageName = "unmute" // monitors call people again
	StageReturn StageName = "return" // taken back, and seen from outside
)

// A Step is one action on one target.
type Step struct {
	ID     string      `json:"id"`
	Track  string      `json:"track"`
	Kind   action.Kind `json:"kind"`
	Action string      `json:"action"`
	Target string      `json:"target"`
	// Cluster is where Action is, "" where the environment has one cluster.
	Cluster string `json:"cluster,omitempty"`
	Service string `json:"service,omitempty"`
	// Services are all that need a pause, where the plan knows; plans of before
	// it did have none, and then all of the plan's may.
	Services []string `json:"services,omitempty"`
	// Title is one line that says what the step does, in the imperative.
	Title  string          `json:"title"`
	Params json.RawMessage `json:"params,omitempty"`
	// From and To are a change's states, as the plan's reader approved them.
	From action.State `json:"from,omitzero"`
	To   action.State `json:"to,omitzero"`
	// Undoes is set where a change takes back that step of the closing run.
	Undoes string `json:"undoes,omitempty"`
	// Renews is set where a change gives that step of the closing run another
	// page: what the closing will be taken back from.
	Renews      string             `json:"renews,omitempty"`
	Description action.Description `json:"description,omitzero"`
	// Patience is how long to wait for a check to pass or a change to settle.
	Patience time.Duration `json:"patience,omitempty"`
	// Optional steps are tried, reported and do not fail the run.
	Optional bool `json:"optional,omitempty"`
}

// Unproved says where the plan can prove nothing, a line each, by service: what is
// said of the rest must not be taken for these.
func (p *Plan) Unproved() []string {
	var all []string
	for _, s := range p.Services {
		for _, e := range s.Entrances {
			for _, u := range e.Unproved {
				all = append(all, fmt.Sprintf("%s at %s: %s", s.Name, cmp.Or(u.URL, e.Target), u.Why))
			}
		}
	}
	return all
}

// ActionStaff is the check that asks whether staff get in while closed.
const ActionStaff = "http/staff"

// Steps returns every step in order, those of the return last.
func (p *Plan) Steps() []Step {
	n := len(p.Return)
	for _, s := range p.Stages {
		n += len(s.Steps)
	}
	all := make([]Step, 0, n)
	for _, s := range p.Stages {
		all = append(all, s.Steps...)
	}
	return append(all, p.Return...)
}

// Returning is the return as a stage, for what was taken back of the steps
// with the ids given.
func (p *Plan) Returning(changed []string) Stage {
	taken := map[string]bool{}
	for _, id := range changed {
		taken[id] = true
	}
	back := map[string]bool{}
	for _, s := range p.Steps() {
		if taken[s.ID] {
			back[s.Service] = true
		}
	}
	stage := Stage{Name: StageReturn}
	for _, s := range p.Return {
		if back[s.Service] {
			stage.Steps = append(stage.Steps, s)
		}
	}
	return stage
}

// Step returns the step of that id. It looks at one step after the other: for
// one step after the other of a run there is [run.Run.Planned].
func (p *Plan) Step(id string) (Step, bool) {
	for i := range p.Stages {
		for j := range p.Stages[i].Steps {
			if s := &p.Stages[i].Steps[j]; s.ID == id {
				return *s, true
			}
		}
	}
	for i := range p.Return {
		if p.Return[i].ID == id {
			return p.Return[i], true
		}
	}
	return Step{}, false
}

// Count returns how many steps write something: changes that change something,
// and effects.
func (p *Plan) Count() (changes, effects int) {
	for _, s := range p.Steps() {
		switch {
		case s.Kind == action.KindChange && !s.From.Equal(s.To):
			changes++
		case s.Kind == action.KindEffect:
			effects++
		}
	}
	return changes, effects
}

// Digest identifies a plan by its content, so that what was approved and what
// is executed can be compared.
func (p *Plan) Digest() (string, error) {
	raw, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("plan: %w", err)
	}
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

// Rounds splits a stage's steps so that the steps of one round may run side by
// side and those of one track come in different rounds, in order.
func (s Stage) Rounds() [][]Step {
	var rounds [][]Step
	depth := map[string]int{}
	for _, step := range s.Steps {
		d := depth[step.Track]
		depth[step.Track]++
		if d == len(rounds) {
			rounds = append(rounds, nil)
		}
		rounds[d] = append(rounds[d], step)
	}
	return rounds
}
