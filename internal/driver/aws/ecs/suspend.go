package ecs

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// mostTargets is how many scalable targets one request may name. Source:
// https://docs.aws.amazon.com/autoscaling/application/APIReference/API_DescribeScalableTargets.html
const mostTargets = 50

// A scalable is what scales a service: its scalable target.
type scalable = types.ScalableTarget

// A scheduled is one scheduled action of it.
type scheduled = types.ScheduledAction

// readTargets reads up to mostTargets scalable targets.
func (c *client) readTargets(ctx context.Context, ids []string) (map[string]*scalable, error) {
	all := map[string]*scalable{}
	err := c.eachTarget(ctx, ids, func(t *scalable) { all[aws.ToString(t.ResourceId)] = t })
	return all, err
}

// eachTarget shows see the scalable targets of ECS services: those named, or all.
func (c *client) eachTarget(ctx context.Context, ids []string, see func(*scalable)) error {
	in := &applicationautoscaling.DescribeScalableTargetsInput{ServiceNamespace: types.ServiceNamespaceEcs, ResourceIds: ids,
		ScalableDimension: types.ScalableDimensionECSServiceDesiredCount}
	for pages := applicationautoscaling.NewDescribeScalableTargetsPaginator(c.scaling, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return c.conn.Classify(err, "read what scales ECS services")
		}
		for i := range page.ScalableTargets {
			see(&page.ScalableTargets[i])
		}
	}
	return nil
}

// readSchedules reads the scheduled actions of services: of one, or those of all
// and picks.
func (c *client) readSchedules(ctx context.Context, ids []string) (map[string]*[]scheduled, error) {
	in := &applicationautoscaling.DescribeScheduledActionsInput{ServiceNamespace: types.ServiceNamespaceEcs}
	if len(ids) == 1 {
		in.ResourceId = aws.String(ids[0])
		in.ScalableDimension = types.ScalableDimensionECSServiceDesiredCount
	}
	all := map[string]*[]scheduled{}
	for pages := applicationautoscaling.NewDescribeScheduledActionsPaginator(c.scaling, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, c.conn.Classify(err, "read the scheduled scaling of ECS services")
		}
		for _, s := range page.ScheduledActions {
			id := aws.ToString(s.ResourceId)
			if all[id] == nil {
				all[id] = new([]scheduled)
			}
			*all[id] = append(*all[id], s)
		}
	}
	return all, nil
}

// SuspendParams are the parameters of aws/autoscaling.suspend.
type SuspendParams struct{ key }

// A Suspension is the state of aws/autoscaling.suspend: which kinds of scaling
// are suspended.
type Suspension struct {
	DynamicIn  bool `json:"dynamicScalingIn"`
	DynamicOut bool `json:"dynamicScalingOut"`
	Scheduled  bool `json:"scheduledScaling"`
}

func suspensionOf(t *scalable) Suspension {
	s := t.SuspendedState
	if s == nil {
		return Suspension{}
	}
	return Suspension{aws.ToBool(s.DynamicScalingInSuspended), aws.ToBool(s.DynamicScalingOutSuspended), aws.ToBool(s.ScheduledScalingSuspended)}
}

func (s Suspension) all() bool { return s == Suspension{true, true, true} }

// suspend is the change aws/autoscaling.suspend.
//
// Whatever RegisterScalableTarget is called for, it also moves the number of
// tasks into the range between least and most: to suspend or resume while a
// service rests would start its tasks. So the change refuses to write while the
// number is outside of the range; in a closing it comes before the number goes
// down, and its undo after it is back. Source:
// https://docs.aws.amazon.com/autoscaling/application/APIReference/API_RegisterScalableTarget.html
type suspend struct {
	*client
	p    SuspendParams
	mark *action.Mark
}

func openSuspend(c *awsclient.Conn, p SuspendParams) (driver.Typed[Suspension], error) {
	s := &suspend{client: clientOf(c), p: p}
	s.expect(p.key)
	return s, nil
}

// Target implements driver.Typed.
func (s *suspend) Target() string { return s.conn.Target("autoscaling", s.p.String()) }

// Name implements awsclient.Thing.
func (s *suspend) Name() string { return "autoscaling of " + s.p.name() }

// Read implements awsclient.Thing.
func (s *suspend) Read(ctx context.Context) (*Suspension, awsclient.Tagger, error) {
	t, err := s.targets.Get(ctx, s.p.resourceID())
	if err != nil || t == nil {
		return nil, nil, err
	}
	now := suspensionOf(t)
	return &now, targetTags{s.client, t, s.Name()}, nil
}

// Observe implements driver.Typed.
func (s *suspend) Observe(ctx context.Context) (*Suspension, error) {
	return awsclient.Observe(ctx, s)
}

// Propose implements driver.Typed.
func (s *suspend) Propose(from *Suspension) (*Suspension, error) {
	if from == nil {
		return nil, s.conn.Missing("autoscaling of an ECS service", s.p.String(), "aws application-autoscaling describe-scalable-targets --service-namespace ecs", nil)
	}
	return &Suspension{true, true, true}, nil
}

// Apply implements driver.Typed.
func (s *suspend) Apply(ctx context.Context, from, to *Suspension) error {
	return awsclient.Apply(ctx, s, s.mark, from, to)
}

// fresh is how old a look may be that says whether a write would move the count:
// of many services that come to rest together one look is for all.
const fresh = time.Second

