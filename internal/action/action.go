// Package action holds the one contract that everything noren does to the
// outside world obeys.
//
// There are three kinds of action, and the compiler keeps them apart:
//
//   - a [Change] moves one target between two states and can be undone by
//     making the same call with the states exchanged;
//   - a [Check] only reads;
//   - an [Effect] cannot be undone, and every view says so.
//
// A driver contains no retry, no sleep, no timeout and no logging of its own:
// the engine and the wrappers of package driver bring those, so that they
// behave alike everywhere. Every method must return soon after its context is
// done, and must write nothing when the context was done before it was called.
package action

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"time"
)

// ErrDrift means that the target is in neither of the states Apply was given:
// someone else changed it. Drivers wrap it with what they found.
var ErrDrift = errors.New("target has drifted")

// ErrUnavailable means that the outside system did not answer, answered that
// it is overloaded, or lost the answer. Trying the same call again is safe and
// may succeed. Drivers wrap it; only the wrappers of package driver retry.
var ErrUnavailable = errors.New("unavailable")

// A Change moves one target between two states. To undo is to make the same
// call with the states exchanged: there is no second method to leave empty.
type Change interface {
	// Observe reads the target. It never writes. A target that does not exist
	// is the zero State, not an error.
	Observe(ctx context.Context) (State, error)

	// Propose returns the state wanted, given the state observed. It does no
	// I/O and is deterministic: the same state gives the same proposal.
	Propose(from State) (to State, err error)

	// Apply writes to if the target is in from, does nothing if it is already
	// in to, and else writes nothing and returns an error wrapping ErrDrift.
	// Retrying after a crash or a lost answer is therefore safe.
	//
	// Apply touches only the fields that State holds: what a colleague wrote
	// beside them survives.
	Apply(ctx context.Context, from, to State) error
}

// A Check reads the outside world and gives a verdict. It never writes.
// An error means that the question could not be answered; a bad answer is a
// Verdict with OK false.
type Check interface {
	Check(ctx context.Context) (Verdict, error)
}

// An Effect does something that cannot be undone, such as asking Argo CD to
// sync. key is the same for every attempt of one step of one run, so that a
// system with idempotency keys can tell a retry from a second request.
type Effect interface {
	Do(ctx context.Context, key string) error
}

// A Kind says which of the three contracts an action obeys.
type Kind string

// The kinds. The words are those of plans, events and pages.
const (
	KindChange Kind = "change"
	KindCheck  Kind = "check"
	KindEffect Kind = "effect"
)

// State holds exactly the fields that Apply writes, no more, and no secret
// beyond those that the target itself must hold. The zero State: no target.
type State struct {
	// Version is the version of the layout of Fields, so that receipts
	// written by an older noren stay readable. It starts at 1.
	Version int `json:"version"`
	// Fields is a JSON object.
	Fields json.RawMessage `json:"fields,omitempty"`
}

// IsZero tells whether s means that there is no target.
func (s State) IsZero() bool { return s.Version == 0 && len(s.Fields) == 0 }

// Equal compares by value, not by bytes: databases and API servers reorder
// keys. Numbers are compared as written, so that large ones keep their digits.
func (s State) Equal(o State) bool {
	if s.Version != o.Version {
		return false
	}
	if bytes.Equal(s.Fields, o.Fields) {
		return true
	}
	a, errA := decode(s.Fields)
	b, errB := decode(o.Fields)
	return errA == nil && errB == nil && reflect.DeepEqual(a, b)
}

func decode(raw json.RawMessage) (any, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	err := dec.Decode(&v)
	return v, err
}

// A Receipt is what a target was before a step of a run and what it was to
// become. It is committed before the first Apply and never updated.
type Receipt struct {
	Run     string    `json:"run"`
	Step    string    `json:"step"`
	Action  string    `json:"action"`
	Target  string    `json:"target"`
	From    State     `json:"from"`
	To      State     `json:"to"`
	TakenAt time.Time `json:"takenAt"`
}

// A Verdict is the answer of a check. Summary is one line for people; Findings
// name what is not yet as it should be, one line each; Try holds commands that
// mend it, each on its own line and ready to be pasted.
type Verdict struct {
	OK       bool     `json:"ok"`
	Summary  string   `json:"summary"`
	Findings []string `json:"findings,omitempty"`
	Try      []string `json:"try,omitempty"`
}

// The optional abilities of a Change or Check. Each says what its absence means.

// A Waiter knows when an applied state has taken effect outside. The engine
// asks again, with pauses, until the verdict is OK or its time is over. A
// Change that is no Waiter has taken effect when Apply returns.
type Waiter interface {
	Settled(ctx context.Context, want State) (Verdict, error)
}

// A Describer explains a change to people. Without it, views show the two
// states' fields as JSON.
type Describer interface {
	Describe(from, to State) Description
}

// A Description is one line, and the target's relevant part before and after
// as text (YAML where the target is YAML) from which views draw a diff. Secrets
// in it are replaced by dots.
type Description struct {
	Line   string `json:"line"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// A Marker is a change that leaves a mark on its target in the same write as
// the change itself, and takes it away in the same write as the undo. Without
// it, a change cannot be found by leftovers or recover once noren's database
// is lost, and the driver's page says so.
type Marker interface {
	// Marked returns the same change, leaving m when Apply reaches
	// m.Receipt.To and removing its mark when Apply reaches m.Receipt.From.
	Marked(m Mark) Change
	// Fits fails if the target cannot carry m beside what it carries now. It
	// only reads.
	Fits(ctx context.Context, m Mark) error
}

// A Requirer lists the permissions that the action needs. Without it, check
// --live and iam cannot speak for the action, and say so.
type Requirer interface {
	Requires() []Permission
}

// A Permission is one right needed on an outside system, in that system's own
// words: for Kubernetes a verb on a resource, for AWS an action on an ARN.
type Permission struct {
	System    string `json:"system"` // the driver's name: "kube", "argocd", …
	Verb      string `json:"verb"`
	Resource  string `json:"resource"` // "ingresses.networking.k8s.io"
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	// Cluster is that of the environment, where it has several.
	Cluster string `json:"cluster,omitempty"`
	Why     string `json:"why"`
}
