package e2e

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/noren-dev/noren/internal/driver/flux/fluxtest"
	"github.com/noren-dev/noren/internal/testkube"
)

var (
	kustomizations = fluxtest.Kustomizations
	helmReleases   = fluxtest.HelmReleases
)

// newFluxShop is a shop whose Ingress solo is applied by the Kustomization solo,
// which is applied by the Kustomization apps: with "suspend: false" in Git, so
// that apps would resume it.
func newFluxShop(t testing.TB, change ...func(*shopOptions)) *shop {
	s := committed(t, change...)
	background(t, s.flux.Run)
	s.applied(t, kustomizations, "solo")
	s.applied(t, ingresses, "solo")
	return s
}

// committed is the shop of newFluxShop before Flux runs.
func committed(t testing.TB, change ...func(*shopOptions)) *shop {
	s := fluxed(t, change...)
	s.flux.Commit(kustomizations, "apps", s.manifestOf(t, kustomizations, "solo", map[string]any{
		"interval": "10m0s", "path": "./deploy", "prune": true, "suspend": false, "sourceRef": map[string]any{"kind": "GitRepository", "name": "git"}}))
	s.server.Apply(t, fmt.Sprintf(kustomizationYAML, s.ns, "apps"))
	s.flux.Commit(kustomizations, "solo", s.soloManifest(t))
	return s
}

// fluxed is a shop with Flux, which applies nothing yet.
func fluxed(t testing.TB, change ...func(*shopOptions)) *shop {
	s := newShop(t, append(change, func(o *shopOptions) {
		o.byHand, o.kinds = true, []schema.GroupVersionResource{kustomizations, helmReleases}
	})...)
	s.server.InstallCRDs(t, testkube.FluxKustomize)
	s.server.InstallCRDs(t, testkube.FluxHelm)
	s.rewrite(t, "    argocd: {", "    flux: {}\n    argocd: {")
	s.flux = &fluxtest.Controller{Client: s.client, Namespace: s.ns}
	return s
}

const kustomizationYAML = `
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: %[2]s, namespace: %[1]s}
spec: {interval: 10m, path: ./%[2]s, prune: true, sourceRef: {kind: GitRepository, name: git}}
`

