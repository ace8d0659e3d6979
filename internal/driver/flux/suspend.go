package flux

import (
	"context"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

const suspendPath = "/spec/suspend"

// Suspended is the state of flux/kustomization.suspend and
// flux/helmrelease.suspend: exactly spec.suspend, as it is written. Absent is
// not the same as false: a field that Git does not set stays as it is patched.
type Suspended struct {
	Suspend *bool `json:"suspend,omitempty"`
}

func (s *Suspended) same(o *Suspended) bool {
	if s.Suspend == nil || o.Suspend == nil {
		return s.Suspend == o.Suspend
	}
	return *s.Suspend == *o.Suspend
}

func (s *Suspended) on() bool { return s.Suspend != nil && *s.Suspend }

func (s *Suspended) String() string {
	if s.Suspend == nil {
		return "absent"
	}
	return fmt.Sprint(*s.Suspend)
}

// suspend is the change flux/kustomization.suspend or flux/helmrelease.suspend.
type suspend struct {
	target
	mark *action.Mark
}

func openSuspend(k kind) func(c *conn, ref Ref) (driver.Typed[Suspended], error) {
	return func(c *conn, ref Ref) (driver.Typed[Suspended], error) {
		return &suspend{target: target{c, k, ref}}, nil
	}
}

// Observe reads spec.suspend.
func (s *suspend) Observe(ctx context.Context) (*Suspended, error) {
	o, err := s.get(ctx)
	if err != nil || o == nil {
		return nil, err
	}
	return &Suspended{o.Spec.Suspend}, nil
}

// Propose suspends. What is suspended stays as it is.
func (s *suspend) Propose(from *Suspended) (*Suspended, error) {
	if from == nil {
		return nil, s.missing()
	}
	yes := true
	return &Suspended{&yes}, nil
}

// Apply writes spec.suspend, and the mark with it.
func (s *suspend) Apply(ctx context.Context, from, to *Suspended) error {
	o, err := s.get(ctx)
	if err != nil {
		return err
	}
	if o == nil || from == nil || to == nil {
		if o == nil && to == nil {
			return nil
		}
		return fmt.Errorf("%s: it does not exist, or did not when its state was recorded; see whether it was deleted or renamed on purpose: %w", s.what(), action.ErrDrift)
	}
	patch, now := start(o), &Suspended{o.Spec.Suspend}
	marking := kubeobject.Marking{Key: kubeclient.MarkAnnotation, Mark: s.mark}
	switch {
	case now.same(to):
		// A colleague resumed it by hand: the mark may still be there.
		if !marking.Undoes(to) || !marking.Take(patch, o.Metadata.Annotations) {
			return nil
		}
	case !now.same(from):
		return fmt.Errorf("%s: spec.suspend is %s, noren expected %s or %s; see who changed it, and why, before going on: %w", s.what(), now, from, to, action.ErrDrift)
	default:
		patch.Test(suspendPath, now.Suspend)
		if to.Suspend == nil {
			patch.Remove(suspendPath)
		} else {
			patch.Add(suspendPath, *to.Suspend)
		}
		if err := marking.Write(patch, o.Metadata.Annotations, to); err != nil {
			return fmt.Errorf("%s: %w", s.what(), err)
		}
	}
	return again(s.write(ctx, patch))
}

// again makes an error that is worth another try of a patch whose test failed:
// the next one begins from what is there then.
func again(err error) error {
	if errors.Is(err, kubeclient.ErrTestFailed) {
		return fmt.Errorf("%w: %w", action.ErrUnavailable, err)
	}
	return err
}

// Settled is OK once Flux has seen the suspension and nothing is being applied:
// what began before it goes on after it. A controller that looks at a suspended
// object reports the generation that it saw, and looks at one object once at a
// time; kustomize-controller does so where the object is Ready.
// Source: finalizeStatus and Reconcile in
// internal/controller/kustomization_controller.go of fluxcd/kustomize-controller,
// Reconcile in internal/controller/helmrelease_controller.go of
// fluxcd/helm-controller.
func (s *suspend) Settled(ctx context.Context, want *Suspended) (action.Verdict, error) {
	if want == nil || !want.on() {
		return action.Verdict{OK: true, Summary: s.what() + ": it is not suspended"}, nil
	}
	o, err := s.must(ctx)
	if err != nil {
		return action.Verdict{}, err
	}
	ready, _ := o.condition(conditionReady)
	if v := s.quiet(o); !v.OK || ready.Status != metav1.ConditionTrue || o.Status.ObservedGeneration == o.Metadata.Generation {
		return v, nil
	}
	return action.Verdict{
		Summary:  s.what() + " is suspended, and Flux has not seen it yet",
		Findings: []string{s.what() + ": Flux may still be applying it; is its controller running?"},
		Try: []string{"kubectl -n flux-system get deployments",
			fmt.Sprintf("flux suspend %s %s -n %s   # by hand: then there is nothing for noren to wait for", s.kind.word, s.ref.Name, s.ref.Namespace)},
	}, nil
}

// Describe says what happens, and shows the YAML.
func (s *suspend) Describe(from, to *Suspended) action.Description {
	d := action.Description{Before: text(from), After: text(to)}
	switch {
	case from == nil || to == nil:
		d.Line = s.what() + " does not exist"
	case from.on() && to.on():
		d.Line = s.what() + " is suspended already: nothing to do"
	case to.on():
		d.Line = "suspend " + s.what()
	default:
		d.Line = "resume " + s.what()
	}
	return d
}

func text(s *Suspended) string {
	switch {
	case s == nil:
		return ""
	case s.Suspend == nil:
		return "spec:\n  # no suspend\n"
	default:
		return fmt.Sprintf("spec:\n  suspend: %v\n", *s.Suspend)
	}
}

// Marked returns the same change, leaving m.
func (s *suspend) Marked(m action.Mark) driver.Typed[Suspended] { return &suspend{s.target, &m} }

// Fits tells whether the object could carry the mark beside its own annotations.
func (s *suspend) Fits(ctx context.Context, m action.Mark) error {
	o, err := s.get(ctx)
	if err != nil || o == nil {
		return err
	}
	return kubeclient.MarkFits(s.what(), m, o.Metadata.Annotations)
}

// Requires lists the permissions to read and to patch the object.
func (s *suspend) Requires() []action.Permission {
	return s.needs("to suspend it and to resume it", "get", "patch")
}
