package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// killers is how many shops share the points at which noren is killed.
const killers = 4

// TestKilledAtEveryPoint kills noren at each recorded point of a closing, runs
// the same command again, and does the same with the opening. Whatever the
// point, the cluster's objects end exactly as they were.
func TestKilledAtEveryPoint(t *testing.T) {
	t.Parallel()
	eachPoint(t, 40, func(t *testing.T, s *shop, n int, reached func(result)) bool {
		closeArgs := []string{"close", "--env", "prod", "--for", "30m", "--confirm", "prod"}
		openArgs := []string{"open", "--env", "prod", "--confirm", "prod"}
		state, kill := t.TempDir(), []string{fmt.Sprintf("%s=%d", killAt, n)}
		first := noren(t, s.dir, state, kill, closeArgs...)
		if reached(first); first.code == -1 {
			s.noren(t, state, closeArgs...).must(t, 0)
		}
		if code, _ := s.get(t, "shop", "/"); code != 503 {
			t.Fatalf("closed after a kill at point %d, and shop answers %d\n%s", n, code, first.err)
		}
		second := noren(t, s.dir, state, kill, openArgs...)
		if reached(second); second.code == -1 {
			s.noren(t, state, openArgs...).must(t, 0)
		}
		return first.code == -1 || second.code == -1
	}, func(o *shopOptions) { o.working = true })
}

// TestKilledOnTheWayToThePageServer does it with strategy backend, whose two
// changes depend on each other.
func TestKilledOnTheWayToThePageServer(t *testing.T) {
	t.Parallel()
	eachPoint(t, 20, func(t *testing.T, s *shop, n int, reached func(result)) bool {
		closeArgs := []string{"close", "stall", "--env", "prod", "--for", "30m", "--confirm", "prod"}
		openArgs := []string{"open", "--env", "prod", "--confirm", "prod"}
		state, kill := t.TempDir(), []string{fmt.Sprintf("%s=%d", killAt, n)}
		first := noren(t, s.dir, state, kill, closeArgs...)
		if reached(first); first.code == -1 {
			s.noren(t, state, closeArgs...).must(t, 0)
		}
		if code, body := s.get(t, "stall", "/"); code != 503 || !strings.Contains(body, longMessage[:60]) {
			t.Fatalf("closed after a kill at point %d, and the stall answers %d %.80s\n%s", n, code, body, first.err)
		}
		second := noren(t, s.dir, state, kill, openArgs...)
		if reached(second); second.code == -1 {
			s.noren(t, state, openArgs...).must(t, 0)
		}
		return first.code == -1 || second.code == -1
	}, withStall, func(o *shopOptions) { o.byHand = true })
}

// TestKilledWhileGoingBack does it with a closing that cannot be proved, from
// the moment at which it begins to go back: the same command again ends with
// everything as it was, and says that it could not close.
func TestKilledWhileGoingBack(t *testing.T) {
	t.Parallel()
	eachPoint(t, 12, func(t *testing.T, s *shop, n int, reached func(result)) bool {
		s.unprovable(t)
		args := []string{"close", "--env", "prod", "--for", "30m", "--confirm", "prod"}
		state, short := t.TempDir(), patience+"=300ms"
		first := noren(t, s.dir, state, []string{short, fmt.Sprintf("%s=%d after run.undoing", killAt, n)}, args...)
		if reached(first); first.code != -1 {
			first.must(t, 10)
			return false
		}
		noren(t, s.dir, state, []string{short}, args...).must(t, 10).says(t, "every change of this run was taken back")
		return true
	})
}

// eachPoint calls f with every point of a run, in several shops at a time,
// until f tells that there is none any more; each time, the shop's objects must
// end as they were. f reports the results of the commands that are killed.
func eachPoint(t *testing.T, want int, f func(t *testing.T, s *shop, n int, reached func(result)) bool, change ...func(*shopOptions)) {
	eachPointOf(t, want, func(t testing.TB) *shop { return newShop(t, change...) }, f)
}

// eachPointOf is eachPoint for shops that open makes.
func eachPointOf(t *testing.T, want int, open func(t testing.TB) *shop, f func(t *testing.T, s *shop, n int, reached func(result)) bool) {
	points := newMoments()
	t.Run("points", func(t *testing.T) {
		for i := range killers {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				s := open(t)
				before := s.objects(t)
				for n := i + 1; ; n += killers {
					more := f(t, s, n, points.reached)
					s.same(t, before)
					if !more {
						return
					}
				}
			})
		}
	})
	points.atLeast(t, want)
}
