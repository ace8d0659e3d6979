package catalog

import (
	"maps"
	"slices"
)

// Without returns the catalog without the entrances, workloads and monitors whose kinds
// drop says yes to.
func (c *Catalog) Without(drop func(kind string) bool) *Catalog {
	out := *c
	out.services = nil
	for _, s := range c.services {
		kept := *s
		kept.own = s.own.without(drop)
		kept.overrides = maps.Clone(s.overrides)
		for env, d := range kept.overrides {
			if d != nil {
				less := d.without(drop)
				kept.overrides[env] = &less
			}
		}
		out.services = append(out.services, &kept)
	}
	return &out
}

// without keeps a list that is given as one that is given, if empty.
func (d differs) without(drop func(kind string) bool) differs {
	if d.entrances != nil {
		d.entrances = slices.DeleteFunc(slices.Clone(d.entrances), func(e Entrance) bool { return drop(e.Kind) })
	}
	if d.workloads != nil {
		d.workloads = slices.DeleteFunc(slices.Clone(d.workloads), func(w Workload) bool { return drop(w.Kind) })
	}
	if d.monitors != nil {
		d.monitors = slices.DeleteFunc(slices.Clone(d.monitors), func(m Monitor) bool { return drop(m.Kind) })
	}
	return d
}
