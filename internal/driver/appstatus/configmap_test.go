package appstatus

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/action/actiontest"
	"github.com/noren-dev/noren/internal/appstatus"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/kubestatus"
	"github.com/noren-dev/noren/internal/testkube"
)

// A wire is the way to the API server. It counts writes and can lose an answer.
type wire struct {
	next http.RoundTripper

	mu     sync.Mutex
	writes int
	lose   bool
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.next.RoundTrip(r)
	if r.Method == http.MethodGet || err != nil || resp.StatusCode >= http.StatusMultipleChoices {
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

func (w *wire) with(f func(w *wire)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(w)
}

// cluster is a connection whose document is a ConfigMap on a real API server,
// and that of a colleague.
func cluster(t testing.TB, as string) (c, colleague *conn, w *wire, server *testkube.Server) {
	t.Helper()
	server, w = testkube.Start(t), &wire{}
	open := func(as string, w *wire) *kubeclient.Client {
		cfg := server.Config(as)
		if w != nil {
			cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { w.next = next; return w })
		}
		client, err := kubeclient.NewForConfig(cfg, as)
		if err != nil {
			t.Fatal(err)
		}
		return client
	}
	ref := kubestatus.Ref{Namespace: server.Namespace(t), Name: "app-status"}
	at := func(client *kubeclient.Client) *conn {
		return &conn{cfg: config(""), env: "prod", now: func() time.Time { return noon }, place: &configMap{client, ref, "prod"}}
	}
	return at(open(as, w)), at(open(testkube.Admin, nil)), w, server
}

// meddle changes the document as a colleague does.
func meddle(t testing.TB, c *conn, change func(*appstatus.Document)) {
	t.Helper()
	err := c.place.update(t.Context(), func(d *appstatus.Document, _ map[string]string) (edited, error) {
		if d == nil {
			d = c.fresh()
		}
		change(d)
		return edited{document: d}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestTellInClusterContract holds appstatus/service.tell to the contract on a
// ConfigMap, in a namespace without one and in one that has it.
func TestTellInClusterContract(t *testing.T) {
	for name, there := range map[string]bool{"NoConfigMap": false, "ConfigMap": true} {
		t.Run(name, func(t *testing.T) {
			actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target {
				c, colleague, w, _ := cluster(t, testkube.Admin)
				if there {
					meddle(t, colleague, func(*appstatus.Document) {})
				}
				change, err := openTell(c, params("shop"))
				if err != nil {
					t.Fatal(err)
				}
				in := driver.Bare(change)
				byHand := 0
				return actiontest.Target{
					Name:   "service shop in the status document " + c.place.String(),
					Change: in.Change,
					Marked: in.Marker.Marked,
					Mark: func(t testing.TB) *action.Mark {
						found, err := findTraces(t.Context(), colleague)
						if err != nil {
							t.Fatal(err)
						}
						if len(found.Marks) == 0 {
							return nil
						}
						return &found.Marks[0].Mark
					},
					Meddle: func(t testing.TB) {
						byHand++
						meddle(t, colleague, func(d *appstatus.Document) { d.Close("shop", &appstatus.Closing{Since: noon.Add(-time.Hour)}) })
					},
					MeddleBeside: func(t testing.TB) {
						byHand++
						meddle(t, colleague, func(d *appstatus.Document) { d.Close("api", &appstatus.Closing{Since: noon}) })
					},
					Beside:         func(t testing.TB) string { return string(document(t, colleague).Services["api"].Status) },
					LoseNextAnswer: func(testing.TB) { w.with(func(w *wire) { w.lose = true }) },
					Writes: func(testing.TB) (n int) {
						w.with(func(w *wire) { n = w.writes })
						return n + byHand
					},
				}
			}})
		})
	}
}

// TestMayNotWrite asks as one who may only read: the check says what is missing,
// and grants it.
func TestMayNotWrite(t *testing.T) {
	t.Parallel()
	c, colleague, _, server := cluster(t, testkube.Limited)
	namespace := colleague.place.(*configMap).ref.Namespace
	role := fmt.Sprintf(`apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: %[1]s}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader, namespace: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: User, name: limited, apiGroup: rbac.authorization.k8s.io}]
`, namespace)
	server.Apply(t, role)
	check, err := openWritable(c, WritableParams{})
	if err != nil {
		t.Fatal(err)
	}
	v, err := check.Check(t.Context())
	if err != nil || v.OK || len(v.Findings) != 2 || !strings.Contains(strings.Join(v.Try, ""), "kind: Role") {
		t.Fatalf("%+v, %v", v, err)
	}
	server.Apply(t, v.Try[0])
	if v, err := check.Check(t.Context()); err != nil || !v.OK {
		t.Errorf("granted what it said, and then: %+v, %v", v, err)
	}
}
