package events

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// ScheduleParams are the parameters of aws/schedule.disable.
type ScheduleParams struct {
	Group string `json:"group"`
	Name  string `json:"name"`
	// Unmarked leaves no mark in its description.
	Unmarked bool `json:"unmarked,omitempty"`
}

// Validate says what is missing.
func (p ScheduleParams) Validate() error {
	if p.Group == "" || p.Name == "" {
		return errors.New("group and name are needed")
	}
	return nil
}

// A ScheduleState is the state of aws/schedule.disable: ENABLED or DISABLED.
type ScheduleState struct {
	State types.ScheduleState `json:"state"`
}

// schedule is the change aws/schedule.disable. A schedule has no tags (a group of
// them has), so that it carries its mark in its description.
type schedule struct {
	*client
	p    ScheduleParams
	mark *action.Mark
}

func openSchedule(c *awsclient.Conn, p ScheduleParams) (driver.Typed[ScheduleState], error) {
	return &schedule{client: clientOf(c), p: p}, nil
}

// Target implements driver.Typed.
func (s *schedule) Target() string { return s.conn.Target("schedule", s.p.Group+"/"+s.p.Name) }

// Name implements awsclient.Thing.
func (s *schedule) Name() string { return "schedule " + s.p.Group + "/" + s.p.Name }

// get reads the schedule, nil if it or its group does not exist.
func (s *schedule) get(ctx context.Context) (*scheduler.GetScheduleOutput, error) {
	out, err := s.scheduler.GetSchedule(ctx, &scheduler.GetScheduleInput{GroupName: aws.String(s.p.Group), Name: aws.String(s.p.Name)})
	if awsclient.IsCode(err, notFound) {
		return nil, nil
	}
	return out, s.conn.Classify(err, "read "+s.Name())
}

// Read implements awsclient.Thing.
func (s *schedule) Read(ctx context.Context) (*ScheduleState, awsclient.Tagger, error) {
	out, err := s.get(ctx)
	if err != nil || out == nil {
		return nil, nil, err
	}
	return &ScheduleState{out.State}, noted{s, parseDescription(out.Description)}, nil
}

// Observe implements driver.Typed.
func (s *schedule) Observe(ctx context.Context) (*ScheduleState, error) {
	return awsclient.Observe(ctx, s)
}

// Propose implements driver.Typed.
func (s *schedule) Propose(from *ScheduleState) (*ScheduleState, error) {
	if from == nil {
		return nil, s.missing(nil)
	}
	return &ScheduleState{types.ScheduleStateDisabled}, nil
}

func (s *schedule) missing(have []string) error {
	return s.conn.Missing("schedule", s.p.Group+"/"+s.p.Name, "aws scheduler list-schedules", have)
}

// Apply implements driver.Typed.
func (s *schedule) Apply(ctx context.Context, from, to *ScheduleState) error {
	return awsclient.Apply(ctx, s, s.mark, from, to)
}

// Write implements awsclient.Thing.
func (s *schedule) Write(ctx context.Context, _, to *ScheduleState) error {
	return s.WriteTagged(ctx, to, nil, nil)
}

// WriteTagged implements awsclient.AtOnce.
func (s *schedule) WriteTagged(ctx context.Context, to *ScheduleState, add map[string]string, drop []string) error {
	return s.update(ctx, "change "+s.Name(), to, func(d described) (described, error) { return d.tagged(add, drop) })
}

// update writes a state, nil for the one that it has, and another description.
// UpdateSchedule replaces the whole schedule: what is not sent goes back to its
// default. So everything is read once more and sent again. Source:
// https://docs.aws.amazon.com/scheduler/latest/APIReference/API_UpdateSchedule.html
func (s *schedule) update(ctx context.Context, what string, to *ScheduleState, describe func(described) (described, error)) error {
	now, err := s.get(ctx)
	if err != nil {
		return err
	}
	if now == nil {
		return awsclient.Drifted(s.Name(), &ScheduleState{}, nil)
	}
	d, err := describe(parseDescription(now.Description))
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	state := now.State
	if to != nil {
		state = to.State
	}
	_, err = s.scheduler.UpdateSchedule(ctx, &scheduler.UpdateScheduleInput{
		State: state, Name: now.Name, GroupName: now.GroupName, FlexibleTimeWindow: now.FlexibleTimeWindow, ScheduleExpression: now.ScheduleExpression,
		Target: now.Target, ActionAfterCompletion: now.ActionAfterCompletion, Description: d.join(), StartDate: now.StartDate, EndDate: now.EndDate,
		KmsKeyArn: now.KmsKeyArn, ScheduleExpressionTimezone: now.ScheduleExpressionTimezone,
	})
	return s.conn.ClassifyBusy(err, what, "ConflictException")
}

// Marked implements driver.TypedMarker.
func (s *schedule) Marked(m action.Mark) driver.Typed[ScheduleState] {
	if s.p.Unmarked {
		return s
	}
	return &schedule{s.client, s.p, &m}
}

// spare are the characters of a description that are not used when a closing is
// planned, since the mark of its run may take a few more than that of its plan.
const spare = 16

// Fits implements driver.MarkLimiter.
func (s *schedule) Fits(ctx context.Context, m action.Mark) error {
	now, err := s.get(ctx)
	if err != nil || now == nil || s.p.Unmarked {
		return err
	}
	d, err := parseDescription(now.Description).marked(m)
	if err != nil {
		return err
	}
	over := utf8.RuneCountInString(*d.join()) + spare - mostDescription
	if over <= 0 {
		return nil
	}
	own := utf8.RuneCountInString(aws.ToString(d.text))
	return &fault.Fault{Code: fault.Invalid, Summary: "no room for noren's note",
		Detail: fmt.Sprintf("The description of %s has %d characters, and AWS allows %d: %d are needed to note in it how it was, since AWS allows no tags on a schedule. Nothing was touched.",
			s.Name(), own, mostDescription, mostDescription-own+over),
		Try: []string{
			fmt.Sprintf("shorten the description of %s by %d characters", s.Name(), over),
			fmt.Sprintf("- {kind: aws/schedule, name: %s/%s, unmarked: true}   # in noren.yaml: were noren's records lost, noren recover could not enable it", s.p.Group, s.p.Name),
		}}
}

