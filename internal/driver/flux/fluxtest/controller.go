// Package fluxtest holds a FAKE of Flux's kustomize-controller and
// helm-controller for tests.
//
// No part of Flux runs here, and nothing here proves that Flux behaves as the
// fake does: it imitates, on real Kustomizations and HelmReleases of a real API
// server, what noren depends on, as read in the sources of kustomize-controller
// 1.9 and helm-controller 1.6. What it imitates:
//
//   - a Kustomization applies its manifests by server-side apply, by force, as
//     kustomize-controller, with the labels that say so: at once when it changes
//     or is asked to, and at each interval;
//   - an object with the annotation or label kustomize.toolkit.fluxcd.io/reconcile:
//     disabled is not applied;
//   - a HelmRelease with driftDetection.mode enabled does the same as
//     helm-controller; without it, it applies only once;
//   - spec.suspend stops all of that, but not an apply that has begun: while the
//     annotation HoldAnnotation is there, one stays under way;
//   - status: Ready, Reconciling while it applies, observedGeneration and
//     lastHandledReconcileAt, also of a suspended object.
//
// What it does not: sources, decryption, substitution, pruning, health checks,
// dependencies, retries, Helm.
package fluxtest

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// HoldAnnotation on an object keeps an apply of it under way.
const HoldAnnotation = "fluxtest.noren.dev/hold"

// The resources that the controller works on.
var (
	Kustomizations = schema.GroupVersionResource{Group: "kustomize.toolkit.fluxcd.io", Version: "v1", Resource: "kustomizations"}
	HelmReleases   = schema.GroupVersionResource{Group: "helm.toolkit.fluxcd.io", Version: "v2", Resource: "helmreleases"}
)

const (
	requestedAt = "reconcile.fluxcd.io/requestedAt"
	leaveAlone  = "kustomize.toolkit.fluxcd.io/reconcile"
	// look is how often it looks at everything: the interval of all objects.
	look = 150 * time.Millisecond
)

// A Manifest is one object as Git says it.
type Manifest struct {
	Resource schema.GroupVersionResource
	Object   *unstructured.Unstructured
}

// A Controller is the fake. Set Client and Namespace before Run.
type Controller struct {
	Client    dynamic.Interface
	Namespace string

	mu      sync.Mutex
	git     map[string][]Manifest
	helmRan map[string]bool
}

// Commit puts manifests into Git for an object, by its resource and name.
func (c *Controller) Commit(resource schema.GroupVersionResource, name string, manifests ...Manifest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.git == nil {
		c.git, c.helmRan = map[string][]Manifest{}, map[string]bool{}
	}
	c.git[resource.Resource+"/"+name] = manifests
}

func (c *Controller) head(resource schema.GroupVersionResource, name string) []Manifest {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.git[resource.Resource+"/"+name]
}

