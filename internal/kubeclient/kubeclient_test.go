package kubeclient_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/testkube"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const kubeconfigYAML = `
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: u, user: {}}]
contexts: [{name: production, context: {cluster: c, user: u}}, {name: sandbox, context: {cluster: c, user: u}}]
current-context: sandbox
`

func TestNewNamesTheContexts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config")
	must(t, os.WriteFile(path, []byte(kubeconfigYAML), 0o600))
	for _, c := range []struct {
		cfg  kubeclient.Config
		want string // part of the error, "" for none
		name string
	}{
		{kubeclient.Config{Kubeconfig: path}, "", "sandbox"},
		{kubeclient.Config{Kubeconfig: path, Context: "production"}, "", "production"},
		{kubeclient.Config{Kubeconfig: path, Context: "producton"}, `no context "producton" in ` + path + `. Did you mean "production"? It has: production, sandbox.`, ""},
		{kubeclient.Config{Kubeconfig: path, Context: "elsewhere"}, "It has: production, sandbox.", ""},
		{kubeclient.Config{Kubeconfig: path + ".missing"}, "cannot use the kubeconfig " + path + ".missing", ""},
	} {
		client, err := kubeclient.New(c.cfg)
		switch {
		case c.want == "" && (err != nil || client.Context != c.name):
			t.Errorf("%+v: %v", c.cfg, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, &fault.Fault{Code: fault.Invalid})):
			t.Errorf("%+v: error %v, want one with %q", c.cfg, err, c.want)
		}
	}
}

// TestClassifyUnavailable: what a server that is not well answers is for
// trying again.
func TestClassifyUnavailable(t *testing.T) {
	answer := http.StatusOK
	message := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(answer)
		_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":"` + message + `","code":` + strconv.Itoa(answer) + `}`))
	}))
	client, err := kubeclient.NewForConfig(&rest.Config{Host: server.URL}, "")
	must(t, err)
	get := func(ctx context.Context) error {
		_, err := client.Typed.CoreV1().ConfigMaps("shop").Get(ctx, "x", metav1.GetOptions{})
		return kubeclient.Classify(err, "read configmap shop/x")
	}
	for _, c := range []struct {
		code    int
		message string
	}{{500, "etcdserver: leader changed"}, {503, "starting"}, {504, "timeout"}, {429, "too many requests"}, {409, "the object has been modified"}} {
		answer, message = c.code, c.message
		err := get(t.Context())
		if !errors.Is(err, action.ErrUnavailable) || !strings.Contains(err.Error(), "read configmap shop/x") {
			t.Errorf("%d %s: %v, want it unavailable", c.code, c.message, err)
		}
	}
	answer, message = 403, `admission webhook \"vingress.elbv2.k8s.aws\" denied the request: invalid ingress class`
	if err := get(t.Context()); !errors.Is(err, &fault.Fault{Code: fault.Invalid}) || !strings.Contains(err.Error(), "denied the request: invalid ingress class") {
		t.Errorf("a webhook's refusal: %v, want it word for word", err)
	}
	answer, message = 401, "Unauthorized"
	if err := get(t.Context()); !errors.Is(err, &fault.Fault{Code: fault.Denied}) {
		t.Errorf("401: %v, want denied", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := get(cancelled); !errors.Is(err, context.Canceled) || errors.Is(err, action.ErrUnavailable) {
		t.Errorf("cancelled: %v", err)
	}
	server.Close()
	if err := get(t.Context()); !errors.Is(err, action.ErrUnavailable) {
		t.Errorf("no server: %v, want it unavailable", err)
	}
	if kubeclient.Classify(nil, "x") != nil {
		t.Error("no error became one")
	}
}

// TestPatchOnTheServer keeps what the Patch type says of the API server.
func TestPatchOnTheServer(t *testing.T) {
	server := testkube.Start(t)
	client, err := kubeclient.NewForConfig(server.Config(testkube.Admin), "")
	must(t, err)
	api := client.Typed.CoreV1().ConfigMaps(server.Namespace(t))
	made, err := api.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "c-", Annotations: map[string]string{"a/b.c": "old"}}}, metav1.CreateOptions{})
	must(t, err)
	send := func(p *kubeclient.Patch) error {
		body, err := p.JSON()
		must(t, err)
		_, err = api.Patch(t.Context(), made.Name, types.JSONPatchType, body, metav1.PatchOptions{})
		return kubeclient.Classify(err, "patch configmap")
	}
	key, absent := kubeclient.Annotation("a/b.c"), kubeclient.Annotation("new/key")
	if got := kubeclient.Pointer("a/b~c", "0"); got != "/a~1b~0c/0" {
		t.Errorf("pointer %s", got)
	}
	must(t, send((&kubeclient.Patch{}).Test(key, "old").Test(absent, nil).Add(absent, "1")))
	for name, p := range map[string]*kubeclient.Patch{
		"another value":        (&kubeclient.Patch{}).Test(key, "other").Remove(key),
		"null where there is":  (&kubeclient.Patch{}).Test(absent, nil).Add(absent, "2"),
		"a parent that is not": (&kubeclient.Patch{}).Test("/data/x", nil),
		"removing what is not": (&kubeclient.Patch{}).Remove(kubeclient.Annotation("nothing")),
	} {
		if err := send(p); !errors.Is(err, kubeclient.ErrTestFailed) {
			t.Errorf("%s: %v, want ErrTestFailed", name, err)
		}
	}
	got, err := api.Get(t.Context(), made.Name, metav1.GetOptions{})
	must(t, err)
	if got.Annotations["new/key"] != "1" || got.Annotations["a/b.c"] != "old" {
		t.Errorf("annotations %v", got.Annotations)
	}
	// An object that is not valid is another 422.
	err = send((&kubeclient.Patch{}).Add(kubeclient.Pointer("metadata", "labels"), map[string]string{"k": "no good!"}))
	if errors.Is(err, kubeclient.ErrTestFailed) || !errors.Is(err, &fault.Fault{Code: fault.Invalid}) {
		t.Errorf("an invalid label: %v, want invalid", err)
	}
	if !(&kubeclient.Patch{}).Empty() {
		t.Error("a new patch is not empty")
	}
	if _, err := (&kubeclient.Patch{}).Add("/x", func() {}).JSON(); err == nil {
		t.Error("a value that is no JSON: no error")
	}
}

