package control

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/fault"
)

// kubeDriver is the driver that says how a cluster is reached; the others that go
// through a kubeconfig inherit it.
const kubeDriver = "kube"

// clustersApart refuses clusters that are reached the same way: one would be
// closed under both names, and the other not at all. Relative paths are from dir.
func (c *Control) clustersApart(env catalog.Environment, dir string) error {
	sections, err := c.kubeSections(env)
	if err != nil {
		return err
	}
	type way struct{ Kubeconfig, Context string }
	seen := map[way]string{}
	var errs []error
	for _, cluster := range env.Clusters {
		raw, used := sections[cluster.Name]
		if !used {
			continue
		}
		var to way
		if raw, err = c.Registry.Pinned(kubeDriver, raw, dir); err != nil || json.Unmarshal(raw, &to) != nil {
			continue // said where the section is decoded
		}
		other, twice := seen[to]
		if !twice {
			seen[to] = cluster.Name
			continue
		}
		by := "what noren reaches where nothing is said"
		if said := strings.TrimSpace(to.Kubeconfig + " " + to.Context); said != "" {
			by = said
		}
		at := cluster.At
		errs = append(errs, &fault.Fault{Code: fault.Invalid, Summary: "two clusters are one", At: &at,
			Detail: fmt.Sprintf("The clusters %s and %s of %s are both reached by %s: one would be closed twice, and the other not at all.", other, cluster.Name, env.Name, by),
			Try:    []string{cluster.Name + ": {kube: {context: …}}", "kubectl config get-contexts"}})
	}
	return joined(errs)
}

// kubeSections are the sections kube of those clusters that are reached through a
// kubeconfig; nil where a cluster that something is closed in has none.
func (c *Control) kubeSections(env catalog.Environment) (map[string]json.RawMessage, error) {
	services, err := c.Catalog.Services(env.Name)
	if err != nil {
		return nil, err
	}
	through := func(kind, in, cluster string) bool {
		name, _, _ := strings.Cut(kind, "/")
		return in == cluster && c.Registry.ThroughKubeconfig(name)
	}
	all := map[string]json.RawMessage{}
	for _, cluster := range env.Clusters {
		section, given := cluster.Drivers[kubeDriver]
		used := given || slices.ContainsFunc(services, func(s catalog.Service) bool {
			return slices.ContainsFunc(s.Entrances, func(e catalog.Entrance) bool { return through(e.Kind, e.Cluster, cluster.Name) }) ||
				slices.ContainsFunc(s.Workloads, func(w catalog.Workload) bool { return through(w.Kind, w.Cluster, cluster.Name) })
		})
		if used {
			all[cluster.Name] = section.JSON
		}
	}
	return all, nil
}
