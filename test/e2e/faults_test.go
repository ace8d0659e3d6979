package e2e

import (
	"testing"

	"github.com/noren-dev/noren/internal/testkube"
	"github.com/noren-dev/noren/test/faultproxy"
)

// TestFaultsBetween closes and opens again and again while a fifth of the
// requests to the API server is refused, cut off, lost or late. No run fails,
// and what was there comes back.
func TestFaultsBetween(t *testing.T) {
	t.Parallel()
	proxy := faultproxy.Start(t, testkube.Start(t).Config(testkube.Admin))
	s := newShop(t, func(o *shopOptions) { o.kubeconfig = proxy.Kubeconfig(t, testkube.Admin) })
	before := s.objects(t)
	proxy.Be(faultproxy.Mood{Share: 0.2, Faults: faultproxy.All()})
	for range 2 {
		state := s.closed(t, "shop", "solo") // overlay and patch
		s.noren(t, state, "open", "--confirm", "prod").must(t, 0)
	}
	passed, spoiled := proxy.Counts()
	proxy.Be(faultproxy.Mood{})
	s.same(t, before)
	t.Logf("%d requests were done, spoiled were %v", passed, spoiled)
	all := 0
	for _, n := range spoiled {
		all += n
	}
	if all*10 < passed {
		t.Errorf("only %d requests beside %d were spoiled", all, passed)
	}
}
