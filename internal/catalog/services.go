package catalog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
)

func (f *fileReader) services(n *node) {
	f.named(n, "services", func(e entry) {
		if !f.name(e, "a service") {
			return
		}
		s := &service{overrides: map[string]*differs{}}
		s.Name, s.Kind, s.At = e.key, Web, f.position(e.spot)
		s.healthAt = map[string]fault.Position{}
		s.own.at = e.spot
		if e.value.shape != null {
			f.service(e.value, s)
		}
		f.c.services = append(f.c.services, s)
	})
}

func (f *fileReader) service(n *node, s *service) {
	what := "the service " + s.Name
	fields := append([]field{
		{"team", func(n *node) { s.Team, _ = f.text(n, "the team"); s.teamAt = n.spot }},
		{"kind", func(n *node) {
			if k, ok := f.text(n, "the kind"); ok && f.oneOf(n.spot, k, "kind of service", []string{string(Web), string(API)}) {
				s.Kind = Kind(k)
			}
		}},
	}, f.differing(&s.own, s)...)
	fields = append(fields,
		field{"page", func(n *node) { s.Page = f.page(n, "the page of "+s.Name) }},
		field{"only", func(n *node) {
			s.only = f.texts(n, "only", "an environment", func(at spot, name string) bool { return f.environmentAt(at, name) })
			if n.shape == list && len(n.items) == 0 {
				f.add(n.spot, "service is nowhere", fmt.Sprintf("An empty list leaves %s in no environment. Name some, or remove the key.", s.Name))
			}
		}},
		field{"environments", func(n *node) {
			f.named(n, "environments of "+s.Name, func(e entry) { f.override(e, s) })
		}})
	f.object(n, what, nil, fields...)
	f.modeFits(&s.own, s.own.mode)
}

// differing are the fields that an environment may replace.
func (f *fileReader) differing(d *differs, s *service) []field {
	return []field{
		{"entrances", func(n *node) { d.entrances = f.entrances(n) }},
		{"health", func(n *node) {
			d.health = f.texts(n, "health", "a health check", func(at spot, u string) bool {
				if _, twice := s.healthAt[u]; !twice {
					s.healthAt[u] = f.position(at)
				}
				return f.url(at, u)
			})
		}},
		{"keep_open", func(n *node) {
			d.keepOpen = f.texts(n, "keep_open", "a path", func(at spot, p string) bool {
				if strings.Trim(p, "*") == "/" && strings.HasSuffix(p, "*") {
					f.add(at, "path pattern cannot be used", fmt.Sprintf("%q keeps every path open: nothing would be closed.", p))
					return false
				}
				return f.pattern(at, p)
			})
		}},
		{"mode", func(n *node) {
			modes := []string{string(edge.Closed), string(edge.ReadOnly), string(edge.Paths)}
			if m, ok := f.text(n, "the mode"); ok && f.oneOf(n.spot, m, "mode", modes) {
				d.mode = edge.Mode(m)
			}
		}},
		{"paths", func(n *node) { d.paths = f.texts(n, "paths", "a path", f.pattern) }},
	}
}

func (f *fileReader) override(e entry, s *service) {
	d := &differs{at: e.spot}
	if e.value.shape != null {
		f.object(e.value, s.Name+" in "+e.key, nil, f.differing(d, s)...)
	}
	f.modeFits(d, d.mode)
	s.overrides[e.key] = d
}

// modeFits checks mode and paths against each other.
func (f *fileReader) modeFits(d *differs, mode edge.Mode) {
	switch {
	case mode == edge.Paths && len(d.paths) == 0:
		f.add(d.at, "mode needs paths", `With "mode: paths" only the paths named are closed, and none is: add "paths".`)
	case mode != edge.Paths && len(d.paths) > 0:
		f.add(d.at, "paths without their mode", `"paths" are what "mode: paths" closes, and the mode is another: add "mode: paths", or remove "paths".`)
	}
}

