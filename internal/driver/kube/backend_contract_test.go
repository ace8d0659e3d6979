package kube

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/action/actiontest"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/kubepage"
	"github.com/noren-dev/noren/internal/pageserver/pageapi"
)

// TestRouteKeepsTheContract is for kube/ingress.backend.
func TestRouteKeepsTheContract(t *testing.T) {
	twice := webIngress("web", "shop.example.com", "www.example.com")
	twice.Spec.Rules = append(twice.Spec.Rules, twice.Spec.Rules[0]) // the same path again
	whole := webIngress("web", "shop.example.com")
	fallback := serviceBackend("other")
	whole.Spec.DefaultBackend = &fallback
	for name, c := range map[string]struct {
		ing   *networkingv1.Ingress
		paths []Path
	}{
		"two hosts":                {webIngress("web", "shop.example.com", "www.example.com"), nil},
		"no annotations":           {withoutAnnotations(webIngress("web", "shop.example.com")), nil},
		"default backend only":     {defaultBackendOnly("web"), nil},
		"rules and default":        {whole, nil},
		"a path that stands twice": {twice, nil},
		"some of the paths":        {withPaths(webIngress("web"), "/", "/api", "/cart"), []Path{{Host: "shop.example.com", Path: "/api", Type: "Prefix"}}},
	} {
		t.Run(name, func(t *testing.T) {
			paths := c.paths
			if paths == nil {
				paths = allPaths(c.ing, nil)
			}
			actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target { return routeTarget(t, c.ing, paths) }})
		})
	}
}

func withPaths(ing *networkingv1.Ingress, paths ...string) *networkingv1.Ingress {
	prefix := networkingv1.PathTypePrefix
	rule := networkingv1.IngressRule{Host: "shop.example.com"}
	rule.HTTP = &networkingv1.HTTPIngressRuleValue{}
	for _, p := range paths {
		rule.HTTP.Paths = append(rule.HTTP.Paths, networkingv1.HTTPIngressPath{Path: p, PathType: &prefix, Backend: serviceBackend("web")})
	}
	ing.Spec.Rules = append(ing.Spec.Rules, rule)
	return ing
}

func routeTarget(t testing.TB, ing *networkingv1.Ingress, paths []Path) actiontest.Target {
	c, w, namespace := connectTest(t)
	api := c.client.Typed.NetworkingV1().Ingresses(namespace)
	_, err := api.Create(t.Context(), ing, metav1.CreateOptions{})
	must(t, err)
	p, err := openRoute(c, RouteParams{Namespace: namespace, Name: ing.Name, Service: "noren-page", Port: 80, Paths: paths})
	must(t, err)
	in := driver.Bare(p)
	return actiontest.Target{
		Name: "ingress " + namespace + "/" + ing.Name, Change: in.Change, Marked: in.Marker.Marked,
		Mark: func(t testing.TB) *action.Mark { return readMark(t, c.client.Typed, namespace, ing.Name) },
		Meddle: func(t testing.TB) {
			updateIngress(t, c, namespace, ing.Name, func(i *networkingv1.Ingress) {
				theirs := serviceBackend("theirs")
				if paths[0].Default {
					i.Spec.DefaultBackend = &theirs
					return
				}
				for r, rule := range i.Spec.Rules {
					for n, have := range rule.HTTP.Paths {
						if pathOf(rule.Host, have) == paths[0] {
							i.Spec.Rules[r].HTTP.Paths[n].Backend = theirs
						}
					}
				}
			})
		},
		// A colleague adds a rule in front of everything, a path in front of the
		// first rule's, and an annotation.
		MeddleBeside: func(t testing.TB) {
			updateIngress(t, c, namespace, ing.Name, func(i *networkingv1.Ingress) {
				i.Annotations["team"] = "cart"
				if len(i.Spec.Rules) > 0 {
					first := i.Spec.Rules[0].HTTP
					exact := networkingv1.PathTypeExact
					first.Paths = append([]networkingv1.HTTPIngressPath{{Path: "/new", PathType: &exact, Backend: serviceBackend("new")}}, first.Paths...)
				}
				i.Spec.Rules = append(webIngress("x", "new.example.com").Spec.Rules, i.Spec.Rules...)
			})
		},
		Beside: func(t testing.TB) string {
			got, err := api.Get(t.Context(), ing.Name, metav1.GetOptions{})
			must(t, err)
			return besidePaths(got, paths)
		},
		LoseNextAnswer: w.loseNext, Writes: w.count,
	}
}

func updateIngress(t testing.TB, c *conn, namespace, name string, change func(*networkingv1.Ingress)) {
	t.Helper()
	api := c.client.Typed.NetworkingV1().Ingresses(namespace)
	got, err := api.Get(t.Context(), name, metav1.GetOptions{})
	must(t, err)
	if got.Annotations == nil {
		got.Annotations = map[string]string{}
	}
	change(got)
	_, err = api.Update(t.Context(), got, metav1.UpdateOptions{})
	must(t, err)
}

// besidePaths is all of an Ingress but the backends of the paths and the mark.
func besidePaths(ing *networkingv1.Ingress, paths []Path) string {
	annotations := maps.Clone(ing.Annotations)
	delete(annotations, kubeclient.MarkAnnotation)
	if len(annotations) == 0 {
		annotations = nil
	}
	led := withRoutes([]*networkingv1.Ingress{ing}, ing, RouteParams{Service: "any", Port: 1, Paths: paths})[0]
	raw, _ := json.Marshal(map[string]any{"annotations": annotations, "spec": led.Spec})
	return string(raw)
}

