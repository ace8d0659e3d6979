package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
)

func autoscalers() resource {
	return resource{"horizontalpodautoscaler", schema.GroupVersionResource{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"}}
}

func scaledObjects() resource {
	return resource{"scaledobject", schema.GroupVersionResource{Group: "keda.sh", Version: "v1alpha1", Resource: "scaledobjects"}}
}

const (
	minPath = "spec.minReplicas"
	maxPath = "spec.maxReplicas"
)

// PinParams are the parameters of kube/autoscaler.pin.
type PinParams struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Replicas become the autoscaler's least and most.
	Replicas int32 `json:"replicas"`
}

// Validate says what is wrong. An autoscaler cannot hold at none: it rests by
// itself while its target has none. Source:
// https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#implicit-maintenance-mode-deactivation
func (p PinParams) Validate() error {
	if p.Replicas < 1 {
		return fmt.Errorf("replicas %d: an autoscaler cannot be pinned below 1", p.Replicas)
	}
	return object{p.Namespace, p.Name}.Validate()
}

// pin is the change kube/autoscaler.pin.
type pin struct{ *fields }

func openPin(c *conn, p PinParams) (driver.Typed[Fields], error) {
	return &pin{&fields{conn: c, resource: autoscalers(), object: object{p.Namespace, p.Name}, set: map[string]any{minPath: p.Replicas, maxPath: p.Replicas}}}, nil
}

// Marked implements driver.TypedMarker.
func (p *pin) Marked(m action.Mark) driver.Typed[Fields] { return &pin{p.marked(m)} }

// Requires implements action.Requirer.
func (p *pin) Requires() []action.Permission {
	return p.requires("keep it from scaling back what rests")
}

// Describe implements driver.TypedDescriber.
func (p *pin) Describe(from, to *Fields) action.Description {
	return p.describe(from, to, fmt.Sprintf("let %s scale between %s and %s replicas", p.name(), shown(to, minPath, "1"), shown(to, maxPath, "?")))
}

func shown(f *Fields, path, absent string) string {
	if f == nil || (*f)[path] == nil {
		return absent
	}
	return string((*f)[path])
}

// pausedReplicas makes KEDA scale the target to so many and leave it there.
// Source: https://keda.sh/docs/latest/concepts/scaling-deployments/#pausing-autoscaling
const pausedReplicas = "autoscaling.keda.sh/paused-replicas"

// PauseParams are the parameters of kube/scaledobject.pause.
type PauseParams struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Kind and Workload are what it scales: deployment, statefulset or rollout,
	// and its name.
	Kind     string `json:"kind"`
	Workload string `json:"workload"`
	Replicas int32  `json:"replicas"`
}

// Validate says what is wrong.
func (p PauseParams) Validate() error {
	if err := (object{p.Namespace, p.Name}).Validate(); err != nil {
		return err
	}
	return ScaleParams{p.Kind, p.Namespace, p.Workload, p.Replicas}.Validate()
}

// pause is the change kube/scaledobject.pause. KEDA itself scales what it
// scales, down and back.
type pause struct {
	*fields
	scaled *scale
}

func openPause(c *conn, p PauseParams) (driver.Typed[Fields], error) {
	s, err := openScale(c, ScaleParams{p.Kind, p.Namespace, p.Workload, p.Replicas})
	if err != nil {
		return nil, err
	}
	return &pause{&fields{conn: c, resource: scaledObjects(), object: object{p.Namespace, p.Name},
		set: map[string]any{annotationPath + pausedReplicas: strconv.Itoa(int(p.Replicas))}}, s.(*scale)}, nil
}

// Marked implements driver.TypedMarker.
func (p *pause) Marked(m action.Mark) driver.Typed[Fields] { return &pause{p.marked(m), p.scaled} }

// Requires implements action.Requirer.
func (p *pause) Requires() []action.Permission {
	return p.requires("pause it for the work, and let it go on")
}

// Describe implements driver.TypedDescriber.
func (p *pause) Describe(from, to *Fields) action.Description {
	line := "let " + p.name() + " scale " + p.scaled.name() + " again"
	if to != nil && (*to)[annotationPath+pausedReplicas] != nil {
		line = fmt.Sprintf("pause %s: KEDA scales %s to %s and leaves it there", p.name(), p.scaled.name(), shown(to, annotationPath+pausedReplicas, ""))
	}
	return p.describe(from, to, line)
}

// Settled: what it scales has as many replicas as it was paused at. When it
// goes on, how many there will be is for KEDA to say.
func (p *pause) Settled(ctx context.Context, want *Fields) (action.Verdict, error) {
	raw, paused := (*want)[annotationPath+pausedReplicas]
	if !paused {
		return action.Verdict{OK: true, Summary: p.name() + " scales again"}, nil
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return action.Verdict{}, fmt.Errorf("%s: %w", p.name(), err)
	}
	return p.scaled.Settled(ctx, &Fields{replicasPath: json.RawMessage(text)})
}
