package live

import (
	"io"
	"os"
	"sync"

	"github.com/noren-dev/noren/internal/run"
)

// An absence is what happens when the terminal is gone, as when a connection is
// lost in the middle of the night. The run goes on to its end. If it comes to
// wait for a person, it is told to go back: nobody is there to ask, and half
// closed is the worst that a service can be left. A person who had answered
// already, just before, keeps the word.
type absence struct {
	goBack func()
	waits  bool // for a person elsewhere, instead of going back

	mu    sync.Mutex
	gone  bool
	asked bool // the run waits, and nobody has answered yet
}

// begin says that the terminal is gone.
func (a *absence) begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gone = true
	a.decide()
}

// heard takes news of the run, and tells whether the terminal is gone.
func (a *absence) heard(e run.Event, r *run.Run) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = r.Status == run.Waiting && (a.asked || e.Type == run.RunWaiting)
	a.decide()
	return a.gone
}

// answered says that a person has answered the run's question.
func (a *absence) answered() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = false
}

func (a *absence) decide() {
	if a.gone && a.asked && !a.waits {
		a.asked = false
		a.goBack()
	}
}

// watched calls gone, once, when out no longer takes what is written: a
// terminal may go without a signal.
func watched(out io.Writer, gone func()) io.Writer {
	once := sync.OnceFunc(gone)
	if f, ok := out.(*os.File); ok {
		return screen{f, once}
	}
	return out
}

// A screen stays a file, so that its size can be asked.
type screen struct {
	*os.File
	gone func()
}

func (s screen) Write(p []byte) (int, error) {
	n, err := s.File.Write(p)
	if err != nil {
		s.gone()
	}
	return n, err
}
