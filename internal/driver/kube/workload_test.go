package kube

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/action/actiontest"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/testkube"
)

const deployment = `
apiVersion: apps/v1
kind: %[1]s
metadata: {name: worker, namespace: %[2]s%[3]s}
spec:
  replicas: 3
  serviceName: worker
  selector: {matchLabels: {app: worker}}
  template:
    metadata: {labels: {app: worker}}
    spec: {containers: [{name: worker, image: "example.com/worker:1"}]}
`

const cronjob = `
apiVersion: batch/v1
kind: CronJob
metadata: {name: worker, namespace: %[2]s%[3]s}
spec:
  schedule: "0 3 * * *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: worker, image: "example.com/worker:1"}]}}}}
`

const autoscaler = `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: worker, namespace: %[2]s%[3]s}
spec:
  minReplicas: 2
  maxReplicas: 9
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: worker}
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}]
`

// A fieldCase is one change of fields on one kind of object.
type fieldCase struct {
	manifest, kind string
	change         func(c *conn, namespace string) (driver.Typed[Fields], error)
	// What a colleague does, as merge patches. Of two values there is no third
	// to meddle with: "" deletes the object.
	meddle, beside string
}

func fieldCases() map[string]fieldCase {
	scaled := func(kind string, replicas int32) func(*conn, string) (driver.Typed[Fields], error) {
		return func(c *conn, namespace string) (driver.Typed[Fields], error) {
			return openScale(c, ScaleParams{kind, namespace, "worker", replicas})
		}
	}
	return map[string]fieldCase{
		"deployment": {strings.Replace(deployment, "  serviceName: worker\n", "", 1), "Deployment", scaled("deployment", 0),
			`{"spec":{"replicas":7}}`, `{"metadata":{"annotations":{"team":"cart"}},"spec":{"minReadySeconds":5}}`},
		"statefulset, some left": {deployment, "StatefulSet", scaled("statefulset", 1),
			`{"spec":{"replicas":7}}`, `{"metadata":{"annotations":{"team":"cart"}},"spec":{"template":{"metadata":{"labels":{"new":"label"}}}}}`},
		"cronjob": {cronjob, "CronJob", func(c *conn, namespace string) (driver.Typed[Fields], error) {
			return openSuspend(c, SuspendParams{object{namespace, "worker"}})
		}, "", `{"spec":{"schedule":"5 4 * * *"}}`},
		"autoscaler": {autoscaler, "HorizontalPodAutoscaler", func(c *conn, namespace string) (driver.Typed[Fields], error) {
			return openPin(c, PinParams{namespace, "worker", 1})
		}, `{"spec":{"maxReplicas":12}}`, `{"spec":{"behavior":{"scaleDown":{"stabilizationWindowSeconds":60}}}}`},
	}
}

// TestFieldsKeepTheContract is for kube/workload.scale, kube/cronjob.suspend
// and kube/autoscaler.pin.
func TestFieldsKeepTheContract(t *testing.T) {
	for name, c := range fieldCases() {
		t.Run(name, func(t *testing.T) {
			actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target { return fieldTarget(t, c) }})
		})
	}
}

func fieldTarget(t testing.TB, k fieldCase) actiontest.Target {
	c, w, namespace := connectTest(t)
	testkube.Start(t).Apply(t, fmt.Sprintf(k.manifest, k.kind, namespace, ""))
	change, err := k.change(c, namespace)
	must(t, err)
	in := driver.Bare(change)
	f := fieldsOf(t, change)
	get := func(t testing.TB) *unstructured.Unstructured {
		u, err := f.api().Get(t.Context(), "worker", metav1.GetOptions{})
		must(t, err)
		return u
	}
	edit := func(patch string) func(testing.TB) {
		return func(t testing.TB) {
			if patch == "" {
				must(t, f.api().Delete(t.Context(), "worker", metav1.DeleteOptions{}))
				return
			}
			_, err := f.api().Patch(t.Context(), "worker", "application/merge-patch+json", []byte(patch), metav1.PatchOptions{FieldManager: "colleague"})
			must(t, err)
		}
	}
	return actiontest.Target{
		Name: f.name(), Change: in.Change, Marked: in.Marker.Marked,
		Mark: func(t testing.TB) *action.Mark {
			raw, ok := get(t).GetAnnotations()[kubeclient.MarkAnnotation]
			if !ok {
				return nil
			}
			var m action.Mark
			must(t, json.Unmarshal([]byte(raw), &m))
			return &m
		},
		Meddle: edit(k.meddle), MeddleBeside: edit(k.beside),
		Beside: func(t testing.TB) string {
			u := get(t)
			for path := range f.set {
				unstructured.RemoveNestedField(u.Object, split(path)...)
			}
			for _, own := range [][]string{{"metadata", "resourceVersion"}, {"metadata", "generation"}, {"metadata", "managedFields"}, {"status"},
				{"metadata", "annotations", kubeclient.MarkAnnotation}} {
				unstructured.RemoveNestedField(u.Object, own...)
			}
			if len(u.GetAnnotations()) == 0 {
				u.SetAnnotations(nil)
			}
			raw, err := json.Marshal(u.Object)
			must(t, err)
			return string(raw)
		},
		LoseNextAnswer: w.loseNext, Writes: w.count,
	}
}

func fieldsOf(t testing.TB, change driver.Typed[Fields]) *fields {
	t.Helper()
	switch c := change.(type) {
	case *scale:
		return c.fields
	case *suspend:
		return c.fields
	case *pin:
		return c.fields
	}
	t.Fatalf("%T", change)
	return nil
}
