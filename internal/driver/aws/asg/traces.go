package asg

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
)

// FindTraces looks through the Auto Scaling groups.
func FindTraces(ctx context.Context, conn *awsclient.Conn) (*driver.Traces, error) {
	c := clientOf(conn)
	found := &driver.Traces{}
	n := 0
	err := c.each(ctx, nil, func(g *types.AutoScalingGroup) {
		n++
		c.traces(g, found)
	})
	switch {
	case awsclient.IsDenied(err):
		found.Unseen = append(found.Unseen, "Auto Scaling groups")
	case err != nil:
		return nil, err
	case n > 0:
		found.Seen = append(found.Seen, driver.Seen{Kind: "Auto Scaling groups", Count: n})
	}
	return found, nil
}

// traces adds the marks on a group; or, without any, that it looks as if somebody
// had left it at rest: at none, and what would make it grow suspended.
func (c *client) traces(g *types.AutoScalingGroup, found *driver.Traces) {
	name, tags, marked := aws.ToString(g.AutoScalingGroupName), tagsOf(g), false
	for target, in := range map[string]map[string]string{
		c.conn.Target("asg", name): tags, c.conn.Target("asg-processes", name): awsclient.MarkTagsIn(slot, tags),
	} {
		if m, ok := awsclient.MarkIn(target, in); ok {
			found.Marks = append(found.Marks, m)
			marked = true
		}
	}
	size := sizeOf(g)
	suspended := slices.ContainsFunc(g.SuspendedProcesses, func(p types.SuspendedProcess) bool {
		return slices.Contains([]string{"AlarmNotification", "ScheduledActions", "Launch"}, aws.ToString(p.ProcessName))
	})
	if marked || size.Desired > 0 || size.Max == 0 || !suspended {
		return
	}
	found.Unmarked = append(found.Unmarked, driver.Unmarked{
		Target: c.conn.Target("asg", name),
		What:   fmt.Sprintf("has no instances, and what would start some is suspended (%s)", aws.ToString(g.SuspendedProcesses[0].SuspensionReason)),
		Advice: []string{
			fmt.Sprintf("How many it had is not known. It may have between %d and %d.", size.Min, size.Max),
			fmt.Sprintf("aws autoscaling set-desired-capacity --auto-scaling-group-name %s --desired-capacity … --region %s", name, c.conn.Region()),
			fmt.Sprintf("aws autoscaling resume-processes --auto-scaling-group-name %s --scaling-processes AlarmNotification ScheduledActions --region %s", name, c.conn.Region()),
		},
	})
}

// TracesNeed are the rights that FindTraces takes.
func TracesNeed() []action.Permission {
	return awsclient.Rights("find groups that were left at rest", "autoscaling:DescribeAutoScalingGroups")
}
