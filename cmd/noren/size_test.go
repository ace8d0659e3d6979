package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/creack/pty"

	"github.com/noren-dev/noren/internal/fault"
)

// A terminal without a size gets lines, and a closing all the same.
func TestTerminalOfNoSize(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]uint16{"0x0": 0, "1x1": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, true)
			term := r.onTerminal(size, size, "close")
			term.await("Type the environment")
			term.typed("prod\n")
			term.await("Closed:")
			if code := term.exit(); code != fault.ExitDone {
				t.Errorf("exit code %d:\n%s", code, term.shown())
			}
			if strings.Contains(term.shown(), "\x1b[?25l") {
				t.Errorf("it was drawn:\n%q", term.shown())
			}
			r.wantStatus("closed since", true)
		})
	}
}

// A window that shrinks to nothing under the live view, and comes back.
func TestWindowShrinks(t *testing.T) {
	t.Parallel()
	r := newRig(t, false)
	writing := r.stall.arm(http.MethodPut)
	term := r.onTerminal(80, 24, "close", "--yes")
	<-writing
	term.await("Closing")
	for _, size := range []uint16{0, 1, 30} {
		r.must(pty.Setsize(term.tty, &pty.Winsize{Cols: size, Rows: size}))
	}
	r.stall.answer <- passOn
	term.await("Closed:")
	if code := term.exit(); code != fault.ExitDone {
		t.Errorf("exit code %d:\n%s", code, term.shown())
	}
	r.wantStatus("closed since", true)
}
