package e2e

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/noren-dev/noren/internal/driver/argocd/argotest"
)

var applicationSets = argotest.ApplicationSets

// asGitHas is what Git says of automated sync where its owner would take every
// pause back: a field that Git does not have would be left alone.
const asGitHas = "{enabled: true, prune: true, selfHeal: true}"

// newChain is a shop whose Application solo is made by the ApplicationSet
// singles, which is a resource of the Application root, which is one of top.
func newChain(t testing.TB) *shop {
	s := newShop(t, func(o *shopOptions) {
		o.automated, o.kinds = asGitHas, []schema.GroupVersionResource{applicationSets}
	})
	s.server.Apply(t, fmt.Sprintf(chainYAML, s.ns))
	s.edit(t, applications, "solo", func(o map[string]any) {
		set(t, o, []any{map[string]any{"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": "singles", "uid": "u"}}, "metadata", "ownerReferences")
	})
	manifest := func(gvr schema.GroupVersionResource, name string, spec map[string]any) argotest.Manifest {
		live := s.read(t, gvr, name)
		return argotest.Manifest{Resource: gvr, Object: &unstructured.Unstructured{Object: map[string]any{"apiVersion": live["apiVersion"], "kind": live["kind"],
			"metadata": map[string]any{"name": name, "namespace": s.ns}, "spec": spec}}}
	}
	s.git.Commit(s.ns+"/root", "rev-1", manifest(applicationSets, "singles", map[string]any{"ignoreApplicationDifferences": []any{map[string]any{"name": "theirs", "jsonPointers": []any{"/spec/project"}}}}))
	s.git.Commit(s.ns+"/top", "rev-1", manifest(applications, "root",
		map[string]any{"syncPolicy": map[string]any{"automated": map[string]any{"enabled": true, "selfHeal": true}}}))
	background(t, (&argotest.Sets{Client: s.client, Namespace: s.ns}).Run)
	s.inSync(t)
	return s
}

// inSync waits until Argo CD has nothing left to do.
func (s *shop) inSync(t testing.TB) {
	t.Helper()
	until(t, "Argo CD comes to rest", func() bool {
		for _, name := range []string{"top", "root", "solo"} {
			app := s.read(t, applications, name)
			status, _, _ := unstructured.NestedString(app, "status", "sync", "status")
			if app["operation"] != nil || status != "Synced" {
				return false
			}
		}
		return true
	})
}

const chainYAML = `
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata:
  name: singles
  namespace: %[1]s
  annotations: {argocd.argoproj.io/tracking-id: "root:argoproj.io/ApplicationSet:%[1]s/singles"}
spec:
  generators: [{list: {elements: [{name: solo}]}}]
  ignoreApplicationDifferences: [{name: theirs, jsonPointers: [/spec/project]}]
  template:
    metadata: {name: '{{name}}'}
    spec:
      project: default
      source: {repoURL: https://example.com/git, path: solo, targetRevision: main}
      destination: {server: https://kubernetes.default.svc, namespace: %[1]s}
      syncPolicy: {automated: {enabled: true, prune: true, selfHeal: true}, syncOptions: [CreateNamespace=false]}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: root
  namespace: %[1]s
  annotations: {argocd.argoproj.io/tracking-id: "top:argoproj.io/Application:%[1]s/root"}
spec:
  project: default
  source: {repoURL: https://example.com/git, path: root, targetRevision: main}
  destination: {server: https://kubernetes.default.svc, namespace: %[1]s}
  syncPolicy: {automated: {enabled: true, selfHeal: true}}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: top, namespace: %[1]s}
spec:
  project: default
  source: {repoURL: https://example.com/git, path: top, targetRevision: main}
  destination: {server: https://kubernetes.default.svc, namespace: %[1]s}
  syncPolicy: {automated: {selfHeal: true}}
`

// on tells whether automated sync of an Application is on.
func (s *shop) on(t testing.TB, name string) bool {
	automated, there, _ := unstructured.NestedMap(s.read(t, applications, name), "spec", "syncPolicy", "automated")
	return there && automated["enabled"] != false
}

