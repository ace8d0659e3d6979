package gate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/noren-dev/noren/internal/fault"
)

// Bounds on what a customer may make the gate wait for or hold. The time for
// a body is not bounded: uploads and long answers are the application's affair.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	adminTimeout  = 30 * time.Second
	maxHeader     = 64 << 10
)

// Run serves until ctx ends, then lets requests under way finish, for as long
// as Config.Drain, and returns nil. WebSockets are cut once everything else is
// done. It also returns, with an error, when it cannot listen.
func (g *Gate) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, g.store.close()) }()
	defer g.transport.CloseIdleConnections()
	// Requests outlive ctx until they are drained.
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	servers, err := g.listen(base)
	if err != nil {
		return err
	}
	failed := make(chan error, len(servers))
	for _, s := range servers {
		go func() { failed <- s.serve() }()
	}
	close(g.ready)
	g.log.Info("gate is listening", "addresses", g.addrs.Listen, "admin", g.addrs.Admin)
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	drained, stop := context.WithTimeout(base, g.config.Drain)
	defer stop()
	return errors.Join(err, drain(drained, cut, servers))
}

// drain ends the servers: first politely, then whatever is left.
func drain(ctx context.Context, cut func(), servers []*server) error {
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

// A server is one listener and what answers on it.
type server struct {
	*http.Server
	listener net.Listener
}

func (s *server) serve() error {
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

// listen binds every address before any of them is served.
func (g *Gate) listen(base context.Context) ([]*server, error) {
	var all []*server
	giveUp := func(err error) ([]*server, error) {
		for _, s := range all {
			err = errors.Join(err, s.listener.Close())
		}
		return nil, err
	}
	for _, l := range g.config.Listen {
		s, err := g.newServer(base, l.Address, l.Cert, l.Key, g)
		if err != nil {
			return giveUp(err)
		}
		all = append(all, s)
		g.addrs.Listen = append(g.addrs.Listen, s.listener.Addr())
	}
	a := g.config.Admin
	s, err := g.newServer(base, a.Address, a.Cert, a.Key, g.adminHandler())
	if err != nil {
		return giveUp(err)
	}
	s.ReadTimeout, s.WriteTimeout = adminTimeout, adminTimeout
	g.addrs.Admin = s.listener.Addr()
	return append(all, s), nil
}

func (g *Gate) newServer(base context.Context, address, cert, key string, h http.Handler) (*server, error) {
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          quiet(g.log),
		BaseContext:       func(net.Listener) context.Context { return base },
	}
	if cert != "" {
		var err error
		var c *tls.Config
		if c, err = tlsConfig(cert, key); err != nil {
			return nil, err
		}
		s.TLSConfig = c
	}
	l, err := (&net.ListenConfig{}).Listen(base, "tcp", address)
	if err != nil {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "gate cannot listen",
			Detail: fmt.Sprintf("The address %s cannot be used. Another program may hold it, or its port may need privileges.", address), Err: err}
	}
	return &server{s, l}, nil
}
