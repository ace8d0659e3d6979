package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	deployments  = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	statefulSets = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "statefulsets"}
	cronJobs     = schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "cronjobs"}
	autoscalers  = schema.GroupVersionResource{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"}
)

// worked are the resources of workloads.
func worked() []schema.GroupVersionResource {
	return []schema.GroupVersionResource{deployments, statefulSets, cronJobs, autoscalers}
}

// workloads work behind the shop: one that is owned by the Application solo,
// one that keeps a replica though an autoscaler wants more, and one by the clock.
const workloads = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: worker
  namespace: %[1]s
  annotations: {argocd.argoproj.io/tracking-id: "solo:apps/Deployment:%[1]s/worker"}
spec:
  replicas: 3
  selector: {matchLabels: {app: worker}}
  template: {metadata: {labels: {app: worker}}, spec: {containers: [{name: worker, image: "example.com/worker:1"}]}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: queue, namespace: %[1]s}
spec:
  replicas: 4
  serviceName: queue
  selector: {matchLabels: {app: queue}}
  template: {metadata: {labels: {app: queue}}, spec: {containers: [{name: queue, image: "example.com/queue:1"}]}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: queue, namespace: %[1]s}
spec:
  minReplicas: 2
  maxReplicas: 9
  scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: queue}
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: %[1]s}
spec:
  schedule: "0 3 * * *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: nightly, image: "example.com/nightly:1"}]}}}}
`

// work puts workloads behind the shop, and somebody who runs them.
func (s *shop) work(t testing.TB) {
	t.Helper()
	for _, manifest := range strings.Split(fmt.Sprintf(workloads, s.ns), "---\n") {
		s.server.Apply(t, manifest)
	}
	s.web += fmt.Sprintf("    workloads:\n      - {kind: kube/deployment, name: %[1]s/worker}\n      - {kind: kube/statefulset, name: %[1]s/queue, replicas: 1}\n      - {kind: kube/cronjob, name: %[1]s/nightly}\n", s.ns)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			s.runWorkloads(ctx)
			<-tick.C
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	until(t, "the workloads work", func() bool { return s.ready(t, deployments, "worker") == 3 && s.ready(t, statefulSets, "queue") == 4 })
}

// runWorkloads stands for the controllers that run pods: no pod runs here, but
// status says what it would if one did.
func (s *shop) runWorkloads(ctx context.Context) {
	for _, gvr := range []schema.GroupVersionResource{deployments, statefulSets} {
		api := s.client.Resource(gvr).Namespace(s.ns)
		list, err := api.List(ctx, metav1.ListOptions{})
		if err != nil {
			continue
		}
		for i := range list.Items {
			u := &list.Items[i]
			replicas, _, _ := unstructured.NestedInt64(u.Object, "spec", "replicas")
			seen, _, _ := unstructured.NestedInt64(u.Object, "status", "observedGeneration")
			if seen == u.GetGeneration() {
				continue
			}
			for field, value := range map[string]int64{"replicas": replicas, "readyReplicas": replicas, "observedGeneration": u.GetGeneration()} {
				_ = unstructured.SetNestedField(u.Object, value, "status", field)
			}
			_, _ = api.UpdateStatus(ctx, u, metav1.UpdateOptions{}) // whoever was faster: the next round sees it
		}
	}
}

func (s *shop) ready(t testing.TB, gvr schema.GroupVersionResource, name string) int64 {
	t.Helper()
	u, err := s.client.Resource(gvr).Namespace(s.ns).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	n, _, _ := unstructured.NestedInt64(u.Object, "status", "readyReplicas")
	return n
}

// TestWorkloadsRest: what works behind the doors comes to rest once customers
// are shut out, and works again before they are let in.
func TestWorkloadsRest(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *shopOptions) { o.working = true })
	state, before := t.TempDir(), s.objects(t)
	s.noren(t, state, "plan", "close", "shop", "--env", "prod").must(t, 0).says(t,
		"scale deployment "+s.ns+"/worker from 3 to 0 replicas", "scale statefulset "+s.ns+"/queue from 4 to 1 replicas",
		"let horizontalpodautoscaler "+s.ns+"/queue scale between 1 and 1 replicas", "suspend cronjob "+s.ns+"/nightly",
		"pause automated sync of Application "+s.ns+"/solo")
	s.same(t, before)

	closed := s.noren(t, state, "close", "shop", "--env", "prod", "--confirm", "prod").must(t, 0)
	if s.ready(t, deployments, "worker") != 0 || s.ready(t, statefulSets, "queue") != 1 {
		t.Error("the workloads still work")
	}
	if proved, rests := strings.Index(closed.out, "Prove closed"), strings.Index(closed.out, "Bring to rest"); proved < 0 || rests < proved {
		t.Errorf("the workloads came to rest before the page was proved:\n%s", closed.out)
	}
	s.noren(t, state, "status").must(t, 0).says(t, s.ns+"/deployment/worker", "at rest")
	// A workload is held like a door: the same service cannot be closed twice.
	s.noren(t, t.TempDir(), "close", "shop", "--env", "prod", "--confirm", "prod").must(t, 12)

	opened := s.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
	if start, open := strings.Index(opened.out, "Start kube"), strings.Index(opened.out, "Open kube"); start < 0 || open < start {
		t.Errorf("customers were let in before the workloads worked:\n%s", opened.out)
	}
	if s.ready(t, deployments, "worker") != 3 || s.ready(t, statefulSets, "queue") != 4 {
		t.Error("the workloads do not work again")
	}
	s.same(t, before)

	s.noren(t, state, "close", "shop", "--env", "prod", "--confirm", "prod", "--leave-workloads").must(t, 0)
	if s.ready(t, deployments, "worker") != 3 {
		t.Error("the workloads were not left alone")
	}
	s.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
	s.same(t, before)
}

// TestWorkloadDrift: a colleague scaled a workload meanwhile. Nothing is opened
// until a person says whose number counts.
func TestWorkloadDrift(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *shopOptions) { o.working = true })
	state, before := t.TempDir(), s.objects(t)
	s.noren(t, state, "close", "shop", "--env", "prod", "--confirm", "prod").must(t, 0)
	s.edit(t, deployments, "worker", func(o map[string]any) { set(t, o, int64(7), "spec", "replicas") })
	s.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 11).says(t, "replicas: 3", "replicas: 7", "--ours", "--theirs")
	s.noren(t, state, "open", "--env", "prod", "--confirm", "prod", "--ours").must(t, 0)
	s.same(t, before)
}
