package alb

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/aws/alb/albrules"
)

// Tags of noren's rules, beside those of the mark. tagRule says which rule of
// which curtain it is, "ID/N/SHIFT"; it is written when the rule is created and
// never changed. The console shows tagName as the rule's name.
const (
	tagRule = "noren:rule"
	tagName = "Name"
)

// tagsAtOnce is how many things one DescribeTags takes.
// Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTags.html
const tagsAtOnce = 20

// namesAtOnce is how many load balancers one DescribeLoadBalancers names.
// Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeLoadBalancers.html
const namesAtOnce = 20

// pageSize is the most that a page of a Describe call may have.
const pageSize = 400

// An account is what the parts of one connection share.
type account struct {
	conn   *awsclient.Conn
	client *elb.Client

	mu sync.Mutex
	// own says of rules whose tags were read what they are: nil is not noren's.
	// A rule's ARN is never given to another one.
	own       map[string]*albrules.Own
	listeners map[string]*watched // by ARN
	quota     int                 // as AWS told it, 0 if nobody asked yet

	balancers   *awsclient.Together[loadBalancer] // by name or ARN
	listenersBy *awsclient.Together[[]door]       // by the load balancer's ARN
	quotas      *awsclient.Together[int]          // by AWS's name
}

// A watched listener is read and written by one change at a time.
type watched struct {
	turn chan struct{} // holds one token
	read albrules.Listener
	at   time.Time // when read was begun
}

func accountOf(c *awsclient.Conn) *account {
	return awsclient.Shared(c, func(c *awsclient.Conn) *account {
		a := &account{conn: c, client: elb.NewFromConfig(c.AWS), own: map[string]*albrules.Own{}, listeners: map[string]*watched{}}
		a.balancers = &awsclient.Together[loadBalancer]{Most: namesAtOnce, Read: a.readBalancers}
		a.listenersBy = &awsclient.Together[[]door]{Most: 1, Read: a.readDoors}
		a.quotas = &awsclient.Together[int]{Most: 1, Read: a.readQuota}
		return a
	})
}

func (a *account) watched(arn string) *watched {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := a.listeners[arn]
	if w == nil {
		w = &watched{turn: make(chan struct{}, 1)}
		w.turn <- struct{}{}
		a.listeners[arn] = w
	}
	return w
}

// take waits for the turn at a listener: other closings on it may be under way.
func (w *watched) take(ctx context.Context) (release func(), err error) {
	select {
	case <-w.turn:
		return func() { w.turn <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for another change of the same listener: %w: %w", action.ErrUnavailable, context.Cause(ctx))
	}
}

// A door names a listener.
type door struct {
	arn, name string // name is for people: "listener shop:443"
	port      int
	protocol  string
}

// listener reads a listener's rules. Looks of a batch share an answer. The zero
// Listener stands for one that does not exist.
func (a *account) listener(ctx context.Context, d door) (albrules.Listener, error) {
	w := a.watched(d.arn)
	release, err := w.take(ctx)
	if err != nil {
		return albrules.Listener{}, err
	}
	defer release()
	return a.listenerIn(ctx, w, d)
}

// listenerIn is listener for who has the turn.
func (a *account) listenerIn(ctx context.Context, w *watched, d door) (albrules.Listener, error) {
	if b := driver.BatchOf(ctx); b.Many() && !w.at.Before(b.Since) {
		return w.read, nil
	}
	begun := time.Now()
	l, err := a.rules(ctx, d)
	if err != nil {
		return albrules.Listener{}, err
	}
	w.read, w.at = l, begun
	return l, nil
}

func (a *account) rules(ctx context.Context, d door) (albrules.Listener, error) {
	l := albrules.Listener{ARN: d.arn, Port: d.port, Protocol: d.protocol}
	if _, err := a.conn.Account(ctx); err != nil { // another than the configuration says
		return l, err
	}
	var all []types.Rule
	pages := elb.NewDescribeRulesPaginator(a.client, &elb.DescribeRulesInput{ListenerArn: aws.String(d.arn), PageSize: aws.Int32(pageSize)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if awsclient.IsCode(err, "ListenerNotFound") {
			return albrules.Listener{}, nil
		}
		if err != nil {
			return l, a.conn.Classify(err, "read the rules of "+d.name)
		}
		all = append(all, page.Rules...)
	}
	var arns []string
	for _, r := range all {
		p, ok := placed(r)
		if !ok {
			l.Default = p.Actions
			continue
		}
		l.Rules = append(l.Rules, p)
		arns = append(arns, p.ARN)
	}
	own, err := a.ownOf(ctx, d.name, arns)
	if err != nil {
		return l, err
	}
	for i := range l.Rules {
		l.Rules[i].Own = own[l.Rules[i].ARN]
	}
	l.Sorted()
	return l, nil
}

// ownOf tells which of the rules are noren's. Only those not met before are
// asked about.
func (a *account) ownOf(ctx context.Context, of string, arns []string) (map[string]*albrules.Own, error) {
	out := map[string]*albrules.Own{}
	var unknown []string
	a.mu.Lock()
	for _, arn := range arns {
		if own, known := a.own[arn]; known {
			out[arn] = own
		} else {
			unknown = append(unknown, arn)
		}
	}
	a.mu.Unlock()
	tags, err := a.tags(ctx, "the rules of "+of, unknown)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, arn := range unknown {
		out[arn] = ownIn(tags[arn])
		a.own[arn] = out[arn]
	}
	return out, nil
}

// tags reads the tags of things of one kind, by ARN.
func (a *account) tags(ctx context.Context, of string, arns []string) (map[string]map[string]string, error) {
	out := map[string]map[string]string{}
	for some := range slices.Chunk(arns, tagsAtOnce) {
		answer, err := a.client.DescribeTags(ctx, &elb.DescribeTagsInput{ResourceArns: some})
		if awsclient.IsCode(err, "RuleNotFound", "LoadBalancerNotFound", "ListenerNotFound") {
			return nil, fmt.Errorf("read the tags of %s: one of them has just been deleted: %w: %w: %w", of, action.ErrUnavailable, driver.ErrOutdated, awsclient.Plain(err))
		}
		if err != nil {
			return nil, a.conn.Classify(err, "read the tags of "+of)
		}
		for _, d := range answer.TagDescriptions {
			tags := map[string]string{}
			for _, t := range d.Tags {
				tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
			}
			out[aws.ToString(d.ResourceArn)] = tags
		}
	}
	return out, nil
}

// ownIn reads which rule of noren's it is from its tags, nil if it is none.
func ownIn(tags map[string]string) *albrules.Own {
	parts := strings.Split(tags[tagRule], "/")
	if len(parts) != 3 {
		return nil
	}
	n, errN := strconv.Atoi(parts[1])
	shift, errShift := strconv.Atoi(parts[2])
	if errN != nil || errShift != nil {
		return nil
	}
	return &albrules.Own{ID: parts[0], N: n, Shift: shift, Name: strings.TrimPrefix(tags[tagName], albrules.Label(""))}
}

// ownTags are the tags of a new rule, those of its mark aside.
func ownTags(o albrules.Own) map[string]string {
	return map[string]string{tagRule: fmt.Sprintf("%s/%d/%d", o.ID, o.N, o.Shift), tagName: albrules.Label(o.Name)}
}

func tagList(tags map[string]string) []types.Tag {
	var out []types.Tag
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, types.Tag{Key: aws.String(key), Value: aws.String(tags[key])})
	}
	return out
}

