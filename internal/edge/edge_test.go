package edge_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/noren-dev/noren/internal/edge"
)

var shop = edge.Rule{Name: "ingress shop/web", Conditions: []edge.Condition{{Field: edge.Host, Values: []string{"shop.example.com"}}},
	Action: edge.Action{Kind: edge.Forward, Backend: "shop"}}

func closed(c edge.Closing) edge.Front {
	c.Page = edge.Response{Status: 503, Mark: c.Mark}
	return edge.Front{Listeners: []edge.Listener{{Scheme: "https", Port: 443, Rules: append(edge.Curtain(c), shop),
		Default: edge.Action{Kind: edge.Respond, Response: &edge.Response{Status: 404}}}}}
}

func TestWhoSeesWhat(t *testing.T) {
	t.Parallel()
	hosts := []string{"shop.example.com"}
	staff := edge.Bypass{Sources: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8:1::/48")}, Pass: "s3cretpass"}
	full := edge.Closing{Hosts: hosts, Bypass: staff, KeepOpen: []string{"/.well-known/acme-challenge/*", "/hook"}}
	with := func(f func(*edge.Closing)) edge.Closing {
		c := full
		f(&c)
		return c
	}
	readOnly := with(func(c *edge.Closing) { c.Mode = edge.ReadOnly })
	paths := with(func(c *edge.Closing) { c.Mode, c.Paths = edge.Paths, []string{"/cart", "/cart/*"} })
	anyHost := with(func(c *edge.Closing) { c.Hosts = nil })
	tests := []struct {
		name    string
		closing edge.Closing
		request edge.Request
		rule    string
	}{
		{"a customer", full, edge.Request{}, "noren: closed"},
		{"a customer, other case", full, edge.Request{Host: "Shop.Example.COM"}, "noren: closed"},
		{"another host", full, edge.Request{Host: "api.example.com"}, "default"},
		{"the probe", full, edge.Request{Header: http.Header{edge.ProbeHeader: {"x"}}}, "noren: probe"},
		{"the probe from the office", full, edge.Request{Header: http.Header{edge.ProbeHeader: {"x"}}, Source: netip.MustParseAddr("203.0.113.7")}, "noren: probe"},
		{"the probe with a pass, on a kept-open path", full, edge.Request{Path: "/hook", Header: http.Header{edge.ProbeHeader: {"x"}, edge.PassHeader: {"s3cretpass"}}}, "noren: probe"},
		{"the office", full, edge.Request{Source: netip.MustParseAddr("203.0.113.7")}, shop.Name},
		{"the office, seen as IPv6", full, edge.Request{Source: netip.MustParseAddr("::ffff:203.0.113.7")}, shop.Name},
		{"next to the office", full, edge.Request{Source: netip.MustParseAddr("203.0.114.7")}, "noren: closed"},
		{"the office by IPv6", full, edge.Request{Source: netip.MustParseAddr("2001:db8:1:2::3")}, shop.Name},
		{"the office by IPv6 with a zone", full, edge.Request{Source: netip.MustParseAddr("2001:db8:1:2::3%eth0")}, shop.Name},
		{"another IPv6", full, edge.Request{Source: netip.MustParseAddr("2001:db8:2::3")}, "noren: closed"},
		{"a pass in the header", full, edge.Request{Header: http.Header{edge.PassHeader: {"s3cretpass"}}}, shop.Name},
		{"a wrong pass", full, edge.Request{Header: http.Header{edge.PassHeader: {"s3cretpas"}}}, "noren: closed"},
		{"an empty pass", full, edge.Request{Header: http.Header{edge.PassHeader: {""}}}, "noren: closed"},
		{"a pass in the cookie", full, edge.Request{Header: http.Header{"Cookie": {"a=b; noren_pass=s3cretpass; c=d"}}}, shop.Name},
		{"a wrong cookie", full, edge.Request{Header: http.Header{"Cookie": {"noren_pass=other"}}}, "noren: closed"},
		{"the office asks for another host", full, edge.Request{Host: "api.example.com", Source: netip.MustParseAddr("203.0.113.7")}, "default"},
		{"ACME", full, edge.Request{Path: "/.well-known/acme-challenge/token"}, shop.Name},
		{"a webhook", full, edge.Request{Method: "POST", Path: "/hook"}, shop.Name},
		{"below a webhook", full, edge.Request{Path: "/hook/x"}, "noren: closed"},
		{"paths mind their case", full, edge.Request{Path: "/HOOK"}, "noren: closed"},
		{"read-only: reading", readOnly, edge.Request{}, shop.Name},
		{"read-only: HEAD", readOnly, edge.Request{Method: "HEAD"}, shop.Name},
		{"read-only: OPTIONS", readOnly, edge.Request{Method: "OPTIONS"}, shop.Name},
		{"read-only: writing", readOnly, edge.Request{Method: "POST"}, "noren: closed to writes"},
		{"read-only: PATCH", readOnly, edge.Request{Method: "PATCH"}, "noren: closed to writes"},
		{"read-only: staff writing", readOnly, edge.Request{Method: "DELETE", Header: http.Header{edge.PassHeader: {"s3cretpass"}}}, shop.Name},
		{"read-only: the probe reading", readOnly, edge.Request{Header: http.Header{edge.ProbeHeader: {"x"}}}, "noren: probe"},
		{"paths: another", paths, edge.Request{}, shop.Name},
		{"paths: closed", paths, edge.Request{Path: "/cart"}, "noren: closed paths"},
		{"paths: below", paths, edge.Request{Path: "/cart/1"}, "noren: closed paths"},
		{"paths: like it", paths, edge.Request{Path: "/cartoon"}, shop.Name},
		{"any host", anyHost, edge.Request{Host: "whatever.example.org"}, "noren: closed"},
		{"any host, no host", anyHost, edge.Request{Host: "-"}, "noren: closed"},
		{"any host, staff", anyHost, edge.Request{Source: netip.MustParseAddr("203.0.113.7")}, shop.Name},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := tt.request
			r.Scheme = "https"
			if r.Host == "" {
				r.Host = "shop.example.com"
			}
			if r.Path == "" {
				r.Path = "/"
			}
			if r.Method == "" {
				r.Method = "GET"
			}
			if !r.Source.IsValid() {
				r.Source = netip.MustParseAddr("198.51.100.1")
			}
			tt.closing.Mark = "m"
			d, err := closed(tt.closing).Decide(r)
			if err != nil {
				t.Fatal(err)
			}
			if d.Rule != tt.rule {
				t.Errorf("taken by %q, want %q", d.Rule, tt.rule)
			}
			if ours := d.Action.Response != nil && d.Action.Response.Mark == "m"; ours != strings.HasPrefix(tt.rule, "noren: ") {
				t.Errorf("our page: %v", ours)
			}
		})
	}
}

