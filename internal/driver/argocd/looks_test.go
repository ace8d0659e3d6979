package argocd

import (
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/testkube"
)

const running = `
operation: {initiatedBy: {automated: true}, sync: {}}
status:
  operationState:
    phase: Running
    startedAt: "2026-01-02T03:04:05Z"
    message: "one or more objects\n failed \e[31mto apply"
    operation: {initiatedBy: {automated: true}, sync: {}}
`

func looking(reconciledAt, sync, health, more string) string {
	return `
status:
  reconciledAt: "` + reconciledAt + `"
  sync: {status: ` + sync + `}
  health: {status: ` + health + `, message: waiting}
` + more
}

func wantVerdict(t *testing.T, v action.Verdict, err error, want string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if want == "" {
		if !v.OK || len(v.Findings) > 0 {
			t.Errorf("got %+v, want OK", v)
		}
		return
	}
	if v.OK || !strings.Contains(strings.Join(v.Findings, "\n"), want) {
		t.Errorf("got %+v, want not OK with %q", v, want)
	}
}

func TestIdle(t *testing.T) {
	t.Parallel()
	s := current(t)
	c, _ := s.connectTo(t, testkube.Admin)
	for name, test := range map[string]struct{ more, want string }{
		"nothing ever": {},
		"ended":        {more: strings.NewReplacer("Running", "Succeeded", "operation: {initiatedBy: {automated: true}, sync: {}}\nstatus", "status").Replace(running)},
		"running":      {running, "a sync is running since 2026-01-02T03:04:05Z, begun by automated sync: one or more objects failed [31mto apply; wait for its end, or end it"},
		"terminating":  {strings.Replace(running, "Running", "Terminating", 1), "a sync is being ended"},
		"asked for":    {"operation: {initiatedBy: {username: aiko}, sync: {}}", "a sync is asked for and has not begun, begun by aiko"},
	} {
		t.Run(name, func(t *testing.T) {
			ref := s.application(t, `{automated: {}}`, test.more)
			check, err := openIdle(c, ref)
			if err != nil {
				t.Fatal(err)
			}
			v, err := check.Check(t.Context())
			wantVerdict(t, v, err, test.want)
			if test.want != "" && !strings.Contains(v.Try[0], "argocd app terminate-op shop --app-namespace "+ref.Namespace) {
				t.Errorf("Try is %q", v.Try)
			}
			// Once paused, a sync that still runs is waited for; switched on again, it is not.
			change := &pause{target: c.target(ref)}
			v, err = change.Settled(t.Context(), &Paused{[]byte(`{"enabled":false}`)})
			wantVerdict(t, v, err, test.want)
			v, err = change.Settled(t.Context(), &Paused{[]byte(`{}`)})
			wantVerdict(t, v, err, "")
		})
	}
}

func TestComparedAndSettled(t *testing.T) {
	t.Parallel()
	s := current(t)
	c, _ := s.connectTo(t, testkube.Admin)
	since := time.Date(2026, 1, 2, 3, 0, 0, 5e8, time.UTC)
	const at, before = "2026-01-02T03:00:00Z", "2026-01-02T02:59:59Z"
	pruning := "  resources: [{kind: ConfigMap, name: old, namespace: shop, status: OutOfSync, requiresPruning: true}]\n"
	differing := "  resources: [{kind: Ingress, name: web, namespace: shop, status: OutOfSync}]\n  conditions: [{type: SyncError, message: failed last attempt}]\n"
	for name, test := range map[string]struct{ policy, meta, more, compared, settled string }{
		"back":             {more: looking(at, "Synced", "Healthy", "")},
		"not yet":          {more: looking(before, "Synced", "Healthy", ""), compared: "Argo CD looked at it last at 2026-01-02T02:59:59Z, before", settled: "looked at it last"},
		"asked":            {meta: `metadata: {annotations: {argocd.argoproj.io/refresh: normal}}`, more: looking(at, "Synced", "Healthy", ""), compared: "has not looked at it since", settled: "has not looked"},
		"skipped":          {meta: `metadata: {annotations: {argocd.argoproj.io/skip-reconcile: "true"}}`, more: looking(at, "Synced", "Healthy", ""), compared: "keeps Argo CD away", settled: "keeps Argo CD away"},
		"by hand":          {policy: `{}`, more: looking(before, "OutOfSync", "Degraded", "")},
		"out of sync":      {more: looking(at, "OutOfSync", "Healthy", differing), settled: "it is OutOfSync (Ingress shop/web)"},
		"condition":        {more: looking(at, "OutOfSync", "Healthy", differing), settled: "SyncError: failed last attempt"},
		"unhealthy":        {more: looking(at, "Synced", "Progressing", ""), settled: "its health is Progressing: waiting"},
		"syncing":          {more: looking(at, "OutOfSync", "Healthy", "") + "operation: {sync: {}}", settled: "a sync is asked for"},
		"no longer in Git": {more: looking(at, "OutOfSync", "Healthy", pruning)},
		"to be pruned":     {policy: `{automated: {prune: true}}`, more: looking(at, "OutOfSync", "Healthy", pruning), settled: "it is OutOfSync (ConfigMap shop/old)"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.policy == "" {
				test.policy = `{automated: {}}`
			}
			ref := s.application(t, test.policy, test.meta, test.more)
			look := LookParams{Ref: ref, Since: since}
			compared, _ := openCompared(c, look)
			v, err := compared.Check(t.Context())
			wantVerdict(t, v, err, test.compared)
			settled, _ := openSettled(c, look)
			v, err = settled.Check(t.Context())
			wantVerdict(t, v, err, test.settled)
		})
	}
}
