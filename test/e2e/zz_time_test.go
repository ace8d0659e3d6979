package e2e

import (
	"fmt"
	"testing"
	"time"
)

func TestZZTime(t *testing.T) {
	s := newShop(t)
	state := t.TempDir()
	for i := 0; i < 2; i++ {
		a := time.Now()
		r := s.noren(t, state, "close", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 0)
		t.Log("close", time.Since(a), "\n", r.out)
		a = time.Now()
		r = s.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
		t.Log("open", time.Since(a), "\n", r.out)
		a = time.Now()
		s.noren(t, state, "status").must(t, 0)
		t.Log("status", time.Since(a))
	}
	for _, n := range []int{10, 20, 30} {
		state := t.TempDir()
		a := time.Now()
		r := noren(t, s.dir, state, []string{fmt.Sprintf("%s=%d", killAt, n)}, "close", "--env", "prod", "--for", "30m", "--confirm", "prod")
		t.Log("kill", n, time.Since(a), r.err)
		a = time.Now()
		s.noren(t, state, "close", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 0)
		t.Log("again", time.Since(a))
		s.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
	}
}