// Run works until ctx is done.
func (c *Controller) Run(ctx context.Context) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		for _, resource := range []schema.GroupVersionResource{Kustomizations, HelmReleases} {
			list, err := c.Client.Resource(resource).Namespace(c.Namespace).List(ctx, metav1.ListOptions{})
			if apierrors.IsNotFound(err) {
				continue
			}
			for i := 0; err == nil && i < len(list.Items); i++ {
				err = c.reconcile(ctx, resource, &list.Items[i])
			}
			if err != nil && !apierrors.IsConflict(err) && ctx.Err() == nil {
				return fmt.Errorf("fluxtest: %w", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// reconcile does what is to be done about one object, as it was read. Whoever
// writes to it meanwhile makes it begin anew.
func (c *Controller) reconcile(ctx context.Context, resource schema.GroupVersionResource, o *unstructured.Unstructured) error {
	suspended, _, _ := unstructured.NestedBool(o.Object, "spec", "suspend")
	_, held := o.GetAnnotations()[HoldAnnotation]
	busy := condition(o, "Reconciling") == "True"
	if suspended && !(held && busy) {
		return c.report(ctx, resource, o, readyConditions())
	}
	if err := c.report(ctx, resource, o, busyConditions()); err != nil || held {
		return err
	}
	if err := c.apply(ctx, resource, o); err != nil {
		return err
	}
	return c.report(ctx, resource, o, readyConditions())
}

func readyConditions() []metav1.Condition {
	return []metav1.Condition{{Type: "Ready", Status: metav1.ConditionTrue, Reason: "ReconciliationSucceeded", Message: "Applied revision: main"}}
}

func busyConditions() []metav1.Condition {
	return []metav1.Condition{
		{Type: "Ready", Status: metav1.ConditionUnknown, Reason: "Progressing", Message: "Reconciliation in progress"},
		{Type: "Reconciling", Status: metav1.ConditionTrue, Reason: "Progressing", Message: "Fetching manifests for revision main"},
	}
}

// apply applies the manifests.
func (c *Controller) apply(ctx context.Context, resource schema.GroupVersionResource, o *unstructured.Unstructured) error {
	manager, group := "kustomize-controller", Kustomizations.Group
	if resource == HelmReleases {
		manager, group = "helm-controller", HelmReleases.Group
		mode, _, _ := unstructured.NestedString(o.Object, "spec", "driftDetection", "mode")
		c.mu.Lock()
		ran := c.helmRan[o.GetName()]
		c.helmRan[o.GetName()] = true
		c.mu.Unlock()
		if ran && mode != "enabled" {
			return nil
		}
	}
	for _, m := range c.head(resource, o.GetName()) {
		object := m.Object.DeepCopy()
		object.SetLabels(map[string]string{group + "/name": o.GetName(), group + "/namespace": o.GetNamespace()})
		objects := c.Client.Resource(m.Resource).Namespace(object.GetNamespace())
		live, err := objects.Get(ctx, object.GetName(), metav1.GetOptions{})
		if err == nil && (live.GetAnnotations()[leaveAlone] == "disabled" || live.GetLabels()[leaveAlone] == "disabled") {
			continue
		}
		raw, err := json.Marshal(object)
		if err != nil {
			return err
		}
		force := true
		if _, err := objects.Patch(ctx, object.GetName(), types.ApplyPatchType, raw, metav1.PatchOptions{FieldManager: manager, Force: &force}); err != nil {
			return err
		}
	}
	return nil
}

// report writes the status, if it would change.
func (c *Controller) report(ctx context.Context, resource schema.GroupVersionResource, o *unstructured.Unstructured, conditions []metav1.Condition) error {
	had := conditionsOf(o)
	now := conditions[:0:0]
	for _, want := range conditions {
		want.LastTransitionTime, want.ObservedGeneration = metav1.Now().Rfc3339Copy(), o.GetGeneration()
		if old := meta.FindStatusCondition(had, want.Type); old != nil && old.Status == want.Status {
			want.LastTransitionTime = old.LastTransitionTime
		}
		now = append(now, want)
	}
	list := make([]any, len(now))
	for i := range now {
		fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&now[i])
		if err != nil {
			return err
		}
		list[i] = fields
	}
	next := o.DeepCopy()
	set(next, list, "status", "conditions")
	if len(now) == 1 { // it has ended
		set(next, o.GetGeneration(), "status", "observedGeneration")
		if asked, ok := o.GetAnnotations()[requestedAt]; ok {
			set(next, asked, "status", "lastHandledReconcileAt")
		}
	}
	if fmt.Sprint(next.Object["status"]) == fmt.Sprint(o.Object["status"]) {
		return nil
	}
	stored, err := c.Client.Resource(resource).Namespace(o.GetNamespace()).UpdateStatus(ctx, next, metav1.UpdateOptions{FieldManager: "gotk-controller"})
	if err == nil {
		*o = *stored
	}
	return err
}

func conditionsOf(o *unstructured.Unstructured) []metav1.Condition {
	var status struct {
		Conditions []metav1.Condition `json:"conditions"`
	}
	raw, _ := json.Marshal(o.Object["status"])
	_ = json.Unmarshal(raw, &status)
	return status.Conditions
}

func condition(o *unstructured.Unstructured, kind string) metav1.ConditionStatus {
	if c := meta.FindStatusCondition(conditionsOf(o), kind); c != nil {
		return c.Status
	}
	return ""
}

func set(o *unstructured.Unstructured, v any, path ...string) {
	if err := unstructured.SetNestedField(o.Object, v, path...); err != nil {
		panic(err) // a path through something that is no object: a mistake of the fake's
	}
}
