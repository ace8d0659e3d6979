package asg

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
)

// A Size is the state of aws/asg.scale.
type Size struct {
	Min     int32 `json:"minSize"`
	Desired int32 `json:"desiredCapacity"`
	Max     int32 `json:"maxSize"`
}

func (s Size) String() string {
	return fmt.Sprintf("%d instances (%d to %d)", s.Desired, s.Min, s.Max)
}

func sizeOf(g *types.AutoScalingGroup) Size {
	return Size{aws.ToInt32(g.MinSize), aws.ToInt32(g.DesiredCapacity), aws.ToInt32(g.MaxSize)}
}

// resting is the size of a group that rests with so many instances, and at most
// so many if that is given.
func (s Size) resting(to int32, most *int32) Size {
	rest := Size{Min: min(s.Min, to), Desired: to, Max: max(s.Max, to)}
	if most != nil {
		rest.Max = *most
	}
	return rest
}

// ScaleParams are the parameters of aws/asg.scale.
type ScaleParams struct {
	Group string `json:"group"`
	// To is how many instances there are to be; the least becomes no more than it.
	To int32 `json:"to"`
	// Max, if it is given, becomes the most.
	Max *int32 `json:"max,omitempty"`
}

// Validate says what is wrong.
func (p ScaleParams) Validate() error {
	switch {
	case p.Group == "":
		return errors.New("group is needed")
	case p.To < 0:
		return fmt.Errorf("to: %d is less than none", p.To)
	case p.Max != nil && *p.Max < p.To:
		return fmt.Errorf("max: %d is less than to: %d", *p.Max, p.To)
	}
	return nil
}

// scale is the change aws/asg.scale.
type scale struct {
	*client
	p    ScaleParams
	mark *action.Mark
}

func openScale(c *awsclient.Conn, p ScaleParams) (driver.Typed[Size], error) {
	s := &scale{client: clientOf(c), p: p}
	s.byName.Expect(p.Group)
	return s, nil
}

// Target implements driver.Typed.
func (s *scale) Target() string { return s.conn.Target("asg", s.p.Group) }

// Name implements awsclient.Thing.
func (s *scale) Name() string { return label(s.p.Group) }

// Read implements awsclient.Thing.
func (s *scale) Read(ctx context.Context) (*Size, awsclient.Tagger, error) {
	g, err := s.byName.Get(ctx, s.p.Group)
	if err != nil || g == nil {
		return nil, nil, err
	}
	size := sizeOf(g)
	return &size, groupTags{s.client, g}, nil
}

// Observe implements driver.Typed.
func (s *scale) Observe(ctx context.Context) (*Size, error) { return awsclient.Observe(ctx, s) }

// Propose implements driver.Typed.
func (s *scale) Propose(from *Size) (*Size, error) {
	if from == nil {
		return nil, s.gone(s.p.Group)
	}
	to := from.resting(s.p.To, s.p.Max)
	return &to, nil
}

// Apply implements driver.Typed.
func (s *scale) Apply(ctx context.Context, from, to *Size) error {
	return awsclient.Apply(ctx, s, s.mark, from, to)
}

// Write implements awsclient.Thing: all three in one request, since the number
// has to be between the two others at each moment.
func (s *scale) Write(ctx context.Context, _, to *Size) error {
	_, err := s.groups.UpdateAutoScalingGroup(ctx, &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: aws.String(s.p.Group),
		MinSize: aws.Int32(to.Min), DesiredCapacity: aws.Int32(to.Desired), MaxSize: aws.Int32(to.Max)})
	return s.conn.ClassifyBusy(err, "scale "+s.Name(), busy()...)
}

// Marked implements driver.TypedMarker.
func (s *scale) Marked(m action.Mark) driver.Typed[Size] { return &scale{s.client, s.p, &m} }

// Fits implements driver.MarkLimiter.
func (s *scale) Fits(ctx context.Context, m action.Mark) error {
	return awsclient.MarksFit(ctx, s, m, marksOnGroup)
}

// Requires implements action.Requirer.
func (s *scale) Requires() []action.Permission {
	return s.permissions(s.p.Group, "scale it for the work, and back", "UpdateAutoScalingGroup", "CreateOrUpdateTags", "DeleteTags")
}

// Describe implements driver.TypedDescriber.
func (s *scale) Describe(from, to *Size) action.Description {
	line := "scale " + s.Name()
	if from != nil && to != nil {
		line = fmt.Sprintf("scale %s from %s to %s", s.Name(), from, to)
	}
	return awsclient.Describe(line, from, to)
}

// Settled: the group has as many instances as it should, each in service and
// healthy, and none is on its way up or down. A lifecycle hook may hold one for
// an hour.
func (s *scale) Settled(ctx context.Context, want *Size) (action.Verdict, error) {
	g, err := s.byName.Get(ctx, s.p.Group)
	if err != nil {
		return action.Verdict{}, err
	}
	if g == nil {
		return action.Verdict{Summary: s.Name() + " does not exist", Findings: []string{"someone deleted it since"}}, nil
	}
	serving := 0
	var findings []string
	for _, i := range g.Instances {
		if i.LifecycleState == types.LifecycleStateInService && aws.ToString(i.HealthStatus) == "Healthy" {
			serving++
			continue
		}
		findings = append(findings, fmt.Sprintf("%s is %s, %s", aws.ToString(i.InstanceId), i.LifecycleState, aws.ToString(i.HealthStatus)))
	}
	v := action.Verdict{Summary: fmt.Sprintf("%s has %d of %d instances in service", s.Name(), serving, want.Desired), Findings: findings}
	v.OK = aws.ToInt32(g.DesiredCapacity) == want.Desired && serving == int(want.Desired) && len(findings) == 0
	if !v.OK {
		v.Try = []string{fmt.Sprintf("aws autoscaling describe-scaling-activities --auto-scaling-group-name %s --max-items 5 --region %s", s.p.Group, s.conn.Region())}
	}
	return v, nil
}
