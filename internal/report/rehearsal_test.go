package report_test

import (
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/report"
	"github.com/noren-dev/noren/internal/run"
)

// rehearsals are one that passed and one that failed, with names of people who
// mean no good.
func rehearsals() map[string]*report.Rehearsal {
	both := func() *report.Rehearsal {
		return &report.Rehearsal{Environment: "prod", Services: []string{"shop"}, OnCopy: true, OK: true, Outcome: "Closed a copy of shop in prod in 214 ms and opened it in 67 ms.", Objects: 2,
			Made: time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC),
			Steps: []report.RehearsedStep{
				{Doing: "closing", Stage: "close", Title: "Close kube:prod/shop/ingress/web", Change: "insert a rule", Status: "done", Took: 12 * time.Millisecond},
				{Doing: "opening", Stage: "open", Title: "Open kube:prod/shop/ingress/web", Status: "done", Took: 1500 * time.Millisecond}},
			Visitors: []report.Visitor{{Service: "shop", Who: "customer", Request: "GET https://shop.example.com/", Sees: map[report.Phase][]string{
				report.Before: {"service"}, report.Closing: {"service", "page 503"}, report.Shut: {"page 503"}, report.Opening: {"page 503", "service"}, report.After: {"service"}}}},
			Seen:       []report.Turn{{Phase: report.Closing, Write: "patch ingresses shop/web", Visitor: "customer", From: "service", To: "page 503"}},
			AtRest:     []string{"kube:prod/shop/deployment/worker"},
			CannotUndo: []report.Stuck{{Target: "kube:prod/shop/deployment/worker", Why: "what runs in it ends"}},
			Expected: []report.Expected{{Doing: "closing", About: 5 * time.Second, Measured: 3}, {Doing: "opening", About: 35 * time.Second, Basis: []string{"a pod has 30 seconds"}, Unknown: []string{"Prove open: shop"}},
				{Doing: "opening", Unknown: []string{"a", "b"}}},
			Notes:   []report.Fact{{Name: "kube:prod/shop/ingress/web", Value: "Another team's rule comes first."}},
			LeftOut: []string{"shop: gate/door shop, of which no copy can be made"}, Untold: []string{"Whether the cluster takes the writes."}}
	}
	failed := both()
	failed.OK, failed.Outcome, failed.Visitors = false, "The rehearsal of opening shop in prod FAILED", failed.Visitors[:0]
	failed.Failure = &report.RehearsalFailure{Doing: "opening", Step: "Git's state is back", Problem: run.Problem{Summary: "check failed", Detail: "<script>alert(1)</script> | it is `Degraded`"},
		Written: []string{"take noren's rules out of ingress shop/web"}, Undo: "Taking back the one change went through, and all was closed again as it had been."}
	failed.Different = []report.Difference{{Object: "ingresses.networking.k8s.io shop/web", Before: "spec:\n  a: 1\n", After: "spec:\n  a: 2\n"}, {Object: "configmaps shop/page", After: "data: {x: </pre>}\n"}}
	return map[string]*report.Rehearsal{"rehearsal": both(), "rehearsal-failed": failed}
}

// TestRehearsalGolden keeps what is written of a rehearsal.
func TestRehearsalGolden(t *testing.T) {
	t.Parallel()
	for name, r := range rehearsals() {
		page, err := r.HTML()
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".md", r.Markdown(""))
		golden(t, name+".html", page)
		for _, bad := range []string{"<script", "</pre>}"} {
			if strings.Contains(page, bad) || strings.Contains(r.Markdown(""), bad+">alert") {
				t.Errorf("%s holds %q as it was given", name, bad)
			}
		}
	}
}
