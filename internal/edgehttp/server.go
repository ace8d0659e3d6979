package edgehttp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/noren-dev/noren/internal/fault"
)

// Bounds on what a customer may make a server wait for or hold. The time for
// a body is not bounded: uploads and long answers are the application's affair.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	MaxHeader     = 64 << 10
)

// A Server is one listener and what answers on it.
type Server struct {
	*http.Server
	listener net.Listener
}

// Listen binds an address; it serves nothing yet. Requests get contexts of
// base. TLS is spoken where secure is given.
func Listen(base context.Context, address string, secure *tls.Config, h http.Handler, l *slog.Logger) (*Server, error) {
	listener, err := (&net.ListenConfig{}).Listen(base, "tcp", address)
	if err != nil {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "cannot listen",
			Detail: fmt.Sprintf("The address %s cannot be used. Another program may hold it, or its port may need privileges.", address), Err: err}
	}
	return &Server{&http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    MaxHeader,
		TLSConfig:         secure,
		ErrorLog:          Quiet(l),
		BaseContext:       func(net.Listener) context.Context { return base },
	}, listener}, nil
}

// Quiet takes what net/http says of broken connections, which are the
// customers' affair.
func Quiet(l *slog.Logger) *log.Logger { return slog.NewLogLogger(l.Handler(), slog.LevelDebug) }

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Abandon gives up the address of a server that is not served.
func (s *Server) Abandon() error { return s.listener.Close() }

func (s *Server) serve() error {
	var err error
	if s.TLSConfig != nil {
		err = s.ServeTLS(s.listener, "", "")
	} else {
		err = s.Serve(s.listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Serve serves until ctx ends, calls leaving, and lets requests under way
// finish for as long as patience says. cut ends the contexts of requests, once
// everything polite is done; connections that were taken over, such as
// WebSockets, end then.
func Serve(ctx context.Context, servers []*Server, patience time.Duration, leaving, cut func()) error {
	failed := make(chan error, len(servers))
	for _, s := range servers {
		go func() { failed <- s.serve() }()
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	leaving()
	drained, stop := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer stop()
	return errors.Join(err, drain(drained, cut, servers))
}

// drain ends the servers: first politely, then whatever is left.
func drain(ctx context.Context, cut func(), servers []*Server) error {
	var wait sync.WaitGroup
	late := make([]error, len(servers))
	for i, s := range servers {
		wait.Go(func() { late[i] = s.Shutdown(ctx) })
	}
	wait.Wait()
	cut()
	for i, s := range servers {
		if errors.Is(late[i], context.DeadlineExceeded) {
			late[i] = s.Close()
		}
	}
	return errors.Join(late...)
}
