package kubecopy_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/kubecopy"
	"github.com/noren-dev/noren/internal/testkube"
)

var (
	ingresses    = schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "ingresses"}
	deployments  = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	applications = schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "applications"}
)

func must[T any](t testing.TB, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// copyOf starts a copy of the test's API server, and returns a client of it.
func copyOf(t testing.TB, server *testkube.Server) (*kubecopy.Server, *kubecopy.Copy, *kubeclient.Client) {
	t.Helper()
	s := first(kubecopy.Start(t.Context(), t.TempDir(), time.Now))
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	c, n, err := s.Copy(kubeclient.Config{Kubeconfig: server.Kubeconfig, Context: testkube.Admin})
	if err != nil {
		t.Fatal(err)
	}
	path, err := s.Kubeconfig(n)
	if err != nil {
		t.Fatal(err)
	}
	return s, c, clientAt(t, path)
}

func first(s *kubecopy.Server, err error) *kubecopy.Server {
	if err != nil {
		panic(err)
	}
	return s
}

func clientAt(t testing.TB, kubeconfig string) *kubeclient.Client {
	t.Helper()
	c, err := kubeclient.New(kubeclient.Config{Kubeconfig: kubeconfig, Context: kubecopy.ContextName})
	return must(t, c, err)
}

const objects = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: NS, annotations: {owner: storefront}, labels: {app: web}}
spec:
  rules:
  - host: shop.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: worker, namespace: NS}
spec:
  replicas: 3
  selector: {matchLabels: {app: worker}}
  template: {metadata: {labels: {app: worker}}, spec: {containers: [{name: worker, image: "example.com/worker:1"}]}}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: shop, namespace: NS}
