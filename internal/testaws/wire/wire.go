// Package wire is a way to a server of AWS's services that counts the writes
// which the server carried out, can lose the answer to one, and tells of each
// before it is carried out. It can answer some requests by itself.
package wire

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// A Wire is a proxy in front of one server.
type Wire struct {
	// Endpoint takes the place of the server's.
	Endpoint string

	busy sync.RWMutex // held for reading while a request is under way

	mu     sync.Mutex
	writes int
	lose   bool
	before func(operation string)
	record map[string]string
}

// New puts a proxy in front of the server at endpoint.
func New(t testing.TB, endpoint string) *Wire {
	t.Helper()
	to, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	w := &Wire{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
			r.Out = r.Out.WithContext(context.WithoutCancel(r.Out.Context()))
			if writes(r.Out) {
				w.tell(cmp.Or(operation(r.Out), r.Out.Method+" "+r.Out.URL.Path))
			}
		},
		ModifyResponse: func(r *http.Response) error {
			if r.StatusCode < http.StatusMultipleChoices && writes(r.Request) {
				return w.wrote()
			}
			return nil
		},
		ErrorHandler: func(rw http.ResponseWriter, _ *http.Request, _ error) {
			if conn, _, err := http.NewResponseController(rw).Hijack(); err == nil {
				_ = conn.Close()
			}
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.busy.RLock()
		defer w.busy.RUnlock()
		keep(r)
		if answer := w.recorded(operation(r)); answer != "" {
			_, _ = io.WriteString(rw, answer)
			return
		}
		proxy.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	w.Endpoint = server.URL
	return w
}

// Record lets the wire answer an operation by itself, with what AWS is documented
// to say where the server does not.
func (w *Wire) Record(operation, answer string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.record == nil {
		w.record = map[string]string{}
	}
	w.record[operation] = answer
}

func (w *Wire) recorded(operation string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.record[operation]
}

// errLost ends a connection whose answer is to be lost.
var errLost = http.ErrAbortHandler

func (w *Wire) wrote() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writes++
	if w.lose {
		w.lose = false
		return errLost
	}
	return nil
}

// LoseNextAnswer lets the next write be carried out, and its answer be lost.
func (w *Wire) LoseNextAnswer(testing.TB) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lose = true
}

// Before calls f with the operation of each write before it is carried out, one
// at a time; nil for no more. A write is carried out even if its sender is gone
// by then. Before waits for the requests that are under way.
func (w *Wire) Before(f func(operation string)) {
	w.busy.Lock()
	defer w.busy.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.before = f
}

func (w *Wire) tell(operation string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.before != nil {
		w.before(operation)
	}
}

// Writes counts the writes that were carried out.
func (w *Wire) Writes(testing.TB) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.writes
}

// operationHeader carries the operation of a request in the query protocol, whose
// body is gone by the time that it is answered.
const operationHeader = "X-Wire-Operation"

// keep reads the body of a request, so that it is whole whatever becomes of its
// sender, and notes the operation that stands in it.
func keep(r *http.Request) {
	if r.Body == nil {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the server will say so
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		return
	}
	if form, err := url.ParseQuery(string(body)); err == nil {
		r.Header.Set(operationHeader, form.Get("Action"))
	}
}

// operation is the name of a request's operation: in the headers, the form or
// the path of its protocol; "" where that is REST.
func operation(r *http.Request) string {
	if _, name, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		return name
	}
	if _, name, ok := strings.Cut(r.URL.Path, "/operation/"); ok { // Smithy RPC v2
		return name
	}
	return r.Header.Get(operationHeader)
}

// writes tells whether a request changes anything, by the name of its operation
// or, where the protocol is REST, by its method.
func writes(r *http.Request) bool {
	name := operation(r)
	if name == "" {
		return r.Method != http.MethodGet
	}
	for _, read := range []string{"Describe", "Get", "List"} {
		if strings.HasPrefix(name, read) {
			return false
		}
	}
	return true
}
