package alb

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/aws/alb/albrules"
)

// FindTraces looks at every rule of every Application Load Balancer for marks,
// and for rules that close one and carry none.
func FindTraces(ctx context.Context, c *awsclient.Conn) (*driver.Traces, error) {
	a := accountOf(c)
	all, err := a.applications(ctx)
	switch {
	case awsclient.IsDenied(err):
		return &driver.Traces{Unseen: []string{"load balancers"}}, nil
	case err != nil:
		return nil, err
	}
	found := &driver.Traces{Seen: []driver.Seen{{Kind: "load balancers", Count: len(all)}}}
	rules := 0
	for _, lb := range all {
		doors, err := a.doors(ctx, lb)
		if err != nil {
			return nil, err
		}
		for _, d := range doors {
			l, err := a.listener(ctx, d)
			if err != nil {
				return nil, err
			}
			rules += len(l.Rules)
			if err := a.tracesOn(ctx, lb, d, l, found); err != nil {
				return nil, err
			}
		}
	}
	found.Seen = append(found.Seen, driver.Seen{Kind: "listener rules", Count: rules})
	return found, nil
}

// applications are the Application Load Balancers of the account in the region.
func (a *account) applications(ctx context.Context) ([]loadBalancer, error) {
	all, err := a.loadBalancers(ctx)
	if err != nil {
		return nil, err
	}
	var out []loadBalancer
	for _, lb := range all {
		if lb.kind == types.LoadBalancerTypeEnumApplication {
			out = append(out, lb)
		}
	}
	return out, nil
}

// tracesOn adds what one listener has. Every rule of a curtain carries its mark,
// which is told once.
func (a *account) tracesOn(ctx context.Context, lb loadBalancer, d door, l albrules.Listener, found *driver.Traces) error {
	var own []string
	for _, p := range l.Rules {
		if p.Own != nil {
			own = append(own, p.ARN)
		}
	}
	tags, err := a.tags(ctx, "the rules of "+d.name, own) // as they are now
	if err != nil {
		return err
	}
	marks, wrong := map[string]driver.FoundMark{}, map[string]driver.FoundMark{} // by curtain
	unmarked := map[string]albrules.Placed{}
	var order []string
	for _, p := range l.Rules {
		if p.Own == nil {
			continue
		}
		id := p.Own.ID
		order = append(order, id)
		m, ok := awsclient.MarkIn(target(a.conn.Env.Name, fmt.Sprintf("%s:%d", lb.name, d.port), ""), tags[p.ARN])
		switch {
		case !ok:
			unmarked[id] = p
		case m.Wrong != "":
			wrong[id] = m
		default:
			if have, seen := marks[id]; !seen || have.Mark.Receipt.TakenAt.Before(m.Mark.Receipt.TakenAt) {
				var params CloseParams
				if json.Unmarshal(m.Mark.Params, &params) == nil {
					m.On = target(a.conn.Env.Name, fmt.Sprintf("%s:%d", lb.name, d.port), params.Service)
				}
				marks[id] = m
			}
		}
	}
	told := map[string]bool{}
	for _, id := range order {
		if told[id] {
			continue
		}
		told[id] = true
		if m, ok := marks[id]; ok {
			found.Marks = append(found.Marks, m)
		} else if m, ok := wrong[id]; ok {
			found.Marks = append(found.Marks, m)
		} else {
			found.Unmarked = append(found.Unmarked, a.bare(lb, d, unmarked[id]))
		}
	}
	if u, closed := a.closedByHand(lb, d, l); closed {
		found.Unmarked = append(found.Unmarked, u)
	}
	return nil
}

// bare is a rule of noren's whose mark is gone.
func (a *account) bare(lb loadBalancer, d door, p albrules.Placed) driver.Unmarked {
	u := driver.Unmarked{Ours: true, Target: target(a.conn.Env.Name, fmt.Sprintf("%s:%d", lb.name, d.port), ""),
		What:   fmt.Sprintf("%s has rules of noren's (%s), and the mark is gone", d.name, albrules.Label(p.Own.Name)),
		Advice: []string{"aws elbv2 describe-rules --listener-arn " + d.arn, "aws elbv2 delete-rule --rule-arn " + p.ARN + "     # and the other rules named noren: …"}}
	if p.Own.Shift > 0 {
		u.Advice = append(u.Advice, fmt.Sprintf("The listener's own rules were shifted by %d: take that off each of their priorities.", p.Own.Shift))
	}
	return u
}

// closedByHand tells of a listener whose first rule answers 503 by itself, and
// not by noren.
func (a *account) closedByHand(lb loadBalancer, d door, l albrules.Listener) (driver.Unmarked, bool) {
	users := l.Users()
	if len(users) == 0 {
		return driver.Unmarked{}, false
	}
	f := albrules.Responds(users[0].Actions)
	if f == nil || f.Status != strconv.Itoa(http.StatusServiceUnavailable) {
		return driver.Unmarked{}, false
	}
	return driver.Unmarked{Target: target(a.conn.Env.Name, fmt.Sprintf("%s:%d", lb.name, d.port), ""),
		What:   fmt.Sprintf("the first rule of %s (priority %d) answers 503 by itself, and not by noren", d.name, users[0].Priority),
		Advice: []string{"aws elbv2 describe-rules --rule-arns " + users[0].ARN}}, true
}

// TracesNeed are the rights that FindTraces takes.
func TracesNeed() []action.Permission {
	return awsclient.Rights("find rules that were left over", iam+"DescribeLoadBalancers", iam+"DescribeListeners", iam+"DescribeRules", iam+"DescribeTags")
}
