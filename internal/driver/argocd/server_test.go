package argocd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/testkube"
)

// A server is a real API server with the real CRDs of one Argo CD.
type server struct {
	*testkube.Server
	set string
}

func current(t *testing.T) server {
	t.Helper()
	s := server{testkube.Start(t), testkube.ArgoCDCurrent}
	s.InstallCRDs(t, s.set)
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
	c := newConn(t.Context(), client, "argocd", driver.Env{Name: "test"})
	if as == testkube.Admin {
		// The server publishes the schema of a new CRD a moment after serving it.
		until(t, "the schema is published", func(ctx context.Context) (bool, error) {
			_, err := knowsEnabled(ctx, c.client)
			return err == nil, nil
		})
		if err := c.learn(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return c, w
}

func until(t *testing.T, what string, done func(ctx context.Context) (bool, error)) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, time.Minute, true, done); err != nil {
		t.Fatalf("waiting until %s: %v", what, err)
	}
}

// application makes an Application with that spec.syncPolicy ("" for none) and
// further YAML at the top level.
func (s server) application(t *testing.T, policy string, more ...string) Ref {
	t.Helper()
	ref := Ref{Namespace: s.Namespace(t), Name: "shop"}
	s.apply(t, ref, policy, more...)
	return ref
}

func (s server) apply(t *testing.T, ref Ref, policy string, more ...string) {
	t.Helper()
	text := `
apiVersion: argoproj.io/v1alpha1
kind: Application
spec:
  project: default
  source: {repoURL: https://git.example/shop.git, path: deploy, targetRevision: main}
  destination: {name: in-cluster, namespace: shop}
`
	if policy != "" {
		text += "  syncPolicy: " + policy + "\n"
	}
	meta := fmt.Sprintf("metadata: {name: %s, namespace: %s}", ref.Name, ref.Namespace)
	for _, m := range more {
		if strings.HasPrefix(m, "metadata: {") {
			m = fmt.Sprintf("metadata: {name: %s, namespace: %s, %s", ref.Name, ref.Namespace, strings.TrimPrefix(m, "metadata: {"))
			meta = ""
		}
		text += m + "\n"
	}
	s.Apply(t, text+meta+"\n")
}

// mend changes the Application as a colleague would.
func mend(t testing.TB, c *conn, ref Ref, patch string) {
	t.Helper()
	mendAs(t, c, ref, "colleague", patch)
}

func mendAs(t testing.TB, c *conn, ref Ref, manager, patch string) {
	t.Helper()
	opts := metav1.PatchOptions{FieldManager: manager}
	_, err := c.target(ref).api().Patch(t.Context(), ref.Name, types.MergePatchType, []byte(patch), opts)
	if err != nil {
		t.Fatal(err)
	}
}

func live(t testing.TB, c *conn, ref Ref) *unstructured.Unstructured {
	t.Helper()
	u, err := c.target(ref).api().Get(t.Context(), ref.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func markOn(t testing.TB, c *conn, ref Ref) *action.Mark {
	t.Helper()
	raw, ok := live(t, c, ref).GetAnnotations()[markAnnotation]
	if !ok {
		return nil
	}
	m := &action.Mark{}
	if err := json.Unmarshal([]byte(raw), m); err != nil {
		t.Fatal(err)
	}
	return m
}

func allMarks(t testing.TB, c *conn) []action.Mark {
	t.Helper()
	var marks []action.Mark
	for _, m := range allTraces(t, c).Marks {
		marks = append(marks, m.Mark)
	}
	return marks
}

func allTraces(t testing.TB, c *conn) *driver.Traces {
	t.Helper()
	found, err := findTraces(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return found
}
