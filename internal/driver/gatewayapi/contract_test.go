package gatewayapi

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/action/actiontest"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/kubeclient/kubepage"
	"github.com/noren-dev/noren/internal/pageserver/pageapi"
)

const webRoute = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: NS%s}
spec:
  parentRefs: [{name: public}]
  hostnames: [shop.example.com]
  rules:
  - name: api
    matches: [{path: {type: PathPrefix, value: /api}}, {path: {type: Exact, value: /v2}, method: GET}]
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-A, value: b}]}}]
    timeouts: {request: 10s}
    backendRefs: [{name: api, port: 80, weight: 9}, {name: api-next, port: 80, weight: 1}]
  - backendRefs: [{name: web, port: 80}]
`

var closedPage = edge.Response{Status: 503, ContentType: "text/html", Body: `<!doctype html><meta name=noren content=m-1><p>closed`, Mark: "m-1"}

// drawn are the rules of a curtain for a route as it is stored.
func drawn(t testing.TB, u *unstructured.Unstructured, answer map[string]any, c edge.Closing) []json.RawMessage {
	t.Helper()
	r, err := readRoute(u)
	must(t, err)
	d := &drawing{rules: r.rules, read: r.Rules, closing: c, page: answer}
	cur, err := d.draw()
	must(t, err)
	var out []json.RawMessage
	for _, rule := range cur.all() {
		out = append(out, rawJSON(t, rule))
	}
	return out
}

// TestRouteKeepsTheContract is for gatewayapi/httproute.insert.
func TestRouteKeepsTheContract(t *testing.T) {
	t.Parallel()
	aws := awsLoadBalancer()
	for name, tt := range map[string]struct {
		answer      map[string]any
		annotations string
	}{
		"answers itself":           {map[string]any{"filters": []any{aws.filter("noren-web-closed")}}, ", annotations: {owner: shop}"},
		"no annotations":           {map[string]any{"filters": []any{aws.filter("noren-web-closed")}}, ""},
		"leads to the page server": {map[string]any{"backendRefs": []any{usual("elsewhere").backend("here")}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target {
				s := newScene(t)
				s.apply(t, fmt.Sprintf(webRoute, tt.annotations))
				c := edge.Closing{Mode: edge.Closed, Page: closedPage, KeepOpen: []string{"/api/hook"}, Bypass: edge.Bypass{Pass: "s3cret"}}
				p := InsertParams{Namespace: s.namespace, Name: "web", Signs: []string{"noren-web-closed", serviceSign("elsewhere", "noren-page")},
					Rules: drawn(t, s.live(t, httpRoutes(), "web"), tt.answer, c)}
				typed, err := openRoute(s.conn, p)
				must(t, err)
				return s.inserted(t, httpRoutes(), "web", driver.Bare(typed), map[string]any{
					"matches": []any{map[string]any{"path": map[string]any{"type": "Exact", "value": "/theirs"}}},
					"filters": []any{aws.filter("noren-web-closed")}})
			}})
		})
	}
}

// TestVirtualServiceKeepsTheContract is for gatewayapi/virtualservice.insert.
func TestVirtualServiceKeepsTheContract(t *testing.T) {
	t.Parallel()
	actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target {
		s := newScene(t)
		s.apply(t, webVirtualService)
		entries, err := drawEntries(edge.Closing{Mode: edge.ReadOnly, Page: closedPage, Bypass: edge.Bypass{Pass: "s3cret"}})
		must(t, err)
		p := InsertParams{Namespace: s.namespace, Name: "web"}
		for _, e := range entries {
			p.Rules = append(p.Rules, rawJSON(t, e))
		}
		typed, err := openVirtualService(s.conn, p)
		must(t, err)
		return s.inserted(t, virtualServices(), "web", driver.Bare(typed), map[string]any{"name": "noren-theirs", "directResponse": map[string]any{"status": int64(200)}})
	}})
}

// inserted is a target on which noren inserts. The colleague writes theirs, a
// rule that looks like noren's; beside it, rules and annotations.
func (s scene) inserted(t testing.TB, r resource, name string, in *driver.Instance, theirs map[string]any) actiontest.Target {
	list, _ := listOf(r.kind)
	rules := func(u *unstructured.Unstructured) []any {
		all, _, err := unstructured.NestedSlice(u.Object, list.path...)
		must(t, err)
		return all
	}
	set := func(u *unstructured.Unstructured, all []any) {
		must(t, unstructured.SetNestedSlice(u.Object, all, list.path...))
	}
	return actiontest.Target{
		Name: r.word + " " + s.namespace + "/" + name, Change: in.Change, Marked: in.Marker.Marked,
		Mark: func(t testing.TB) *action.Mark { return s.mark(t, r, name) },
		Meddle: func(t testing.TB) {
			s.edit(t, r, name, func(u *unstructured.Unstructured) { set(u, append([]any{theirs}, rules(u)...)) })
		},
		// A colleague adds a rule in front of everything, changes one, and an
		// annotation.
		MeddleBeside: func(t testing.TB) {
			s.edit(t, r, name, func(u *unstructured.Unstructured) {
				all := rules(u)
				last := all[len(all)-1].(map[string]any)
				last["timeout"], last["timeouts"] = "7s", map[string]any{"request": "7s"}
				if r.kind == "VirtualService" {
					delete(last, "timeouts")
				} else {
					delete(last, "timeout")
				}
				own := map[string]any{"name": "new", "backendRefs": []any{map[string]any{"name": "new", "port": int64(80)}}}
				if r.kind == "VirtualService" {
					own = map[string]any{"name": "new", "route": []any{map[string]any{"destination": map[string]any{"host": "new"}}}}
				}
				set(u, append([]any{own}, all...))
				annotations := u.GetAnnotations()
				if annotations == nil {
					annotations = map[string]string{}
				}
				annotations["team"] = "cart"
				u.SetAnnotations(annotations)
			})
		},
		Beside: func(t testing.TB) string {
			u := s.live(t, r, name)
			var own []any
			for _, rule := range rules(u) {
				fields := rule.(map[string]any)
				if isNorens(fields) {
					continue
				}
				own = append(own, rule)
			}
			hosts, _, _ := unstructured.NestedSlice(u.Object, "spec", "hostnames")
			return string(rawJSON(t, []any{own, hosts, u.GetAnnotations()["team"], u.GetAnnotations()["owner"]}))
		},
		LoseNextAnswer: s.loseNext, Writes: s.count,
	}
}

// isNorens tells noren's rules of this test from the user's.
func isNorens(rule map[string]any) bool {
	raw, _ := json.Marshal(rule)
	for _, sign := range []string{"noren-", "/api/hook", "X-Noren-Pass"} {
		if strings.Contains(string(raw), sign) {
			return true
		}
	}
	return false
}

// TestAnswerKeepsTheContract is for gatewayapi/answer.create.
func TestAnswerKeepsTheContract(t *testing.T) {
	t.Parallel()
	with := closedPage
	with.Header = map[string]string{"Retry-After": "Tue, 24 Nov 2026 18:00:00 GMT"}
	for _, m := range []*implementation{awsLoadBalancer(), envoyGateway()} {
		t.Run(m.kind, func(t *testing.T) {
			t.Parallel()
			actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target {
				s := newScene(t)
				p, err := m.answerParams(s.namespace, "noren-web-closed", m.spec(with, true))
				must(t, err)
				must(t, p.Validate())
				typed, err := openAnswer(s.conn, p)
				must(t, err)
				in := driver.Bare(typed)
				other := with
				other.Body = "theirs"
				return actiontest.Target{
					Name: m.word + " " + s.namespace + "/noren-web-closed", Change: in.Change, Marked: in.Marker.Marked,
					Mark: func(t testing.TB) *action.Mark { return s.mark(t, m.resource, "noren-web-closed") },
					Meddle: func(t testing.TB) {
						var spec map[string]any
						must(t, json.Unmarshal(rawJSON(t, m.spec(other, true)), &spec))
						if s.live(t, m.resource, "noren-web-closed") != nil {
							s.edit(t, m.resource, "noren-web-closed", func(u *unstructured.Unstructured) { u.Object["spec"] = spec })
							return
						}
						v, err := s.version(t.Context(), m.resource)
						must(t, err)
						u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": m.group + "/" + v, "kind": m.kind,
							"metadata": map[string]any{"name": "noren-web-closed"}, "spec": spec}}
						_, err = s.objects(t, m.resource).Create(t.Context(), u, metav1.CreateOptions{})
						must(t, err)
					},
					LoseNextAnswer: s.loseNext, Writes: s.count,
				}
			}})
		})
	}
}

// TestPageKeepsTheContract is for gatewayapi/page, whose change is that
// of package kubepage.
func TestPageKeepsTheContract(t *testing.T) {
	t.Parallel()
	actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target {
		s := newScene(t)
		p, err := kubepage.NewParams(s.namespace, "noren-web-page", pageapi.Page{Hosts: []string{"shop.example.com"}, Response: closedPage})
		must(t, err)
		typed, err := kubepage.Open(s.client, name, s.env, p)
		must(t, err)
		in := driver.Bare(typed)
		maps := s.client.Typed.CoreV1().ConfigMaps(s.namespace)
		return actiontest.Target{
			Name: "configmap " + s.namespace + "/noren-web-page", Change: in.Change, Marked: in.Marker.Marked,
			Mark: func(t testing.TB) *action.Mark {
				cm, err := maps.Get(t.Context(), "noren-web-page", metav1.GetOptions{})
				if apierrors.IsNotFound(err) {
					return nil
				}
				must(t, err)
				return markOn(cm)
			},
			Meddle: func(t testing.TB) {
				s.apply(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: noren-web-page, namespace: NS}\ndata: {closed.html: theirs}\n")
				_, err := maps.Get(t.Context(), "noren-web-page", metav1.GetOptions{})
				must(t, err)
			},
			LoseNextAnswer: s.loseNext, Writes: s.count,
		}
	}})
}

const webVirtualService = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: NS, annotations: {owner: shop}}
spec:
  hosts: [shop.example.com]
  gateways: [public]
  http:
  - name: api
    match: [{uri: {prefix: /api}}]
    route: [{destination: {host: api, port: {number: 80}}, weight: 90}, {destination: {host: api-next}, weight: 10}]
  - route: [{destination: {host: web}}]
`
