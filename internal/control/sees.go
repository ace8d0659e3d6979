package control

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
)

// A Sight is what one request is answered, now and when closed.
type Sight struct {
	Service string
	Target  string
	Now     edge.Decision
	Then    edge.Decision
}

// WhoSees answers what the doors of the environment would do with a request,
// as their rules are now and as they would be under the closing asked for. It
// sends no request.
func (c *Control) WhoSees(ctx context.Context, r edge.Request, closing CloseRequest) ([]Sight, error) {
	planned, err := c.PlanClose(ctx, closing)
	if err != nil {
		return nil, err
	}
	var sights []Sight
	var hosts []string
	for _, f := range planned.Fronts {
		hosts = append(hosts, f.Hosts...)
		if !serves(f.Hosts, r.Host) {
			continue
		}
		now, err := f.Now.Decide(r)
		if err != nil {
			return nil, noListener(f, r, err)
		}
		then, err := f.Then.Decide(r)
		if err != nil {
			return nil, noListener(f, r, err)
		}
		sights = append(sights, Sight{Service: f.Service, Target: f.Target, Now: now, Then: then})
	}
	if len(sights) > 0 {
		return sights, nil
	}
	f := &fault.Fault{Code: fault.NotFound, Summary: "no entrance serves this host",
		Detail: r.Host + " is served by no entrance of " + closing.Environment + " in the catalog; it has " + strings.Join(slices.Compact(slices.Sorted(slices.Values(hosts))), ", ") + "."}
	if near := fault.Nearest(r.Host, hosts); near != "" {
		f.Detail += " Did you mean " + near + "?"
	}
	return nil, f
}

func serves(hosts []string, host string) bool {
	return slices.ContainsFunc(hosts, func(h string) bool {
		return h == "" || edge.Rule{Conditions: []edge.Condition{{Field: edge.Host, Values: []string{h}}}}.Matches(edge.Request{Host: host})
	})
}

func noListener(f Fronts, r edge.Request, err error) error {
	var known *fault.Fault
	if errors.As(err, &known) {
		return err
	}
	return &fault.Fault{Code: fault.NotFound, Summary: "no listener for this request", Err: err,
		Detail: f.Target + ": " + err.Error() + " for " + r.Host + "."}
}
