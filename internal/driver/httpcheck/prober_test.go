package httpcheck

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestEveryAddressOfAName(t *testing.T) {
	t.Parallel()
	p, err := newProber(Config{})
	if err != nil {
		t.Fatal(err)
	}
	p.lookup = func(_ context.Context, network, host string) ([]netip.Addr, error) {
		if network != "ip" || host != "shop.example.com" {
			t.Errorf("looked up %s %s", network, host)
		}
		return []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.2"),
			netip.MustParseAddr("::ffff:192.0.2.1"), netip.MustParseAddr("192.0.2.1")}, nil
	}
	u, _ := url.Parse("https://SHOP.example.com/")
	got, err := p.addresses(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, a := range got {
		list = append(list, a.String())
	}
	if s, want := strings.Join(list, " "), "192.0.2.1:443 192.0.2.2:443 [2001:db8::1]:443"; s != want {
		t.Errorf("got %s, want %s", s, want)
	}
}

func TestAddressesWithoutARouteAreLeftOutIfOthersAnswer(t *testing.T) {
	t.Parallel()
	u, _ := url.Parse("https://shop.example.com/")
	l := look{prober: &prober{}, urls: []*url.URL{u}, headers: []http.Header{{}}, consecutive: 1}
	unreachable := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}
	v4 := seen{door: door{url: u, addr: netip.MustParseAddrPort("192.0.2.1:443")}, last: answer{status: 503}}
	v6 := seen{door: door{url: u, addr: netip.MustParseAddrPort("[2001:db8::1]:443")}, last: answer{err: unreachable}, wrong: explain(unreachable)}

	v := l.verdict(split([]seen{v4, v6}), "good", "bad")
	if !v.OK || v.Summary != "good (1 URL, 1 address); not asked, as this machine has no route to them: [2001:db8::1]:443" {
		t.Errorf("got %+v, want OK with the address left out", v)
	}
	v = l.verdict(split([]seen{v6}), "good", "bad")
	if v.OK || len(v.Findings) != 1 || !strings.Contains(v.Findings[0], "no route there") {
		t.Errorf("got %+v: nothing was asked, which is not OK", v)
	}
}
