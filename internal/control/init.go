package control

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/page"
)

// An InitPlace is a place to look for entrances in, and what it is to be
// called.
type InitPlace struct {
	Environment string
	Protected   bool
	// Cluster names the place where the environment has several, "" where it is
	// all there is.
	Cluster string
	// Drivers holds the configuration of the drivers that reach it.
	Drivers map[string]map[string]any
}

// An InitRequest is what a person asks init to look at.
type InitRequest struct {
	Zone      string   // IANA name
	Languages []string // none: the catalog's default
	Places    []InitPlace
}

// A Drafted is a first catalog and what it was made from.
type Drafted struct {
	Draft catalog.Draft
	Found []FoundEntrance
	Notes []string
}

// A FoundEntrance is an entrance that init found, by the name its service got.
type FoundEntrance struct {
	Environment string
	Service     string
	driver.Found
}

// Init looks for entrances in every place and drafts a catalog of them. It
// writes nothing.
func Init(ctx context.Context, reg *driver.Registry, now func() time.Time, req InitRequest) (*Drafted, error) {
	if err := initLanguages(req.Languages); err != nil {
		return nil, err
	}
	d := &drafter{services: map[string]*draftService{}}
	for _, p := range req.Places {
		configs, err := configsOf(p.Drivers)
		if err != nil {
			return nil, err
		}
		for name := range configs {
			if err := reg.CheckConfig(name, configs); err != nil {
				return nil, &fault.Fault{Code: fault.Invalid, Summary: "value cannot be used", Err: err,
					Detail: fmt.Sprintf("%s: %v. Nothing was written.", p.Environment, err)}
			}
		}
		found, err := p.session(reg, now, configs).Discover(ctx)
		if err != nil {
			return nil, unread("what there is to close", p.Environment, err)
		}
		d.place(reg, p, found)
	}
	if len(d.found) == 0 {
		return nil, &fault.Fault{Code: fault.NotFound, Summary: "no entrance found",
			Detail: "Nothing that noren could close was found in " + strings.Join(d.environments, ", ") + ". Nothing was written. " +
				strings.Join(d.notes, " ")}
	}
	draft := catalog.Draft{Zone: req.Zone, Languages: req.Languages, Environments: d.drafts, Services: d.draft(), Undecided: d.undecided}
	return &Drafted{Draft: draft, Found: d.found, Notes: d.notes}, nil
}

// initLanguages refuses languages in which the page could not be shown: init
// writes no texts, so that noren must have some.
func initLanguages(tags []string) error {
	for i, tag := range tags {
		refused := func(detail string) error {
			return &fault.Fault{Code: fault.Invalid, Summary: "language cannot be used",
				Detail: detail + " Nothing was written.", Try: []string{"noren init --lang " + strings.Join(page.Languages(), ",")}}
		}
		if slices.Contains(tags[:i], tag) {
			return refused(fmt.Sprintf("%s is named twice.", tag))
		}
		if page.Speaks(tag) {
			continue
		}
		detail := fmt.Sprintf("noren has texts for the closed page in %s, and none in %q.", strings.Join(page.Languages(), " and "), tag)
		if near := fault.Nearest(tag, page.Languages()); near != "" {
			detail += fmt.Sprintf(" Did you mean %s?", near)
		}
		return refused(detail + " For another language, leave --lang out, and write it with its title and message into noren.yaml afterwards.")
	}
	return nil
}

// session reaches the place as a closing would.
func (p InitPlace) session(reg *driver.Registry, now func() time.Time, configs driver.Configs) *driver.Session {
	env := driver.Env{Name: p.Environment, Now: now}
	if p.Cluster == "" {
		return reg.Open(env, configs)
	}
	return reg.OpenClusters(env, nil, map[string]driver.Configs{p.Cluster: configs})
}

// A drafter gathers what was found, place by place.
type drafter struct {
	environments []string
	drafts       []catalog.DraftEnvironment
	found        []FoundEntrance
	notes        []string
	undecided    []catalog.DraftWorkload
	services     map[string]*draftService
	order        []string
}

// A draftService is one service as the places know it.
type draftService struct {
	name   string
	places map[string][]driver.Found // by environment
}

func (d *drafter) place(reg *driver.Registry, p InitPlace, found *driver.Discovery) {
	drivers := map[string]map[string]any{}
	for name, section := range p.Drivers {
		drivers[name] = maps.Clone(section)
		maps.Copy(drivers[name], found.Sections[name])
	}
	for _, f := range found.Entrances {
		name := cmp.Or(catalog.Name(f.Service), catalog.Name(f.Name), "service")
		s := d.services[name]
		if s == nil {
			s = &draftService{name: name, places: map[string][]driver.Found{}}
			d.services[name] = s
			d.order = append(d.order, name)
		}
		s.places[p.Environment] = append(s.places[p.Environment], f)
		d.found = append(d.found, FoundEntrance{Environment: p.Environment, Service: name, Found: f})
		// A driver that found something by another's configuration needs a
		// section of its own to be used.
		if own, _, _ := strings.Cut(f.Kind, "/"); drivers[own] == nil {
			drivers[own] = map[string]any{}
		}
		// The section says that the owner's system is there, also to those who
		// look for what was left behind.
		if f.Owner != nil && reg.Driver(f.Owner.System) != nil && drivers[f.Owner.System] == nil {
			drivers[f.Owner.System] = map[string]any{}
		}
	}
	for _, w := range found.Undecided {
		w.About = p.Environment + ": " + w.About
		d.undecided = append(d.undecided, catalog.DraftWorkload(w))
	}
	if n := len(found.Undecided); n > 0 {
		found.Notes = append(found.Notes, fmt.Sprintf("%d workloads were given to no service: they are comments at the end of the file, with why", n))
	}
	for _, n := range found.Notes {
		d.notes = append(d.notes, p.Environment+": "+n)
	}
	d.environment(p, drivers)
}

