package kubecopy

import (
	"fmt"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A standIn does, at once, what a controller does in its own time when all is
// well. It returns the object as the controller leaves it, nil to leave it alone.
type standIn struct {
	name  string
	is    func(kind) bool
	after func(c *Copy, k key, before, now object) object
}

func named(group, resource string) func(kind) bool {
	return func(k kind) bool { return k.group == group && k.resource == resource }
}

func anyKind(kind) bool { return true }

// The stand-ins, in the order in which they answer a write. What real
// controllers refuse, delay or fail at, they do not.
func standIns() []standIn {
	return []standIn{
		{"stand-in for the controllers of workloads", scales, scaled},
		{"stand-in for the CronJob controller", named("batch", "cronjobs"), jobsEnded},
		{"stand-in for KEDA", named("keda.sh", "scaledobjects"), paused},
		{"stand-in for Argo CD", named("argoproj.io", "applications"), compared},
		{"stand-in for Flux", anyKind, reconciled},
		{"stand-in for its controller", anyKind, observed},
	}
}

// react lets the stand-ins answer a write. mu is held.
func (c *Copy) react(k key, before, now object) {
	if now == nil {
		return
	}
	for _, s := range standIns() {
		if !s.is(k.kind) {
			continue
		}
		next := s.after(c, k, before, clone(c.objects[k]))
		if next != nil && !same(next, c.objects[k]) {
			c.put(k, "update", s.name, next)
		}
	}
}

func clone(o object) object { return (&unstructured.Unstructured{Object: o}).DeepCopy().Object }

// scales are the workloads with spec.replicas and status.replicas.
func scales(k kind) bool {
	return k.group == "apps" && (k.resource == "deployments" || k.resource == "statefulsets") || k.group == "argoproj.io" && k.resource == "rollouts"
}

// scaled gives a workload the replicas it asks for, all ready.
// Source: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#complete-deployment
func scaled(_ *Copy, _ key, before, now object) object {
	if replicas(before) == replicas(now) {
		return nil
	}
	for _, field := range []string{"replicas", "readyReplicas", "availableReplicas", "updatedReplicas"} {
		set(now, replicas(now), "status", field)
	}
	if _, found, _ := unstructured.NestedFieldNoCopy(now, "status", "observedGeneration"); !found {
		generation, _, _ := unstructured.NestedInt64(now, "metadata", "generation")
		set(now, generation, "status", "observedGeneration")
	}
	unstructured.RemoveNestedField(now, "status", "terminatingReplicas")
	unstructured.RemoveNestedField(now, "status", "unavailableReplicas")
	return now
}

// replicas are how many a workload asks for: 1 if it does not say.
func replicas(o object) int64 {
	n, found, _ := unstructured.NestedInt64(o, "spec", "replicas")
	if !found {
		return 1
	}
	return n
}

// jobsEnded ends the Jobs of a CronJob that is suspended.
func jobsEnded(_ *Copy, _ key, _, now object) object {
	if suspended, _, _ := unstructured.NestedBool(now, "spec", "suspend"); !suspended {
		return nil
	}
	unstructured.RemoveNestedField(now, "status", "active")
	return now
}

// pausedReplicas is KEDA's annotation.
// Source: https://keda.sh/docs/latest/concepts/scaling-deployments/#pausing-autoscaling
const pausedReplicas = "autoscaling.keda.sh/paused-replicas"

// paused scales what a ScaledObject scales to the replicas that it is paused at,
// and back to what was there when it goes on: KEDA would take what load asks for.
func paused(c *Copy, k key, before, now object) object {
	was, is := text(before, "metadata", "annotations", pausedReplicas), text(now, "metadata", "annotations", pausedReplicas)
	if was == is {
		return nil
	}
	resource := map[string]string{"": "deployments", "Deployment": "deployments", "StatefulSet": "statefulsets", "Rollout": "rollouts"}[text(now, "spec", "scaleTargetRef", "kind")]
	for t, o := range c.objects {
		if o == nil || t.namespace != k.namespace || t.name != text(now, "spec", "scaleTargetRef", "name") || t.kind.resource != resource || !scales(t.kind) {
			continue
		}
		target := clone(o)
		if n, err := strconv.ParseInt(is, 10, 64); err == nil {
			if was == "" {
				c.scaled[t] = replicas(o)
			}
			set(target, n, "spec", "replicas")
		} else if n, known := c.scaled[t]; known {
			set(target, n, "spec", "replicas")
		}
		generation, _, _ := unstructured.NestedInt64(o, "metadata", "generation")
		set(target, generation+1, "metadata", "generation")
		c.put(t, "update", "stand-in for KEDA", target)
		c.react(t, o, target)
	}
	return nil
}

// refreshAnnotation asks Argo CD to compare an Application with Git.
const refreshAnnotation = "argocd.argoproj.io/refresh"

// compared answers a refresh, and ends an operation that is asked for as done.
// Source: persistAppStatus and processRequestedAppOperation in
// controller/appcontroller.go of Argo CD.
func compared(c *Copy, _ key, _, now object) object {
	at := c.now().UTC().Format(time.RFC3339)
	changed := false
	if text(now, "metadata", "annotations", refreshAnnotation) != "" {
		unstructured.RemoveNestedField(now, "metadata", "annotations", refreshAnnotation)
		if v, _, _ := unstructured.NestedFieldNoCopy(now, "metadata", "annotations"); isEmpty(v) {
			unstructured.RemoveNestedField(now, "metadata", "annotations")
		}
		set(now, at, "status", "reconciledAt")
		changed = true
	}
	if op, asked := now["operation"]; asked && op != nil {
		delete(now, "operation")
		set(now, object{"operation": op, "phase": "Succeeded", "startedAt": at, "finishedAt": at, "message": "a rehearsal's stand-in says so"}, "status", "operationState")
		set(now, "Synced", "status", "sync", "status")
		changed = true
	}
	if !changed {
		return nil
	}
	return now
}

// fluxRequest asks Flux to look again.
// Source: https://fluxcd.io/flux/components/kustomize/kustomizations/#triggering-a-reconcile
const fluxRequest = "reconcile.fluxcd.io/requestedAt"

// reconciled answers Flux's request to look again.
func reconciled(_ *Copy, _ key, before, now object) object {
	asked := text(now, "metadata", "annotations", fluxRequest)
	if asked == "" || asked == text(before, "metadata", "annotations", fluxRequest) {
		return nil
	}
	set(now, asked, "status", "lastHandledReconcileAt")
	return now
}

// observed writes the generation where a controller says that it has seen it: in
// the status, in its conditions, and in those of a route's parents.
func observed(_ *Copy, _ key, _, now object) object {
	generation, counted, _ := unstructured.NestedInt64(now, "metadata", "generation")
	status, has := now["status"].(object)
	if !counted || !has {
		return nil
	}
	see := func(o object) {
		switch o["observedGeneration"].(type) {
		case string: // a Rollout's
			o["observedGeneration"] = fmt.Sprint(generation)
		case int64:
			o["observedGeneration"] = generation
		}
	}
	conditions := func(o object) {
		list, _ := o["conditions"].([]any)
		for _, c := range list {
			if c, ok := c.(object); ok {
				see(c)
			}
		}
	}
	see(status)
	conditions(status)
	parents, _ := status["parents"].([]any)
	for _, p := range parents {
		if p, ok := p.(object); ok {
			conditions(p)
		}
	}
	return now
}
