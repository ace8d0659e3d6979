package argocd

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver/argocd/argotest"
	"github.com/noren-dev/noren/internal/testkube"
)

var configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}

// A house is an Application with one ConfigMap in Git, under the fake of Argo
// CD's controller, in sync.
type house struct {
	*testing.T
	conn *conn
	wire *wire
	ref  Ref
	git  *argotest.Manifests
}

func settle(t *testing.T, policy string, deaf bool) *house {
	t.Helper()
	s := current(t)
	h := &house{T: t, ref: s.application(t, policy)}
	h.conn, h.wire = s.connectTo(t, testkube.Admin)
	h.git = &argotest.Manifests{Client: h.conn.client.Dynamic}
	h.git.Commit(h.ref.String(), "rev-1", argotest.Manifest{Resource: configMaps, Object: &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": "web", "namespace": h.ref.Namespace},
		"data":     map[string]any{"page": "shop"},
	}}})
	controller := &argotest.Controller{Client: h.conn.client.Dynamic, Repository: h.git, Namespace: h.ref.Namespace,
		Managed: []schema.GroupVersionResource{configMaps}, Deaf: deaf}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- controller.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return h
}

func (h *house) edit(page string) {
	h.Helper()
	patch := fmt.Sprintf(`{"data":{"page":%q}}`, page)
	_, err := h.conn.client.Dynamic.Resource(configMaps).Namespace(h.ref.Namespace).
		Patch(h.Context(), "web", types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		h.Fatal(err)
	}
}

func (h *house) page() string {
	u, err := h.conn.client.Dynamic.Resource(configMaps).Namespace(h.ref.Namespace).Get(h.Context(), "web", metav1.GetOptions{})
	if err != nil {
		return ""
	}
	page, _, _ := unstructured.NestedString(u.Object, "data", "page")
	return page
}

func (h *house) waitFor(what string, check action.Check) {
	h.Helper()
	var last action.Verdict
	h.Cleanup(func() {
		if h.Failed() {
			h.Logf("%s: %+v", what, last)
		}
	})
	until(h.T, what, func(ctx context.Context) (bool, error) {
		var err error
		last, err = check.Check(ctx)
		return last.OK, err
	})
}

func (h *house) status() string {
	app, err := h.conn.target(h.ref).must(h.Context())
	if err != nil {
		h.Fatal(err)
	}
	return app.Status.Sync.Status
}

// opening does what an opening does after the page is down.
func (h *house) opening(key string) {
	h.Helper()
	refresh, _ := openRefresh(h.conn, h.ref)
	compared, _ := openCompared(h.conn, LookParams{Ref: h.ref})
	resync, _ := openSync(h.conn, h.ref)
	settled, _ := openSettled(h.conn, LookParams{Ref: h.ref})
	if err := refresh.Do(h.Context(), key); err != nil {
		h.Fatal(err)
	}
	h.waitFor("compared", compared)
	for range 2 { // the second is a retry, with the same key
		if err := resync.Do(h.Context(), key); err != nil {
			h.Fatal(err)
		}
	}
	h.waitFor("settled", settled)
}

func TestClosingAndOpeningUnderArgoCD(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		policy string
		deaf   bool
	}{
		"automated": {policy: `{automated: {prune: true}, syncOptions: [A=true], retry: {limit: 2}}`},
		"healing":   {policy: `{automated: {selfHeal: true}}`},
		"deaf":      {policy: `{automated: {}}`, deaf: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := settle(t, test.policy, test.deaf)
			first, _ := openSettled(h.conn, LookParams{Ref: h.ref})
			h.waitFor("in sync for the first time", first)

			change := &pause{target: h.conn.target(h.ref)}
			from, err := change.Observe(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			to, err := change.Propose(from)
			if err != nil {
				t.Fatal(err)
			}
			if err := change.Apply(t.Context(), from, to); err != nil {
				t.Fatal(err)
			}
			h.edit("closed")
			mend(t, h.conn, h.ref, `{"metadata":{"annotations":{"argocd.argoproj.io/refresh":"normal"}}}`)
			until(t, "the edit is seen", func(context.Context) (bool, error) { return h.status() == outOfSync, nil })
			if h.page() != "closed" {
				t.Fatal("reverted though paused")
			}
			if err := change.Apply(t.Context(), to, from); err != nil {
				t.Fatal(err)
			}
			h.opening("run-1/sync")
			if h.page() != "shop" {
				t.Errorf("the page is %q after opening, want Git's", h.page())
			}
		})
	}
}

// The reason for argocd/app.sync, and a check on the fake.
func TestAutomatedSyncDoesNotRevertWhatItSyncedBefore(t *testing.T) {
	t.Parallel()
	h := settle(t, `{automated: {}}`, false)
	first, _ := openSettled(h.conn, LookParams{Ref: h.ref})
	h.waitFor("in sync for the first time", first)
	h.edit("closed")
	until(t, "the edit is seen", func(context.Context) (bool, error) { return h.status() == outOfSync, nil })
	refresh, _ := openRefresh(h.conn, h.ref)
	compared, _ := openCompared(h.conn, LookParams{Ref: h.ref})
	if err := refresh.Do(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	h.waitFor("compared", compared)
	if h.page() != "closed" || h.status() != outOfSync {
		t.Error("reverted")
	}
	h.git.Commit(h.ref.String(), "rev-2", argotest.Manifest{Resource: configMaps, Object: &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": "web", "namespace": h.ref.Namespace},
		"data":     map[string]any{"page": "shop 2"},
	}}})
	if err := refresh.Do(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	until(t, "the new revision is synced", func(context.Context) (bool, error) { return h.page() == "shop 2", nil })
}

