package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/noren-dev/noren/internal/testkube"
)

// versions are the resourceVersions of all objects that noren may touch.
func (s *shop) versions(t testing.TB) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, gvr := range slices.Concat(worked(), []schema.GroupVersionResource{ingresses, applications, configMaps}, s.kinds) {
		list, err := s.client.Resource(gvr).Namespace(s.ns).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range list.Items {
			all[gvr.Resource+" "+u.GetName()] = u.GetResourceVersion()
		}
	}
	return all
}

// rehearse runs a rehearsal on a copy, and fails the test if it leaves anything
// behind: on the cluster, in the state directory, or among temporary files.
func (s *shop) rehearse(t testing.TB, args ...string) result {
	t.Helper()
	before, state, temporary := s.versions(t), filepath.Join(t.TempDir(), "state"), t.TempDir()
	r := noren(t, s.dir, state, append(slices.Clone(s.env), "TMPDIR="+temporary), append([]string{"rehearse", "--env", "prod", "--copy"}, args...)...)
	if d := gocmp.Diff(before, s.versions(t)); d != "" {
		t.Errorf("the cluster was written to (-before +after):\n%s", d)
	}
	if _, err := os.Stat(state); !os.IsNotExist(err) {
		t.Errorf("there is a state directory now: %v", err)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left among the temporary files: %v %v", left, err)
	}
	return r
}

// TestRehearseOnCopy closes and opens a copy of two doors, one of them with an
// Application that would revert the edit, and of workloads. The real API server
// gets nothing but GETs, and everything there is as before.
func TestRehearseOnCopy(t *testing.T) {
	t.Parallel()
	server := testkube.Start(t)
	var mu sync.Mutex
	var others []string
	kubeconfig := proxy(t, server, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet {
				mu.Lock()
				others = append(others, r.Method+" "+r.URL.Path)
				mu.Unlock()
			}
			next.ServeHTTP(w, r)
		})
	})
	s := newShop(t, func(o *shopOptions) { o.working, o.kubeconfig = true, kubeconfig })
	s.rehearse(t, "shop", "solo", "--out", "told.json").must(t, 0).says(t,
		"on a copy", "were byte for byte as before", "rehearsal: opening the copy", "Pause automated sync of argocd:prod/"+s.ns+"/application/solo",
		"Bring to rest kube:prod/"+s.ns+"/deployment/worker", "Cannot be undone", "no run is recorded", "admission webhooks")
	if len(others) > 0 {
		t.Errorf("the real API server was asked for more than to be read: %v", others)
	}
	var told struct {
		OK      bool
		Objects int
		Steps   []struct {
			Title, Status string
			Seconds       float64
		}
		Visitors []struct {
			Who, Request string
			Sees         map[string][]string
		}
	}
	if err := json.Unmarshal([]byte(s.text(t, "told.json")), &told); err != nil {
		t.Fatal(err)
	}
	// Ingresses: solo, and three of noren's; the Application; three workloads and an autoscaler.
	if !told.OK || told.Objects != 9 {
		t.Errorf("ok: %t, objects: %d, want 9", told.OK, told.Objects)
	}
	shut := []string{"page 503"}
	want := map[string]map[string][]string{
		"customer " + s.host("shop"): {"before": {"service"}, "while closing": {"service", "page 503"}, "closed": shut, "while opening": {"page 503", "service"}, "after": {"service"}},
		// Between the page and the way through it, staff see the page for a moment.
		"staff from 203.0.113.0 " + s.host("shop"): {"before": {"service"}, "while closing": {"service", "page 503", "service"}, "closed": {"service"}, "while opening": {"service", "page 503", "service"}, "after": {"service"}},
		"staff from 203.0.113.0 " + s.host("solo"): {"before": {"service"}, "while closing": {"service"}, "closed": {"service"}, "while opening": {"service"}, "after": {"service"}},
		"noren's probe " + s.host("solo"):          {"before": {"service"}, "while closing": {"service", "page 503"}, "closed": shut, "while opening": {"page 503", "service"}, "after": {"service"}},
	}
	for _, v := range told.Visitors {
		key := v.Who + " " + strings.TrimSuffix(strings.TrimPrefix(v.Request, "GET http://"), "/")
		if w := want[key]; w != nil {
			if d := gocmp.Diff(w, v.Sees); d != "" {
				t.Errorf("%s sees (-want +got):\n%s", key, d)
			}
			delete(want, key)
		}
	}
	if len(want) > 0 {
		t.Errorf("nobody followed: %v", want)
	}
}

// TestRehearseDefaultCluster: an environment that names no cluster is the one of
// the default kubeconfig, and a rehearsal copies that, too.
func TestRehearseDefaultCluster(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	raw, err := os.ReadFile(s.server.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "default", string(raw)+"\ncurrent-context: admin\n")
	s.env = []string{"KUBECONFIG=" + filepath.Join(s.dir, "default")}
	s.rewrite(t, fmt.Sprintf("    kube: {kubeconfig: %s, context: %s}\n", s.kubeconfig, s.context), "")
	s.rehearse(t, "shop", "solo").must(t, 0).says(t, "were byte for byte as before")
}

