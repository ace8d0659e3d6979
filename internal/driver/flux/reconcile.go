package flux

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/kubeclient/gitops"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

// idle is the check that nothing is being applied.
type idle struct{ target }

func openIdle(k kind) func(c *conn, ref Ref) (*idle, error) {
	return func(c *conn, ref Ref) (*idle, error) { return &idle{target{c, k, ref}}, nil }
}

// Check asks for an apply under way.
func (i *idle) Check(ctx context.Context) (action.Verdict, error) {
	o, err := i.must(ctx)
	if err != nil {
		return action.Verdict{}, err
	}
	return i.quiet(o), nil
}

// Requires lists the permission to read the object.
func (i *idle) Requires() []action.Permission {
	return i.needs("to see whether it is being applied", "get")
}

// reconcile is the effect that asks Flux to look now, and not at the end of the
// object's interval.
type reconcile struct{ target }

func openReconcile(k kind) func(c *conn, ref Ref) (*reconcile, error) {
	return func(c *conn, ref Ref) (*reconcile, error) { return &reconcile{target{c, k, ref}}, nil }
}

// Do asks, with the key as the value, so that a retry asks for nothing new. A
// suspended object ignores it, and is left alone.
func (r *reconcile) Do(ctx context.Context, key string) error {
	o, err := r.must(ctx)
	if err != nil {
		return err
	}
	if o.suspended() || o.Metadata.Annotations[requestedAt] == key {
		return nil
	}
	patch := start(o)
	kubeobject.Annotate(patch, o.Metadata.Annotations, requestedAt, key)
	return again(r.write(ctx, patch))
}

// Requires lists the permissions to read and to patch the object.
func (r *reconcile) Requires() []action.Permission {
	return r.needs("to ask Flux to apply it now", "get", "patch")
}

// ready is the check that Flux has looked since it was asked to, and that what
// Git says is there.
type ready struct{ target }

func openReady(k kind) func(c *conn, ref Ref) (*ready, error) {
	return func(c *conn, ref Ref) (*ready, error) { return &ready{target{c, k, ref}}, nil }
}

// Check asks whether the last request was handled, and whether the object is
// ready as it is now.
func (r *ready) Check(ctx context.Context) (action.Verdict, error) {
	o, err := r.must(ctx)
	if err != nil {
		return action.Verdict{}, err
	}
	if o.suspended() {
		return action.Verdict{OK: true, Summary: r.what() + " is suspended, as it was"}, nil
	}
	v := action.Verdict{OK: true, Summary: r.what() + " is ready"}
	say := func(format string, args ...any) {
		v.OK, v.Summary = false, r.what()+" is not ready"
		v.Findings = append(v.Findings, r.what()+": "+fmt.Sprintf(format, args...))
		v.Try = []string{fmt.Sprintf("flux get %s %s -n %s", r.kind.word, r.ref.Name, r.ref.Namespace)}
	}
	c, known := o.condition(conditionReady)
	switch asked := o.Metadata.Annotations[requestedAt]; {
	case asked != o.Status.LastHandledReconcileAt:
		say("Flux has not looked at it since it was asked to; is its controller running?")
	case !known:
		say("Flux has not said whether it is ready")
	case c.Status != metav1.ConditionTrue:
		say("%s%s", c.Reason, gitops.Said(c.Message))
	case o.Status.ObservedGeneration != o.Metadata.Generation:
		say("Flux has not looked at it since it was changed")
	}
	return v, nil
}

// Requires lists the permission to read the object.
func (r *ready) Requires() []action.Permission {
	return r.needs("to see whether Git's state is back", "get")
}
