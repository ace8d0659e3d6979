package pageserver

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/pageserver/pageapi"
)

// pushed is a source that a test pushes pages into.
type pushed chan []pageapi.Page

func (p pushed) Watch(ctx context.Context, set func([]pageapi.Page)) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case pages := <-p:
			set(pages)
		}
	}
}

func pageOf(mark string, hosts ...string) pageapi.Page {
	header := map[string]string{"Retry-After": "Tue, 24 Nov 2026 18:00:00 GMT"}
	return pageapi.Page{Hosts: hosts, Response: edge.Response{Status: 503, ContentType: "text/html; charset=utf-8", Body: "<meta name=noren content=" + mark + ">", Header: header, Mark: mark,
		Twin: &edge.Twin{ContentType: "application/problem+json", Body: `{"noren":"` + mark + `"}`}}}
}

type running struct {
	*Server
	t    *testing.T
	stop context.CancelFunc
	done chan error
}

func run(t *testing.T, c Config) running {
	t.Helper()
	c.Listen, c.Health = "127.0.0.1:0", "127.0.0.1:0"
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	r := running{New(c), t, cancel, make(chan error, 1)}
	go func() { r.done <- r.Run(ctx) }()
	select {
	case <-r.Listening():
	case err := <-r.done:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := <-r.done; err != nil {
			t.Error(err)
		}
		close(r.done)
	})
	return r
}

func (r running) ask(method, host, path string, header ...string) (*http.Response, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, "http://"+r.Addrs().Listen.String()+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Host = host
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return r.do(req)
}

func (r running) do(req *http.Request) (*http.Response, string) {
	r.t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res, string(body)
}

func (r running) probe(path string) int {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "http://"+r.Addrs().Health.String()+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	res, _ := r.do(req)
	return res.StatusCode
}

// until waits for something that the server does by itself.
func (r running) until(what string, so func() bool) {
	r.t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-deadline:
			r.t.Fatal("it did not come about that " + what)
		case <-tick.C:
		}
	}
}

func TestAnswers(t *testing.T) {
	source := make(pushed)
	r := run(t, Config{Source: source})
	if got := r.probe(pageapi.ReadyPath); got != 503 {
		t.Errorf("ready before it knows any page: %d", got)
	}
	if got := r.probe(pageapi.HealthyPath); got != 200 {
		t.Errorf("healthy: %d", got)
	}
	source <- []pageapi.Page{pageOf("m-shop", "shop.example.com"), pageOf("m-wide", "*.example.com")}
	r.until("it is ready", func() bool { return r.probe(pageapi.ReadyPath) == 200 })
	for _, c := range []struct {
		name, method, host, path string
		header                   []string
		mark, kind               string
	}{
		{name: "customer", host: "shop.example.com", mark: "m-shop", kind: "text/html; charset=utf-8"},
		{name: "with a port", host: "Shop.Example.com:8443", mark: "m-shop", kind: "text/html; charset=utf-8"},
		{name: "any path", host: "shop.example.com", path: "/-/ready", mark: "m-shop", kind: "text/html; charset=utf-8"},
		{name: "who posts", method: "POST", host: "shop.example.com", mark: "m-shop", kind: "text/html; charset=utf-8"},
		{name: "browser", host: "shop.example.com", header: []string{"Accept", "text/html,application/xhtml+xml,*/*;q=0.8"}, mark: "m-shop", kind: "text/html; charset=utf-8"},
		{name: "program", host: "shop.example.com", header: []string{"Accept", "application/json"}, mark: "m-shop", kind: "application/problem+json"},
		{name: "axios", host: "shop.example.com", header: []string{"Accept", "application/json, text/plain, */*"}, mark: "m-shop", kind: "application/problem+json"},
		{name: "wildcard", host: "x.example.com", mark: "m-wide", kind: "text/html; charset=utf-8"},
		{name: "unknown", host: "example.org", kind: "text/plain; charset=utf-8"},
		{name: "no host at all", host: "127.0.0.1", kind: "text/plain; charset=utf-8"},
		{name: "a host of the proxy's own", host: "10.0.0.1", header: []string{"X-Forwarded-Host", "shop.example.com"}, mark: "m-shop", kind: "text/html; charset=utf-8"},
		{name: "a host of each of two proxies", host: "10.0.0.1", header: []string{"X-Forwarded-Host", "shop.example.com, inner.example.com"}, mark: "m-shop", kind: "text/html; charset=utf-8"},
		{name: "a claim", host: "x.example.com", header: []string{"X-Forwarded-Host", "shop.example.com"}, mark: "m-wide", kind: "text/html; charset=utf-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.method == "" {
				c.method = http.MethodGet
			}
			res, body := r.ask(c.method, c.host, c.path, c.header...)
			if res.StatusCode != 503 || res.Header.Get("Content-Type") != c.kind || !strings.Contains(body, c.mark) {
				t.Errorf("%d %s %q", res.StatusCode, res.Header.Get("Content-Type"), body)
			}
			if c.mark == "" && strings.Contains(body, "m-") {
				t.Errorf("somebody else's page: %s", body)
			}
			if (c.mark != "") != (res.Header.Get("Retry-After") != "") || res.Header.Get("Cache-Control") != "no-store" || res.Header.Get(pageapi.ServerHeader) != pageapi.ServerName {
				t.Errorf("headers %v", res.Header)
			}
		})
	}
}

