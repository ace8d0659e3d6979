package gate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/gate"
	"github.com/noren-dev/noren/internal/gate/gateapi"
)

// A server is a real gate on loopback ports, with two doors, an application
// behind both, and a count of the writes that went through.
type server struct {
	url  string // where customers come in
	cfg  Config
	sick atomic.Bool // the application fails its health path

	mu       sync.Mutex
	writes   int
	loseNext bool
}

func startServer(t testing.TB) *server {
	t.Helper()
	s := &server{}
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" && s.sick.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
		fmt.Fprint(w, "hello from the application")
	}))
	t.Cleanup(app.Close)
	g, err := gate.New(gate.Config{
		Listen: []gate.Listen{{Address: "127.0.0.1:0"}}, Admin: gate.Admin{Address: "127.0.0.1:0"}, StateDir: t.TempDir(),
		Doors: []gate.Door{
			{Name: "web", Hosts: []string{"shop.example.com"}, Backend: app.URL, Health: "/healthz"},
			{Name: "api", Hosts: []string{"api.example.com"}, Backend: app.URL, URLs: []string{"https://api.example.com/v1/"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("gate: %v", err)
		}
	})
	<-g.Ready()
	s.url = "http://" + g.Addrs().Listen[0].String()
	s.cfg = Config{Admin: "http://" + g.Addrs().Admin.String(), TokenFile: g.TokenFile()}
	return s
}

// client is one that counts its writes and can lose their answers.
func (s *server) client(t testing.TB) *client {
	t.Helper()
	c, err := newClient(s.cfg, "prod", s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// RoundTrip sends, and loses the answer of a write if it is to.
func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || r.Method == http.MethodGet || res.StatusCode/100 != 2 {
		return res, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	if s.loseNext {
		s.loseNext = false
		return nil, errors.Join(io.ErrUnexpectedEOF, res.Body.Close())
	}
	return res, nil
}

// see is what a customer of a host gets.
func (s *server) see(t testing.TB, host string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %s", res.StatusCode, raw)
}

const pass = "s3cr3tpass"

func closingOf(mark string) edge.Closing {
	return edge.Closing{
		Mark: mark, Mode: edge.Closed, KeepOpen: []string{"/.well-known/acme-challenge/*"},
		Bypass: edge.Bypass{Pass: pass},
		Page: edge.Response{Status: http.StatusServiceUnavailable, ContentType: "text/html; charset=utf-8", Mark: mark,
			Body: "<!doctype html>\n<p>" + mark + " <b>&amp;</b> 閉店", Header: map[string]string{"Retry-After": "120", "Content-Language": "ja"}},
	}
}

// turn closes or opens a door as a colleague would.
func turn(t testing.TB, c *client, door string, to *gateapi.Closed) {
	t.Helper()
	_, tag, err := c.door(t.Context(), door)
	if err == nil {
		err = c.turn(t.Context(), door, tag, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func mustDoor(t testing.TB, c *client, door string) gateapi.Door {
	t.Helper()
	d, _, err := c.door(t.Context(), door)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func isOpen(s string) bool { return strings.HasPrefix(s, "200 hello") }
