package e2e

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/page"
)

// browse sends a request to one of the shop's hosts and returns all of the
// answer.
func (s *shop) browse(t testing.TB, method, host, path string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.host(host)+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, s.addr[s.host(host)])
	}}
	res, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// TestCloseByThePageServer closes an Ingress of a class that noren does not
// know, with a page that no load balancer would send.
func TestCloseByThePageServer(t *testing.T) {
	t.Parallel()
	s := newShop(t, withStall)
	before, state := s.objects(t), t.TempDir()
	s.noren(t, state, "check", "--live", "--env", "prod").must(t, 0).says(t, "permitted")
	s.noren(t, state, "plan", "close", "stall", "--env", "prod").must(t, 0).
		says(t, "backend", "lead ingress "+s.ns+"/stall to the page server", "-> service "+s.ns+"/noren-page:80", "bytes of a page's ConfigMap")
	s.same(t, before)
	s.noren(t, state, "close", "stall", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 0).says(t, "stall")
	s.edit(t, ingresses, "stall", func(object map[string]any) { // wakes Argo CD, which is paused and leaves the page
		object["metadata"].(map[string]any)["annotations"].(map[string]any)["team"] = "storefront"
	})

	res, body := s.browse(t, "GET", "stall", "/cart", "Accept", "text/html,*/*;q=0.8")
	if res.StatusCode != 503 || len(body) < 2500 || !strings.Contains(body, longMessage[:60]) || res.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("a browser sees %d %s, %d bytes", res.StatusCode, res.Header.Get("Content-Type"), len(body))
	}
	if res.Header.Get("Retry-After") == "" || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", res.Header)
	}
	html, _ := page.MarkIn([]byte(body))
	res, body = s.browse(t, "POST", "stall", "/api/orders", "Accept", "application/json", "Origin", "https://app.example.com")
	json, ok := page.MarkIn([]byte(body))
	if res.StatusCode != 503 || res.Header.Get("Content-Type") != "application/problem+json" || !ok || json != html {
		t.Errorf("a program sees %d %s %.80s, mark %q and %q", res.StatusCode, res.Header.Get("Content-Type"), body, json, html)
	}
	if res.Header.Get("Access-Control-Allow-Origin") != "https://app.example.com" || res.Header.Get("Access-Control-Expose-Headers") != "Retry-After" {
		t.Errorf("a script may not read it: %v", res.Header)
	}
	res, _ = s.browse(t, "OPTIONS", "stall", "/api/orders", "Origin", "https://app.example.com", "Access-Control-Request-Method", "PUT")
	if res.StatusCode != 204 || res.Header.Get("Access-Control-Allow-Methods") != "PUT" {
		t.Errorf("a preflight: %d %v", res.StatusCode, res.Header)
	}
	if code, body := s.get(t, "nextdoor", "/"); code != 200 {
		t.Errorf("next door: %d %s", code, body)
	}
	s.noren(t, state, "who-sees", "http://"+s.host("stall")+"/cart", "--env", "prod").must(t, 0).says(t, "503", "page server")
	s.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
	if code, body := s.get(t, "stall", "/api/x"); code != 200 || !strings.HasPrefix(body, "stallapi answers") {
		t.Errorf("opened: %d %s", code, body)
	}
	s.same(t, before)
}

