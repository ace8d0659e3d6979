package control

import (
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/plan"
)

// A scope is what the catalog has in an environment. Other teams may close
// their services in the same place, from catalogs of their own: recover does
// not open those.
type scope []catalog.Entrance

func (c *Control) scope(env string) (scope, error) {
	services, err := c.Catalog.Services(env)
	if err != nil {
		return nil, err
	}
	var s scope
	for _, service := range services {
		s = append(s, service.Entrances...)
	}
	return s, nil
}

// covers tells whether a mark is of an entrance in the catalog.
func (s scope) covers(o *plan.Origin) bool {
	return o != nil && slices.ContainsFunc(o.Service.Entrances, func(e plan.Entrance) bool {
		return slices.ContainsFunc(s, func(have catalog.Entrance) bool {
			return have.Kind == e.Kind && have.Name == e.Name && have.Cluster == e.Cluster
		})
	})
}

// mentions guesses whether a target without a mark that tells belongs to an
// entrance in the catalog: what an entrance is called stands in the names of
// what is made for it.
func (s scope) mentions(target string) bool {
	at := strings.Split(withoutEnvironment(target), "/")
	at[0] = strings.TrimLeft(at[0][strings.Index(at[0], ":")+1:], "/")
	return slices.ContainsFunc(s, func(e catalog.Entrance) bool {
		name := strings.Split(e.Name, "/")
		last := len(name) - 1
		for _, part := range name[:last] {
			if !slices.Contains(at, part) {
				return false
			}
		}
		return strings.Contains(at[len(at)-1], name[last])
	})
}
