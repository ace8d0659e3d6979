package driver

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/noren-dev/noren/internal/edge"
)

// An EntranceKind is one kind of place where requests come in and can be
// turned away, by name: "kube/ingress", "gate/door".
type EntranceKind struct {
	Name       string
	Summary    string
	NewOptions func() any

	open func(conn any, name string, options json.RawMessage) (Entrance, error)
}

// An Entrance answers what closing one entrance takes. It never writes: what
// it proposes are calls of actions.
type Entrance interface {
	// Survey reads the entrance as it is now.
	Survey(ctx context.Context) (*Survey, error)
	// Close proposes how to close what was surveyed. It does no I/O.
	Close(s *Survey, c edge.Closing) (*Proposal, error)
}

// A Survey is an entrance as it was read.
type Survey struct {
	// Target is the entrance itself, as "kube:prod/shop/ingress/web".
	Target string
	// Hosts that the entrance serves; a hostless rule is "".
	Hosts []string
	// URLs to probe, one for each host and listener that serves customers.
	URLs []string
	// Front is the whole door as it is, other services' rules included.
	Front edge.Front
	// Owner is who would revert an edit of the entrance, nil if nobody is known.
	Owner *Owner
	// PageLimit is how many bytes of page the door itself can send; such a door
	// sends a status, a bare content type and a body, and no headers. 0 means
	// that there is no limit and that headers are sent.
	PageLimit int
	// Headers is set where a door with a PageLimit sends headers nevertheless,
	// and any content type.
	Headers bool
	// LargePages is set where a page over PageLimit can be sent nevertheless,
	// by a page server behind the door, with headers. Close then sees by the
	// page's size which way it is.
	LargePages bool
	// Notes are what the reader of a plan should know of the entrance.
	Notes []Note
	// Seen is the driver's own reading, for its Close.
	Seen any
}

// A Note is a sentence in a plan. Warn marks those that a tired reader must
// not miss.
type Note struct {
	Warn bool   `json:"warn,omitempty"`
	Text string `json:"text"`
}

// A Proposal is how an entrance would be closed.
type Proposal struct {
	Strategy string // "overlay"
	Why      string // why this strategy, one sentence
	// Checks come before any write; Calls are the changes, in order.
	Checks []Call
	Calls  []Call
	// Front is the whole door as it would be.
	Front edge.Front
	// URLs are those at which the page will be seen, where it is not all of
	// Survey.URLs.
	URLs []string
	// EditsOwned is set where Calls edit what Survey.Owner keeps, so that its
	// automated sync must be paused meanwhile.
	EditsOwned bool
	// Ready are checks that tell, behind the curtain, whether the application
	// would answer if the entrance were opened now.
	Ready   []Call
	Budgets []Budget
	Notes   []Note
	// Unprovable are the URLs of the survey at which no probe could see the page.
	Unprovable []Unprovable
}

// An Unprovable is a URL at which a closing could not be proved from outside,
// with the reason and what a person can do, in sentences.
type Unprovable struct {
	URL string `json:"url,omitempty"` // "" where none is known
	Why string `json:"why"`
}

// A Call is an action with its parameters.
type Call struct {
	Action string
	Params any
}

// A Budget is how much of a limit the proposal uses.
type Budget struct {
	What string `json:"what"` // "listener rules", "condition values of one rule"
	// Of names the thing outside whose limit it is, where several entrances
	// draw on the same one: what their proposals need of it adds up. Without
	// it, each proposal has the limit to itself.
	Of string `json:"of,omitempty"`
	// Before is how much of it is used now, Used how much would be.
	Before int `json:"before,omitempty"`
	Used   int `json:"used"`
	Limit  int `json:"limit"`
	// Raise says how a person who has more than Limit tells noren so.
	Raise string `json:"-"`
}

// Breaks tells whether the limit would be passed. One that is passed already
// is not the limit that it was taken for.
func (b Budget) Breaks() bool { return b.Used > b.Limit && b.Before <= b.Limit }

// Closes adds a kind of entrance to a driver. O is the type of its options.
func Closes[K, O any](kind, summary string, open func(conn K, name string, options O) (Entrance, error)) Part[K] {
	e := EntranceKind{Name: kind, Summary: summary, NewOptions: func() any { return new(O) }}
	e.open = func(conn any, name string, raw json.RawMessage) (Entrance, error) {
		var o O
		if err := decodeStrict(raw, &o); err != nil {
			return nil, fmt.Errorf("%s %s: %w", kind, name, err)
		}
		return open(conn.(K), name, o)
	}
	return func(d *Driver) { d.Entrances = append(d.Entrances, &e) }
}
