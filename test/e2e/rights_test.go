package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/testaws/rights"
	"github.com/noren-dev/noren/internal/testaws/strict"
	"github.com/noren-dev/noren/test/albapi"
)

// granted fails unless the policy that noren printed covers every request that
// came since, and the requests were those that are expected.
func granted(t *testing.T, gate *rights.Gate, asked ...string) {
	t.Helper()
	for _, n := range gate.Refused() {
		t.Errorf("the policy does not grant %s", n)
	}
	all := gate.Asked()
	for _, a := range asked {
		if !slices.Contains(all, a) {
			t.Errorf("nobody needed %s, so that this test says nothing of it: %v", a, all)
		}
	}
}

// shopRuns are all commands that speak with AWS, one after another: run runs one
// with a state directory, and says how it is to end.
func shopRuns(t *testing.T, run func(state string, code int, args ...string)) {
	t.Helper()
	state, lost := t.TempDir(), t.TempDir()
	run(state, 0, "check", "--live", "--env", "prod")
	run(state, 0, "plan", "close", "shop", "--env", "prod")
	run(state, 0, "close", "shop", "--env", "prod", "--for", "30m", "--confirm", "prod")
	run(state, 0, "status")
	run(state, 0, "extend", "--env", "prod", "--for", "1h", "--confirm", "prod")
	run(t.TempDir(), 10, "leftovers", "--env", "prod")
	run(state, 0, "open", "--env", "prod", "--confirm", "prod")
	run(lost, 0, "close", "shop", "--env", "prod", "--for", "30m", "--confirm", "prod")
	run(t.TempDir(), 0, "recover", "--env", "prod", "--confirm", "prod")
	run(t.TempDir(), 0, "leftovers", "--env", "prod")
}

// TestPolicyCoversALB: whoever has the policy that noren iam prints, and no other
// right, can do all that there is to do with a load balancer and ECS behind it.
func TestPolicyCoversALB(t *testing.T) {
	t.Parallel()
	m, services := newMarket(t, 1, shopOfMarket), strict.Start(t)
	services.Region = albapi.Region
	services.AddService(strict.Service{Cluster: "web", Name: "shop", Desired: 2, Groups: []string{m.shop}})
	services.AddTarget("web/shop", strict.Target{Min: 1, Max: 4, Schedules: map[string]string{"night": "cron(0 2 * * ? *)"}})
	gate := rights.Split(t, m.api.Endpoint, services.Endpoint)
	m.endpoint = gate.Endpoint
	m.write(t, shopOfMarket+"]\n    workloads: [{kind: aws/ecs, name: web/shop}")
	before, working := m.api.Drawing(m.listener), services.Snapshot()
	gate.Grant(t, m.noren(t, t.TempDir(), nil, "iam", "--env", "prod").must(t, 0).out)
	shopRuns(t, func(state string, code int, args ...string) {
		t.Helper()
		m.noren(t, state, nil, args...).must(t, code)
	})
	m.noren(t, t.TempDir(), nil, "init", "--aws", "ap-northeast-1", "--aws-endpoint", gate.Endpoint, "--env", "qa", "--out", "found.yaml").must(t, 0)
	m.same(t, before)
	if now := services.Snapshot(); now != working {
		t.Errorf("ECS was\n%s\nand is\n%s", working, now)
	}
	granted(t, gate, "elasticloadbalancing:CreateRule", "elasticloadbalancing:AddTags", "elasticloadbalancing:SetRulePriorities", "elasticloadbalancing:ModifyRule",
		"elasticloadbalancing:DeleteRule", "elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeAccountLimits", "ecs:UpdateService", "ecs:TagResource", "ecs:UntagResource",
		"ecs:ListServices", "application-autoscaling:RegisterScalableTarget", "application-autoscaling:TagResource", "application-autoscaling:DescribeScheduledActions",
		"events:ListEventBuses", "lambda:ListFunctions", "scheduler:ListSchedules", "autoscaling:DescribeAutoScalingGroups")
}

