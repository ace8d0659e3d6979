package control

import (
	"errors"

	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// located says where in the catalog an error lies: what is wrong with a driver's
// section is there, and not at the entrance or workload for which it was met.
func (o Options) located(environment, cluster string, of catalog.Section, err error) error {
	var about *driver.SectionError
	env, unknown := o.Catalog.Environment(environment)
	if unknown != nil || !errors.As(err, &about) {
		return of.Fault("", err)
	}
	for _, c := range env.Clusters {
		if s, ok := c.Drivers[about.Driver]; ok && c.Name == cluster {
			return s.Fault("", err)
		}
	}
	if s, ok := env.Drivers[about.Driver]; ok {
		return s.Fault("", err)
	}
	return of.Fault("", err)
}

// met is an error that came up as a target was read. If what the catalog says is
// wrong, or names what is not there, it says where that stands.
func (o Options) met(environment, cluster string, of catalog.Section, at fault.Position, err error) error {
	var about *driver.SectionError
	if errors.As(err, &about) {
		return o.located(environment, cluster, of, err)
	}
	var f *fault.Fault
	if !errors.As(err, &f) || f.At != nil || f.Code != fault.Invalid && f.Code != fault.NotFound {
		return err
	}
	more := *f
	more.At = &at
	return &more
}
