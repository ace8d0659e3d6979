package gate

import (
	"cmp"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/noren-dev/noren/internal/appstatus"
	"github.com/noren-dev/noren/internal/gate/gateapi"
)

// A Gate is a running, or not yet running, gate. Run it once.
type Gate struct {
	config Config
	log    *slog.Logger
	token  bearer
	store  *store
	// doors in the order in which they are matched.
	doors     []*door
	transport *http.Transport
	status    http.Handler // of the status document; nil: none is served

	table     atomic.Pointer[table]
	switching sync.Mutex // held while a door is closed or opened

	ready chan struct{}
	addrs Addrs
}

// Addrs are the addresses at which a gate listens.
type Addrs struct {
	Listen []net.Addr // in the order of Config.Listen
	Admin  net.Addr
}

// New checks a configuration, takes its state directory and reads which doors
// are closed. It listens nowhere yet. The caller runs the gate or closes it.
func New(c Config) (*Gate, error) {
	c.Admin.Address = cmp.Or(c.Admin.Address, defaultAdmin)
	c.Drain = cmp.Or(c.Drain, defaultDrain)
	if err := c.validate(); err != nil {
		return nil, err
	}
	g := &Gate{config: c, log: c.Logger, transport: newTransport(), ready: make(chan struct{})}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	if c.AppStatus != "" {
		g.status = appstatus.NewHandler(c.AppStatus, time.Now, g.log)
	}
	var err error
	if g.store, err = openStore(c.StateDir); err != nil {
		return nil, err
	}
	if err := g.restore(); err != nil {
		return nil, errors.Join(err, g.store.close())
	}
	return g, nil
}

// restore brings the doors to what the disk says.
func (g *Gate) restore() error {
	var err error
	g.token, err = loadToken(g.TokenFile())
	if err != nil {
		return err
	}
	doors := slices.Clone(g.config.Doors)
	slices.SortStableFunc(doors, func(a, b Door) int { return cmp.Compare(anyHost(a), anyHost(b)) })
	var names []string
	for _, d := range doors {
		door, err := g.newDoor(d)
		if err != nil {
			return err
		}
		g.doors = append(g.doors, door)
		names = append(names, d.Name)
	}
	closed, err := g.store.load(names)
	if err != nil {
		return err
	}
	state := make([]*gateapi.Closed, len(g.doors))
	for i, name := range names {
		state[i] = closed[name]
		if closed[name] != nil {
			g.log.Info("door is closed, as it was", "door", name)
		}
	}
	g.table.Store(g.compile(state))
	return nil
}

// anyHost is 1 for the door that serves any host: it comes last.
func anyHost(d Door) int {
	if len(d.Hosts) == 0 {
		return 1
	}
	return 0
}

// TokenFile is where the admin token is.
func (g *Gate) TokenFile() string {
	return cmp.Or(g.config.Admin.TokenFile, filepath.Join(g.config.StateDir, tokenName))
}

// Close gives up the state directory of a gate that was never run.
func (g *Gate) Close() error { return g.store.close() }

// Ready is closed when the gate listens.
func (g *Gate) Ready() <-chan struct{} { return g.ready }

// Addrs tells where the gate listens. It is empty before Ready.
func (g *Gate) Addrs() Addrs {
	select {
	case <-g.ready:
		return g.addrs
	default:
		return Addrs{}
	}
}
