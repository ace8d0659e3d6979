package cli_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// A front is a reverse proxy before the gate, as a load balancer or a CDN is:
// the gate sees its address, and X-Forwarded-For says whose request it was. A
// sticky one repeats the first closed page until it is freshened.
type front struct {
	proxy  *httputil.ReverseProxy
	sticky bool

	mu   sync.Mutex
	kept *http.Response
	body []byte
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	kept, body := f.kept, f.body
	f.mu.Unlock()
	if kept == nil {
		f.proxy.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", kept.Header.Get("Content-Type"))
	w.WriteHeader(kept.StatusCode)
	_, _ = w.Write(body) // the visitor may be gone
}

// keep is the proxy's ModifyResponse.
func (f *front) keep(res *http.Response) error {
	if !f.sticky || res.StatusCode != http.StatusServiceUnavailable {
		return nil
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("the page broke off: %w", err)
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept, f.body = res, body
	return nil
}

// cmdFront starts a reverse proxy before the gate started as GATE, and sets
// NAME_URL and NAME_PORT.
func cmdFront(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1 || len(args) == 2 && args[1] == "sticky", "front name [sticky]")
	gate, err := url.Parse(ts.Getenv("GATE_LISTEN"))
	ts.Check(err)
	f := &front{sticky: len(args) == 2}
	f.proxy = &httputil.ReverseProxy{ModifyResponse: f.keep, Rewrite: func(pr *httputil.ProxyRequest) {
		pr.SetURL(gate)
		pr.Out.Host = pr.In.Host
		pr.SetXForwarded()
	}}
	server := httptest.NewServer(f)
	ts.Defer(server.Close)
	world(ts).fronts[args[0]] = f
	u, err := url.Parse(server.URL)
	ts.Check(err)
	name := strings.ToUpper(args[0])
	ts.Setenv(name+"_URL", server.URL)
	ts.Setenv(name+"_PORT", u.Port())
}

// cmdFreshen has a sticky front ask the gate again.
func cmdFreshen(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1 && world(ts).fronts[args[0]] != nil, "freshen front")
	f := world(ts).fronts[args[0]]
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept = nil
}
