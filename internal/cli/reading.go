package cli

import (
	"cmp"
	"sync"
	"time"

	"github.com/noren-dev/noren/internal/cli/view"
	"github.com/noren-dev/noren/internal/control"
)

// slow is how long reading before a run may take before noren says what it
// waits for.
const slow = time.Second

// A waitingLine says what is waited for once that takes long. On a terminal the
// line follows the wait and goes when all have answered; elsewhere it is said
// once.
type waitingLine struct {
	view    view.View
	after   time.Duration
	follows bool

	mu    sync.Mutex
	now   control.Reading
	timer *time.Timer // nil: all have answered
	shown bool
}

func (a *app) waitingLine() *waitingLine {
	return &waitingLine{view: a.view, after: cmp.Or(a.Slow, slow), follows: columns(a.Stderr) > 0}
}

// reading is told by package control whenever it changes what is waited for.
func (w *waitingLine) reading(r control.Reading) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = r
	switch {
	case len(r.Waiting) == 0 && w.timer != nil:
		w.timer.Stop()
		w.timer = nil
		if w.shown && w.follows {
			w.shown = false
			w.view.Reading(r)
		}
	case w.shown:
		if w.follows {
			w.view.Reading(r)
		}
	case len(r.Waiting) > 0 && w.timer == nil:
		w.timer = time.AfterFunc(w.after, w.show)
	}
}

func (w *waitingLine) show() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil && !w.shown { // else all answered in this very moment
		w.shown = true
		w.view.Reading(w.now)
	}
}
