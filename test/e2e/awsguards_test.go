package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	autoscalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"

	"github.com/noren-dev/noren/internal/testaws/cloudwatch"
	"github.com/noren-dev/noren/internal/testaws/strict"
)

// serves puts the group behind a target group that a listener uses.
func (b *batch) serves(t testing.TB) {
	t.Helper()
	front := elb.NewFromConfig(b.moto.Config())
	group, err := front.CreateTargetGroup(t.Context(), &elb.CreateTargetGroupInput{Name: aws.String("shop"), Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80), VpcId: aws.String(b.moto.VPC(t))})
	noError(t, err)
	arn := group.TargetGroups[0].TargetGroupArn
	lb, err := front.CreateLoadBalancer(t.Context(), &elb.CreateLoadBalancerInput{Name: aws.String("front"), Subnets: b.moto.Subnets(t)})
	noError(t, err)
	_, err = front.CreateListener(t.Context(), &elb.CreateListenerInput{LoadBalancerArn: lb.LoadBalancers[0].LoadBalancerArn, Port: aws.Int32(80), Protocol: elbtypes.ProtocolEnumHttp,
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: arn}}})
	noError(t, err)
	_, err = b.groups.AttachLoadBalancerTargetGroups(t.Context(), &autoscaling.AttachLoadBalancerTargetGroupsInput{AutoScalingGroupName: aws.String("batch"), TargetGroupARNs: []string{*arn}})
	noError(t, err)
}

// refuses fails unless a plan and a closing of the shop are refused, say so, and
// leave everything as it was.
func (b *batch) refuses(t testing.TB, code int, says ...string) {
	t.Helper()
	state, before := t.TempDir(), b.snapshot(t)
	b.noren(t, state, "plan", "close", "shop", "--env", "prod").must(t, code).says(t, says...)
	b.noren(t, state, closeArgs()...).must(t, code).says(t, says...)
	if now := b.snapshot(t); now != before {
		t.Fatalf("what refused has written: %s, was %s", now, before)
	}
	b.noren(t, state, "open", "--env", "prod", "--confirm", "prod").says(t, "Nothing")
}

// comesBack fails unless a plan says so, and the shop closes and opens exactly as it
// was.
func (b *batch) comesBack(t testing.TB, says ...string) {
	t.Helper()
	state, before := t.TempDir(), b.snapshot(t)
	b.noren(t, state, "plan", "close", "shop", "--env", "prod").must(t, 0).says(t, says...)
	b.noren(t, state, closeArgs()...).must(t, 0)
	if b.snapshot(t) == before {
		t.Fatal("nothing was done")
	}
	b.noren(t, state, openArgs()...).must(t, 0)
	if now := b.snapshot(t); now != before {
		t.Fatalf("it is not as it was: %s, was %s", now, before)
	}
}

// TestGuardsOfGroups: a minimum of 0 for a group that serves customers, and a
// maximum below what the last days needed, are refused; each is overridden by its
// own name alone.
func TestGuardsOfGroups(t *testing.T) {
	t.Parallel()
	b := newBatch(t)
	b.serves(t)
	b.metrics.Measure("GroupInServiceInstances", 2, 3, 6, 3)
	minZero := []string{"guard min-zero refuses", "serves customers through target group shop", "to: 1", "allow: [min-zero]", "Nothing was touched"}
	maxLow := []string{"guard max-low refuses", "a maximum of 3", "it needed 6 instances", "max: 6", "allow: [max-low]", "Nothing was touched"}
	for _, c := range []struct {
		options string
		code    int
		says    []string
	}{
		{"", 10, minZero},
		{", allow: [max-low]", 10, minZero},
		{", allow: [min-zer]", 2, []string{"did you mean min-zero?", "noren.yaml:"}},
		{", allow: [all]", 2, []string{"none of the guards max-low, min-zero"}},
		{", allow: [min-zero]", 0, []string{"from 3 instances (1 to 4) to 0 instances (0 to 4)"}},
		{", to: 1, max: 3", 10, maxLow},
		{", to: 1, max: 3, allow: [min-zero]", 10, maxLow},
		{", to: 1, max: 3, allow: [max-low]", 0, []string{"to 1 instances (1 to 3)"}},
		{", to: 1, max: 6", 0, []string{"to 1 instances (1 to 6)"}},
	} {
		t.Run("batch"+c.options, func(t *testing.T) {
			b.lists(t, "{kind: aws/asg, name: batch"+c.options+"}")
			if c.code == 0 {
				b.comesBack(t, c.says...)
			} else {
				b.refuses(t, c.code, c.says...)
			}
		})
	}
}

// policies are the answer of AWS for a group that is scaled out by an alarm, which
// moto leaves out. Source:
// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribePolicies.html
const policies = `<DescribePoliciesResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><DescribePoliciesResult><ScalingPolicies><member>
<PolicyName>out</PolicyName><PolicyType>TargetTrackingScaling</PolicyType><AutoScalingGroupName>batch</AutoScalingGroupName><Enabled>true</Enabled>
<Alarms><member><AlarmName>out-high</AlarmName><AlarmARN>arn:aws:cloudwatch:us-east-1:123456789012:alarm:out-high</AlarmARN></member></Alarms>
</member></ScalingPolicies></DescribePoliciesResult></DescribePoliciesResponse>`

