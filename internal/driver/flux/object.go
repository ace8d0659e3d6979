package flux

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/kubeclient/gitops"
)

// requestedAt asks Flux to reconcile: any value that status.lastHandledReconcileAt
// is not.
// Source: https://fluxcd.io/flux/components/kustomize/kustomizations/#triggering-a-reconcile
const requestedAt = "reconcile.fluxcd.io/requestedAt"

// Conditions and the reason that noren looks at. ProgressingWithRetry means that
// the last attempt failed and the next has not begun.
// Source: finalizeStatus and reconcile in
// internal/controller/kustomization_controller.go of fluxcd/kustomize-controller,
// internal/reconcile/atomic_release.go of fluxcd/helm-controller.
const (
	conditionReady       = "Ready"
	conditionReconciling = "Reconciling"
	reasonRetry          = "ProgressingWithRetry"
)

// An object is what noren reads of a Kustomization or HelmRelease.
type object struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		// Suspend is nil where absent, which means false and is not the same.
		Suspend        *bool           `json:"suspend"`
		Interval       metav1.Duration `json:"interval"`
		DriftDetection *struct {
			Mode string `json:"mode"`
		} `json:"driftDetection"`
	} `json:"spec"`
	Status struct {
		ObservedGeneration     int64              `json:"observedGeneration"`
		LastHandledReconcileAt string             `json:"lastHandledReconcileAt"`
		Conditions             []metav1.Condition `json:"conditions"`
	} `json:"status"`
}

func (o *object) suspended() bool { return o.Spec.Suspend != nil && *o.Spec.Suspend }

func (o *object) condition(kind string) (metav1.Condition, bool) {
	i := slices.IndexFunc(o.Status.Conditions, func(c metav1.Condition) bool { return c.Type == kind })
	if i < 0 {
		return metav1.Condition{}, false
	}
	return o.Status.Conditions[i], true
}

// busy says what is being applied, "" if nothing is.
func (o *object) busy() string {
	c, ok := o.condition(conditionReconciling)
	if !ok || c.Status != metav1.ConditionTrue || c.Reason == reasonRetry {
		return ""
	}
	return "it is being applied since " + c.LastTransitionTime.UTC().Format(time.RFC3339) + gitops.Said(c.Message)
}

// quiet is OK when nothing is being applied: a suspension does not interrupt
// what has begun.
func (t target) quiet(o *object) action.Verdict {
	busy := o.busy()
	if busy == "" {
		return action.Verdict{OK: true, Summary: t.what() + ": nothing is being applied"}
	}
	return action.Verdict{
		Summary:  t.what() + " is busy",
		Findings: []string{fmt.Sprintf("%s: %s; wait for its end", t.what(), busy)},
		Try:      []string{fmt.Sprintf("flux get %s %s -n %s", t.kind.word, t.ref.Name, t.ref.Namespace)},
	}
}
