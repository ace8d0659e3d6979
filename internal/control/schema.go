package control

import (
	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/driver"
)

// Schema makes the JSON Schema of the catalog as this noren's drivers know it.
func Schema(reg *driver.Registry) ([]byte, error) {
	sections, entrances, workloads, monitors := map[string]any{}, map[string]any{}, map[string]any{}, map[string]any{}
	for _, d := range reg.Drivers() {
		sections[d.Name] = d.NewConfig()
		for _, e := range d.Entrances {
			entrances[e.Name] = e.NewOptions()
		}
		for _, w := range d.Workloads {
			workloads[w.Name] = w.NewOptions()
		}
		for _, m := range d.Monitors {
			monitors[m.Name] = m.NewOptions()
		}
	}
	return catalog.Schema(sections, entrances, workloads, monitors)
}

// Known is what a catalog may name: what the drivers of a registry bring.
func Known(r *driver.Registry) catalog.Known {
	k := catalog.Known{EntranceKinds: r.EntranceKinds(), SharedKinds: r.SharedEntranceKinds(), WorkloadKinds: r.WorkloadKinds(), MonitorKinds: r.MonitorKinds()}
	for _, d := range r.Drivers() {
		k.Drivers = append(k.Drivers, d.Name)
	}
	return k
}
