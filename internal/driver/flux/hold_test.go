package flux

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/flux/fluxtest"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient/gitops"
	"github.com/noren-dev/noren/internal/testkube"
)

// applied makes an object as another tool applies it, so that the API server
// knows whose manifests hold what. NS in meta is its namespace.
func (s server) applied(t *testing.T, c *conn, k kind, manager, meta, spec string) Ref {
	t.Helper()
	ref := Ref{Namespace: s.Namespace(t), Name: "shop"}
	body := "interval: 10m, path: ./deploy, prune: true, sourceRef: {kind: GitRepository, name: shop}"
	if k.name == gitops.HelmRelease {
		body = "interval: 10m, chartRef: {kind: OCIRepository, name: shop}"
	}
	text := fmt.Sprintf("{apiVersion: %s/%s, kind: %s, metadata: {name: %s, namespace: %s%s}, spec: {%s%s}}",
		k.resource.Group, k.resource.Version, k.name, ref.Name, ref.Namespace, strings.ReplaceAll(meta, "NS", ref.Namespace), body, spec)
	force := true
	_, err := target{c, k, ref}.api().Patch(t.Context(), ref.Name, types.ApplyPatchType, []byte(text), metav1.PatchOptions{FieldManager: manager, Force: &force})
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

const (
	byKustomization = ", labels: {kustomize.toolkit.fluxcd.io/name: root, kustomize.toolkit.fluxcd.io/namespace: flux-system}"
	byItself        = ", labels: {kustomize.toolkit.fluxcd.io/name: shop, kustomize.toolkit.fluxcd.io/namespace: NS}"
	byHelm          = ", labels: {helm.toolkit.fluxcd.io/name: root, helm.toolkit.fluxcd.io/namespace: flux-system}"
	byArgoCD        = `, annotations: {argocd.argoproj.io/tracking-id: "root:kustomize.toolkit.fluxcd.io/Kustomization:NS/shop"}`
)

func TestWhoWouldResume(t *testing.T) {
	t.Parallel()
	s := running(t)
	c, _ := s.connectTo(t, testkube.Admin)
	entrance := driver.Edit{}
	above := driver.Edit{Group: "kustomize.toolkit.fluxcd.io", Kind: "Kustomization", Namespace: "x", Name: "below", Pointers: []string{suspendPath}}
	const ks, hr = "flux/kustomization.suspend", "flux/helmrelease.suspend"
	for name, test := range map[string]struct {
		kind                kind
		manager, meta, spec string
		edit                driver.Edit
		pauses, next, note  string
	}{
		"nobody":           {kind: kustomizations(), edit: entrance, pauses: ks},
		"for an owner":     {kind: kustomizations(), edit: above, pauses: ks},
		"suspended":        {kind: kustomizations(), spec: ", suspend: true", edit: entrance, pauses: ks},
		"suspended, above": {kind: kustomizations(), spec: ", suspend: true", edit: above, note: "is suspended: it needs no pause"},
		"parent without suspend in Git": {kind: kustomizations(), manager: "kustomize-controller", meta: byKustomization, edit: entrance, pauses: ks,
			note: "is itself applied by flux Kustomization flux-system/root, whose manifests do not set spec.suspend"},
		"parent with suspend in Git": {kind: kustomizations(), manager: "kustomize-controller", meta: byKustomization, spec: ", suspend: false", edit: entrance, pauses: ks,
			next: "flux Kustomization flux-system/root"},
		"applied by itself": {kind: kustomizations(), manager: "kustomize-controller", meta: byItself, spec: ", suspend: false", edit: entrance, pauses: ks},
		"in a chart":        {kind: kustomizations(), manager: "helm-controller", meta: byHelm, spec: ", suspend: false", edit: entrance, pauses: ks, next: "flux HelmRelease flux-system/root"},
		"of Argo CD":        {kind: kustomizations(), manager: "argocd-controller", meta: byArgoCD, spec: ", suspend: false", edit: entrance, pauses: ks, next: "argocd  /root"},
		"of Terraform":      {kind: kustomizations(), manager: "Terraform", edit: entrance, pauses: ks, note: "is also written by Terraform"},
		"Helm":              {kind: helmReleases(), edit: entrance, pauses: hr, note: "does not correct drift, but would take the page away at its next upgrade"},
		"Helm, correcting":  {kind: helmReleases(), spec: ", driftDetection: {mode: enabled}", edit: entrance, pauses: hr, note: "within its interval (10m0s)"},
		"Helm, warning":     {kind: helmReleases(), spec: ", driftDetection: {mode: warn}", edit: entrance, pauses: hr, note: "does not correct drift"},
	} {
		t.Run(name, func(t *testing.T) {
			manager := test.manager
			if manager == "" {
				manager = "somebody"
			}
			ref := s.applied(t, c, test.kind, manager, test.meta, test.spec)
			h, err := hold(t.Context(), c, driver.Owner{System: "flux", Kind: test.kind.name, Namespace: ref.Namespace, Name: ref.Name}, test.edit)
			if err != nil {
				t.Fatal(err)
			}
			pauses, next, notes := "", "", ""
			for _, p := range h.Pauses {
				pauses += p.Action
			}
			if h.Next != nil {
				next = fmt.Sprintf("%s %s %s/%s", h.Next.Owner.System, h.Next.Owner.Kind, h.Next.Owner.Namespace, h.Next.Owner.Name)
			}
			for _, n := range h.Notes {
				notes += n.Text + "\n"
			}
			if pauses != test.pauses || next != test.next || !strings.Contains(notes, test.note) || test.note == "" && notes != "" {
				t.Errorf("pauses %q, next %q, notes %q; want %q, %q, %q", pauses, next, notes, test.pauses, test.next, test.note)
			}
			if wantChecks := test.pauses != ""; wantChecks != (len(h.Checks) == 1) {
				t.Errorf("checks %v", h.Checks)
			}
		})
	}
	_, err := hold(t.Context(), c, driver.Owner{System: "flux", Kind: "Kustomization", Namespace: s.Namespace(t), Name: "nobody"}, entrance)
	if !errors.Is(err, &fault.Fault{Code: fault.NotFound}) {
		t.Errorf("got %v, want not found", err)
	}
}

func TestIdle(t *testing.T) {
	t.Parallel()
	s := running(t)
	c, _ := s.connectTo(t, testkube.Admin)
	condition := func(status, reason string) string {
		return fmt.Sprintf(`{"status":{"conditions":[{"type":"Reconciling","status":%q,"reason":%q,"message":"Fetching\n \u001b[31mmanifests","lastTransitionTime":"2026-01-02T03:04:05Z"}]}}`, status, reason)
	}
	for name, test := range map[string]struct{ status, want string }{
		"nothing ever":       {status: `{"status":{}}`},
		"applying":           {condition("True", "Progressing"), "it is being applied since 2026-01-02T03:04:05Z: Fetching [31mmanifests; wait for its end"},
		"failed, to retry":   {status: condition("True", "ProgressingWithRetry")},
		"said to have ended": {status: condition("False", "Succeeded")},
	} {
		t.Run(name, func(t *testing.T) {
			x := target{c, kustomizations(), s.object(t, kustomizations(), "", "")}
			mend(t, x, test.status, "status")
			check, _ := openIdle(x.kind)(c, x.ref)
			v, err := check.Check(t.Context())
			if err != nil || v.OK != (test.want == "") || !strings.Contains(strings.Join(v.Findings, "\n"), test.want) {
				t.Errorf("got %+v, %v; want %q", v, err, test.want)
			}
			yes := true
			change := &suspend{target: x} // once suspended, what has begun is waited for
			if v, err = change.Settled(t.Context(), &Suspended{&yes}); err != nil || v.OK != (test.want == "") {
				t.Errorf("settled: %+v, %v", v, err)
			}
			if test.want == "" {
				mend(t, x, `{"status":{"conditions":[{"type":"Ready","status":"True","reason":"Succeeded","message":"","lastTransitionTime":"2026-01-02T03:04:05Z"}]}}`, "status")
				if v, err = change.Settled(t.Context(), &Suspended{&yes}); err != nil || v.OK || !strings.Contains(v.Summary, "has not seen it yet") {
					t.Errorf("settled though Flux has not seen it: %+v, %v", v, err)
				}
			}
			if v, err = change.Settled(t.Context(), &Suspended{}); err != nil || !v.OK {
				t.Errorf("resumed: %+v, %v", v, err)
			}
		})
	}
}

// TestReconcileAndReady: Flux is asked once for each key, and what it says
// counts only once it has looked.
func TestReconcileAndReady(t *testing.T) {
	t.Parallel()
	s := running(t)
	c, w := s.connectTo(t, testkube.Admin)
	x := target{c, kustomizations(), s.object(t, kustomizations(), "", "")}
	ask, _ := openReconcile(x.kind)(c, x.ref)
	ready, _ := openReady(x.kind)(c, x.ref)
	verdict := func(want string) {
		t.Helper()
		v, err := ready.Check(t.Context())
		if err != nil || v.OK != (want == "") || !strings.Contains(strings.Join(v.Findings, "\n"), want) {
			t.Errorf("got %+v, %v; want %q", v, err, want)
		}
	}
	verdict("has not said whether it is ready")
	before := w.writes.Load()
	w.lose.Store(true)
	if err := ask.Do(t.Context(), "run-1/step"); err == nil {
		t.Fatal("no error though the answer was lost")
	}
	if err := ask.Do(t.Context(), "run-1/step"); err != nil {
		t.Fatal(err)
	}
	if n := w.writes.Load() - before; n != 1 {
		t.Errorf("wrote %d times", n)
	}
	verdict("has not looked at it since it was asked to")
	mend(t, x, `{"status":{"lastHandledReconcileAt":"run-1/step","conditions":[{"type":"Ready","status":"False","reason":"BuildFailed","message":"no such file","lastTransitionTime":"2026-01-02T03:04:05Z"}]}}`, "status")
	verdict("BuildFailed: no such file")
	mend(t, x, `{"status":{"conditions":[{"type":"Ready","status":"True","reason":"ReconciliationSucceeded","message":"","lastTransitionTime":"2026-01-02T03:04:05Z"}]}}`, "status")
	verdict("has not looked at it since it was changed")
	mend(t, x, fmt.Sprintf(`{"status":{"observedGeneration":%d}}`, live(t, x).GetGeneration()), "status")
	verdict("")
	mend(t, x, `{"spec":{"suspend":true}}`)
	verdict("")
	before = w.writes.Load()
	if err := ask.Do(t.Context(), "run-2/step"); err != nil || w.writes.Load() != before {
		t.Errorf("a suspended object was asked: %v", err)
	}
}

// TestUnderFlux does what a closing and an opening do, under the fake of Flux's
// controller.
func TestUnderFlux(t *testing.T) {
	t.Parallel()
	s := running(t)
	c, _ := s.connectTo(t, testkube.Admin)
	x := target{c, kustomizations(), s.object(t, kustomizations(), "", "")}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- (&fluxtest.Controller{Client: c.client.Dynamic, Namespace: x.ref.Namespace}).Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	idle, _ := openIdle(x.kind)(c, x.ref)
	ready, _ := openReady(x.kind)(c, x.ref)
	ask, _ := openReconcile(x.kind)(c, x.ref)
	passes := func(what string, check action.Check) {
		t.Helper()
		until(t, what, func(ctx context.Context) (bool, error) {
			v, err := check.Check(ctx)
			return v.OK, err
		})
	}
	passes("it is ready", ready)
	mend(t, x, `{"metadata":{"annotations":{"`+fluxtest.HoldAnnotation+`":"yes"}}}`)
	until(t, "it is being applied", func(ctx context.Context) (bool, error) {
		v, err := idle.Check(ctx)
		return !v.OK, err
	})
	change := &suspend{target: x}
	yes := true
	from, to := &Suspended{}, &Suspended{&yes}
	if err := change.Apply(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	if v, err := change.Settled(t.Context(), to); err != nil || v.OK {
		t.Errorf("settled though an apply goes on: %+v, %v", v, err)
	}
	mend(t, x, `{"metadata":{"annotations":{"`+fluxtest.HoldAnnotation+`":null}}}`)
	until(t, "it has settled", func(ctx context.Context) (bool, error) {
		v, err := change.Settled(ctx, to)
		return v.OK, err
	})
	if err := change.Apply(t.Context(), to, from); err != nil {
		t.Fatal(err)
	}
	if err := ask.Do(t.Context(), "run-1/step"); err != nil {
		t.Fatal(err)
	}
	passes("it is ready again", ready)
}
