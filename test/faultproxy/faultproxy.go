// Package faultproxy stands between a program and a real Kubernetes API server
// and does to requests what networks, load balancers and overloaded servers do:
// it refuses some, loses the answers of others, and is slow.
package faultproxy

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// A Fault is one way to spoil a request.
type Fault string

// The faults.
const (
	TooMany     Fault = "429"      // refused, with Retry-After: 1, before it reaches the server
	Conflict    Fault = "409"      // a write is refused as another's was quicker; a read is TooMany
	Internal    Fault = "500"      // refused
	Unavailable Fault = "503"      // refused
	Reset       Fault = "reset"    // the connection is cut before the request reaches the server
	Lost        Fault = "lost"     // the server does what is asked, and the answer is lost
	Slow        Fault = "slow"     // the answer takes slowness longer
	Hang        Fault = "no reply" // nothing comes for hangs, then the connection is cut
)

const (
	slowness = 250 * time.Millisecond
	hangs    = 2 * time.Second
)

// All are all faults.
func All() []Fault {
	return []Fault{TooMany, Conflict, Internal, Unavailable, Reset, Lost, Slow, Hang}
}

// A Mood is what the proxy does from now on.
type Mood struct {
	// Share of the requests, 0 to 1, is spoiled, by one of Faults each.
	Share  float64
	Faults []Fault
	// Limit, if not 0, is how many requests are let through in a second; the
	// others get 429 with Retry-After: 1.
	Limit int
}

// A Proxy is a running proxy.
type Proxy struct {
	server *httptest.Server
	to     *httputil.ReverseProxy

	mu     sync.Mutex
	rand   *rand.Rand
	mood   Mood
	second time.Time
	inIt   int
	passed int
	done   map[Fault]int
}

// Start runs a proxy that speaks to the server of config, with its rights, to
// whoever asks it. It ends with the test.
func Start(t testing.TB, config *rest.Config) *Proxy {
	t.Helper()
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	to, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{rand: rand.New(rand.NewPCG(1, 2)), done: map[Fault]int{}} // the same faults in every test run
	p.to = &httputil.ReverseProxy{Transport: transport, FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }}
	p.server = httptest.NewServer(p)
	t.Cleanup(p.server.Close)
	return p
}

// Kubeconfig writes a kubeconfig whose only context, of that name, is the proxy.
func (p *Proxy) Kubeconfig(t testing.TB, context string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: %[1]s
clusters: [{name: proxy, cluster: {server: %[2]q}}]
users: [{name: nobody, user: {}}]
contexts: [{name: %[1]s, context: {cluster: proxy, user: nobody}}]
`, context, p.server.URL)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Be changes the proxy's mood, and counts from zero.
func (p *Proxy) Be(m Mood) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mood, p.passed, p.done = m, 0, map[Fault]int{}
}

// Counts tells how many requests the server did, and how many were spoiled how,
// since the mood changed.
func (p *Proxy) Counts() (passed int, spoiled map[Fault]int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	spoiled = map[Fault]int{}
	for f, n := range p.done {
		spoiled[f] = n
	}
	return p.passed, spoiled
}

// next is what happens to a request, "" if nothing does.
func (p *Proxy) next(r *http.Request) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	var f Fault
	if p.rand.Float64() < p.mood.Share {
		f = p.mood.Faults[p.rand.IntN(len(p.mood.Faults))]
	}
	if f == Conflict && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		f = TooMany
	}
	if f == "" && p.mood.Limit > 0 {
		if now := time.Now(); now.Sub(p.second) >= time.Second {
			p.second, p.inIt = now, 0
		}
		if p.inIt++; p.inIt > p.mood.Limit {
			f = TooMany
		}
	}
	if f != "" {
		p.done[f]++
	}
	if f == "" || f == Slow || f == Lost {
		p.passed++
	}
	return f
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch f := p.next(r); f {
	case TooMany:
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests)
	case Conflict:
		refuse(w, http.StatusConflict, metav1.StatusReasonConflict)
	case Internal:
		refuse(w, http.StatusInternalServerError, metav1.StatusReasonInternalError)
	case Unavailable:
		refuse(w, http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)
	case Reset:
		panic(http.ErrAbortHandler)
	case Lost:
		p.to.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	case Hang:
		wait(r, hangs)
		panic(http.ErrAbortHandler)
	case Slow:
		wait(r, slowness)
		p.to.ServeHTTP(w, r)
	default:
		p.to.ServeHTTP(w, r)
	}
}

func wait(r *http.Request, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
}

// refuse answers as the API server does.
func refuse(w http.ResponseWriter, code int, reason metav1.StatusReason) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{ //nolint:errchkjson // whoever asked is gone
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure,
		Code: int32(code), Reason: reason, Message: "spoiled on purpose"})
}
