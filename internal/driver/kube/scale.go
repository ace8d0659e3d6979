package kube

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
)

// Names of the actions and kinds of workload.
const (
	ActionScale       = "kube/workload.scale"
	ActionSuspendJobs = "kube/cronjob.suspend"
	ActionPin         = "kube/autoscaler.pin"
	ActionPauseKEDA   = "kube/scaledobject.pause"

	KindDeployment  = "kube/deployment"
	KindStatefulSet = "kube/statefulset"
	KindRollout     = "kube/rollout"
	KindCronJob     = "kube/cronjob"
)

// scalable are the resources with spec.replicas and status.replicas.
// Source for Rollout: argoproj/argo-rollouts pkg/apis/rollouts/v1alpha1/types.go.
func scalable(word string) (resource, bool) {
	switch word {
	case "deployment":
		return resource{word, schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}}, true
	case "statefulset":
		return resource{word, schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "statefulsets"}}, true
	case "rollout":
		return resource{word, schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "rollouts"}}, true
	}
	return resource{}, false
}

const replicasPath = "spec.replicas"

// ScaleParams are the parameters of kube/workload.scale.
type ScaleParams struct {
	// Kind is deployment, statefulset or rollout.
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Replicas are how many there are to be while it rests.
	Replicas int32 `json:"replicas"`
}

// Validate says what is wrong.
func (p ScaleParams) Validate() error {
	if _, ok := scalable(p.Kind); !ok {
		return fmt.Errorf("kind %q is none of deployment, statefulset, rollout", p.Kind)
	}
	if p.Replicas < 0 {
		return fmt.Errorf("replicas %d is less than none", p.Replicas)
	}
	return object{p.Namespace, p.Name}.Validate()
}

// scale is the change kube/workload.scale.
type scale struct{ *fields }

func openScale(c *conn, p ScaleParams) (driver.Typed[Fields], error) {
	r, _ := scalable(p.Kind)
	return &scale{&fields{conn: c, resource: r, object: object{p.Namespace, p.Name}, set: map[string]any{replicasPath: p.Replicas}}}, nil
}

// Marked implements driver.TypedMarker.
func (s *scale) Marked(m action.Mark) driver.Typed[Fields] { return &scale{s.marked(m)} }

func (f *fields) marked(m action.Mark) *fields {
	marked := *f
	marked.mark = &m
	return &marked
}

// Requires implements action.Requirer.
func (s *scale) Requires() []action.Permission {
	return s.requires("scale it for the work, and back")
}

// Describe implements driver.TypedDescriber.
func (s *scale) Describe(from, to *Fields) action.Description {
	return s.describe(from, to, fmt.Sprintf("scale %s from %s to %s replicas", s.name(), shownReplicas(from), shownReplicas(to)))
}

func shownReplicas(f *Fields) string {
	if f == nil {
		return "none"
	}
	if raw, ok := (*f)[replicasPath]; ok {
		return string(raw)
	}
	return "1 (the default)"
}

// Settled: the controller has seen the change, no replica is left over, and all
// that should be there are ready. Source:
// https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#complete-deployment
func (s *scale) Settled(ctx context.Context, want *Fields) (action.Verdict, error) {
	u, err := s.read(ctx)
	if err != nil {
		return action.Verdict{}, err
	}
	if u == nil {
		return action.Verdict{Summary: s.name() + " does not exist", Findings: []string{"someone deleted it since"}}, nil
	}
	replicas := int64(1)
	if raw, ok := (*want)[replicasPath]; ok {
		if err := json.Unmarshal(raw, &replicas); err != nil {
			return action.Verdict{}, fmt.Errorf("%s: %w", s.name(), err)
		}
	}
	there, ready := count(u, "replicas"), count(u, "readyReplicas")
	leaving := count(u, "terminatingReplicas")
	v := action.Verdict{Summary: fmt.Sprintf("%s has %d of %d replicas, %d ready", s.name(), there, replicas, ready)}
	v.OK = observed(u) && there == replicas && ready == replicas && (leaving == 0 || replicas > 0)
	if !v.OK {
		v.Try = []string{fmt.Sprintf("kubectl -n %s describe %s %s", s.object.Namespace, s.resource.word, s.object.Name)}
	}
	if leaving > 0 {
		v.Findings = append(v.Findings, fmt.Sprintf("%d pods are still ending", leaving))
	}
	if !observed(u) {
		v.Findings = append(v.Findings, "its controller has not taken the change in yet")
	}
	return v, nil
}

func count(u *unstructured.Unstructured, field string) int64 {
	n, _, _ := unstructured.NestedInt64(u.Object, "status", field)
	return n
}

// observed tells whether the controller knows the object as it is now. A
// Rollout writes the generation as text.
func observed(u *unstructured.Unstructured) bool {
	seen, _, _ := unstructured.NestedFieldNoCopy(u.Object, "status", "observedGeneration")
	return fmt.Sprint(seen) == fmt.Sprint(u.GetGeneration())
}
