package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// A mortal is a world whose services are closed and opened by a noren that is
// killed while it does so.
type mortal struct {
	dir string
	env []string // of noren
	// before is to call f before each call that writes is carried out, one at a
	// time; the call is carried out whatever f does. Nil ends that.
	before func(f func(call string))
	// snapshot is everything that is set up, as text.
	snapshot func(t testing.TB) string
	// rests fails unless the services are closed.
	rests func(t testing.TB)
	// died, if it is set, looks at what noren left that was killed.
	died func(t testing.TB, r result)
}

// A death runs noren and kills it, as kill -9 does, at the n-th of some moments,
// from 1 on. Where there is none, noren goes on to its end.
type death func(t testing.TB, n int, state string, args ...string) result

// atPoint is the death at the n-th recorded point of a run.
func (m *mortal) atPoint(t testing.TB, n int, state string, args ...string) result {
	t.Helper()
	return noren(t, m.dir, state, append([]string{fmt.Sprintf("%s=%d", killAt, n)}, m.env...), args...)
}

// atCall is the death at the n-th call that writes, which arrives and is carried
// out. What is said of it is the call.
func (m *mortal) atCall(t testing.TB, n int, state string, args ...string) result {
	t.Helper()
	return killedAtCall(t, m.before, n, m.dir, state, m.env, args...)
}

// killedAtCall runs noren and kills it as the n-th of its calls that write
// arrives.
func killedAtCall(t testing.TB, before func(func(call string)), n int, dir, state string, env []string, args ...string) result {
	t.Helper()
	started := make(chan *command, 1)
	calls, last := 0, ""
	before(func(call string) {
		if calls++; calls != n {
			return
		}
		last = call
		c := <-started
		_ = c.cmd.Process.Kill()
		<-c.done
	})
	c := start(t, dir, state, env, args...)
	started <- c
	r := c.wait(t)
	before(nil) // once the call is carried out
	if r.code == -1 {
		r.err += fmt.Sprintf("killed at a call: number %d, %s\n", n, last)
	}
	return r
}

func (m *mortal) noren(t testing.TB, state string, args ...string) result {
	t.Helper()
	return noren(t, m.dir, state, m.env, args...)
}

func (m *mortal) same(t testing.TB, before string, after result) {
	t.Helper()
	if now := m.snapshot(t); now != before {
		t.Fatalf("it is not as it was:\n%s\nwas\n%s\n%s", now, before, after.err)
	}
}

func closeArgs() []string {
	return []string{"close", "--env", "prod", "--for", "30m", "--confirm", "prod"}
}

func openArgs() []string { return []string{"open", "--env", "prod", "--confirm", "prod"} }

// everyDeath lets noren die in worlds of that kind: at each recorded point and at
// each call that writes, where it has its records afterwards; and at each call, where
// it does not, for then nothing but what was called counts. It has to come upon so
// many different moments.
func everyDeath(t *testing.T, world func(testing.TB) *mortal, points, calls int) {
	t.Helper()
	for name, c := range map[string]struct {
		live func(*mortal, testing.TB, death, int, func(result)) bool
		of   func(*mortal) death
		want int
	}{
		"at a point":                  {(*mortal).carriesOn, func(m *mortal) death { return m.atPoint }, points},
		"at a call":                   {(*mortal).carriesOn, func(m *mortal) death { return m.atCall }, calls},
		"at a call, records are lost": {(*mortal).isRecovered, func(m *mortal) death { return m.atCall }, calls},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, moments := world(t), newMoments()
			for n := 1; c.live(m, t, c.of(m), n, moments.reached); n++ {
			}
			moments.atLeast(t, c.want)
		})
	}
}

// tells reports how a command ended.
func (m *mortal) tells(t testing.TB, r result, reached func(result)) {
	t.Helper()
	reached(r)
	if r.code == -1 && m.died != nil {
		m.died(t, r)
	}
}

// carriesOn lets noren die at moment n of a closing and of its opening. The same
// command, or resume, carries on. It tells whether there was such a moment.
func (m *mortal) carriesOn(t testing.TB, die death, n int, reached func(result)) bool {
	t.Helper()
	before, state, killed := m.snapshot(t), t.TempDir(), false
	for _, args := range [][]string{closeArgs(), openArgs()} {
		r := die(t, n, state, args...)
		m.tells(t, r, reached)
		switch {
		case r.code != -1:
			r.must(t, 0)
		case n%2 == 0 && !strings.Contains(m.noren(t, state, "resume").must(t, 0).out, "No run was cut off"):
			killed = true
		default:
			killed = true
			m.noren(t, state, args...).must(t, 0)
		}
		if args[0] == "close" {
			m.rests(t)
		} else {
			m.same(t, before, r)
		}
	}
	return killed
}

// isRecovered lets noren die at moment n of a closing, and of an opening, and
// throws its records away: recover opens from the marks alone. It tells whether
// there was such a moment.
func (m *mortal) isRecovered(t testing.TB, die death, n int, reached func(result)) bool {
	t.Helper()
	before, state, killed := m.snapshot(t), t.TempDir(), false
	recovered := func(r result) {
		t.Helper()
		m.tells(t, r, reached)
		killed = true
		m.noren(t, t.TempDir(), "recover", "--env", "prod", "--confirm", "prod").must(t, 0)
		m.same(t, before, r)
	}
	if r := die(t, n, state, closeArgs()...); r.code == -1 {
		recovered(r)
		state = t.TempDir()
		m.noren(t, state, closeArgs()...).must(t, 0)
	} else {
		r.must(t, 0)
	}
	if r := die(t, n, state, openArgs()...); r.code == -1 {
		recovered(r)
	} else {
		r.must(t, 0)
		m.same(t, before, r)
	}
	return killed
}

// moments are the different ones at which noren was killed.
type moments struct {
	mu   sync.Mutex
	seen map[string]bool
}

func newMoments() *moments { return &moments{seen: map[string]bool{}} }

// reached notes the moment of a result, if its command was killed.
func (m *moments) reached(r result) {
	if r.code != -1 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, moment, _ := strings.Cut(strings.TrimSpace(r.err), ": ")
	m.seen[moment] = true
}

// atLeast fails unless there were so many.
func (m *moments) atLeast(t testing.TB, want int) {
	t.Helper()
	if len(m.seen) < want {
		t.Errorf("only %d different moments were reached, want %d: %v", len(m.seen), want, m.seen)
	}
	t.Logf("killed at %d different moments", len(m.seen))
}
