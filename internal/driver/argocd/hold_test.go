package argocd

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/testkube"
)

// holding is what hold answers: pauses and the next owner in words, and a part
// of the notes.
type holding struct{ pauses, next, note string }

func (h holding) check(t *testing.T, got *driver.Hold, ns string) {
	t.Helper()
	var pauses, notes []string
	for _, c := range got.Pauses {
		pauses = append(pauses, c.Action)
	}
	for _, n := range got.Notes {
		notes = append(notes, fmt.Sprintf("%v %s", n.Warn, n.Text))
	}
	next := ""
	if n := got.Next; n != nil {
		next = fmt.Sprintf("%s %s %s/%s %v", n.Owner.System, n.Owner.Kind, n.Owner.Namespace, n.Owner.Name, n.Edit.Pointers)
	}
	if p := strings.Join(pauses, " "); p != h.pauses {
		t.Errorf("pauses %q, want %q", p, h.pauses)
	}
	if want := strings.ReplaceAll(h.next, "NS", ns); next != want {
		t.Errorf("next is %q, want %q", next, want)
	}
	if all := strings.Join(notes, "\n"); !strings.Contains(all, h.note) || h.note == "" && all != "" {
		t.Errorf("notes %q, want %q", all, h.note)
	}
}

const (
	paused    = "argocd/app.pause"
	automated = "[/spec/syncPolicy/automated]"
)

func TestWhoWouldTakeAPauseBack(t *testing.T) {
	t.Parallel()
	s := current(t)
	c, _ := s.connectTo(t, testkube.Admin)
	c.namespace = "argo-" + s.Namespace(t)
	for name, test := range map[string]struct {
		policy, meta string
		holding
	}{
		"nobody":  {holding: holding{pauses: paused}},
		"by hand": {policy: `{}`, holding: holding{pauses: paused}},
		"by hand, with a parent": {policy: `{automated: {enabled: false}}`, meta: `annotations: {argocd.argoproj.io/tracking-id: "root:argoproj.io/Application:NS/shop"}`,
			holding: holding{pauses: paused}},
		"set": {meta: `ownerReferences: [{apiVersion: argoproj.io/v1alpha1, kind: ApplicationSet, name: shops, uid: u}]`,
			holding: holding{pauses: paused, next: "argocd ApplicationSet NS/shops " + automated}},
		"parent": {meta: `annotations: {argocd.argoproj.io/tracking-id: "root:argoproj.io/Application:NS/shop"}`,
			holding: holding{pauses: paused, next: "argocd  " + c.namespace + "/root " + automated}},
		"parent elsewhere": {meta: `annotations: {argocd.argoproj.io/tracking-id: "teams_root:argoproj.io/Application:NS/shop"}`,
			holding: holding{pauses: paused, next: "argocd  teams/root " + automated}},
		"parent by label": {meta: `labels: {app.kubernetes.io/instance: root}`,
			holding: holding{pauses: paused, next: "argocd  " + c.namespace + "/root " + automated}},
		"copied annotation": {meta: `annotations: {argocd.argoproj.io/tracking-id: "root:argoproj.io/Application:other/shop"}`,
			holding: holding{pauses: paused}},
		"Flux": {meta: `labels: {kustomize.toolkit.fluxcd.io/name: apps, kustomize.toolkit.fluxcd.io/namespace: flux-system, app.kubernetes.io/instance: shop}`,
			holding: holding{pauses: paused, next: "flux Kustomization flux-system/apps " + automated}},
		"Flux that leaves it alone": {meta: `labels: {kustomize.toolkit.fluxcd.io/name: apps, kustomize.toolkit.fluxcd.io/namespace: flux-system, kustomize.toolkit.fluxcd.io/reconcile: disabled}`,
			holding: holding{pauses: paused}},
	} {
		t.Run(name, func(t *testing.T) {
			ref := Ref{Namespace: s.Namespace(t), Name: "shop"}
			meta := ""
			if test.meta != "" {
				meta = "metadata: {" + strings.ReplaceAll(test.meta, "NS", ref.Namespace) + "}"
			}
			if test.policy == "" {
				test.policy = `{automated: {}}`
			}
			s.apply(t, ref, test.policy, meta)
			h, err := hold(t.Context(), c, driver.Owner{System: "argocd", Namespace: ref.Namespace, Name: ref.Name}, driver.Edit{})
			if err != nil {
				t.Fatal(err)
			}
			test.check(t, h, ref.Namespace)
		})
	}
}

