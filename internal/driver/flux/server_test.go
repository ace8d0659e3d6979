package flux

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/gitops"
	"github.com/noren-dev/noren/internal/testkube"
)

// A server is a real API server with Flux's real CRDs.
type server struct{ *testkube.Server }

func running(t *testing.T) server {
	t.Helper()
	s := server{testkube.Start(t)}
	s.InstallCRDs(t, testkube.FluxKustomize)
	s.InstallCRDs(t, testkube.FluxHelm)
	return s
}

// A wire stands between a client and the server. It counts the writes that the
// server carried out, and can lose an answer.
type wire struct {
	next   http.RoundTripper
	writes atomic.Int32
	lose   atomic.Bool
}

var errLost = errors.New("connection reset by the test")

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := w.next.RoundTrip(r)
	if err != nil || r.Method == http.MethodGet || res.StatusCode >= 300 {
		return res, err
	}
	w.writes.Add(1)
	if w.lose.CompareAndSwap(true, false) {
		res.Body.Close()
		return nil, errLost
	}
	return res, nil
}

// connectTo opens the driver's connection as the user of a context.
func (s server) connectTo(t *testing.T, as string) (*conn, *wire) {
	t.Helper()
	w := &wire{}
	config := s.Config(as)
	config.Wrap(func(rt http.RoundTripper) http.RoundTripper { w.next = rt; return w })
	client, err := kubeclient.NewForConfig(config, as)
	if err != nil {
		t.Fatal(err)
	}
	return &conn{client, "test"}, w
}

func until(t *testing.T, what string, done func(ctx context.Context) (bool, error)) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, time.Minute, true, done); err != nil {
		t.Fatalf("waiting until %s: %v", what, err)
	}
}

// object makes an object of a kind named "shop", with more of its metadata and
// of its spec as YAML of the flow style.
func (s server) object(t testing.TB, k kind, meta, spec string) Ref {
	t.Helper()
	ref := Ref{Namespace: s.Namespace(t), Name: "shop"}
	s.make(t, k, ref, meta, spec)
	return ref
}

func (s server) make(t testing.TB, k kind, ref Ref, meta, spec string) {
	t.Helper()
	body := "{interval: 10m, path: ./deploy, prune: true, sourceRef: {kind: GitRepository, name: shop}"
	if k.name == gitops.HelmRelease {
		body = "{interval: 10m, chartRef: {kind: OCIRepository, name: shop}"
	}
	s.Apply(t, fmt.Sprintf("apiVersion: %s/%s\nkind: %s\nmetadata: {name: %s, namespace: %s%s}\nspec: %s%s}\n",
		k.resource.Group, k.resource.Version, k.name, ref.Name, ref.Namespace, meta, body, spec))
}

func live(t testing.TB, x target) *unstructured.Unstructured {
	t.Helper()
	u, err := x.api().Get(t.Context(), x.ref.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// mend changes the object as a colleague would.
func mend(t testing.TB, x target, patch string, subresource ...string) {
	t.Helper()
	if _, err := x.api().Patch(t.Context(), x.ref.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "colleague"}, subresource...); err != nil {
		t.Fatal(err)
	}
}

func markOn(t testing.TB, x target) *action.Mark {
	t.Helper()
	raw, ok := live(t, x).GetAnnotations()[kubeclient.MarkAnnotation]
	if !ok {
		return nil
	}
	m := &action.Mark{}
	if err := json.Unmarshal([]byte(raw), m); err != nil {
		t.Fatal(err)
	}
	return m
}
