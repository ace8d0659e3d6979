package flux

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/action/actiontest"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/testkube"
)

// contracted are the changes that the suite exercises.
var contracted = map[string]kind{
	"flux/kustomization.suspend": kustomizations(),
	"flux/helmrelease.suspend":   helmReleases(),
}

func TestContract(t *testing.T) {
	t.Parallel()
	s := running(t)
	for name, k := range contracted {
		for _, spec := range []string{"", ", suspend: false"} {
			t.Run(name+spec, func(t *testing.T) { actiontest.Exercise(t, s.harness(t, k, spec)) })
		}
	}
}

func (s server) harness(t *testing.T, k kind, spec string) actiontest.Harness {
	c, w := s.connectTo(t, testkube.Admin)
	return actiontest.Harness{New: func(tb testing.TB) actiontest.Target {
		x := target{c, k, s.object(tb, k, "", spec)}
		typed, err := openSuspend(k)(c, x.ref)
		if err != nil {
			tb.Fatal(err)
		}
		in := driver.Bare(typed)
		return actiontest.Target{
			Name:   x.what(),
			Change: in.Change,
			Marked: in.Marker.Marked,
			Mark:   func(tb testing.TB) *action.Mark { return markOn(tb, x) },
			// There are three states of the field; the colleague's is the one
			// that noren is not moving between.
			Meddle: func(tb testing.TB) {
				if spec == "" {
					mend(tb, x, `{"spec":{"suspend":false}}`)
				} else {
					mend(tb, x, `{"spec":{"suspend":null}}`)
				}
			},
			MeddleBeside: func(tb testing.TB) {
				mend(tb, x, `{"metadata":{"annotations":{"team":"shop"}},"spec":{"interval":"3m"}}`)
			},
			Beside: func(tb testing.TB) string {
				u := live(tb, x)
				return fmt.Sprint(u.GetAnnotations()["team"], u.Object["spec"].(map[string]any)["interval"])
			},
			LoseNextAnswer: func(testing.TB) { w.lose.Store(true) },
			Writes:         func(testing.TB) int { return int(w.writes.Load()) },
		}
	}}
}

func TestSuspendAndRestoreExactly(t *testing.T) {
	t.Parallel()
	s := running(t)
	c, w := s.connectTo(t, testkube.Admin)
	for _, k := range contracted {
		for spec, want := range map[string]string{"": "suspend " + k.name, ", suspend: false": "suspend " + k.name, ", suspend: true": "is suspended already"} {
			t.Run(k.name+spec, func(t *testing.T) {
				x := target{c, k, s.object(t, k, "", spec)}
				before := s.SnapshotNamespace(t, x.ref.Namespace, k.resource)
				change := &suspend{target: x}
				from, err := change.Observe(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				to, err := change.Propose(from)
				if err != nil {
					t.Fatal(err)
				}
				if d := change.Describe(from, to); !strings.Contains(d.Line, want) || d.After != "spec:\n  suspend: true\n" {
					t.Errorf("described as %+v", d)
				}
				marked := change.Marked(markOf(t, x, from, to))
				writes := w.writes.Load()
				if err := marked.Apply(t.Context(), from, to); err != nil {
					t.Fatal(err)
				}
				if changes := !from.same(to); changes != (w.writes.Load() > writes) || changes != (markOn(t, x) != nil) {
					t.Errorf("wrote %d times, mark %v; the change changes something: %v", w.writes.Load()-writes, markOn(t, x), changes)
				}
				if err := marked.Apply(t.Context(), to, from); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(before, s.SnapshotNamespace(t, x.ref.Namespace, k.resource)); diff != "" {
					t.Errorf("not as it was (-before +after):\n%s", diff)
				}
			})
		}
	}
}

func markOf(t *testing.T, x target, from, to *Suspended) action.Mark {
	t.Helper()
	state := func(s *Suspended) action.State {
		raw, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return action.State{Version: 1, Fields: raw}
	}
	return action.Mark{Receipt: action.Receipt{Run: "r1", Step: "s1", Action: "flux/" + x.kind.word + ".suspend", Target: x.Target(), From: state(from), To: state(to)}}
}

func TestAMarkLeftBehindByAHandIsTidiedUp(t *testing.T) {
	t.Parallel()
	s := running(t)
	c, _ := s.connectTo(t, testkube.Admin)
	x := target{c, kustomizations(), s.object(t, kustomizations(), "", "")}
	yes := true
	from, to := &Suspended{}, &Suspended{&yes}
	marked := (&suspend{target: x}).Marked(markOf(t, x, from, to))
	if err := marked.Apply(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	traces, err := findTraces(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, m := range traces.Marks {
		found = found || m.On == x.Target() && m.Mark.Receipt.Target == x.Target()
	}
	if !found {
		t.Error("the mark is not found")
	}
	mend(t, x, `{"spec":{"suspend":null}}`)
	if err := marked.Apply(t.Context(), to, from); err != nil {
		t.Fatal(err)
	}
	if markOn(t, x) != nil {
		t.Error("the mark is still there")
	}
}

func TestMissingAndForbidden(t *testing.T) {
	t.Parallel()
	s := running(t)
	c, _ := s.connectTo(t, testkube.Admin)
	change := &suspend{target: target{c, helmReleases(), Ref{s.Namespace(t), "nobody"}}}
	from, err := change.Observe(t.Context())
	if from != nil || err != nil {
		t.Errorf("observed %+v, %v; want the zero state", from, err)
	}
	if _, err := change.Propose(from); !errors.Is(err, &fault.Fault{Code: fault.NotFound}) {
		t.Errorf("proposed for nothing: %v", err)
	}
	if err := change.Apply(t.Context(), &Suspended{}, &Suspended{}); !errors.Is(err, action.ErrDrift) {
		t.Errorf("applied to nothing: %v", err)
	}
	limited, _ := s.connectTo(t, testkube.Limited)
	denied := &suspend{target: target{limited, kustomizations(), s.object(t, kustomizations(), "", "")}}
	if _, err = denied.Observe(t.Context()); !errors.Is(err, &fault.Fault{Code: fault.Denied}) {
		t.Errorf("got %v, want denied", err)
	}
	refused, err := limited.client.Refusals(t.Context(), denied.Requires())
	if err != nil || len(refused) != 2 || !strings.Contains(refused[0].Grant, "kustomizations") {
		t.Errorf("got %+v, %v; want get and patch refused", refused, err)
	}
	found, err := findTraces(t.Context(), limited)
	if err != nil || !slices.Equal(found.Unseen, []string{"Kustomizations", "HelmReleases"}) {
		t.Errorf("marks: got %+v, %v, want both kinds unseen", found, err)
	}
}
