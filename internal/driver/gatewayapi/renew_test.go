package gatewayapi

import (
	"encoding/json"
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

// laterPage is the page of the same closing with another end.
func laterPage() edge.Response {
	p := closedPage
	p.Body, p.Header = strings.Replace(p.Body, "closed", "closed until 04:00", 1), map[string]string{"Retry-After": "Tue, 24 Nov 2026 19:00:00 GMT"}
	return p
}

// A renewal holds a change in place to the contract: its untouched target is
// closed already, and what it proposes is another page.
type renewal[F any] struct {
	driver.Typed[F]
	renew driver.TypedRenewer[F]
}

func (r renewal[F]) Propose(from *F) (*F, error) {
	return r.renew.Renew(from, laterPage(), []string{closedPage.Mark})
}

func (r renewal[F]) Marked(m action.Mark) driver.Typed[F] {
	return r.Typed.(driver.TypedMarker[F]).Marked(m)
}

// renewing closes the change's target and returns the renewal of its page.
func renewing[F any](t testing.TB, typed driver.Typed[F]) *driver.Instance {
	t.Helper()
	from, err := typed.Observe(t.Context())
	must(t, err)
	to, err := typed.Propose(from)
	must(t, err)
	must(t, typed.Apply(t.Context(), from, to))
	return driver.Bare[F](renewal[F]{typed, typed.(driver.TypedRenewer[F])})
}

// TestAnswerRenewedKeepsTheContract is for an answer changed in place.
func TestAnswerRenewedKeepsTheContract(t *testing.T) {
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
				typed, err := openAnswer(s.conn, p)
				must(t, err)
				in := renewing(t, typed)
				other := with
				other.Body = "theirs"
				return actiontest.Target{
					Name: m.word + " " + s.namespace + "/noren-web-closed", Change: in.Change, Marked: in.Marker.Marked,
					Mark: func(t testing.TB) *action.Mark { return s.mark(t, m.resource, "noren-web-closed") },
					Meddle: func(t testing.TB) {
						var spec map[string]any
						must(t, json.Unmarshal(rawJSON(t, m.spec(other, true)), &spec))
						s.edit(t, m.resource, "noren-web-closed", func(u *unstructured.Unstructured) { u.Object["spec"] = spec })
					},
					LoseNextAnswer: s.loseNext, Writes: s.count,
				}
			}})
		})
	}
}

// TestVirtualServiceRenewedKeepsTheContract is for entries changed in place.
func TestVirtualServiceRenewedKeepsTheContract(t *testing.T) {
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
		return s.inserted(t, virtualServices(), "web", renewing(t, typed), map[string]any{"name": "noren-theirs", "directResponse": map[string]any{"status": int64(200)}})
	}})
}

// TestPageRenewedKeepsTheContract is for a page changed in place: both pages are
// in the parameters of the renewal.
func TestPageRenewedKeepsTheContract(t *testing.T) {
	t.Parallel()
	actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target {
		s := newScene(t)
		p, err := kubepage.NewParams(s.namespace, "noren-web-page", pageapi.Page{Hosts: []string{"shop.example.com"}, Response: closedPage})
		must(t, err)
		first, err := kubepage.Open(s.client, name, s.env, p)
		must(t, err)
		now, err := first.Propose(nil)
		must(t, err)
		must(t, first.Apply(t.Context(), nil, now))
		params, err := first.(driver.TypedReparameter[kubepage.State]).Params(now, laterPage())
		must(t, err)
		typed, err := kubepage.Open(s.client, name, s.env, params.(kubepage.Params))
		must(t, err)
		in := driver.Bare[kubepage.State](renewal[kubepage.State]{typed, typed.(driver.TypedRenewer[kubepage.State])})
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
				cm, err := maps.Get(t.Context(), "noren-web-page", metav1.GetOptions{})
				must(t, err)
				cm.Data["closed.html"] = "theirs"
				_, err = maps.Update(t.Context(), cm, metav1.UpdateOptions{})
				must(t, err)
			},
			LoseNextAnswer: s.loseNext, Writes: s.count,
		}
	}})
}

// TestRulesOfARouteShowNoPage: they lead to one, which is renewed in its place.
func TestRulesOfARouteShowNoPage(t *testing.T) {
	t.Parallel()
	typed, err := openRoute(&conn{}, InsertParams{Namespace: "shop", Name: "web", Signs: []string{"noren-web-closed"}})
	must(t, err)
	r := typed.(driver.TypedRenewer[Inserted])
	s := &Inserted{Rules: []json.RawMessage{rawJSON(t, map[string]any{"filters": []any{awsLoadBalancer().filter("noren-web-closed")}})}}
	if _, shows := r.Shows(s, []string{closedPage.Mark}); shows {
		t.Error("a rule of a route is taken for a page")
	}
}
