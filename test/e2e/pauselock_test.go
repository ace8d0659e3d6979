package e2e

import "testing"

// TestPauseThatWasThereIsGivenUp: a closing that finds a sync paused already puts
// nothing back there, and lets go of it all the same.
func TestPauseThatWasThereIsGivenUp(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *shopOptions) { o.automated = "{enabled: false, prune: true, selfHeal: true}" })
	before := s.objects(t)
	state := t.TempDir()
	for range 2 {
		s.noren(t, state, "close", "solo", "--env", "prod", "--confirm", "prod").must(t, 0)
		s.noren(t, state, "open", "solo", "--env", "prod", "--confirm", "prod").must(t, 0)
		s.same(t, before)
	}
}

// TestPauseLeftAsItIsIsGivenUp: so does one that opens with what a colleague made
// of the sync meanwhile.
func TestPauseLeftAsItIsIsGivenUp(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	state := t.TempDir()
	s.noren(t, state, "close", "solo", "--env", "prod", "--confirm", "prod").must(t, 0)
	s.edit(t, applications, "solo", func(object map[string]any) {
		automated := object["spec"].(map[string]any)["syncPolicy"].(map[string]any)["automated"].(map[string]any)
		automated["prune"] = false
	})
	s.noren(t, state, "open", "solo", "--env", "prod", "--confirm", "prod", "--theirs").must(t, 0)
	s.noren(t, state, "close", "solo", "--env", "prod", "--confirm", "prod").must(t, 0)
	s.noren(t, state, "open", "solo", "--env", "prod", "--confirm", "prod").must(t, 0)
}
