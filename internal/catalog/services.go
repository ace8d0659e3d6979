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
		f.name(e, "a service")
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
			s.only = f.texts(n, "only", "an environment", func(at spot, name string) bool {
				f.refs = append(f.refs, reference{at, name})
				return true
			})
			if n.shape == list && len(n.items) == 0 {
				f.add(n.spot, "service is nowhere", fmt.Sprintf("An empty list leaves %s in no environment. Name some, or remove the key.", s.Name))
			}
		}},
		field{"environments", func(n *node) {
			f.named(n, "environments of "+s.Name, func(e entry) { f.override(e, s) })
		}})
	if !f.object(n, what, nil, fields...) {
		s.own.entrances = []Entrance{} // there may be some, could it be read
	}
	f.modeFits(&s.own)
}

// differing are the fields that an environment may replace.
func (f *fileReader) differing(d *differs, s *service) []field {
	return []field{
		{"entrances", func(n *node) { d.entrances = f.entrances(n) }},
		{"workloads", func(n *node) { d.workloads = f.workloads(n) }},
		{"monitors", func(n *node) { d.monitors = f.monitors(n) }},
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
	f.modeFits(d)
	f.refs = append(f.refs, reference{e.spot, e.key})
	s.overrides[e.key] = d
}

// modeFits checks mode and paths against each other.
func (f *fileReader) modeFits(d *differs) {
	switch {
	case d.mode == edge.Paths && len(d.paths) == 0:
		f.add(d.at, "mode needs paths", `With "mode: paths" only the paths named are closed, and none is: add "paths".`)
	case d.mode != edge.Paths && len(d.paths) > 0:
		f.add(d.at, "paths without their mode", `"paths" are what "mode: paths" closes, and the mode is another: add "mode: paths", or remove "paths".`)
	}
}

// entrances reads the list of them. The result is not nil.
func (f *fileReader) entrances(n *node) []Entrance {
	all := []Entrance{}
	if !f.is(n, list, "entrances") {
		return all
	}
	if len(n.items) == 0 {
		f.add(n.spot, "service without an entrance", "An empty list leaves nothing to close. Add an entrance, or remove the key.")
	}
	for _, item := range n.items {
		if e, ok := f.part(item, "an entrance", "kind of entrance", f.known.EntranceKinds); ok {
			all = append(all, e)
		}
	}
	return all
}

// workloads reads the list of them. The result is not nil: an environment may
// say that there are none.
func (f *fileReader) workloads(n *node) []Workload {
	all := []Workload{}
	if !f.is(n, list, "workloads") {
		return all
	}
	for _, item := range n.items {
		if w, ok := f.part(item, "a workload", "kind of workload", f.known.WorkloadKinds); ok {
			all = append(all, Workload(w))
		}
	}
	return all
}

// monitors reads the list of them. The result is not nil: an environment may say
// that there are none.
func (f *fileReader) monitors(n *node) []Monitor {
	all := []Monitor{}
	if !f.is(n, list, "monitors") {
		return all
	}
	for _, item := range n.items {
		m := Monitor{}
		onRing := field{"on_ring", func(n *node) { m.OnRing, _ = f.text(n, "what is done when it rings") }}
		if p, ok := f.part(item, "a monitor", "kind of monitor", f.known.MonitorKinds, onRing); ok {
			m.Kind, m.Name, m.Cluster, m.Options, m.At = p.Kind, p.Name, p.Cluster, p.Options, p.At
			all = append(all, m)
		}
	}
	return all
}

// part reads what has a kind and a name, further fields of its own, and options
// that its driver decodes.
func (f *fileReader) part(item *node, what, kind string, kinds []string, own ...field) (Entrance, bool) {
	e := Entrance{At: f.position(item.spot)}
	rest := &node{spot: item.spot, shape: mapping}
	var options []field
	for _, x := range item.entries {
		mine := slices.ContainsFunc(own, func(o field) bool { return o.key == x.key })
		if x.key != "kind" && x.key != "name" && x.key != "cluster" && !mine {
			options = append(options, field{x.key, func(*node) { rest.entries = append(rest.entries, x) }})
		}
	}
	f.object(item, what, []string{"kind", "name"}, append([]field{
		{"kind", func(n *node) {
			if k, ok := f.text(n, "the kind"); ok && f.oneOf(n.spot, k, kind, kinds) {
				e.Kind = k
			}
		}},
		{"name", func(n *node) { e.Name, _ = f.text(n, "the name") }},
		{"cluster", func(n *node) { e.Cluster, _ = f.text(n, "the cluster") }},
	}, slices.Concat(own, options)...)...)
	e.Options = newSection(f.source, rest)
	return e, e.Kind != "" && e.Name != ""
}

// across checks what takes more than one part of the file.
func (f *fileReader) across() {
	var environments, teams []string
	for _, e := range f.c.Environments {
		environments = append(environments, e.Name)
	}
	for _, t := range f.c.Teams {
		teams = append(teams, t.Name)
	}
	for _, ref := range f.refs {
		if !f.full() && !slices.Contains(environments, ref.name) {
			f.add(ref.at, "unknown environment", fmt.Sprintf("There is no environment %q%s The file has: %s.",
				ref.name, didYouMean(ref.name, environments), listed(environments)))
		}
	}
	shown := slices.Clone(f.c.Page.Languages)
	for _, s := range f.c.services {
		for _, lang := range s.Page.Languages {
			if !slices.Contains(shown, lang) {
				shown = append(shown, lang)
			}
		}
		if s.Team != "" && !slices.Contains(teams, s.Team) {
			var try []string
			if fault.Nearest(s.Team, teams) == "" {
				try = []string{"teams:\n  " + scalar(s.Team) + ": {}"}
			}
			f.add(s.teamAt, "unknown team", fmt.Sprintf("There is no team %q%s The file has: %s.", s.Team, didYouMean(s.Team, teams), listed(teams)), try...)
		}
		own := s.Page
		s.Page = f.c.Page.with(own)
		f.languages(own, s.Page.Languages)
		for env, d := range s.overrides {
			if !s.isIn(env) && slices.Contains(environments, env) {
				f.add(d.at, "service is not in this environment", fmt.Sprintf("%q is not among the environments that %s is only in: %s.",
					env, s.Name, listed(s.only)))
			}
		}
	}
	if f.c.Page.Languages != nil {
		f.languages(f.c.Page, shown)
	}
	f.doors()
}

// doors checks that each service has something to close wherever it is, and that
// no entrance, workload or monitor is listed twice.
func (f *fileReader) doors() {
	lacking := map[*service]bool{}
	for _, env := range f.c.Environments {
		first := map[[4]string]fault.Position{}
		for _, s := range f.c.services {
			if !s.isIn(env.Name) {
				continue
			}
			here := s.in(env.Name)
			if here.Entrances == nil && len(here.Workloads) == 0 && !lacking[s] {
				lacking[s] = true
				f.add(s.own.at, "service without an entrance", fmt.Sprintf(
					"%s has no entrance in %s, so there is nothing to close. Add one, or name the environments it is in with \"only\".", s.Name, env.Name))
			}
			for _, e := range here.Entrances {
				f.inCluster(env, "entrance", e)
				for _, part := range f.parts(s.Name, e) {
					f.once(first, "entrance", "An entrance", e, part)
				}
			}
			for _, w := range here.Workloads {
				f.inCluster(env, "workload", Entrance(w))
				f.once(first, "workload", "A workload", Entrance(w), "")
			}
			for _, m := range here.Monitors {
				e := Entrance{Kind: m.Kind, Name: m.Name, Cluster: m.Cluster, At: m.At}
				f.inCluster(env, "monitor", e)
				f.once(first, "monitor", "A monitor", e, "")
			}
		}
	}
}

// parts are what of an entrance may be listed once: the whole, or, where services
// share it, what the options say and what is the service's.
func (f *fileReader) parts(service string, e Entrance) []string {
	if !slices.Contains(f.known.SharedKinds, e.Kind) {
		return []string{""}
	}
	return []string{"options " + string(e.Options.JSON), "service " + service}
}

// once checks that a part of what has a kind and a name is not among the first.
func (f *fileReader) once(first map[[4]string]fault.Position, what, capital string, e Entrance, part string) {
	key := [4]string{e.Cluster, e.Kind, e.Name, part}
	was, twice := first[key]
	if !twice {
		first[key] = e.At
		return
	}
	f.add(spot{e.At.Line, e.At.Column}, what+" is listed twice",
		fmt.Sprintf("%s %s is already listed at %s. %s belongs to one service.", e.Kind, e.Name, was, capital))
}

// inCluster checks that an entrance or a workload is in a cluster that its
// environment has, and in one at all where the environment itself has none for
// it.
func (f *fileReader) inCluster(env Environment, what string, e Entrance) {
	var names []string
	for _, c := range env.Clusters {
		names = append(names, c.Name)
	}
	at := spot{e.At.Line, e.At.Column}
	name, _, _ := strings.Cut(e.Kind, "/")
	_, own := env.Drivers[name]
	switch {
	case e.Cluster == "" && (len(names) == 0 || own):
	case e.Cluster == "":
		f.add(at, what+" needs a cluster", fmt.Sprintf("%s has several clusters (%s), and %s %s does not say which it is in.", env.Name, listed(names), e.Kind, e.Name),
			"cluster: "+names[0])
	case len(names) == 0:
		f.add(at, "unknown cluster", fmt.Sprintf("%s %s names the cluster %q, and %s has no clusters.", e.Kind, e.Name, e.Cluster, env.Name))
	case !slices.Contains(names, e.Cluster):
		f.add(at, "unknown cluster", fmt.Sprintf("%s has no cluster %q%s It has: %s.", env.Name, e.Cluster, didYouMean(e.Cluster, names), listed(names)))
	}
}
