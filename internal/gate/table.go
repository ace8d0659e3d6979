package gate

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/gate/gateapi"
)

// A table is what the gate does with requests, compiled. It never changes:
// closing a door makes a new one and swaps the pointer, so that each request
// is decided by one table or the next and none is dropped between them.
type table struct {
	// rules are the same on every listener.
	rules edge.Listener
	owner []int // the door of each rule
	// closed has the closing of each door, nil while it is open.
	closed []*gateapi.Closed
}

func (g *Gate) compile(closed []*gateapi.Closed) *table {
	doors := make([]gateapi.Door, len(g.doors))
	for i, d := range g.doors {
		doors[i] = gateapi.Door{Name: d.config.Name, Hosts: d.config.Hosts, Backend: d.config.Backend, Closed: closed[i]}
	}
	t := &table{closed: closed}
	t.rules.Rules, t.owner = gateapi.Rules(doors)
	t.rules.Default = gateapi.NoDoor()
	return t
}

// errMoved means that a door is not as the caller believes.
type errMoved struct{ door, tag string }

func (e *errMoved) Error() string {
	return fmt.Sprintf("the door %s was closed or opened by someone else meanwhile: read it again", e.door)
}

// turn closes door i, or opens it if to is nil, provided that it has the tag
// believed. The disk holds it before anyone is told.
func (g *Gate) turn(i int, believed string, to *gateapi.Closed) (tag string, err error) {
	g.switching.Lock()
	defer g.switching.Unlock()
	now := g.table.Load()
	name, was := g.doors[i].config.Name, now.closed[i]
	tag, err = was.Tag()
	if err != nil {
		return "", err
	}
	if tag != believed {
		return tag, &errMoved{name, tag}
	}
	wanted, err := to.Tag()
	if err != nil || wanted == tag {
		return wanted, err
	}
	if err := g.store.save(name, to); err != nil {
		if back := g.store.save(name, was); back != nil {
			g.log.Error("the disk may not hold what a door is", "door", name, "error", back)
		}
		return tag, err
	}
	closed := append([]*gateapi.Closed(nil), now.closed...)
	closed[i] = to
	g.table.Store(g.compile(closed))
	if to == nil {
		g.log.Info("door opened", "door", name)
	} else {
		g.log.Info("door closed", "door", name, "mode", to.Closing.Mode, "mark", to.Closing.Mark)
	}
	return wanted, nil
}

// describe is the gate as its admin address tells it.
func (g *Gate) describe() gateapi.Gate {
	t := g.table.Load()
	out := gateapi.Gate{TrustedProxies: g.config.TrustedProxies}
	for i := range g.config.Listen {
		out.Listeners = append(out.Listeners, gateapi.Listener{Scheme: g.config.Listen[i].scheme(), Port: g.port(i)})
	}
	for i := range g.doors {
		out.Doors = append(out.Doors, g.describeDoor(t, i))
	}
	return out
}

func (g *Gate) describeDoor(t *table, i int) gateapi.Door {
	d := g.doors[i]
	return gateapi.Door{
		Name: d.config.Name, Hosts: d.config.Hosts, URLs: g.urls(d.config),
		Backend: d.config.Backend, Health: d.config.Health,
		Closed: t.closed[i], Counts: d.counts(),
	}
}

func (l Listen) scheme() string {
	if l.Cert != "" {
		return "https"
	}
	return "http"
}

// port is the port of listener i, from the configuration before it listens.
func (g *Gate) port(i int) int {
	if a := g.Addrs(); i < len(a.Listen) {
		if tcp, ok := a.Listen[i].(*net.TCPAddr); ok {
			return tcp.Port
		}
	}
	_, port, _ := net.SplitHostPort(g.config.Listen[i].Address)
	n, _ := strconv.Atoi(port) // validated
	return n
}

// urls are under what customers reach a door: as configured, or each of its
// hosts on each listener.
func (g *Gate) urls(d Door) []string {
	if len(d.URLs) > 0 {
		return d.URLs
	}
	var out []string
	for i, l := range g.config.Listen {
		hosts := d.Hosts
		if len(hosts) == 0 {
			hosts = []string{reachable(l.Address)}
		}
		for _, h := range hosts {
			if strings.HasPrefix(h, "*") {
				continue // no one host to ask
			}
			out = append(out, l.scheme()+"://"+withPort(h, l.scheme(), g.port(i))+"/")
		}
	}
	return out
}

// reachable is the host of an address that this machine itself can connect to.
func reachable(address string) string {
	host, _, _ := net.SplitHostPort(address)
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		return "localhost"
	}
	return host
}

func withPort(host, scheme string, port int) string {
	if scheme == "http" && port == 80 || scheme == "https" && port == 443 {
		return host
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}