// noted are the tags that the mark in a schedule's description stands for.
type noted struct {
	*schedule
	d described
}

// Tags implements awsclient.Tagger.
func (n noted) Tags(context.Context) (map[string]string, error) { return n.d.tags() }

// Tag implements awsclient.Tagger.
func (n noted) Tag(ctx context.Context, tags map[string]string) error {
	return n.update(ctx, "note on "+n.Name(), nil, func(d described) (described, error) { return d.tagged(tags, nil) })
}

// Untag implements awsclient.Tagger.
func (n noted) Untag(ctx context.Context, keys []string) error {
	return n.update(ctx, "take noren's note off "+n.Name(), nil, func(d described) (described, error) { return d.tagged(nil, keys) })
}

// Requires implements action.Requirer. To send the target again is to pass its
// role again.
func (s *schedule) Requires() []action.Permission {
	arn, why := s.conn.ARN("scheduler", "schedule/"+s.p.Group+"/"+s.p.Name), "disable it for the work, and enable it again"
	return []action.Permission{
		{System: system, Verb: "scheduler:GetSchedule", Resource: arn, Why: why},
		{System: system, Verb: "scheduler:UpdateSchedule", Resource: arn, Why: why},
		{System: system, Verb: "iam:PassRole", Resource: strings.Replace(s.conn.ARN("iam", "role/*"), ":"+s.conn.Region()+":", "::", 1), Why: "send its target's role again, which UpdateSchedule demands"},
	}
}

// Describe implements driver.TypedDescriber.
func (s *schedule) Describe(from, to *ScheduleState) action.Description {
	line := "enable " + s.Name() + " again"
	if to != nil && to.State == types.ScheduleStateDisabled {
		line = "disable " + s.Name()
	}
	return awsclient.Describe(line, from, to)
}

// ScheduleOptions choose how a schedule rests.
type ScheduleOptions struct {
	// Unmarked leaves its description as it is: without noren's records, noren
	// recover then cannot enable it.
	Unmarked bool `json:"unmarked,omitempty"`
}

// scheduleWorkload is a schedule that rests.
type scheduleWorkload struct{ *schedule }

func openScheduleWorkload(c *awsclient.Conn, name string, o ScheduleOptions) (driver.Workload, error) {
	group, short, err := split("aws/schedule", name)
	if err != nil {
		return nil, err
	}
	return &scheduleWorkload{&schedule{client: clientOf(c), p: ScheduleParams{group, short, o.Unmarked}}}, nil
}

// Requires implements action.Requirer.
func (w *scheduleWorkload) Requires() []action.Permission { return w.schedule.Requires() }

// Rest implements driver.Workload.
func (w *scheduleWorkload) Rest(ctx context.Context) (*driver.Resting, error) {
	out, err := w.get(ctx)
	if err != nil {
		return nil, err
	}
	if out == nil {
		var names []string
		_ = w.eachSchedule(ctx, func(s *types.ScheduleSummary) {
			names = append(names, aws.ToString(s.GroupName)+"/"+aws.ToString(s.Name))
		})
		return nil, w.missing(names)
	}
	r := &driver.Resting{Target: w.Target(), Calls: []driver.Call{{Action: "aws/schedule.disable", Params: w.p}}}
	note := func(warn bool, format string, args ...any) {
		r.Notes = append(r.Notes, driver.Note{Warn: warn, Text: fmt.Sprintf(format, args...)})
	}
	if out.State == types.ScheduleStateDisabled {
		note(false, "%s is disabled already and stays so, also after opening.", w.Name())
		return r, nil
	}
	if expression := aws.ToString(out.ScheduleExpression); strings.HasPrefix(expression, "at(") {
		note(true, "%s fires once (%s): if that falls into the closing, it never does.", w.Name(), expression)
	} else {
		note(false, "%s (%s) does not fire while the service is closed, and what it misses is not made up for. What it has started goes on.", w.Name(), expression)
	}
	if w.p.Unmarked {
		note(true, "%s is to carry no mark: were noren's records lost, noren recover could not enable it again, and noren leftovers would only tell that it is disabled.", w.Name())
	} else {
		note(false, "AWS allows no tags on a schedule: how it was is noted at the end of the description of %s meanwhile.", w.Name())
	}
	return r, nil
}

// traces adds the mark of a schedule, and tells whether it has one.
func (s *schedule) traces(ctx context.Context, found *driver.Traces) (bool, error) {
	out, err := s.get(ctx)
	if err != nil || out == nil { // it is gone since
		return false, err
	}
	m, marked, err := parseDescription(out.Description).mark()
	if !marked {
		return false, nil
	}
	f := driver.FoundMark{On: s.Target(), Mark: m}
	if err != nil {
		f.Wrong = err.Error()
	}
	found.Marks = append(found.Marks, f)
	return true, nil
}

// eachSchedule shows see every schedule of all groups.
func (c *client) eachSchedule(ctx context.Context, see func(*types.ScheduleSummary)) error {
	for pages := scheduler.NewListSchedulesPaginator(c.scheduler, &scheduler.ListSchedulesInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return c.conn.Classify(err, "list the schedules")
		}
		for i := range page.Schedules {
			see(&page.Schedules[i])
		}
	}
	return nil
}
