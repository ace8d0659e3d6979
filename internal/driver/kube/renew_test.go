package kube

import (
	"encoding/json"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/action/actiontest"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

// laterPage is the page of the same closing with another end.
func laterPage() edge.Response {
	p := testPage()
	p.Body = strings.Replace(p.Body, "03:00", "04:00", 1)
	return p
}

// A renewal holds a change in place to the contract: its untouched target is
// closed already, and what it proposes is another page.
type renewal[F any] struct {
	driver.Typed[F]
	renew driver.TypedRenewer[F]
	marks []string
}

func renewalOf[F any](t driver.Typed[F], mark string) renewal[F] {
	return renewal[F]{t, t.(driver.TypedRenewer[F]), []string{mark}}
}

func (r renewal[F]) Propose(from *F) (*F, error) { return r.renew.Renew(from, laterPage(), r.marks) }

func (r renewal[F]) Marked(m action.Mark) driver.Typed[F] {
	return r.Typed.(driver.TypedMarker[F]).Marked(m)
}

// closeFirst brings a change's target to what the change proposes.
func closeFirst(t testing.TB, c action.Change) {
	t.Helper()
	from, err := c.Observe(t.Context())
	must(t, err)
	to, err := c.Propose(from)
	must(t, err)
	must(t, c.Apply(t.Context(), from, to))
}

// TestOverlayRenewedKeepsTheContract is for an overlay changed in place.
func TestOverlayRenewedKeepsTheContract(t *testing.T) {
	actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target {
		c, w, namespace := connectTest(t)
		annotations, rules := pagePieces(t, "shop.example.com")
		annotations[lbc.GroupName], annotations[lbc.GroupOrder] = "shared", "-1"
		class, name := "alb", "noren-web-closed"
		o, err := openOverlay(c, OverlayParams{Namespace: namespace, Name: name, Labels: map[string]string{kubeobject.ManagedBy: "noren"},
			Annotations: annotations, Spec: networkingv1.IngressSpec{IngressClassName: &class, Rules: rules}})
		must(t, err)
		closeFirst(t, driver.Bare(o).Change)
		in := driver.Bare[Overlay](renewalOf(o, testMark))
		api := c.client.Typed.NetworkingV1().Ingresses(namespace)
		update := func(t testing.TB, change func(*networkingv1.Ingress)) {
			t.Helper()
			got, err := api.Get(t.Context(), name, metav1.GetOptions{})
			must(t, err)
			change(got)
			_, err = api.Update(t.Context(), got, metav1.UpdateOptions{})
			must(t, err)
		}
		return actiontest.Target{
			Name: "ingress " + namespace + "/" + name, Change: in.Change, Marked: in.Marker.Marked,
			Mark:         func(t testing.TB) *action.Mark { return readMark(t, c.client.Typed, namespace, name) },
			Meddle:       func(t testing.TB) { update(t, func(i *networkingv1.Ingress) { i.Annotations[lbc.GroupOrder] = "7" }) },
			MeddleBeside: func(t testing.TB) { update(t, func(i *networkingv1.Ingress) { i.Annotations["team"] = "cart" }) },
			Beside: func(t testing.TB) string {
				got, err := api.Get(t.Context(), name, metav1.GetOptions{})
				must(t, err)
				return got.Annotations["team"]
			},
			LoseNextAnswer: w.loseNext, Writes: w.count,
		}
	}})
}

// TestPatchRenewedKeepsTheContract is for a patch changed in place.
func TestPatchRenewedKeepsTheContract(t *testing.T) {
	actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target {
		target, p := patchOn(t, webIngress("web", "shop.example.com"))
		closeFirst(t, target.Change)
		in := driver.Bare[Patched](renewalOf(p, testMark))
		target.Change, target.Marked = in.Change, in.Marker.Marked
		return target
	}})
}

// TestRenewTouchesPagesOnly: a fixed response that was copied from the
// Ingress for staff is not a page of the closing, and neither is another
// closing's.
func TestRenewTouchesPagesOnly(t *testing.T) {
	t.Parallel()
	text := func(body string) string {
		a, err := kubeobject.JSON(pageAction(edge.Response{Status: 503, ContentType: "text/html", Body: body}))
		must(t, err)
		return a
	}
	mark := testMark
	annotations := map[string]string{
		lbc.ActionAnnotation("noren-closed"):           text(testPage().Body),
		lbc.ActionAnnotation("noren-probe"):            text(testPage().Body),
		lbc.ActionAnnotation("noren-staff-by-address"): text("gone"),
		lbc.ActionAnnotation("noren-other"):            text(strings.ReplaceAll(testPage().Body, mark, "another")),
		lbc.GroupOrder:                                 "-1",
	}
	got, err := renewed(annotations, laterPage(), []string{"older", mark})
	must(t, err)
	for key, was := range annotations {
		renewed := key == lbc.ActionAnnotation("noren-closed") || key == lbc.ActionAnnotation("noren-probe")
		if (got[key] != was) != renewed {
			t.Errorf("%s: %s became %s", key, was, got[key])
		}
	}
	var a lbc.Action
	must(t, json.Unmarshal([]byte(got[lbc.ActionAnnotation("noren-closed")]), &a))
	if *a.FixedResponse.MessageBody != laterPage().Body || a.FixedResponse.StatusCode != "503" {
		t.Errorf("the page became %+v", a.FixedResponse)
	}
	if _, err := renewed(annotations, edge.Response{Status: 503, ContentType: "text/html", Body: strings.Repeat("x", 2000)}, []string{mark}); err == nil {
		t.Error("a page over the limit was taken")
	}
}
