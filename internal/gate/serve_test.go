package gate

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/edgehttp"
)

// echo answers with what it was sent.
func echo(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s %s host=%s\n", r.Method, r.URL.RequestURI(), r.Host)
	_ = r.Header.Write(w)
}

const pass = "s3cr3tpass"

// A visit is a request to a door that is closed, by default the door web with
// everything that a closing can have.
type visit struct {
	name    string
	door    string
	closing func(*edge.Closing)
	method  string
	path    string
	headers []string
	closed  bool
}

func visits() []visit {
	readOnly := func(c *edge.Closing) { c.Mode = edge.ReadOnly }
	paths := func(c *edge.Closing) { c.Mode, c.Paths = edge.Paths, []string{"/cart/*"} }
	oneHost := func(c *edge.Closing) { c.Hosts = []string{"shop.example.com"} }
	return []visit{
		{name: "customer", closed: true},
		{name: "customer with HEAD", method: "HEAD", closed: true},
		{name: "customer who posts", method: "POST", closed: true},
		{name: "customer at another name of the door", headers: []string{"Host", "M.Shop.example.com:8080"}, closed: true},
		{name: "customer of another door", headers: []string{"Host", "api.example.com"}},
		{name: "any-host door shuts only itself", door: "rest"},
		{name: "any-host door", door: "rest", headers: []string{"Host", "api.example.com"}, closed: true},
		{name: "one host of the door", closing: oneHost, closed: true},
		{name: "other host of the door", closing: oneHost, headers: []string{"Host", "m.shop.example.com"}},
		{name: "staff by address", headers: []string{"X-Forwarded-For", "203.0.113.7"}},
		{name: "staff by address behind a proxy", headers: []string{"X-Forwarded-For", "203.0.113.7, 10.1.2.3"}},
		{name: "customer who claims an address", headers: []string{"X-Forwarded-For", "203.0.113.7, 198.51.100.1"}, closed: true},
		{name: "proxy that sends nonsense", headers: []string{"X-Forwarded-For", "203.0.113.7, nonsense"}, closed: true},
		{name: "staff by pass", headers: []string{edge.PassHeader, pass}},
		{name: "staff by cookie", headers: []string{"Cookie", "a=1; " + edge.PassCookie + "=" + pass}},
		{name: "wrong pass", headers: []string{edge.PassHeader, "guess"}, closed: true},
		{name: "probe from the office", headers: []string{edge.ProbeHeader, "1", edge.PassHeader, pass}, closed: true},
		{name: "path kept open", path: "/.well-known/acme-challenge/x"},
		{name: "path that pretends", path: "/.well-known/acme-challenge/../../cart", closed: true},
		{name: "path that pretends with escapes", path: "/.well-known/acme-challenge/%2e%2e/%2E./cart", closed: true},
		{name: "reading in read-only", closing: readOnly},
		{name: "writing in read-only", closing: readOnly, method: "POST", closed: true},
		{name: "closed path", closing: paths, path: "/cart/1", closed: true},
		{name: "closed path in disguise", closing: paths, path: "/x/../%63art/1", closed: true},
		{name: "other path", closing: paths, path: "/carts"},
	}
}

func everything(c *edge.Closing) {
	c.KeepOpen = []string{"/.well-known/acme-challenge/*"}
	c.Bypass = edge.Bypass{Pass: pass, Sources: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}
}

