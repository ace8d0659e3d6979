package alb

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver/aws/alb/albrules"
)

// UnchangedParams say what a listener's own rules were.
type UnchangedParams struct {
	LoadBalancer string `json:"loadBalancer"`
	Listener     string `json:"listener"`
	Port         int    `json:"port"`
	Digest       string `json:"digest"`
}

// Validate says what is missing.
func (p UnchangedParams) Validate() error {
	if p.Listener == "" || p.Digest == "" {
		return errors.New("listener and digest are needed")
	}
	return nil
}

// digest is over the listener's own rules in their order and its default action.
// Their priorities are not in it: another closing may have shifted them.
func digest(l albrules.Listener) string {
	type own struct {
		ARN  string
		Rule albrules.Rule
	}
	var all []own
	for _, u := range l.Users() {
		all = append(all, own{u.ARN, u.Rule})
	}
	raw, err := json.Marshal(struct {
		Rules   []own
		Default []albrules.Action
	}{all, l.Default})
	if err != nil { // strings, numbers and lists of them
		return err.Error()
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:16])
}

type unchanged struct {
	account *account
	p       UnchangedParams
}

func openUnchanged(c *awsclient.Conn, p UnchangedParams) (*unchanged, error) {
	return &unchanged{accountOf(c), p}, nil
}

// Target names the listener.
func (u *unchanged) Target() string {
	return target(u.account.conn.Env.Name, fmt.Sprintf("%s:%d", u.p.LoadBalancer, u.p.Port), "")
}

// Requires implements action.Requirer.
func (u *unchanged) Requires() []action.Permission { return reads() }

// Check implements action.Check.
func (u *unchanged) Check(ctx context.Context) (action.Verdict, error) {
	d := CloseParams{LoadBalancer: u.p.LoadBalancer, Listener: u.p.Listener, Port: u.p.Port}.door()
	l, err := u.account.listener(ctx, d)
	switch {
	case err != nil:
		return action.Verdict{}, err
	case l.ARN == "":
		return action.Verdict{Summary: d.name + " does not exist any more", Findings: []string{"someone deleted it since the plan was made"}}, nil
	case digest(l) != u.p.Digest:
		return action.Verdict{Summary: d.name + " is not as it was when the plan was made",
			Findings: []string{"someone changed its rules or its default action, and what lets staff through is a copy of them: make a new plan"},
			Try:      []string{"aws elbv2 describe-rules --listener-arn " + u.p.Listener}}, nil
	}
	return action.Verdict{OK: true, Summary: fmt.Sprintf("%s is as it was when the plan was made: %d rules", d.name, len(l.Users()))}, nil
}

// HealthyParams are target groups behind a load balancer, by ARN.
type HealthyParams struct {
	LoadBalancer string   `json:"loadBalancer"`
	Groups       []string `json:"groups"`
}

// Validate says what is missing.
func (p HealthyParams) Validate() error {
	if p.LoadBalancer == "" || len(p.Groups) == 0 {
		return errors.New("loadBalancer and groups are needed")
	}
	return nil
}

type healthy struct {
	account *account
	p       HealthyParams
}

func openHealthy(c *awsclient.Conn, p HealthyParams) (*healthy, error) {
	return &healthy{accountOf(c), p}, nil
}

// Target names the load balancer.
func (h *healthy) Target() string {
	return target(h.account.conn.Env.Name, h.p.LoadBalancer, "targets")
}

// Requires implements action.Requirer.
func (h *healthy) Requires() []action.Permission { return reads() }

// Check implements action.Check. One healthy target is enough: AWS's own waiter
// asks for all, which a group that scales never has.
func (h *healthy) Check(ctx context.Context) (action.Verdict, error) {
	v := action.Verdict{OK: true}
	total := 0
	for _, group := range h.p.Groups {
		name := albrules.GroupName(group)
		answer, err := h.account.client.DescribeTargetHealth(ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: aws.String(group)})
		if awsclient.IsCode(err, "TargetGroupNotFound") {
			v.OK = false
			v.Findings = append(v.Findings, "target group "+name+" does not exist any more")
			continue
		}
		if err != nil {
			return action.Verdict{}, h.account.conn.Classify(err, "read the health of target group "+name)
		}
		good := 0
		reason := "it has no targets"
		for _, t := range answer.TargetHealthDescriptions {
			if serves(t.TargetHealth) {
				good++
				continue
			}
			reason = describe(t)
		}
		total += good
		if good == 0 {
			v.OK = false
			v.Findings = append(v.Findings, fmt.Sprintf("target group %s has no healthy target: %s", name, reason))
			v.Try = append(v.Try, "aws elbv2 describe-target-health --target-group-arn "+group)
		}
	}
	v.Summary = fmt.Sprintf("%d healthy targets in %d target groups behind %s", total, len(h.p.Groups), h.p.LoadBalancer)
	if !v.OK {
		v.Summary = "the application behind " + h.p.LoadBalancer + " is not well"
	}
	return v, nil
}

// serves tells whether a target gets requests. One of a group without health
// checks, as of a Lambda function, is "unavailable" and does.
func serves(h *types.TargetHealth) bool {
	return h != nil && (h.State == types.TargetHealthStateEnumHealthy || h.Reason == types.TargetHealthReasonEnumHealthCheckDisabled)
}

func describe(t types.TargetHealthDescription) string {
	id := ""
	if t.Target != nil {
		id = aws.ToString(t.Target.Id)
	}
	if t.TargetHealth == nil {
		return id
	}
	out := fmt.Sprintf("%s is %s", id, t.TargetHealth.State)
	if t.TargetHealth.Description != nil {
		out += " (" + aws.ToString(t.TargetHealth.Description) + ")"
	}
	return out
}