// manifestOf is an object as Git says it.
func (s *shop) manifestOf(t testing.TB, gvr schema.GroupVersionResource, name string, spec map[string]any) fluxtest.Manifest {
	t.Helper()
	kind := map[schema.GroupVersionResource]string{kustomizations: "Kustomization", ingresses: "Ingress"}[gvr]
	return fluxtest.Manifest{Resource: gvr, Object: &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": gvr.GroupVersion().String(), "kind": kind, "metadata": map[string]any{"name": name, "namespace": s.ns}, "spec": spec}}}
}

func (s *shop) soloManifest(t testing.TB) fluxtest.Manifest {
	return s.manifestOf(t, ingresses, "solo", s.read(t, ingresses, "solo")["spec"].(map[string]any))
}

// applied waits until Flux has written its labels on an object.
func (s *shop) applied(t testing.TB, gvr schema.GroupVersionResource, name string) {
	t.Helper()
	until(t, "Flux applies "+name, func() bool {
		list := s.server.SnapshotNamespace(t, s.ns, gvr)
		for key, text := range list {
			if strings.HasSuffix(key, "/"+name) && strings.Contains(text, "toolkit.fluxcd.io/name") {
				return true
			}
		}
		return false
	})
}

func (s *shop) suspended(t testing.TB, gvr schema.GroupVersionResource, name string) any {
	v, _, _ := unstructured.NestedFieldNoCopy(s.read(t, gvr, name), "spec", "suspend")
	return v
}

// naive closes solo as somebody would who knows nothing of Flux, and waits until
// that is taken back.
func (s *shop) naive(t testing.TB) {
	t.Helper()
	own := rules(s.read(t, ingresses, "solo"))
	s.edit(t, ingresses, "solo", func(o map[string]any) {
		set(t, o, append([]any{map[string]any{"host": "more.example.com", "http": own[0].(map[string]any)["http"]}}, own...), "spec", "rules")
	})
	until(t, "Flux reverts a naive closing", func() bool { return len(rules(s.read(t, ingresses, "solo"))) == len(own) })
}

// TestUnderFlux: Flux takes an edit back within its interval, and its parent
// takes a suspension back; noren suspends both, the parent first, and resumes
// them in reverse, each as it was.
func TestUnderFlux(t *testing.T) {
	t.Parallel()
	s := newFluxShop(t)
	before := s.objects(t)
	s.naive(t)
	s.edit(t, kustomizations, "solo", func(o map[string]any) { set(t, o, true, "spec", "suspend") })
	until(t, "the parent takes a naive suspension back", func() bool { return s.suspended(t, kustomizations, "solo") == false })

	plan := s.noren(t, t.TempDir(), "plan", "close", "solo", "--env", "prod").must(t, 0)
	order := strings.ReplaceAll("Flux Kustomization NS/apps, Flux Kustomization NS/solo", "NS", s.ns)
	if !strings.Contains(strings.Join(strings.Fields(plan.out), " "), order) {
		t.Errorf("the plan does not say the order %q:\n%s", order, plan.out)
	}
	state := s.closed(t, "solo")
	for _, name := range []string{"apps", "solo"} {
		if s.suspended(t, kustomizations, name) != true {
			t.Errorf("Kustomization %s is not suspended", name)
		}
	}
	if code, _ := s.get(t, "solo", "/"); code != 503 {
		t.Errorf("solo answers %d, want the page", code)
	}
	s.noren(t, state, "open", "--confirm", "prod").must(t, 0).says(t, "Git's state is back")
	s.same(t, before)
	if s.suspended(t, kustomizations, "apps") != nil || s.suspended(t, kustomizations, "solo") != false {
		t.Error("absent and false were taken for each other")
	}
}

// TestFluxParentThatDoesNotMind: a parent whose manifests do not set suspend
// leaves it as it is patched, and is let alone.
func TestFluxParentThatDoesNotMind(t *testing.T) {
	t.Parallel()
	s := fluxed(t)
	s.server.Apply(t, fmt.Sprintf(kustomizationYAML, s.ns, "apps"))
	s.flux.Commit(kustomizations, "apps", s.manifestOf(t, kustomizations, "solo", map[string]any{
		"interval": "10m0s", "path": "./deploy", "prune": true, "sourceRef": map[string]any{"kind": "GitRepository", "name": "git"}}))
	s.flux.Commit(kustomizations, "solo", s.soloManifest(t))
	background(t, s.flux.Run)
	s.applied(t, kustomizations, "solo")
	s.applied(t, ingresses, "solo")
	before := s.objects(t)
	plan := s.noren(t, t.TempDir(), "plan", "close", "solo", "--env", "prod").must(t, 0)
	if !strings.Contains(strings.Join(strings.Fields(plan.out), " "), "that needs no pause") {
		t.Errorf("the plan does not say that the parent needs no pause:\n%s", plan.out)
	}
	state := s.closed(t, "solo")
	if s.suspended(t, kustomizations, "apps") != nil || s.suspended(t, kustomizations, "solo") != true {
		t.Error("want solo suspended, and apps let alone")
	}
	s.noren(t, state, "open", "--confirm", "prod").must(t, 0)
	s.same(t, before)
}

// TestUnderHelmRelease, one that corrects drift and one that does not.
func TestUnderHelmRelease(t *testing.T) {
	t.Parallel()
	for drift, why := range map[string]string{"": "at its next upgrade", "driftDetection: {mode: enabled}": "within its interval"} {
		t.Run("drift: "+drift, func(t *testing.T) {
			t.Parallel()
			s := fluxed(t)
			s.server.Apply(t, fmt.Sprintf(`
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: solo, namespace: %s}
spec:
  interval: 10m
  chartRef: {kind: OCIRepository, name: solo}
  %s
`, s.ns, drift))
			s.flux.Commit(helmReleases, "solo", s.soloManifest(t))
			background(t, s.flux.Run)
			s.applied(t, ingresses, "solo")
			before := s.objects(t)
			plan := s.noren(t, t.TempDir(), "plan", "close", "solo", "--env", "prod").must(t, 0)
			if !strings.Contains(strings.Join(strings.Fields(plan.out), " "), why) {
				t.Errorf("the plan does not say %q:\n%s", why, plan.out)
			}
			state := s.closed(t, "solo")
			if s.suspended(t, helmReleases, "solo") != true {
				t.Error("it is not suspended")
			}
			s.noren(t, state, "open", "--confirm", "prod").must(t, 0)
			s.same(t, before)
		})
	}
}

// TestFluxLeavesItAlone: an Ingress that Flux was told to leave alone needs no
// pause.
func TestFluxLeavesItAlone(t *testing.T) {
	t.Parallel()
	s := newFluxShop(t)
	s.edit(t, ingresses, "solo", func(o map[string]any) { annotate(t, o, "kustomize.toolkit.fluxcd.io/reconcile", "disabled") })
	before := s.objects(t)
	state := s.closed(t, "solo")
	if s.suspended(t, kustomizations, "solo") != false {
		t.Error("it was suspended")
	}
	if code, _ := s.get(t, "solo", "/"); code != 503 {
		t.Errorf("solo answers %d, want the page", code)
	}
	s.noren(t, state, "open", "--confirm", "prod").must(t, 0)
	s.same(t, before)
}

// TestKilledUnderFlux kills noren at every point of a closing and an opening of
// an Ingress that Flux applies.
func TestKilledUnderFlux(t *testing.T) {
	t.Parallel()
	eachPointOf(t, 25, func(t testing.TB) *shop { return newFluxShop(t) }, func(t *testing.T, s *shop, n int, reached func(result)) bool {
		closeArgs := []string{"close", "solo", "--env", "prod", "--for", "30m", "--confirm", "prod"}
		openArgs := []string{"open", "--env", "prod", "--confirm", "prod"}
		state, kill := t.TempDir(), []string{fmt.Sprintf("%s=%d", killAt, n)}
		first := noren(t, s.dir, state, kill, closeArgs...)
		if reached(first); first.code == -1 {
			s.noren(t, state, closeArgs...).must(t, 0)
		}
		if code, _ := s.get(t, "solo", "/"); code != 503 {
			t.Fatalf("closed after a kill at point %d, and solo answers %d\n%s", n, code, first.err)
		}
		second := noren(t, s.dir, state, kill, openArgs...)
		if reached(second); second.code == -1 {
			s.noren(t, state, openArgs...).must(t, 0)
		}
		return first.code == -1 || second.code == -1
	})
}
