package edgehttp

import (
	"net"
	"path"
	"strings"
)

// Host is the host of a Host header as rules know it: without a port.
func Host(h string) string {
	if host, _, err := net.SplitHostPort(h); err == nil {
		h = host
	}
	return strings.TrimSuffix(strings.Trim(h, "[]"), ".")
}

// Path is a path as sent, but for two things that a server may undo by
// itself: escapes of letters that need none, and dot segments (RFC 3986,
// section 6.2.2). Without that, /open/../closed would pass for a path kept open.
func Path(p string) string {
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
