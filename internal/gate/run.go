package gate

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"time"

	"github.com/noren-dev/noren/internal/edgehttp"
)

// adminTimeout bounds a request of noren's, whose body is one page.
const adminTimeout = 30 * time.Second

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
	close(g.ready)
	g.log.Info("gate is listening", "addresses", g.addrs.Listen, "admin", g.addrs.Admin)
	return edgehttp.Serve(ctx, servers, g.config.Drain, func() {}, cut)
}

// listen binds every address before any of them is served.
func (g *Gate) listen(base context.Context) ([]*edgehttp.Server, error) {
	var all []*edgehttp.Server
	giveUp := func(err error) ([]*edgehttp.Server, error) {
		for _, s := range all {
			err = errors.Join(err, s.Abandon())
		}
		return nil, err
	}
	for _, l := range g.config.Listen {
		s, err := g.newServer(base, l.Address, l.Cert, l.Key, g)
		if err != nil {
			return giveUp(err)
		}
		all = append(all, s)
		g.addrs.Listen = append(g.addrs.Listen, s.Addr())
	}
	a := g.config.Admin
	s, err := g.newServer(base, a.Address, a.Cert, a.Key, g.adminHandler())
	if err != nil {
		return giveUp(err)
	}
	s.ReadTimeout, s.WriteTimeout = adminTimeout, adminTimeout
	g.addrs.Admin = s.Addr()
	return append(all, s), nil
}

func (g *Gate) newServer(base context.Context, address, cert, key string, h http.Handler) (*edgehttp.Server, error) {
	var secure *tls.Config
	if cert != "" {
		var err error
		if secure, err = tlsConfig(cert, key); err != nil {
			return nil, err
		}
	}
	return edgehttp.Listen(base, address, secure, h, g.log)
}
