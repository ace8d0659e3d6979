package pageapi

import (
	"slices"
	"strings"
)

// Choose returns the page for a request, nil if none is for its host. A page
// for the very host comes before one for a wildcard, the longest first, and
// that before one for any host; among those of one host, the longest path that
// fits; among equals, the first in pages.
func Choose(pages []Page, host, path string) *Page {
	host = strings.ToLower(host)
	var best *Page
	var bestRank [2]int
	for i := range pages {
		h := pages[i].hostRank(host)
		if h == 0 {
			continue
		}
		rank := [2]int{h, pages[i].pathRank(path)}
		if best == nil || slices.Compare(rank[:], bestRank[:]) > 0 {
			best, bestRank = &pages[i], rank
		}
	}
	return best
}

// exact is more than the length of any host.
const exact = 1 << 16

// hostRank is how well a page is for a host: 0 is not at all.
func (p Page) hostRank(host string) int {
	if len(p.Hosts) == 0 {
		return 1
	}
	best := 0
	for _, h := range p.Hosts {
		h = strings.ToLower(h)
		switch {
		case h == "":
			best = max(best, 1)
		case h == host:
			return exact
		case strings.HasPrefix(h, "*.") && strings.HasSuffix(host, h[1:]) && len(host) >= len(h):
			best = max(best, len(h))
		}
	}
	return best
}

// pathRank is how well a page is for a path; 0 is not at all, and the page is
// then for it only if no other is.
func (p Page) pathRank(path string) int {
	if len(p.Paths) == 0 {
		return 1
	}
	best := 0
	for _, prefix := range p.Paths {
		prefix = strings.TrimSuffix(prefix, "/")
		if path == prefix || strings.HasPrefix(path, prefix+"/") {
			best = max(best, 2+len(prefix))
		}
	}
	return best
}