// Refuse implements awsclient.Refuser. The count and the range are looked at
// anew, as late as can be.
func (s *suspend) Refuse(ctx context.Context, to *Suspension) error {
	ctx = driver.WithBatch(ctx, driver.Batch{Since: time.Now().Add(-fresh), Size: driver.BatchOf(ctx).Size})
	service, err := s.service(ctx, s.p.key)
	if err != nil {
		return err
	}
	target, err := s.targets.Get(ctx, s.p.resourceID())
	if err != nil {
		return err
	}
	if service == nil || target == nil {
		return awsclient.Drifted(s.Name(), to, nil)
	}
	return s.clamps(service.DesiredCount, target)
}

// Write implements awsclient.Thing. All three flags are given: what is left out
// keeps its value, but a reader should not have to know.
func (s *suspend) Write(ctx context.Context, _, to *Suspension) error {
	_, err := s.scaling.RegisterScalableTarget(ctx, &applicationautoscaling.RegisterScalableTargetInput{
		ServiceNamespace: types.ServiceNamespaceEcs, ResourceId: aws.String(s.p.resourceID()), ScalableDimension: types.ScalableDimensionECSServiceDesiredCount,
		SuspendedState: &types.SuspendedState{DynamicScalingInSuspended: aws.Bool(to.DynamicIn), DynamicScalingOutSuspended: aws.Bool(to.DynamicOut), ScheduledScalingSuspended: aws.Bool(to.Scheduled)},
	})
	return s.conn.Classify(err, "change the "+s.Name())
}

// clamps fails if writing would move the number of tasks.
func (s *suspend) clamps(count int32, t *scalable) error {
	least, most := aws.ToInt32(t.MinCapacity), aws.ToInt32(t.MaxCapacity)
	if count >= least && count <= most {
		return nil
	}
	return &fault.Fault{Code: fault.CheckFailed, Summary: "autoscaling would move the number of tasks",
		Detail: fmt.Sprintf("%s has %d tasks, and its autoscaling keeps it between %d and %d: whoever suspends or resumes it now makes AWS scale it to %d at once. Nothing was written.",
			s.p.name(), count, least, most, min(max(count, least), most)),
		Try: []string{fmt.Sprintf("aws ecs update-service --cluster %s --service %s --region %s --desired-count %d   # once that is what you want; then try again",
			s.p.Cluster, s.p.Service, s.conn.Region(), min(max(count, least), most))}}
}

// Marked implements driver.TypedMarker.
func (s *suspend) Marked(m action.Mark) driver.Typed[Suspension] {
	return &suspend{s.client, s.p, &m}
}

// Fits implements driver.MarkLimiter.
func (s *suspend) Fits(ctx context.Context, m action.Mark) error {
	return awsclient.MarkFits(ctx, s, m)
}

// Requires implements action.Requirer. Application Auto Scaling knows ARNs of
// targets only by an id that it chooses.
func (s *suspend) Requires() []action.Permission {
	arn, why := s.conn.ARN("application-autoscaling", "scalable-target/*"), "keep it from scaling back what rests"
	need := []action.Permission{{System: system, Verb: "application-autoscaling:DescribeScalableTargets", Why: why}, s.permission("DescribeServices", s.p.key, why)}
	for _, verb := range []string{"RegisterScalableTarget", "ListTagsForResource", "TagResource", "UntagResource"} {
		need = append(need, action.Permission{System: system, Verb: "application-autoscaling:" + verb, Resource: arn, Why: why})
	}
	return need
}

// Describe implements driver.TypedDescriber.
func (s *suspend) Describe(from, to *Suspension) action.Description {
	line := "let " + s.Name() + " work as before"
	if to != nil && to.all() {
		line = "suspend the " + s.Name()
	}
	return awsclient.Describe(line, from, to)
}

// targetTags are the tags of a scalable target.
type targetTags struct {
	*client
	target *scalable
	name   string
}

// Tags implements awsclient.Tagger.
func (t targetTags) Tags(ctx context.Context) (map[string]string, error) {
	tags, err := t.tags.Get(ctx, aws.ToString(t.target.ScalableTargetARN))
	if err != nil {
		return nil, fmt.Errorf("the %s: %w", t.name, err)
	}
	return maps.Clone(*tags), nil
}

func (c *client) readTags(ctx context.Context, arns []string) (map[string]*map[string]string, error) {
	all := map[string]*map[string]string{}
	for _, arn := range arns {
		out, err := c.scaling.ListTagsForResource(ctx, &applicationautoscaling.ListTagsForResourceInput{ResourceARN: aws.String(arn)})
		if err != nil {
			return nil, c.conn.Classify(err, "read the tags of "+arn)
		}
		all[arn] = &out.Tags
	}
	return all, nil
}

// Tag implements awsclient.Tagger.
func (t targetTags) Tag(ctx context.Context, tags map[string]string) error {
	_, err := t.scaling.TagResource(ctx, &applicationautoscaling.TagResourceInput{ResourceARN: t.target.ScalableTargetARN, Tags: tags})
	return t.conn.Classify(err, "tag the "+t.name)
}

// Untag implements awsclient.Tagger.
func (t targetTags) Untag(ctx context.Context, keys []string) error {
	_, err := t.scaling.UntagResource(ctx, &applicationautoscaling.UntagResourceInput{ResourceARN: t.target.ScalableTargetARN, TagKeys: keys})
	return t.conn.Classify(err, "take noren's tags off the "+t.name)
}
