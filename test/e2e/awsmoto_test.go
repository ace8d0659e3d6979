package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	schedulertypes "github.com/aws/aws-sdk-go-v2/service/scheduler/types"

	"github.com/noren-dev/noren/internal/testaws"
	"github.com/noren-dev/noren/internal/testaws/cloudwatch"
	"github.com/noren-dev/noren/internal/testaws/strict"
)

// batch is a group, a rule and a schedule on moto.
type batch struct {
	groups   *autoscaling.Client
	rules    *eventbridge.Client
	schedule *scheduler.Client
}

func newBatch(t testing.TB, endpoint string) *batch {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithBaseEndpoint(endpoint))
	noError(t, err)
	b := &batch{autoscaling.NewFromConfig(cfg), eventbridge.NewFromConfig(cfg), scheduler.NewFromConfig(cfg)}
	_, err = b.groups.CreateLaunchConfiguration(t.Context(), &autoscaling.CreateLaunchConfigurationInput{LaunchConfigurationName: aws.String("batch"), ImageId: aws.String("ami-12c6146b"), InstanceType: aws.String("t2.micro")})
	noError(t, err)
	_, err = b.groups.CreateAutoScalingGroup(t.Context(), &autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: aws.String("batch"), LaunchConfigurationName: aws.String("batch"),
		MinSize: aws.Int32(1), DesiredCapacity: aws.Int32(3), MaxSize: aws.Int32(4), AvailabilityZones: []string{"us-east-1a"}})
	noError(t, err)
	_, err = b.groups.SuspendProcesses(t.Context(), &autoscaling.SuspendProcessesInput{AutoScalingGroupName: aws.String("batch"), ScalingProcesses: []string{"ScheduledActions"}})
	noError(t, err)
	_, err = b.rules.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: aws.String("nightly"), ScheduleExpression: aws.String("rate(1 day)"), State: types.RuleStateEnabledWithAllCloudtrailManagementEvents})
	noError(t, err)
	_, err = b.schedule.CreateSchedule(t.Context(), &scheduler.CreateScheduleInput{Name: aws.String("sums"), ScheduleExpression: aws.String("cron(0 2 * * ? *)"), Description: aws.String("sums"),
		FlexibleTimeWindow: &schedulertypes.FlexibleTimeWindow{Mode: schedulertypes.FlexibleTimeWindowModeOff},
		Target:             &schedulertypes.Target{Arn: aws.String("arn:aws:sqs:us-east-1:123456789012:q"), RoleArn: aws.String("arn:aws:iam::123456789012:role/s")}})
	noError(t, err)
	return b
}

// snapshot is all that is set up, as text.
func (b *batch) snapshot(t testing.TB) string {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	groups, err := b.groups.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{})
	noError(t, err)
	g := groups.AutoScalingGroups[0]
	var suspended []string
	for _, p := range g.SuspendedProcesses {
		suspended = append(suspended, *p.ProcessName)
	}
	r, err := b.rules.DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: aws.String("nightly")})
	noError(t, err)
	tags, err := b.rules.ListTagsForResource(ctx, &eventbridge.ListTagsForResourceInput{ResourceARN: r.Arn})
	noError(t, err)
	s, err := b.schedule.GetSchedule(ctx, &scheduler.GetScheduleInput{Name: aws.String("sums")})
	noError(t, err)
	return fmt.Sprintf("group %d of %d to %d, %d there, suspended %v, %d tags; rule %s %s, %d tags; schedule %s %s %s", *g.DesiredCapacity, *g.MinSize, *g.MaxSize, len(g.Instances), suspended, len(g.Tags),
		r.State, *r.ScheduleExpression, len(tags.Tags), s.State, *s.ScheduleExpression, aws.ToString(s.Description))
}

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestAWSBatchRests: an Auto Scaling group, a rule and a schedule rest and work
// again exactly as before; a group that was too small lately is told of.
func TestAWSBatchRests(t *testing.T) {
	moto := testaws.Start(t)
	metrics := cloudwatch.Start(t, moto.Endpoint)
	metrics.Measure("GroupInServiceInstances", 2, 4, 3)
	b := newBatch(t, moto.Endpoint)
	a := &account{&strict.Server{Endpoint: metrics.Endpoint}, t.TempDir()}
	a.catalog(t, fmt.Sprintf(`
environments:
  prod:
    protected: true
    aws: {region: us-east-1, endpoint: %q}
teams:
  storefront: {contact: "#storefront"}
services:
  shop:
    team: storefront
    workloads:
      - {kind: aws/asg, name: batch}
      - {kind: aws/eventbridge-rule, name: nightly}
      - {kind: aws/schedule, name: sums}
`, metrics.Endpoint))
	state, before := t.TempDir(), b.snapshot(t)
	a.noren(t, state, "plan", "close", "shop", "--env", "prod").must(t, 0).says(t, "was at its maximum of 4", "suspend AlarmNotification of Auto Scaling group batch",
		"scale Auto Scaling group batch from 3 instances (1 to 4) to 0 instances (0 to 4)", "no tags on a schedule", "ScheduledActions of Auto Scaling group batch is suspended already")
	if now := b.snapshot(t); now != before {
		t.Fatalf("planning wrote: %s", now)
	}
	a.noren(t, state, "close", "shop", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 0)
	if now := b.snapshot(t); !strings.Contains(now, "group 0 of 0 to 4, 0 there") || !strings.Contains(now, "rule DISABLED") || !strings.Contains(now, "schedule DISABLED") {
		t.Errorf("it does not rest: %s", now)
	}
	a.noren(t, state, "leftovers", "--env", "prod").must(t, 0)
	a.noren(t, t.TempDir(), "leftovers", "--env", "prod").must(t, 10).says(t, "aws:prod/asg/batch", "aws:prod/asg-processes/batch", "aws:prod/eventbridge-rule/default/nightly", "aws:prod/schedule/default/sums")
	a.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
	if now := b.snapshot(t); now != before {
		t.Errorf("it is not as it was: %s, was %s", now, before)
	}
}