spec: {project: default, source: {repoURL: "https://example.com/git", path: shop}, destination: {namespace: NS}, syncPolicy: {automated: {}}}
`

// An operation is something that a client does, and returns the object that it
// was answered with.
type operation struct {
	name string
	do   func(ctx context.Context, c *kubeclient.Client, namespace string) (*unstructured.Unstructured, error)
}

func patch(name string, gvr schema.GroupVersionResource, object string, how types.PatchType, body string) operation {
	return operation{name, func(ctx context.Context, c *kubeclient.Client, namespace string) (*unstructured.Unstructured, error) {
		return c.Dynamic.Resource(gvr).Namespace(namespace).Patch(ctx, object, how, []byte(strings.ReplaceAll(body, "NS", namespace)),
			metav1.PatchOptions{FieldManager: kubeclient.FieldManager, FieldValidation: metav1.FieldValidationStrict})
	}}
}

// operations are what drivers do to an API server, right and wrong, one after
// the other.
func operations() []operation {
	create := func(name, object string) operation {
		return operation{name, func(ctx context.Context, c *kubeclient.Client, namespace string) (*unstructured.Unstructured, error) {
			u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": map[string]any{"name": object, "annotations": map[string]any{"by": "noren"}},
				"spec": map[string]any{"defaultBackend": map[string]any{"service": map[string]any{"name": "page", "port": map[string]any{"number": int64(80)}}}}}}
			return c.Dynamic.Resource(ingresses).Namespace(namespace).Create(ctx, u, metav1.CreateOptions{FieldManager: kubeclient.FieldManager})
		}}
	}
	remove := func(name, object string, precondition func(*unstructured.Unstructured) *metav1.Preconditions) operation {
		return operation{name, func(ctx context.Context, c *kubeclient.Client, namespace string) (*unstructured.Unstructured, error) {
			api := c.Dynamic.Resource(ingresses).Namespace(namespace)
			var opts metav1.DeleteOptions
			if u, err := api.Get(ctx, object, metav1.GetOptions{}); err == nil {
				opts.Preconditions = precondition(u)
			}
			return nil, api.Delete(ctx, object, opts)
		}}
	}
	read := func(name string, gvr schema.GroupVersionResource, object string) operation {
		return operation{name, func(ctx context.Context, c *kubeclient.Client, namespace string) (*unstructured.Unstructured, error) {
			return c.Dynamic.Resource(gvr).Namespace(namespace).Get(ctx, object, metav1.GetOptions{})
		}}
	}
	stale := "1"
	return []operation{
		read("read", ingresses, "web"),
		read("read what is not there", ingresses, "nothing"),
		read("read a kind that is not there", schema.GroupVersionResource{Group: "keda.sh", Version: "v1alpha1", Resource: "scaledobjects"}, "x"),
		patch("a tested patch", ingresses, "web", types.JSONPatchType, `[{"op":"test","path":"/metadata/annotations/owner","value":"storefront"},{"op":"test","path":"/metadata/annotations/mark","value":null},{"op":"add","path":"/metadata/annotations/mark","value":"1"}]`),
		patch("a patch whose test fails", ingresses, "web", types.JSONPatchType, `[{"op":"test","path":"/metadata/annotations/owner","value":"other"},{"op":"remove","path":"/metadata/annotations/owner"}]`),
		patch("a patch below what is not there", ingresses, "web", types.JSONPatchType, `[{"op":"add","path":"/metadata/nothing/x","value":"1"}]`),
		patch("a patch that changes nothing", ingresses, "web", types.JSONPatchType, `[{"op":"add","path":"/metadata/annotations/mark","value":"1"}]`),
		patch("a field that the kind does not have", ingresses, "web", types.JSONPatchType, `[{"op":"add","path":"/spec/nothing","value":"1"}]`),
		patch("a patch of another version of the object", ingresses, "web", types.MergePatchType, `{"metadata":{"resourceVersion":"1","annotations":{"x":"y"}}}`),
		patch("the last annotations are taken away", ingresses, "web", types.JSONPatchType, `[{"op":"remove","path":"/metadata/annotations/mark"},{"op":"remove","path":"/metadata/annotations/owner"}]`),
		patch("a merge", ingresses, "web", types.MergePatchType, `{"metadata":{"annotations":{"owner":"storefront"}},"spec":{"ingressClassName":"alb"}}`),
		patch("scale", deployments, "worker", types.JSONPatchType, `[{"op":"test","path":"/spec/replicas","value":3},{"op":"add","path":"/spec/replicas","value":0}]`),
		patch("pause a custom resource", applications, "shop", types.JSONPatchType, `[{"op":"remove","path":"/spec/syncPolicy/automated"}]`),
		patch("patch what is not there", ingresses, "nothing", types.JSONPatchType, `[]`),
		create("create", "page"),
		create("create again", "page"),
		remove("delete another version of it", "page", func(u *unstructured.Unstructured) *metav1.Preconditions {
			return &metav1.Preconditions{ResourceVersion: &stale}
		}),
		remove("delete", "page", func(u *unstructured.Unstructured) *metav1.Preconditions {
			uid, version := u.GetUID(), u.GetResourceVersion()
			return &metav1.Preconditions{UID: &uid, ResourceVersion: &version}
		}),
		remove("delete again", "page", func(*unstructured.Unstructured) *metav1.Preconditions { return nil }),
		read("read what is gone", ingresses, "page"),
		{"list by label", func(ctx context.Context, c *kubeclient.Client, namespace string) (*unstructured.Unstructured, error) {
			list, err := c.Typed.NetworkingV1().Ingresses(namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=web"})
			return names(list.Items, func(i int) string { return list.Items[i].Name }), err
		}},
		{"list by another label", func(ctx context.Context, c *kubeclient.Client, namespace string) (*unstructured.Unstructured, error) {
			list, err := c.Typed.NetworkingV1().Ingresses(namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=other"})
			return names(list.Items, func(i int) string { return list.Items[i].Name }), err
		}},
		{"list by name", func(ctx context.Context, c *kubeclient.Client, namespace string) (*unstructured.Unstructured, error) {
			list, err := c.Dynamic.Resource(applications).Namespace(namespace).List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=shop"})
			if err != nil {
				return nil, err
			}
			return names(list.Items, func(i int) string { return list.Items[i].GetName() }), err
		}},
	}
}

func names[T any](items []T, name func(int) string) *unstructured.Unstructured {
	all := []any{}
	for i := range items {
		all = append(all, name(i))
	}
	return &unstructured.Unstructured{Object: map[string]any{"names": all}}
}

// said is what an operation came to: the words that package kubeclient goes by,
// and the object without what differs from server to server.
func said(u *unstructured.Unstructured, err error) map[string]any {
	out := map[string]any{"error": err != nil, "not there": apierrors.IsNotFound(err), "there already": apierrors.IsAlreadyExists(err), "conflict": apierrors.IsConflict(err),
		"test failed": errors.Is(kubeclient.Classify(err, "try"), kubeclient.ErrTestFailed)}
	if err == nil && u != nil {
		o := u.DeepCopy().Object
		out["generation"], _, _ = unstructured.NestedInt64(o, "metadata", "generation")
		for _, field := range []string{"managedFields", "resourceVersion", "uid", "creationTimestamp"} {
			unstructured.RemoveNestedField(o, "metadata", field)
		}
		delete(o, "status")
		out["object"] = o
	}
	return out
}

// TestCopyIsLikeTheServer does the same to the real API server and to a copy
// that was made of it before, and gets the same answers.
func TestCopyIsLikeTheServer(t *testing.T) {
	server := testkube.Start(t)
	server.InstallCRDs(t, testkube.ArgoCDCurrent)
	namespace := server.Namespace(t)
	server.Apply(t, strings.ReplaceAll(objects, "NS", namespace))
	_, _, copied := copyOf(t, server)
	all := operations()
	var got []map[string]any
	for _, o := range all { // first on the copy, which reads the server as it still is
		got = append(got, said(o.do(t.Context(), copied, namespace)))
	}
	original, err := kubeclient.NewForConfig(server.Config(testkube.Admin), "")
	must(t, original, err)
	for i, o := range all {
		want := said(o.do(t.Context(), original, namespace))
		if d := cmp.Diff(want, got[i]); d != "" {
			t.Errorf("%s (-server +copy):\n%s", o.name, d)
		}
	}
}

// TestMomentsAndDifferences: a copy shows what was before each write, knows what
// is not as it was, and leaves the real server alone.
func TestMomentsAndDifferences(t *testing.T) {
	server := testkube.Start(t)
	server.InstallCRDs(t, testkube.ArgoCDCurrent)
	namespace := server.Namespace(t)
	server.Apply(t, strings.ReplaceAll(objects, "NS", namespace))
	s, c, client := copyOf(t, server)
	before := server.SnapshotNamespace(t, namespace, ingresses, deployments, applications)
	do := func(o operation) {
		t.Helper()
		if _, err := o.do(t.Context(), client, namespace); err != nil {
			t.Fatalf("%s: %v", o.name, err)
		}
	}
	replicas := func(value string) string {
		return fmt.Sprintf(`[{"op":"add","path":"/spec/replicas","value":%s}]`, value)
	}
	do(patch("scale down", deployments, "worker", types.JSONPatchType, replicas("0")))
	do(patch("ask for a refresh", applications, "shop", types.MergePatchType, `{"metadata":{"annotations":{"argocd.argoproj.io/refresh":"normal"}}}`))
	if d := c.Differences(); len(d) != 1 || d[0].Object != "deployments.apps "+namespace+"/worker" || !strings.Contains(d[0].After, "replicas: 0") {
		t.Errorf("differences %+v, want the deployment alone: the refresh is done", d)
	}
	ready := func(c *kubeclient.Client) string {
		d, err := c.Typed.AppsV1().Deployments(namespace).Get(t.Context(), "worker", metav1.GetOptions{})
		must(t, d, err)
		return fmt.Sprintf("%d wanted, %d ready, seen: %t", *d.Spec.Replicas, d.Status.ReadyReplicas, d.Status.ObservedGeneration == d.Generation)
	}
	if got, want := ready(client), "0 wanted, 0 ready, seen: true"; got != want {
		t.Errorf("after the stand-in: %s, want %s", got, want)
	}
	path, err := s.KubeconfigAt(0, 0)
	must(t, path, err)
	was := clientAt(t, path)
	if got := ready(was); !strings.HasPrefix(got, "3 wanted") {
		t.Errorf("before the first write: %s, want 3", got)
	}
	if _, err := patch("", deployments, "worker", types.JSONPatchType, replicas("9")).do(t.Context(), was, namespace); !apierrors.IsMethodNotSupported(err) {
		t.Errorf("a write to what was: %v, want it refused", err)
	}
	do(patch("scale up", deployments, "worker", types.JSONPatchType, replicas("3")))
	if d := c.Differences(); len(d) > 0 || c.Written() != 2 {
		t.Errorf("differences %+v, %d written to, want none and 2", d, c.Written())
	}
	if d := cmp.Diff(before, server.SnapshotNamespace(t, namespace, ingresses, deployments, applications)); d != "" {
		t.Errorf("the real server was written to:\n%s", d)
	}
}

// TestReadOnly: nothing but GET gets as far as the network.
func TestReadOnly(t *testing.T) {
	sent := 0
	next := roundTrip(func(*http.Request) (*http.Response, error) {
		sent++
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	})
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead, "get"} {
		req, err := http.NewRequestWithContext(t.Context(), method, "https://cluster.example.com/api", nil)
		must(t, req, err)
		res, err := kubecopy.ReadOnly(next).RoundTrip(req)
		if res != nil {
			_ = res.Body.Close()
		}
		if refused := errors.Is(err, kubecopy.ErrReadOnly); refused != (method != http.MethodGet) {
			t.Errorf("%s: %v", method, err)
		}
	}
	if sent != 1 {
		t.Errorf("%d requests were sent, want the GET alone", sent)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestStrangers are turned away.
func TestStrangers(t *testing.T) {
	s := first(kubecopy.Start(t.Context(), t.TempDir(), time.Now))
	t.Cleanup(func() { _ = s.Close() })
	server := testkube.Start(t)
	_, n, err := s.Copy(kubeclient.Config{Kubeconfig: server.Kubeconfig, Context: testkube.Admin})
	must(t, n, err)
	path, err := s.Kubeconfig(n)
	must(t, path, err)
	config, _, err := kubeclient.Config{Kubeconfig: path}.REST()
	must(t, config, err)
	config.BearerToken = "guessed"
	client, err := kubeclient.NewForConfig(config, "")
	must(t, client, err)
	if _, err := client.Typed.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{}); !apierrors.IsUnauthorized(err) {
		t.Errorf("a stranger: %v, want unauthorized", err)
	}
}
