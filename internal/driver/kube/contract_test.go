package kube

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/action/actiontest"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
	"github.com/noren-dev/noren/internal/testkube"
)

// A wire is the way to the API server. It counts the writes that the server
// carried out and can lose the answer to one.
type wire struct {
	next http.RoundTripper

	mu     sync.Mutex
	writes int
	lose   bool
	before func() // called once before the next write is sent
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if before := w.takeBefore(r); before != nil {
		before()
	}
	resp, err := w.next.RoundTrip(r)
	if r.Method == http.MethodGet || err != nil || resp.StatusCode >= 300 {
		return resp, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writes++
	if w.lose {
		w.lose = false
		_ = resp.Body.Close()
		return nil, errors.New("read tcp: connection reset by peer")
	}
	return resp, nil
}

func (w *wire) takeBefore(r *http.Request) func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.Method == http.MethodGet {
		return nil
	}
	before := w.before
	w.before = nil
	return before
}

func (w *wire) loseNext(testing.TB) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lose = true
}

func (w *wire) count(testing.TB) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.writes
}

// connectTest connects to the shared API server over a wire.
func connectTest(t testing.TB) (*conn, *wire, string) {
	t.Helper()
	server := testkube.Start(t)
	config := server.Config(testkube.Admin)
	w := &wire{}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { w.next = next; return w })
	client, err := kubeclient.NewForConfig(config, testkube.Admin)
	if err != nil {
		t.Fatal(err)
	}
	return newConn(client, driver.Env{Name: "test"}), w, server.Namespace(t)
}

func pagePieces(t testing.TB, hosts ...string) (map[string]string, []networkingv1.IngressRule) {
	t.Helper()
	var pieces []piece
	for _, h := range hosts {
		pieces = append(pieces, piece{part: partProbe, host: h, action: pageAction(testPage()), conditions: []lbc.Condition{header("X-Noren-Probe", "*")}})
	}
	for _, h := range hosts {
		pieces = append(pieces, piece{part: partClosed, host: h, action: pageAction(testPage())})
	}
	annotations, rules, err := render(pieces)
	if err != nil {
		t.Fatal(err)
	}
	return annotations, rules
}

// TestOverlayKeepsTheContract is for kube/ingress.overlay.
func TestOverlayKeepsTheContract(t *testing.T) {
	actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target {
		c, w, namespace := connectTest(t)
		annotations, rules := pagePieces(t, "shop.example.com", "www.example.com")
		annotations[lbc.GroupName] = "shared"
		annotations[lbc.GroupOrder] = "-1"
		class := "alb"
		o, err := openOverlay(c, OverlayParams{
			Namespace: namespace, Name: "noren-web-closed", Labels: map[string]string{kubeobject.ManagedBy: "noren"},
			Annotations: annotations, Spec: networkingv1.IngressSpec{IngressClassName: &class, Rules: rules},
		})
		if err != nil {
			t.Fatal(err)
		}
		in := driver.Bare(o)
		api := c.client.Typed.NetworkingV1().Ingresses(namespace)
		return actiontest.Target{
			Name: "ingress " + namespace + "/noren-web-closed", Change: in.Change, Marked: in.Marker.Marked,
			Mark: func(t testing.TB) *action.Mark { return readMark(t, c.client.Typed, namespace, "noren-web-closed") },
			Meddle: func(t testing.TB) {
				ing, err := api.Get(t.Context(), "noren-web-closed", metav1.GetOptions{})
				if apierrors.IsNotFound(err) {
					_, err = api.Create(t.Context(), webIngress("noren-web-closed", "other.example.com"), metav1.CreateOptions{})
					must(t, err)
					return
				}
				must(t, err)
				ing.Annotations[lbc.GroupOrder] = "7"
				_, err = api.Update(t.Context(), ing, metav1.UpdateOptions{})
				must(t, err)
			},
			LoseNextAnswer: w.loseNext, Writes: w.count,
		}
	}})
}

// TestPatchKeepsTheContract is for kube/ingress.patch.
func TestPatchKeepsTheContract(t *testing.T) {
	for name, ing := range map[string]*networkingv1.Ingress{
		"rules and annotations": webIngress("web", "shop.example.com"),
		"no annotations":        withoutAnnotations(webIngress("web", "shop.example.com")),
		"default backend only":  defaultBackendOnly("web"),
	} {
		t.Run(name, func(t *testing.T) {
			actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target { return patchTarget(t, ing) }})
		})
	}
}

