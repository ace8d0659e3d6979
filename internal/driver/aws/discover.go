package aws

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/aws/alb"
	"github.com/noren-dev/noren/internal/driver/aws/alb/albrules"
	"github.com/noren-dev/noren/internal/driver/aws/ecs"
)

// discover finds load balancers, and the ECS services behind them.
func discover(ctx context.Context, c *awsclient.Conn) (*driver.Discovery, error) {
	doors, err := alb.Discover(ctx, c)
	if err != nil {
		return nil, err
	}
	services, notes, err := ecs.Discover(ctx, c)
	if err != nil {
		return nil, err
	}
	account, err := c.Account(ctx)
	if err != nil {
		return nil, err
	}
	all := &doors.Discovery
	all.Sections = map[string]map[string]any{Name: {"account": account}}
	all.Notes = append(all.Notes, notes...)
	for _, s := range services {
		give(doors, s)
	}
	return all, nil
}

// discoverNeeds are the rights that discovering takes.
func discoverNeeds() []action.Permission { return append(alb.DiscoverNeeds(), ecs.DiscoverNeeds()...) }

// give makes an ECS service a workload of the one service whose entrance leads to
// it. One that requests reach in other ways too would rest while they come in: it
// is left to a person, as is one that no entrance leads to.
func give(d *alb.Discovery, s ecs.Found) {
	var to []string // services of the catalog
	at := -1
	var behind []string
	for i, e := range d.Entrances {
		for _, g := range s.Groups {
			if !slices.Contains(d.Groups[i], g) {
				continue
			}
			behind = append(behind, g)
			if !slices.Contains(to, e.Service) {
				to, at = append(to, e.Service), i
			}
		}
	}
	w := s.FoundWorkload
	switch also := others(d, s); {
	case len(s.Groups) == 0:
		w.About = "behind no load balancer"
	case len(to) == 0 && also != "":
		w.About = "behind " + also
	case len(to) == 0:
		w.About = "behind target group " + strings.Join(names(s.Groups), ", ") + ", to which no entrance above leads"
	case len(to) > 1:
		w.About = fmt.Sprintf("behind each of %s: it would rest while one of them is open", strings.Join(to, ", "))
	case also != "":
		w.About = fmt.Sprintf("behind %s, and behind %s: requests that a closing of %[1]s lets through would find it at rest", to[0], also)
	case s.Refusal != "":
		w.About = fmt.Sprintf("behind %s, but cannot rest as it is. %s", to[0], s.Refusal)
	default:
		if more := slices.DeleteFunc(slices.Clone(s.Groups), func(g string) bool { return slices.Contains(behind, g) }); len(more) > 0 {
			w.About = "also in target group " + strings.Join(names(more), ", ") + ", whose visitors lose it too"
		}
		d.Entrances[at].Workloads = append(d.Entrances[at].Workloads, w)
		return
	}
	d.Undecided = append(d.Undecided, w)
}

// others says in which other way requests reach a service, "" in none.
func others(d *alb.Discovery, s ecs.Found) string {
	for _, g := range s.Groups {
		if how := d.Others[g]; how != "" {
			return how
		}
	}
	return ""
}

func names(groups []string) []string {
	var all []string
	for _, g := range groups {
		all = append(all, albrules.GroupName(g))
	}
	return all
}
