package argocd

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/action/actiontest"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/testkube"
)

// contractedSet is the change that the suite exercises.
const contractedSet = "argocd/appset.pause"

// Lists of ignoreApplicationDifferences that an ApplicationSet may have, "" for
// none.
var ignoreLists = map[string]string{
	"no list":    "",
	"empty list": `ignoreApplicationDifferences: []`,
	"others'":    `ignoreApplicationDifferences: [{jsonPointers: [/spec/source]}, {name: other, jsonPointers: [/spec/syncPolicy]}]`,
	"its own":    `ignoreApplicationDifferences: [{name: shop, jsonPointers: [/spec/source/targetRevision]}, {name: other, jqPathExpressions: [.spec.source.helm.values]}]`,
}

func TestSetContract(t *testing.T) {
	t.Parallel()
	s := current(t)
	for name, list := range ignoreLists {
		t.Run(contractedSet+" "+name, func(t *testing.T) { actiontest.Exercise(t, s.setHarness(t, list)) })
	}
}

// TestSetContractOnAnOlderArgoCD: the CRD of 3.0 has what is written too.
func TestSetContractOnAnOlderArgoCD(t *testing.T) {
	t.Parallel()
	s := server{testkube.Start(t, testkube.Dedicated()), testkube.ArgoCDOld}
	s.InstallCRDs(t, s.set)
	t.Run(contractedSet, func(t *testing.T) { actiontest.Exercise(t, s.setHarness(t, ignoreLists["others'"])) })
}

func (s server) setHarness(t *testing.T, list string) actiontest.Harness {
	c, w := s.connectTo(t, testkube.Admin)
	return actiontest.Harness{New: func(tb testing.TB) actiontest.Target {
		set := c.set(SetRef{Namespace: s.Namespace(t), Name: "shops", Application: "shop"})
		s.Apply(t, setYAML(set.ref.Namespace, "", list))
		in := driver.Bare[Ignoring](&ignoring{set: set})
		return actiontest.Target{
			Name:   set.what(),
			Change: in.Change,
			Marked: in.Marker.Marked,
			Mark: func(tb testing.TB) *action.Mark {
				raw, ok := liveSet(tb, set).GetAnnotations()[set.markKey()]
				if !ok {
					return nil
				}
				m := &action.Mark{}
				if err := json.Unmarshal([]byte(raw), m); err != nil {
					tb.Fatal(err)
				}
				return m
			},
			Meddle: func(tb testing.TB) {
				mendSet(tb, set, func(list []any) []any {
					list = slices.DeleteFunc(list, func(e any) bool { return e.(map[string]any)["name"] == "shop" })
					return append(list, map[string]any{"name": "shop", "jsonPointers": []any{"/metadata/labels"}})
				})
			},
			MeddleBeside: func(tb testing.TB) {
				mendSet(tb, set, func(list []any) []any {
					return append([]any{map[string]any{"name": "theirs", "jsonPointers": []any{"/spec/project"}}}, list...)
				})
			},
			Beside: func(tb testing.TB) string {
				u := liveSet(tb, set)
				list, _, _ := unstructured.NestedSlice(u.Object, "spec", "ignoreApplicationDifferences")
				list = slices.DeleteFunc(list, func(e any) bool { return e.(map[string]any)["name"] == "shop" })
				return fmt.Sprint(list, u.Object["spec"].(map[string]any)["template"])
			},
			LoseNextAnswer: func(testing.TB) { w.lose.Store(true) },
			Writes:         func(testing.TB) int { return int(w.writes.Load()) },
		}
	}}
}