func TestNoBypassUnlessAsked(t *testing.T) {
	t.Parallel()
	if !(edge.Bypass{}).IsZero() {
		t.Error("nobody may pass")
	}
	rapid.Check(t, func(t *rapid.T) {
		c := edge.Closing{Mark: "m", Hosts: []string{"shop.example.com"}}
		d, err := closed(c).Decide(edge.Request{Scheme: "https", Host: "shop.example.com", Method: rapid.SampledFrom([]string{"GET", "POST", "X"}).Draw(t, "method"),
			Path: rapid.String().Draw(t, "path"), Header: http.Header{rapid.SampledFrom([]string{edge.PassHeader, "Cookie", edge.ProbeHeader}).Draw(t, "name"): {rapid.String().Draw(t, "value")}}})
		if err != nil || d.Action.Response == nil || d.Action.Response.Mark != "m" {
			t.Fatalf("%v, %v", d, err)
		}
	})
}

func TestConditions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		c    edge.Condition
		r    edge.Request
		want bool
	}{
		{edge.Condition{Field: edge.Host, Values: []string{"*.example.com"}}, edge.Request{Host: "a.b.example.com"}, true},
		{edge.Condition{Field: edge.Host, Values: []string{"*.example.com"}}, edge.Request{Host: "example.com"}, false},
		{edge.Condition{Field: edge.Method, Values: []string{"GET"}}, edge.Request{Method: "get"}, false},
		{edge.Condition{Field: edge.Header, Name: "x-a", Values: []string{"f?o*"}}, edge.Request{Header: http.Header{"X-A": {"no", "FoO!"}}}, true},
		{edge.Condition{Field: edge.Header, Name: "X-A", Values: []string{"*"}}, edge.Request{}, false},
		{edge.Condition{Field: edge.Query, Values: []string{"a=1"}}, edge.Request{Query: "b=2&A=1"}, true},
		{edge.Condition{Field: edge.Query, Values: []string{"1"}}, edge.Request{Query: "b=2&a=1"}, true},
		{edge.Condition{Field: edge.Query, Values: []string{"a=1"}}, edge.Request{Query: "a=2&b=1"}, false},
		{edge.Condition{Field: edge.Source, Values: []string{"10.0.0.0/8"}}, edge.Request{}, false},
		{edge.Condition{Field: edge.Source, Values: []string{"no address"}}, edge.Request{Source: netip.MustParseAddr("10.0.0.1")}, false},
		{edge.Condition{Field: edge.Path}, edge.Request{Path: "/"}, false},
		{edge.Condition{Field: "new", Values: []string{"*"}}, edge.Request{}, false},
	}
	for _, tt := range tests {
		if got := (edge.Rule{Conditions: []edge.Condition{tt.c}}).Matches(tt.r); got != tt.want {
			t.Errorf("%s on %+v: %v, want %v", tt.c, tt.r, got, tt.want)
		}
	}
}

func TestListeners(t *testing.T) {
	t.Parallel()
	f := edge.Front{Listeners: []edge.Listener{{Scheme: "http", Port: 80, Default: edge.Action{Kind: edge.Redirect, Status: 301, Location: "https"}},
		{Scheme: "https", Port: 8443, Default: edge.Action{Kind: edge.Forward, Backend: "b"}}}}
	if d, err := f.Decide(edge.Request{Scheme: "http"}); err != nil || d.Action.Status != 301 || d.Index != -1 {
		t.Errorf("%+v, %v", d, err)
	}
	if d, err := f.Decide(edge.Request{Scheme: "https", Port: 8443}); err != nil || d.Action.Backend != "b" {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := f.Decide(edge.Request{Scheme: "https"}); err == nil {
		t.Error("nothing listens on 443")
	}
}

// A proxy in front of a door has an address that is not given out on the
// Internet; a network that holds any of those may be a proxy's.
func TestSourcesThatMayBeAProxys(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]bool{
		"10.1.2.3/32": true, "172.31.0.0/16": true, "192.168.1.0/24": true, "127.0.0.1/32": true, "169.254.1.1/32": true,
		"100.64.0.0/10": true, "fd00::/8": true, "::1/128": true, "fe80::/64": true, "8.0.0.0/6": true, "128.0.0.0/1": true,
		"203.0.113.0/24": false, "172.32.0.0/16": false, "100.128.0.0/9": false, "2001:db8::/32": false, "9.0.0.0/8": false,
	} {
		b := edge.Bypass{Sources: []netip.Prefix{netip.MustParsePrefix(source), netip.MustParsePrefix("198.51.100.1/32")}}
		if got := len(b.Inside()) == 1; got != want {
			t.Errorf("%s: %v, want %v", source, got, want)
		}
	}
}