// TestLateScaleOut: the plan tells of a group that grows too late, from its own
// history; not of one that grows in time. Either closes.
func TestLateScaleOut(t *testing.T) {
	t.Parallel()
	b := newBatch(t)
	b.wire.Record("DescribePolicies", policies)
	b.lists(t, "{kind: aws/asg, name: batch}")
	b.metrics.Record(cloudwatch.Alarm{Name: "out-high", Namespace: "AWS/EC2", Metric: "CPUUtilization", Threshold: 90, Period: 300, Periods: 3})
	b.metrics.Measure("CPUUtilization", 40, 91, 92, 93, 60)
	if r := b.noren(t, t.TempDir(), "plan", "close", "shop", "--env", "prod").must(t, 0); strings.Contains(r.out, "too late") {
		t.Errorf("it grows in time:\n%s", r.out)
	}
	b.metrics.Measure("CPUUtilization", 40, 92, 99, 99, 99, 50)
	b.comesBack(t, "Scaling out of Auto Scaling group batch acts too late", "the alarm out-high waits for CPUUtilization above 90 during 3 × 5m0s", "at most 99", "Lower the threshold")
}

// crowded gives each thing of the batch so many tags of its team's.
func (b *batch) crowded(t testing.TB, tags map[string]int) {
	t.Helper()
	rule, err := b.rules.DescribeRule(t.Context(), &eventbridge.DescribeRuleInput{Name: aws.String("nightly")})
	noError(t, err)
	function, err := b.lambda.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: aws.String("orders")})
	noError(t, err)
	group := &autoscaling.CreateOrUpdateTagsInput{}
	ruleTags := &eventbridge.TagResourceInput{ResourceARN: rule.Arn}
	functionTags := &lambda.TagResourceInput{Resource: function.FunctionArn, Tags: map[string]string{}}
	for i := range tags["group"] {
		group.Tags = append(group.Tags, autoscalingtypes.Tag{ResourceId: aws.String("batch"), ResourceType: aws.String("auto-scaling-group"), Key: aws.String(fmt.Sprintf("team-%02d", i)), Value: aws.String("cart"), PropagateAtLaunch: aws.Bool(false)})
	}
	for i := range tags["rule"] {
		ruleTags.Tags = append(ruleTags.Tags, types.Tag{Key: aws.String(fmt.Sprintf("team-%02d", i)), Value: aws.String("cart")})
	}
	for i := range tags["function"] {
		functionTags.Tags[fmt.Sprintf("team-%02d", i)] = "cart"
	}
	_, err = b.groups.CreateOrUpdateTags(t.Context(), group)
	noError(t, err)
	_, err = b.rules.TagResource(t.Context(), ruleTags)
	noError(t, err)
	_, err = b.lambda.TagResource(t.Context(), functionTags)
	noError(t, err)
	s, err := b.schedule.GetSchedule(t.Context(), &scheduler.GetScheduleInput{Name: aws.String("sums")})
	noError(t, err)
	_, err = b.schedule.UpdateSchedule(t.Context(), &scheduler.UpdateScheduleInput{Name: s.Name, State: s.State, FlexibleTimeWindow: s.FlexibleTimeWindow, ScheduleExpression: s.ScheduleExpression, Target: s.Target,
		Description: aws.String(strings.Repeat("x", tags["schedule"]))})
	noError(t, err)
}

// TestTagsAtTheirLimit: where there is no room for noren's tags, or for its note in
// a description, the closing is refused before anything is touched. With just enough
// room it closes, and opens exactly as it was.
func TestTagsAtTheirLimit(t *testing.T) {
	t.Parallel()
	b := newBatch(t)
	group, rule, schedule, function := "{kind: aws/asg, name: batch}", "{kind: aws/eventbridge-rule, name: nightly}", "{kind: aws/schedule, name: sums}", "{kind: aws/lambda, name: orders}"
	b.crowded(t, map[string]int{"group": 42, "rule": 46, "function": 46, "schedule": 150})
	b.lists(t, group, rule, schedule, function)
	b.comesBack(t)
	// On a group there are two marks: each alone would still fit.
	b.crowded(t, map[string]int{"group": 46, "rule": 50, "function": 50, "schedule": 512})
	for what, says := range map[string]string{group: "Auto Scaling group batch has 46 tags, and AWS allows 50", rule: "EventBridge rule default/nightly has 50 tags", function: "Lambda function orders has 50 tags"} {
		b.lists(t, schedule[:len(schedule)-1]+", unmarked: true}", what)
		b.refuses(t, 2, "no room for noren's tags", says, "Nothing was touched")
	}
	b.lists(t, schedule)
	b.refuses(t, 2, "no room for noren's note", "schedule default/sums has 512 characters", "unmarked: true")
	b.lists(t, schedule[:len(schedule)-1]+", unmarked: true}")
	b.comesBack(t, "schedule default/sums is to carry no mark")
}