// TestColleagueWhileClosedByThePageServer adds a path and an annotation, and
// finds them as they were written.
func TestColleagueWhileClosedByThePageServer(t *testing.T) {
	t.Parallel()
	s := newShop(t, withStall, func(o *shopOptions) { o.byHand = true })
	state := t.TempDir()
	s.noren(t, state, "close", "stall", "--env", "prod", "--confirm", "prod").must(t, 0)
	add := func(object map[string]any) {
		object["metadata"].(map[string]any)["annotations"].(map[string]any)["note"] = "theirs"
		rule := object["spec"].(map[string]any)["rules"].([]any)[0].(map[string]any)["http"].(map[string]any)
		rule["paths"] = append([]any{map[string]any{"path": "/new", "pathType": "Exact",
			"backend": map[string]any{"service": map[string]any{"name": "nextdoor", "port": map[string]any{"number": int64(80)}}}}}, rule["paths"].([]any)...)
	}
	s.edit(t, ingresses, "stall", add)
	s.market.sim.CatchUp(t)
	if code, body := s.get(t, "stall", "/new"); code != 200 {
		t.Errorf("their new path: %d %s", code, body)
	}
	s.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
	s.market.sim.CatchUp(t)
	for path, want := range map[string]string{"/new": "nextdoor answers", "/": "stall answers", "/api": "stallapi answers"} {
		if code, body := s.get(t, "stall", path); code != 200 || !strings.HasPrefix(body, want) {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	if text := s.objects(t)["networking.k8s.io/v1/ingresses/"+s.ns+"/stall"]; !strings.Contains(text, `"note": "theirs"`) || strings.Contains(text, "noren.dev/mark") {
		t.Errorf("the Ingress is\n%s", text)
	}
}

// TestOnlySomePathsLeadToThePageServer closes a path that the Ingress has, and
// keeps one open; what cuts through a path is refused.
func TestOnlySomePathsLeadToThePageServer(t *testing.T) {
	t.Parallel()
	s := newShop(t, withStall)
	before, state := s.objects(t), t.TempDir()
	s.noren(t, state, "close", "stall", "--env", "prod", "--path", "/api", "--path", "/api/*", "--confirm", "prod").must(t, 0)
	s.market.sim.CatchUp(t)
	for path, want := range map[string]int{"/": 200, "/apiary": 200, "/api": 503, "/api/orders": 503} {
		if code, _ := s.get(t, "stall", path); code != want {
			t.Errorf("%s answers %d, want %d", path, code, want)
		}
	}
	s.noren(t, state, "open", "--confirm", "prod").must(t, 0)
	s.same(t, before)
	for _, c := range []struct {
		flags []string
		says  []string
	}{
		{[]string{"--path", "/cart/*"}, []string{"/cart/*", "only a part of", "overlay and patch"}},
		{[]string{"--read-only"}, []string{"read-only mode", "overlay and patch", "gate"}},
		{[]string{"--allow", "203.0.113.7", "--pass"}, []string{"staff by address", "staff by pass"}},
	} {
		s.noren(t, state, append([]string{"close", "stall", "--env", "prod", "--confirm", "prod"}, c.flags...)...).must(t, 2).says(t, c.says...)
	}
	s.same(t, before)
}

// TestNoPageServer: without one that could answer, nothing is written.
func TestNoPageServer(t *testing.T) {
	t.Parallel()
	s := newShop(t, withStall)
	before, state := s.objects(t), t.TempDir()
	s.rewrite(t, "page_service: noren-page", "page_service: nowhere")
	s.noren(t, state, "close", "stall", "--env", "prod", "--confirm", "prod").must(t, 10).says(t, "there is no service "+s.ns+"/nowhere", "noren page manifest --namespace "+s.ns)
	s.rewrite(t, ", page_service: nowhere", "")
	s.noren(t, state, "close", "stall", "--env", "prod", "--confirm", "prod").must(t, 2).says(t, "needs a page server", "noren page manifest --namespace "+s.ns)
	s.same(t, before)
}

// TestLargePagesLeaveALoadBalancerAlone closes Ingresses of the AWS Load
// Balancer Controller, in a group and alone, with a page that it cannot send.
func TestLargePagesLeaveALoadBalancerAlone(t *testing.T) {
	t.Parallel()
	long := "    page: {message: {en: \"" + longMessage + "\"}, languages: [en]}\n"
	s := newShop(t, withStall, func(o *shopOptions) {
		o.web = long
		o.bypass = "{sources: [127.0.0.2/32]}"
	})
	s.rewrite(t, "/solo}]\n", "/solo}]\n"+long)
	before, state := s.objects(t), t.TempDir()
	s.noren(t, state, "page", "check", "shop").must(t, 0).says(t, "no limit")
	s.noren(t, state, "close", "shop", "solo", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 0)
	for _, host := range []string{"shop", "solo"} {
		s.settled(t, question{host: s.host(host)}) // its target group is new
		res, body := s.browse(t, "GET", host, "/")
		if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || !strings.Contains(body, longMessage[:60]) {
			t.Errorf("%s: %d %v %.80s", host, res.StatusCode, res.Header, body)
		}
		if a := s.settled(t, question{host: s.host(host), from: "127.0.0.2"}); a.code != 200 {
			t.Errorf("staff at %s see %d", host, a.code)
		}
	}
	if code, _ := s.get(t, "other", "/"); code != 200 {
		t.Errorf("another team's host answers %d", code)
	}
	s.noren(t, state, "who-sees", "http://"+s.host("shop")+"/", "--env", "prod").must(t, 0).says(t, "503")
	s.noren(t, state, "open", "--confirm", "prod").must(t, 0)
	s.same(t, before)
}