// TestRehearseRoutes rehearses routes of every implementation, with a page
// server and a pass, into each kind of file.
func TestRehearseRoutes(t *testing.T) {
	t.Parallel()
	s, _ := newMall(t, mallPlan{bypass: "{pass: true}"})
	for _, out := range []string{"told.html", "told.md"} {
		s.rehearse(t, "--out", out).must(t, 0).says(t, "were byte for byte as before", "staff with the pass", "Open gatewayapi:prod/"+s.ns+"/virtualservice/istio", "Wrote "+out)
		for _, want := range []string{"Who sees what", "page 503 → service", "httproute/envoy"} {
			if text := s.text(t, out); !strings.Contains(text, want) {
				t.Errorf("%s does not have %q", out, want)
			}
		}
	}
	if picture := s.text(t, "told.svg"); !strings.Contains(picture, "Timeline of close-") {
		t.Errorf("the picture is %.200s", picture)
	}
	// A second report does not replace the first.
	s.rehearse(t, "--out", "told.md").must(t, 2).says(t, "file is there already")
}

// TestRehearsalFails: what would fail that night fails in the rehearsal, which
// says where, and what would have been changed by then.
func TestRehearsalFails(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *shopOptions) { o.deaf = true })
	until(t, "Argo CD has looked for the last time", func() bool {
		_, compared, _ := unstructured.NestedString(s.read(t, applications, "solo"), "status", "reconciledAt")
		return compared
	})
	s.edit(t, applications, "solo", func(o map[string]any) { set(t, o, "Degraded", "status", "health", "status") })
	s.rehearse(t, "solo", "--wait", "500ms").must(t, 10).says(t, "rehearsal failed", "The rehearsal of opening solo in prod FAILED at: Git's state is back",
		"its health is Degraded", "By then it would have changed:", "take noren's rules out of ingress "+s.ns+"/solo", "and all was closed again as it had been", "the cluster was only read")
	s.edit(t, applications, "solo", func(o map[string]any) {
		set(t, o, map[string]any{"phase": "Running", "startedAt": "2026-11-24T03:00:00Z", "operation": map[string]any{"sync": map[string]any{}}}, "status", "operationState")
		set(t, o, map[string]any{"sync": map[string]any{}}, "operation")
		set(t, o, map[string]any{"argotest.noren.dev/hold": "yes"}, "metadata", "annotations")
	})
	s.rehearse(t, "solo", "--wait", "500ms").must(t, 10).says(t, "The rehearsal of closing solo in prod FAILED at: Check argocd:prod/"+s.ns+"/application/solo: idle",
		"a sync is running", "nothing had been written")
}

// TestRehearsalMayNotRead says what is missing to read what is to be copied.
func TestRehearsalMayNotRead(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *shopOptions) { o.context = testkube.Limited })
	s.rehearse(t, "shop").must(t, 1).says(t, `"limited" may not list ingresses.networking.k8s.io`, "kind: ClusterRole")
}

// TestRehearseForReal closes and opens what is there for it, and tells as much.
func TestRehearseForReal(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	before, state := s.objects(t), t.TempDir()
	s.noren(t, state, "rehearse", "shop", "--env", "prod").must(t, 2).says(t, "confirmation needed", "--confirm prod")
	s.noren(t, state, "rehearse", "shop", "--env", "prod", "--confirm", "prod", "--out", "told.md").must(t, 0).says(t,
		"Closed: shop in prod", "Open: shop in prod", "Rehearsal of shop in prod, for real", "page 503 → service", "Wrote told.md")
	s.same(t, before)
	s.noren(t, state, "history").must(t, 0).says(t, "close shop in prod", "open shop in prod")
	// What was measured there is what a rehearsal on a copy expects then.
	s.noren(t, state, "rehearse", "shop", "--env", "prod", "--copy").must(t, 0).says(t, "by 1 recorded run")
	s.noren(t, state, "close", "shop", "--env", "prod", "--confirm", "prod").must(t, 0)
	s.noren(t, state, "rehearse", "shop", "--env", "prod", "--confirm", "prod").must(t, 12).says(t, "closed already")
	s.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
	s.same(t, before)
}

// TestRehearseInClusters: nothing of any cluster is written to, nor the status
// document that apps read.
func TestRehearseInClusters(t *testing.T) {
	t.Parallel()
	clusters := inClusters(t)
	tokyo, osaka := clusters["tokyo"], clusters["osaka"]
	tokyo.rewrite(t, "    clusters:\n", "    appstatus: {file: app-status.json, services: {shop: {name: {en: Shop}}}}\n    clusters:\n")
	before := osaka.versions(t)
	r := tokyo.rehearse(t, "shop", "--env", "prod").must(t, 0)
	for name, s := range clusters {
		r.says(t, fmt.Sprintf("kube:prod/%s/%s/ingress/", name, s.ns))
	}
	if d := gocmp.Diff(before, osaka.versions(t)); d != "" {
		t.Errorf("osaka was written to (-before +after):\n%s", d)
	}
	if _, err := os.Stat(filepath.Join(tokyo.dir, "app-status.json")); !os.IsNotExist(err) {
		t.Errorf("apps were told of a rehearsal: %v", err)
	}
}

