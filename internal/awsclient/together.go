package awsclient

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/noren-dev/noren/internal/driver"
)

// Together reads things by their names, several in one request where a batch
// asks for many (see [driver.Batch]). While a request is under way, those who
// come wait for the next, which asks for all of them at once: AWS counts
// requests, and not the things asked for.
type Together[T any] struct {
	// Most is how many things one request may name.
	Most int
	// Read reads the things named. One that does not exist is not in its answer.
	Read func(ctx context.Context, names []string) (map[string]*T, error)

	mu      sync.Mutex
	running bool
	queue   []*look[T]
	answers map[string]answered[T]
}

// A look is one that somebody waits for.
type look[T any] struct {
	name  string
	since time.Time
	done  chan struct{}
	val   *T
	err   error
}

type answered[T any] struct {
	began time.Time
	val   *T
}

// readPatience bounds a request that many wait for.
const readPatience = time.Minute

// Expect says that a thing will be asked for: whoever asks for another one,
// in a batch, then reads it along.
func (t *Together[T]) Expect(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.know(name)
}

func (t *Together[T]) know(name string) {
	if t.answers == nil {
		t.answers = map[string]answered[T]{}
	}
	if _, known := t.answers[name]; !known {
		t.answers[name] = answered[T]{}
	}
}

// Get returns a thing, nil if it does not exist. Things are shared: whoever gets
// one does not change it.
func (t *Together[T]) Get(ctx context.Context, name string) (*T, error) {
	batch := driver.BatchOf(ctx)
	if !batch.Many() {
		all, err := t.Read(ctx, []string{name})
		return all[name], err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l := &look[T]{name: name, since: batch.Since, done: make(chan struct{})}
	t.mu.Lock()
	t.know(name)
	t.queue = append(t.queue, l)
	if !t.running {
		t.running = true
		go t.answer(context.WithoutCancel(ctx))
	}
	t.mu.Unlock()
	select {
	case <-l.done:
		return l.val, l.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// answer answers those who wait until nobody does.
func (t *Together[T]) answer(ctx context.Context) {
	for {
		names := t.next()
		if len(names) == 0 {
			return
		}
		began := time.Now()
		all, err := t.read(ctx, names)
		t.mu.Lock()
		for _, name := range names {
			if err == nil {
				t.answers[name] = answered[T]{began, all[name]}
			}
		}
		if err != nil {
			t.fail(names, err)
		}
		t.mu.Unlock()
	}
}

// next answers whom it can from what was read, and returns what to read for the
// others. Nothing is left to do if it returns no name.
func (t *Together[T]) next() (names []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue = slices.DeleteFunc(t.queue, func(l *look[T]) bool {
		a := t.answers[l.name]
		if a.began.IsZero() || a.began.Before(l.since) {
			return false
		}
		l.val = a.val
		close(l.done)
		return true
	})
	if len(t.queue) == 0 {
		t.running = false
		return nil
	}
	var since time.Time
	for _, l := range t.queue {
		if len(names) < t.Most && !slices.Contains(names, l.name) {
			names = append(names, l.name)
		}
		if since.IsZero() || l.since.Before(since) {
			since = l.since
		}
	}
	// Others that are known will be asked for, too: there is room for them.
	for name, a := range t.answers {
		if len(names) == t.Most {
			break
		}
		if a.began.Before(since) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// fail tells those who wait for the names why they have no answer.
func (t *Together[T]) fail(names []string, err error) {
	t.queue = slices.DeleteFunc(t.queue, func(l *look[T]) bool {
		if !slices.Contains(names, l.name) {
			return false
		}
		l.err = err
		close(l.done)
		return true
	})
}

func (t *Together[T]) read(ctx context.Context, names []string) (all map[string]*T, err error) {
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	defer func() {
		if p := recover(); p != nil { // it fails those who wait, not the process
			err = fmt.Errorf("this is a bug in noren: %v\n%s", p, debug.Stack())
		}
	}()
	return t.Read(ctx, names)
}
