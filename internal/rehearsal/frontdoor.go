package rehearsal

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/edgehttp"
	"github.com/noren-dev/noren/internal/localca"
	"github.com/noren-dev/noren/internal/pageserver/pageapi"
)

// A frontDoor answers on this machine for doors that were copied, as their rules
// say at that moment. What lies behind is always well.
type frontDoor struct {
	doors   func(ctx context.Context) ([]control.Door, error)
	pages   func(ctx context.Context, namespace string) ([]pageapi.Page, error)
	servers []*http.Server
	// Resolve is where each host:port is, and CA the file of the authority that
	// vouches for the door.
	Resolve map[string]string
	CA      string
}

// A port is one that customers come in at.
type port struct {
	scheme string
	number int
}

// openFrontDoor listens for every URL.
func openFrontDoor(ctx context.Context, dir string, urls []string, now time.Time) (*frontDoor, error) {
	authority, err := localca.New(now)
	if err != nil {
		return nil, err
	}
	f := &frontDoor{Resolve: map[string]string{}, CA: filepath.Join(dir, "front-door.pem")}
	if err := os.WriteFile(f.CA, authority.PEM, 0o600); err != nil {
		return nil, err
	}
	addresses := map[port]string{}
	for _, raw := range urls {
		u, err := url.Parse(raw)
		if err != nil || u.Hostname() == "" {
			continue // the check that asks it says what is wrong
		}
		if ip := net.ParseIP(u.Hostname()); ip != nil {
			authority.Addresses = append(authority.Addresses, ip) // TLS names no host then
		}
		p := port{u.Scheme, portOf(u)}
		if addresses[p] == "" {
			if addresses[p], err = f.listen(ctx, p, authority); err != nil {
				return nil, errors.Join(err, f.close())
			}
		}
		f.Resolve[net.JoinHostPort(strings.ToLower(u.Hostname()), strconv.Itoa(p.number))] = addresses[p]
	}
	return f, nil
}

func (f *frontDoor) listen(ctx context.Context, p port, a *localca.Authority) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("front door of the rehearsal: %w", err)
	}
	address := l.Addr().String()
	if p.scheme == "https" {
		l = tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: a.Certificate, NextProtos: []string{"http/1.1"}})
	}
	s := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.serve(w, r, p) })}
	f.servers = append(f.servers, s)
	go func() { _ = s.Serve(l) }() // its end is close
	return address, nil
}

func (f *frontDoor) close() error {
	var errs []error
	for _, s := range f.servers {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// serve answers as the copied rules say.
func (f *frontDoor) serve(w http.ResponseWriter, r *http.Request, p port) {
	doors, err := f.doors(r.Context())
	if err != nil {
		http.Error(w, "the rehearsal cannot read its copy: "+err.Error(), http.StatusBadGateway)
		return
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	q := edge.Request{Scheme: p.scheme, Port: p.number, Method: r.Method, Host: host, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Header: r.Header, Source: peer(r)}
	d, found := decide(doors, q)
	switch a := d.Action; {
	case !found, a.Kind == edge.Forward && !toPageServer(d):
		// No door of the copy serves a health check's host: it is taken for well.
		_, _ = io.WriteString(w, "a rehearsal's stand-in for "+a.Backend+"\n")
	case a.Kind == edge.Forward:
		f.servePage(w, r, host, a.Backend)
	case a.Kind == edge.Redirect:
		http.Redirect(w, r, a.Location, a.Status)
	case a.Response != nil:
		edgehttp.AnswerClosed(w, r, *a.Response)
	default:
		http.Error(w, "the rule "+d.Rule+" answers nothing", http.StatusBadGateway)
	}
}

func peer(r *http.Request) netip.Addr {
	at, _ := netip.ParseAddrPort(r.RemoteAddr)
	return at.Addr()
}

// servePage answers as the page server of the backend would, "service
// shop/noren-page:80", from the pages in its namespace.
func (f *frontDoor) servePage(w http.ResponseWriter, r *http.Request, host, backend string) {
	namespace, _, _ := strings.Cut(strings.TrimPrefix(backend, "service "), "/")
	pages, err := f.pages(r.Context(), namespace)
	if err != nil {
		http.Error(w, "the rehearsal cannot read the pages of its copy: "+err.Error(), http.StatusBadGateway)
		return
	}
	page := pageapi.Choose(pages, host, r.URL.EscapedPath())
	if page == nil {
		http.Error(w, pageapi.Neutral, http.StatusServiceUnavailable)
		return
	}
	w.Header().Set(pageapi.ServerHeader, pageapi.ServerName)
	edgehttp.AnswerClosed(w, r, page.Response)
}
