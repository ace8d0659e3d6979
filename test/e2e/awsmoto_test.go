package e2e

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	schedulertypes "github.com/aws/aws-sdk-go-v2/service/scheduler/types"

	"github.com/noren-dev/noren/internal/testaws"
	"github.com/noren-dev/noren/internal/testaws/cloudwatch"
	"github.com/noren-dev/noren/internal/testaws/wire"
)

// A batch is an account on moto, and not a strict one, with a recorded CloudWatch,
// and a catalog whose shop has a group, a rule, a schedule and a function.
type batch struct {
	account

	moto     *testaws.Server
	metrics  *cloudwatch.Server
	groups   *autoscaling.Client
	rules    *eventbridge.Client
	schedule *scheduler.Client
	lambda   *lambda.Client
}

func newBatch(t testing.TB) *batch {
	t.Helper()
	moto := testaws.Serve(t)
	b := &batch{
		moto: moto, metrics: cloudwatch.Start(t, moto.Endpoint),
		groups: autoscaling.NewFromConfig(moto.Config()), rules: eventbridge.NewFromConfig(moto.Config()),
		schedule: scheduler.NewFromConfig(moto.Config()), lambda: lambda.NewFromConfig(moto.Config()),
	}
	b.wire = wire.New(t, b.metrics.Endpoint)
	b.dir = t.TempDir()
	b.setUp(t)
	b.function(t, moto.Role(t, "orders"))
	b.lists(t, "{kind: aws/asg, name: batch}", "{kind: aws/eventbridge-rule, name: nightly}", "{kind: aws/schedule, name: sums}", "{kind: aws/lambda, name: orders}")
	return b
}

// setUp makes a group, one of whose processes is suspended, a rule in the state
// that EnableRule does not know, and a schedule.
func (b *batch) setUp(t testing.TB) {
	t.Helper()
	_, err := b.groups.CreateLaunchConfiguration(t.Context(), &autoscaling.CreateLaunchConfigurationInput{LaunchConfigurationName: aws.String("batch"), ImageId: aws.String("ami-12c6146b"), InstanceType: aws.String("t2.micro")})
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
}

// function makes one for which nothing is reserved.
func (b *batch) function(t testing.TB, role string) {
	t.Helper()
	var code bytes.Buffer
	z := zip.NewWriter(&code)
	_, err := z.Create("index.py")
	noError(t, err)
	noError(t, z.Close())
	_, err = b.lambda.CreateFunction(t.Context(), &lambda.CreateFunctionInput{FunctionName: aws.String("orders"), Role: aws.String(role), Runtime: lambdatypes.RuntimePython312,
		Handler: aws.String("index.handler"), Code: &lambdatypes.FunctionCode{ZipFile: code.Bytes()}})
	noError(t, err)
}

// lists writes a catalog whose shop has these workloads.
func (b *batch) lists(t testing.TB, workloads ...string) {
	t.Helper()
	b.catalog(t, fmt.Sprintf(`
environments:
  prod:
    protected: true
    aws: %s
teams:
  storefront: {contact: "#storefront"}
services:
  shop:
    team: storefront
    workloads:
      - %s
`, (&testaws.Server{Endpoint: b.wire.Endpoint}).Section(), strings.Join(workloads, "\n      - ")))
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
	f, err := b.lambda.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: aws.String("orders")})
	noError(t, err)
	c, err := b.lambda.GetFunctionConcurrency(ctx, &lambda.GetFunctionConcurrencyInput{FunctionName: aws.String("orders")})
	noError(t, err)
	reserved := "nothing"
	if c.ReservedConcurrentExecutions != nil {
		reserved = fmt.Sprint(*c.ReservedConcurrentExecutions)
	}
	return fmt.Sprintf("group %d of %d to %d, %d there, suspended %v, %d tags; rule %s %s, %d tags; schedule %s %s %s; function reserves %s, %d tags",
		*g.DesiredCapacity, *g.MinSize, *g.MaxSize, len(g.Instances), suspended, len(g.Tags),
		r.State, *r.ScheduleExpression, len(tags.Tags), s.State, *s.ScheduleExpression, shown(s.Description), reserved, len(f.Tags))
}

// shown is a text, or that there is none.
func shown(text *string) string {
	if text == nil {
		return "without a description"
	}
	return fmt.Sprintf("%q", *text)
}

// rests fails unless all of it does.
func (b *batch) rests(t testing.TB) {
	t.Helper()
	now := b.snapshot(t)
	for _, words := range []string{"group 0 of 0 to 4, 0 there", "AlarmNotification", "rule DISABLED", "schedule DISABLED", "function reserves 0"} {
		if !strings.Contains(now, words) {
			t.Fatalf("it does not rest, for it is not %q: %s", words, now)
		}
	}
}

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestAWSBatchRests: an Auto Scaling group, a rule, a schedule and a function rest
// and work again exactly as before; a group that was too small lately is told of.
func TestAWSBatchRests(t *testing.T) {
	t.Parallel()
	b := newBatch(t)
	b.metrics.Measure("GroupInServiceInstances", 2, 4, 3)
	state, before := t.TempDir(), b.snapshot(t)
	b.noren(t, state, "plan", "close", "shop", "--env", "prod").must(t, 0).says(t, "was at its maximum of 4", "suspend AlarmNotification of Auto Scaling group batch",
		"scale Auto Scaling group batch from 3 instances (1 to 4) to 0 instances (0 to 4)", "noted at the end of the description of schedule default/sums", "ScheduledActions of Auto Scaling group batch is suspended already")
	if now := b.snapshot(t); now != before {
		t.Fatalf("planning wrote: %s", now)
	}
	b.noren(t, state, "close", "shop", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 0)
	b.rests(t)
	b.noren(t, state, "leftovers", "--env", "prod").must(t, 0)
	b.noren(t, t.TempDir(), "leftovers", "--env", "prod").must(t, 10).says(t, "aws:prod/asg/batch", "aws:prod/asg-processes/batch", "aws:prod/eventbridge-rule/default/nightly",
		"aws:prod/schedule/default/sums", "aws:prod/lambda/orders")
	b.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
	if now := b.snapshot(t); now != before {
		t.Errorf("it is not as it was: %s, was %s", now, before)
	}
}

// TestAWSBatchKilled kills noren at each recorded point, and at each call that
// writes, of a closing of them all and of its opening.
func TestAWSBatchKilled(t *testing.T) {
	t.Parallel()
	everyDeath(t, func(t testing.TB) *mortal {
		b := newBatch(t)
		return &mortal{dir: b.dir, env: credentials("test"), before: b.wire.Before, snapshot: b.snapshot, rests: b.rests}
	}, 20, 10)
}
