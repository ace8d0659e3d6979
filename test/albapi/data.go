package albapi

import (
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/driver/aws/alb/albrules"
	"github.com/noren-dev/noren/internal/edge"
)

// NoTarget is the header of answers that a target group without healthy targets
// gives.
const NoTarget = "X-Albapi-No-Target"

// serve is the data plane: the first rule whose conditions hold, or the default
// action.
func (s *Server) serve(l *listener, w http.ResponseWriter, r *http.Request) {
	now := s.now(l)
	peer, _ := netip.ParseAddrPort(r.RemoteAddr)
	host := r.Host
	if h, _, ok := strings.Cut(host, ":"); ok {
		host = h
	}
	request := edge.Request{Scheme: "http", Port: l.port, Method: r.Method, Host: host, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Header: r.Header, Source: peer.Addr()}
	actions := now.Default
	for _, p := range now.Rules {
		// The words of package edge, rule by rule: it does not choose here.
		one := albrules.Listener{Port: l.port, Protocol: l.protocol, Rules: []albrules.Placed{p}}
		if one.Edge(func(string) string { return "" }).Rules[0].Matches(request) {
			actions = p.Actions
			break
		}
	}
	s.act(actions, w, r)
}

func (s *Server) now(l *listener) albrules.Listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(l.history) > 1 && !l.history[1].from.After(time.Now()) {
		l.history = l.history[1:]
	}
	return l.history[0].l
}

func (s *Server) act(actions []albrules.Action, w http.ResponseWriter, r *http.Request) {
	for _, a := range actions {
		switch {
		case a.Fixed != nil:
			w.Header().Set("Content-Type", a.Fixed.Type)
			w.Header().Set("Server", "awselb/2.0")
			status := 0
			_, _ = fmt.Sscan(a.Fixed.Status, &status)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(a.Fixed.Body))
		case a.Redirect != nil:
			http.Redirect(w, r, strings.ToLower(a.Redirect.Protocol)+"://"+r.Host+r.URL.Path, http.StatusMovedPermanently)
		case a.Forward != nil:
			s.forward(a.Forward, w, r)
		default:
			http.Error(w, "login", http.StatusUnauthorized)
			return
		}
	}
}

func (s *Server) forward(f *albrules.Forward, w http.ResponseWriter, r *http.Request) {
	address := ""
	s.mu.Lock()
	for _, g := range s.groups {
		if g.arn == f.Groups[0].ARN && g.healthy() {
			address = g.address
		}
	}
	s.mu.Unlock()
	if address == "" {
		w.Header().Set(NoTarget, "1")
		http.Error(w, "no target", http.StatusServiceUnavailable)
		return
	}
	target, err := url.Parse(address)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(target)
		p.Out.Host = p.In.Host
		p.SetXForwarded()
	}}).ServeHTTP(w, r)
}
