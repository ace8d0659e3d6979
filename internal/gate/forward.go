package gate

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/edgehttp"
	"github.com/noren-dev/noren/internal/gate/gateapi"
)

// A door is one application behind the gate.
type door struct {
	config Door
	proxy  *httputil.ReverseProxy

	served, closed, failed, inFlight atomic.Int64
}

func (g *Gate) newDoor(c Door) (*door, error) {
	backend, err := url.Parse(c.Backend)
	if err != nil {
		return nil, fmt.Errorf("backend of door %s: %w", c.Name, err)
	}
	d := &door{config: c}
	d.proxy = &httputil.ReverseProxy{
		Transport:  g.transport,
		BufferPool: &buffers{},
		Rewrite:    func(pr *httputil.ProxyRequest) { g.rewrite(pr, backend) },
		ModifyResponse: func(*http.Response) error {
			d.served.Add(1)
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) { g.badGateway(w, r, d, err) },
		ErrorLog:     edgehttp.Quiet(g.log),
	}
	return d, nil
}

func (d *door) forward(w http.ResponseWriter, r *http.Request) {
	d.inFlight.Add(1)
	defer d.inFlight.Add(-1) // deferred: the proxy panics when a body breaks off
	d.proxy.ServeHTTP(w, r)
}

func (d *door) counts() gateapi.Counts {
	return gateapi.Counts{Served: d.served.Load(), Closed: d.closed.Load(), Failed: d.failed.Load(), InFlight: d.inFlight.Load()}
}

// rewrite makes the request for the application: host and query as the
// customer sent them, the usual forwarding headers, and no pass, which is for
// the gate alone and has no place in an application's log.
func (g *Gate) rewrite(pr *httputil.ProxyRequest, backend *url.URL) {
	pr.SetURL(backend)
	pr.Out.Host = pr.In.Host
	pr.Out.URL.RawQuery = pr.In.URL.RawQuery
	trusted := g.trusts(peer(pr.In))
	if trusted {
		pr.Out.Header["X-Forwarded-For"] = pr.In.Header["X-Forwarded-For"]
	}
	pr.SetXForwarded()
	if trusted {
		for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Proto"} {
			if v := pr.In.Header[name]; v != nil {
				pr.Out.Header[name] = v
			}
		}
	}
	pr.Out.Header.Del(edge.PassHeader)
	dropPassCookie(pr.Out.Header)
}

func dropPassCookie(h http.Header) {
	lines := h["Cookie"]
	if !strings.Contains(strings.Join(lines, ";"), edge.PassCookie+"=") {
		return
	}
	var kept []string
	for _, line := range lines {
		var pairs []string
		for pair := range strings.SplitSeq(line, ";") {
			if pair = strings.TrimSpace(pair); pair != "" && !strings.HasPrefix(pair, edge.PassCookie+"=") {
				pairs = append(pairs, pair)
			}
		}
		if len(pairs) > 0 {
			kept = append(kept, strings.Join(pairs, "; "))
		}
	}
	h.Del("Cookie")
	if len(kept) > 0 {
		h["Cookie"] = kept
	}
}

// badGateway is the answer for an application that gave none. It is not the
// closed page: nobody planned this.
func (g *Gate) badGateway(w http.ResponseWriter, r *http.Request, d *door, err error) {
	if r.Context().Err() == nil {
		d.failed.Add(1)
		g.log.Warn("application did not answer", "door", d.config.Name, "backend", d.config.Backend, "error", err)
	}
	edgehttp.Answer(w, r, edge.Response{
		Status:      http.StatusBadGateway,
		ContentType: "text/plain; charset=utf-8",
		Body:        "502: the application behind this gate does not answer.\n",
	})
}

// newTransport is the one transport to all applications.
func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		ExpectContinueTimeout: time.Second,
		MaxIdleConns:          1024,
		MaxIdleConnsPerHost:   256,
		IdleConnTimeout:       90 * time.Second,
		// What the customer and the application agreed on passes as it is.
		DisableCompression: true,
	}
}

const bufferSize = 32 << 10

// buffers lends the proxy what it copies bodies through.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if buf, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return buf[:]
	}
	return make([]byte, bufferSize)
}

func (b *buffers) Put(buf []byte) {
	if len(buf) == bufferSize {
		b.pool.Put((*[bufferSize]byte)(buf))
	}
}
