package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// broken is an Ingress of another team in the shop's group whose action is no
// JSON: it passes admission, and freezes the whole group.
func (s *shop) broken() string {
	return strings.Replace(strings.NewReplacer("name: other\n  namespace", "name: broken\n  namespace", s.host("other"), s.host("broken")).Replace(s.manifest("other")),
		"  annotations:\n", "  annotations:\n    alb.ingress.kubernetes.io/actions.oops: '{\"type\": \"fixed-response\", '\n", 1) +
		"          - {path: /oops, pathType: Prefix, backend: {service: {name: oops, port: {name: use-annotation}}}}\n"
}

// TestBrokenNeighbour: nothing is written to a load balancer that would not
// follow, and the operator learns whose Ingress is in the way.
func TestBrokenNeighbour(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.server.Apply(t, s.broken())
	s.sim.CatchUp(t)
	before := s.objects(t)
	s.noren(t, t.TempDir(), "close", "--env", "prod", "--confirm", "prod").must(t, 10).
		says(t, s.ns+"/broken", "nothing: this run wrote nothing")
	s.same(t, before)
}

// TestNeighbourBreaksMeanwhile: the load balancer stops following just after
// the page was written. noren goes back, and is done once that has come true.
func TestNeighbourBreaksMeanwhile(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	before := s.objects(t)
	h, back := newHold(t, "applied close"), newHold(t, "undo ")
	closing := start(t, s.dir, t.TempDir(), []string{patience + "=1s", h.env + "\n" + strings.TrimPrefix(back.env, holdAt+"=")},
		"close", "shop", "--env", "prod", "--confirm", "prod")
	h.reached(t)
	s.sim.CatchUp(t)
	good := time.Now().Unix() // the controller's events have no finer times: of one second, none is the last
	until(t, "a second has passed", func() bool { return time.Now().Unix() > good })
	s.server.Apply(t, s.broken())
	s.sim.CatchUp(t)
	h.release()
	back.reached(t)
	if err := s.client.Resource(ingresses).Namespace(s.ns).Delete(t.Context(), "broken", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	back.release()
	closing.wait(t).must(t, 10).says(t, "FailedBuildModel", "broken", "every change of this run was taken back")
	until(t, "the broken Ingress is gone", func() bool { return s.objects(t)[s.key("broken")] == "" })
	s.same(t, before)
}

// TestCannotBeProved: a probe that meets another answer than our page makes
// noren go back, and say where it asked and what it got.
func TestCannotBeProved(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	before := s.objects(t)
	s.unprovable(t)
	s.env = []string{patience + "=2s"}
	s.noren(t, t.TempDir(), "close", "--env", "prod", "--confirm", "prod").must(t, 10).
		says(t, "http://"+s.host("solo")+"/", "200 by the application", "always open", "every change of this run was taken back", "curl")
	s.same(t, before)
	s.sim.CatchUp(t)
	for _, host := range []string{"shop", "api"} {
		if code, _ := s.get(t, host, "/"); code != 200 {
			t.Errorf("%s answers %d", host, code)
		}
	}
}

// TestLoginBeforeThePage: where visitors meet a login before the page, no probe
// can see it. noren refuses that at once instead of finding it out at night, and
// closes all the same when told to, saying what is not proved.
func TestLoginBeforeThePage(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *shopOptions) { o.byHand = true })
	s.edit(t, ingresses, "solo", func(o map[string]any) {
		for key, value := range map[string]string{"listen-ports": `[{"HTTP":80},{"HTTPS":443}]`, "certificate-arn": "arn:aws:acm:eu-west-1:1:certificate/c",
			"auth-type": "oidc", "auth-idp-oidc": `{"issuer":"https://login.example.com","secretName":"oidc"}`} {
			set(t, o, value, "metadata", "annotations", "alb.ingress.kubernetes.io/"+key)
		}
	})
	s.sim.CatchUp(t)
	before, state := s.objects(t), t.TempDir()
	args := []string{"close", "solo", "--env", "prod", "--confirm", "prod"}
	https := "https://" + s.host("solo") + "/"
	s.noren(t, state, args...).must(t, 2).says(t, "closing cannot be proved", "solo, at "+https+": Visitors must log in before they see the page",
		"group.name", "Nothing was touched", "noren close solo --env prod --unproved")
	s.noren(t, state, "plan", "close", "solo", "--env", "prod").must(t, 2)
	s.noren(t, state, "check", "--live").says(t, "closing cannot be proved")
	s.same(t, before)

	args = append(args, "--unproved")
	s.noren(t, state, args...).must(t, 0).says(t, "Prove closed: http://"+s.host("solo")+"/", "Closed, but NOT PROVED everywhere: solo",
		"NOT PROVED  solo at "+https+": Visitors must log in")
	if code, _ := s.get(t, "solo", "/"); code != 503 {
		t.Errorf("solo answers %d", code)
	}
	s.noren(t, state, "status").must(t, 0).says(t, "NOT PROVED  at "+https)
	s.noren(t, state, append(args, "--output", "json")...).must(t, 0).says(t, `"unproved":["solo at `+https)
	s.noren(t, state, "open", "--confirm", "prod").must(t, 0).says(t, "Open, but NOT PROVED everywhere: solo", "NOT PROVED  solo at "+https)
	s.same(t, before)
}