func TestASyncThatRunsIsWaitedForOrEnded(t *testing.T) {
	t.Parallel()
	h := settle(t, `{automated: {}}`, false)
	first, _ := openSettled(h.conn, LookParams{Ref: h.ref})
	h.waitFor("in sync for the first time", first)
	mend(t, h.conn, h.ref, `{"metadata":{"annotations":{"`+argotest.HoldAnnotation+`":"yes"}},"operation":{"initiatedBy":{"username":"aiko"},"sync":{}}}`)
	idle, _ := openIdle(h.conn, h.ref)
	until(t, "it runs", func(ctx context.Context) (bool, error) {
		v, err := idle.Check(ctx)
		return len(v.Findings) == 1 && v.Try != nil && h.phase() == phaseRunning, err
	})
	mend(t, h.conn, h.ref, `{"status":{"operationState":{"phase":"Terminating"}}}`) // what Try says
	h.waitFor("idle", idle)
	if h.phase() != "Failed" {
		t.Errorf("phase %s", h.phase())
	}
}

func (h *house) phase() string {
	app, err := h.conn.target(h.ref).must(h.Context())
	if err != nil || app.Status.OperationState == nil {
		return ""
	}
	return app.Status.OperationState.Phase
}

func TestSyncIsAskedForOnlyWhereItIsNeeded(t *testing.T) {
	t.Parallel()
	s := current(t)
	c, w := s.connectTo(t, testkube.Admin)
	const pruned = "  resources: [{kind: ConfigMap, name: old, status: OutOfSync, requiresPruning: true}]\n"
	out := looking("2026-01-02T03:00:00Z", "OutOfSync", "Healthy", "")
	done := out + `  operationState: {phase: Succeeded, startedAt: "2026-01-02T03:00:00Z", operation: {info: [{name: noren-key, value: k}], sync: {}}}` + "\n"
	for name, test := range map[string]struct {
		policy, more string
		want         string // of the operation's sync, "" for none
		fails        bool
	}{
		"out of sync":        {policy: `{automated: {prune: true}, syncOptions: [A=true]}`, more: out, want: `{"prune":true,"syncOptions":["A=true"]}`},
		"without prune":      {policy: `{automated: {}}`, more: out, want: `{"prune":false}`},
		"in sync":            {policy: `{automated: {}}`, more: looking("2026-01-02T03:00:00Z", "Synced", "Healthy", "")},
		"by hand":            {policy: `{}`, more: out},
		"paused":             {policy: `{automated: {enabled: false}}`, more: out},
		"done before":        {policy: `{automated: {}}`, more: done},
		"nothing but prune":  {policy: `{automated: {}}`, more: out + pruned},
		"would empty it":     {policy: `{automated: {prune: true}}`, more: out + pruned, fails: true},
		"may empty it":       {policy: `{automated: {prune: true, allowEmpty: true}}`, more: out + pruned, want: `{"prune":true}`},
		"another is running": {policy: `{automated: {}}`, more: out + "operation: {sync: {revision: x}}\n", want: `{"revision":"x"}`},
	} {
		t.Run(name, func(t *testing.T) {
			ref := s.application(t, test.policy, test.more)
			sync, _ := openSync(c, ref)
			before := w.writes.Load()
			for range 2 {
				if err := sync.Do(t.Context(), "k"); (err != nil) != test.fails {
					t.Fatalf("got %v, want an error: %v", err, test.fails)
				}
			}
			asked, _, _ := unstructured.NestedMap(live(t, c, ref).Object, "operation", "sync")
			got := ""
			if asked != nil {
				raw, _ := json.Marshal(asked)
				got = string(raw)
			}
			if got != test.want {
				t.Errorf("asked for %q, want %q", got, test.want)
			}
			if n := w.writes.Load() - before; n > 1 {
				t.Errorf("wrote %d times", n)
			}
		})
	}
}

func TestSyncWhoseAnswerIsLostIsAskedForOnce(t *testing.T) {
	t.Parallel()
	s := current(t)
	c, w := s.connectTo(t, testkube.Admin)
	ref := s.application(t, `{automated: {}}`, looking("2026-01-02T03:00:00Z", "OutOfSync", "Healthy", ""))
	sync, _ := openSync(c, ref)
	before := w.writes.Load()
	w.lose.Store(true)
	if err := sync.Do(t.Context(), "k"); err == nil {
		t.Fatal("no error though the answer was lost")
	}
	if err := sync.Do(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if n := w.writes.Load() - before; n != 1 {
		t.Errorf("wrote %d times", n)
	}
}
