// Package events lets rules of EventBridge and schedules of EventBridge Scheduler
// rest while a service is closed: they are disabled.
package events

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

const (
	// system is the name of the driver, in permissions.
	system = "aws"
	// notFound is what both services say of what is not there.
	notFound = "ResourceNotFoundException"
	// fallback is the name of the bus and the group that every account has.
	fallback = "default"
)

// Parts are this package's part of the driver.
func Parts() []driver.Part[*awsclient.Conn] {
	return []driver.Part[*awsclient.Conn]{
		driver.Changes("aws/rule.disable", "Disable a rule of EventBridge", openRule),
		driver.Changes("aws/schedule.disable", "Disable a schedule of EventBridge Scheduler", openSchedule),
		driver.Rests("aws/eventbridge-rule", "A rule of EventBridge, as bus/rule, or rule on the default bus", openRuleWorkload),
		driver.Rests("aws/schedule", "A schedule of EventBridge Scheduler, as group/name, or name in the default group", openScheduleWorkload),
	}
}

// A client is what the actions of one connection share.
type client struct {
	conn      *awsclient.Conn
	events    *eventbridge.Client
	scheduler *scheduler.Client
}

func clientOf(c *awsclient.Conn) *client {
	return awsclient.Shared(c, func(c *awsclient.Conn) *client {
		return &client{c, eventbridge.NewFromConfig(c.AWS), scheduler.NewFromConfig(c.AWS)}
	})
}

// split splits "group/name"; without a group it is the default one.
func split(kind, key string) (group, name string, err error) {
	group, name, ok := strings.Cut(key, "/")
	if !ok {
		group, name = fallback, key
	}
	if group == "" || name == "" || strings.Contains(name, "/") || strings.HasPrefix(key, "arn:") {
		return "", "", &fault.Fault{Code: fault.Invalid, Summary: "malformed workload name", Detail: fmt.Sprintf("%s %q: want group/name or name, and no ARN.", kind, key)}
	}
	return group, name, nil
}

// RuleParams are the parameters of aws/rule.disable.
type RuleParams struct {
	Bus  string `json:"bus"`
	Rule string `json:"rule"`
}

// Validate says what is missing.
func (p RuleParams) Validate() error {
	if p.Bus == "" || p.Rule == "" {
		return errors.New("bus and rule are needed")
	}
	return nil
}

// A RuleState is the state of aws/rule.disable: ENABLED, DISABLED or
// ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS.
type RuleState struct {
	State types.RuleState `json:"state"`
}

// rule is the change aws/rule.disable.
type rule struct {
	*client
	p    RuleParams
	mark *action.Mark
}

func openRule(c *awsclient.Conn, p RuleParams) (driver.Typed[RuleState], error) {
	return &rule{client: clientOf(c), p: p}, nil
}

// Target implements driver.Typed.
func (r *rule) Target() string { return r.conn.Target("eventbridge-rule", r.p.Bus+"/"+r.p.Rule) }

// Name implements awsclient.Thing.
func (r *rule) Name() string { return "EventBridge rule " + r.p.Bus + "/" + r.p.Rule }

// describe reads the rule, nil if it or its bus does not exist.
func (r *rule) describe(ctx context.Context) (*eventbridge.DescribeRuleOutput, error) {
	out, err := r.events.DescribeRule(ctx, &eventbridge.DescribeRuleInput{EventBusName: aws.String(r.p.Bus), Name: aws.String(r.p.Rule)})
	if awsclient.IsCode(err, notFound) {
		return nil, nil
	}
	return out, r.conn.Classify(err, "read "+r.Name())
}

// Read implements awsclient.Thing.
func (r *rule) Read(ctx context.Context) (*RuleState, awsclient.Tagger, error) {
	out, err := r.describe(ctx)
	if err != nil || out == nil {
		return nil, nil, err
	}
	return &RuleState{out.State}, ruleTags{r.client, aws.ToString(out.Arn), r.Name()}, nil
}

// Observe implements driver.Typed.
func (r *rule) Observe(ctx context.Context) (*RuleState, error) { return awsclient.Observe(ctx, r) }

