package gate

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/edgehttp"
)

// request is what the rules look at. Scheme and port are left out: the
// listener is known.
func (g *Gate) request(r *http.Request) edge.Request {
	return edge.Request{
		Method: r.Method,
		Host:   edgehttp.Host(r.Host),
		Path:   edgehttp.Path(r.URL.EscapedPath()),
		Query:  r.URL.RawQuery,
		Header: r.Header,
		Source: g.source(r),
	}
}

// source is who sent the request: the TCP peer, or, behind proxies that are
// trusted, the nearest address in X-Forwarded-For that is none of them.
func (g *Gate) source(r *http.Request) netip.Addr {
	addr := peer(r)
	if !g.trusts(addr) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			return addr
		}
		if addr = hop.Unmap().WithZone(""); !g.trusts(addr) {
			return addr
		}
	}
	return addr
}

func peer(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

func (g *Gate) trusts(a netip.Addr) bool {
	for _, p := range g.config.TrustedProxies {
		if a.IsValid() && p.Contains(a) {
			return true
		}
	}
	return false
}
