package store_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/audit"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
	"github.com/noren-dev/noren/internal/store"
)

// recorded makes a store with two runs: six records, two receipts.
func recorded(t *testing.T) *store.Store {
	t.Helper()
	s := open(t, t.TempDir())
	s.From(run.Origin{User: "ann", Host: "here", PID: 7})
	create(t, s, "c1")
	state := action.State{Version: 1, Fields: json.RawMessage(`{"open":true}`)}
	if err := s.PutReceipts(t.Context(), "c1", []action.Receipt{{Run: "c1", Step: "api", From: state}, {Run: "c1", Step: "web", From: state}}); err != nil {
		t.Fatal(err)
	}
	for _, step := range []string{"api", "web"} {
		if _, err := s.Append(t.Context(), run.Event{Run: "c1", Type: run.StepDone, Step: step}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.End(t.Context(), "c1", run.Event{Type: run.RunEnded, Data: run.Data{Status: run.Done}}, false, ""); err != nil {
		t.Fatal(err)
	}
	create(t, s, "c2")
	return s
}

// TestVerifyFindsTampering plays the person who takes the triggers away.
func TestVerifyFindsTampering(t *testing.T) {
	t.Parallel()
	const free = `DROP TRIGGER events_keep; DROP TRIGGER events_stay; DROP TRIGGER receipts_keep; DROP TRIGGER receipts_stay; DROP TRIGGER runs_keep; DROP TRIGGER runs_stay`
	tests := []struct{ name, statement, says string }{
		{"a field", `UPDATE events SET data = '{"actor":"nobody"}' WHERE seq = 3`, "Record 3 (step.done of run c1, step api) was altered"},
		{"who began a run", `UPDATE events SET data = replace(data, 'ann@here', 'bob@here') WHERE seq = 1`, "Record 1 (run.created of run c1) was altered"},
		{"a time", `UPDATE events SET at = '2020-01-01T00:00:00Z' WHERE seq = 3`, "Record 3"},
		{"no time at all", `UPDATE events SET at = 'noon' WHERE seq = 3`, "The time of record 3 was altered"},
		{"a middle record removed", `DELETE FROM events WHERE seq = 2`, "Record 2 is missing"},
		{"several removed", `DELETE FROM events WHERE seq IN (2, 3)`, "Records 2 to 3 are missing"},
		{"the first removed", `DELETE FROM events WHERE seq = 1`, "Record 1 is missing"},
		{"the end removed", `DELETE FROM events WHERE seq >= 5`, "the records after 4, up to 6, are gone"},
		{"all removed", `DELETE FROM events`, "the records after 0, up to 6, are gone"},
		{"two swapped", `UPDATE events SET seq = 100 WHERE seq = 3; UPDATE events SET seq = 3 WHERE seq = 4; UPDATE events SET seq = 4 WHERE seq = 100`, "Record 3"},
		{"the contents of two swapped", `UPDATE events SET step = CASE seq WHEN 3 THEN 'web' ELSE 'api' END WHERE seq IN (3, 4)`, "Record 3"},
		{"one inserted", `INSERT INTO events (seq, run, type, at, step, data, prev, hash) VALUES (7, 'c1', 'step.done', '2020-01-01T00:00:00Z', 'x', '{}', '', 'abc')`, "Record 7"},
		{"a receipt", `UPDATE receipts SET body = replace(body, 'true', 'false') WHERE step = 'web'`, "receipt of step web of run c1 was altered"},
		{"a receipt removed", `DELETE FROM receipts WHERE step = 'web'`, "receipt of step web of run c1 is gone"},
		{"all receipts removed", `DELETE FROM receipts`, "receipt of step api of run c1 is gone"},
		{"a receipt inserted", `INSERT INTO receipts (run, step, body) VALUES ('c1', 'db', '{}')`, "receipt of step db of run c1 was put in"},
		{"a plan", `UPDATE runs SET plan = replace(plan, '"close"', '"open"') WHERE id = 'c1'`, "plan of run c1 was altered: it is not the plan that record 1 approved"},
		{"a plan with its digest", `UPDATE runs SET plan = '{}', digest = 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a' WHERE id = 'c1'`, "plan of run c1 was altered"},
		{"a run's actor", `UPDATE runs SET actor = 'bob@here' WHERE id = 'c1'`, "record 1 says that ann@here began it"},
		{"a run's kind", `UPDATE runs SET kind = 'open' WHERE id = 'c1'`, "its kind is not its plan's"},
		{"an ending", `UPDATE runs SET ended = '' WHERE id = 'c1'`, "whether it has ended"},
		{"a run inserted", `INSERT INTO runs (id, kind, plan, digest, actor, created) SELECT 'c9', kind, plan, digest, actor, created FROM runs WHERE id = 'c1'`, "Run c9 is recorded, and no record tells of its beginning"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := recorded(t)
			if err := s.Verify(t.Context()); err != nil {
				t.Fatalf("before: %v", err)
			}
			if err := tamper(t, s, free, tt.statement); err != nil {
				t.Fatal(err)
			}
			wantFault(t, s.Verify(t.Context()), fault.CheckFailed, tt.says)
		})
	}
}

// A person who also mends what SQLite counts cuts off the end without a trace
// in the file: only a head noted elsewhere finds that.
func TestOnlyAHeadFindsTheWholeEndCutOff(t *testing.T) {
	t.Parallel()
	s := recorded(t)
	before, err := s.Audit(t.Context(), "")
	if err != nil || before.Records != 6 || before.Runs != 2 || before.Receipts != 2 || before.Unsealed != 0 {
		t.Fatalf("%+v, %v", before, err)
	}
	later, err := s.Append(t.Context(), run.Event{Run: "c2", Type: run.StageStarted})
	if err != nil {
		t.Fatal(err)
	}
	grown, err := s.Audit(t.Context(), before.Head)
	if err != nil || grown.Since != 1 || grown.Head != later.Hash {
		t.Errorf("a chain that has grown: %+v, %v", grown, err)
	}
	if err := tamper(t, s, `DROP TRIGGER events_stay; DELETE FROM events WHERE seq = 7; UPDATE sqlite_sequence SET seq = 6 WHERE name = 'events'`); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Errorf("without a head: %v; docs/how-to/audit.md says that this cannot be found", err)
	}
	_, err = s.Audit(t.Context(), later.Hash)
	wantFault(t, err, fault.CheckFailed, "their end was cut off", later.Hash)
}

