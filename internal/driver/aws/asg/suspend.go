package asg

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// processes are what a group does by itself. Source:
// https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-suspend-resume-processes.html
func processes() []string {
	return []string{"Launch", "Terminate", "AddToLoadBalancer", "AlarmNotification", "AZRebalance", "HealthCheck", "InstanceRefresh", "ReplaceUnhealthy", "ScheduledActions"}
}

func checkProcesses(names []string) error {
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("process %s is named twice", name)
		}
		if slices.Contains(processes(), name) {
			continue
		}
		text := fmt.Sprintf("process %q is none of %s", name, strings.Join(processes(), ", "))
		if near := fault.Nearest(name, processes()); near != "" {
			text += fmt.Sprintf("; did you mean %s?", near)
		}
		return errors.New(text)
	}
	return nil
}

// SuspendParams are the parameters of aws/asg.suspend.
type SuspendParams struct {
	Group     string   `json:"group"`
	Processes []string `json:"processes"`
}

// Validate says what is wrong. To AWS, no process at all means every one.
func (p SuspendParams) Validate() error {
	switch {
	case p.Group == "":
		return errors.New("group is needed")
	case len(p.Processes) == 0:
		return errors.New("processes are needed: which ones to suspend")
	}
	return checkProcesses(p.Processes)
}

// A Suspension is the state of aws/asg.suspend: of each process whether it is
// suspended.
type Suspension map[string]bool

// suspend is the change aws/asg.suspend. What was suspended before, by whomever,
// stays so.
type suspend struct {
	*client
	p    SuspendParams
	mark *action.Mark
}

// slot is where the mark is kept, beside that of aws/asg.scale.
const slot = "suspend"

// marksOnGroup are those that a group carries while it rests: of its processes and
// of its size. Either change is refused where both would not fit, since neither
// knows whether the other is made.
const marksOnGroup = 2

func openSuspend(c *awsclient.Conn, p SuspendParams) (driver.Typed[Suspension], error) {
	s := &suspend{client: clientOf(c), p: p}
	s.byName.Expect(p.Group)
	return s, nil
}

// Target implements driver.Typed.
func (s *suspend) Target() string { return s.conn.Target("asg-processes", s.p.Group) }

// Name implements awsclient.Thing.
func (s *suspend) Name() string { return "processes of " + label(s.p.Group) }

// Read implements awsclient.Thing.
func (s *suspend) Read(ctx context.Context) (*Suspension, awsclient.Tagger, error) {
	g, err := s.byName.Get(ctx, s.p.Group)
	if err != nil || g == nil {
		return nil, nil, err
	}
	now := suspensionOf(g, s.p.Processes)
	return &now, awsclient.Slot(groupTags{s.client, g}, slot), nil
}

func suspensionOf(g *types.AutoScalingGroup, processes []string) Suspension {
	now := Suspension{}
	for _, name := range processes {
		now[name] = slices.ContainsFunc(g.SuspendedProcesses, func(p types.SuspendedProcess) bool { return aws.ToString(p.ProcessName) == name })
	}
	return now
}

// Observe implements driver.Typed.
func (s *suspend) Observe(ctx context.Context) (*Suspension, error) {
	return awsclient.Observe(ctx, s)
}

// Propose implements driver.Typed.
func (s *suspend) Propose(from *Suspension) (*Suspension, error) {
	if from == nil {
		return nil, s.gone(s.p.Group)
	}
	to := Suspension{}
	for _, name := range s.p.Processes {
		to[name] = true
	}
	return &to, nil
}

// Apply implements driver.Typed.
func (s *suspend) Apply(ctx context.Context, from, to *Suspension) error {
	return awsclient.Apply(ctx, s, s.mark, from, to)
}

// moved are the processes that are suspended and resumed on the way from one
// state to another.
func moved(from, to *Suspension) (stop, resume []string) {
	if from == nil || to == nil {
		return nil, nil
	}
	for _, name := range slices.Sorted(maps.Keys(*to)) {
		switch {
		case (*to)[name] && !(*from)[name]:
			stop = append(stop, name)
		case !(*to)[name] && (*from)[name]:
			resume = append(resume, name)
		}
	}
	return stop, resume
}

// Write implements awsclient.Thing.
func (s *suspend) Write(ctx context.Context, from, to *Suspension) error {
	stop, resume := moved(from, to)
	if len(stop) > 0 { // none would mean all
		_, err := s.groups.SuspendProcesses(ctx, &autoscaling.SuspendProcessesInput{AutoScalingGroupName: aws.String(s.p.Group), ScalingProcesses: stop})
		if err != nil {
			return s.conn.ClassifyBusy(err, "suspend "+s.Name(), busy()...)
		}
	}
	if len(resume) > 0 {
		_, err := s.groups.ResumeProcesses(ctx, &autoscaling.ResumeProcessesInput{AutoScalingGroupName: aws.String(s.p.Group), ScalingProcesses: resume})
		return s.conn.ClassifyBusy(err, "resume "+s.Name(), busy()...)
	}
	return nil
}

// Marked implements driver.TypedMarker.
func (s *suspend) Marked(m action.Mark) driver.Typed[Suspension] {
	return &suspend{s.client, s.p, &m}
}

// Fits implements driver.MarkLimiter.
func (s *suspend) Fits(ctx context.Context, m action.Mark) error {
	return awsclient.MarksFit(ctx, s, m, marksOnGroup)
}

// Requires implements action.Requirer.
func (s *suspend) Requires() []action.Permission {
	return s.permissions(s.p.Group, "keep it from scaling back what rests", "SuspendProcesses", "ResumeProcesses", "CreateOrUpdateTags", "DeleteTags")
}

// Describe implements driver.TypedDescriber.
func (s *suspend) Describe(from, to *Suspension) action.Description {
	stop, resume := moved(from, to)
	line := "leave the " + s.Name() + " as they are"
	switch {
	case len(stop) > 0:
		line = fmt.Sprintf("suspend %s of %s", strings.Join(stop, ", "), label(s.p.Group))
	case len(resume) > 0:
		line = fmt.Sprintf("resume %s of %s", strings.Join(resume, ", "), label(s.p.Group))
	}
	return awsclient.Describe(line, from, to)
}
