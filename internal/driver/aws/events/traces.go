package events

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	schedulertypes "github.com/aws/aws-sdk-go-v2/service/scheduler/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
)

// mostLooks is up to how many rules are asked for their tags, which takes a
// request each. Of more, those alone that are disabled.
const mostLooks = 200

// FindTraces looks through the rules of all buses and the schedules of all
// groups.
func FindTraces(ctx context.Context, conn *awsclient.Conn) (*driver.Traces, error) {
	c := clientOf(conn)
	found := &driver.Traces{}
	for kind, find := range map[string]func(context.Context, *driver.Traces) error{"EventBridge rules": c.ruleTraces, "schedules": c.scheduleTraces} {
		if err := find(ctx, found); awsclient.IsDenied(err) {
			found.Unseen = append(found.Unseen, kind)
		} else if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// ruleTraces adds the marks on rules, and disabled rules without one.
func (c *client) ruleTraces(ctx context.Context, found *driver.Traces) error {
	buses, err := c.buses(ctx)
	if err != nil {
		return err
	}
	var rules []*types.Rule
	for _, bus := range buses {
		if err := c.eachRule(ctx, bus, func(r *types.Rule) { rules = append(rules, r) }); err != nil {
			return err
		}
	}
	for _, r := range rules {
		disabled := r.State == types.RuleStateDisabled
		if aws.ToString(r.ManagedBy) != "" || !disabled && len(rules) > mostLooks {
			continue
		}
		bus, name := aws.ToString(r.EventBusName), aws.ToString(r.Name)
		target := c.conn.Target("eventbridge-rule", bus+"/"+name)
		tags, err := ruleTags{c, aws.ToString(r.Arn), "EventBridge rule " + bus + "/" + name}.Tags(ctx)
		if err != nil {
			return err
		}
		if m, marked := awsclient.MarkIn(target, tags); marked {
			found.Marks = append(found.Marks, m)
		} else if disabled {
			found.Unmarked = append(found.Unmarked, driver.Unmarked{Target: target, What: "is disabled",
				Advice: []string{fmt.Sprintf("aws events enable-rule --event-bus-name %s --name %s --region %s   # unless somebody means it so", bus, name, c.conn.Region())}})
		}
	}
	if len(rules) > 0 {
		found.Seen = append(found.Seen, driver.Seen{Kind: "EventBridge rules", Count: len(rules)})
	}
	return nil
}

// scheduleTraces adds the marks on schedules, and disabled ones without. The list
// of schedules does not tell their descriptions.
func (c *client) scheduleTraces(ctx context.Context, found *driver.Traces) error {
	var all []schedulertypes.ScheduleSummary
	err := c.eachSchedule(ctx, func(s *schedulertypes.ScheduleSummary) { all = append(all, *s) })
	n, unread := len(all), 0
	for _, summary := range all {
		disabled := summary.State == schedulertypes.ScheduleStateDisabled
		if !disabled && n > mostLooks {
			continue
		}
		s := &schedule{client: c, p: ScheduleParams{Group: aws.ToString(summary.GroupName), Name: aws.ToString(summary.Name)}}
		marked, err := s.traces(ctx, found)
		switch {
		case awsclient.IsDenied(err):
			unread++
		case err != nil:
			return err
		}
		if disabled && !marked {
			found.Unmarked = append(found.Unmarked, driver.Unmarked{Target: s.Target(), What: "is disabled", Since: aws.ToTime(summary.LastModificationDate),
				Advice: []string{fmt.Sprintf("aws scheduler get-schedule --group-name %s --name %s --region %s   # update-schedule replaces all of it: send everything again", s.p.Group, s.p.Name, c.conn.Region())}})
		}
	}
	if unread > 0 {
		found.Unseen = append(found.Unseen, fmt.Sprintf("descriptions of %d schedules (scheduler:GetSchedule)", unread))
	}
	if n > 0 {
		found.Seen = append(found.Seen, driver.Seen{Kind: "schedules", Count: n})
	}
	return err
}

// TracesNeed are the rights that FindTraces takes.
func TracesNeed() []action.Permission {
	return awsclient.Rights("find rules and schedules that were left disabled", "events:ListEventBuses", "events:ListRules", "events:ListTagsForResource", "scheduler:ListSchedules", "scheduler:GetSchedule")
}