// TestRehearseWhatIsClosed: what this state directory holds closed is called
// that, and not a stranger's closing that could be recovered. Without room for
// the copy it says where it needs some.
func TestRehearseWhatIsClosed(t *testing.T) {
	t.Parallel()
	s, state := newShop(t), t.TempDir()
	s.noren(t, state, "close", "shop", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 0)
	r := s.noren(t, state, "rehearse", "shop", "--env", "prod", "--copy").must(t, 12).says(t, "closed already", "noren open --env prod")
	if strings.Contains(r.err, "recover") {
		t.Errorf("it speaks of recovering:\n%s", r.err)
	}
	s.noren(t, state, "rehearse", "api", "--env", "prod", "--copy").must(t, 0)
	s.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
	full := noren(t, s.dir, state, append(slices.Clone(s.env), "TMPDIR="+filepath.Join(s.dir, "gone")), "rehearse", "shop", "--env", "prod", "--copy").must(t, 1)
	if full.says(t, "no place for the rehearsal", "df -h"); strings.Contains(full.err, "bug in noren") {
		t.Errorf("a full disk is called a bug:\n%s", full.err)
	}
}

// TestRehearseWhatFluxKeeps: on a copy, Flux's objects are suspended from the top
// down and resumed, and Flux is played as one that reconciles at once.
func TestRehearseWhatFluxKeeps(t *testing.T) {
	t.Parallel()
	s := committed(t)
	until(t, "Flux has applied all and rests", func() bool { // a copy of what is being applied would stay so
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.flux.Run(ctx); err != nil {
			t.Fatal(err)
		}
		apps, _, _ := unstructured.NestedSlice(s.read(t, kustomizations, "apps"), "status", "conditions")
		list, err := s.client.Resource(kustomizations).Namespace(s.ns).List(t.Context(), metav1.ListOptions{})
		return err == nil && len(list.Items) == 2 && len(apps) == 1 && !strings.Contains(fmt.Sprint(list.Items), "Reconciling") &&
			s.read(t, ingresses, "solo")["metadata"].(map[string]any)["labels"] != nil
	})
	s.rehearse(t, "solo", "--out", "told.json").must(t, 0).says(t, "were byte for byte as before",
		"flux:prod/"+s.ns+"/kustomization/solo", "flux:prod/"+s.ns+"/kustomization/apps", "Prove open")
}

// scaled are a Rollout and a ScaledObject, with definitions that take anything: the
// real ones are not among those that the tests install.
const scaled = `
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: worker, namespace: %[1]s}
spec: {replicas: 3, selector: {matchLabels: {app: worker}}}
status: {replicas: 3, readyReplicas: 3, observedGeneration: "1"}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: worker, namespace: %[1]s}
spec: {scaleTargetRef: {apiVersion: argoproj.io/v1alpha1, kind: Rollout, name: worker}, minReplicaCount: 2}
`

const anyDefinition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %[2]s.%[1]s}
spec:
  group: %[1]s
  scope: Namespaced
  names: {plural: %[2]s, singular: %[3]s, kind: %[4]s}
  versions:
    - name: v1alpha1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`

// TestRehearseWhatKEDAScales: a Rollout that KEDA scales rests on a copy by a pause
// of its ScaledObject, and works again with as many replicas.
func TestRehearseWhatKEDAScales(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *shopOptions) { o.server = testkube.Start(t, testkube.Dedicated()) })
	rollouts := schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "rollouts"}
	objects := schema.GroupVersionResource{Group: "keda.sh", Version: "v1alpha1", Resource: "scaledobjects"}
	s.server.Apply(t, fmt.Sprintf(anyDefinition, "argoproj.io", "rollouts", "rollout", "Rollout"))
	s.server.Apply(t, fmt.Sprintf(anyDefinition, "keda.sh", "scaledobjects", "scaledobject", "ScaledObject"))
	for _, gvr := range []schema.GroupVersionResource{rollouts, objects} {
		until(t, "there are "+gvr.Resource, func() bool {
			_, err := s.client.Resource(gvr).Namespace(s.ns).List(t.Context(), metav1.ListOptions{})
			return err == nil
		})
	}
	for _, manifest := range strings.Split(fmt.Sprintf(scaled, s.ns), "---\n") {
		s.server.Apply(t, manifest)
	}
	s.kinds = []schema.GroupVersionResource{rollouts, objects}
	s.rewrite(t, "  api:\n", fmt.Sprintf("    workloads: [{kind: kube/rollout, name: %s/worker}]\n  api:\n", s.ns))
	s.rehearse(t, "shop").must(t, 0).says(t, "were byte for byte as before", "rest", "kube:prod/"+s.ns+"/rollout/worker")
}