// environment files a place as an environment, or as a cluster of one.
func (d *drafter) environment(p InitPlace, drivers map[string]map[string]any) {
	i := slices.Index(d.environments, p.Environment)
	if i < 0 {
		i = len(d.environments)
		d.environments = append(d.environments, p.Environment)
		d.drafts = append(d.drafts, catalog.DraftEnvironment{Name: p.Environment, Protected: p.Protected})
	}
	if p.Cluster == "" {
		d.drafts[i].Drivers = drivers
		return
	}
	d.drafts[i].Clusters = append(d.drafts[i].Clusters, catalog.DraftCluster{Name: p.Cluster, Drivers: drivers})
}

// draft writes each service once if its entrances are the same wherever it is,
// and else once for each environment, under a name that says so.
func (d *drafter) draft() []catalog.DraftService {
	var all []catalog.DraftService
	for _, name := range d.order {
		s := d.services[name]
		var in []string
		for _, env := range d.environments {
			if len(s.places[env]) > 0 {
				in = append(in, env)
			}
		}
		if s.sameEverywhere(in) {
			all = append(all, d.service(name, s, in))
			continue
		}
		for _, env := range in {
			all = append(all, d.service(name+"-"+env, s, []string{env}))
		}
	}
	return all
}

func (s *draftService) sameEverywhere(in []string) bool {
	for _, env := range in[1:] {
		if !slices.EqualFunc(s.places[env], s.places[in[0]], sameDoor) {
			return false
		}
	}
	return true
}

func sameDoor(a, b driver.Found) bool {
	return a.Kind == b.Kind && a.Name == b.Name && a.Cluster == b.Cluster && reflect.DeepEqual(a.Options, b.Options)
}

func (d *drafter) service(name string, s *draftService, in []string) catalog.DraftService {
	out := catalog.DraftService{Name: name}
	if len(in) < len(d.environments) {
		out.Only = in
	}
	for _, f := range s.places[in[0]] {
		out.Team = cmp.Or(out.Team, f.Team)
		out.API = out.API || f.API
		e := catalog.DraftEntrance{Kind: f.Kind, Name: f.Name, Cluster: f.Cluster, Class: f.Class, Options: f.Options}
		for _, env := range in {
			for _, same := range s.places[env] {
				if sameDoor(same, f) {
					e.Hosts = append(e.Hosts, same.Hosts...)
				}
			}
		}
		e.Hosts = distinct(e.Hosts)
		out.Entrances = append(out.Entrances, e)
	}
	s.owners(&out, in)
	s.parts(&out, in)
	return out
}

// owners mentions who keeps the entrances as Git says.
func (s *draftService) owners(out *catalog.DraftService, in []string) {
	var notes []string
	for _, env := range in {
		for _, f := range s.places[env] {
			if o := f.Owner; o != nil {
				notes = append(notes, fmt.Sprintf("%s is kept in sync by %s: %s %s", f.Name, systemName(o.System),
					strings.ToLower(cmp.Or(o.Kind, "application")), path.Join(o.Namespace, o.Name)))
			}
		}
	}
	out.Notes = append(out.Notes, distinct(notes)...)
}

func systemName(system string) string {
	switch system {
	case "argocd":
		return "Argo CD"
	case "flux":
		return "Flux"
	}
	return system
}

// parts keeps the health URLs and workloads that are the same everywhere. Where
// environments have their own, as they do if their hosts or clusters differ, each
// gets its own, since those of another would be waited for in vain.
func (s *draftService) parts(out *catalog.DraftService, in []string) {
	var parts []catalog.DraftPart
	for _, env := range in {
		part := catalog.DraftPart{Environment: env}
		for _, f := range s.places[env] {
			part.Health = append(part.Health, f.Health...)
			for _, w := range f.Workloads {
				part.Workloads = append(part.Workloads, catalog.DraftWorkload(w))
			}
		}
		part.Health, part.Workloads = distinct(part.Health), distinct(part.Workloads)
		parts = append(parts, part)
	}
	same := func(equal func(a, b catalog.DraftPart) bool) bool {
		return !slices.ContainsFunc(parts, func(p catalog.DraftPart) bool { return !equal(p, parts[0]) })
	}
	sameHealth := same(func(a, b catalog.DraftPart) bool { return slices.Equal(a.Health, b.Health) })
	sameWork := same(func(a, b catalog.DraftPart) bool { return slices.Equal(a.Workloads, b.Workloads) })
	if sameHealth {
		out.Health = parts[0].Health
	}
	if sameWork {
		out.Workloads = parts[0].Workloads
	}
	for _, p := range parts {
		if sameHealth {
			p.Health = nil
		}
		if sameWork {
			p.Workloads = nil
		}
		if len(p.Health)+len(p.Workloads) > 0 {
			out.In = append(out.In, p)
		}
	}
}

func distinct[T comparable](all []T) []T {
	var out []T
	for _, s := range all {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
