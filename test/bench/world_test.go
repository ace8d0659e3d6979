package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/noren-dev/noren/internal/driver/argocd/argotest"
	"github.com/noren-dev/noren/internal/testkube"
)

var applications = schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "applications"}

// atOnce is how many requests make the world side by side.
const atOnce = 16

// A world is n Ingresses, each alone on its load balancer and owned by an
// Application of its own, so that closing one takes a pause and a patch.
type world struct {
	server     *testkube.Server
	n          int
	namespace  string
	dir        string // with noren.yaml
	kubeconfig string
	typed      kubernetes.Interface
	dynamic    dynamic.Interface
}

func newWorld(t testing.TB, n int) *world {
	t.Helper()
	w := &world{server: testkube.Start(t), n: n, dir: t.TempDir()}
	w.server.InstallCRDs(t, testkube.ArgoCDCurrent)
	w.namespace, w.kubeconfig = w.server.Namespace(t), w.server.Kubeconfig
	config := w.unhurried()
	var err error
	if w.typed, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	if w.dynamic, err = dynamic.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	class := &networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}, Spec: networkingv1.IngressClassSpec{Controller: "ingress.k8s.aws/alb"}}
	if _, err := w.typed.NetworkingV1().IngressClasses().Create(t.Context(), class, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.server.Apply(t, fmt.Sprintf(service, w.namespace))
	w.each(t, func(ctx context.Context, i int) error {
		if _, err := w.typed.NetworkingV1().Ingresses(w.namespace).Create(ctx, w.ingress(i), metav1.CreateOptions{}); err != nil {
			return err
		}
		_, err := w.dynamic.Resource(applications).Namespace(w.namespace).Create(ctx, w.application(i), metav1.CreateOptions{})
		return err
	})
	door := w.door(t)
	w.argo(t)
	w.writeCatalog(t, door)
	return w
}

// service is the one behind all Ingresses, with a pod that is ready.
const service = `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: %[1]s}
spec: {clusterIP: None, ports: [{port: 80, targetPort: 8080}], selector: {app: web}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: %[1]s, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: "", port: 8080, protocol: TCP}]
endpoints: [{addresses: [10.0.0.1], conditions: {ready: true}}]
`

// unhurried is a connection without the client's own limits on requests.
func (w *world) unhurried() *rest.Config {
	config := w.server.Config(testkube.Admin)
	config.QPS = -1
	return config
}

// each calls f for every i below n, atOnce side by side.
func (w *world) each(t testing.TB, f func(ctx context.Context, i int) error) {
	t.Helper()
	errs := make(chan error, w.n)
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i := range w.n {
		slots <- struct{}{}
		all.Go(func() {
			errs <- f(t.Context(), i)
			<-slots
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) name(i int) string { return fmt.Sprintf("shop-%04d", i) }

func (w *world) host(i int) string { return w.name(i) + ".example.com" }

func (w *world) ingress(i int) *networkingv1.Ingress {
	prefix := networkingv1.PathTypePrefix
	return &networkingv1.Ingress{
		ObjectMeta: metav1.ObjectMeta{Name: w.name(i), Annotations: map[string]string{
			"alb.ingress.kubernetes.io/listen-ports": `[{"HTTP":80}]`,
			"alb.ingress.kubernetes.io/target-type":  "ip",
			"argocd.argoproj.io/tracking-id":         fmt.Sprintf("%s:networking.k8s.io/Ingress:%s/%[1]s", w.name(i), w.namespace),
		}},
		Spec: networkingv1.IngressSpec{IngressClassName: &w.namespace, Rules: []networkingv1.IngressRule{{Host: w.host(i),
			IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{{
				Path: "/", PathType: &prefix, Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
					Name: "web", Port: networkingv1.ServiceBackendPort{Number: 80}}}}}}}}}},
	}
}