// TestPolicyCoversWorkloads: the same for workloads alone.
func TestPolicyCoversWorkloads(t *testing.T) {
	t.Parallel()
	a := newAccount(t, 2, "      - {kind: aws/lambda-source, name: orders/orders-queue}\n      - {kind: aws/lambda, name: orders}\n")
	a.AddSource("0a1b2c3d-0000-4000-8000-000000000001", strict.Source{Function: "orders", Queue: "orders-queue", Enabled: true})
	gate := rights.New(t, a.Endpoint)
	a.Endpoint = gate.Endpoint
	a.catalog(t, fmt.Sprintf(`
environments:
  prod: {protected: true, aws: %s}
services:
  shop:
    workloads: [{kind: aws/ecs, name: shop/s00}, {kind: aws/lambda-source, name: orders/orders-queue}]
`, a.Section()))
	before := a.Snapshot()
	gate.Grant(t, a.noren(t, t.TempDir(), "iam", "--env", "prod").must(t, 0).out)
	shopRuns(t, func(state string, code int, args ...string) {
		t.Helper()
		a.noren(t, state, args...).must(t, code)
	})
	a.same(t, before)
	granted(t, gate, "ecs:UpdateService", "lambda:UpdateEventSourceMapping", "lambda:TagResource", "lambda:UntagResource", "lambda:ListTags", "elasticloadbalancing:DescribeLoadBalancers")
	// A service that is not in the catalog is none of noren's business.
	a.noren(t, t.TempDir(), "plan", "close", "shop", "--env", "prod").must(t, 0)
	gate.Grant(t, strings.ReplaceAll(a.noren(t, t.TempDir(), "iam", "--env", "prod").must(t, 0).out, "service/shop/s00", "service/shop/s01"))
	a.noren(t, t.TempDir(), "close", "shop", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 1).says(t, "permission missing in AWS")
	if len(gate.Refused()) == 0 {
		t.Error("the gate refuses nothing")
	}
	a.same(t, before)
}

// TestPolicyCoversBatch: the same for Auto Scaling groups, rules and schedules.
func TestPolicyCoversBatch(t *testing.T) {
	t.Parallel()
	b := newBatch(t)
	b.metrics.Measure("GroupInServiceInstances", 2, 3)
	gate := rights.New(t, b.wire.Endpoint)
	a := &account{Server: &strict.Server{Endpoint: gate.Endpoint, Region: strict.Region}, dir: t.TempDir()}
	a.catalog(t, fmt.Sprintf(`
environments:
  prod: {protected: true, aws: %s}
services:
  shop:
    workloads: [{kind: aws/asg, name: batch}, {kind: aws/eventbridge-rule, name: nightly}, {kind: aws/schedule, name: sums}]
`, a.Section()))
	before := b.snapshot(t)
	gate.Grant(t, a.noren(t, t.TempDir(), "iam", "--env", "prod").must(t, 0).out)
	state := t.TempDir()
	a.noren(t, state, "check", "--live", "--env", "prod").must(t, 0)
	a.noren(t, state, "close", "shop", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 0)
	a.noren(t, t.TempDir(), "leftovers", "--env", "prod").must(t, 10)
	a.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
	a.noren(t, t.TempDir(), "close", "shop", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 0)
	a.noren(t, t.TempDir(), "recover", "--env", "prod", "--confirm", "prod").must(t, 0)
	if now := b.snapshot(t); now != before {
		t.Errorf("it was %s, and is %s", before, now)
	}
	granted(t, gate, "autoscaling:UpdateAutoScalingGroup", "autoscaling:SuspendProcesses", "autoscaling:ResumeProcesses", "autoscaling:CreateOrUpdateTags", "autoscaling:DeleteTags",
		"autoscaling:DescribePolicies", "cloudwatch:GetMetricData", "events:DisableRule", "events:TagResource", "events:UntagResource", "scheduler:UpdateSchedule", "iam:PassRole", "scheduler:ListSchedules")
}
