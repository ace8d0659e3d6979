package ecs

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// ScaleParams are the parameters of aws/ecs.scale.
type ScaleParams struct {
	key
	// To is how many tasks there are to be while it rests.
	To int32 `json:"to"`
}

// Validate says what is wrong.
func (p ScaleParams) Validate() error {
	if p.To < 0 {
		return fmt.Errorf("to: %d is less than none", p.To)
	}
	return p.key.Validate()
}

// steady matches what ECS said last of a service that has not moved since: no news
// while its tasks come and go.
var steady = regexp.MustCompile(`has reached a steady state`)

// A Count is the state of aws/ecs.scale.
type Count struct {
	DesiredCount int32 `json:"desiredCount"`
}

// scale is the change aws/ecs.scale. Another desired count begins no deployment.
// Source: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html
type scale struct {
	*client
	p    ScaleParams
	mark *action.Mark
}

func openScale(c *awsclient.Conn, p ScaleParams) (driver.Typed[Count], error) {
	s := &scale{client: clientOf(c), p: p}
	s.expect(p.key)
	return s, nil
}

// Target implements driver.Typed.
func (s *scale) Target() string { return s.conn.Target("ecs", s.p.String()) }

// Name implements awsclient.Thing.
func (s *scale) Name() string { return s.p.name() }

// Read implements awsclient.Thing.
func (s *scale) Read(ctx context.Context) (*Count, awsclient.Tagger, error) {
	service, err := s.service(ctx, s.p.key)
	if err != nil || service == nil {
		return nil, nil, err
	}
	return &Count{service.DesiredCount}, serviceTags{s.client, service, s.p.key}, nil
}

// Observe implements driver.Typed.
func (s *scale) Observe(ctx context.Context) (*Count, error) {
	return awsclient.Observe(ctx, s)
}

// Propose implements driver.Typed.
func (s *scale) Propose(from *Count) (*Count, error) {
	if from == nil {
		return nil, s.conn.Missing("ECS service", s.p.String(), "aws ecs list-services --cluster "+s.p.Cluster, nil)
	}
	return &Count{s.p.To}, nil
}

// Apply implements driver.Typed.
func (s *scale) Apply(ctx context.Context, from, to *Count) error {
	return awsclient.Apply(ctx, s, s.mark, from, to)
}

// Write implements awsclient.Thing.
func (s *scale) Write(ctx context.Context, _, to *Count) error {
	_, err := s.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String(s.p.Cluster), Service: aws.String(s.p.Service), DesiredCount: aws.Int32(to.DesiredCount)})
	return s.conn.Classify(err, "scale "+s.Name())
}

// Marked implements driver.TypedMarker.
func (s *scale) Marked(m action.Mark) driver.Typed[Count] { return &scale{s.client, s.p, &m} }

// Fits implements driver.MarkLimiter.
func (s *scale) Fits(ctx context.Context, m action.Mark) error {
	return awsclient.MarkFits(ctx, s, m)
}

// Requires implements action.Requirer.
func (s *scale) Requires() []action.Permission {
	why := "scale it for the work, and back"
	need := []action.Permission{s.permission("DescribeServices", s.p.key, why), s.permission("UpdateService", s.p.key, why)}
	for _, verb := range []string{"TagResource", "UntagResource"} {
		need = append(need, s.permission(verb, s.p.key, "note on it how many tasks it had"))
	}
	return need
}

// Describe implements driver.TypedDescriber.
func (s *scale) Describe(from, to *Count) action.Description {
	return awsclient.Describe(fmt.Sprintf("scale %s from %s to %s", s.Name(), from, to), from, to)
}

// String is a count as a person would say it.
func (c *Count) String() string {
	switch {
	case c == nil:
		return "nothing"
	case c.DesiredCount == 1:
		return "1 task"
	}
	return fmt.Sprintf("%d tasks", c.DesiredCount)
}

// Settled: as many tasks run as are desired, and none is on its way up. A task
// counts as running until it has been drained from its load balancer and has
// stopped.
func (s *scale) Settled(ctx context.Context, want *Count) (action.Verdict, error) {
	service, err := s.service(ctx, s.p.key)
	if err != nil {
		return action.Verdict{}, err
	}
	if service == nil {
		return action.Verdict{Summary: s.Name() + " does not exist", Findings: []string{"someone deleted it since"}}, nil
	}
	v := action.Verdict{Summary: s.Name() + " " + progress(service, want)}
	v.OK = service.DesiredCount == want.DesiredCount && service.RunningCount == want.DesiredCount && service.PendingCount == 0
	if v.OK {
		return v, nil
	}
	if service.DesiredCount != want.DesiredCount {
		v.Findings = append(v.Findings, fmt.Sprintf("its desired count is %d now", service.DesiredCount))
	}
	if len(service.Events) > 0 && !steady.MatchString(aws.ToString(service.Events[0].Message)) {
		v.Findings = append(v.Findings, "ECS says: "+oneLine(aws.ToString(service.Events[0].Message)))
	}
	v.Try = []string{fmt.Sprintf("aws ecs describe-services --cluster %s --services %s --region %s", s.p.Cluster, s.p.Service, s.conn.Region())}
	return v, nil
}

// progress says how far a service is: how many tasks run of those that shall, or
// how many still run that shall stop.
func progress(service *types.Service, want *Count) string {
	running := &Count{DesiredCount: service.RunningCount}
	text := fmt.Sprintf("runs %d of %s", service.RunningCount, want)
	if service.RunningCount > want.DesiredCount {
		text = fmt.Sprintf("still runs %s, and shall run %d", running, want.DesiredCount)
	}
	if service.PendingCount > 0 {
		text += fmt.Sprintf(", %d on the way up", service.PendingCount)
	}
	return text
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// serviceTags are the tags of a service as it was read.
type serviceTags struct {
	*client
	service *types.Service
	key     key
}

// Tags implements awsclient.Tagger. A service that AWS still calls by the short
// form of its ARN cannot have any. Source:
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-account-settings.html#ecs-resource-ids
func (t serviceTags) Tags(context.Context) (map[string]string, error) {
	if strings.Count(aws.ToString(t.service.ServiceArn), "/") < 2 {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "service cannot have tags",
			Detail: fmt.Sprintf("%s has an ARN of the old form (%s), to which ECS allows no tags, so that noren cannot note on it how many tasks it had. Nothing was touched.", t.key.name(), aws.ToString(t.service.ServiceArn)),
			Try:    []string{"aws ecs put-account-setting-default --name serviceLongArnFormat --value enabled   # then make the service anew"}}
	}
	all := map[string]string{}
	for _, tag := range t.service.Tags {
		all[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return all, nil
}

// Tag implements awsclient.Tagger.
func (t serviceTags) Tag(ctx context.Context, tags map[string]string) error {
	in := &ecs.TagResourceInput{ResourceArn: t.service.ServiceArn}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		in.Tags = append(in.Tags, types.Tag{Key: aws.String(k), Value: aws.String(tags[k])})
	}
	_, err := t.ecs.TagResource(ctx, in)
	return t.conn.Classify(err, "tag "+t.key.name())
}

// Untag implements awsclient.Tagger.
func (t serviceTags) Untag(ctx context.Context, keys []string) error {
	_, err := t.ecs.UntagResource(ctx, &ecs.UntagResourceInput{ResourceArn: t.service.ServiceArn, TagKeys: keys})
	return t.conn.Classify(err, "take noren's tags off "+t.key.name())
}