func (w *world) application(i int) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": map[string]any{"name": w.name(i)},
		"spec": map[string]any{"project": "default", "source": map[string]any{"repoURL": "https://example.com/git", "path": w.name(i), "targetRevision": "main"},
			"destination": map[string]any{"server": "https://kubernetes.default.svc", "namespace": w.namespace},
			"syncPolicy":  map[string]any{"automated": map[string]any{"prune": true, "selfHeal": true}}},
	}}
}

// door stands for all load balancers: it watches the Ingresses and answers each
// host with the page in the rule at the head of its Ingress, or as the
// application does. noren's proofs go there; the others prove nothing.
func (w *world) door(t testing.TB) string {
	factory := informers.NewSharedInformerFactoryWithOptions(w.typed, 0, informers.WithNamespace(w.namespace))
	informer := factory.Networking().V1().Ingresses().Informer()
	var mu sync.Mutex
	pages := map[string]string{}
	see := func(obj any) {
		ing, ok := obj.(*networkingv1.Ingress)
		if !ok {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		pages[ing.Spec.Rules[0].Host] = pageOf(ing)
	}
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: see, UpdateFunc: func(_, o any) { see(o) }}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		page := pages[strings.TrimSuffix(r.Host, ":80")]
		mu.Unlock()
		if page != "" {
			rw.Header().Set("Content-Type", "text/html")
			rw.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprint(rw, page)
	}))
	t.Cleanup(func() { cancel(); factory.Shutdown(); server.Close() })
	return server.Listener.Addr().String()
}

// pageOf is the page that an Ingress answers every request with, "" if its
// first rule goes on to the application.
func pageOf(ing *networkingv1.Ingress) string {
	backend := ing.Spec.Rules[0].HTTP.Paths[0].Backend.Service
	if backend.Port.Name != "use-annotation" {
		return ""
	}
	var action struct {
		FixedResponseConfig struct{ MessageBody string }
	}
	_ = json.Unmarshal([]byte(ing.Annotations["alb.ingress.kubernetes.io/actions."+backend.Name]), &action)
	return action.FixedResponseConfig.MessageBody
}

// always is a Git that everything is in step with.
type always struct{}

func (always) Compare(context.Context, *unstructured.Unstructured) (argotest.Comparison, error) {
	return argotest.Comparison{Revision: "rev-1", Synced: true}, nil
}

func (always) Sync(context.Context, *unstructured.Unstructured) error { return nil }

// argo starts the stand-in for Argo CD's controller.
func (w *world) argo(t testing.TB) {
	controller := &argotest.Controller{Client: w.dynamic, Repository: always{}, Namespace: w.namespace}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- controller.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func (w *world) writeCatalog(t testing.TB, door string) {
	var b strings.Builder
	fmt.Fprintf(&b, "version: 1\nzone: UTC\nenvironments:\n  prod:\n    kube: {kubeconfig: %s, context: %s}\n    argocd: {namespace: %s}\n    http:\n      resolve:\n",
		w.kubeconfig, testkube.Admin, w.namespace)
	for i := range w.n {
		fmt.Fprintf(&b, "        \"%s:80\": %s\n", w.host(i), door)
	}
	b.WriteString("services:\n")
	for i := range w.n {
		fmt.Fprintf(&b, "  %s:\n    entrances: [{kind: kube/ingress, name: %s/%[1]s}]\n", w.name(i), w.namespace)
	}
	if err := os.WriteFile(filepath.Join(w.dir, "noren.yaml"), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// closed counts the Ingresses that answer with a page, and the Applications
// whose automated sync is off.
func (w *world) closed(t testing.TB) (pages, paused int) {
	t.Helper()
	ings, err := w.typed.NetworkingV1().Ingresses(w.namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range ings.Items {
		if pageOf(&ings.Items[i]) != "" {
			pages++
		}
	}
	apps, err := w.dynamic.Resource(applications).Namespace(w.namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range apps.Items {
		if on, found, _ := unstructured.NestedBool(a.Object, "spec", "syncPolicy", "automated", "enabled"); found && !on {
			paused++
		}
	}
	return pages, paused
}