// A file of the noren before this one: no origins, no digests of receipts.
func TestRecordsOfAnOlderNoren(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	create(t, s, "c1")
	if err := tamper(t, s, `INSERT INTO receipts (run, step, body) VALUES ('c1', 'web', '{}')`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), run.Event{Run: "c1", Type: run.Prepared}); err != nil {
		t.Fatal(err)
	}
	report, err := s.Audit(t.Context(), "")
	if err != nil || report.Unsealed != 1 || report.Receipts != 0 {
		t.Errorf("%+v, %v", report, err)
	}
	var links []string
	if err := s.Links(t.Context(), func(l audit.Link) error {
		links = append(links, fmt.Sprint(l.Seq, " ", l.Type, " ", string(l.Data)))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(links) != 2 || strings.Contains(strings.Join(links, "\n"), "origin") {
		t.Errorf("links %q", links)
	}
}

func TestRecordsSayFromWhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	from := run.Origin{User: "root", SudoUser: "ann", Host: "bastion", Client: "203.0.113.7", PID: 4711, Version: "v1", State: dir, Command: "noren close"}
	s.From(from)
	told := run.Data{Confirmed: &run.Confirmation{Protected: true, How: run.Typed, By: "ann as root@bastion"}, Identities: map[string]string{"kube": "system:admin"}}
	if _, err := s.CreateTelling(t.Context(), "c1", &plan.Plan{Kind: plan.Close}, "root@bastion", told); err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), "c1", run.SignalStop, "root@bastion"); err != nil {
		t.Fatal(err)
	}
	for _, e := range []run.Event{{Type: run.RunStarted}, {Type: run.StageStarted}, {Type: run.Extended, Data: run.Data{Until: time.Unix(1, 0).UTC()}}} {
		e.Run = "c1"
		if _, err := s.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	events, err := s.Events(t.Context(), "c1", 0)
	if err != nil {
		t.Fatal(err)
	}
	var say []run.Type
	for _, e := range events {
		if e.Data.Origin != nil {
			say = append(say, e.Type)
			if d := cmp.Diff(from, *e.Data.Origin); d != "" {
				t.Errorf("%s (-want +got):\n%s", e.Type, d)
			}
		}
	}
	if d := cmp.Diff([]run.Type{run.RunCreated, run.SignalSent, run.RunStarted, run.Extended}, say); d != "" {
		t.Errorf("events that say from where (-want +got):\n%s", d)
	}
	if c := events[0].Data.Confirmed; c == nil || *c != *told.Confirmed || events[0].Data.Identities["kube"] != "system:admin" {
		t.Errorf("the first event tells %+v", events[0].Data)
	}
}
