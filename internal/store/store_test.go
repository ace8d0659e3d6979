package store_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
	"github.com/noren-dev/noren/internal/store"
	"github.com/noren-dev/noren/test/unprivileged"
)

// childEnv makes the test binary play another process: "dir name count".
const childEnv = "NOREN_STORE_TEST_CHILD"

func TestMain(m *testing.M) {
	if order := os.Getenv(childEnv); order != "" {
		var dir, name string
		var n int
		_, err := fmt.Sscan(order, &dir, &name, &n)
		if err == nil {
			err = appendMany(context.Background(), dir, name, n)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func appendMany(ctx context.Context, dir, name string, n int) error {
	s, err := store.Open(ctx, dir, time.Now)
	if err != nil {
		return err
	}
	for i := range n {
		if _, err := s.Append(ctx, run.Event{Run: "c1", Type: run.StepStarted, Step: fmt.Sprintf("%s-%d", name, i)}); err != nil {
			return err
		}
	}
	return s.Close()
}

func open(t *testing.T, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func create(t *testing.T, s *store.Store, id string, locks ...string) {
	t.Helper()
	if _, err := s.Create(t.Context(), id, &plan.Plan{Kind: plan.Close, Locks: locks}, "ann@here"); err != nil {
		t.Fatal(err)
	}
}

func wantFault(t *testing.T, err error, code fault.Code, says ...string) {
	t.Helper()
	var f *fault.Fault
	if !errors.As(err, &f) || f.Code != code {
		t.Errorf("got %v, want a fault of code %s", err, code)
		return
	}
	for _, want := range says {
		if !strings.Contains(f.Summary+"\n"+f.Detail+"\n"+strings.Join(f.Try, "\n"), want) {
			t.Errorf("%q does not say %q", f.Error(), want)
		}
	}
}

// tamper opens the file as a person with a SQL shell would.
func tamper(t *testing.T, s *store.Store, statements ...string) error {
	t.Helper()
	db, err := sql.Open("sqlite", s.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, q := range statements {
		if _, err := db.Exec(q); err != nil {
			return err
		}
	}
	return nil
}

func TestTwoProcessesAndManyHandles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	create(t, s, "c1")
	const each = 40
	var all sync.WaitGroup
	for i := range 2 {
		all.Go(func() {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s process%d %d", childEnv, dir, i, each))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
		all.Go(func() {
			if err := appendMany(t.Context(), dir, fmt.Sprintf("handle%d", i), each); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	events, err := s.Events(t.Context(), "c1", 0)
	if err != nil {
		t.Fatal(err)
	}
	if want := 1 + 4*each; len(events) != want {
		t.Errorf("%d events, want %d", len(events), want)
	}
	// What one of them wrote is there in the order it was written.
	next := map[string]int{}
	for _, e := range events[1:] {
		who, n, _ := strings.Cut(e.Step, "-")
		if n != fmt.Sprint(next[who]) {
			t.Fatalf("%s comes when %d was due", e.Step, next[who])
		}
		next[who]++
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestAppendSideBySide: events of many writers make one chain, each is there when
// its Append returns, and one whose writer had stopped is not.
func TestAppendSideBySide(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	create(t, s, "c1")
	const writers = 100
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			step := fmt.Sprintf("s%d", i)
			e, err := s.Append(t.Context(), run.Event{Run: "c1", Type: run.StepStarted, Step: step})
			if err != nil {
				t.Error(err)
				return
			}
			events, err := s.Events(t.Context(), "c1", e.Seq-1)
			if err != nil || len(events) == 0 || events[0].Step != step || events[0].Hash != e.Hash {
				t.Errorf("%s is not there when Append has returned: %v", step, err)
			}
		})
	}
	all.Wait()
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := s.Append(stopped, run.Event{Run: "c1", Type: run.StepStarted, Step: "late"}); !errors.Is(err, context.Canceled) {
		t.Errorf("an Append after its context: %v", err)
	}
	if events, err := s.Events(t.Context(), "c1", 0); err != nil || len(events) != writers+1 {
		t.Errorf("%d events, want %d (%v)", len(events), writers+1, err)
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestHistoryCannotBeChangedBySlips(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	create(t, s, "c1")
	if err := s.PutReceipts(t.Context(), "c1", []action.Receipt{{Run: "c1", Step: "web"}}); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		`UPDATE events SET data = '{}'`, `DELETE FROM events`,
		`UPDATE receipts SET body = '{}'`, `DELETE FROM receipts`,
		`UPDATE runs SET plan = '{}'`, `UPDATE runs SET actor = 'nobody'`, `DELETE FROM runs`,
	} {
		if err := tamper(t, s, q); err == nil {
			t.Errorf("%s went through", q)
		}
	}
}

func TestReceiptsAreNeverOverwritten(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	create(t, s, "c1")
	first := action.Receipt{Run: "c1", Step: "web", Target: "t", From: action.State{Version: 1, Fields: json.RawMessage(`{"v":"open"}`)}, TakenAt: time.Unix(1, 0).UTC()}
	second := first
	second.From.Fields = json.RawMessage(`{"v":"closed"}`)
	other := action.Receipt{Run: "c1", Step: "api"}
	for _, receipts := range [][]action.Receipt{{first}, {second, other}} {
		if err := s.PutReceipts(t.Context(), "c1", receipts); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Receipt(t.Context(), "c1", "web")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(first, got); d != "" {
		t.Errorf("receipt (-first +got):\n%s", d)
	}
	all, err := s.Receipts(t.Context(), "c1")
	if err != nil || len(all) != 2 || all[0].Step != "web" {
		t.Errorf("receipts %v, %v", all, err)
	}
	if _, err := s.Receipt(t.Context(), "c1", "app"); err == nil || !strings.Contains(err.Error(), "app") {
		t.Errorf("a receipt that is not there: %v", err)
	}
}

func TestNewerFileIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := store.Open(t.Context(), dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := tamper(t, s, `PRAGMA user_version = 99`); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = store.Open(t.Context(), dir, time.Now)
	wantFault(t, err, fault.Invalid, "newer noren", "format 99", "noren version")
}

func TestUnusableDirectories(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := store.Open(t.Context(), filepath.Join(file, "state"), time.Now)
	wantFault(t, err, fault.Unavailable, "Nothing was touched", "NOREN_STATE_DIR")

	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "noren.db"), []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = store.Open(t.Context(), dir, time.Now)
	wantFault(t, err, fault.Unavailable, "damaged", "mv ")
}

func TestReadOnlyDirectory(t *testing.T) {
	t.Parallel()
	if unprivileged.Again(t) {
		return // root may write everywhere
	}
	locked := t.TempDir()
	if err := os.Chmod(locked, 0o500); err != nil {
		t.Fatal(err)
	}
	_, err := store.Open(t.Context(), locked, time.Now)
	wantFault(t, err, fault.Unavailable, "NOREN_STATE_DIR")
}

func TestReadOnlyFile(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	create(t, s, "c1")
	db := s.OpenCheckpoints()
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(`PRAGMA query_only = 1`); err != nil {
		t.Fatal(err)
	}
	_, err := db.Exec(`INSERT INTO signals (run, signal, actor, at) VALUES ('c1', 'undo', '', '')`)
	wantFault(t, s.Explain(err), fault.Unavailable, "cannot be written", "NOREN_STATE_DIR")
}

// A limit on the file's pages stands for a full disk: SQLite says the same.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	create(t, s, "c1", "door")
	s.LimitPages(t.Context())
	var err error
	n := 0
	for ; err == nil && n < 10000; n++ {
		_, err = s.Append(t.Context(), run.Event{Run: "c1", Type: run.StepWaiting, Step: "web", Data: run.Data{Text: strings.Repeat("x", 500)}})
	}
	wantFault(t, err, fault.Unavailable, "no space for the state file", "df -h")
	before, err := s.Run(t.Context(), "c1")
	if err != nil {
		t.Fatalf("what was recorded cannot be read: %v", err)
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	err = s.End(t.Context(), "c1", run.Event{Type: run.RunEnded, Data: run.Data{Status: run.Done, Problem: &run.Problem{Detail: strings.Repeat("x", 100000)}}}, true, "")
	wantFault(t, err, fault.Unavailable, "no space")
	after, err := s.Run(t.Context(), "c1")
	locks, errLocks := s.Locks(t.Context())
	if err != nil || errLocks != nil || after.Last != before.Last || len(locks) != 1 {
		t.Errorf("half of an ending was recorded: last %d, was %d; locks %v; %v %v", after.Last, before.Last, locks, err, errLocks)
	}
}

func TestSignalsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, other := open(t, dir), open(t, dir)
	create(t, s, "c1")
	create(t, s, "c2")
	want := []run.Signal{run.SignalRetry, run.SignalSkip, run.SignalRetry, run.SignalUndo}
	for i, sig := range want {
		from := []*store.Store{s, other}[i%2]
		if err := from.Send(t.Context(), "c1", sig, "ann@here"); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Next(t.Context(), "c2"); got != nil || err != nil {
		t.Errorf("another run's signal: %v, %v", got, err)
	}
	var got []run.Signal
	for range want[:3] {
		sent, err := other.Next(t.Context(), "c1")
		if err != nil || sent == nil {
			t.Fatalf("next: %v, %v", sent, err)
		}
		for range 2 { // taking it again does nothing
			if err := s.Take(t.Context(), "c1", *sent); err != nil {
				t.Fatal(err)
			}
		}
		got = append(got, sent.Signal)
	}
	if !slices.Equal(got, want[:3]) {
		t.Errorf("taken %q, want %q", got, want[:3])
	}
	for range 2 {
		if err := s.End(t.Context(), "c1", run.Event{Type: run.RunEnded, Data: run.Data{Status: run.Done}}, true, ""); err != nil {
			t.Fatal(err)
		}
	}
	events, err := s.Events(t.Context(), "c1", 0)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range events {
		lines = append(lines, strings.TrimSpace(fmt.Sprint(e.Type, " ", e.Data.Signal, " ", e.Data.Text)))
	}
	if d := cmp.Diff([]string{"run.created", "signal.sent retry", "signal.sent skip", "signal.sent retry", "signal.sent undo", "signal.received retry", "signal.received skip", "signal.received retry",
		"signal.received undo too late: the run was ending", "run.ended"}, lines); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
	wantFault(t, s.Send(t.Context(), "c1", run.SignalUndo, "ann@here"), fault.Invalid, "takes no undo")
	wantFault(t, s.Send(t.Context(), "c9", run.SignalUndo, "ann@here"), fault.NotFound, `no run "c9"`)
}

func TestLocks(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	ctx := t.Context()
	create(t, s, "c1", "web", "api")
	_, err := s.Create(ctx, "c2", &plan.Plan{Kind: plan.Close, Locks: []string{"free", "api"}}, "bob@there")
	wantFault(t, err, fault.Locked, "api", "c1", "ann@here", "noren watch c1")
	if _, err := s.Run(ctx, "c2"); !errors.Is(err, &fault.Fault{Code: fault.NotFound}) {
		t.Errorf("the refused run is there: %v", err)
	}
	if _, err := s.Create(ctx, "o1", &plan.Plan{Kind: plan.Open, Locks: []string{"web"}, Holder: "c1"}, "bob@there"); err != nil {
		t.Fatal(err)
	}
	_, err = s.Create(ctx, "c3", &plan.Plan{Kind: plan.Close, Locks: []string{"web"}}, "cy@there")
	wantFault(t, err, fault.Locked, "run o1, started by bob@there")
	_, err = s.Create(ctx, "o2", &plan.Plan{Kind: plan.Open, Locks: []string{"web"}, Holder: "c1"}, "cy@there")
	wantFault(t, err, fault.Locked, "run o1")
	held := func() map[string]string {
		locks, err := s.Locks(ctx)
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]string{}
		for _, l := range locks {
			m[l.Target] = l.Run
		}
		return m
	}
	end := func(id string, release bool, back string) {
		if err := s.End(ctx, id, run.Event{Type: run.RunEnded, Data: run.Data{Status: run.Undone}}, release, back); err != nil {
			t.Fatal(err)
		}
	}
	end("o1", false, "c1")
	if d := cmp.Diff(map[string]string{"web": "c1", "api": "c1"}, held()); d != "" {
		t.Errorf("given back (-want +got):\n%s", d)
	}
	if _, err := s.Create(ctx, "o3", &plan.Plan{Kind: plan.Open, Locks: []string{"web"}, Holder: "c1"}, "bob@there"); err != nil {
		t.Fatal(err)
	}
	end("o3", true, "")
	if d := cmp.Diff(map[string]string{"api": "c1"}, held()); d != "" {
		t.Errorf("released (-want +got):\n%s", d)
	}
	_, err = s.Create(ctx, "o4", &plan.Plan{Kind: plan.Open, Locks: []string{"web"}, Holder: "c1"}, "bob@there")
	wantFault(t, err, fault.Invalid, "out of date", "noren status")
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a b%41#?", "state") // also: a path is no URL
	s := open(t, dir)
	create(t, s, "c1")
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 3 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %s: it holds passes", f.Name(), info.Mode())
		}
	}
}

func TestRunReadsBackWhatWasPlanned(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	p := &plan.Plan{Kind: plan.Close, Reason: `<b>"quoted" & 山</b>`, Until: time.Date(2026, 3, 1, 3, 0, 0, 0, time.FixedZone("JST", 9*3600)),
		Stages: []plan.Stage{{Name: plan.StageClose, Steps: []plan.Step{{ID: "web", Params: json.RawMessage(`{"b": 1, "a": "<&>", "n": 12345678901234567890}`)}}}}}
	created, err := s.Create(t.Context(), "c1", p, "ann@here")
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Run(t.Context(), "c1")
	if err != nil {
		t.Fatal(err)
	}
	again, err := got.Plan.Digest()
	if err != nil || again != created.Digest || got.Digest != created.Digest {
		t.Errorf("digests: planned %s, stored %s, of what was read %s, %v", created.Digest, got.Digest, again, err)
	}
	if ids, err := s.Unfinished(t.Context()); err != nil || !slices.Equal(ids, []string{"c1"}) {
		t.Errorf("unfinished %v, %v", ids, err)
	}
	_, err = s.Run(t.Context(), "c9")
	wantFault(t, err, fault.NotFound, "c9")
}
