package ecs

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
)

// FindTraces looks through the services of all clusters, and what scales them.
func FindTraces(ctx context.Context, conn *awsclient.Conn) (*driver.Traces, error) {
	c := clientOf(conn)
	found := &driver.Traces{}
	counts, err := c.serviceTraces(ctx, found)
	if unseen(found, err, "ECS services") {
		return found, nil
	}
	if err != nil {
		return nil, err
	}
	err = c.scalingTraces(ctx, counts, found)
	if unseen(found, err, "scalable targets of ECS services") {
		return found, nil
	}
	return found, err
}

// unseen notes that noren may not look at a kind of thing.
func unseen(found *driver.Traces, err error, kind string) bool {
	if !awsclient.IsDenied(err) {
		return false
	}
	found.Unseen = append(found.Unseen, kind)
	return true
}

// serviceTraces adds the marks on services. It returns the desired counts of all,
// by resource id, and -1 for those that carry a mark.
func (c *client) serviceTraces(ctx context.Context, found *driver.Traces) (map[string]int32, error) {
	clusters, err := c.listClusters(ctx)
	if err != nil {
		return nil, err
	}
	counts := map[string]int32{}
	for _, cluster := range clusters {
		names, err := c.listServices(ctx, cluster)
		if err != nil {
			return nil, err
		}
		for some := range slices.Chunk(names, mostServices) {
			services, err := c.describe(ctx, cluster, some)
			if err != nil {
				return nil, err
			}
			for name, s := range services {
				k := key{cluster, name}
				counts[k.resourceID()] = s.DesiredCount
				tags := map[string]string{}
				for _, t := range s.Tags {
					tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
				}
				if m, marked := awsclient.MarkIn(c.conn.Target("ecs", k.String()), tags); marked {
					found.Marks = append(found.Marks, m)
					counts[k.resourceID()] = -1
				}
			}
		}
	}
	if len(counts) > 0 {
		found.Seen = append(found.Seen, driver.Seen{Kind: "ECS services", Count: len(counts)})
	}
	return counts, nil
}

// mostLooks is up to how many scalable targets are asked for their tags, which
// takes a request each. Of more, those alone of which something is suspended.
const mostLooks = 200

// scalingTraces adds the marks on scalable targets, and services that somebody
// seems to have left at rest: at none, their scaling suspended whole, no mark.
// Only a target of which something is suspended can carry a mark.
func (c *client) scalingTraces(ctx context.Context, counts map[string]int32, found *driver.Traces) error {
	var targets []*scalable
	if err := c.eachTarget(ctx, nil, func(t *scalable) { targets = append(targets, t) }); err != nil {
		return err
	}
	for _, t := range targets {
		id := aws.ToString(t.ResourceId)
		name := strings.TrimPrefix(id, "service/")
		// A mark without its suspension is of a run that was cut off between the two.
		if len(targets) > mostLooks && suspensionOf(t) == (Suspension{}) {
			continue
		}
		tags, err := targetTags{c, t, "autoscaling of ECS service " + name}.Tags(ctx)
		if err != nil {
			return err
		}
		if m, marked := awsclient.MarkIn(c.conn.Target("autoscaling", name), tags); marked {
			found.Marks = append(found.Marks, m)
			continue
		}
		if count, known := counts[id]; known && count == 0 && suspensionOf(t).all() {
			cluster, service, _ := strings.Cut(name, "/")
			found.Unmarked = append(found.Unmarked, driver.Unmarked{
				Target: c.conn.Target("ecs", name),
				What:   "has 0 tasks, and its autoscaling is suspended",
				Advice: []string{
					"How many tasks it had is not known. Its autoscaling keeps between " + fmt.Sprintf("%d and %d.", aws.ToInt32(t.MinCapacity), aws.ToInt32(t.MaxCapacity)),
					fmt.Sprintf("aws ecs update-service --cluster %s --service %s --region %s --desired-count %d", cluster, service, c.conn.Region(), max(aws.ToInt32(t.MinCapacity), 1)),
					fmt.Sprintf("aws application-autoscaling register-scalable-target --service-namespace ecs --resource-id %s --scalable-dimension ecs:service:DesiredCount --region %s --suspended-state DynamicScalingInSuspended=false,DynamicScalingOutSuspended=false,ScheduledScalingSuspended=false   # once its tasks run",
						id, c.conn.Region()),
				},
			})
		}
	}
	return nil
}

// TracesNeed are the rights that FindTraces takes.
func TracesNeed() []action.Permission {
	return awsclient.Rights("find services that were left at rest", "ecs:ListClusters", "ecs:ListServices", "ecs:DescribeServices",
		"application-autoscaling:DescribeScalableTargets", "application-autoscaling:ListTagsForResource")
}
