package kube

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/edge"
)

// closingNotes are what the reader of a plan should know of this closing.
func (e *entrance) closingNotes(r *reading, c edge.Closing, cur curtain, hosts []string, after edge.Front) []driver.Note {
	var notes []driver.Note
	say := func(warn bool, format string, args ...any) {
		notes = append(notes, driver.Note{Warn: warn, Text: fmt.Sprintf(format, args...)})
	}
	served := e.outgrown(c.Page)
	if n := len(c.Page.Body); !served && n > lbc.MaxBody {
		say(true, "The page has %d bytes in %d characters. AWS counts characters, but nobody documents it: %d bytes would be safe.", n, utf8.RuneCountInString(c.Page.Body), lbc.MaxBody)
	}
	if !served && len(c.Page.Header) > 0 {
		say(false, "A fixed response of the load balancer carries no headers of our own: no Retry-After is sent.")
	}
	for _, s := range shadowed(r, cur, hosts, after) {
		say(true, "%s", s)
	}
	if cur.ownPaths {
		say(false, "Other Ingresses serve some of the same hosts, so only the paths of ingress %s are closed on them.", e.key())
		if r.ing.Spec.DefaultBackend != nil {
			say(true, "Ingress %s also has a default backend: on hosts that others share, requests that no rule takes still reach it.", e.key())
		}
	}
	for _, p := range cur.unserved {
		say(true, "Ingress %s does not serve %s: keeping it open has no effect.", e.key(), p)
	}
	if cur.hasStaff() && len(c.Bypass.Sources) > 0 {
		for _, s := range c.Bypass.Inside() {
			say(true, "%s passes as staff, and the load balancer goes by the address of the connection: if a CDN, a proxy or another load balancer in that network stands in front of it, EVERYONE passes. Let staff in by pass there.", s)
		}
		say(false, "Staff are known by the address from which the load balancer sees them come: behind a CDN or proxy that is the CDN's, and a pass is needed.")
	}
	if len(cur.through) > 0 && r.group.Explicit() && e.options.Strategy != StrategyPatch {
		say(false, "Requests that go through reach ingress %s's Services by target groups of their own: they answer once their first health checks have passed.", e.key())
	}
	for _, u := range urls(r.ing, r, after) {
		if d, ok := probed(u, c, after); ok && !d.Action.Login && (d.Action.Kind != edge.Respond || d.Action.Response.Mark != c.Mark) {
			say(true, "At %s the page would not be seen: %s takes the request first.", u, d.Rule)
		}
	}
	return notes
}

// behindLogin are the URLs at which visitors must log in before they see the
// page. noren's probe has no account to log in with.
func (e *entrance) behindLogin(r *reading, urls []string, c edge.Closing, after edge.Front) []driver.Unprovable {
	advice := fmt.Sprintf("An Ingress in an explicit group is closed by an Ingress in front of it, which asks for no login: give %s the annotation %s. That moves it to another load balancer: do it at a calm time.", e.key(), lbc.GroupName)
	if r.group.Explicit() {
		advice = "Without strategy: patch, an Ingress in front of it closes it, which asks for no login."
	}
	var out []driver.Unprovable
	for _, u := range urls {
		if d, ok := probed(u, c, after); ok && d.Action.Login {
			out = append(out, driver.Unprovable{URL: u, Why: "Visitors must log in before they see the page, and so must noren's probe, which cannot. " + advice})
		}
	}
	return out
}

func (c curtain) hasStaff() bool {
	return slices.ContainsFunc(c.through, func(p piece) bool { return p.part != partOpen })
}

// probed is what a probe would meet at a URL while closed; false where it is not
// to be closed.
func probed(rawURL string, c edge.Closing, after edge.Front) (edge.Decision, bool) {
	u, err := url.Parse(rawURL)
	if err != nil || !wantsClosed(c, u.Hostname()) {
		return edge.Decision{}, false
	}
	port, _ := strconv.Atoi(u.Port())
	d, err := after.Decide(edge.Request{Scheme: u.Scheme, Port: port, Method: http.MethodGet, Host: u.Hostname(), Path: u.Path,
		Header: http.Header{edge.ProbeHeader: {"plan"}}})
	return d, err == nil
}

func wantsClosed(c edge.Closing, host string) bool {
	return len(c.Hosts) == 0 || servesHost(c.Hosts, host)
}

// shadowed are the rules of other Ingresses that serve requests now which the
// page would take.
func shadowed(r *reading, cur curtain, hosts []string, after edge.Front) []string {
	before, _ := lbc.Build(r.members, r.opts)
	var out []string
	for _, host := range hosts {
		for _, other := range othersOn(r, host) {
			for _, e := range entriesOf(other, host) {
				if e.fallback || e.err != nil || !covered(cur.closed, host, e) || !loses(before, after, lbc.Key(other), host, e) {
					continue
				}
				path := "every path"
				if len(e.patterns) > 0 {
					path = strings.Join(e.patterns, " and ")
				}
				s := fmt.Sprintf("Closing %s also closes %s there, which ingress %s serves.", host, path, lbc.Key(other))
				if !slices.Contains(out, s) {
					out = append(out, s)
				}
			}
		}
	}
	return out
}

// loses tells whether a request of the kind that an entry of another Ingress
// is for reaches that Ingress now, and would not. Further conditions of the
// entry cannot be tried out: with any, it is taken to lose.
func loses(before, after edge.Front, key, host string, e entry) bool {
	if len(e.conditions) > 0 || e.regex {
		return true
	}
	samples := []string{"/"}
	for _, p := range e.patterns {
		samples = append(samples, strings.NewReplacer("*", "x", "?", "x").Replace(p))
	}
	if len(e.patterns) > 0 {
		samples = samples[1:]
	}
	its := func(f edge.Front, path string) bool {
		return slices.ContainsFunc(f.Listeners, func(l edge.Listener) bool {
			d := l.Decide(edge.Request{Method: http.MethodGet, Host: strings.Replace(host, "*", "x", 1), Path: path})
			return strings.HasPrefix(d.Rule, "ingress "+key+" ")
		})
	}
	return slices.ContainsFunc(samples, func(path string) bool { return its(before, path) && !its(after, path) })
}

// covered tells whether a closed piece for the host takes any request that the
// entry would have taken.
func covered(closed []piece, host string, e entry) bool {
	for _, p := range closed {
		if !hostsMeet(p.host, host) {
			continue
		}
		own := p.patterns()
		if p.path == "" {
			own = nil
		}
		for _, c := range p.conditions {
			if c.Field == lbc.FieldPath {
				own = append(own, c.Path.Values...)
			}
		}
		if len(own) == 0 || len(e.patterns) == 0 {
			return true
		}
		for _, a := range own {
			for _, b := range e.patterns {
				if relate(a, b) != apart {
					return true
				}
			}
		}
	}
	return false
}
