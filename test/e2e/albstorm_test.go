package e2e

import (
	"net/http"
	"testing"
)

// TestALBStorm: AWS asks again and again to go slower. Planning gives up, before
// anything is touched; a closing under way takes its time and ends.
func TestALBStorm(t *testing.T) {
	t.Parallel()
	m := newMarket(t, 1, shopOfMarket)
	before, state := m.api.Drawing(m.listener), t.TempDir()
	m.api.Throttle(0.01, 1, 0.01, 1)
	m.noren(t, state, nil, "plan", "close", "--env", "prod").must(t, 1).says(t, "AWS asks to go slower: Throttling: Rate exceeded. Nothing was touched. Try again once it answers.")
	m.api.Throttle(100, 100, 3, 1)
	m.noren(t, state, nil, "close", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 0).says(t, "Closed: shop")
	if code, _ := m.get(t, "127.0.0.1", "shop.example.com", "/"); code != http.StatusServiceUnavailable {
		t.Errorf("a customer gets %d", code)
	}
	m.noren(t, state, nil, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
	m.same(t, before)
}

// TestALBQuotaMeanwhile: who may not read the quota, or shares it with others,
// meets it in the middle. All is taken back, and what to do is said.
func TestALBQuotaMeanwhile(t *testing.T) {
	t.Parallel()
	m := newMarket(t, 1, shopOfMarket)
	before := m.api.Drawing(m.listener)
	m.api.Deny("DescribeAccountLimits")
	m.api.SetQuota(4)
	m.noren(t, t.TempDir(), nil, "close", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 2).
		says(t, "AWS allows no more rules on the load balancer of listener front:", "changed now: nothing: every change of this run was taken back", "aws service-quotas").
		silent(t, "quota 0", "TooManyRules", "operation error")
	m.same(t, before)
}
