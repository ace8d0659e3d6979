package gate

import (
	"net"
	"net/http"
	"net/netip"
	"path"
	"strings"

	"github.com/noren-dev/noren/internal/edge"
)

// request is what the rules look at. Scheme and port are left out: the
// listener is known.
func (g *Gate) request(r *http.Request) edge.Request {
	return edge.Request{
		Method: r.Method,
		Host:   bareHost(r.Host),
		Path:   normalPath(r.URL.EscapedPath()),
		Query:  r.URL.RawQuery,
		Header: r.Header,
		Source: g.source(r),
	}
}

func bareHost(h string) string {
	if host, _, err := net.SplitHostPort(h); err == nil {
		h = host
	}
	return strings.TrimSuffix(strings.Trim(h, "[]"), ".")
}

// normalPath is a path as sent, but for two things that a server may undo by
// itself: escapes of letters that need none, and dot segments (RFC 3986,
// section 6.2.2). Without that, /open/../closed would pass for a path kept open.
func normalPath(p string) string {
	if strings.Contains(p, "%") {
		p = unescapePlain(p)
	}
	if !strings.Contains(p, "/.") {
		return p
	}
	clean := path.Clean(p)
	if clean != "/" && (strings.HasSuffix(p, "/") || strings.HasSuffix(p, "/.") || strings.HasSuffix(p, "/..")) {
		clean += "/"
	}
	return clean
}

func unescapePlain(p string) string {
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		if p[i] == '%' && i+2 < len(p) {
			if c := unhex(p[i+1])<<4 | unhex(p[i+2]); isPlain(c) {
				b.WriteByte(c)
				i += 2
				continue
			}
		}
		b.WriteByte(p[i])
	}
	return b.String()
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0
}

// isPlain tells the unreserved characters of RFC 3986.
func isPlain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
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
