package argocd

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/testkube"
)

// A pausing is what Propose makes of a policy: wantOld is for an Argo CD that
// does not know enabled, and "" means that the policy stays as it is.
type pausing struct {
	policy            string
	from              string // "" is absent
	want, wantOld     string
	line              string
	onlyOnNewVersions bool
}

var pausings = map[string]pausing{
	"no policy":     {policy: "", line: "is off already"},
	"empty policy":  {policy: `{}`, line: "is off already"},
	"other fields":  {policy: `{syncOptions: [A=true], retry: {limit: 3}}`, line: "is off already"},
	"switched off":  {policy: `{automated: {enabled: false, prune: true}}`, from: `{"enabled":false,"prune":true}`, want: `{"enabled":false,"prune":true}`, line: "is off already", onlyOnNewVersions: true},
	"empty":         {policy: `{automated: {}}`, from: `{}`, want: `{"enabled":false}`, line: "pause automated sync of Application"},
	"all settings":  {policy: `{automated: {prune: true, selfHeal: true, allowEmpty: false}, syncOptions: [A=true]}`, from: `{"allowEmpty":false,"prune":true,"selfHeal":true}`, want: `{"allowEmpty":false,"enabled":false,"prune":true,"selfHeal":true}`, line: "(prune, selfHeal)"},
	"said to be on": {policy: `{automated: {enabled: true}}`, from: `{"enabled":true}`, want: `{"enabled":false}`, line: "pause", onlyOnNewVersions: true},
}

func TestPauseAndRestoreExactly(t *testing.T) {
	t.Parallel()
	s := current(t)
	for name, p := range pausings {
		t.Run(name, func(t *testing.T) { s.pauseAndRestore(t, p) })
	}
}

func (s server) pauseAndRestore(t *testing.T, p pausing) {
	c, w := s.connectTo(t, testkube.Admin)
	ref := s.application(t, p.policy)
	before := s.SnapshotNamespace(t, ref.Namespace, applications)
	change := &pause{target: c.target(ref)}
	from, err := change.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	to, err := change.Propose(from)
	if err != nil {
		t.Fatal(err)
	}
	if !sameJSON(from.Automated, json.RawMessage(p.from)) || !sameJSON(to.Automated, json.RawMessage(p.want)) {
		t.Fatalf("from %s to %s, want from %q to %q", shown(from.Automated), shown(to.Automated), p.from, p.want)
	}
	if d := change.Describe(from, to); !strings.Contains(d.Line, p.line) || !strings.HasPrefix(d.Before, "spec:\n  syncPolicy:\n") {
		t.Errorf("described as %+v", d)
	}
	marked := change.Marked(mark(t, c.target(ref).Target(), from, to))
	writes := w.writes.Load()
	if err := marked.Apply(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	changes := !sameJSON(from.Automated, to.Automated)
	if found := slices.ContainsFunc(allMarks(t, c), func(m action.Mark) bool { return m.Receipt.Target == change.Target() }); found != changes || (w.writes.Load() > writes) != changes {
		t.Errorf("a mark is there: %v, written: %d; the change changes something: %v", found, w.writes.Load()-writes, changes)
	}
	if err := marked.Apply(t.Context(), to, from); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, s.SnapshotNamespace(t, ref.Namespace, applications)); diff != "" {
		t.Errorf("not as it was (-before +after):\n%s", diff)
	}
}

func mark(t *testing.T, target string, from, to *Paused) action.Mark {
	t.Helper()
	state := func(p *Paused) action.State {
		raw, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		return action.State{Version: 1, Fields: raw}
	}
	return action.Mark{Actor: "ops@example", Params: json.RawMessage(`{"name":"shop"}`), Receipt: action.Receipt{
		Run: "r1", Step: "s1", Action: "argocd/app.pause", Target: target, From: state(from), To: state(to), TakenAt: time.Unix(1e9, 0).UTC()}}
}

