package asg

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
)

// mostTargetGroups is how many target groups one request names. Source:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTargetGroups.html
const mostTargetGroups = 20

// serves are the target groups and load balancers through which a group's
// instances get requests: target groups to which a listener leads, and Classic
// Load Balancers.
func (c *client) serves(ctx context.Context, g *types.AutoScalingGroup) ([]string, error) {
	var through []string
	for _, name := range g.LoadBalancerNames {
		through = append(through, "load balancer "+name)
	}
	arns := slices.Clone(g.TargetGroupARNs)
	for _, s := range g.TrafficSources {
		if arn := aws.ToString(s.Identifier); strings.Contains(arn, ":targetgroup/") && !slices.Contains(arns, arn) {
			arns = append(arns, arn)
		}
	}
	for some := range slices.Chunk(arns, mostTargetGroups) {
		out, err := c.elb.DescribeTargetGroups(ctx, &elb.DescribeTargetGroupsInput{TargetGroupArns: some})
		if err != nil {
			return nil, c.conn.Classify(err, "read the target groups of "+label(aws.ToString(g.AutoScalingGroupName)))
		}
		for _, t := range out.TargetGroups {
			if len(t.LoadBalancerArns) > 0 { // those that route to it
				through = append(through, "target group "+aws.ToString(t.TargetGroupName))
			}
		}
	}
	return through, nil
}
