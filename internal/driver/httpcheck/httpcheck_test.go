package httpcheck_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/httpcheck"
	"github.com/noren-dev/noren/internal/edge"
)

const mark = "run-7.a1"

func ourPage(status int, mark string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		fmt.Fprintf(w, `<!doctype html><html lang=ja><meta name=noren content=%s><title>Closed</title>`, mark)
	}
}

func text(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

func redirect(status int, to string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(status)
	}
}

// serve starts a server on ip:port (port 0: any) and returns its address.
func serve(t *testing.T, at string, h http.Handler, tls bool) (string, *httptest.Server) {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	s.Listener.Close()
	s.Listener = l
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that fail on purpose
	if tls {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return l.Addr().String(), s
}

func check(t *testing.T, cfg httpcheck.Config, name string, params any) action.Verdict {
	t.Helper()
	v, err := open(t, cfg, name, params).Check.Check(t.Context())
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

func open(t *testing.T, cfg httpcheck.Config, name string, params any) *driver.Instance {
	t.Helper()
	in, err := tryOpen(t, cfg, name, params)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func tryOpen(t *testing.T, cfg httpcheck.Config, name string, params any) (*driver.Instance, error) {
	t.Helper()
	s := driver.NewRegistry(httpcheck.Driver()).Open(driver.Env{Name: "test"}, map[string]json.RawMessage{"http": asJSON(t, cfg)})
	return s.Action(t.Context(), name, asJSON(t, params))
}

func asJSON(t *testing.T, v any) json.RawMessage {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func resolving(addrs ...string) httpcheck.Config {
	return httpcheck.Config{Resolve: map[string]string{"shop.example.com:80": strings.Join(addrs, ","), "shop.example.com:443": strings.Join(addrs, ",")}}
}

func wantFinding(t *testing.T, v action.Verdict, parts ...string) {
	t.Helper()
	if v.OK || len(v.Findings) != 1 {
		t.Fatalf("got %+v, want one finding", v)
	}
	for _, p := range parts {
		if !strings.Contains(v.Findings[0], p) {
			t.Errorf("finding %q lacks %q", v.Findings[0], p)
		}
	}
}

func TestClosedSaysWhatWasAnsweredInstead(t *testing.T) {
	t.Parallel()
	alb := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Server", "awselb/2.0")
		w.WriteHeader(503)
		fmt.Fprint(w, "<html><head><title>503 Service Temporarily Unavailable</title></head></html>")
	}
	login := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="staff"`)
		w.WriteHeader(401)
	}
	hangUp := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	for name, c := range map[string]struct {
		door http.HandlerFunc
		want []string // none: OK
	}{
		"our page":             {door: ourPage(503, mark)},
		"application":          {text(200, "Welcome\x1b[2J\u202e to\n  the shop"), []string{"http://shop.example.com/ at 127.0.0.1:", "200 by the application (text/plain, “Welcome[2J to the shop”)"}},
		"title":                {text(404, "<title>Not\nfound</title><p>x"), []string{"404 by the application (text/plain, “Not found”)"}},
		"another closing":      {ourPage(503, "run-6"), []string{"another closing (mark run-6)"}},
		"status changed":       {ourPage(200, mark), []string{"noren's page with status 200 instead of 503"}},
		"no service":           {text(503, "Backend service does not exist"), []string{"503, but not noren's page", "names a Service that is not there"}},
		"no action":            {text(503, "Backend action does not exist"), []string{"action annotation that is not there"}},
		"no targets":           {alb, []string{"by the load balancer itself, which has no target"}},
		"application 503":      {text(503, "busy"), []string{"503, but not noren's page: by the application or a proxy before it (text/plain, “busy”)"}},
		"bad gateway":          {text(502, "x"), []string{"502 from the application or a proxy"}},
		"basic auth":           {login, []string{`401: a login is asked for first (Basic realm="staff")`}},
		"login by path":        {redirect(302, "/users/sign_in?next=secret"), []string{"302 to a login page first (http://shop.example.com/users/sign_in)"}},
		"login by host":        {redirect(302, "https://login.example.com/x"), []string{"302 to a login page first"}},
		"not a login":          {redirect(302, "/blogindex"), []string{"302 to http://shop.example.com/blogindex"}},
		"to https":             {redirect(301, "https://shop.example.com:443/"), []string{"301 to https", "ask the https URL instead"}},
		"nowhere":              {redirect(301, ""), []string{"301 without a place to go"}},
		"long text":            {text(200, strings.Repeat("あ", 500)), []string{strings.Repeat("あ", 80) + "…"}},
		"connection broken":    {hangUp, []string{"the connection was closed before the answer was complete"}},
		"mark beyond 64 KiB":   {text(503, strings.Repeat(" ", 70<<10)+"<meta name=noren content="+mark+">"), []string{"503, but not noren's page"}},
		"mark of a JSON twin":  {door: text(503, `{"title":"Closed","noren":"`+mark+`"}`)},
		"mark in escaped text": {text(503, "&lt;meta name=noren content="+mark+"&gt;"), []string{"not noren's page"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, _ := serve(t, "127.0.0.1:0", c.door, false)
			v := check(t, resolving(addr), "http/closed", httpcheck.ClosedParams{URLs: httpcheck.URLs{"http://shop.example.com/"}, Mark: mark})
			if c.want == nil {
				if !v.OK || len(v.Findings) > 0 || !strings.Contains(v.Summary, "1 URL, 1 address") {
					t.Fatalf("got %+v, want OK", v)
				}
				return
			}
			wantFinding(t, v, c.want...)
			if want := "curl -sS -i --connect-to 'shop.example.com:80:" + addr + "' 'http://shop.example.com/'"; len(v.Try) != 1 || v.Try[0] != want {
				t.Errorf("Try is %q, want %q", v.Try, want)
			}
		})
	}
}

func TestClosedAsksEveryAddressSeveralTimesInARow(t *testing.T) {
	t.Parallel()
	var first, second atomic.Int32
	var conns sync.Map // remote addresses
	counting := func(n *atomic.Int32, h http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			n.Add(1)
			if _, again := conns.LoadOrStore(r.RemoteAddr, true); again {
				t.Errorf("two requests on the connection from %s", r.RemoteAddr)
			}
			h(w, r)
		}
	}
	a, _ := serve(t, "127.0.0.1:0", counting(&first, ourPage(503, mark)), false)
	// The second node takes up the rule late, and falls back once.
	flapping := func(w http.ResponseWriter, r *http.Request) {
		if second.Load() == 3 {
			text(200, "hello")(w, r)
			return
		}
		ourPage(503, mark)(w, r)
	}
	b, _ := serve(t, "127.0.0.2:0", counting(&second, flapping), false)
	p := httpcheck.ClosedParams{URLs: httpcheck.URLs{"http://shop.example.com/cart?a=1"}, Mark: mark, Consecutive: 4}
	v := check(t, resolving(a, b), "http/closed", p)
	wantFinding(t, v, "http://shop.example.com/cart?a=1 at "+b, "(request 3, after 2 right)")
	if first.Load() != 4 {
		t.Errorf("first address was asked %d times, want 4", first.Load())
	}
	v = check(t, resolving(a, b), "http/closed", p)
	if !v.OK || !strings.Contains(v.Summary, "1 URL, 2 addresses") {
		t.Errorf("got %+v, want OK", v)
	}
}

func TestClosedSendsTheProbeHeaderWhenTold(t *testing.T) {
	t.Parallel()
	staff := func(w http.ResponseWriter, r *http.Request) { // an office address: the bypass lets it through
		if r.Header.Get(edge.ProbeHeader) != "" {
			ourPage(503, mark)(w, r)
			return
		}
		text(200, "app")(w, r)
	}
	addr, _ := serve(t, "127.0.0.1:0", http.HandlerFunc(staff), false)
	urls := httpcheck.URLs{"http://shop.example.com/"}
	wantFinding(t, check(t, resolving(addr), "http/closed", httpcheck.ClosedParams{URLs: urls, Mark: mark}), "200 by the application")
	if v := check(t, resolving(addr), "http/closed", httpcheck.ClosedParams{URLs: urls, Mark: mark, Probe: true}); !v.OK {
		t.Errorf("with the probe header: %+v", v)
	}
	v := check(t, resolving(addr), "http/open", httpcheck.OpenParams{URLs: urls})
	wantFinding(t, v, "still noren's page")
	if !strings.Contains(v.Try[0], "-H 'X-Noren-Probe: 1'") {
		t.Errorf("Try is %q", v.Try)
	}
}

// A closing that lets staff in by address is proved by the probe's header; where
// a request without it passes, too, the verdict says so and stays good.
func TestClosedTellsWhereAPlainRequestPasses(t *testing.T) {
	t.Parallel()
	door := func(seen string, plain http.HandlerFunc) string {
		addr, _ := serve(t, "127.0.0.1:0", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get(edge.ProbeHeader) == "" {
				plain(w, r)
				return
			}
			if seen != "" {
				w.Header().Set(edge.SeenHeader, seen)
			}
			ourPage(503, mark)(w, r)
		}), false)
		return addr
	}
	hangUp := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	for name, c := range map[string]struct {
		seen     string
		plain    http.HandlerFunc
		notPlain bool // the parameter is not set: not every request is closed
		want     []string
	}{
		"the page":                       {seen: "203.0.113.9; closed", plain: ourPage(503, mark)},
		"a gate":                         {seen: "10.0.0.5; staff by address", plain: text(200, "app"), want: []string{"passes as staff: seen as 10.0.0.5 (staff by address)", "trusted_proxies"}},
		"a gate that sends nonsense":     {seen: "x\u202e; y", plain: text(200, "app"), want: []string{"seen as x (y)"}},
		"a load balancer":                {plain: text(200, "app"), want: []string{"does not tell by which address", "EVERYONE passes"}},
		"the application does not come":  {plain: hangUp, want: []string{"does not get the page: the connection was closed"}},
		"some requests only":             {seen: "10.0.0.5; staff by address", plain: text(200, "app"), notPlain: true, want: []string{"seen as 10.0.0.5"}},
		"some requests only, a stranger": {seen: "203.0.113.9; open", plain: text(200, "app"), notPlain: true},
		"some requests only, no gate":    {plain: text(200, "app"), notPlain: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := httpcheck.ClosedParams{URLs: httpcheck.URLs{"http://shop.example.com/"}, Mark: mark, Probe: true, Plain: !c.notPlain}
			v := check(t, resolving(door(c.seen, c.plain), door(c.seen, c.plain)), "http/closed", p)
			if !v.OK || len(v.Findings) != min(len(c.want), 1) {
				t.Fatalf("got %+v, want OK and %d findings", v, min(len(c.want), 1))
			}
			for _, want := range c.want {
				if !strings.Contains(v.Findings[0], want) || !strings.Contains(v.Findings[0], "and 1 more: a plain request") {
					t.Errorf("finding %q lacks %q", v.Findings[0], want)
				}
			}
			if len(c.want) > 0 && p.Plain && (len(v.Try) != 1 || strings.Contains(v.Try[0], edge.ProbeHeader)) {
				t.Errorf("Try is %q", v.Try)
			}
		})
	}
}

func TestTLSIsCheckedByTheURLsName(t *testing.T) {
	t.Parallel()
	var host atomic.Value
	page := func(w http.ResponseWriter, r *http.Request) {
		host.Store(r.Host)
		ourPage(503, mark)(w, r)
	}
	addr, s := serve(t, "127.0.0.1:0", http.HandlerFunc(page), true)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	// The certificate of httptest is for example.com.
	cfg := httpcheck.Config{CAFile: ca, Resolve: map[string]string{"example.com:443": addr, "shop.test:443": addr}}
	ask := func(cfg httpcheck.Config, url string) action.Verdict {
		return check(t, cfg, "http/closed", httpcheck.ClosedParams{URLs: httpcheck.URLs{url}, Mark: mark})
	}
	if v := ask(cfg, "https://Example.com/"); !v.OK || host.Load() != "example.com" && host.Load() != "Example.com" {
		t.Errorf("with our authority: %+v, host %v", v, host.Load())
	}
	v := ask(cfg, "https://shop.test/")
	wantFinding(t, v, "TLS: the certificate is not for shop.test")
	if !strings.Contains(v.Try[0], "--cacert '"+ca+"'") {
		t.Errorf("Try is %q", v.Try)
	}
	cfg.CAFile = ""
	wantFinding(t, ask(cfg, "https://example.com/"), "authority unknown here")

	plain, _ := serve(t, "127.0.0.1:0", ourPage(503, mark), false)
	wantFinding(t, ask(resolving(plain), "https://shop.example.com/"), "no TLS is spoken")
}

func TestWhatDoesNotAnswerIsAFinding(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	l.Close()
	p := httpcheck.ClosedParams{URLs: httpcheck.URLs{"http://shop.example.com/"}, Mark: mark}
	wantFinding(t, check(t, resolving(nobody), "http/closed", p), "connection refused")

	gate := make(chan struct{})
	slow, _ := serve(t, "127.0.0.1:0", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-gate:
		case <-r.Context().Done():
		}
	}), false)
	t.Cleanup(func() { close(gate) })
	cfg := resolving(slow)
	cfg.Timeout = "50ms"
	wantFinding(t, check(t, cfg, "http/closed", p), "no answer in time")

	// RFC 6761: a name under .invalid never has an address.
	p.URLs = httpcheck.URLs{"http://shop.invalid/"}
	v := check(t, httpcheck.Config{Timeout: "2s"}, "http/closed", p)
	wantFinding(t, v, "http://shop.invalid/: ", "shop.invalid")
	if len(v.Try) != 0 {
		t.Errorf("offers %q though there is no address", v.Try)
	}
}

func TestProxiesOfTheEnvironmentAreIgnored(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	addr, _ := serve(t, "127.0.0.1:0", ourPage(503, mark), false)
	v := check(t, resolving(addr), "http/closed", httpcheck.ClosedParams{URLs: httpcheck.URLs{"http://shop.example.com/"}, Mark: mark})
	if !v.OK {
		t.Errorf("got %+v, want OK", v)
	}
}

func TestHealthy(t *testing.T) {
	t.Parallel()
	needsPass := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(edge.PassHeader) == "s3cret" {
			text(200, "ok")(w, r)
			return
		}
		ourPage(503, mark)(w, r)
	}
	for name, c := range map[string]struct {
		door http.HandlerFunc
		p    httpcheck.HealthyParams
		want []string
	}{
		"healthy":                  {door: text(200, "ok")},
		"sick":                     {door: text(500, "boom"), want: []string{"expected 200, got 500 from the application"}},
		"another status":           {door: text(204, ""), p: httpcheck.HealthyParams{Expect: 204}},
		"our page":                 {door: ourPage(503, mark), want: []string{"noren's own page (503, mark run-7.a1)"}},
		"our page, as expected":    {door: ourPage(503, mark), p: httpcheck.HealthyParams{Expect: 503}},
		"our page, never expected": {door: ourPage(200, mark), p: httpcheck.HealthyParams{NotMark: true}, want: []string{"noren's own page (200"}},
		"behind the curtain":       {door: needsPass, p: httpcheck.HealthyParams{Pass: "s3cret"}},
		"wrong pass":               {door: needsPass, p: httpcheck.HealthyParams{Pass: "hunter2"}, want: []string{"noren's own page"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, _ := serve(t, "127.0.0.1:0", c.door, false)
			c.p.URLs = httpcheck.URLs{"http://shop.example.com/healthz"}
			v := check(t, resolving(addr), "http/healthy", c.p)
			if c.want != nil {
				wantFinding(t, v, c.want...)
			} else if !v.OK {
				t.Errorf("got %+v, want OK", v)
			}
			if c.p.Pass != "" && strings.Contains(fmt.Sprint(v), c.p.Pass) {
				t.Errorf("the pass is shown in %+v", v)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	p := httpcheck.OpenParams{URLs: httpcheck.URLs{"http://shop.example.com/"}}
	closed, _ := serve(t, "127.0.0.1:0", ourPage(503, "any"), false)
	served, _ := serve(t, "127.0.0.1:0", text(200, "hello"), false)
	sick, _ := serve(t, "127.0.0.1:0", text(502, ""), false)
	wantFinding(t, check(t, resolving(served, closed), "http/open", p), "at "+closed, "still noren's page (503, mark any)")
	if v := check(t, resolving(served), "http/open", p); !v.OK || strings.Contains(v.Summary, "fails") {
		t.Errorf("got %+v, want OK", v)
	}
	if v := check(t, resolving(served, sick), "http/open", p); !v.OK || !strings.Contains(v.Summary, "answers 502") {
		t.Errorf("got %+v, want OK with a warning", v)
	}
}

// After a closing that was taken back, its own page must be gone, and an address
// that does not answer shows none.
func TestOneClosingsPageIsGone(t *testing.T) {
	t.Parallel()
	p := httpcheck.OpenParams{URLs: httpcheck.URLs{"http://shop.example.com/"}, Mark: mark, Silent: true}
	ours, _ := serve(t, "127.0.0.1:0", ourPage(503, mark), false)
	others, _ := serve(t, "127.0.0.1:0", ourPage(503, "another"), false)
	wantFinding(t, check(t, resolving(others, ours), "http/open", p), "at "+ours, "still noren's page (503, mark "+mark+")")
	v := check(t, resolving(others, "127.0.0.1:1"), "http/open", p)
	if !v.OK || !strings.Contains(v.Summary, "without an answer: http://shop.example.com/ at 127.0.0.1:1: connection refused") {
		t.Errorf("got %+v, want OK, and what did not answer", v)
	}
	p.URLs, p.Silent = httpcheck.URLs{"http://shop.example.com/"}, false
	wantFinding(t, check(t, resolving("127.0.0.1:1"), "http/open", p), "connection refused")
	p.URLs, p.Silent = httpcheck.URLs{"http://name.invalid/"}, true
	if v := check(t, httpcheck.Config{}, "http/open", p); !v.OK || !strings.Contains(v.Summary, "name.invalid") {
		t.Errorf("a name without an address: %+v, want OK", v)
	}
}

func TestManyURLsSideBySide(t *testing.T) {
	t.Parallel()
	addr, _ := serve(t, "127.0.0.1:0", ourPage(503, mark), false)
	var urls httpcheck.URLs
	for i := range 100 {
		urls = append(urls, fmt.Sprintf("http://%s/%d", addr, i))
	}
	in := open(t, httpcheck.Config{}, "http/closed", httpcheck.ClosedParams{URLs: urls, Mark: mark, Consecutive: 1})
	if v, err := in.Check.Check(t.Context()); err != nil || !v.OK {
		t.Errorf("got %+v, %v", v, err)
	}
	if want := "http:" + urls[0] + " and 99 more"; in.Target != want {
		t.Errorf("target %q, want %q", in.Target, want)
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	in := open(t, resolving("127.0.0.1:1"), "http/closed", httpcheck.ClosedParams{URLs: httpcheck.URLs{"http://shop.example.com/"}, Mark: mark})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := in.Check.Check(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	ctx, cancel = context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	if v, err := in.Check.Check(ctx); err != nil || v.OK {
		t.Errorf("past its deadline: got %+v, %v, want a finding", v, err)
	}
}
