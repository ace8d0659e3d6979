package control

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/page"
)

// A CheckRequest is what a person asks to be checked.
type CheckRequest struct {
	Environments []string // none: all of the catalog
	// Live also asks the systems outside. It only reads.
	Live bool
}

// A CheckReport is what check found, environment by environment.
type CheckReport struct {
	File         string
	Live         bool
	Environments []EnvironmentCheck
}

// An EnvironmentCheck is what check found in one environment.
type EnvironmentCheck struct {
	Name      string
	Protected bool
	Services  []ServiceCheck
	// Problems are those of the environment itself: its drivers' configuration.
	Problems []error
	// Identity is who noren is to the system that refuses something, and Grant
	// the text that grants what is missing.
	Identity string
	Grant    string
}

// A ServiceCheck is what check found of one service in one environment.
type ServiceCheck struct {
	Name string
	// Facts are what is right, in a few words each; Notes what its owner
	// should know; Problems what is wrong, of which the service is well
	// without any.
	Facts    []string
	Notes    []string
	Problems []error
}

// Err joins every problem of the report, each once. It is nil if all is well.
func (r *CheckReport) Err() error {
	var all []error
	for _, e := range r.Environments {
		all = append(all, e.Problems...)
		for _, s := range e.Services {
			all = append(all, s.Problems...)
		}
	}
	return joined(all)
}

// Check looks for what would keep a closing from working: first in the catalog
// alone and, if that is well and it is asked to, in the world outside. It
// writes nothing there, and needs the state directory only when live.
func Check(ctx context.Context, o Options, req CheckRequest) (*CheckReport, error) {
	environments, err := named(o.Catalog, req.Environments)
	if err != nil {
		return nil, err
	}
	c := &Control{Options: o}
	r := &CheckReport{File: o.Catalog.File, Live: req.Live}
	for _, env := range environments {
		e, err := c.checkOffline(env)
		if err != nil {
			return nil, err
		}
		r.Environments = append(r.Environments, e)
	}
	if !req.Live || r.wrong() {
		return r, nil
	}
	return r, r.live(ctx, o, environments)
}

// wrong tells whether the report has a problem: they are its result, and no
// failure of the check.
func (r *CheckReport) wrong() bool { return r.Err() != nil }

