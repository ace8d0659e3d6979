package kube

import (
	"errors"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/kube/lbc"
)

// TestWriteBetweenReadAndWrite: somebody writes between noren's reading and
// its write. Nothing is lost, and the next try goes on, or says that it is
// drift.
func TestWriteBetweenReadAndWrite(t *testing.T) {
	beside := func(i *networkingv1.Ingress) {
		i.Spec.Rules = append(webIngress("x", "new.example.com").Spec.Rules, i.Spec.Rules...)
	}
	ours := func(i *networkingv1.Ingress) { i.Annotations[lbc.ActionAnnotation("noren-closed")] = "theirs" }
	for _, c := range []struct {
		name  string
		edit  func(*networkingv1.Ingress)
		back  bool
		first error // of the first try; nil where it succeeds
		then  error // of the second
	}{
		{"beside, going forward", beside, false, nil, nil},
		{"beside, going back: our rules have moved", beside, true, action.ErrUnavailable, nil},
		{"ours, going forward", ours, false, action.ErrUnavailable, action.ErrDrift},
		{"ours, going back", ours, true, action.ErrUnavailable, action.ErrDrift},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, w, namespace := connectTest(t)
			api := conn.client.Typed.NetworkingV1().Ingresses(namespace)
			_, err := api.Create(t.Context(), webIngress("web", "shop.example.com"), metav1.CreateOptions{})
			must(t, err)
			annotations, rules := pagePieces(t, "shop.example.com")
			p, err := openPatch(conn, PatchParams{Namespace: namespace, Name: "web", Annotations: annotations, Rules: rules})
			must(t, err)
			in := driver.Bare(p)
			from, err := in.Change.Observe(t.Context())
			must(t, err)
			to, err := in.Change.Propose(from)
			must(t, err)
			if c.back {
				must(t, in.Change.Apply(t.Context(), from, to))
				from, to = to, from
			}
			w.before = func() { // the next write is noren's: the colleague is quicker
				ing, err := api.Get(t.Context(), "web", metav1.GetOptions{})
				must(t, err)
				c.edit(ing)
				_, err = api.Update(t.Context(), ing, metav1.UpdateOptions{})
				must(t, err)
			}
			if err := in.Change.Apply(t.Context(), from, to); !errors.Is(err, c.first) {
				t.Fatalf("first try: %v, want %v", err, c.first)
			}
			if err := in.Change.Apply(t.Context(), from, to); !errors.Is(err, c.then) {
				t.Fatalf("second try: %v, want %v", err, c.then)
			}
			ing, err := api.Get(t.Context(), "web", metav1.GetOptions{})
			must(t, err)
			if c.then == nil && (len(ing.Spec.Rules) < 2 || !strings.Contains(theirPart(ing), "new.example.com")) {
				t.Errorf("the colleague's edit is lost: %s", theirPart(ing))
			}
		})
	}
}

// TestDeleteOnlyWhatWasRead: an overlay that somebody writes to between the
// reading and the deletion is not deleted.
func TestDeleteOnlyWhatWasRead(t *testing.T) {
	conn, w, namespace := connectTest(t)
	annotations, rules := pagePieces(t, "shop.example.com")
	class := "alb"
	o, err := openOverlay(conn, OverlayParams{Namespace: namespace, Name: "noren-web-closed", Annotations: annotations,
		Spec: networkingv1.IngressSpec{IngressClassName: &class, Rules: rules}})
	must(t, err)
	in := driver.Bare(o)
	to, err := in.Change.Propose(action.State{})
	must(t, err)
	must(t, in.Change.Apply(t.Context(), action.State{}, to))
	api := conn.client.Typed.NetworkingV1().Ingresses(namespace)
	w.before = func() {
		ing, err := api.Get(t.Context(), "noren-web-closed", metav1.GetOptions{})
		must(t, err)
		ing.Annotations[lbc.GroupOrder] = "5"
		_, err = api.Update(t.Context(), ing, metav1.UpdateOptions{})
		must(t, err)
	}
	if err := in.Change.Apply(t.Context(), to, action.State{}); !errors.Is(err, action.ErrUnavailable) {
		t.Fatalf("deletion: %v, want to be asked to try again", err)
	}
	// The annotation is none of ours here, so the next try may delete it.
	must(t, in.Change.Apply(t.Context(), to, action.State{}))
}