// do makes one call.
func (a *account) do(ctx context.Context, d door, s albrules.Step, mark map[string]string) error {
	switch {
	case s.Create != nil:
		return a.create(ctx, d, *s.Create, mark)
	case s.Delete != "":
		_, err := a.client.DeleteRule(ctx, &elb.DeleteRuleInput{RuleArn: aws.String(s.Delete)})
		if awsclient.IsCode(err, "RuleNotFound") {
			return nil // whose answer was lost, or deleted by another
		}
		return a.conn.Classify(err, "delete a rule of noren's from "+d.name)
	}
	var pairs []types.RulePriorityPair
	for _, o := range s.Order {
		pairs = append(pairs, types.RulePriorityPair{RuleArn: aws.String(o.ARN), Priority: aws.Int32(int32(o.Priority))})
	}
	_, err := a.client.SetRulePriorities(ctx, &elb.SetRulePrioritiesInput{RulePriorities: pairs})
	return a.outdated(err, "order the rules of "+d.name)
}

func (a *account) create(ctx context.Context, d door, c albrules.Create, mark map[string]string) error {
	tags := ownTags(c.Own)
	maps.Copy(tags, mark)
	made, err := a.client.CreateRule(ctx, &elb.CreateRuleInput{
		ListenerArn: aws.String(d.arn), Priority: aws.Int32(int32(c.Priority)),
		Conditions: conditionsFor(c.Conditions), Actions: actionsFor(c.Actions), Transforms: transformsFor(c.Transforms), Tags: tagList(tags),
	})
	what := fmt.Sprintf("create a rule (%s) on %s", albrules.Label(c.Name), d.name)
	if awsclient.IsCode(err, "TooManyRules") {
		return fmt.Errorf("%w: %w", quotaReached(d.name, a.quota), awsclient.Plain(err))
	}
	if err := a.outdated(err, what); err != nil {
		return err
	}
	for _, r := range made.Rules {
		own := c.Own
		a.mu.Lock()
		a.own[aws.ToString(r.RuleArn)] = &own
		a.mu.Unlock()
	}
	return nil
}

// outdated says that a call is to be prepared anew where the listener is not as
// it was read: another has taken a priority or deleted a rule, or it was this
// very call, made before, whose answer was lost.
func (a *account) outdated(err error, what string) error {
	if awsclient.IsCode(err, "PriorityInUse", "RuleNotFound") {
		return fmt.Errorf("%s: %w: %w: %w", what, action.ErrUnavailable, driver.ErrOutdated, awsclient.Plain(err))
	}
	return a.conn.Classify(err, what)
}

// ruleQuota is how many rules a load balancer may have: as the catalog says,
// else as AWS does, else AWS's default.
func (a *account) ruleQuota(ctx context.Context, said int) int {
	a.mu.Lock()
	known := cmp.Or(said, a.quota)
	a.mu.Unlock()
	if known > 0 {
		return known
	}
	quota, err := a.quotas.Get(ctx, quotaName)
	if err != nil {
		return albrules.MaxRules
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.quota = *quota
	return *quota
}

// quotaName is AWS's name for how many rules a load balancer may have.
const quotaName = "rules-per-application-load-balancer"

func (a *account) readQuota(ctx context.Context, _ []string) (map[string]*int, error) {
	quota := albrules.MaxRules
	answer, err := a.client.DescribeAccountLimits(ctx, &elb.DescribeAccountLimitsInput{PageSize: aws.Int32(pageSize)})
	if err == nil { // who may not ask is told of the default, and of the option
		for _, l := range answer.Limits {
			if n, err := strconv.Atoi(aws.ToString(l.Max)); err == nil && aws.ToString(l.Name) == quotaName {
				quota = n
			}
		}
	}
	return map[string]*int{quotaName: &quota}, nil
}
