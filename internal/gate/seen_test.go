package gate

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/edge"
)

// proxied is a gate with the door web behind a reverse proxy that sends from
// 127.0.0.1 and says so in X-Forwarded-For. The proxy's URL is returned.
func proxied(t *testing.T, trusted ...string) (*running, string) {
	c := Config{Doors: []Door{{Name: "web", Hosts: []string{"shop.example.com"}, Backend: app(t, hello)}}}
	for _, p := range trusted {
		c.TrustedProxies = append(c.TrustedProxies, netip.MustParsePrefix(p))
	}
	r := start(t, c)
	gate, err := url.Parse(r.url)
	if err != nil {
		t.Fatal(err)
	}
	// The visitor's own address, which a test on one machine cannot have.
	visitor := func(pr *httputil.ProxyRequest) {
		pr.SetURL(gate)
		pr.Out.Host = pr.In.Host
		pr.Out.Header.Set("X-Forwarded-For", "198.51.100.9")
	}
	s := httptest.NewServer(&httputil.ReverseProxy{Rewrite: visitor})
	t.Cleanup(s.Close)
	return r, s.URL
}

// TestBypassThatCoversTheProxy: with the proxy's address among staff's, every
// visitor passes and every probe sees the page. What the gate tells the probe
// is how a person finds out.
func TestBypassThatCoversTheProxy(t *testing.T) {
	staff := func(c *edge.Closing) { c.Bypass.Sources = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }
	const host = "shop.example.com"
	for _, tt := range []struct {
		trusted []string
		closed  bool
		seen    string
	}{
		{nil, false, "127.0.0.1; staff by address"},
		{[]string{"127.0.0.0/8"}, true, "198.51.100.9; closed"},
	} {
		t.Run(fmt.Sprint(tt.trusted), func(t *testing.T) {
			r, front := proxied(t, tt.trusted...)
			r.mustTurn(t, "web", closing(staff))
			probe := send(t, http.MethodGet, front, nil, "Host", host, edge.ProbeHeader, "1")
			if got := probe.header.Get(edge.SeenHeader); !probe.isClosed() || got != tt.seen {
				t.Errorf("the probe: %d, %s %q, want %q", probe.status, edge.SeenHeader, got, tt.seen)
			}
			plain := send(t, http.MethodGet, front, nil, "Host", host)
			if plain.isClosed() != tt.closed || plain.header.Get(edge.SeenHeader) != "" {
				t.Errorf("the visitor: %d, %v", plain.status, plain.header)
			}
		})
	}
}

// A probe is told the first rule of the curtain that takes its request, and
// nothing while the door is open.
func TestWhatAProbeIsTold(t *testing.T) {
	r, front := proxied(t, "127.0.0.0/8")
	ask := func(headers ...string) string {
		a := send(t, http.MethodGet, front, nil, append(headers, "Host", "shop.example.com", edge.ProbeHeader, "1")...)
		address, rule, _ := strings.Cut(a.header.Get(edge.SeenHeader), "; ")
		if address != "" && address != "198.51.100.9" {
			t.Errorf("seen as %q", address)
		}
		return rule
	}
	if got := ask(); got != "" {
		t.Errorf("an open door tells %q", got)
	}
	r.mustTurn(t, "web", closing(everything))
	if got := ask(); got != "closed" {
		t.Errorf("a customer's probe is told %q", got)
	}
	if got := ask(edge.PassHeader, pass); got != "staff by pass" {
		t.Errorf("the probe of one with the pass is told %q", got)
	}
	r.mustTurn(t, "web", nil)
	r.mustTurn(t, "web", closing(func(c *edge.Closing) { c.Mode = edge.ReadOnly }))
	if got := ask(); got != "open" {
		t.Errorf("a reader's probe in read-only mode is told %q", got)
	}
}