// TestChainOfOwners: pausing the Application alone is taken back at once, and
// noren pauses its set, the set's Application and that one's, and lets go of
// them in reverse.
func TestChainOfOwners(t *testing.T) {
	t.Parallel()
	s := newChain(t)
	before := s.objects(t)
	s.edit(t, applications, "solo", func(o map[string]any) { set(t, o, false, "spec", "syncPolicy", "automated", "enabled") })
	until(t, "the set takes a naive pause back", func() bool { return s.on(t, "solo") })
	s.inSync(t)

	state := t.TempDir()
	plan := s.noren(t, state, "plan", "close", "solo", "--env", "prod").must(t, 0)
	order := "Argo CD Application NS/top, Argo CD Application NS/root, Argo CD ApplicationSet NS/singles, Argo CD Application NS/solo"
	if want := strings.ReplaceAll(order, "NS", s.ns); !strings.Contains(strings.Join(strings.Fields(plan.out), " "), want) {
		t.Errorf("the plan does not say the order %q:\n%s", want, plan.out)
	}
	state = s.closed(t, "solo")
	for _, name := range []string{"top", "root", "solo"} {
		if s.on(t, name) {
			t.Errorf("automated sync of %s is on", name)
		}
	}
	for _, name := range []string{"top", "root", "solo"} {
		s.edit(t, applications, name, func(o map[string]any) { annotate(t, o, argotest.RefreshAnnotation, "hard") })
		until(t, "Argo CD has looked at "+name, func() bool {
			_, asked, _ := unstructured.NestedString(s.read(t, applications, name), "metadata", "annotations", argotest.RefreshAnnotation)
			return !asked
		})
	}
	if code, _ := s.get(t, "solo", "/"); code != 503 {
		t.Errorf("solo answers %d, want the page", code)
	}
	if _, marked, _ := unstructured.NestedString(s.read(t, applications, "solo"), "metadata", "annotations", "noren.dev/mark"); !marked {
		t.Error("the set took noren's mark off the Application")
	}
	s.noren(t, state, "open", "--confirm", "prod").must(t, 0)
	s.inSync(t)
	s.same(t, before)
}

// TestChainAndRecordsLost: the marks on the whole chain, that on the set among
// them, tell the way back.
func TestChainAndRecordsLost(t *testing.T) {
	t.Parallel()
	s := newChain(t)
	before := s.objects(t)
	s.closed(t, "solo")
	left := s.noren(t, t.TempDir(), "leftovers", "--env", "prod").must(t, 10)
	left.says(t, "/application/top", "/application/root", "/applicationset/singles/solo", "/application/solo", "/ingress/solo")
	s.recovered(t).must(t, 0)
	s.inSync(t)
	s.same(t, before)
}

// TestOwnersThatGoInACircle are said to, and so is one that is gone.
func TestOwnersThatGoInACircle(t *testing.T) {
	t.Parallel()
	s := newChain(t)
	s.edit(t, applications, "top", func(o map[string]any) {
		annotate(t, o, "argocd.argoproj.io/tracking-id", "root:argoproj.io/Application:"+s.ns+"/top")
	})
	plan := s.noren(t, t.TempDir(), "plan", "close", "solo", "--env", "prod").must(t, 0)
	if !strings.Contains(plan.out, "Owners go in a circle") {
		t.Errorf("the plan does not say that they go in a circle:\n%s", plan.out)
	}
	s.edit(t, applications, "top", func(o map[string]any) {
		annotate(t, o, "argocd.argoproj.io/tracking-id", "gone:argoproj.io/Application:"+s.ns+"/top")
	})
	plan = s.noren(t, t.TempDir(), "plan", "close", "solo", "--env", "prod").must(t, 0)
	if text := strings.Join(strings.Fields(plan.out), " "); !strings.Contains(text, "would take back the pause of Application "+s.ns+"/top if it came back") {
		t.Errorf("the plan does not say that the parent is gone:\n%s", plan.out)
	}
}