// Propose implements driver.Typed.
func (r *rule) Propose(from *RuleState) (*RuleState, error) {
	if from == nil {
		return nil, r.missing(nil)
	}
	return &RuleState{types.RuleStateDisabled}, nil
}

func (r *rule) missing(have []string) error {
	return r.conn.Missing("EventBridge rule", r.p.Bus+"/"+r.p.Rule, "aws events list-rules --event-bus-name "+r.p.Bus, have)
}

// Apply implements driver.Typed.
func (r *rule) Apply(ctx context.Context, from, to *RuleState) error {
	return awsclient.Apply(ctx, r, r.mark, from, to)
}

// Write implements awsclient.Thing. EnableRule knows of one way to be enabled;
// the other is reached by PutRule, which replaces the whole rule, so that it
// sends what is there. Source:
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html
func (r *rule) Write(ctx context.Context, _, to *RuleState) error {
	var err error
	switch to.State {
	case types.RuleStateDisabled:
		_, err = r.events.DisableRule(ctx, &eventbridge.DisableRuleInput{EventBusName: aws.String(r.p.Bus), Name: aws.String(r.p.Rule)})
	case types.RuleStateEnabled:
		_, err = r.events.EnableRule(ctx, &eventbridge.EnableRuleInput{EventBusName: aws.String(r.p.Bus), Name: aws.String(r.p.Rule)})
	default:
		now, described := r.describe(ctx)
		if described != nil {
			return described
		}
		if now == nil {
			return awsclient.Drifted(r.Name(), to, nil)
		}
		_, err = r.events.PutRule(ctx, &eventbridge.PutRuleInput{Name: now.Name, EventBusName: now.EventBusName, Description: now.Description, EventPattern: now.EventPattern,
			RoleArn: now.RoleArn, ScheduleExpression: now.ScheduleExpression, State: to.State})
	}
	return r.conn.Classify(err, "change "+r.Name())
}

// Marked implements driver.TypedMarker.
func (r *rule) Marked(m action.Mark) driver.Typed[RuleState] { return &rule{r.client, r.p, &m} }

// Fits implements driver.MarkLimiter.
func (r *rule) Fits(ctx context.Context, m action.Mark) error { return awsclient.MarkFits(ctx, r, m) }

// Requires implements action.Requirer.
func (r *rule) Requires() []action.Permission {
	resource := "rule/" + r.p.Rule
	if r.p.Bus != fallback {
		resource = "rule/" + r.p.Bus + "/" + r.p.Rule
	}
	var need []action.Permission
	for _, verb := range []string{"DescribeRule", "DisableRule", "EnableRule", "PutRule", "ListTagsForResource", "TagResource", "UntagResource"} {
		need = append(need, action.Permission{System: system, Verb: "events:" + verb, Resource: r.conn.ARN("events", resource), Why: "disable it for the work, and enable it again"})
	}
	return need
}

// Describe implements driver.TypedDescriber.
func (r *rule) Describe(from, to *RuleState) action.Description {
	line := "enable " + r.Name() + " again"
	if to != nil && to.State == types.RuleStateDisabled {
		line = "disable " + r.Name()
	}
	return awsclient.Describe(line, from, to)
}

// ruleTags are the tags of a rule.
type ruleTags struct {
	*client
	arn, name string
}