func TestScriptsMayReadThePage(t *testing.T) {
	source := make(pushed)
	r := run(t, Config{Source: source})
	source <- []pageapi.Page{pageOf("m-shop", "api.example.com")}
	r.until("it is ready", func() bool { return r.probe(pageapi.ReadyPath) == 200 })
	origin := []string{"Origin", "https://app.example.com"}
	res, body := r.ask(http.MethodOptions, "api.example.com", "/v1", append(origin, "Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "authorization")...)
	if res.StatusCode != 204 || body != "" || res.Header.Get("Access-Control-Allow-Methods") != "PUT" || res.Header.Get("Access-Control-Allow-Headers") != "authorization" {
		t.Errorf("preflight: %d %v", res.StatusCode, res.Header)
	}
	res, _ = r.ask(http.MethodPut, "api.example.com", "/v1", origin...)
	if res.StatusCode != 503 || res.Header.Get("Access-Control-Allow-Origin") != origin[1] || res.Header.Get("Access-Control-Expose-Headers") != "Retry-After" {
		t.Errorf("after it: %d %v", res.StatusCode, res.Header)
	}
}

// TestAPageLingers: controllers take a moment to lead requests elsewhere.
func TestAPageLingers(t *testing.T) {
	source := make(pushed)
	r := run(t, Config{Source: source})
	r.mu.Lock()
	r.linger = 300 * time.Millisecond
	r.mu.Unlock()
	shown := func() string {
		_, body := r.ask(http.MethodGet, "shop.example.com", "/")
		return body
	}
	source <- []pageapi.Page{pageOf("m-1", "shop.example.com")}
	r.until("the page is up", func() bool { return strings.Contains(shown(), "m-1") })
	source <- nil
	source <- nil // the one before has been taken in
	if !strings.Contains(shown(), "m-1") {
		t.Error("gone at once")
	}
	source <- []pageapi.Page{pageOf("m-2", "shop.example.com")}
	r.until("the next page is up", func() bool { return strings.Contains(shown(), "m-2") })
	source <- nil
	r.until("it is over", func() bool { return shown() == pageapi.Neutral })
}

// TestLeaves: told to stop, it is not ready at first, and serves on.
func TestLeaves(t *testing.T) {
	source := make(pushed)
	r := run(t, Config{Source: source, Leave: 500 * time.Millisecond})
	source <- []pageapi.Page{pageOf("m-1")}
	r.until("it is ready", func() bool { return r.probe(pageapi.ReadyPath) == 200 })
	r.stop()
	r.until("it is not ready any more", func() bool { return r.probe(pageapi.ReadyPath) == 503 })
	if _, body := r.ask(http.MethodGet, "shop.example.com", "/"); !strings.Contains(body, "m-1") {
		t.Errorf("while leaving: %s", body)
	}
}

func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("shop/closed.html", "<meta name=noren content=m-1>")
	write("shop/page.json", `{"version":1,"hosts":["shop.example.com"],"header":{"Retry-After":"120"}}`)
	write("broken/page.json", `{`)
	r := run(t, Config{Source: Directory{Path: dir, Logger: slog.New(slog.DiscardHandler)}})
	shown := func(host string) string {
		_, body := r.ask(http.MethodGet, host, "/")
		return body
	}
	r.until("the page is up", func() bool { return strings.Contains(shown("shop.example.com"), "m-1") })
	if shown("example.org") != pageapi.Neutral {
		t.Error("a host without a page")
	}
	write("closed.json", `{"noren":"m-2"}`)
	r.until("a new file is seen", func() bool { return strings.Contains(shown("example.org"), "m-2") })
	err := New(Config{Listen: "127.0.0.1:0", Health: "127.0.0.1:0", Source: Directory{Path: filepath.Join(dir, "none")}}).Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no directory of pages") {
		t.Errorf("without a directory: %v", err)
	}
}

func TestManifestRefuses(t *testing.T) {
	good := Manifest{Namespace: "shop", Name: "noren-page", Image: "registry.example.com/noren:1", Replicas: 2}
	if _, err := good.YAML(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Manifest){
		"namespace": func(m *Manifest) { m.Namespace = "Shop" },
		"name":      func(m *Manifest) { m.Name = "a\nb" },
		"image":     func(m *Manifest) { m.Image = "a b" },
		"replicas":  func(m *Manifest) { m.Replicas = 0 },
	} {
		bad := good
		change(&bad)
		if text, err := bad.YAML(); err == nil {
			t.Errorf("%s: %s", name, text)
		}
	}
}
