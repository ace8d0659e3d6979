package driver

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/fault"
)

// A WorkloadKind is one kind of thing that works behind the door and rests
// while the door is closed, by name: "kube/deployment", "kube/cronjob".
type WorkloadKind struct {
	Name       string
	Summary    string
	NewOptions func() any

	open func(conn any, name string, options json.RawMessage) (Workload, error)
}

// A Workload answers what bringing one to rest takes. It never writes: what it
// proposes are calls of actions.
type Workload interface {
	// Rest reads the workload and proposes how to bring it to rest. Undoing the
	// calls in reverse order makes it work again.
	Rest(ctx context.Context) (*Resting, error)
}

// A Resting says how a workload is brought to rest.
type Resting struct {
	// Target is the workload itself, as "kube:prod/shop/deployment/worker".
	Target string
	// Calls are the changes, in order: what would undo the others comes first.
	Calls []Call
	// Owner is who would revert them, nil if nobody is known.
	Owner *Owner
	Notes []Note
}

// Rests adds a kind of workload to a driver. O is the type of its options.
func Rests[K, O any](kind, summary string, open func(conn K, name string, options O) (Workload, error)) Part[K] {
	w := WorkloadKind{Name: kind, Summary: summary, NewOptions: func() any { return new(O) }}
	w.open = func(conn any, name string, raw json.RawMessage) (Workload, error) {
		var o O
		if err := decodeStrict(raw, &o); err != nil {
			return nil, fmt.Errorf("%s %s: %w", kind, name, err)
		}
		return open(conn.(K), name, o)
	}
	return func(d *Driver) { d.Workloads = append(d.Workloads, &w) }
}

// NoOptions are those of a workload that has none.
type NoOptions struct{}

// WorkloadKinds lists the names of every kind of workload.
func (r *Registry) WorkloadKinds() []string {
	var names []string
	for _, d := range r.drivers {
		for _, w := range d.Workloads {
			names = append(names, w.Name)
		}
	}
	return names
}

// WorkloadKind returns the kind of workload of that name, or nil.
func (r *Registry) WorkloadKind(name string) *WorkloadKind {
	for _, d := range r.drivers {
		for _, w := range d.Workloads {
			if w.Name == name {
				return w
			}
		}
	}
	return nil
}

// Workload opens a workload by its kind and name.
func (s *Session) Workload(ctx context.Context, kind, name string, options json.RawMessage) (Workload, error) {
	for _, d := range s.registry.drivers {
		for _, w := range d.Workloads {
			if w.Name != kind {
				continue
			}
			conn, err := s.connect(ctx, d)
			if err != nil {
				return nil, err
			}
			opened, err := w.open(conn, name, options)
			if err != nil {
				return nil, err
			}
			return guardedWorkload{opened, s.env.patience()}, nil
		}
	}
	return nil, &fault.Fault{Code: fault.Invalid, Summary: "unknown kind of workload",
		Detail: fmt.Sprintf("%q is none of %s.", kind, strings.Join(s.registry.WorkloadKinds(), ", "))}
}

type guardedWorkload struct {
	Workload
	patience patience
}

// Requires lists what bringing the workload to rest may need, as far as that is
// known before it is read.
func (g guardedWorkload) Requires() []action.Permission {
	if r, ok := g.Workload.(action.Requirer); ok {
		return r.Requires()
	}
	return nil
}

func (g guardedWorkload) Rest(ctx context.Context) (*Resting, error) {
	return retried(ctx, g.patience, g.Workload.Rest)
}