// TestECSTagsAtTheirLimit is the same for what ECS has, and event sources.
func TestECSTagsAtTheirLimit(t *testing.T) {
	t.Parallel()
	many := func(n int) map[string]string {
		tags := map[string]string{}
		for i := range n {
			tags[fmt.Sprintf("team-%02d", i)] = "cart"
		}
		return tags
	}
	for says, crowd := range map[string]func(s *strict.Server, n int){
		"ECS service shop/s00":                func(s *strict.Server, n int) { s.ECS("shop/s00").Tags = many(n) },
		"autoscaling of ECS service shop/s01": func(s *strict.Server, n int) { s.Scaling("shop/s01").Tags = many(n) },
		"event source " + fed:                 func(s *strict.Server, n int) { s.Feeding(fed).Tags = many(n) },
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			a := newAccount(t, 2, feeding)
			a.AddSource(fed, strict.Source{Function: "orders", Queue: "orders-queue", Enabled: true})
			a.Edit(func(s *strict.Server) { crowd(s, 46) })
			state, before := t.TempDir(), a.Snapshot()
			a.noren(t, state, closeArgs()...).must(t, 0)
			a.noren(t, state, openArgs()...).must(t, 0)
			a.same(t, before)
			a.Edit(func(s *strict.Server) { crowd(s, 47) })
			before = a.Snapshot()
			a.noren(t, state, closeArgs()...).must(t, 2).says(t, "no room for noren's tags", says+" has 47 tags, and AWS allows 50", "Nothing was touched")
			a.same(t, before)
		})
	}
}

// TestECSLeftAsItIs: what rests already, and what somebody else has suspended, is on
// record, left alone, and as it was after opening; also where the records are lost.
func TestECSLeftAsItIs(t *testing.T) {
	t.Parallel()
	a := newAccount(t, 1, "      - {kind: aws/ecs, name: shop/idle}\n      - {kind: aws/ecs, name: shop/least}\n      - {kind: aws/ecs, name: shop/held}\n      - {kind: aws/ecs, name: shop/partly}\n")
	a.AddService(strict.Service{Cluster: "shop", Name: "idle"})
	a.AddService(strict.Service{Cluster: "shop", Name: "least"})
	a.AddTarget("shop/least", strict.Target{Min: 1, Max: 4})
	a.AddService(strict.Service{Cluster: "shop", Name: "held", Desired: 2})
	a.AddTarget("shop/held", strict.Target{Min: 1, Max: 4, In: true, Out: true, Scheduled: true, Tags: map[string]string{"held": "by mika"}})
	a.AddService(strict.Service{Cluster: "shop", Name: "partly", Desired: 2})
	a.AddTarget("shop/partly", strict.Target{Min: 1, Max: 4, In: true})
	state, before := t.TempDir(), a.Snapshot()
	a.noren(t, state, "plan", "close", "shop", "--env", "prod").must(t, 0).says(t, "ECS service shop/idle has 0 tasks already and stays so, also after opening",
		"ECS service shop/least has 0 tasks, below the 1 that its autoscaling keeps", "The autoscaling of ECS service shop/held is suspended already and stays so")
	a.noren(t, state, closeArgs()...).must(t, 0)
	a.resting(t, 1)
	for _, name := range []string{"shop/idle", "shop/least", "shop/held", "shop/partly"} {
		if svc, _ := a.Service(name); svc.Desired != 0 {
			t.Errorf("%s has %d tasks", name, svc.Desired)
		}
	}
	if target := a.Target("shop/held"); len(target.Tags) != 1 {
		t.Errorf("what was held already was marked: %v", target.Tags)
	}
	a.noren(t, state, "audit", "show", "-o", "json").must(t, 0).says(t, "aws:prod/ecs/shop/idle")
	a.noren(t, state, openArgs()...).must(t, 0)
	a.same(t, before)
	a.noren(t, t.TempDir(), closeArgs()...).must(t, 0)
	a.noren(t, t.TempDir(), "recover", "--env", "prod", "--confirm", "prod").must(t, 0)
	a.same(t, before)
}

// TestECSDaemon: a service that has no number of tasks refuses the closing before
// anything is touched, also what is listed with it.
func TestECSDaemon(t *testing.T) {
	t.Parallel()
	a := newAccount(t, 2, "      - {kind: aws/ecs, name: shop/agent}\n")
	a.AddService(strict.Service{Cluster: "shop", Name: "agent", Desired: 2, Daemon: true})
	before := a.Snapshot()
	for _, args := range [][]string{{"plan", "close", "shop", "--env", "prod"}, closeArgs()} {
		a.noren(t, t.TempDir(), args...).must(t, 2).says(t, "DAEMON service cannot rest", "ECS service shop/agent runs one task on each container instance", "Take it out of the workloads")
	}
	a.same(t, before)
}