func TestWhoSeesWhatWhileClosed(t *testing.T) {
	r := start(t, Config{
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")},
		Doors: []Door{
			{Name: "rest", Backend: app(t, echo)},
			{Name: "web", Hosts: []string{"shop.example.com", "*.shop.example.com"}, Backend: app(t, echo)},
		}})
	for _, c := range visits() {
		t.Run(c.name, func(t *testing.T) {
			door, set, method, headers := c.door, c.closing, c.method, c.headers
			if door == "" {
				door = "web"
			}
			if set == nil {
				set = everything
			}
			if method == "" {
				method = http.MethodGet
			}
			if !strings.Contains(strings.Join(headers, " "), "Host") {
				headers = append(headers, "Host", "shop.example.com")
			}
			r.mustTurn(t, door, closing(set))
			defer r.mustTurn(t, door, nil)
			a := send(t, method, r.url+c.path, nil, headers...)
			if got := a.status == http.StatusServiceUnavailable; got != c.closed {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if c.closed != (a.header.Get("Retry-After") != "") || method != "HEAD" && c.closed != a.isClosed() {
				t.Errorf("%v %s", a.header, a.body)
			}
			if c.closed && (a.header.Get("Cache-Control") != "no-store" || a.header.Get("Content-Type") != "text/html; charset=utf-8") {
				t.Errorf("headers of the closed page: %v", a.header)
			}
			if strings.Contains(a.body, pass) {
				t.Errorf("the pass reached the application: %s", a.body)
			}
		})
	}
}

func TestForwardsWhatCameIn(t *testing.T) {
	r := start(t, Config{Doors: []Door{{Name: "web", Backend: app(t, echo) + "/base"}}})
	a := send(t, http.MethodGet, r.url+"/a%2Fb?x=1;y=2&z=%zz", nil, "Host", "shop.example.com",
		"X-Forwarded-For", "203.0.113.7", "X-Forwarded-Proto", "https", "Accept-Encoding", "br",
		"Cookie", "a=1; "+edge.PassCookie+"=x; b=2")
	for _, want := range []string{"GET /base/a%2Fb?x=1;y=2&z=%zz host=shop.example.com", "X-Forwarded-For: 127.0.0.1\r", "X-Forwarded-Proto: http\r", "Accept-Encoding: br\r", "Cookie: a=1; b=2\r"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("%q is not in what the application got:\n%s", want, a.body)
		}
	}
	if strings.Contains(a.body, "User-Agent: Go-http-client/2") {
		t.Error(a.body)
	}
}

func TestScriptsOfOtherOriginsReadTheClosedPage(t *testing.T) {
	r := start(t, Config{Doors: []Door{{Name: "api", Backend: app(t, hello)}}})
	r.mustTurn(t, "api", closing())
	a := send(t, http.MethodOptions, r.url, nil, "Origin", "https://shop.example.com",
		"Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "authorization, x-cart")
	if a.status != http.StatusNoContent || a.header.Get("Access-Control-Allow-Origin") != "https://shop.example.com" ||
		a.header.Get("Access-Control-Allow-Methods") != "PUT" || a.header.Get("Access-Control-Allow-Headers") != "authorization, x-cart" ||
		a.header.Get("Access-Control-Max-Age") != "0" {
		t.Errorf("preflight: %d %v", a.status, a.header)
	}
	a = send(t, http.MethodPut, r.url, nil, "Origin", "https://shop.example.com", "Authorization", "x")
	if !a.isClosed() || a.header.Get("Access-Control-Allow-Origin") != "https://shop.example.com" ||
		a.header.Get("Access-Control-Allow-Credentials") != "true" || a.header.Get("Vary") != "Origin" ||
		a.header.Get("Access-Control-Expose-Headers") != "Retry-After" {
		t.Errorf("request: %d %v", a.status, a.header)
	}
}

func TestApplicationThatDoesNotAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // only to find a free port
	if err != nil {
		t.Fatal(err)
	}
	dead := "http://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	r := start(t, Config{Doors: []Door{{Name: "web", Backend: dead, Hosts: []string{"shop.example.com"}}}})
	a := send(t, http.MethodGet, r.url, nil, "Host", "shop.example.com")
	if a.status != http.StatusBadGateway || a.isClosed() || strings.Contains(a.body, dead) || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	if d, _ := r.door(t, "web"); d.Counts.Failed != 1 || d.Counts.Served != 0 {
		t.Errorf("%+v", d.Counts)
	}
	if a := send(t, http.MethodGet, r.url, nil, "Host", "nobody.example.com"); a.status != http.StatusNotFound {
		t.Errorf("a host of no door: %d", a.status)
	}
}