func TestDescribeShowsYAML(t *testing.T) {
	t.Parallel()
	change := &pause{target: (&conn{env: "prod", namespace: "argocd"}).target(Ref{Name: "shop"})}
	got := change.Describe(&Paused{json.RawMessage(`{"prune":true}`)}, &Paused{json.RawMessage(`{"prune":true,"enabled":false}`)})
	want := action.Description{
		Line:   "pause automated sync of Application argocd/shop (prune)",
		Before: "spec:\n  syncPolicy:\n    automated:\n      prune: true\n",
		After:  "spec:\n  syncPolicy:\n    automated:\n      enabled: false\n      prune: true\n",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if change.Target() != "argocd:prod/argocd/application/shop" {
		t.Errorf("target %s", change.Target())
	}
}

func (s server) undoWhenEverythingAroundTheFieldIsGone(t *testing.T) {
	c, _ := s.connectTo(t, testkube.Admin)
	ref := s.application(t, `{automated: {prune: true}}`)
	change := &pause{target: c.target(ref)}
	from, to := &Paused{json.RawMessage(`{"prune":true}`)}, &Paused{}
	marked := change.Marked(mark(t, change.Target(), from, to))
	if err := marked.Apply(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	mend(t, c, ref, `{"metadata":{"annotations":null},"spec":{"syncPolicy":null}}`)
	if err := marked.Apply(t.Context(), to, from); err != nil {
		t.Fatal(err)
	}
	if got, err := change.Observe(t.Context()); err != nil || !sameJSON(got.Automated, from.Automated) {
		t.Errorf("got %+v, %v, want %s", got, err, from.Automated)
	}
}

// An Argo CD that was set back to an older version since the plan was made.
func (s server) aFieldThatTheCRDWouldDropIsRefused(t *testing.T) {
	c, w := s.connectTo(t, testkube.Admin)
	ref := s.application(t, `{automated: {prune: true}}`)
	change := &pause{target: c.target(ref)}
	from, to := &Paused{json.RawMessage(`{"prune":true}`)}, &Paused{json.RawMessage(`{"enabled":false,"prune":true}`)}
	writes := w.writes.Load()
	err := change.Marked(mark(t, change.Target(), from, to)).Apply(t.Context(), from, to)
	if !errors.Is(err, &fault.Fault{Code: fault.Invalid}) || !strings.Contains(err.Error(), "older than 3.1") {
		t.Errorf("got %v, want that this Argo CD is older", err)
	}
	if w.writes.Load() != writes || markOn(t, c, ref) != nil {
		t.Error("something was written")
	}
	if err := change.dropped(json.RawMessage(`{"prune":true}`), to); !errors.Is(err, &fault.Fault{Code: fault.CheckFailed}) {
		t.Errorf("a field dropped all the same: got %v, want check_failed", err)
	}
}

func TestAMarkLeftBehindByAHandIsTidiedUp(t *testing.T) {
	t.Parallel()
	s := current(t)
	c, _ := s.connectTo(t, testkube.Admin)
	ref := s.application(t, `{automated: {}}`)
	change := &pause{target: c.target(ref)}
	from, to := &Paused{json.RawMessage(`{}`)}, &Paused{json.RawMessage(`{"enabled":false}`)}
	marked := change.Marked(mark(t, change.Target(), from, to))
	if err := marked.Apply(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	mend(t, c, ref, `{"spec":{"syncPolicy":{"automated":{"enabled":null}}}}`)
	if err := marked.Apply(t.Context(), to, from); err != nil {
		t.Fatal(err)
	}
	if markOn(t, c, ref) != nil {
		t.Error("the mark is still there")
	}
}

func TestMissingAndForbidden(t *testing.T) {
	t.Parallel()
	s := current(t)
	c, _ := s.connectTo(t, testkube.Admin)
	change := &pause{target: c.target(Ref{Namespace: s.Namespace(t), Name: "nobody"})}
	from, err := change.Observe(t.Context())
	if from != nil || err != nil {
		t.Errorf("observed %+v, %v; want the zero state", from, err)
	}
	if _, err := change.Propose(from); !errors.Is(err, &fault.Fault{Code: fault.NotFound}) {
		t.Errorf("proposed for nothing: %v", err)
	}
	if err := change.Apply(t.Context(), &Paused{}, &Paused{json.RawMessage(`{}`)}); !errors.Is(err, action.ErrDrift) {
		t.Errorf("applied to nothing: %v", err)
	}

	limited, _ := s.connectTo(t, testkube.Limited)
	ref := s.application(t, `{automated: {}}`)
	denied := &pause{target: limited.target(ref)}
	_, err = denied.Observe(t.Context())
	if !errors.Is(err, &fault.Fault{Code: fault.Denied}) || !strings.Contains(err.Error(), ref.String()) {
		t.Errorf("got %v, want denied", err)
	}
	refused, err := limited.client.Refusals(t.Context(), denied.Requires())
	if err != nil || len(refused) != 3 || !strings.Contains(refused[0].Grant, "applications") {
		t.Errorf("got %+v, %v; want get, patch and list refused", refused, err)
	}
	if _, err := findTraces(t.Context(), limited); !errors.Is(err, &fault.Fault{Code: fault.Denied}) {
		t.Errorf("marks: got %v, want denied", err)
	}
}

func TestTracesOfSyncsThatAreOff(t *testing.T) {
	t.Parallel()
	s := current(t)
	c, _ := s.connectTo(t, testkube.Admin)
	ref := s.application(t, `{automated: {prune: true}}`)
	mine := func() (marks []driver.FoundMark, off []driver.Unmarked) {
		t.Helper()
		found := allTraces(t, c)
		for _, m := range found.Marks {
			if m.On == c.target(ref).Target() {
				marks = append(marks, m)
			}
		}
		for _, u := range found.Unmarked {
			if u.Target == c.target(ref).Target() {
				off = append(off, u)
			}
		}
		return marks, off
	}
	if marks, off := mine(); marks != nil || off != nil {
		t.Errorf("automated sync is on, and found were %+v, %+v", marks, off)
	}
	mend(t, c, ref, `{"spec":{"syncPolicy":{"automated":{"enabled":false}}}}`)
	if _, off := mine(); len(off) != 1 || off[0].Ours || off[0].By != "colleague" || off[0].Since.IsZero() {
		t.Errorf("switched off by a colleague: %+v", off)
	}
	mend(t, c, ref, `{"metadata":{"annotations":{"noren.dev/mark":"{\"receipt\":{\"run\""}}}`)
	if marks, off := mine(); len(off) != 0 || len(marks) != 1 || !strings.Contains(marks[0].Wrong, "broken off") {
		t.Errorf("a truncated mark: %+v, %+v", marks, off)
	}
}
