package control

import (
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/plan"
)

// A scope is what the catalog has in an environment, entrances and workloads.
// Other teams may close their services in the same place, from catalogs of
// their own: recover does not open those.
type scope []catalogued

// A catalogued thing is an entrance or a workload, by cluster, kind and name.
type catalogued struct{ cluster, kind, name string }

func (c *Control) scope(env string) (scope, error) {
	services, err := c.Catalog.Services(env)
	if err != nil {
		return nil, err
	}
	var s scope
	for _, service := range services {
		for _, e := range service.Entrances {
			s = append(s, catalogued{e.Cluster, e.Kind, e.Name})
		}
		for _, w := range service.Workloads {
			s = append(s, catalogued{w.Cluster, w.Kind, w.Name})
		}
	}
	return s, nil
}

// covers tells whether a mark is of something in the scope.
func (s scope) covers(o *plan.Origin) bool {
	if o == nil {
		return false
	}
	return slices.ContainsFunc(o.Service.Entrances, func(e plan.Entrance) bool { return slices.Contains(s, catalogued{e.Cluster, e.Kind, e.Name}) }) ||
		slices.ContainsFunc(o.Service.Workloads, func(w plan.Workload) bool { return slices.Contains(s, catalogued{w.Cluster, w.Kind, w.Name}) })
}

// mentions guesses whether a target without a mark that tells belongs to
// something in the scope: what that is called stands in the names of what is
// made for it.
func (s scope) mentions(target string) bool {
	_, object, _ := strings.Cut(withoutEnvironment(target), ":")
	at := strings.Split(object, "/")
	return slices.ContainsFunc(s, func(c catalogued) bool {
		name := strings.Split(c.name, "/")
		last := len(name) - 1
		for _, part := range name[:last] {
			if !slices.Contains(at, part) {
				return false
			}
		}
		return strings.Contains(at[len(at)-1], name[last])
	})
}
