package cloudwatch

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// An alarm is one of metrics, of logs, or of other alarms.
type alarm struct {
	name    string
	rings   bool
	since   time.Time
	enabled bool // its actions are
	// suppressed is set where another alarm holds its actions back.
	suppressed bool
	actions    []string
	rule       string // of a composite one
}

// named reads the alarms of these names; one that does not exist is not among them.
func (b *book) named(ctx context.Context, names []string) ([]alarm, error) {
	found, err := b.describe(ctx, &sdk.DescribeAlarmsInput{AlarmNames: names, AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm, types.AlarmTypeCompositeAlarm}, MaxRecords: aws.Int32(mostAlarms)})
	if err != nil {
		return nil, err
	}
	rest := missing(names, found)
	if len(rest) == 0 {
		return found, nil
	}
	// Alarms of logs are younger than the others: where a region has none, AWS does
	// not know their kind either.
	logs, err := b.describe(ctx, &sdk.DescribeAlarmsInput{AlarmNames: rest, AlarmTypes: []types.AlarmType{types.AlarmTypeLogAlarm}, MaxRecords: aws.Int32(mostAlarms)})
	if awsclient.IsCode(err, "ValidationError", "ValidationException", "InvalidParameterValue") {
		return found, nil
	}
	return append(found, logs...), err
}

func missing(names []string, found []alarm) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return slices.ContainsFunc(found, func(a alarm) bool { return a.name == name })
	})
}

func (b *book) describe(ctx context.Context, in *sdk.DescribeAlarmsInput) ([]alarm, error) {
	var all []alarm
	for pages := sdk.NewDescribeAlarmsPaginator(b.api, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, b.conn.Classify(err, "read alarms")
		}
		for _, a := range page.MetricAlarms {
			all = append(all, alarm{name: aws.ToString(a.AlarmName), rings: a.StateValue == types.StateValueAlarm, since: since(a.StateTransitionedTimestamp, a.StateUpdatedTimestamp),
				enabled: aws.ToBool(a.ActionsEnabled), actions: slices.Concat(a.AlarmActions, a.OKActions, a.InsufficientDataActions)})
		}
		for _, a := range page.CompositeAlarms {
			all = append(all, alarm{name: aws.ToString(a.AlarmName), rings: a.StateValue == types.StateValueAlarm, since: since(a.StateTransitionedTimestamp, a.StateUpdatedTimestamp),
				enabled: aws.ToBool(a.ActionsEnabled), suppressed: a.ActionsSuppressedBy != "", actions: slices.Concat(a.AlarmActions, a.OKActions, a.InsufficientDataActions), rule: aws.ToString(a.AlarmRule)})
		}
		for _, a := range page.LogAlarms {
			all = append(all, alarm{name: aws.ToString(a.AlarmName), rings: a.StateValue == types.StateValueAlarm, since: since(a.StateTransitionedTimestamp, a.StateUpdatedTimestamp),
				enabled: aws.ToBool(a.ActionsEnabled), actions: slices.Concat(a.AlarmActions, a.OKActions, a.InsufficientDataActions)})
		}
	}
	return all, nil
}

func since(transitioned, updated *time.Time) time.Time {
	if transitioned != nil {
		return *transitioned
	}
	return aws.ToTime(updated)
}

// Look implements mute.Looker: all of the alarms exist. It tells of those that are
// switched off, of what they do beside calling people, and of composite alarms that
// ring for them.
func (b *book) Look(ctx context.Context, w What) ([]driver.Note, error) {
	found, err := b.named(ctx, w.Alarms)
	if err != nil {
		return nil, err
	}
	if rest := missing(w.Alarms, found); len(rest) > 0 {
		return nil, b.noSuch(ctx, rest)
	}
	notes := []driver.Note{{Text: "CloudWatch begins to mute on a whole minute: the closing waits for it, about a minute."}}
	for _, a := range found {
		if !a.enabled {
			notes = append(notes, driver.Note{Warn: true, Text: fmt.Sprintf("The actions of alarm %s are switched off already, without an end. They stay so, also after the opening.", a.name)})
		}
		if does := beside(a.actions); len(does) > 0 && a.enabled {
			notes = append(notes, driver.Note{Warn: true, Text: fmt.Sprintf("Alarm %s does more than call people, and does not while it is muted: %s.", a.name, strings.Join(does, ", "))})
		}
	}
	composites, err := b.describe(ctx, &sdk.DescribeAlarmsInput{AlarmTypes: []types.AlarmType{types.AlarmTypeCompositeAlarm}, MaxRecords: aws.Int32(mostAlarms)})
	if err != nil {
		return nil, err
	}
	for _, a := range composites {
		if watched := watches(a.rule, w.Alarms); watched != "" && a.enabled && len(a.actions) > 0 && !slices.Contains(w.Alarms, a.name) {
			notes = append(notes, driver.Note{Warn: true, Text: fmt.Sprintf("The composite alarm %s watches %s and is not muted: it rings for it. List it, too, if it should not.", a.name, watched)})
		}
	}
	return notes, nil
}