func (f *fileReader) entrances(n *node) []Entrance {
	all := []Entrance{}
	if !f.is(n, list, "entrances") {
		return all
	}
	for _, item := range n.items {
		if !f.is(item, mapping, "an entrance") {
			continue
		}
		e := Entrance{At: f.position(item.spot)}
		rest := &node{spot: item.spot, shape: mapping}
		for _, x := range item.entries {
			switch {
			case x.key == "kind" && x.value.shape != null:
				if k, ok := f.text(x.value, "the kind"); ok && f.oneOf(x.value.spot, k, "kind of entrance", f.known.EntranceKinds) {
					e.Kind = k
				}
			case x.key == "name" && x.value.shape != null:
				e.Name, _ = f.text(x.value, "the name")
			case x.value.shape != null && x.key != "kind" && x.key != "name":
				rest.entries = append(rest.entries, x)
			}
		}
		for _, key := range []string{"kind", "name"} {
			if x := item.get(key); x == nil || x.value.shape == null {
				f.add(item.spot, "key is missing", fmt.Sprintf("%q is missing: an entrance needs it.", key))
			}
		}
		e.Options = newSection(f.source, rest)
		if e.Kind != "" && e.Name != "" {
			all = append(all, e)
		}
	}
	return all
}

// environmentAt checks the name of an environment where the file refers to it.
// Environments may be written after services, so the check waits for across.
func (f *fileReader) environmentAt(at spot, name string) bool {
	f.later = append(f.later, func() {
		names := make([]string, len(f.c.Environments))
		for i, e := range f.c.Environments {
			names[i] = e.Name
		}
		if !slices.Contains(names, name) {
			f.add(at, "unknown environment", fmt.Sprintf("There is no environment %q%s The file has: %s.", name, didYouMean(name, names), listed(names)))
		}
	})
	return true
}

// across checks what takes more than one part of the file.
func (f *fileReader) across() {
	for _, check := range f.later {
		check()
	}
	var teams []string
	for _, t := range f.c.Teams {
		teams = append(teams, t.Name)
	}
	for _, s := range f.c.services {
		if s.Team != "" && !slices.Contains(teams, s.Team) {
			f.add(s.teamAt, "unknown team", fmt.Sprintf("There is no team %q%s The file has: %s.", s.Team, didYouMean(s.Team, teams), listed(teams)),
				"teams:\n  "+scalar(s.Team)+": {}")
		}
		s.Page = f.c.Page.with(s.Page)
		f.languages(s.Page)
		for _, env := range sortedKeys(s.overrides) {
			at := s.overrides[env].at
			f.environmentExists(at, env)
			if !s.isIn(env) {
				f.add(at, "service is not in this environment", fmt.Sprintf("%q is not among the environments that %s is only in: %s.",
					env, s.Name, listed(s.only)))
			}
		}
	}
	f.languages(f.c.Page)
	f.doors()
}

// doors checks that each service has an entrance wherever it is, and that no
// entrance is listed twice.
func (f *fileReader) doors() {
	without := map[string]bool{}
	for _, env := range f.c.Environments {
		first := map[[2]string]fault.Position{}
		for _, s := range f.c.services {
			if !s.isIn(env.Name) {
				continue
			}
			in := s.in(env.Name)
			if len(in.Entrances) == 0 && !without[s.Name] && !f.brokenDoors(s, env.Name) {
				without[s.Name] = true
				f.add(f.doorSpot(s, env.Name), "service without an entrance", fmt.Sprintf(
					"%s has no entrance in %s, so there is nothing to close. Add one, or name the environments it is in with \"only\".", s.Name, env.Name))
			}
			for _, e := range in.Entrances {
				key := [2]string{e.Kind, e.Name}
				if was, twice := first[key]; twice {
					f.faults = append(f.faults, &fault.Fault{Code: fault.Invalid, Summary: "entrance is listed twice", At: at(e.At),
						Detail: fmt.Sprintf("%s %s is already listed at %s. An entrance belongs to one service.", e.Kind, e.Name, was)})
					continue
				}
				first[key] = e.At
			}
		}
	}
}
