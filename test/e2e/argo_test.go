package e2e

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/noren-dev/noren/internal/driver/argocd/argotest"
	"github.com/noren-dev/noren/internal/testkube"
)

// annotate sets an annotation, "" to take it away.
func annotate(t testing.TB, o map[string]any, key, value string) {
	t.Helper()
	if value == "" {
		unstructured.RemoveNestedField(o, "metadata", "annotations", key)
		return
	}
	set(t, o, value, "metadata", "annotations", key)
}

// TestThePauseMatters: Argo CD takes an edit back at once while its automated
// sync is on, and leaves noren's alone, even when asked to look again.
func TestThePauseMatters(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	before := s.objects(t)
	page := func(o map[string]any) {
		annotate(t, o, "alb.ingress.kubernetes.io/actions.down", `{"type":"fixed-response","fixedResponseConfig":{"statusCode":"503","contentType":"text/plain","messageBody":"down"}}`)
		rule := map[string]any{"host": s.host("solo"), "http": map[string]any{"paths": []any{map[string]any{"path": "/", "pathType": "Prefix",
			"backend": map[string]any{"service": map[string]any{"name": "down", "port": map[string]any{"name": "use-annotation"}}}}}}}
		set(t, o, append([]any{rule}, rules(o)...), "spec", "rules")
	}
	s.edit(t, ingresses, "solo", page)
	until(t, "Argo CD reverts a naive closing", func() bool { return len(rules(s.read(t, ingresses, "solo"))) == 1 })
	s.edit(t, ingresses, "solo", func(o map[string]any) { annotate(t, o, "alb.ingress.kubernetes.io/actions.down", "") })

	state := s.closed(t, "solo")
	s.edit(t, applications, "solo", func(o map[string]any) { annotate(t, o, argotest.RefreshAnnotation, "hard") })
	until(t, "Argo CD has looked again", func() bool {
		_, asked, _ := unstructured.NestedString(s.read(t, applications, "solo"), "metadata", "annotations", argotest.RefreshAnnotation)
		return !asked
	})
	if code, _ := s.get(t, "solo", "/"); code != 503 {
		t.Errorf("solo answers %d, want the page", code)
	}
	s.noren(t, state, "open", "--confirm", "prod").must(t, 0)
	s.same(t, before)
}

// TestSyncUnderWay: a closing waits for a sync that runs, and says so.
func TestSyncUnderWay(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.edit(t, applications, "solo", func(o map[string]any) {
		annotate(t, o, argotest.HoldAnnotation, "yes")
		set(t, o, map[string]any{"sync": map[string]any{"revision": "rev-1"}, "initiatedBy": map[string]any{"username": "alice"}}, "operation")
	})
	closing := s.start(t, t.TempDir(), "", "close", "solo", "--env", "prod", "--confirm", "prod")
	closing.says(t, "a sync is running")
	closing.says(t, "alice")
	if code, _ := s.get(t, "solo", "/"); code != 200 {
		t.Errorf("solo answers %d while the sync runs", code)
	}
	s.edit(t, applications, "solo", func(o map[string]any) { annotate(t, o, argotest.HoldAnnotation, "") })
	closing.wait(t).must(t, 0)
	if code, _ := s.get(t, "solo", "/"); code != 503 {
		t.Errorf("solo answers %d, want the page", code)
	}
}

// TestSyncIsRestoredExactly: whatever automated sync was, it is that again.
func TestSyncIsRestoredExactly(t *testing.T) {
	t.Parallel()
	for _, automated := range []string{"{}", "", "{prune: true, selfHeal: true}", "{enabled: false}", "{enabled: true, allowEmpty: true}"} {
		t.Run("automated: "+automated, func(t *testing.T) {
			t.Parallel()
			s := newShop(t, func(o *shopOptions) { o.automated = automated })
			before := s.objects(t)
			state := s.closed(t, "solo")
			spec, _, _ := unstructured.NestedMap(s.read(t, applications, "solo"), "spec", "syncPolicy", "automated")
			if on := spec != nil && spec["enabled"] != false; on {
				t.Errorf("while closed, automated sync is on: %v", spec)
			}
			if code, _ := s.get(t, "solo", "/"); code != 503 {
				t.Errorf("solo answers %d, want the page", code)
			}
			s.noren(t, state, "open", "--confirm", "prod").must(t, 0)
			s.same(t, before)
		})
	}
}

