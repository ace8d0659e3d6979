package actiontest

import (
	"context"
	"sync"
	"time"
)

// fleeting is a context that ends as soon as it has been looked at: a check at
// a change's entry finds it alive, and its first call outside finds it done.
// That catches drivers that look once and then do I/O with another context.
type fleeting struct {
	mu     sync.Mutex
	looked bool
}

func (*fleeting) Deadline() (time.Time, bool) { return time.Time{}, false }

func (*fleeting) Value(any) any { return nil }

func (f *fleeting) Done() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looked = true
	done := make(chan struct{})
	close(done)
	return done
}

func (f *fleeting) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.looked {
		f.looked = true
		return nil
	}
	return context.Canceled
}