// Tags implements awsclient.Tagger.
func (t ruleTags) Tags(ctx context.Context) (map[string]string, error) {
	out, err := t.events.ListTagsForResource(ctx, &eventbridge.ListTagsForResourceInput{ResourceARN: aws.String(t.arn)})
	if err != nil {
		return nil, t.conn.Classify(err, "read the tags of "+t.name)
	}
	all := map[string]string{}
	for _, tag := range out.Tags {
		all[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return all, nil
}

// Tag implements awsclient.Tagger.
func (t ruleTags) Tag(ctx context.Context, tags map[string]string) error {
	in := &eventbridge.TagResourceInput{ResourceARN: aws.String(t.arn)}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		in.Tags = append(in.Tags, types.Tag{Key: aws.String(k), Value: aws.String(tags[k])})
	}
	_, err := t.events.TagResource(ctx, in)
	return t.conn.Classify(err, "tag "+t.name)
}

// Untag implements awsclient.Tagger.
func (t ruleTags) Untag(ctx context.Context, keys []string) error {
	_, err := t.events.UntagResource(ctx, &eventbridge.UntagResourceInput{ResourceARN: aws.String(t.arn), TagKeys: keys})
	return t.conn.Classify(err, "take noren's tags off "+t.name)
}

// ruleWorkload is a rule that rests.
type ruleWorkload struct{ *rule }

func openRuleWorkload(c *awsclient.Conn, name string, _ driver.NoOptions) (driver.Workload, error) {
	bus, short, err := split("aws/eventbridge-rule", name)
	if err != nil {
		return nil, err
	}
	return &ruleWorkload{&rule{client: clientOf(c), p: RuleParams{bus, short}}}, nil
}

// Requires implements action.Requirer.
func (w *ruleWorkload) Requires() []action.Permission { return w.rule.Requires() }

// Rest implements driver.Workload.
func (w *ruleWorkload) Rest(ctx context.Context) (*driver.Resting, error) {
	out, err := w.describe(ctx)
	switch {
	case err != nil:
		return nil, err
	case out == nil:
		return nil, w.missing(w.names(ctx))
	case aws.ToString(out.ManagedBy) != "":
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "managed rule cannot rest",
			Detail: fmt.Sprintf("%s is made and kept by %s, and AWS lets nobody else change it. Take it out of the workloads.", w.Name(), aws.ToString(out.ManagedBy))}
	}
	r := &driver.Resting{Target: w.Target(), Calls: []driver.Call{{Action: "aws/rule.disable", Params: w.p}}}
	switch {
	case out.State == types.RuleStateDisabled:
		r.Notes = append(r.Notes, driver.Note{Text: w.Name() + " is disabled already and stays so, also after opening."})
	case aws.ToString(out.ScheduleExpression) != "":
		r.Notes = append(r.Notes, driver.Note{Text: fmt.Sprintf("%s (%s) does not fire while the service is closed, and what it misses is not made up for. What it has started goes on.", w.Name(), aws.ToString(out.ScheduleExpression))})
	default:
		r.Notes = append(r.Notes, driver.Note{Warn: true, Text: fmt.Sprintf("Events that %s would have matched are lost while it is disabled. If they must not be, let what they start rest instead, and keep the rule.", w.Name())})
	}
	return r, nil
}

// names are the rules of the bus, or its nearest name. What cannot be listed
// suggests nothing.
func (w *ruleWorkload) names(ctx context.Context) []string {
	var names []string
	_ = w.eachRule(ctx, w.p.Bus, func(r *types.Rule) { names = append(names, w.p.Bus+"/"+aws.ToString(r.Name)) })
	if len(names) > 0 {
		return names
	}
	buses, _ := w.buses(ctx)
	for _, bus := range buses {
		names = append(names, bus+"/"+w.p.Rule)
	}
	return names
}

// buses lists the names of all buses.
func (c *client) buses(ctx context.Context) ([]string, error) {
	var names []string
	in := &eventbridge.ListEventBusesInput{}
	for {
		out, err := c.events.ListEventBuses(ctx, in)
		if err != nil {
			return nil, c.conn.Classify(err, "list the event buses")
		}
		for _, b := range out.EventBuses {
			names = append(names, aws.ToString(b.Name))
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return names, nil
		}
	}
}

// eachRule shows see every rule of a bus.
func (c *client) eachRule(ctx context.Context, bus string, see func(*types.Rule)) error {
	in := &eventbridge.ListRulesInput{EventBusName: aws.String(bus)}
	for {
		out, err := c.events.ListRules(ctx, in)
		if err != nil {
			return c.conn.Classify(err, "list the rules of event bus "+bus)
		}
		for i := range out.Rules {
			see(&out.Rules[i])
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return nil
		}
	}
}
