package control

import (
	"context"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
)

// A Sight is what one request is answered, now and when closed.
type Sight struct {
	Service string        `json:"service"`
	Target  string        `json:"target"`
	Now     edge.Decision `json:"now"`
	Then    edge.Decision `json:"whenClosed"`
}

// WhoSees answers what the doors of the environment would do with a request,
// as their rules are now and as they would be under the closing asked for. It
// sends no request.
func (c *Control) WhoSees(ctx context.Context, r edge.Request, closing CloseRequest) ([]Sight, error) {
	env, err := c.Catalog.Environment(closing.Environment)
	if err != nil {
		return nil, err
	}
	services, err := c.Catalog.Services(closing.Environment)
	if err != nil {
		return nil, err
	}
	ctx, cancel := c.patiently(ctx)
	defer cancel()
	x, err := newPlanner(ctx, c, env, closing)
	if err != nil {
		return nil, err
	}
	// What keeps another entrance from being closed is not asked about.
	x.concerns = func(s *driver.Survey) bool { return serves(s.Hosts, r.Host) }
	if err := x.survey(ctx, services); err != nil {
		return nil, err
	}
	var sights []Sight
	var hosts []string
	for _, p := range x.places {
		hosts = append(hosts, p.survey.Hosts...)
		if !serves(p.survey.Hosts, r.Host) {
			continue
		}
		s, err := p.sight(r)
		if err != nil {
			return nil, err
		}
		sights = append(sights, s)
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
	return slices.ContainsFunc(hosts, func(h string) bool { return ServesHost(h, host) })
}

// ServesHost tells whether an entrance's host, which may be a pattern or "" for
// any, is for a request's.
func ServesHost(of, host string) bool {
	return of == "" || edge.Rule{Conditions: []edge.Condition{{Field: edge.Host, Values: []string{of}}}}.Matches(edge.Request{Host: host})
}

// sight evaluates the door's rules now and as they would be. What is closed
// already stays as it is.
func (p *place) sight(r edge.Request) (Sight, error) {
	then := p.survey.Front
	if p.proposal != nil {
		then = p.proposal.Front
	}
	s := Sight{Service: p.service.Name, Target: p.survey.Target}
	var err error
	if s.Now, err = p.survey.Front.Decide(r); err == nil {
		s.Then, err = then.Decide(r)
	}
	if err != nil {
		err = &fault.Fault{Code: fault.NotFound, Summary: "no listener for this request", Err: err,
			Detail: s.Target + ": " + err.Error() + " for " + r.Host + "."}
	}
	return s, err
}
