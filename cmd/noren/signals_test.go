package main

import (
	"bufio"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/noren-dev/noren/internal/fault"
)

const passOn = 0

// The connection is lost in the middle of a closing: it is carried to its end.
func TestHangupInTheMiddleOfARun(t *testing.T) {
	t.Parallel()
	r := newRig(t, false)
	writing := r.stall.arm(http.MethodPut)
	term := r.onTerminal(80, 24, "close", "--yes")
	<-writing
	term.vanish()
	r.stall.answer <- passOn
	if code := term.exit(); code != fault.ExitDone {
		t.Errorf("exit code %d:\n%s", code, term.shown())
	}
	r.wantStatus("closed since", true)
}

// A hangup while lines are printed, and where they go is gone too.
func TestHangupWithoutATerminal(t *testing.T) {
	t.Parallel()
	r := newRig(t, false)
	writing := r.stall.arm(http.MethodPut)
	cmd := r.noren("close")
	out, err := cmd.StdoutPipe()
	r.must(err)
	r.must(cmd.Start())
	<-writing
	r.must(out.Close())
	r.must(cmd.Process.Signal(syscall.SIGHUP))
	r.stall.answer <- passOn
	r.must(cmd.Wait())
	r.wantStatus("closed since", true)
}

// Nobody is there to ask when the step fails: noren goes back.
func TestFailureAfterAHangup(t *testing.T) {
	t.Parallel()
	r := newRig(t, false)
	writing := r.stall.arm(http.MethodPut)
	term := r.onTerminal(80, 24, "close", "--yes")
	<-writing
	term.vanish()
	r.stall.answer <- http.StatusForbidden
	if code := term.exit(); code != fault.ExitError {
		t.Errorf("exit code %d:\n%s", code, term.shown())
	}
	r.wantStatus("No run of this state directory holds anything closed", false)
}

// The question is on the screen when the connection is lost.
func TestHangupWhileAsked(t *testing.T) {
	t.Parallel()
	r := newRig(t, false)
	writing := r.stall.arm(http.MethodPut)
	term := r.onTerminal(80, 24, "close", "--yes")
	<-writing
	r.stall.answer <- http.StatusForbidden
	term.await("What now?")
	term.vanish()
	if code := term.exit(); code != fault.ExitError {
		t.Errorf("exit code %d:\n%s", code, term.shown())
	}
	r.wantStatus("No run of this state directory holds anything closed", false)
}

// Whoever says --on-failure ask is asked, also from another terminal.
func TestFailureAfterAHangupWaitsIfTold(t *testing.T) {
	t.Parallel()
	r := newRig(t, false)
	writing := r.stall.arm(http.MethodPut)
	term := r.onTerminal(80, 24, "close", "--yes", "--on-failure", "ask")
	<-writing
	term.vanish()
	r.stall.answer <- http.StatusForbidden
	watch := r.noren("watch")
	out, err := watch.StdoutPipe()
	r.must(err)
	r.must(watch.Start())
	id := ""
	for lines := bufio.NewScanner(out); id == "" && lines.Scan(); {
		_, id, _ = strings.Cut(lines.Text(), "noren retry, skip, undo or stop ")
	}
	if got := r.says("undo", id); !strings.Contains(got, "Undone") {
		t.Errorf("undo %s: %s", id, got)
	}
	if code := term.exit(); code != fault.ExitError {
		t.Errorf("exit code %d", code)
	}
	_ = watch.Wait() // it ends as the run did
	r.wantStatus("No run of this state directory holds anything closed", false)
}

// Before a run has begun a hangup ends noren, and nothing was written.
func TestHangupBeforeARun(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		protected bool
		at        func(*rig, *terminal, <-chan struct{})
	}{
		"planning": {false, func(_ *rig, _ *terminal, reading <-chan struct{}) { <-reading }},
		"confirming": {true, func(r *rig, term *terminal, _ <-chan struct{}) {
			r.stall.answer <- passOn
			term.await("Type the environment")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, c.protected)
			reading := r.stall.arm(http.MethodGet)
			term := r.onTerminal(80, 24, "close")
			c.at(r, term, reading)
			term.vanish()
			if code := term.exit(); code >= fault.ExitError {
				t.Errorf("exit code %d, want death by the signal:\n%s", code, term.shown())
			}
			r.wantStatus("No run of this state directory holds anything closed", false)
		})
	}
}

// noren close | head -1: the reader goes away in the middle of the run.
func TestReaderGoesAway(t *testing.T) {
	t.Parallel()
	for _, output := range []string{"text", "json"} {
		t.Run(output, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, false)
			writing := r.stall.arm(http.MethodPut)
			cmd := r.noren("close", "--output", output)
			out, err := cmd.StdoutPipe()
			r.must(err)
			r.must(cmd.Start())
			_, err = bufio.NewReader(out).ReadString('\n')
			r.must(err)
			<-writing
			r.must(out.Close())
			r.stall.answer <- passOn
			r.must(cmd.Wait())
			r.wantStatus("closed since", true)
		})
	}
}

// An interrupt while planning leaves at once, whatever does not answer.
func TestInterruptWhilePlanning(t *testing.T) {
	t.Parallel()
	for name, interrupt := range map[string]func(*testing.T, *exec.Cmd){
		"once":  func(t *testing.T, cmd *exec.Cmd) { send(t, cmd, os.Interrupt) },
		"twice": func(t *testing.T, cmd *exec.Cmd) { send(t, cmd, os.Interrupt, os.Interrupt) },
		"term":  func(t *testing.T, cmd *exec.Cmd) { send(t, cmd, syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, false)
			reading := r.stall.arm(http.MethodGet)
			cmd := r.noren("close")
			r.must(cmd.Start())
			<-reading
			interrupt(t, cmd)
			_ = cmd.Wait() // its code says it
			state := cmd.ProcessState
			died := state.Sys().(syscall.WaitStatus).Signal() == syscall.SIGINT && name == "twice" // a shell says 130
			if state.ExitCode() != fault.ExitInterrupted && !died {
				t.Errorf("%s, want exit code %d", state, fault.ExitInterrupted)
			}
			r.wantStatus("No run of this state directory holds anything closed", false)
		})
	}
}

func send(t *testing.T, cmd *exec.Cmd, signals ...os.Signal) {
	t.Helper()
	for _, s := range signals {
		if err := cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
	}
}

// Ctrl-C at the question is a no.
func TestInterruptWhileConfirming(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]uint16{"drawn": 80, "as a line": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, true)
			term := r.onTerminal(size, size, "close")
			term.await("Type the environment")
			term.typed("\x03")
			if code := term.exit(); code != fault.ExitInterrupted {
				t.Errorf("exit code %d:\n%s", code, term.shown())
			}
			r.wantStatus("No run of this state directory holds anything closed", false)
		})
	}
}
