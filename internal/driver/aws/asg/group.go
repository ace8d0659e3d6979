// Package asg lets Auto Scaling groups of EC2 rest while a service is closed, and
// guards what must not happen to a group that serves customers.
package asg

import (
	"context"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
)

// system is the name of the driver, in permissions.
const system = "aws"

// Parts are this package's part of the driver.
func Parts() []driver.Part[*awsclient.Conn] {
	return []driver.Part[*awsclient.Conn]{
		driver.Changes("aws/asg.scale", "Give an Auto Scaling group another least, most and number of instances", openScale),
		driver.Changes("aws/asg.suspend", "Suspend processes of an Auto Scaling group", openSuspend),
		driver.Rests("aws/asg", "An Auto Scaling group of EC2, by its name", openWorkload),
	}
}

// mostGroups is how many groups one request names. Source:
// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeAutoScalingGroups.html
const mostGroups = 50

// busy are the codes by which AWS says that a group has something under way.
// Source: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_UpdateAutoScalingGroup.html,
// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_SuspendProcesses.html
func busy() []string { return []string{"ScalingActivityInProgress", "ResourceInUse"} }

// A client is what the actions of one connection share.
type client struct {
	conn    *awsclient.Conn
	groups  *autoscaling.Client
	elb     *elb.Client
	metrics *cloudwatch.Client
	byName  *awsclient.Together[types.AutoScalingGroup]
}

func clientOf(c *awsclient.Conn) *client {
	return awsclient.Shared(c, func(c *awsclient.Conn) *client {
		cl := &client{conn: c, groups: autoscaling.NewFromConfig(c.AWS), elb: elb.NewFromConfig(c.AWS), metrics: cloudwatch.NewFromConfig(c.AWS)}
		cl.byName = &awsclient.Together[types.AutoScalingGroup]{Most: mostGroups, Read: func(ctx context.Context, names []string) (map[string]*types.AutoScalingGroup, error) {
			all := map[string]*types.AutoScalingGroup{}
			err := cl.each(ctx, names, func(g *types.AutoScalingGroup) { all[aws.ToString(g.AutoScalingGroupName)] = g })
			return all, err
		}}
		return cl
	})
}

// each shows see the groups named, or all.
func (c *client) each(ctx context.Context, names []string, see func(*types.AutoScalingGroup)) error {
	in := &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: names, MaxRecords: aws.Int32(100)}
	for pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(c.groups, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return c.conn.Classify(err, "read the Auto Scaling groups")
		}
		for i := range page.AutoScalingGroups {
			see(&page.AutoScalingGroups[i])
		}
	}
	return nil
}

func label(group string) string { return "Auto Scaling group " + group }

// missing is the answer that a group does not exist, with the nearest that does.
func (c *client) missing(ctx context.Context, group string) error {
	var names []string
	_ = c.each(ctx, nil, func(g *types.AutoScalingGroup) { names = append(names, aws.ToString(g.AutoScalingGroupName)) }) // else none is suggested
	return c.conn.Missing("Auto Scaling group", group, "aws autoscaling describe-auto-scaling-groups", names)
}

// gone is the answer of a change that is proposed for no group.
func (c *client) gone(group string) error {
	return c.conn.Missing("Auto Scaling group", group, "aws autoscaling describe-auto-scaling-groups", nil)
}

func (c *client) permissions(group, why string, verbs ...string) []action.Permission {
	need := []action.Permission{{System: system, Verb: "autoscaling:DescribeAutoScalingGroups", Why: why}}
	for _, verb := range verbs {
		need = append(need, action.Permission{System: system, Verb: "autoscaling:" + verb, Resource: c.conn.ARN("autoscaling", "autoScalingGroup:*:autoScalingGroupName/"+group), Why: why})
	}
	return need
}

// groupTags are the tags of a group as it was read.
type groupTags struct {
	*client
	group *types.AutoScalingGroup
}

func tagsOf(g *types.AutoScalingGroup) map[string]string {
	all := map[string]string{}
	for _, t := range g.Tags {
		all[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return all
}

// Tags implements awsclient.Tagger.
func (t groupTags) Tags(context.Context) (map[string]string, error) { return tagsOf(t.group), nil }

func (t groupTags) tag(key, value string) types.Tag {
	return types.Tag{ResourceId: t.group.AutoScalingGroupName, ResourceType: aws.String("auto-scaling-group"), Key: aws.String(key), Value: aws.String(value), PropagateAtLaunch: aws.Bool(false)}
}

// Tag implements awsclient.Tagger. Instances do not get the tags.
func (t groupTags) Tag(ctx context.Context, tags map[string]string) error {
	in := &autoscaling.CreateOrUpdateTagsInput{}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		in.Tags = append(in.Tags, t.tag(k, tags[k]))
	}
	_, err := t.groups.CreateOrUpdateTags(ctx, in)
	return t.conn.ClassifyBusy(err, "tag "+label(aws.ToString(t.group.AutoScalingGroupName)), busy()...)
}

// Untag implements awsclient.Tagger.
func (t groupTags) Untag(ctx context.Context, keys []string) error {
	in := &autoscaling.DeleteTagsInput{}
	for _, k := range keys {
		tag := t.tag(k, "")
		tag.Value = nil // delete it whatever its value
		in.Tags = append(in.Tags, tag)
	}
	_, err := t.groups.DeleteTags(ctx, in)
	return t.conn.ClassifyBusy(err, "take noren's tags off "+label(aws.ToString(t.group.AutoScalingGroupName)), busy()...)
}
