// Package testchannels are servers that hear what channels tell, for tests. They
// refuse whatever the real ones would, and keep what they took.
package testchannels

import (
	"fmt"
	"net/http"
	"sync"

	"github.com/noren-dev/noren/internal/published"
)

// strictness holds a stand-in to what its vendor has published.
type strictness struct {
	once    sync.Once
	checked http.Handler
}

func (s *strictness) serve(vendor string, next http.HandlerFunc, wrong func(string, ...any), w http.ResponseWriter, r *http.Request) {
	s.once.Do(func() { s.checked = published.Checked(vendor, next, wrong) })
	s.checked.ServeHTTP(w, r)
}

// Ledger is what a server took, and what was wrong. It is safe for concurrent
// use.
type Ledger struct {
	mu     sync.Mutex
	lines  []string
	wrongs []string
	down   int // how many calls are answered as by a server that is down; -1: all
	// Told, if not nil, is called with each line that is added.
	Told func(line string)
}

// Took adds a line.
func (l *Ledger) Took(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := fmt.Sprintf(format, args...)
	l.lines = append(l.lines, line)
	if l.Told != nil {
		l.Told(line)
	}
}

// Wrong adds something that a real server would not have taken.
func (l *Ledger) Wrong(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := "WRONG " + fmt.Sprintf(format, args...)
	l.wrongs = append(l.wrongs, line)
	if l.Told != nil {
		l.Told(line)
	}
}

// Lines are what was taken, oldest first.
func (l *Ledger) Lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines...)
}

// Wrongs are what was refused as no real server would be asked.
func (l *Ledger) Wrongs() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.wrongs...)
}

// Down makes the next n calls fail, all of them if n is negative.
func (l *Ledger) Down(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = n
}

func (l *Ledger) isDown() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down > 0 {
		l.down--
		return true
	}
	return l.down < 0
}
