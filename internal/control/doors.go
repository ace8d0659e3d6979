package control

import (
	"context"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/plan"
)

// A Reach says where the systems of a pinned environment are reached instead.
type Reach func(plan.Environment) (plan.Environment, error)

// A Door is one entrance of a service, as its driver reads it.
type Door struct {
	Service string
	Survey  *driver.Survey
}

// Doors reads the entrances of services, of all where none is named, at the
// place that reach says; nil is where the control reaches them. It asks for no
// proposal and writes nothing.
func (c *Control) Doors(ctx context.Context, environment string, services []string, reach Reach) ([]Door, error) {
	env, err := c.Catalog.Environment(environment)
	if err != nil {
		return nil, err
	}
	chosen, err := c.Catalog.Services(environment, services...)
	if err != nil {
		return nil, err
	}
	x := &planner{Control: c, concerns: func(*driver.Survey) bool { return false }}
	if x.env, err = c.pinned(env); err != nil {
		return nil, err
	}
	if reach == nil {
		reach = c.Reach
	}
	if reach != nil {
		if x.env, err = reach(x.env); err != nil {
			return nil, err
		}
	}
	ctx, cancel := c.patiently(ctx)
	defer cancel()
	x.session = c.session(x.env)
	if err := x.survey(ctx, chosen); err != nil {
		return nil, err
	}
	var doors []Door
	for _, p := range x.places {
		doors = append(doors, Door{p.service.Name, p.survey})
	}
	return doors, nil
}