func liveSet(t testing.TB, set setTarget) *unstructured.Unstructured {
	t.Helper()
	u, err := set.api().Get(t.Context(), set.ref.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// mendSet changes the list as a colleague would.
func mendSet(t testing.TB, set setTarget, change func([]any) []any) {
	t.Helper()
	list, _, _ := unstructured.NestedSlice(liveSet(t, set).Object, "spec", "ignoreApplicationDifferences")
	raw, err := json.Marshal(map[string]any{"spec": map[string]any{"ignoreApplicationDifferences": change(list)}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := set.api().Patch(t.Context(), set.ref.Name, types.MergePatchType, raw, metav1.PatchOptions{FieldManager: "colleague"}); err != nil {
		t.Fatal(err)
	}
}

// TestSetIsRestoredExactly, also where two Applications of one set are paused
// and the first is resumed first.
func TestSetIsRestoredExactly(t *testing.T) {
	t.Parallel()
	s := current(t)
	c, _ := s.connectTo(t, testkube.Admin)
	for name, list := range ignoreLists {
		if name == "empty list" {
			continue // becomes none
		}
		t.Run(name, func(t *testing.T) {
			ns := s.Namespace(t)
			s.Apply(t, setYAML(ns, "", list))
			before := s.SnapshotNamespace(t, ns, applicationSets)
			var undo []func()
			for _, app := range []string{"shop", "cart"} {
				change := &ignoring{set: c.set(SetRef{Namespace: ns, Name: "shops", Application: app})}
				from, err := change.Observe(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				to, err := change.Propose(from)
				if err != nil {
					t.Fatal(err)
				}
				if again, err := change.Propose(to); err != nil || !sameEntries(again, to) {
					t.Errorf("proposed %v, %v for what is there already", again, err)
				}
				marked := change.Marked(setMark(t, change.Target(), from, to))
				if err := marked.Apply(t.Context(), from, to); err != nil {
					t.Fatal(err)
				}
				undo = append(undo, func() {
					if err := marked.Apply(t.Context(), to, from); err != nil {
						t.Fatal(err)
					}
				})
				if d := change.Describe(from, to); !strings.Contains(d.Line, app) || !strings.Contains(d.After, "/metadata/annotations/noren.dev~1mark") {
					t.Errorf("described as %+v", d)
				}
			}
			mine := 0
			for _, m := range allMarks(t, c) {
				if strings.HasPrefix(m.Receipt.Target, "argocd:test/"+ns+"/applicationset/shops/") {
					mine++
				}
			}
			if mine != 2 {
				t.Errorf("%d marks on the set, want one for each Application", mine)
			}
			for _, f := range undo {
				f()
			}
			if diff := cmp.Diff(before, s.SnapshotNamespace(t, ns, applicationSets)); diff != "" {
				t.Errorf("not as it was (-before +after):\n%s", diff)
			}
		})
	}
}

// TestATruncatedMarkOnASet is known as one, and whose it was.
func TestATruncatedMarkOnASet(t *testing.T) {
	t.Parallel()
	s := current(t)
	c, _ := s.connectTo(t, testkube.Admin)
	ns := s.Namespace(t)
	s.Apply(t, setYAML(ns, "", ""))
	change := &ignoring{set: c.set(SetRef{Namespace: ns, Name: "shops", Application: "shop"})}
	from, err := change.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	to, err := change.Propose(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := change.Marked(setMark(t, change.Target(), from, to)).Apply(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	set, err := change.set.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cut := set.Metadata.Annotations[change.set.markKey()][:20]
	raw := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, change.set.markKey(), cut)
	if _, err := change.set.api().Patch(t.Context(), "shops", types.MergePatchType, []byte(raw), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	found, err := findTraces(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(found.Marks, func(m driver.FoundMark) bool { return m.On == change.Target() })
	if i < 0 || found.Marks[i].Wrong == "" {
		t.Errorf("got %+v, want one on %s that cannot be relied on", found.Marks, change.Target())
	}
}

func setMark(t *testing.T, target string, from, to *Ignoring) action.Mark {
	t.Helper()
	state := func(s *Ignoring) action.State {
		raw, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return action.State{Version: 1, Fields: raw}
	}
	return action.Mark{Receipt: action.Receipt{Run: "r1", Step: target, Action: contractedSet, Target: target, From: state(from), To: state(to)}}
}
