// Package wire is a way to a server of AWS's services that counts the writes
// which the server carried out, and can lose the answer to one.
package wire

import (
	"bytes"
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

	mu     sync.Mutex
	writes int
	lose   bool
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
			name(r.Out)
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
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	w.Endpoint = server.URL
	return w
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

// Writes counts the writes that were carried out.
func (w *Wire) Writes(testing.TB) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.writes
}

// operationHeader carries the operation of a request in the query protocol, whose
// body is gone by the time that it is answered.
const operationHeader = "X-Wire-Operation"

func name(r *http.Request) {
	if r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the server will say so
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if form, err := url.ParseQuery(string(body)); err == nil {
		r.Header.Set(operationHeader, form.Get("Action"))
	}
}

// writes tells whether a request changes anything, by the name of its operation
// or, where the protocol is REST, by its method.
func writes(r *http.Request) bool {
	_, operation, ok := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if !ok {
		operation = r.Header.Get(operationHeader)
	}
	if operation == "" {
		return r.Method != http.MethodGet
	}
	for _, read := range []string{"Describe", "Get", "List"} {
		if strings.HasPrefix(operation, read) {
			return false
		}
	}
	return true
}
