package argocd

import (
	"fmt"
	"testing"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/action/actiontest"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/testkube"
)

// contracted is the change that the suite exercises.
const contracted = "argocd/app.pause"

func TestContract(t *testing.T) {
	t.Parallel()
	s := current(t)
	for _, policy := range []string{
		`{automated: {prune: true, selfHeal: true}, syncOptions: [CreateNamespace=true]}`,
		`{automated: {}}`,
		`{automated: {enabled: true, allowEmpty: true}}`,
	} {
		t.Run(contracted+" "+policy, func(t *testing.T) { actiontest.Exercise(t, s.harness(t, policy)) })
	}
}

// What an Argo CD before 3.1 takes. One server is for all of these: it has
// CRDs that the shared one must not have.
func TestOldCRD(t *testing.T) {
	t.Parallel()
	s := server{testkube.Start(t, testkube.Dedicated()), testkube.ArgoCDOld}
	s.InstallCRDs(t, s.set)
	for _, policy := range []string{
		`{automated: {prune: true, selfHeal: true}, syncOptions: [CreateNamespace=true]}`,
		`{automated: {}}`,
	} {
		t.Run(contracted+" "+policy, func(t *testing.T) { actiontest.Exercise(t, s.harness(t, policy)) })
	}
	for name, p := range pausings {
		if p.onlyOnNewVersions {
			continue
		}
		p.want = p.wantOld
		t.Run(name, func(t *testing.T) { s.pauseAndRestore(t, p) })
	}
	t.Run("UndoWhenEverythingAroundTheFieldIsGone", s.undoWhenEverythingAroundTheFieldIsGone)
	t.Run("AFieldThatTheCRDWouldDropIsRefused", s.aFieldThatTheCRDWouldDropIsRefused)
}

func (s server) harness(t *testing.T, policy string) actiontest.Harness {
	c, w := s.connectTo(t, testkube.Admin)
	return actiontest.Harness{New: func(tb testing.TB) actiontest.Target {
		ref := s.application(t, policy)
		typed, err := openPause(c, ref)
		if err != nil {
			tb.Fatal(err)
		}
		in := driver.Bare(typed)
		return actiontest.Target{
			Name:   "Application " + ref.String(),
			Change: in.Change,
			Marked: in.Marker.Marked,
			Mark:   func(tb testing.TB) *action.Mark { return markOn(tb, c, ref) },
			Meddle: func(tb testing.TB) {
				mend(tb, c, ref, `{"spec":{"syncPolicy":{"automated":{"allowEmpty":false,"prune":false,"selfHeal":false}}}}`)
			},
			MeddleBeside: func(tb testing.TB) {
				mend(tb, c, ref, `{"metadata":{"annotations":{"team":"shop"}},"spec":{"syncPolicy":{"retry":{"limit":2}},"source":{"targetRevision":"v2"}}}`)
			},
			Beside: func(tb testing.TB) string {
				u := live(tb, c, ref)
				spec := u.Object["spec"].(map[string]any)
				policy := spec["syncPolicy"].(map[string]any)
				return fmt.Sprint(u.GetAnnotations()["team"], spec["source"], policy["retry"], policy["syncOptions"])
			},
			LoseNextAnswer: func(testing.TB) { w.lose.Store(true) },
			Writes:         func(testing.TB) int { return int(w.writes.Load()) },
		}
	}}
}
