package main

import (
	"net/http"
	"testing"

	"github.com/noren-dev/noren/internal/fault"
)

// A terminal shows what is waited for, in a line that goes when it is there.
func TestWaitingIsShown(t *testing.T) {
	t.Parallel()
	r := newRig(t, false)
	reading := r.stall.arm(http.MethodGet)
	term := r.onTerminal(80, 24, "close", "--yes")
	<-reading
	term.await("reading prod; still waiting for: gate/door shop")
	r.stall.answer <- passOn
	term.await("\r\x1b[K\x1b[2m\x1b[m\x1b[1mClose") // the plan, in its place
	if code := term.exit(); code != fault.ExitDone {
		t.Errorf("exit code %d:\n%s", code, term.shown())
	}
	r.wantStatus("closed since", true)
}
