package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/gate/gateapi"
)

// A running is a gate under test and its two addresses.
type running struct {
	*Gate
	url, admin, token string
	stop              func() error // ends it and returns what Run returned
}

func start(t testing.TB, c Config) *running {
	t.Helper()
	if c.StateDir == "" {
		c.StateDir = t.TempDir()
	}
	if c.Listen == nil {
		c.Listen = []Listen{{Address: "127.0.0.1:0"}}
	}
	c.Admin.Address = "127.0.0.1:0"
	g, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	select {
	case <-g.Ready():
	case err := <-ended:
		t.Fatal(err)
	}
	token, err := os.ReadFile(g.TokenFile())
	if err != nil {
		t.Fatal(err)
	}
	r := &running{
		Gate:  g,
		url:   "http://" + g.Addrs().Listen[0].String(),
		admin: "http://" + g.Addrs().Admin.String(),
		token: strings.TrimSpace(string(token)),
	}
	var result error
	stopped := false
	r.stop = func() error {
		if !stopped {
			stopped = true
			cancel()
			result = <-ended
		}
		return result
	}
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return r
}

// app starts an application and returns its URL.
func app(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func hello(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello from the application") }

// An answered is a response that was read.
type answered struct {
	status int
	header http.Header
	body   string
}

func send(t testing.TB, method, url string, body io.Reader, headers ...string) answered {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
			continue
		}
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered{res.StatusCode, res.Header, string(raw)}
}

// ask sends to the admin address, with the token.
func (r *running) ask(t testing.TB, method, path string, body any, headers ...string) answered {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return send(t, method, r.admin+path, bytes.NewReader(raw), append(headers, "Authorization", "Bearer "+r.token)...)
}

func (r *running) door(t testing.TB, name string) (gateapi.Door, string) {
	t.Helper()
	a := r.ask(t, http.MethodGet, "/v1/doors/"+name, nil)
	var d gateapi.Door
	if err := json.Unmarshal([]byte(a.body), &d); err != nil || a.status != http.StatusOK {
		t.Fatalf("%d %s (%v)", a.status, a.body, err)
	}
	return d, a.header.Get("ETag")
}

// turnTo closes a door, or opens it if c is nil.
func (r *running) turnTo(t testing.TB, name string, c *gateapi.Closed) answered {
	t.Helper()
	_, tag := r.door(t, name)
	method := http.MethodPut
	if c == nil {
		method = http.MethodDelete
	}
	return r.ask(t, method, "/v1/doors/"+name+"/closing", c, "If-Match", tag)
}

func (r *running) mustTurn(t testing.TB, name string, c *gateapi.Closed) {
	t.Helper()
	if a := r.turnTo(t, name, c); a.status != http.StatusNoContent {
		t.Fatalf("turning the door %s: %d %s", name, a.status, a.body)
	}
}

const mark = "run-1"

func closing(change ...func(*edge.Closing)) *gateapi.Closed {
	c := edge.Closing{
		Mark: mark,
		Mode: edge.Closed,
		Page: edge.Response{
			Status: http.StatusServiceUnavailable, ContentType: "text/html; charset=utf-8",
			Body:   `<!doctype html><meta name="noren" content="` + mark + `">closed`,
			Header: map[string]string{"Retry-After": "Fri, 02 Jan 2026 03:04:05 GMT"}, Mark: mark,
		},
	}
	for _, f := range change {
		f(&c)
	}
	return &gateapi.Closed{Closing: c, Mark: &action.Mark{Actor: "test@example"}}
}

func (a answered) isClosed() bool {
	return a.status == http.StatusServiceUnavailable && strings.Contains(a.body, mark)
}