// TestParentOfAPause: a parent is paused unless nobody but a person syncs it, or
// it leaves what the pause writes alone.
func TestParentOfAPause(t *testing.T) {
	t.Parallel()
	s := current(t)
	c, _ := s.connectTo(t, testkube.Admin)
	c.namespace = s.Namespace(t)
	const respects = `{automated: {}, syncOptions: [RespectIgnoreDifferences=true]}`
	ignore := func(entry string) string {
		return "  ignoreDifferences: [" + entry + "]\n"
	}
	for name, test := range map[string]struct{ policy, more, pauses, note string }{
		"healing":              {policy: `{automated: {selfHeal: true}}`, pauses: paused},
		"automated":            {policy: `{automated: {}}`, pauses: paused},
		"by hand":              {policy: `{}`, note: "is synced by hand"},
		"ignores it":           {policy: respects, more: ignore(`{group: argoproj.io, kind: Application, jsonPointers: [/spec/syncPolicy/automated]}`), note: "ignores differences in"},
		"ignores all of it":    {policy: respects, more: ignore(`{group: "*", kind: "*", name: shop, jsonPointers: [/spec/syncPolicy]}`), note: "ignores differences in"},
		"ignores another's":    {policy: respects, more: ignore(`{group: argoproj.io, kind: Application, name: other, jsonPointers: [/spec/syncPolicy]}`), pauses: paused},
		"ignores something":    {policy: respects, more: ignore(`{group: argoproj.io, kind: Application, jsonPointers: [/spec/source]}`), pauses: paused},
		"ignores, and applies": {policy: `{automated: {}}`, more: ignore(`{group: argoproj.io, kind: Application, jsonPointers: [/spec/syncPolicy]}`), pauses: paused},
	} {
		t.Run(name, func(t *testing.T) {
			ref := Ref{Namespace: s.Namespace(t), Name: "root"}
			s.apply(t, ref, test.policy+"\n"+test.more)
			edit := driver.Edit{Group: "argoproj.io", Kind: "Application", Namespace: "x", Name: "shop", Pointers: []string{"/spec/syncPolicy/automated"}}
			h, err := hold(t.Context(), c, driver.Owner{System: "argocd", Namespace: ref.Namespace, Name: ref.Name}, edit)
			if err != nil {
				t.Fatal(err)
			}
			holding{pauses: test.pauses, note: test.note}.check(t, h, ref.Namespace)
		})
	}
	_, err := hold(t.Context(), c, driver.Owner{System: "argocd", Name: "nobody"}, driver.Edit{})
	if !errors.Is(err, &fault.Fault{Code: fault.NotFound}) {
		t.Errorf("got %v, want not found", err)
	}
}

func TestSetOfAPause(t *testing.T) {
	t.Parallel()
	s := current(t)
	c, _ := s.connectTo(t, testkube.Admin)
	const pausedSet = "argocd/appset.pause"
	edit := driver.Edit{Group: "argoproj.io", Kind: "Application", Name: "shop", Pointers: []string{"/spec/syncPolicy/automated"}}
	for name, test := range map[string]struct {
		meta, spec string
		holding
	}{
		"plain":             {holding: holding{pauses: pausedSet}},
		"create-update":     {spec: `syncPolicy: {applicationsSync: create-update}`, holding: holding{pauses: pausedSet}},
		"create-only":       {spec: `syncPolicy: {applicationsSync: create-only}`, holding: holding{note: "applicationsSync: create-only"}},
		"create-delete":     {spec: `syncPolicy: {applicationsSync: create-delete}`, holding: holding{note: "applicationsSync: create-delete"}},
		"ignores it":        {spec: `ignoreApplicationDifferences: [{jsonPointers: [/spec/syncPolicy]}]`, holding: holding{note: "takes noren's mark off Application shop"}},
		"ignores it by jq":  {spec: `ignoreApplicationDifferences: [{jqPathExpressions: [.spec.syncPolicy]}]`, holding: holding{note: "leaves the sync policy"}},
		"ignores it here":   {spec: `ignoreApplicationDifferences: [{name: shop, jsonPointers: [/spec/syncPolicy/automated]}]`, holding: holding{note: "leaves the sync policy"}},
		"ignores another's": {spec: `ignoreApplicationDifferences: [{name: other, jsonPointers: [/spec/syncPolicy]}]`, holding: holding{pauses: pausedSet}},
		"rolls out":         {spec: `strategy: {type: RollingSync}`, holding: holding{pauses: pausedSet, note: "true ApplicationSet"}},
		"has a parent": {meta: `, annotations: {argocd.argoproj.io/tracking-id: "root:argoproj.io/ApplicationSet:NS/shops"}`,
			holding: holding{pauses: pausedSet, next: "argocd  argocd/root [/spec/ignoreApplicationDifferences]"}},
	} {
		t.Run(name, func(t *testing.T) {
			ns := s.Namespace(t)
			s.Apply(t, setYAML(ns, strings.ReplaceAll(test.meta, "NS", ns), test.spec))
			h, err := hold(t.Context(), c, driver.Owner{System: "argocd", Kind: "ApplicationSet", Namespace: ns, Name: "shops"}, edit)
			if err != nil {
				t.Fatal(err)
			}
			test.check(t, h, ns)
		})
	}
	_, err := hold(t.Context(), c, driver.Owner{System: "argocd", Kind: "ApplicationSet", Name: "nobody"}, edit)
	if !errors.Is(err, &fault.Fault{Code: fault.NotFound}) {
		t.Errorf("got %v, want not found", err)
	}
}

// TestOtherEditors: what writes an Application beside those who keep it is
// named, as nobody pauses it.
func TestOtherEditors(t *testing.T) {
	t.Parallel()
	s := current(t)
	c, _ := s.connectTo(t, testkube.Admin)
	ref := s.application(t, `{automated: {}}`)
	for _, manager := range []string{"HashiCorp", "helm", "kustomize-controller"} {
		mendAs(t, c, ref, manager, `{"metadata":{"annotations":{"by-`+manager+`":"yes"}}}`)
	}
	h, err := hold(t.Context(), c, driver.Owner{System: "argocd", Namespace: ref.Namespace, Name: ref.Name}, driver.Edit{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range []string{"Terraform", "Helm", "Flux (kustomize-controller)"} {
		holding{pauses: paused, note: "true Application " + ref.String() + " is also written by " + tool}.check(t, h, ref.Namespace)
	}
}

func setYAML(ns, meta, spec string) string {
	return fmt.Sprintf(`
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: shops, namespace: %s%s}
spec:
  generators: [{list: {elements: [{name: shop}]}}]
  %s
  template:
    metadata: {name: '{{name}}'}
    spec:
      project: default
      source: {repoURL: https://git.example/shop.git, path: deploy, targetRevision: main}
      destination: {name: in-cluster, namespace: shop}
`, ns, meta, spec)
}