// live adds what the systems outside say.
func (r *CheckReport) live(ctx context.Context, o Options, environments []catalog.Environment) (err error) {
	c, err := Open(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	for i, env := range environments {
		if err := c.checkLive(ctx, env, &r.Environments[i]); err != nil {
			return err
		}
	}
	return nil
}

// named are the environments of the names, or all if there is none.
func named(cat *catalog.Catalog, names []string) ([]catalog.Environment, error) {
	if len(names) == 0 {
		return cat.Environments, nil
	}
	var all []catalog.Environment
	for _, name := range names {
		env, err := cat.Environment(name)
		if err != nil {
			return nil, err
		}
		all = append(all, env)
	}
	return all, nil
}

// checkOffline decodes what the drivers will decode, and builds every page.
func (c *Control) checkOffline(env catalog.Environment) (EnvironmentCheck, error) {
	e := EnvironmentCheck{Name: env.Name, Protected: env.Protected}
	configs := env.Configs()
	for name, section := range env.Drivers {
		if err := c.Registry.CheckConfig(name, configs); err != nil {
			e.Problems = append(e.Problems, section.Fault("", err, driver.Keys(c.Registry.Driver(name).NewConfig())...))
		}
	}
	for _, cluster := range env.Clusters {
		for name, section := range cluster.Drivers {
			if err := c.Registry.CheckClusters(name, configs, cluster.Configs()); err != nil {
				e.Problems = append(e.Problems, section.Fault("", err, driver.Keys(c.Registry.Driver(name).NewConfig())...))
			}
		}
	}
	if err := c.namesKnown(env.Name); err != nil {
		e.Problems = append(e.Problems, err)
	}
	if err := c.clustersApart(env, filepath.Dir(c.Catalog.File)); err != nil {
		e.Problems = append(e.Problems, err)
	}
	services, err := c.Catalog.Services(env.Name)
	if err != nil {
		return e, err
	}
	for _, s := range services {
		e.Services = append(e.Services, c.checkService(env.Name, s))
	}
	return e, nil
}

func (c *Control) checkService(env string, s catalog.Service) ServiceCheck {
	out := ServiceCheck{Name: s.Name, Facts: []string{string(s.Kind), counted(len(s.Entrances), "entrance")}}
	for _, entrance := range s.Entrances {
		if err := c.Registry.CheckOptions(entrance.Kind, entrance.Options.JSON); err != nil {
			keys := driver.Keys(c.Registry.EntranceKind(entrance.Kind).NewOptions())
			out.Problems = append(out.Problems, entrance.Options.Fault("", err, keys...))
		}
	}
	for _, w := range s.Workloads {
		if err := c.Registry.CheckWorkload(w.Kind, w.Options.JSON); err != nil {
			out.Problems = append(out.Problems, w.Options.Fault("", err, driver.Keys(c.Registry.WorkloadKind(w.Kind).NewOptions())...))
		}
	}
	if len(s.Workloads) > 0 {
		out.Facts = append(out.Facts, counted(len(s.Workloads), "workload"))
	}
	for _, m := range s.Monitors {
		if err := c.Registry.CheckMonitor(m.Kind, m.Options.JSON); err != nil {
			out.Problems = append(out.Problems, m.Options.Fault("", err, driver.Keys(c.Registry.MonitorKind(m.Kind).NewOptions())...))
		}
		if m.OnRing == "" {
			out.Notes = append(out.Notes, fmt.Sprintf("monitor %s (%s): who does what when it rings? Say so with on_ring at %s.", m.Name, m.Kind, m.At))
		}
	}
	if len(s.Monitors) > 0 {
		out.Facts = append(out.Facts, counted(len(s.Monitors), "monitor"))
	}
	p, limit, err := PreviewPage(c.Catalog, c.Registry, env, s, page.Content{Until: c.Now()}) // with an end: as large as it gets
	if err != nil {
		out.Problems = append(out.Problems, err)
	} else {
		out.Facts = append(out.Facts, "page "+pageSize(len(p.Body), limit))
		out.Notes = append(out.Notes, p.Notes...)
	}
	if len(s.Health) == 0 {
		out.Notes = append(out.Notes, "no health URL: noren cannot tell when it is well again")
	}
	return out
}

func pageSize(n, limit int) string {
	if limit == page.Unlimited {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%d of %d bytes", n, limit)
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// previewMark stands for the mark of a run in pages that no run shows.
const previewMark = "preview-00"

// PageLimit is the smallest limit of a service's doors as far as the catalog
// tells it. A door that does not tell is taken for the strictest that noren
// knows: a load balancer's fixed response.
func PageLimit(reg *driver.Registry, s catalog.Service) int {
	smallest := page.Unlimited
	for _, e := range s.Entrances {
		limit, known := reg.PageLimit(e.Kind, e.Options.JSON)
		if !known {
			limit = page.ALBLimit
		}
		if limit != page.Unlimited && (smallest == page.Unlimited || limit < smallest) {
			smallest = limit
		}
	}
	return smallest
}

// PreviewPage makes the page that customers of a service would be shown,
// in an environment, without looking at any door, and returns the limit that it
// keeps.
func PreviewPage(cat *catalog.Catalog, reg *driver.Registry, env string, s catalog.Service, c page.Content) (page.Page, int, error) {
	c.Mark = previewMark
	limit := PageLimit(reg, s)
	p, err := PageOf(cat, s, c, limit)
	if errors.Is(err, page.ErrTooLarge) && largePages(cat, reg, env, s) {
		p, err = PageOf(cat, s, c, page.Unlimited)
		return p, page.Unlimited, err
	}
	return p, limit, err
}

// largePages tells whether a page over the limit of a service's doors can be
// sent at each of them by a page server.
func largePages(cat *catalog.Catalog, reg *driver.Registry, name string, s catalog.Service) bool {
	env, err := cat.Environment(name)
	if err != nil {
		return false
	}
	for _, e := range s.Entrances {
		if limit, known := reg.PageLimit(e.Kind, e.Options.JSON); known && limit == page.Unlimited {
			continue
		}
		if !reg.LargePages(e.Kind, e.Options.JSON, env.Configs()) {
			return false
		}
	}
	return len(s.Entrances) > 0
}

// placed points a fault of a service's page at what was written of it.
func placed(s catalog.Service, err error) error {
	var f *fault.Fault
	if !errors.As(err, &f) || f.At != nil || s.At.File == "" {
		return err
	}
	at := s.At
	for _, key := range []string{"template", "message", "title", "contact", "languages"} {
		if p, written := s.Page.At(key); written {
			at = p
			break
		}
	}
	out := *f
	out.At, out.Detail = &at, "Service "+s.Name+": "+f.Detail
	return &out
}
