package gatewayapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
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
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
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

// A scene is a namespace of its own on the shared API server with the CRDs.
type scene struct {
	*conn
	*wire
	cluster   *testkube.Server
	namespace string
}

func newScene(t testing.TB) scene {
	t.Helper()
	server := testkube.Start(t)
	server.InstallCRDs(t, testkube.GatewayAPI)
	server.InstallCRDs(t, testkube.EnvoyGateway)
	server.InstallCRDs(t, testkube.Istio, "virtualservices.networking.istio.io", "gateways.networking.istio.io")
	server.InstallCRDs(t, testkube.AWSGateway)
	config := server.Config(testkube.Admin)
	w := &wire{}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { w.next = next; return w })
	client, err := kubeclient.NewForConfig(config, testkube.Admin)
	must(t, err)
	return scene{newConn(client, driver.Env{Name: "test"}, Config{}), w, server, server.Namespace(t)}
}

// fresh is a connection that has read nothing yet.
func (s scene) fresh() *conn { return newConn(s.client, s.env, Config{}) }

// apply creates the objects of a YAML text in which NS is the namespace.
func (s scene) apply(t testing.TB, yaml string) {
	t.Helper()
	s.cluster.Apply(t, strings.ReplaceAll(yaml, "NS", s.namespace))
}

// objects is where the namespace's objects of a resource are.
func (s scene) objects(t testing.TB, r resource) dynamic.ResourceInterface {
	t.Helper()
	api, err := s.api(t.Context(), r, s.namespace)
	must(t, err)
	return api
}

func (s scene) live(t testing.TB, r resource, name string) *unstructured.Unstructured {
	t.Helper()
	u, err := s.get(t.Context(), r, s.namespace, name)
	must(t, err)
	return u
}

// edit changes an object, as a colleague does.
func (s scene) edit(t testing.TB, r resource, name string, change func(u *unstructured.Unstructured)) {
	t.Helper()
	u := s.live(t, r, name)
	change(u)
	_, err := s.objects(t, r).Update(t.Context(), u, metav1.UpdateOptions{FieldManager: "kubectl-edit"})
	must(t, err)
}

func (s scene) mark(t testing.TB, r resource, name string) *action.Mark {
	t.Helper()
	u := s.live(t, r, name)
	if u == nil {
		return nil
	}
	return markOn(u)
}

// markOn is the mark on an object, nil if there is none.
func markOn(o metav1.Object) *action.Mark {
	if found, ok := kubeobject.MarkOn(o, ""); ok {
		return &found.Mark
	}
	return nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func rawJSON(t testing.TB, v any) json.RawMessage {
	t.Helper()
	raw, err := json.Marshal(v)
	must(t, err)
	return raw
}

func asFault(err error, f **fault.Fault) bool { return errors.As(err, f) }

func webObject() *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{}}}
	u.SetNamespace("shop")
	u.SetName("web")
	return u
}
