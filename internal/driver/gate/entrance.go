package gate

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/gate/gateapi"
)

// Options are the options of an entrance of kind gate/door.
type Options struct {
	// URLs under which customers reach the door, where they differ from what
	// the gate itself knows.
	URLs []string `json:"urls,omitempty"`
}

// Validate finds what is wrong without I/O.
func (o Options) Validate() error {
	for _, u := range o.URLs {
		if p, err := url.Parse(u); err != nil || p.Host == "" || p.Scheme != "http" && p.Scheme != "https" {
			return fmt.Errorf("urls: %q is no http or https URL", u)
		}
	}
	return nil
}

// PageLimit says that a gate sends a page of any size.
func (Options) PageLimit() int { return 0 }

type entrance struct {
	client  *client
	door    string
	options Options
}

func openEntrance(c *client, name string, o Options) (driver.Entrance, error) {
	if name == "" {
		return nil, errors.New("the entrance has no name: give the name of a door in the gate's configuration")
	}
	return &entrance{client: c, door: name, options: o}, nil
}

// Survey implements driver.Entrance.
func (e *entrance) Survey(ctx context.Context) (*driver.Survey, error) {
	g, err := e.client.gate(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(g.Doors, func(d gateapi.Door) bool { return d.Name == e.door })
	if i < 0 {
		var known []string
		for _, d := range g.Doors {
			known = append(known, d.Name)
		}
		return nil, e.client.noSuchDoor(e.door, known)
	}
	d := g.Doors[i]
	s := &driver.Survey{
		Target: e.client.target(e.door),
		Hosts:  d.Hosts,
		URLs:   d.URLs,
		Seen:   seen{gate: g, door: i},
	}
	if len(s.Hosts) == 0 {
		s.Hosts = []string{""}
	}
	if len(e.options.URLs) > 0 {
		s.URLs = e.options.URLs
	}
	s.Front = front(g, s.URLs)
	s.Notes = notes(d, s.URLs)
	return s, nil
}

// seen is the gate as Survey read it, and the place of the door in it.
type seen struct {
	gate gateapi.Gate
	door int
}

func notes(d gateapi.Door, urls []string) []driver.Note {
	var out []driver.Note
	if d.Closed != nil {
		out = append(out, driver.Note{Warn: true, Text: fmt.Sprintf("Door %s is closed already%s; its page would be replaced by this one.", d.Name, byWhom(d))})
	}
	for _, h := range d.Hosts {
		if strings.HasPrefix(h, "*") && len(urls) == 0 {
			out = append(out, driver.Note{Warn: true, Text: fmt.Sprintf("%s of door %s cannot be probed: name a URL under it as urls of the entrance or of the door.", h, d.Name)})
		}
	}
	return append(out, driver.Note{Text: "Requests under way finish on the application, and WebSockets that are open outlive the closing."})
}

// proxyNotes warn where staff are let through by an address that a proxy in front
// of the gate may have, and the gate has not been told of that proxy.
func proxyNotes(g gateapi.Gate, b edge.Bypass) []driver.Note {
	var out []driver.Note
	for _, s := range b.Inside() {
		if !slices.ContainsFunc(g.TrustedProxies, s.Overlaps) {
			out = append(out, driver.Note{Warn: true, Text: fmt.Sprintf("%s passes as staff, and the gate trusts no proxy there: if a load balancer or proxy in that network stands in front of the gate, EVERYONE passes. Name it in trusted_proxies of the gate, or let staff in by pass.", s)})
		}
	}
	return out
}

// front is the gate with a listener for each of the URLs too: what stands
// before the gate may take requests in at another port.
func front(g gateapi.Gate, urls []string) edge.Front {
	listeners := slices.Clone(g.Listeners)
	for _, u := range urls {
		p, err := url.Parse(u)
		if err != nil {
			continue
		}
		l := gateapi.Listener{Scheme: p.Scheme, Port: portOf(p)}
		if !slices.Contains(listeners, l) {
			listeners = append(listeners, l)
		}
	}
	g.Listeners = listeners
	return gateapi.Front(g)
}

func portOf(u *url.URL) int {
	if n, err := strconv.Atoi(u.Port()); err == nil {
		return n
	}
	if u.Scheme == "https" {
		return 443
	}
	return 80
}

// Close implements driver.Entrance.
func (e *entrance) Close(s *driver.Survey, c edge.Closing) (*driver.Proposal, error) {
	at, ok := s.Seen.(seen)
	if !ok {
		return nil, errors.New("gate: the survey is of another kind of entrance")
	}
	d := at.gate.Doors[at.door]
	c = gateapi.Behind(d, c)
	if over := len(c.Page.Body) - gateapi.MaxPage; over > 0 {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "page is too large",
			Detail: fmt.Sprintf("The page for door %s has %d bytes, %d more than a gate serves.", d.Name, len(c.Page.Body), over)}
	}
	after := at.gate
	after.Doors = slices.Clone(after.Doors)
	after.Doors[at.door].Closed = &gateapi.Closed{Closing: c}
	return &driver.Proposal{
		Notes:    proxyNotes(at.gate, c.Bypass),
		Strategy: "gate",
		Why:      "The gate answers with the page itself, at once and without losing a request.",
		Calls:    []driver.Call{{Action: "gate/door.close", Params: CloseParams{Door: d.Name, Closing: c}}},
		Front:    front(after, s.URLs),
		Ready:    []driver.Call{{Action: "gate/door.ready", Params: ReadyParams{Door: d.Name}}},
	}, nil
}