// TestPageKeepsTheContract is for kube/page.
func TestPageKeepsTheContract(t *testing.T) {
	actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target {
		c, w, namespace := connectTest(t)
		api := c.client.Typed.CoreV1().ConfigMaps(namespace)
		// Larger than all annotations of an object may be together.
		params, err := kubepage.NewParams(namespace, "noren-web-page", bigPage(400<<10))
		must(t, err)
		p, err := openPage(c, params)
		must(t, err)
		in := driver.Bare(p)
		return actiontest.Target{
			Name: "configmap " + namespace + "/noren-web-page", Change: in.Change, Marked: in.Marker.Marked,
			Mark: func(t testing.TB) *action.Mark {
				cm, err := api.Get(t.Context(), "noren-web-page", metav1.GetOptions{})
				if apierrors.IsNotFound(err) || err == nil && cm.Annotations[kubepage.MarkAnnotation] == "" {
					return nil
				}
				must(t, err)
				var m action.Mark
				must(t, json.Unmarshal([]byte(cm.Annotations[kubepage.MarkAnnotation]), &m))
				return &m
			},
			Meddle: func(t testing.TB) {
				cm, err := api.Get(t.Context(), "noren-web-page", metav1.GetOptions{})
				if apierrors.IsNotFound(err) {
					_, err = api.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "noren-web-page"}}, metav1.CreateOptions{})
					must(t, err)
					return
				}
				must(t, err)
				cm.Data[pageapi.FileHTML] = "another text"
				_, err = api.Update(t.Context(), cm, metav1.UpdateOptions{})
				must(t, err)
			},
			LoseNextAnswer: w.loseNext, Writes: w.count,
		}
	}})
}

func bigPage(size int) pageapi.Page {
	return pageapi.Page{Hosts: []string{"shop.example.com"}, Response: edge.Response{Status: 503, ContentType: "text/html; charset=utf-8", Mark: testMark,
		Body: "<meta name=noren content=" + testMark + ">" + strings.Repeat("x", size)}}
}

// TestPathsThatAreGoneAreNotMissed: a colleague who takes a path out while it
// is closed finds it neither in the way of opening nor put back.
func TestPathsThatAreGoneAreNotMissed(t *testing.T) {
	c, _, namespace := connectTest(t)
	api := c.client.Typed.NetworkingV1().Ingresses(namespace)
	_, err := api.Create(t.Context(), withPaths(webIngress("web"), "/", "/api"), metav1.CreateOptions{})
	must(t, err)
	ing, err := api.Get(t.Context(), "web", metav1.GetOptions{})
	must(t, err)
	p, err := openRoute(c, RouteParams{Namespace: namespace, Name: "web", Service: "noren-page", Port: 80, Paths: allPaths(ing, nil)})
	must(t, err)
	change := driver.Bare(p).Change
	from, err := change.Observe(t.Context())
	must(t, err)
	to, err := change.Propose(from)
	must(t, err)
	must(t, change.Apply(t.Context(), from, to))
	updateIngress(t, c, namespace, "web", func(i *networkingv1.Ingress) { i.Spec.Rules[0].HTTP.Paths = i.Spec.Rules[0].HTTP.Paths[1:] })
	must(t, change.Apply(t.Context(), to, from))
	ing, err = api.Get(t.Context(), "web", metav1.GetOptions{})
	must(t, err)
	if got := ing.Spec.Rules[0].HTTP.Paths; len(got) != 1 || got[0].Path != "/api" || got[0].Backend.Service.Name != "web" {
		t.Errorf("after opening: %+v", got)
	}
}

// TestRouteLosesNoRace: whoever writes between the read and the write makes
// the server refuse; the next try does it.
func TestRouteLosesNoRace(t *testing.T) {
	c, w, namespace := connectTest(t)
	api := c.client.Typed.NetworkingV1().Ingresses(namespace)
	_, err := api.Create(t.Context(), webIngress("web", "shop.example.com"), metav1.CreateOptions{})
	must(t, err)
	ing, err := api.Get(t.Context(), "web", metav1.GetOptions{})
	must(t, err)
	p, err := openRoute(c, RouteParams{Namespace: namespace, Name: "web", Service: "noren-page", Port: 80, Paths: allPaths(ing, nil)})
	must(t, err)
	change := driver.Bare(p).Change
	from, err := change.Observe(t.Context())
	must(t, err)
	to, err := change.Propose(from)
	must(t, err)
	w.before = func() {
		updateIngress(t, c, namespace, "web", func(i *networkingv1.Ingress) {
			i.Spec.Rules = append(webIngress("x", "new.example.com").Spec.Rules, i.Spec.Rules...)
		})
	}
	if err := change.Apply(t.Context(), from, to); !strings.Contains(err.Error(), "not what the patch was made for") {
		t.Fatalf("a rule moved in between: %v", err)
	}
	must(t, change.Apply(t.Context(), from, to))
	ing, err = api.Get(t.Context(), "web", metav1.GetOptions{})
	must(t, err)
	if got := ing.Spec.Rules; got[0].HTTP.Paths[0].Backend.Service.Name != "web" || got[1].HTTP.Paths[0].Backend.Service.Name != "noren-page" {
		t.Errorf("after closing: %+v", got)
	}
}
