package rehearsal

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/report"
)

// outside is a customer's address: one of those kept for documentation, which
// nobody's staff come from. Source: https://www.rfc-editor.org/rfc/rfc5737
var outside = netip.MustParseAddr("198.51.100.7")

// mostSources is of how many of staff's networks one address each is followed.
const mostSources = 2

// A visitor is one kind of request.
type visitor struct {
	service, who, shown string
	request             edge.Request
}

// visitors are the kinds of request that a closing treats otherwise, for each
// URL of the doors.
func visitors(services []catalog.Service, doors []control.Door, req control.CloseRequest, bypass catalog.Bypass, pass string) []visitor {
	var all []visitor
	add := func(service, who, method, address string, from netip.Addr, header http.Header) {
		r, err := requestOf(method, address, from, header)
		v := visitor{service, who, method + " " + address, r}
		if err == nil && !slices.ContainsFunc(all, func(have visitor) bool { return have.who == v.who && have.shown == v.shown }) {
			all = append(all, v)
		}
	}
	for _, s := range services {
		mode, paths := cmp.Or(req.Mode, s.Mode), s.Paths
		if req.Mode != "" {
			paths = req.Paths
		}
		for _, u := range urlsOf(s.Name, doors) {
			add(s.Name, "customer", http.MethodGet, u, outside, nil)
			if mode == edge.ReadOnly {
				add(s.Name, "customer who writes", http.MethodPost, u, outside, nil)
			}
			if mode == edge.Paths {
				for _, p := range paths {
					add(s.Name, "customer at "+p, http.MethodGet, at(u, p), outside, nil)
				}
			}
			for i, p := range slices.Concat(bypass.Sources, req.Sources) {
				if i < mostSources {
					add(s.Name, "staff from "+p.Addr().String(), http.MethodGet, u, p.Addr(), nil)
				}
			}
			if pass != "" {
				add(s.Name, "staff with the pass", http.MethodGet, u, outside, http.Header{edge.PassHeader: {pass}})
			}
			add(s.Name, "noren's probe", http.MethodGet, u, outside, http.Header{edge.ProbeHeader: {"1"}})
			for _, p := range s.KeepOpen {
				add(s.Name, "kept open "+p, http.MethodGet, at(u, p), outside, nil)
			}
		}
		for _, u := range s.Health {
			add(s.Name, "health check", http.MethodGet, u, outside, nil)
		}
	}
	return all
}

func urlsOf(service string, doors []control.Door) []string {
	var all []string
	for _, d := range doors {
		if d.Service == service {
			all = append(all, d.Survey.URLs...)
		}
	}
	return all
}

// at is a URL with a path that fits a pattern.
func at(raw, pattern string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	u.Path, u.RawPath = strings.NewReplacer("*", "", "?", "x").Replace(pattern), ""
	return u.String()
}

func requestOf(method, address string, from netip.Addr, header http.Header) (edge.Request, error) {
	u, err := url.Parse(address)
	if err != nil {
		return edge.Request{}, err
	}
	r := edge.Request{Scheme: u.Scheme, Port: portOf(u), Method: method, Host: u.Hostname(), Path: cmp.Or(u.EscapedPath(), "/"), Query: u.RawQuery, Header: header, Source: from}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	return r, nil
}

func portOf(u *url.URL) int {
	if n, err := strconv.Atoi(u.Port()); err == nil {
		return n
	}
	return map[string]int{"http": 80, "https": 443}[u.Scheme]
}

// decide is what the doors do with a request: the one with a rule for it, or
// any that serves its host. There is none for a host that no door serves.
func decide(doors []control.Door, r edge.Request) (d edge.Decision, found bool) {
	for _, door := range doors {
		if !slices.ContainsFunc(door.Survey.Hosts, func(h string) bool { return control.ServesHost(h, r.Host) }) {
			continue
		}
		got, err := door.Survey.Front.Decide(r)
		if err != nil {
			continue
		}
		if !found || d.Index < 0 && got.Index >= 0 {
			d, found = got, true
		}
	}
	return d, found
}

// isPage tells whether a decision is noren's page: the door sends it, or leads
// to a page server that does.
func isPage(d edge.Decision) bool {
	switch a := d.Action; a.Kind {
	case edge.Respond:
		return a.Response != nil && (a.Response.Mark != "" || edge.Rule{Name: d.Rule}.OfCurtain())
	case edge.Forward:
		return toPageServer(d)
	default:
		return false
	}
}

// toPageServer tells whether a rule of the curtain leads on: staff and what is
// kept open have rules of other names.
func toPageServer(d edge.Decision) bool {
	return d.Action.Kind == edge.Forward && (d.Rule == "noren: closed" || d.Rule == "noren: probe")
}

// sees says in a few words what a request is answered.
func sees(doors []control.Door, r edge.Request) string {
	d, found := decide(doors, r)
	login := ""
	if d.Action.Login {
		login = "login, then "
	}
	switch a := d.Action; {
	case !found:
		return "not through these doors"
	case isPage(d) && a.Response != nil:
		return fmt.Sprintf("%spage %d", login, a.Response.Status)
	case isPage(d):
		return login + "page 503"
	case a.Kind == edge.Forward:
		return login + "service"
	case a.Kind == edge.Redirect:
		return login + "redirect to " + a.Location
	case a.Response != nil:
		return fmt.Sprintf("%s%d", login, a.Response.Status)
	default:
		return login + string(a.Kind)
	}
}

// A watch follows visitors through the phases.
type watch struct {
	visitors []visitor
	rows     []report.Visitor
	now      []string // what each sees
	turns    []report.Turn
}

func newWatch(all []visitor) *watch {
	w := &watch{visitors: all, now: make([]string, len(all))}
	for _, v := range all {
		w.rows = append(w.rows, report.Visitor{Service: v.service, Who: v.who, Request: v.shown, Sees: map[report.Phase][]string{}})
	}
	return w
}

// look notes what each visitor sees after a write.
func (w *watch) look(phase report.Phase, when time.Time, write string, doors []control.Door) {
	for i, v := range w.visitors {
		now, was := sees(doors, v.request), w.now[i]
		row := w.rows[i].Sees
		if len(row[phase]) == 0 && was != "" && (phase == report.Closing || phase == report.Opening) {
			row[phase] = []string{was} // from which it turns, or not
		}
		if n := len(row[phase]); n == 0 || row[phase][n-1] != now {
			row[phase] = append(row[phase], now)
		}
		if was != "" && was != now {
			w.turns = append(w.turns, report.Turn{At: when, Phase: phase, Write: write, Visitor: v.who + " " + v.shown, From: was, To: now})
		}
		w.now[i] = now
	}
}

// internalFault is an error that its reader can only report.
func internalFault(what string, err error) error {
	return &fault.Fault{Code: fault.Internal, Summary: what, Detail: fmt.Sprintf("%v. Nothing real was written to.", err), Err: err}
}
