package control

import (
	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/driver"
)

// Schema makes the JSON Schema of the catalog as this noren's drivers know it.
func Schema(reg *driver.Registry) ([]byte, error) {
	sections, options := map[string]any{}, map[string]any{}
	for _, d := range reg.Drivers() {
		sections[d.Name] = d.NewConfig()
		for _, e := range d.Entrances {
			options[e.Name] = e.NewOptions()
		}
	}
	return catalog.Schema(sections, options)
}
