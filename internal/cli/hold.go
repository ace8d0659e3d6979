package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// A hold keeps this process alive while a run is under way. Interrupts come to
// whoever shows the run, and the loss of the terminal (SIGHUP) ends nothing: a
// run that is half way is carried to its end whether or not somebody looks.
type hold struct {
	interrupts chan os.Signal // SIGINT, SIGTERM
	hangups    chan os.Signal // SIGHUP
}

// takeHold is called before a run is recorded, so that no signal falls between.
// An interrupt that ended ctx before counts as the first.
func takeHold(ctx context.Context) *hold {
	h := &hold{make(chan os.Signal, 2), make(chan os.Signal, 1)}
	signal.Notify(h.interrupts, os.Interrupt, syscall.SIGTERM)
	signal.Notify(h.hangups, syscall.SIGHUP)
	if ctx.Err() != nil && len(h.interrupts) == 0 {
		h.interrupts <- os.Interrupt
	}
	return h
}

// release gives the signals back: where no run is under way, each ends noren.
func (h *hold) release() {
	signal.Stop(h.interrupts)
	signal.Stop(h.hangups)
}
