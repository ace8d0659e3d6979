package e2e

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/testkube"
)

const mark = "noren.dev/mark"

// recovered runs noren recover with a state directory that knows nothing.
func (s *shop) recovered(t testing.TB, args ...string) result {
	t.Helper()
	return s.noren(t, t.TempDir(), append([]string{"recover", "--env", "prod", "--confirm", "prod"}, args...)...)
}

// TestKilledAndRecordsLost kills noren at each recorded point of a closing, and
// throws its records away; then it does the same with the opening. Whatever the
// point, recover brings everything back from the marks alone.
func TestKilledAndRecordsLost(t *testing.T) {
	t.Parallel()
	eachPoint(t, 40, func(t *testing.T, s *shop, n int, reached func(result)) bool {
		before, state, kill := s.objects(t), t.TempDir(), []string{fmt.Sprintf("%s=%d", killAt, n)}
		first := noren(t, s.dir, state, kill, "close", "--env", "prod", "--for", "30m", "--confirm", "prod")
		if reached(first); first.code == -1 {
			s.recovered(t).must(t, 0)
			s.same(t, before)
			state = s.closed(t)
		}
		second := noren(t, s.dir, state, kill, "open", "--env", "prod", "--confirm", "prod")
		reached(second)
		s.recovered(t).must(t, 0)
		return first.code == -1 || second.code == -1
	}, func(o *shopOptions) { o.working = true })
}

// TestKilledWhileRecovering kills recover itself before and after it adopts,
// and in the opening: the same command again ends it. From then on it is an
// opening like any other, which TestKilledAtEveryPoint kills at every point.
func TestKilledWhileRecovering(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	before := s.objects(t)
	for _, point := range []string{"adopt ", "adopted ", "run.started", "prepared", "applied undo-close", "applied undo-pause", "end"} {
		s.closed(t)
		state, args := t.TempDir(), []string{"recover", "--env", "prod", "--confirm", "prod"}
		noren(t, s.dir, state, []string{killAt + "=1 after " + point}, args...).must(t, -1).says(t, ": "+point)
		s.noren(t, state, args...).must(t, 0)
		s.same(t, before)
	}
}

// TestSecondMachine recovers what a first machine closed, whose records are
// still there: it learns whose the closing is, and the first one's opening
// afterwards finds everything as before and ends well.
func TestSecondMachine(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *shopOptions) { o.working = true })
	before := s.objects(t)
	first, second := s.closed(t), t.TempDir()
	closed := s.objects(t)
	s.noren(t, second, "status").must(t, 0).says(t, "No run of this state directory holds anything closed: "+second, "noren leftovers")
	s.noren(t, second, "open", "--env", "prod").must(t, 12).says(t, "shop (kube:prod/"+s.ns, "was closed by run close-", "noren recover --env prod")
	for _, service := range []string{"shop", "solo"} {
		s.noren(t, second, "close", service, "--env", "prod", "--confirm", "prod").must(t, 12).says(t, "was closed by run close-", "noren recover --env prod")
	}
	s.noren(t, second, "recover", "--env", "prod").must(t, 2).says(t, "confirmation needed")
	s.same(t, closed)

	s.noren(t, second, "recover", "--env", "prod", "--confirm", "prod", "--keep-closed").must(t, 0)
	s.same(t, closed)
	s.noren(t, second, "status").must(t, 0).says(t, "shop  closed since", "adopted by", "until ")
	s.noren(t, second, "plan", "open").must(t, 0).says(t, "ingress/solo", "automated")
	s.noren(t, second, "recover", "--env", "prod", "--confirm", "prod").must(t, 0).says(t, "Prove open", "Health checks of solo", "Open: ")
	s.same(t, before)
	s.noren(t, first, "open", "--confirm", "prod").must(t, 0)
	s.same(t, before)
}

// meddleMark changes a mark as a colleague with an editor does.
func (s *shop) meddleMark(t testing.TB, object map[string]any, change func(text string) string) {
	t.Helper()
	text, _, _ := unstructured.NestedString(object, "metadata", "annotations", mark)
	if changed := change(text); text == "" || changed == text {
		t.Fatalf("there is no such mark to change: %q", text)
	} else {
		annotate(t, object, mark, changed)
	}
}

