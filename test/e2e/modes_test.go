package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/driver/all"
	"github.com/noren-dev/noren/internal/edge"
)

// settled asks until the answer is not that of a target group whose targets
// are still registering.
func (s *shop) settled(t testing.TB, q question) answer {
	t.Helper()
	for range 20 {
		a, err := s.ask(t.Context(), q)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		if !a.noTarget {
			return a
		}
	}
	t.Fatalf("%+v: its target group never got healthy", q)
	return answer{}
}

// TestOnlyWritesAreClosed: while a database is moved, customers can still look
// at the shop; what they send is refused.
func TestOnlyWritesAreClosed(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	before, state := s.objects(t), t.TempDir()
	s.noren(t, state, "close", "--env", "prod", "--read-only", "--confirm", "prod").must(t, 0)
	s.sim.CatchUp(t)
	for _, host := range []string{"shop", "api", "solo"} {
		for method, want := range map[string]int{"GET": 200, "HEAD": 200, "OPTIONS": 200, "POST": 503, "PUT": 503, "PATCH": 503, "DELETE": 503} {
			if a := s.settled(t, question{method: method, host: s.host(host), path: "/cart"}); a.code != want {
				t.Errorf("%s %s/cart answers %d, want %d", method, host, a.code, want)
			}
		}
	}
	if a := s.settled(t, question{method: "POST", host: s.host("other")}); a.code != 200 {
		t.Errorf("another team's host refuses a write: %d", a.code)
	}
	if a := s.settled(t, question{method: "POST", host: s.host("api")}); a.kind != "application/json" {
		t.Errorf("the API refuses a write with %s, want JSON", a.kind)
	}
	s.noren(t, state, "open", "--confirm", "prod").must(t, 0)
	s.same(t, before)
}

// TestOnlySomePathsAreClosed: the checkout is down, the rest of the shop is not.
func TestOnlySomePathsAreClosed(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	before, state := s.objects(t), t.TempDir()
	s.noren(t, state, "close", "shop", "solo", "--env", "prod", "--path", "/checkout/*", "--path", "/pay", "--confirm", "prod").must(t, 0)
	s.sim.CatchUp(t)
	for _, host := range []string{"shop", "solo"} {
		for path, want := range map[string]int{"/": 200, "/cart": 200, "/checkout/1": 503, "/pay": 503, "/payment": 200, "/checkout": 200} {
			if a := s.settled(t, question{host: s.host(host), path: path}); a.code != want {
				t.Errorf("%s%s answers %d, want %d", host, path, a.code, want)
			}
		}
	}
	s.noren(t, state, "open", "--confirm", "prod").must(t, 0)
	s.same(t, before)
}

// TestKeptOpen: payment providers and ACME challenges still get through.
func TestKeptOpen(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *shopOptions) { o.web = "    keep_open: [/webhooks/*, /.well-known/acme-challenge/*]\n" })
	before, state := s.objects(t), t.TempDir()
	s.noren(t, state, "close", "shop", "--env", "prod", "--confirm", "prod").must(t, 0)
	s.sim.CatchUp(t)
	for path, want := range map[string]int{"/": 503, "/webhooks/stripe": 200, "/.well-known/acme-challenge/x": 200, "/webhooks": 503} {
		if a := s.settled(t, question{method: "POST", host: s.host("shop"), path: path}); a.code != want {
			t.Errorf("shop%s answers %d, want %d", path, a.code, want)
		}
	}
	s.noren(t, state, "open", "--confirm", "prod").must(t, 0)
	s.same(t, before)
}

// richPaths give the shop's Ingress every kind of path.
const richPaths = `          - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
          - {path: /v1, pathType: Prefix, backend: {service: {name: api, port: {number: 80}}}}
          - {path: /about, pathType: Exact, backend: {service: {name: other, port: {number: 80}}}}
          - {path: /img/*.png, pathType: ImplementationSpecific, backend: {service: {name: solo, port: {number: 80}}}}
`

// TestWhoSeesTellsTheTruth compares, for several ways to close and many random
// requests, what who-sees says with what visitors get: what is so now, before
// and while closed, and what would be so when closed.
func TestWhoSeesTellsTheTruth(t *testing.T) {
	t.Parallel()
	closings := [][]string{
		nil,
		{"--read-only"},
		{"--path", "/v1/*", "--path", "/about"},
		{"--allow", "127.0.0.2"},
		{"--read-only", "--allow", "127.0.0.2/31", "--pass"},
	}
	for i, flags := range closings {
		t.Run(strings.Join(append([]string{"closed"}, flags...), " "), func(t *testing.T) {
			t.Parallel()
			s := newShop(t, func(o *shopOptions) {
				o.paths, o.bypass = richPaths, "{}"
				o.web = []string{"", "    keep_open: [/v1/hooks/*]\n"}[i%2]
			})
			state := t.TempDir()
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			random := rand.New(rand.NewPCG(seed, 1))
			asked := make([]question, 60)
			promised := make([]edge.Decision, len(asked))
			for i := range asked {
				asked[i] = s.randomQuestion(random)
				now, then := s.whoSees(t, state, flags, asked[i])
				s.agrees(t, "before", asked[i], now)
				promised[i] = then
			}
			s.noren(t, state, append([]string{"close", "shop", "solo", "--env", "prod", "--confirm", "prod"}, flags...)...).must(t, 0)
			s.sim.CatchUp(t) // the page is up; staff are let in a moment later
			for i, q := range asked {
				s.agrees(t, "closed, as promised", q, promised[i])
				now, _ := s.whoSees(t, state, flags, q)
				s.agrees(t, "closed, as it is now", q, now)
			}
			s.noren(t, state, "open", "--confirm", "prod").must(t, 0)
		})
	}
}

