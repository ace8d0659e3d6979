package e2e

import "testing"

// TestAdoptedHalfWay: a closing that was cut off is not called closed where it is
// adopted, and opens from there.
func TestAdoptedHalfWay(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	before := s.objects(t)
	killed := noren(t, s.dir, t.TempDir(), []string{killAt + "=1 after applied close"}, "close", "shop", "--env", "prod", "--for", "30m", "--pass", "--confirm", "prod")
	killed.must(t, -1)
	state := t.TempDir()
	s.noren(t, state, "recover", "--env", "prod", "--keep-closed", "--confirm", "prod").must(t, 0).
		says(t, "half closed:", "it may be closed half-way only", "Adopted, closed half-way only: shop. Customers may get in.")
	s.noren(t, state, "status").must(t, 0).says(t, "shop  half closed since", "customers may get in")
	s.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
	s.same(t, before)
}