// TestMarksThatCannotBeReliedOn: from a mark that was truncated, edited or
// copied to another object nothing is restored; the rest is.
func TestMarksThatCannotBeReliedOn(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *shopOptions) {
		o.server, o.bypass = testkube.Start(t, testkube.Dedicated()), "{}" // leftovers looks at the whole cluster
	})
	before := s.objects(t)
	state := s.closed(t)
	solo, _, _ := unstructured.NestedString(s.read(t, ingresses, "solo"), "metadata", "annotations", mark)
	s.edit(t, ingresses, "noren-api-closed", func(o map[string]any) {
		s.meddleMark(t, o, func(text string) string { return text[:len(text)/2] })
	})
	s.edit(t, applications, "solo", func(o map[string]any) {
		s.meddleMark(t, o, func(text string) string { return strings.ReplaceAll(text, `"prune":true`, `"prune":false`) })
	})
	s.edit(t, ingresses, "other", func(o map[string]any) { annotate(t, o, mark, solo) })
	meddled := s.objects(t)
	s.noren(t, state, "leftovers").must(t, 10).says(t, "copied mark") // of the others it has the receipts

	s.noren(t, t.TempDir(), "leftovers", "--env", "prod").must(t, 10).
		says(t, "looked at 6 Ingresses, 1 Applications", "unusable mark  The mark cannot be relied on: it is broken off or changed", "it was changed by hand",
			"copied mark  The mark is that of kube:prod/"+s.ns+"/ingress/solo", "shop  closed by run close-")
	s.same(t, meddled)
	s.recovered(t).must(t, 20).says(t, "not everything can be recovered", "ingress/noren-api-closed: The mark cannot be relied on")
	for host, want := range map[string]int{"shop": 200, "solo": 200, "other": 200, "api": 503} {
		if code, _ := s.get(t, host, "/"); code != want {
			t.Errorf("%s answers %d, want %d", host, code, want)
		}
	}
	want, got := maps.Clone(before), s.objects(t)
	for key, text := range meddled { // what could not be restored is as it was left
		if strings.Contains(key, "noren-api-closed") || strings.Contains(key, "other") || strings.Contains(text, `"kind": "Application"`) {
			want[key] = text
		}
	}
	for key := range want {
		if got[key] != want[key] {
			t.Errorf("%s is\n%s\nwant\n%s", key, got[key], want[key])
		}
	}
	// The records still open what the marks do not.
	s.edit(t, ingresses, "other", func(o map[string]any) { annotate(t, o, mark, "") })
	s.noren(t, state, "open", "--confirm", "prod").must(t, 0)
	s.same(t, before)
}

// TestMarksOfTwoRuns: one after the other is recovered, when its run is named.
func TestMarksOfTwoRuns(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	before := s.objects(t)
	s.closed(t, "shop")
	var run string
	s.edit(t, ingresses, "noren-web-probe", func(o map[string]any) {
		s.meddleMark(t, o, func(text string) string {
			m, err := action.ParseMark(text)
			if err != nil {
				t.Fatal(err)
			}
			run, m.Receipt.Run = m.Receipt.Run, "close-0101-othr"
			if m, err = m.Sealed(); err != nil {
				t.Fatal(err)
			}
			if text, err = m.Text(); err != nil {
				t.Fatal(err)
			}
			return text
		})
	})
	s.recovered(t).must(t, 12).says(t, "marks of two runs on one entrance", "--run close-0101-othr", "--run "+run)
	s.recovered(t, "--run", "close-0101-othr").must(t, 0)
	if code, _ := s.get(t, "shop", "/"); code != 503 {
		t.Errorf("shop answers %d, want the page of the other run", code)
	}
	s.recovered(t).must(t, 0).says(t, "Prove open")
	s.same(t, before)
}

// TestNoRoomForTheMark: nothing is written to an object that cannot carry what
// is needed to undo it.
func TestNoRoomForTheMark(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *shopOptions) { o.byHand = true })
	s.edit(t, ingresses, "solo", func(o map[string]any) { annotate(t, o, "example.com/large", strings.Repeat("x", 256<<10-1000)) })
	before := s.objects(t)
	s.noren(t, t.TempDir(), "close", "solo", "--env", "prod", "--confirm", "prod").must(t, 2).says(t, "mark does not fit", "262144 in all", "ingress "+s.ns+"/solo")
	s.same(t, before)
}

// TestLeftoversWithoutAMark gives advice, and guesses nothing.
func TestLeftoversWithoutAMark(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *shopOptions) {
		o.server, o.automated = testkube.Start(t, testkube.Dedicated()), "{enabled: false, prune: true}"
	})
	s.noren(t, t.TempDir(), "leftovers").must(t, 0).
		says(t, "worth a look  Automated sync of Application "+s.ns+"/solo is off", "last written by", "Nothing of noren's is left over")
	s.closed(t, "shop")
	s.edit(t, ingresses, "noren-web-closed", func(o map[string]any) { annotate(t, o, mark, "") })
	s.noren(t, t.TempDir(), "leftovers").must(t, 10).
		says(t, "no mark  Ingress "+s.ns+"/noren-web-closed is one that noren puts in front", fmt.Sprintf("kubectl -n %s delete ingress noren-web-closed", s.ns))
	s.noren(t, t.TempDir(), "leftovers", "-o", "json").must(t, 10).says(t, `"cause":"no mark"`, `"seen":[{"kind":"Ingresses","count":7}`)
}
