package testmonitors

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"sync"
)

// A Counter stands in front of an API: it counts the writes that were carried out,
// and loses an answer when it is told to.
type Counter struct {
	mu     sync.Mutex
	next   http.Handler
	writes int
	lose   bool
	isRead func(method, path string, body []byte) bool
	// Blade, if not nil, may fall at a write.
	Blade *Blade
}

// A Blade falls once on whoever writes, at the nth write of all the APIs that it
// stands over: before it is carried out, or after and before its answer.
type Blade struct {
	mu    sync.Mutex
	left  int
	after bool
	fall  func()
}

// Set lets the blade fall at the nth write from now on, by calling fall.
func (b *Blade) Set(nth int, after bool, fall func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left, b.after, b.fall = nth, after, fall
}

// Disarm lets it fall no more, and tells whether it has fallen since it was set.
func (b *Blade) Disarm() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	fell := b.left <= 0
	b.left, b.fall = 0, nil
	return fell
}

// comes counts a write, and returns whether the blade falls at it, and when.
func (b *Blade) comes() (before, after bool) {
	if b == nil {
		return false, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fall == nil {
		return false, false
	}
	b.left--
	return b.left == 0 && !b.after, b.left == 0 && b.after
}

func (b *Blade) drop() {
	b.mu.Lock()
	fall := b.fall
	b.mu.Unlock()
	if fall != nil {
		fall()
	}
	panic(http.ErrAbortHandler)
}

// Count puts a counter in front of an API. isRead tells which requests only read;
// nil: those of GET.
func Count(next http.Handler, isRead func(method, path string, body []byte) bool) *Counter {
	if isRead == nil {
		isRead = func(method, _ string, _ []byte) bool { return method == http.MethodGet }
	}
	return &Counter{next: next, isRead: isRead}
}

// Writes is how many writes were carried out.
func (c *Counter) Writes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writes
}

// LoseNext lets the next write be carried out, and its answer be lost.
func (c *Counter) LoseNext() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lose = true
}

func (c *Counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body bytes.Buffer
	if _, err := body.ReadFrom(r.Body); err != nil {
		return // the client has gone
	}
	raw := body.Bytes()
	r.Body = readAgain{bytes.NewReader(raw)}
	answer := httptest.NewRecorder()
	write := !c.isRead(r.Method, r.URL.Path, raw)
	var before, after bool
	if write {
		before, after = c.Blade.comes()
	}
	if before {
		c.Blade.drop()
	}
	c.next.ServeHTTP(answer, r)
	if after {
		c.Blade.drop()
	}
	if write && answer.Code/100 == 2 {
		c.mu.Lock()
		c.writes++
		lost := c.lose
		c.lose = false
		c.mu.Unlock()
		if lost {
			panic(http.ErrAbortHandler)
		}
	}
	for k, v := range answer.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes()) // the client may have gone
}

type readAgain struct{ *bytes.Reader }

func (readAgain) Close() error { return nil }
