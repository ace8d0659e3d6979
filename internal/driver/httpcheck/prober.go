package httpcheck

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/page"
)

const (
	// maxBody is how much of an answer is read: far more than any closed page.
	maxBody = 64 << 10
	// maxAtOnce bounds the addresses asked at a time, over all URLs of a check.
	maxAtOnce = 32
	// userAgent lets people find noren's requests in access logs.
	userAgent = "noren-probe"
)

// A prober asks URLs on each of their addresses.
type prober struct {
	resolve map[string][]netip.AddrPort
	roots   *x509.CertPool
	caFile  string
	timeout time.Duration
	lookup  func(ctx context.Context, network, host string) ([]netip.Addr, error)
}

func newProber(cfg Config) (*prober, error) {
	resolve, err := cfg.resolve()
	if err != nil {
		return nil, err
	}
	timeout, err := cfg.timeout()
	if err != nil {
		return nil, err
	}
	roots, err := cfg.roots()
	if err != nil {
		return nil, err
	}
	return &prober{resolve: resolve, roots: roots, caFile: cfg.CAFile, timeout: timeout,
		lookup: net.DefaultResolver.LookupNetIP}, nil
}

// A question is one request to be made.
type question struct {
	url    *url.URL
	addr   netip.AddrPort
	header http.Header
}

// An answer is what came back: err, or the rest.
type answer struct {
	err         error
	connected   bool // with TLS, where the URL says so
	status      int
	contentType string
	location    string
	server      string
	challenge   string // WWW-Authenticate
	seen        string // edge.SeenHeader
	body        []byte
	mark        string
	marked      bool
}

// A door is one address of one URL. addr is the zero AddrPort where the name
// has no address, and err says why.
type door struct {
	url  *url.URL
	addr netip.AddrPort
	err  error
}

func (d door) String() string {
	if !d.addr.IsValid() {
		return d.url.String()
	}
	return d.url.String() + " at " + d.addr.String()
}

// doors returns every address of every URL, in the order of the URLs.
func (p *prober) doors(ctx context.Context, urls []*url.URL) []door {
	perURL := make([][]door, len(urls))
	each(len(urls), func(i int) {
		addrs, err := p.addresses(ctx, urls[i])
		if err != nil {
			perURL[i] = []door{{url: urls[i], err: err}}
		}
		for _, a := range addrs {
			perURL[i] = append(perURL[i], door{url: urls[i], addr: a})
		}
	})
	return slices.Concat(perURL...)
}

func (p *prober) addresses(ctx context.Context, u *url.URL) ([]netip.AddrPort, error) {
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	if fixed, ok := p.resolve[net.JoinHostPort(host, port)]; ok {
		return fixed, nil
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("port %s: %w", port, err)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(ip, uint16(number))}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	ips, err := p.lookup(ctx, "ip", host) // A and AAAA
	if err != nil {
		return nil, err
	}
	addrs := make([]netip.AddrPort, len(ips))
	for i, ip := range ips {
		addrs[i] = netip.AddrPortFrom(ip.Unmap(), uint16(number))
	}
	slices.SortFunc(addrs, netip.AddrPort.Compare)
	return slices.Compact(addrs), nil
}

// ask makes one request on a connection of its own and reads the answer.
func (p *prober) ask(ctx context.Context, q question) answer {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	var connected atomic.Bool // a dial may go on beside a request that gave up
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	req, err := http.NewRequestWithContext(traced, http.MethodGet, q.url.String(), nil)
	if err != nil {
		return answer{err: err}
	}
	req.Header = q.header.Clone()
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set("Cache-Control", "no-cache") // past a CDN in front of the door
	transport := p.transport(q.addr)
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(req) // not Client.Do: it would follow redirects
	if err != nil {
		return answer{err: err, connected: connected.Load()}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err != nil {
		return answer{err: fmt.Errorf("the answer %d broke off: %w", res.StatusCode, err), connected: true}
	}
	mark, marked := page.MarkIn(body)
	a := answer{
		connected: true,
		status:    res.StatusCode, contentType: res.Header.Get("Content-Type"), location: res.Header.Get("Location"),
		server: res.Header.Get("Server"), challenge: res.Header.Get("WWW-Authenticate"), seen: res.Header.Get(edge.SeenHeader),
		body: body, mark: mark, marked: marked,
	}
	if pass := q.header.Get(edge.PassHeader); pass != "" {
		a.hide(pass)
	}
	return a
}

// hide takes a secret out of an answer: an application may send back what it was
// sent, and answers are quoted.
func (a *answer) hide(secret string) {
	a.body = bytes.ReplaceAll(a.body, []byte(secret), []byte("•••"))
	for _, s := range []*string{&a.contentType, &a.location, &a.server, &a.challenge, &a.seen} {
		*s = strings.ReplaceAll(*s, secret, "•••")
	}
}

func (p *prober) transport(addr netip.AddrPort) *http.Transport {
	return &http.Transport{
		Proxy: nil, // see the package comment
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, addr.String())
		},
		TLSClientConfig:        &tls.Config{RootCAs: p.roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true, // as browsers do
		DisableKeepAlives:      true, // each request a new connection
		MaxResponseHeaderBytes: maxBody,
	}
}

// noRoute tells whether this machine has no way to addresses of that family at
// all: an office without IPv6 asking a door that also has AAAA records.
func noRoute(err error) bool {
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EADDRNOTAVAIL) ||
		errors.Is(err, syscall.EAFNOSUPPORT)
}

func header(probe bool, pass string) http.Header {
	h := http.Header{"Accept": {"*/*"}}
	if probe {
		h.Set(edge.ProbeHeader, "1")
	}
	if pass != "" {
		h.Set(edge.PassHeader, pass)
	}
	return h
}

// each calls f for 0 … n-1, a bounded number at a time, and returns when all
// have returned.
func each(n int, f func(i int)) {
	slots := make(chan struct{}, maxAtOnce)
	var wg sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f(i)
		})
	}
	wg.Wait()
}
