// Package pageserver answers requests with closed pages, for doors that cannot
// send a page themselves or not one so large. Where pages come from is a
// [Source]: ConfigMaps (package kubepage), or the folders of a directory.
// Package pageapi is the contract between both.
package pageserver

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/noren-dev/noren/internal/appstatus"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/edgehttp"
	"github.com/noren-dev/noren/internal/pageserver/pageapi"
)

// A Source knows which pages there are now. Watch calls set with all of them
// whenever they may have changed, until ctx ends; it returns an error only if
// it can never know any.
type Source interface {
	Watch(ctx context.Context, set func([]pageapi.Page)) error
}

// A Config is a page server's configuration.
type Config struct {
	// Listen is where requests for closed pages come in, as ":8080".
	Listen string
	// Health is where pageapi.HealthyPath and ReadyPath are answered.
	Health string
	Source Source
	// AppStatus answers with a status document, at every host, at
	// appstatus.Path, with 200: apps must be able to read it. Nil: that path gets
	// the closed page, as any other.
	AppStatus *appstatus.Handler
	// WatchAppStatus, if not nil, gives AppStatus its document whenever that may
	// have changed, until ctx ends.
	WatchAppStatus func(ctx context.Context, set func([]byte)) error
	// Drain is how long requests may take to end when the server stops. Zero:
	// 30 seconds.
	Drain time.Duration
	// Leave is how long the server goes on serving after it was told to stop,
	// not ready, so that load balancers stop sending first.
	Leave time.Duration
	// Logger is where the server logs. Nil: nowhere.
	Logger *slog.Logger
}

// A Server is a running, or not yet running, page server. Run it once.
type Server struct {
	config Config
	log    *slog.Logger
	linger time.Duration

	known   atomic.Bool // a source has answered
	leaving atomic.Bool
	pages   atomic.Pointer[[]pageapi.Page] // in the order in which they are chosen

	mu        sync.Mutex
	now       []pageapi.Page
	gone      []departed
	later     *time.Timer // when the next of gone is over
	listening chan struct{}
	ready     chan struct{}
	addrs     Addrs
}

// A departed page was taken away, and is served a moment longer.
type departed struct {
	page  pageapi.Page
	until time.Time
}

// Addrs are the addresses at which a page server listens.
type Addrs struct{ Listen, Health net.Addr }

const defaultDrain = 30 * time.Second

// New returns a server that listens nowhere yet.
func New(c Config) *Server {
	s := &Server{config: c, log: c.Logger, linger: pageapi.Linger, listening: make(chan struct{}), ready: make(chan struct{})}
	s.config.Drain = cmp.Or(c.Drain, defaultDrain)
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.pages.Store(&[]pageapi.Page{})
	return s
}

// Listening is closed when the server listens.
func (s *Server) Listening() <-chan struct{} { return s.listening }

// Ready is closed when the server listens and its source has answered.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Addrs tells where the server listens, after Listening.
func (s *Server) Addrs() Addrs { return s.addrs }

// Run serves until ctx ends, then lets requests under way finish.
func (s *Server) Run(ctx context.Context) error {
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	public, err := edgehttp.Listen(base, s.config.Listen, nil, s, s.log)
	if err != nil {
		return err
	}
	public.ReadTimeout, public.WriteTimeout = exchangeTimeout, exchangeTimeout
	health, err := edgehttp.Listen(base, s.config.Health, nil, s.probes(), s.log)
	if err != nil {
		return errors.Join(err, public.Abandon())
	}
	s.addrs = Addrs{public.Addr(), health.Addr()}
	close(s.listening)
	s.log.Info("page server is listening", "address", s.addrs.Listen, "health", s.addrs.Health)
	serving, stop := context.WithCancel(base)
	defer stop()
	watched := make(chan error, 1)
	go func() {
		err := s.config.Source.Watch(base, s.Set)
		if err != nil {
			stop()
		}
		watched <- err
	}()
	told := make(chan error, 1)
	go func() { told <- s.watchAppStatus(base) }()
	defer s.forget()
	go s.leave(ctx, stop)
	err = edgehttp.Serve(serving, []*edgehttp.Server{public, health}, s.config.Drain, func() {}, cut)
	return errors.Join(err, <-watched, <-told)
}

func (s *Server) watchAppStatus(ctx context.Context) error {
	if s.config.AppStatus == nil || s.config.WatchAppStatus == nil {
		return nil
	}
	return s.config.WatchAppStatus(ctx, s.config.AppStatus.Set)
}

// exchangeTimeout bounds a request with its answer: a page is small, and what
// a customer sends to one is read by nobody.
const exchangeTimeout = time.Minute

