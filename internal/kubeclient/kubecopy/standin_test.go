package kubecopy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestStandIns: what each controller would do to an object that was written.
func TestStandIns(t *testing.T) {
	night := time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC)
	now := func() time.Time { return night }
	meta := func(generation int64, annotations object) object {
		return object{"namespace": "shop", "name": "x", "generation": generation, "annotations": annotations}
	}
	none := object{}
	for _, c := range []struct {
		name   string
		kind   kind
		before object
		after  object
		want   object // the whole status, or the operation's
	}{
		{"a workload gets its replicas", kind{"apps", "v1", "deployments"},
			object{"metadata": meta(1, none), "spec": object{"replicas": int64(0)}, "status": object{"terminatingReplicas": int64(1), "observedGeneration": int64(1)}},
			object{"metadata": meta(2, none), "spec": object{"replicas": int64(3)}, "status": object{"terminatingReplicas": int64(1), "observedGeneration": int64(1)}},
			object{"replicas": int64(3), "readyReplicas": int64(3), "availableReplicas": int64(3), "updatedReplicas": int64(3), "observedGeneration": int64(2)}},
		{"a Rollout counts generations in text", kind{"argoproj.io", "v1alpha1", "rollouts"},
			object{"metadata": meta(4, none), "spec": object{}, "status": object{"observedGeneration": "4"}},
			object{"metadata": meta(5, none), "spec": object{"paused": true}, "status": object{"observedGeneration": "4"}},
			object{"observedGeneration": "5"}},
		{"Jobs of a suspended CronJob end", kind{"batch", "v1", "cronjobs"},
			object{"metadata": meta(1, none), "spec": object{}, "status": object{"active": []any{object{"name": "j"}}}},
			object{"metadata": meta(2, none), "spec": object{"suspend": true}, "status": object{"active": []any{object{"name": "j"}}}},
			object{}},
		{"Argo CD compares", kind{"argoproj.io", "v1alpha1", "applications"},
			object{"metadata": meta(1, none), "status": object{}},
			object{"metadata": meta(1, object{refreshAnnotation: "normal"}), "status": object{}},
			object{"reconciledAt": "2026-11-24T02:00:00Z"}},
		{"Argo CD syncs", kind{"argoproj.io", "v1alpha1", "applications"},
			object{"metadata": meta(1, none), "status": object{"sync": object{"status": "OutOfSync"}}},
			object{"metadata": meta(1, none), "status": object{"sync": object{"status": "OutOfSync"}}, "operation": object{"sync": object{}}},
			object{"sync": object{"status": "Synced"}, "operationState": object{"operation": object{"sync": object{}}, "phase": "Succeeded", "startedAt": "2026-11-24T02:00:00Z",
				"finishedAt": "2026-11-24T02:00:00Z", "message": "a rehearsal's stand-in says so"}}},
		{"Flux looks again", kind{"kustomize.toolkit.fluxcd.io", "v1", "kustomizations"},
			object{"metadata": meta(1, none), "status": object{}},
			object{"metadata": meta(1, object{"reconcile.fluxcd.io/requestedAt": "now"}), "status": object{}},
			object{"lastHandledReconcileAt": "now"}},
		{"a route's controllers look again", kind{"gateway.networking.k8s.io", "v1", "httproutes"},
			object{"metadata": meta(1, none), "spec": object{}, "status": object{}},
			object{"metadata": meta(2, none), "spec": object{"rules": []any{}}, "status": object{"parents": []any{object{"conditions": []any{object{"type": "Accepted", "observedGeneration": int64(1)}}}}}},
			object{"parents": []any{object{"conditions": []any{object{"type": "Accepted", "observedGeneration": int64(2)}}}}}},
	} {
		copied := newCopy(nil, now)
		k := key{c.kind, "shop", "x"}
		copied.objects[k] = c.before
		copied.put(k, "patch", "noren", c.after)
		copied.react(k, c.before, c.after)
		if d := cmp.Diff(c.want, copied.objects[k]["status"]); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
		if copied.objects[k]["operation"] != nil || text(copied.objects[k], "metadata", "annotations", refreshAnnotation) != "" {
			t.Errorf("%s: what was asked for is still asked for", c.name)
		}
	}
}

// TestKEDAScalesAndBack: a paused ScaledObject scales what it scales, and scales
// it back when it goes on.
func TestKEDAScalesAndBack(t *testing.T) {
	c := newCopy(nil, time.Now)
	worker := key{kind{"apps", "v1", "deployments"}, "shop", "worker"}
	scaler := key{kind{"keda.sh", "v1alpha1", "scaledobjects"}, "shop", "scaler"}
	c.objects[worker] = object{"metadata": object{"generation": int64(1)}, "spec": object{"replicas": int64(5)}}
	spec := object{"scaleTargetRef": object{"name": "worker"}}
	plain := object{"metadata": object{}, "spec": spec}
	held := object{"metadata": object{"annotations": object{pausedReplicas: "0"}}, "spec": spec}
	for _, step := range []struct {
		before, after object
		want          int64
	}{{plain, held, 0}, {held, plain, 5}} {
		c.put(scaler, "patch", "noren", clone(step.after))
		c.react(scaler, step.before, step.after)
		if got := replicas(c.objects[worker]); got != step.want {
			t.Errorf("%d replicas, want %d", got, step.want)
		}
	}
	if d := c.Differences(); len(d) != 1 || d[0].Object != scaler.String() {
		t.Errorf("differences %+v: want the scaler's alone, which was not there at first", d)
	}
}
