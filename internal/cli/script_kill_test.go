package cli_test

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/noren-dev/noren/internal/testmonitors"
)

// killer makes the hook that dies as by kill -9.
func killer(at string) func(string) {
	if at == "" {
		return func(string) {}
	}
	nth, err := strconv.ParseInt(at, 10, 64)
	var seen atomic.Int64
	return func(point string) {
		if n := seen.Add(1); n == nth || err != nil && strings.HasPrefix(point, at) {
			if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
				panic(err)
			}
			select {} // until the signal arrives
		}
	}
}

// cmdKillEach runs a command of noren again and again, each time killed one
// recorded point later, until it ends before its point comes. After each kill
// the same command must carry on to its end, and the second bring back what
// was before the first.
func cmdKillEach(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2, "killeach 'command' 'command that takes it back'")
	n := killedUntilItEnds(ts, args[0], func(n int) { ts.Setenv(killVariable, strconv.Itoa(n)) }, func(int) {
		ts.Setenv(killVariable, "")
		again(ts, args[0])
		again(ts, args[1])
	})
	ts.Setenv(killVariable, "")
	again(ts, args[1])
	if n < leastPoints {
		ts.Fatalf("killeach: only %d points were recorded", n)
	}
}

// leastPoints is fewer than the points of any run that changes something.
const leastPoints = 10

// killedUntilItEnds runs a command until it is not killed any more, with arm before
// the nth time and mend after each kill. It returns how often it was killed.
func killedUntilItEnds(ts *testscript.TestScript, command string, arm, mend func(n int)) int {
	for n := 1; ; n++ {
		arm(n)
		err := ts.Exec("noren", strings.Fields(command)...)
		if err == nil {
			ts.Logf("killed at %d points", n-1)
			return n - 1
		}
		if !strings.Contains(err.Error(), "killed") {
			ts.Fatalf("%s: at point %d: %v", command, n, err)
		}
		mend(n)
	}
}

func again(ts *testscript.TestScript, command string) {
	ts.Check(ts.Exec("noren", strings.Fields(command)...))
}

// cmdKillAt runs noren until it kills itself at a recorded point.
func cmdKillAt(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) > 1, "killat point noren ...")
	ts.Setenv(killVariable, args[0])
	err := ts.Exec(args[1], args[2:]...)
	ts.Setenv(killVariable, "")
	if err == nil || !strings.Contains(err.Error(), "killed") {
		ts.Fatalf("killat %s: want noren killed, got %v", args[0], fmt.Sprint(err))
	}
}

// A stander is a system of somebody else's in which noren's things stand beside
// those of others.
type stander interface {
	Standing() []string
	Colleague()
}

// counted puts a system under the blade of the script.
func (w *scriptWorld) counted(name string, s interface {
	http.Handler
	stander
}, isRead func(method, path string, body []byte) bool) *testmonitors.Counter {
	w.standers[name] = s
	c := testmonitors.Count(s, isRead)
	c.Blade = &w.blade
	return c
}

// cmdColleagues lets a colleague leave something of hers in each system.
func cmdColleagues(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 0, "colleagues")
	for _, s := range world(ts).standers {
		s.Colleague()
	}
}

// cmdStanding prints how many things of noren's and of others stand in each system.
func cmdStanding(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 0, "standing")
	ours, others := standing(ts)
	for _, name := range slices.Sorted(maps.Keys(world(ts).standers)) {
		fmt.Fprintf(ts.Stdout(), "%s: %d of noren's, %d of others\n", name, len(ours[name]), len(others[name]))
	}
}

// standing is what stands in each system, of noren's and of others.
func standing(ts *testscript.TestScript) (ours, others map[string][]string) {
	ours, others = map[string][]string{}, map[string][]string{}
	for name, s := range world(ts).standers {
		ours[name], others[name] = []string{}, []string{}
		for _, text := range s.Standing() {
			if strings.Contains(text, "noren") || strings.HasSuffix(text, "under_maintenance") {
				ours[name] = append(ours[name], text)
			} else {
				others[name] = append(others[name], text)
			}
		}
	}
	return ours, others
}

func counts(all map[string][]string) map[string]int {
	n := map[string]int{}
	for name, texts := range all {
		n[name] = len(texts)
	}
	return n
}

// cmdKillWrites runs a command of noren again and again, each time killed at the
// next of its writes to what stands under the blade: just before it is carried out,
// and, the second time, after that and before its answer. After each kill "resume"
// or the command itself must carry on to its end, and the second bring back what was
// before: as much of noren's as if it had never been killed, and whatever is others'
// untouched.
func cmdKillWrites(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 3, "killwrites writes 'command' 'command that takes it back'")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	before, others := standing(ts)
	again(ts, args[1])
	during, _ := standing(ts)
	again(ts, args[2])
	same := func(when string, wanted map[string]int) {
		ours, theirs := standing(ts)
		if got := counts(ours); !maps.Equal(got, wanted) {
			ts.Fatalf("killwrites: %s: noren has %v there, and should have %v:\n%v", when, got, wanted, ours)
		}
		if !maps.EqualFunc(theirs, others, slices.Equal) {
			ts.Fatalf("killwrites: %s: what is others' was touched: %v\nIt was: %v", when, theirs, others)
		}
	}
	same("never killed", counts(before))
	pid := ts.MkAbs("killwrites.pid")
	for _, after := range []bool{false, true} {
		ts.Setenv(pidVariable, pid)
		n := killedUntilItEnds(ts, args[1], func(n int) { world(ts).blade.Set(n, after, func() { kill(pid) }) }, func(n int) {
			world(ts).blade.Disarm()
			if after {
				again(ts, "resume")
			}
			again(ts, args[1])
			same(fmt.Sprintf("killed at write %d, after it: %t, and carried on", n, after), counts(during))
			again(ts, args[2])
			same(fmt.Sprintf("killed at write %d, after it: %t, and taken back", n, after), counts(before))
		})
		world(ts).blade.Disarm()
		ts.Setenv(pidVariable, "")
		if n != want {
			ts.Fatalf("killwrites: killed at %d writes, want %d", n, want)
		}
		again(ts, args[2])
		same("at the end", counts(before))
	}
}

// kill kills the noren that left its id in a file.
func kill(file string) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return // the script fails, since it was not killed
	}
	if pid, err := strconv.Atoi(string(raw)); err == nil {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}
