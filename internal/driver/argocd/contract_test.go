package argocd

import (
	"fmt"
	"testing"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/action/actiontest"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/testkube"
)

func TestContract(t *testing.T) {
	t.Parallel()
	for name, crd := range map[string]struct {
		start    func(*testing.T) server
		policies []string
	}{
		"CurrentCRD": {current, []string{
			`{automated: {prune: true, selfHeal: true}, syncOptions: [CreateNamespace=true]}`,
			`{automated: {}}`,
			`{automated: {enabled: true, allowEmpty: true}}`,
		}},
		"OldCRD": {old, []string{
			`{automated: {prune: true, selfHeal: true}, syncOptions: [CreateNamespace=true]}`,
			`{automated: {}}`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := crd.start(t)
			for _, policy := range crd.policies {
				t.Run(policy, func(t *testing.T) { actiontest.Exercise(t, s.harness(t, policy)) })
			}
		})
	}
}

func (s server) harness(t *testing.T, policy string) actiontest.Harness {
	return actiontest.Harness{New: func(tb testing.TB) actiontest.Target {
		c, w := s.connectTo(t, testkube.Admin)
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
			Mark:   func(tb testing.TB) *action.Mark { return marksOn(tb, c, ref) },
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