func TestDeniedSaysWhatGrantsIt(t *testing.T) {
	server := testkube.Start(t)
	client, err := kubeclient.NewForConfig(server.Config(testkube.Limited), "")
	must(t, err)
	namespace := server.Namespace(t)
	_, err = client.Typed.NetworkingV1().Ingresses(namespace).List(t.Context(), metav1.ListOptions{})
	err = kubeclient.Classify(err, "list the ingresses")
	var f *fault.Fault
	if !errors.As(err, &f) || f.Code != fault.Denied {
		t.Fatalf("%v, want denied", err)
	}
	if want := `"limited" may not list ingresses.networking.k8s.io in namespace ` + namespace; !strings.Contains(f.Detail, want) {
		t.Errorf("detail %q, want %q", f.Detail, want)
	}
	// A name of its own: applying it must not replace the role "noren".
	if try := strings.Join(f.Try, "\n"); !strings.Contains(try, "kind: Role\nmetadata: {name: noren-list-ingresses, namespace: "+namespace+"}") ||
		!strings.Contains(try, "name: noren-list-ingresses}\nsubjects:\n") {
		t.Errorf("try %q", f.Try)
	}
}

func TestGrant(t *testing.T) {
	got := kubeclient.Grant("noren", "system:serviceaccount:ops:noren", []action.Permission{
		{Verb: "patch", Resource: "ingresses.networking.k8s.io", Namespace: "shop"},
		{Verb: "get", Resource: "ingresses.networking.k8s.io", Namespace: "shop"},
		{Verb: "get", Resource: "applications.argoproj.io", Namespace: "argocd", Name: "shop"},
		{Verb: "list", Resource: "ingresses.networking.k8s.io"},
		{Verb: "update", Resource: "deployments.apps/scale", Namespace: "shop"},
	})
	want := `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: noren}
rules:
- apiGroups: ["networking.k8s.io"]
  resources: ["ingresses"]
  verbs: ["list"]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: noren}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: noren}
subjects:
- {kind: ServiceAccount, name: noren, namespace: ops}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: noren, namespace: argocd}
rules:
- apiGroups: ["argoproj.io"]
  resources: ["applications"]
  resourceNames: ["shop"]
  verbs: ["get"]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: noren, namespace: argocd}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: noren}
subjects:
- {kind: ServiceAccount, name: noren, namespace: ops}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: noren, namespace: shop}
rules:
- apiGroups: ["apps"]
  resources: ["deployments/scale"]
  verbs: ["update"]
- apiGroups: ["networking.k8s.io"]
  resources: ["ingresses"]
  verbs: ["get", "patch"]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: noren, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: noren}
subjects:
- {kind: ServiceAccount, name: noren, namespace: ops}
`
	if got != want {
		t.Errorf("got\n%s", got)
	}
}
