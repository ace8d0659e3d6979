package cli_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/noren-dev/noren/internal/testaws"
)

// cmdMoto starts an AWS and sets MOTO_URL, with credentials for it and nobody
// else's files. What the commands below make is in the region MOTO_REGION.
func cmdMoto(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 0, "moto")
	s, stop, err := testaws.Run(context.Background())
	ts.Check(err)
	ts.Defer(stop)
	for name, value := range map[string]string{"MOTO_URL": s.Endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": ts.MkAbs("no-aws-config"), "AWS_SHARED_CREDENTIALS_FILE": ts.MkAbs("no-aws-credentials"), "AWS_PROFILE": "", "AWS_REGION": ""} {
		ts.Setenv(name, value)
	}
}

// motoForm asks a service that speaks the query protocol, and returns the texts
// of an element of its answer.
func motoForm(ts *testscript.TestScript, service, element string, pairs ...string) []string {
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	body := motoAsk(ts, service, "application/x-www-form-urlencoded", "", form.Encode())
	var all []string
	for _, m := range regexp.MustCompile("<"+element+">([^<]+)</"+element+">").FindAllStringSubmatch(body, -1) {
		all = append(all, m[1])
	}
	return all
}

func motoAsk(ts *testscript.TestScript, service, kind, target, body string) string {
	r, err := http.NewRequest(http.MethodPost, ts.Getenv("MOTO_URL"), strings.NewReader(body))
	ts.Check(err)
	r.Header.Set("Content-Type", kind)
	r.Header.Set("X-Amz-Target", target)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/"+cmp.Or(ts.Getenv("MOTO_REGION"), testaws.Region)+"/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
	answer, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	ts.Check(err)
	if answer.StatusCode != http.StatusOK {
		ts.Fatalf("moto: %s: %s", answer.Status, said)
	}
	return string(said)
}

// cmdBalancer makes a load balancer whose rules lead hosts to target groups, which
// have the health check /healthz and are known by their name from then on.
func cmdBalancer(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) > 1, "balancer NAME host=group...")
	const elb, version = "elasticloadbalancing", "2015-12-01"
	nets := motoForm(ts, "ec2", "subnetId", "Action", "DescribeSubnets", "Version", "2016-11-15")
	vpcs := motoForm(ts, "ec2", "vpcId", "Action", "DescribeVpcs", "Version", "2016-11-15")
	lb := motoForm(ts, elb, "LoadBalancerArn", "Action", "CreateLoadBalancer", "Version", version, "Name", args[0], "Subnets.member.1", nets[0], "Subnets.member.2", nets[1])[0]
	listener := motoForm(ts, elb, "ListenerArn", "Action", "CreateListener", "Version", version, "LoadBalancerArn", lb, "Protocol", "HTTP", "Port", "80",
		"DefaultActions.member.1.Type", "fixed-response", "DefaultActions.member.1.FixedResponseConfig.StatusCode", "404")[0]
	for i, arg := range args[1:] {
		host, group, _ := strings.Cut(arg, "=")
		arn := ts.Getenv("GROUP_" + group)
		if arn == "" {
			arn = motoForm(ts, elb, "TargetGroupArn", "Action", "CreateTargetGroup", "Version", version, "Name", group, "Protocol", "HTTP", "Port", "80", "VpcId", vpcs[0],
				"TargetType", "ip", "HealthCheckPath", "/healthz", "HealthCheckEnabled", "true", "HealthCheckProtocol", "HTTP")[0]
			ts.Setenv("GROUP_"+group, arn)
		}
		motoForm(ts, elb, "RuleArn", "Action", "CreateRule", "Version", version, "ListenerArn", listener, "Priority", strconv.Itoa(i+1),
			"Conditions.member.1.Field", "host-header", "Conditions.member.1.Values.member.1", host, "Actions.member.1.Type", "forward", "Actions.member.1.TargetGroupArn", arn)
	}
}

// cmdECS makes services of ECS: as many as are asked for, with numbers behind
// their name if that is more than one, in a target group or in none.
func cmdECS(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 3, "ecs cluster/service how-many group|-")
	cluster, name, _ := strings.Cut(args[0], "/")
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ask := func(operation string, in map[string]any) {
		raw, err := json.Marshal(in)
		ts.Check(err)
		motoAsk(ts, "ecs", "application/x-amz-json-1.1", "AmazonEC2ContainerServiceV20141113."+operation, string(raw))
	}
	ask("CreateCluster", map[string]any{"clusterName": cluster})
	ask("RegisterTaskDefinition", map[string]any{"family": name, "containerDefinitions": []any{map[string]any{"name": "app", "image": "app", "memory": 64}}})
	for i := range n {
		in := map[string]any{"cluster": cluster, "serviceName": name, "taskDefinition": name, "desiredCount": 2}
		if n > 1 {
			in["serviceName"] = fmt.Sprintf("%s-%03d", name, i+1)
		}
		if args[2] != "-" {
			in["loadBalancers"] = []any{map[string]any{"targetGroupArn": ts.Getenv("GROUP_" + args[2]), "containerName": "app", "containerPort": 80}}
		}
		ask("CreateService", in)
	}
}
