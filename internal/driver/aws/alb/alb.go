// Package alb closes Application Load Balancers that no Kubernetes controller
// manages, by listener rules in front of their own.
package alb

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// Names of the parts.
const (
	Kind           = "aws/alb"
	ActionClose    = "aws/alb.close"
	CheckHealthy   = "aws/targets.healthy"
	CheckUnchanged = "aws/alb.unchanged"
	strategyRules  = "rules"

	system = "aws"
	iam    = "elasticloadbalancing:"
)

// Parts are what the package adds to the driver.
func Parts() []driver.Part[*awsclient.Conn] {
	return []driver.Part[*awsclient.Conn]{
		driver.Changes("aws/alb.close", "Put rules of noren's in front of a listener's own", openClose),
		driver.Checks("aws/alb.unchanged", "The listener's own rules are as they were when the plan was made", openUnchanged),
		driver.Checks("aws/targets.healthy", "Every target group has a healthy target", openHealthy),
		driver.Closes(Kind, "An Application Load Balancer, by its name, or a listener by its ARN", openEntrance),
	}
}

// reads are the permissions that looking takes. AWS grants them for all
// resources only.
// Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awselasticloadbalancingv2.html
func reads() []action.Permission {
	var out []action.Permission
	for _, r := range []struct{ verb, why string }{
		{"DescribeLoadBalancers", "find the load balancer"},
		{"DescribeListeners", "find its listeners"},
		{"DescribeRules", "read the rules, before and after"},
		{"DescribeTags", "tell noren's rules from others, and who manages the load balancer"},
		{"DescribeTargetHealth", "see whether the application is healthy before opening"},
		{"DescribeTargetGroups", "propose health checks (noren init)"},
		{"DescribeAccountLimits", "know how many rules a load balancer may have"},
	} {
		out = append(out, action.Permission{System: system, Verb: iam + r.verb, Why: r.why})
	}
	return out
}

// loadBalancerOf is the name in the ARN of a load balancer or of its listener:
// arn:aws:elasticloadbalancing:REGION:ACCOUNT:listener/app/NAME/ID/ID.
func loadBalancerOf(text string) string {
	parts := strings.Split(text, "/")
	if len(parts) < 3 {
		return text
	}
	return parts[2]
}

// ruleOf is the ARN of all rules of a listener, for permissions.
func ruleOf(listener string) string {
	return strings.Replace(listener, ":listener/", ":listener-rule/", 1) + "/*"
}

// quotaReached says what a person can do when AWS allows no more rules.
// quota is 0 where it is not known.
func quotaReached(name string, quota int) error {
	text := fmt.Sprintf("AWS allows no more rules on the load balancer of %s", name)
	if quota > 0 {
		text += fmt.Sprintf(" (quota %d)", quota)
	}
	return &fault.Fault{Code: fault.Invalid, Summary: "no rules left on the load balancer", Detail: text + ".",
		Try: []string{"aws service-quotas list-service-quotas --service-code elasticloadbalancing   # \"Rules per Application Load Balancer\" can be raised"}}
}

// A place is a load balancer or listener that an entrance names.
type place struct {
	name     string // of the load balancer
	listener string // ARN, "" for all its listeners
	arn      string // of the load balancer, "" if the name is all that is known
}

// placeIn reads the name of an entrance.
func placeIn(text string, region string) (place, error) {
	if !strings.HasPrefix(text, "arn:") {
		if text == "" || strings.ContainsAny(text, "/: ") {
			return place{}, &fault.Fault{Code: fault.Invalid, Summary: "malformed entrance name",
				Detail: fmt.Sprintf("%s %q is neither the name of a load balancer nor the ARN of one or of a listener.", Kind, text),
				Try:    []string{"aws elbv2 describe-load-balancers --query 'LoadBalancers[].LoadBalancerName'"}}
		}
		return place{name: text}, nil
	}
	a, err := arn.Parse(text)
	kind, _, _ := strings.Cut(a.Resource, "/")
	switch parts := strings.Split(a.Resource, "/"); {
	case err != nil || a.Service != "elasticloadbalancing" || len(parts) < 4 || kind != "listener" && kind != "loadbalancer":
		return place{}, &fault.Fault{Code: fault.Invalid, Summary: "malformed entrance name",
			Detail: fmt.Sprintf("%s %q is not the ARN of a load balancer or of a listener.", Kind, text)}
	case a.Region != region:
		return place{}, &fault.Fault{Code: fault.Invalid, Summary: "ARN of another region",
			Detail: fmt.Sprintf("%s is in %s, and this environment is in %s.", text, a.Region, region),
			Try:    []string{"aws: {region: " + a.Region + "}   # in the environment, or in a cluster of it"}}
	case kind == "listener":
		return place{name: parts[2], listener: text}, nil
	default:
		return place{name: parts[2], arn: text}, nil
	}
}

// accountIn is the account in an ARN.
func accountIn(text string) string {
	a, err := arn.Parse(text)
	if err != nil {
		return ""
	}
	return a.AccountID
}