// TestArgoThatDoesNotNotice: its controller was restarted at the wrong moment,
// and what a colleague added to the Ingress while closed is not in Git. noren
// asks for a comparison and for a sync, and Git's state is back.
func TestArgoThatDoesNotNotice(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *shopOptions) { o.deaf, o.automated = true, "{}" })
	before := s.objects(t)
	s.edit(t, applications, "solo", func(o map[string]any) { // this revision was synced before: automated sync does not try it again
		set(t, o, map[string]any{"phase": "Succeeded", "message": "successfully synced", "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z",
			"operation": map[string]any{}, "syncResult": map[string]any{"revision": "rev-1"}}, "status", "operationState")
	})
	state := s.closed(t, "solo")
	s.edit(t, ingresses, "solo", func(o map[string]any) {
		more := map[string]any{"host": "hotfix." + s.ns + ".example.com", "http": rules(o)[len(rules(o))-1].(map[string]any)["http"]}
		set(t, o, append(rules(o), more), "spec", "rules")
	})
	s.noren(t, state, "open", "--confirm", "prod").must(t, 0).says(t, "Git's state is back")
	s.same(t, before)
}

// TestArgoBefore31: its CRD drops the field "enabled", so that the sync is
// paused by taking "automated" away, and comes back as it was.
func TestArgoBefore31(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *shopOptions) { o.server, o.crds = testkube.Start(t, testkube.Dedicated()), testkube.ArgoCDOld })
	before := s.objects(t)
	state := s.closed(t)
	if policy, _, _ := unstructured.NestedMap(s.read(t, applications, "solo"), "spec", "syncPolicy"); policy["automated"] != nil {
		t.Errorf("automated sync is still on: %v", policy)
	}
	if code, _ := s.get(t, "solo", "/"); code != 503 {
		t.Errorf("solo answers %d, want the page", code)
	}
	s.noren(t, state, "open", "--confirm", "prod").must(t, 0)
	s.same(t, before)
}

// TestSyncWithoutAnOwner: what a label names as the owner and is not there is
// no reason not to close.
func TestSyncWithoutAnOwner(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *shopOptions) { o.byHand = true })
	s.edit(t, ingresses, "solo", func(o map[string]any) { set(t, o, "gone", "metadata", "labels", "app.kubernetes.io/instance") })
	before, state := s.objects(t), t.TempDir()
	plan := s.noren(t, state, "plan", "close", "solo", "--env", "prod").must(t, 0)
	if !strings.Contains(plan.out, "nothing is paused") {
		t.Errorf("the plan does not say that nothing is paused:\n%s", plan.out)
	}
	s.noren(t, state, "close", "solo", "--env", "prod", "--confirm", "prod").must(t, 0)
	s.noren(t, state, "open", "--confirm", "prod").must(t, 0)
	s.same(t, before)
}

// TestPauseEndsWithItsService: automated sync comes back with the service whose
// closing needed the pause, while another service of the closing stays closed.
func TestPauseEndsWithItsService(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	before, state := s.objects(t), t.TempDir()
	automated := func() bool {
		policy, has, _ := unstructured.NestedMap(s.read(t, applications, "solo"), "spec", "syncPolicy", "automated")
		return has && policy["enabled"] != false
	}
	s.noren(t, state, "close", "shop", "solo", "--env", "prod", "--confirm", "prod").must(t, 0)
	if automated() {
		t.Fatal("automated sync is on while solo is closed")
	}
	s.noren(t, state, "open", "solo", "--confirm", "prod").must(t, 0)
	if !automated() {
		t.Error("automated sync is off, though only shop is closed, which does not need that")
	}
	if code, _ := s.get(t, "shop", "/"); code != 503 {
		t.Errorf("shop answers %d, want the page", code)
	}
	// The pause is over for shop too: somebody may pause it for a reason of theirs.
	s.edit(t, applications, "solo", func(o map[string]any) { unstructured.RemoveNestedField(o, "spec", "syncPolicy", "automated") })
	s.noren(t, state, "open", "--confirm", "prod").must(t, 0)
	if automated() {
		t.Error("opening shop turned automated sync of solo on, which somebody else had turned off")
	}
	s.edit(t, applications, "solo", func(o map[string]any) {
		set(t, o, map[string]any{"prune": true, "selfHeal": true}, "spec", "syncPolicy", "automated")
	})
	s.same(t, before)
}