// TestWebSocketOutlivesTheClosing documents what a rule cannot do: it decides
// requests, and an upgraded connection makes none any more.
func TestWebSocketOutlivesTheClosing(t *testing.T) {
	r := start(t, Config{AccessLog: true, Doors: []Door{{Name: "web", Backend: app(t, upgrade)}}})
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v %v", res, err)
	}
	defer res.Body.Close()
	talk := func() {
		t.Helper()
		fmt.Fprint(conn, "ping\n")
		if line, err := in.ReadString('\n'); err != nil || line != "echo ping\n" {
			t.Fatalf("%q %v", line, err)
		}
	}
	talk()
	r.mustTurn(t, "web", closing())
	if a := send(t, http.MethodGet, r.url, nil, "Connection", "Upgrade", "Upgrade", "websocket"); !a.isClosed() {
		t.Fatalf("a new one: %d", a.status)
	}
	talk()
	if d, _ := r.door(t, "web"); d.Counts.InFlight != 1 {
		t.Errorf("%+v, want the one in flight", d.Counts)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := in.ReadString('\n'); err == nil {
		t.Fatal("it outlived the gate too")
	}
}

func upgrade(w http.ResponseWriter, _ *http.Request) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	for {
		line, err := rw.ReadString('\n')
		if err != nil {
			return
		}
		fmt.Fprint(conn, "echo ", line)
	}
}

func TestStoppingLetsRequestsFinish(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	r := start(t, Config{Doors: []Door{{Name: "web", Backend: app(t, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		hello(w, r)
	})}}})
	got := make(chan string, 1)
	go func() { got <- see(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, r.url) }()
	<-arrived
	ended := make(chan error, 1)
	go func() { ended <- r.stop() }()
	// New customers are refused as soon as it stops; the one inside is not.
	for {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(r.url, "http://"))
		if err != nil {
			break
		}
		_ = conn.Close()
	}
	close(release)
	if g := <-got; g != "open" {
		t.Errorf("the request under way ended with: %s", g)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestDrainHasAnEnd(t *testing.T) {
	arrived := make(chan struct{})
	r := start(t, Config{Drain: 1, Doors: []Door{{Name: "web", Backend: app(t, func(_ http.ResponseWriter, r *http.Request) {
		// A server notices that its client is gone once the body is read.
		_, _ = io.Copy(io.Discard, r.Body)
		close(arrived)
		<-r.Context().Done()
	})}}})
	ended := make(chan struct{})
	go func() { _ = see(http.DefaultClient, r.url); close(ended) }()
	<-arrived
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	<-ended
}

func TestAccessLogTellsNoSecrets(t *testing.T) {
	var out lockedBuffer
	r := start(t, Config{AccessLog: true, Logger: slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Doors: []Door{{Name: "web", Backend: app(t, hello)}}})
	r.mustTurn(t, "web", closing(func(c *edge.Closing) { c.Bypass.Pass = pass }))
	send(t, http.MethodGet, r.url+"/cart?token=hush", nil, edge.PassHeader, pass)
	send(t, http.MethodGet, r.url+"/cart?token=hush", nil)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{pass, "hush", r.token} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q is in the log:\n%s", secret, out.String())
		}
	}
	for _, want := range []string{`"status":200,"rule":"door web"`, `"status":503,"rule":"noren: closed"`, `"path":"/cart"`, `"source":"127.0.0.1"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is not in the log:\n%s", want, out.String())
		}
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestHeadersAreBounded(t *testing.T) {
	r := start(t, Config{Doors: []Door{{Name: "web", Backend: app(t, hello)}}})
	a := send(t, http.MethodGet, r.url, nil, "X-Long", strings.Repeat("x", 2*edgehttp.MaxHeader))
	if a.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%d", a.status)
	}
}

func TestRunTellsThatItCannotListen(t *testing.T) {
	c := oneDoor(t)
	r := start(t, c)
	c.StateDir = t.TempDir()
	c.Listen = []Listen{{Address: r.Addrs().Listen[0].String()}}
	c.Admin.Address = "127.0.0.1:0"
	g, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Run(context.Background()); err == nil || !strings.Contains(err.Error(), c.Listen[0].Address) {
		t.Fatal(err)
	}
}