// beside are the actions that do not call people: scaling, and what is done to
// instances.
func beside(actions []string) []string {
	var does []string
	for _, arn := range actions {
		if part := strings.SplitN(arn, ":", 4); len(part) == 4 && slices.Contains([]string{"autoscaling", "automate", "swf", "ssm"}, part[2]) && !slices.Contains(does, arn) {
			does = append(does, arn)
		}
	}
	return does
}

// watchForm is how the rule of a composite alarm names another: ALARM("shop-5xx"),
// with quotes or without, by name or ARN. Source: API_PutCompositeAlarm.
var watchForm = regexp.MustCompile(`\b(?:ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*["']?(?:arn:[\w-]+:cloudwatch:[\w-]+:\d+:alarm:)?([^"')]+?)["']?\s*\)`)

// watches returns which of the alarms the rule names first, "" if none.
func watches(rule string, names []string) string {
	for _, m := range watchForm.FindAllStringSubmatch(rule, -1) {
		if slices.Contains(names, m[1]) {
			return m[1]
		}
	}
	return ""
}

// noSuch says which alarms do not exist, and what names come near.
func (b *book) noSuch(ctx context.Context, names []string) error {
	f := &fault.Fault{Code: fault.NotFound, Summary: "no such alarm",
		Detail: fmt.Sprintf("CloudWatch has no alarm %s in %s, which is environment %s.", strings.Join(names, ", "), b.conn.Region(), b.conn.Env.Name),
		Try:    []string{"aws cloudwatch describe-alarms --alarm-types MetricAlarm CompositeAlarm --query '[MetricAlarms,CompositeAlarms][].AlarmName' --region " + b.conn.Region()}}
	for _, name := range names {
		begin := []rune(name)
		all, err := b.describe(ctx, &sdk.DescribeAlarmsInput{AlarmNamePrefix: aws.String(string(begin[:min(len(begin), 2)])),
			AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm, types.AlarmTypeCompositeAlarm}, MaxRecords: aws.Int32(mostAlarms)})
		if err != nil {
			return f // that it does not exist is what matters
		}
		var have []string
		for _, a := range all {
			have = append(have, a.name)
		}
		if near := fault.Nearest(name, have); near != "" {
			f.Detail += fmt.Sprintf(" Did you mean %s?", near)
		}
	}
	return f
}

// Rings implements mute.Ringer: the alarms in state ALARM. An alarm is muted by a
// rule of anybody's, by another alarm that holds it back, or for good.
func (b *book) Rings(ctx context.Context, w What) ([]driver.Ring, error) {
	found, err := b.named(ctx, w.Alarms)
	if err != nil {
		return nil, err
	}
	var out []driver.Ring
	for _, a := range found {
		if !a.rings {
			continue
		}
		muted := !a.enabled || a.suppressed
		if !muted {
			page, err := b.api.ListAlarmMuteRules(ctx, &sdk.ListAlarmMuteRulesInput{AlarmName: aws.String(a.name), Statuses: []types.AlarmMuteRuleStatus{types.AlarmMuteRuleStatusActive}})
			if err != nil {
				return nil, b.conn.Classify(err, "read what mutes alarm "+a.name)
			}
			muted = len(page.AlarmMuteRuleSummaries) > 0
		}
		out = append(out, driver.Ring{What: a.name, Since: a.since, Muted: muted})
	}
	return out, nil
}