// leave ends serving some time after ctx has ended: meanwhile probes say that
// it is not ready.
func (s *Server) leave(ctx context.Context, stop context.CancelFunc) {
	<-ctx.Done()
	s.leaving.Store(true)
	time.AfterFunc(s.config.Leave, stop)
}

// forget stops the timer of departed pages.
func (s *Server) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.later != nil {
		s.later.Stop()
	}
}

// Set replaces the pages. Those that are gone are served until their time is
// over, behind all others, by every request that none of them is for.
func (s *Server) Set(pages []pageapi.Page) {
	s.mu.Lock()
	defer s.mu.Unlock()
	until := time.Now().Add(s.linger)
	for _, was := range s.now {
		if !slices.ContainsFunc(pages, func(p pageapi.Page) bool {
			return p.Response.Mark == was.Response.Mark && slices.Equal(p.Hosts, was.Hosts)
		}) {
			s.gone = append(s.gone, departed{was, until})
			s.log.Info("page is gone", "hosts", was.Hosts, "mark", was.Response.Mark)
		}
	}
	for _, p := range pages {
		if !slices.ContainsFunc(s.now, func(was pageapi.Page) bool {
			return p.Response.Mark == was.Response.Mark && slices.Equal(p.Hosts, was.Hosts)
		}) {
			s.log.Info("page is served", "hosts", p.Hosts, "mark", p.Response.Mark)
		}
	}
	s.now = slices.Clone(pages)
	s.publish()
	if !s.known.Swap(true) {
		close(s.ready)
	}
}

// publish makes the list that requests are answered from. The caller holds mu.
func (s *Server) publish() {
	now := time.Now()
	s.gone = slices.DeleteFunc(s.gone, func(d departed) bool { return !now.Before(d.until) })
	all := slices.Clone(s.now)
	s.pages.Store(&all)
	if len(s.gone) > 0 {
		s.later = time.AfterFunc(s.gone[0].until.Sub(now), func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.publish()
		})
	}
}

// choose returns the page for a request, nil if none is for it: one that is
// there, or one that is just gone.
func (s *Server) choose(host, path string) *pageapi.Page {
	if p := pageapi.Choose(*s.pages.Load(), host, path); p != nil {
		return p
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var gone []pageapi.Page
	for _, d := range slices.Backward(s.gone) {
		gone = append(gone, d.page)
	}
	return pageapi.Choose(gone, host, path)
}

// ServeHTTP answers a customer with the page for the request's host.
//
// The Host decides. Where no page is for it, the host that a proxy says it was
// asked for does (X-Forwarded-Host): some controllers send a host of their own.
// Who invents that header sees a page that is public anyway; no cache keeps
// what they see, and a host that has a page is never answered by another's.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(pageapi.ServerHeader, pageapi.ServerName)
	if s.config.AppStatus != nil && r.URL.Path == appstatus.Path {
		s.config.AppStatus.ServeHTTP(w, r)
		return
	}
	path := edgehttp.Path(r.URL.EscapedPath())
	p := s.choose(edgehttp.Host(r.Host), path)
	if p == nil {
		// Each proxy of several adds its own: the first is what the customer asked for.
		if said, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Host"), ","); said != "" {
			p = s.choose(edgehttp.Host(strings.TrimSpace(said)), path)
		}
	}
	if p == nil {
		edgehttp.AnswerClosed(w, r, neutral())
		return
	}
	edgehttp.AnswerClosed(w, r, p.Response)
}

// neutral is the answer where no page is known: nothing is promised and no
// mark is in it, so that nobody takes it for a closing that was proved.
func neutral() edge.Response {
	return edge.Response{Status: http.StatusServiceUnavailable, ContentType: "text/plain; charset=utf-8", Body: pageapi.Neutral}
}

// probes answers Kubernetes, or whoever else asks how the server is.
func (s *Server) probes() http.Handler {
	mux := http.NewServeMux()
	say := func(w http.ResponseWriter, r *http.Request, status int, text string) {
		edgehttp.Answer(w, r, edge.Response{Status: status, ContentType: "text/plain; charset=utf-8", Body: text + "\n"})
	}
	mux.HandleFunc("GET "+pageapi.HealthyPath, func(w http.ResponseWriter, r *http.Request) { say(w, r, http.StatusOK, "ok") })
	mux.HandleFunc("GET "+pageapi.ReadyPath, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case s.leaving.Load():
			say(w, r, http.StatusServiceUnavailable, "stopping")
		case !s.known.Load():
			say(w, r, http.StatusServiceUnavailable, "has not read the pages yet")
		default:
			say(w, r, http.StatusOK, "ok")
		}
	})
	return mux
}
