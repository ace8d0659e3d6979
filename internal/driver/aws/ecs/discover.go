package ecs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// A Found is a service as init finds it.
type Found struct {
	driver.FoundWorkload
	// Groups are the ARNs of the target groups that its tasks are registered in.
	Groups []string
	// Refusal says why it could not rest as it is now, "" if it could.
	Refusal string
}

// Discover finds the services of all clusters. What noren may not look at is
// left out, and said in the notes.
func Discover(ctx context.Context, conn *awsclient.Conn) (found []Found, notes []string, err error) {
	c := clientOf(conn)
	clusters, err := c.listClusters(ctx)
	if awsclient.IsDenied(err) {
		return nil, []string{"ECS services were not looked for. " + awsclient.DetailOf(err)}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	slices.Sort(clusters) // AWS has no order
	for _, cluster := range clusters {
		some, err := c.discoverIn(ctx, cluster)
		switch {
		case awsclient.IsDenied(err):
			notes = append(notes, fmt.Sprintf("The ECS services of cluster %s were not looked at. %s", cluster, awsclient.DetailOf(err)))
		case err != nil:
			return nil, nil, err
		}
		found = append(found, some...)
	}
	more, err := c.refusals(ctx, found)
	return found, append(notes, more...), err
}

// discoverIn finds the services of one cluster.
func (c *client) discoverIn(ctx context.Context, cluster string) ([]Found, error) {
	names, err := c.listServices(ctx, cluster)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var found []Found
	for some := range slices.Chunk(names, mostServices) {
		services, err := c.describe(ctx, cluster, some)
		if err != nil {
			return nil, err
		}
		for _, name := range some {
			if s := services[name]; s != nil {
				found = append(found, Found{FoundWorkload: driver.FoundWorkload{Kind: kind, Name: cluster + "/" + name}, Groups: groupsOf(s)})
			}
		}
	}
	return found, nil
}

// groupsOf are the target groups of a service. One that CodeDeploy or another
// deploys has them in its task sets; one with blue/green deployments has a second.
func groupsOf(s *types.Service) []string {
	all := s.LoadBalancers
	for _, set := range s.TaskSets {
		all = append(slices.Clone(all), set.LoadBalancers...)
	}
	var groups []string
	add := func(arn *string) {
		if g := aws.ToString(arn); g != "" && !slices.Contains(groups, g) {
			groups = append(groups, g)
		}
	}
	for _, lb := range all {
		add(lb.TargetGroupArn)
		if a := lb.AdvancedConfiguration; a != nil {
			add(a.AlternateTargetGroupArn)
		}
	}
	return groups
}

// refusals asks of each service that is behind a load balancer whether it could
// rest, as the plan of a closing would. A missing right refuses nothing: it will
// be granted.
func (c *client) refusals(ctx context.Context, found []Found) (notes []string, err error) {
	ctx = driver.WithBatch(ctx, driver.Batch{Since: time.Now(), Size: len(found)})
	var asked []*workload
	for _, f := range found {
		cluster, service, _ := strings.Cut(f.Name, "/")
		w := &workload{c, key{cluster, service}, 0}
		w.expect(w.key)
		asked = append(asked, w)
	}
	for i := range found {
		if len(found[i].Groups) == 0 {
			continue
		}
		err := asked[i].couldRest(ctx)
		var f *fault.Fault
		switch {
		case err == nil:
		case awsclient.IsDenied(err):
			if note := "It was not asked whether the ECS services could rest. " + awsclient.DetailOf(err); !slices.Contains(notes, note) {
				notes = append(notes, note)
			}
		case errors.As(err, &f) && (f.Code == fault.Invalid || f.Code == fault.CheckFailed):
			found[i].Refusal = f.Detail
		default:
			return notes, err
		}
	}
	return notes, nil
}

// couldRest fails where the plan of a closing would.
func (w *workload) couldRest(ctx context.Context) error {
	if _, err := w.Rest(ctx); err != nil {
		return err
	}
	return w.scale().Fits(ctx, typical())
}

// typical is a mark as long as most are.
func typical() action.Mark {
	origin, _ := json.Marshal(strings.Repeat("-", 500)) // a text
	return action.Mark{Receipt: action.Receipt{Run: strings.Repeat("-", 26), Step: "close-10"}, Params: origin, Actor: "someone@somewhere.example.com", Origin: origin}
}

// DiscoverNeeds are the rights that Discover takes.
func DiscoverNeeds() []action.Permission {
	return awsclient.Rights("find services behind load balancers", "ecs:ListClusters", "ecs:ListServices", "ecs:DescribeServices",
		"application-autoscaling:DescribeScalableTargets", "application-autoscaling:DescribeScheduledActions")
}
