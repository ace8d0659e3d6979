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
	c.next.ServeHTTP(answer, r)
	if !c.isRead(r.Method, r.URL.Path, raw) && answer.Code/100 == 2 {
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