// randomQuestion asks one of the hosts that shop and solo serve.
func (s *shop) randomQuestion(r *rand.Rand) question {
	one := func(of ...string) string { return of[r.IntN(len(of))] }
	q := question{
		method: one("GET", "GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH"),
		host:   s.host(one("shop", "shop", "shop", "solo")),
		path: one("/", "/cart", "/v1", "/v1/", "/v1/items", "/v10", "/v1/hooks/a", "/about", "/about/", "/About", "/img/a.png", "/img/a/b.png",
			"/img/a.gif", "/img/.png", "/a%2Fb", "/v1?x=1", "//", "/日本"),
		from: one("127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.9"),
	}
	if r.IntN(4) == 0 {
		q.header = []string{one(edge.ProbeHeader, edge.PassHeader, "X-Other"), "1"}
	}
	return q
}

// whoSees asks package control, of which the command who-sees is a face.
func (s *shop) whoSees(t testing.TB, state string, flags []string, q question) (now, then edge.Decision) {
	t.Helper()
	cat, err := catalog.Load(s.dir+"/noren.yaml", control.Known(all.Registry()))
	if err != nil {
		t.Fatal(err)
	}
	c, err := control.Open(t.Context(), control.Options{Catalog: cat, Registry: all.Registry(), StateDir: state, Now: time.Now, Actor: "e2e"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	req := control.CloseRequest{Environment: "prod"}
	for i, f := range flags {
		switch f {
		case "--read-only":
			req.Mode = edge.ReadOnly
		case "--pass":
			req.Pass = true
		case "--path":
			req.Mode, req.Paths = edge.Paths, append(req.Paths, flags[i+1])
		case "--allow":
			text := flags[i+1]
			if !strings.Contains(text, "/") {
				text += "/32"
			}
			req.Sources = append(req.Sources, netip.MustParsePrefix(text))
		}
	}
	path, query, _ := strings.Cut(q.path, "?")
	r := edge.Request{Scheme: "http", Method: q.method, Host: q.host, Path: (&http.Request{URL: mustURL(t, path)}).URL.EscapedPath(), Query: query,
		Header: http.Header{}, Source: netip.MustParseAddr(q.from)}
	for i := 0; i+1 < len(q.header); i += 2 {
		r.Header.Set(q.header[i], q.header[i+1])
	}
	sights, err := c.WhoSees(t.Context(), r, req)
	if err != nil || len(sights) != 1 {
		t.Fatalf("who-sees %+v: %d answers, %v", q, len(sights), err)
	}
	return sights[0].Now, sights[0].Then
}

// agrees compares a decision with the answer that a visitor gets.
func (s *shop) agrees(t testing.TB, when string, q question, d edge.Decision) {
	t.Helper()
	a := s.settled(t, q)
	good := false
	switch d.Action.Kind {
	case edge.Forward:
		name := strings.TrimSuffix(strings.TrimPrefix(d.Action.Backend, "service "+s.ns+"/"), ":80")
		good = a.code == 200 && (q.method == "HEAD" || strings.HasPrefix(a.body, name+" answers"))
	case edge.Respond:
		// The mark differs: every plan has one of its own.
		good = a.code == d.Action.Response.Status && strings.HasPrefix(a.kind, d.Action.Response.ContentType) &&
			(q.method == "HEAD" || len(a.body) == len(d.Action.Response.Body))
	}
	if !good {
		t.Errorf("%s: %+v is decided by %s: %s; the visitor gets %d %s %.80q", when, q, d.Rule, d.Action, a.code, a.kind, a.body)
	}
}

// TestWhoSeesAsTyped asks the command itself.
func TestWhoSeesAsTyped(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	state := t.TempDir()
	for _, c := range []struct {
		args      []string
		now, then string
	}{
		{[]string{"http://" + s.host("shop") + "/cart"}, "forward", "respond"},
		{[]string{"http://" + s.host("shop") + "/cart", "--from", "203.0.113.7"}, "forward", "forward"},
		{[]string{"http://" + s.host("shop") + "/cart", "--from", "203.0.113.7", "--header", edge.ProbeHeader + ": 1"}, "forward", "respond"},
		{[]string{"http://" + s.host("solo") + "/", "--read-only"}, "forward", "forward"},
		{[]string{"http://" + s.host("solo") + "/", "--read-only", "-X", "POST"}, "forward", "respond"},
	} {
		out := s.noren(t, state, append([]string{"who-sees", "--env", "prod", "--output", "json"}, c.args...)...).must(t, 0).out
		var got struct {
			Sights []struct {
				Now  edge.Decision `json:"now"`
				Then edge.Decision `json:"whenClosed"`
			}
		}
		if err := json.Unmarshal([]byte(out), &got); err != nil || len(got.Sights) != 1 {
			t.Errorf("%v: %v\n%s", c.args, err, out)
			continue
		}
		if now, then := string(got.Sights[0].Now.Action.Kind), string(got.Sights[0].Then.Action.Kind); now != c.now || then != c.then {
			t.Errorf("%v: now %s, when closed %s; want %s and %s", c.args, now, then, c.now, c.then)
		}
	}
	s.noren(t, state, "who-sees", "http://shpo."+s.ns+".example.com/", "--env", "prod").must(t, 1).says(t, "Did you mean", s.host("shop"))
	text := s.noren(t, state, "who-sees", "http://"+s.host("shop")+"/", "--env", "prod").must(t, 0)
	text.says(t, fmt.Sprintf("ingress %s/web", s.ns), "noren")
}