func patchTarget(t testing.TB, ing *networkingv1.Ingress) actiontest.Target {
	target, _ := patchOn(t, ing)
	return target
}

// patchOn is also the change itself.
func patchOn(t testing.TB, ing *networkingv1.Ingress) (actiontest.Target, driver.Typed[Patched]) {
	c, w, namespace := connectTest(t)
	api := c.client.Typed.NetworkingV1().Ingresses(namespace)
	_, err := api.Create(t.Context(), ing, metav1.CreateOptions{})
	must(t, err)
	annotations, rules := pagePieces(t, "shop.example.com", "")
	p, err := openPatch(c, PatchParams{Namespace: namespace, Name: ing.Name, Annotations: annotations, Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	in := driver.Bare(p)
	update := func(t testing.TB, change func(*networkingv1.Ingress)) {
		t.Helper()
		got, err := api.Get(t.Context(), ing.Name, metav1.GetOptions{})
		must(t, err)
		if got.Annotations == nil {
			got.Annotations = map[string]string{}
		}
		change(got)
		_, err = api.Update(t.Context(), got, metav1.UpdateOptions{})
		must(t, err)
	}
	return actiontest.Target{
		Name: "ingress " + namespace + "/" + ing.Name, Change: in.Change, Marked: in.Marker.Marked,
		Mark: func(t testing.TB) *action.Mark { return readMark(t, c.client.Typed, namespace, ing.Name) },
		Meddle: func(t testing.TB) {
			update(t, func(i *networkingv1.Ingress) {
				i.Annotations[lbc.ActionAnnotation("noren-closed")] = `{"type":"theirs"}`
			})
		},
		// A colleague adds a rule in front of everything, and an annotation.
		MeddleBeside: func(t testing.TB) {
			update(t, func(i *networkingv1.Ingress) {
				i.Annotations["team"] = "cart"
				i.Spec.Rules = append(webIngress("x", "new.example.com").Spec.Rules, i.Spec.Rules...)
			})
		},
		Beside: func(t testing.TB) string {
			got, err := api.Get(t.Context(), ing.Name, metav1.GetOptions{})
			must(t, err)
			return theirPart(got)
		},
		LoseNextAnswer: w.loseNext, Writes: w.count,
	}, p
}

// theirPart is all of an Ingress that is not noren's.
func theirPart(ing *networkingv1.Ingress) string {
	annotations := maps.Clone(ing.Annotations)
	maps.DeleteFunc(annotations, func(k, _ string) bool { return k == kubeclient.MarkAnnotation || strings.Contains(k, ".noren-") })
	spec := ing.Spec.DeepCopy()
	spec.Rules = slices.DeleteFunc(spec.Rules, func(r networkingv1.IngressRule) bool {
		return strings.HasPrefix(r.HTTP.Paths[0].Backend.Service.Name, lbc.OursPrefix)
	})
	raw, _ := json.Marshal(map[string]any{"annotations": annotations, "spec": spec})
	return string(raw)
}

func readMark(t testing.TB, client kubernetes.Interface, namespace, name string) *action.Mark {
	t.Helper()
	ing, err := client.NetworkingV1().Ingresses(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	must(t, err)
	raw, ok := ing.Annotations[kubeclient.MarkAnnotation]
	if !ok {
		return nil
	}
	var m action.Mark
	must(t, json.Unmarshal([]byte(raw), &m))
	return &m
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func webIngress(name string, hosts ...string) *networkingv1.Ingress {
	prefix, class := networkingv1.PathTypePrefix, "alb"
	ing := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{"owner": "shop"}},
		Spec: networkingv1.IngressSpec{IngressClassName: &class}}
	for _, h := range hosts {
		ing.Spec.Rules = append(ing.Spec.Rules, networkingv1.IngressRule{Host: h, IngressRuleValue: networkingv1.IngressRuleValue{
			HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{{
				Path: "/", PathType: &prefix, Backend: serviceBackend("web"),
			}}},
		}})
	}
	return ing
}

func serviceBackend(name string) networkingv1.IngressBackend {
	return networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: name, Port: networkingv1.ServiceBackendPort{Number: 80}}}
}

func withoutAnnotations(ing *networkingv1.Ingress) *networkingv1.Ingress {
	ing.Annotations = nil
	return ing
}

func defaultBackendOnly(name string) *networkingv1.Ingress {
	ing := webIngress(name)
	b := serviceBackend("web")
	ing.Spec.DefaultBackend = &b
	return ing
}