// TestNeverOpensOntoASickService: with no ready endpoint behind it, a service
// stays closed unless told otherwise.
func TestNeverOpensOntoASickService(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	before := s.objects(t)
	state := s.closed(t, "shop")
	ready := func(r bool) {
		s.edit(t, endpointSlices, "web-1", func(o map[string]any) {
			set(t, o, []any{map[string]any{"addresses": []any{"10.0.0.1"}, "conditions": map[string]any{"ready": r}}}, "endpoints")
		})
	}
	ready(false)
	s.env = []string{patience + "=2s"}
	s.noren(t, state, "open", "--confirm", "prod").must(t, 10).says(t, "service "+s.ns+"/web has no ready endpoint (0 of 1)", "nothing: this run wrote nothing")
	if code, _ := s.get(t, "shop", "/"); code != 503 {
		t.Errorf("shop answers %d, want 503", code)
	}
	s.noren(t, state, "status").must(t, 0).says(t, "closed since")
	s.noren(t, state, "open", "--confirm", "prod", "--even-if-sick").must(t, 0)
	s.same(t, before)
}

// TestSickAfterOpening: the page is gone and the health check fails. noren
// closes again, as it was told to, and names the check.
func TestSickAfterOpening(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	sick := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "migrating", http.StatusInternalServerError)
	}))
	t.Cleanup(sick.Close)
	before := s.objects(t)
	state := s.closed(t, "shop")
	closed := s.objects(t)
	s.sim.Backend(s.ns+"/web:80", sick.Listener.Addr().String())
	s.env = []string{patience + "=2s"}
	s.noren(t, state, "open", "--confirm", "prod").must(t, 10).says(t, "http://"+s.host("shop")+"/healthz", "expected 200, got 500", "migrating")
	s.sim.CatchUp(t)
	until(t, "the page is there again", func() bool {
		code, _ := s.get(t, "shop", "/")
		return code == 503
	})
	if len(s.objects(t)) != len(closed) {
		t.Errorf("not closed again: %d objects, want %d", len(s.objects(t)), len(closed))
	}
	s.application(t, "web")
	s.noren(t, state, "open", "--confirm", "prod").must(t, 0)
	s.same(t, before)
}

// TestHealthURLAnswersWithOurPage: a door that keeps answering with our page
// does not count as healthy, whatever its status.
func TestHealthURLAnswersWithOurPage(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	state := s.closed(t, "shop")
	_, page := s.get(t, "shop", "/")
	copied := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, page) }))
	t.Cleanup(copied.Close)
	s.sim.Backend(s.ns+"/web:80", copied.Listener.Addr().String()) // a cache in front, say
	s.env = []string{patience + "=2s"}
	s.noren(t, state, "open", "--confirm", "prod").must(t, 10).says(t, "noren's own page (200", "still noren's page")
}

var endpointSlices = schema.GroupVersionResource{Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices"}
