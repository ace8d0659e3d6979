package driver

import (
	"context"
	"errors"
	"fmt"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/fault"
)

// An Owner is a GitOps object that keeps another object as its manifests say.
type Owner struct {
	System string `json:"system"` // the driver's name: "argocd", "flux"
	// Kind is the owner's, where its system has several; "" is the usual one.
	Kind      string `json:"kind,omitempty"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Guessed is set where the sign is weak, such as a label that other tools
	// set too: then there may be no such object.
	Guessed bool `json:"guessed,omitempty"`
}

// An Edit is what would be written into an object that an owner keeps. The
// zero Edit is that of an entrance.
type Edit struct {
	Group, Kind, Namespace, Name string
	// Pointers are the JSON pointers (RFC 6901) of what would be written.
	Pointers []string
}

// OfEntrance tells whether the edit is that of an entrance, and not of an owner
// by pausing it.
func (e Edit) OfEntrance() bool { return len(e.Pointers) == 0 }

// A Hold is what keeps one owner from taking an edit back.
type Hold struct {
	// Target is the owner, as plans name it: "argocd:prod/argocd/application/shop".
	Target string
	// Name is the owner as a person would say it: "Application argocd/shop".
	Name string
	// Checks come before any write. Pauses are changes, in order, each the
	// Action of one of the driver's [Pause]s; with none, the owner leaves the
	// edit alone, and Notes say why.
	Checks []Call
	Pauses []Call
	Notes  []Note
	// Next is who would take the pauses back, nil if nobody is known.
	Next *Kept
}

// Kept is an owner, and the edit that it would take back.
type Kept struct {
	Owner Owner
	Edit  Edit
}

// A Pause is a change by which an owner is kept from taking edits back, and
// what follows when it has been taken back.
type Pause struct {
	// Action is the change's name.
	Action string
	// Title and Resume begin a plan's line, before the target: "Pause automated
	// sync of", "Resume automated sync of".
	Title, Resume string
	// Settle makes the owner of an entrance look again, and waits until its
	// state is back. Look only makes an owner of owners look again: what else is
	// out of step there is no business of an opening's. Both are checks and
	// effects that take the same parameters as Action.
	Settle, Look []Then
}

// Then is a check or an effect after a pause has been taken back. Title begins
// a plan's line, before the target.
type Then struct{ Action, Title string }

// Ownership is what a driver can do about owners of its system.
type Ownership[K any] struct {
	// Hold says how to keep the owner from taking the edit back. It only reads.
	// An owner that does not exist is a fault of code NotFound.
	Hold func(ctx context.Context, conn K, o Owner, e Edit) (*Hold, error)
	// Requires lists what holding, pausing and resuming the owner needs. It does
	// no I/O.
	Requires func(conn K, o Owner) []action.Permission
	Pauses   []Pause
}

// Owns adds the ability to keep owners of the driver's system from taking edits
// back.
func Owns[K any](own Ownership[K]) Part[K] {
	return func(d *Driver) {
		d.owns = &Ownership[any]{
			Hold: func(ctx context.Context, conn any, o Owner, e Edit) (*Hold, error) {
				return own.Hold(ctx, conn.(K), o, e)
			},
			Requires: func(conn any, o Owner) []action.Permission { return own.Requires(conn.(K), o) },
			Pauses:   own.Pauses,
		}
	}
}

// errPause is a mistake in a driver.
var errPause = errors.New("it pauses by an action that is none of its pauses")

// Hold asks the owner's driver how to keep the owner from taking an edit back.
func (s *Session) Hold(ctx context.Context, o Owner, e Edit) (*Hold, error) {
	d, conn, err := s.owner(ctx, o)
	if err != nil {
		return nil, err
	}
	h, err := retried(ctx, s.env.patience(), func(ctx context.Context) (*Hold, error) { return d.owns.Hold(ctx, conn, o, e) })
	if err != nil {
		return nil, err
	}
	for _, c := range h.Pauses {
		if _, ok := s.registry.Pause(c.Action); !ok {
			return nil, fmt.Errorf("driver %s: %s: %w", d.Name, c.Action, errPause)
		}
	}
	return h, nil
}

// OwnerRequires lists what holding, pausing and resuming the owner needs.
func (s *Session) OwnerRequires(ctx context.Context, o Owner) ([]action.Permission, error) {
	d, conn, err := s.owner(ctx, o)
	if err != nil {
		return nil, err
	}
	return d.owns.Requires(conn, o), nil
}

func (s *Session) owner(ctx context.Context, o Owner) (*Driver, any, error) {
	d := s.registry.Driver(o.System)
	if d == nil || d.owns == nil {
		return nil, nil, &fault.Fault{Code: fault.Invalid, Summary: "unknown kind of owner",
			Detail: fmt.Sprintf("%s %s/%s would take the edit back, and this noren cannot pause it.", o.System, o.Namespace, o.Name)}
	}
	conn, err := s.connect(ctx, d)
	return d, conn, err
}

// Pause returns the pause of that action's name, and whether it is one.
func (r *Registry) Pause(name string) (Pause, bool) {
	for _, d := range r.drivers {
		if d.owns == nil {
			continue
		}
		for _, p := range d.owns.Pauses {
			if p.Action == name {
				return p, true
			}
		}
	}
	return Pause{}, false
}
