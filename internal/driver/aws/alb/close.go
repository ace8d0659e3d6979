package alb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/aws/alb/albrules"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/page"
)

// CloseParams are the rules to put in front of one listener's own.
type CloseParams struct {
	// LoadBalancer is its name; Listener is the listener's ARN.
	LoadBalancer string `json:"loadBalancer"`
	Listener     string `json:"listener"`
	Port         int    `json:"port"`
	Protocol     string `json:"protocol"`
	// Service says for people which part of the listener is closed, "" for all.
	Service string           `json:"service,omitempty"`
	Curtain albrules.Curtain `json:"curtain"`
}

// Validate says what is missing.
func (p CloseParams) Validate() error {
	if p.LoadBalancer == "" || p.Listener == "" || p.Curtain.ID == "" || len(p.Curtain.Rules) == 0 {
		return errors.New("loadBalancer, listener and a curtain with its id and rules are needed")
	}
	return nil
}

func (p CloseParams) door() door {
	return door{arn: p.Listener, name: fmt.Sprintf("listener %s:%d", p.LoadBalancer, p.Port), port: p.Port, protocol: p.Protocol}
}

// A State is what stands on a listener of one curtain of noren's. The user's
// rules are not in it: where they had to be shifted, they are shifted back with
// the last curtain, each to its own priority.
type State struct {
	// Rules are noren's, in order.
	Rules []albrules.Named `json:"rules,omitempty"`
	// Unfinished says what is neither in front of the user's rules nor away.
	Unfinished string `json:"unfinished,omitempty"`
}

type closeChange struct {
	account *account
	p       CloseParams
	mark    *action.Mark
}

func openClose(c *awsclient.Conn, p CloseParams) (driver.Typed[State], error) {
	return &closeChange{account: accountOf(c), p: p}, nil
}

// Target implements driver.Typed.
func (c *closeChange) Target() string {
	return target(c.account.conn.Env.Name, fmt.Sprintf("%s:%d", c.p.LoadBalancer, c.p.Port), c.p.Service)
}

// target is "aws:prod/alb/shop:443/shop.example.com".
func target(env, what, service string) string {
	out := fmt.Sprintf("aws:%s/alb/%s", env, what)
	if service != "" {
		out += "/" + service
	}
	return out
}

// Marked implements driver.TypedMarker.
func (c *closeChange) Marked(m action.Mark) driver.Typed[State] {
	marked := *c
	marked.mark = &m
	return &marked
}

// Fits fails if a rule cannot carry the mark in its tags.
func (c *closeChange) Fits(_ context.Context, m action.Mark) error {
	return awsclient.Fits("a rule of "+c.p.door().name, ownTags(albrules.Own{}), m, 1)
}

// Requires implements action.Requirer.
func (c *closeChange) Requires() []action.Permission {
	lb := loadBalancerOf(c.p.Listener)
	need := reads()
	for _, w := range []struct{ verb, resource, why string }{
		{"CreateRule", c.p.Listener, "put the page's rules in front"},
		{"AddTags", ruleOf(c.p.Listener), "note on noren's rules what was there before"},
		{"RemoveTags", ruleOf(c.p.Listener), "renew that note when the closing is extended"},
		{"SetRulePriorities", ruleOf(c.p.Listener), "bring noren's rules to the front, and back"},
		{"ModifyRule", ruleOf(c.p.Listener), "renew the page when the closing is extended"},
		{"DeleteRule", ruleOf(c.p.Listener), "take noren's rules away"},
	} {
		need = append(need, action.Permission{System: system, Verb: iam + w.verb, Resource: w.resource, Name: lb, Why: w.why})
	}
	return need
}

// Observe implements driver.Typed.
func (c *closeChange) Observe(ctx context.Context) (*State, error) {
	l, err := c.account.listener(ctx, c.p.door())
	if err != nil || l.ARN == "" {
		return nil, err
	}
	return c.stateOf(l), nil
}

func (c *closeChange) stateOf(l albrules.Listener) *State {
	s := &State{}
	own := l.Of(c.p.Curtain.ID)
	for _, p := range own {
		if p.Own.N != albrules.Shield {
			s.Rules = append(s.Rules, albrules.Named{Name: p.Own.Name, Rule: p.Rule})
		}
	}
	switch {
	case c.p.Curtain.Abandoned(l):
		s.Unfinished = fmt.Sprintf("its own rules stand %d behind their priorities, and noren's were deleted by someone else", c.p.Curtain.Shift)
	case len(own) > 0 && !c.p.Curtain.InFront(l):
		s.Unfinished = fmt.Sprintf("%d of %d rules are there, not all of them in front", len(s.Rules), len(c.p.Curtain.Rules))
	}
	return s
}

// Propose implements driver.Typed.
func (c *closeChange) Propose(from *State) (*State, error) {
	to := &State{Rules: c.p.Curtain.Rules}
	if from == nil {
		return nil, &fault.Fault{Code: fault.NotFound, Summary: "listener does not exist", Detail: fmt.Sprintf("There is no %s (%s).", c.p.door().name, c.p.Listener)}
	}
	if (len(from.Rules) > 0 || from.Unfinished != "") && !same(from, to) {
		return nil, &fault.Fault{Code: fault.Locked, Summary: "closed by another run",
			Detail: fmt.Sprintf("On %s there are rules that no run of this state directory put up.", c.p.door().name),
			Try:    []string{"noren leftovers --env " + c.account.conn.Env.Name}, Err: action.ErrDrift}
	}
	return to, nil
}

// justSeen is how old the look may be from which a write is prepared.
const justSeen = 500 * time.Millisecond

// Apply implements driver.Typed. The calls are not one transaction: after each
// of them the listener is open or closed, and calling Apply again carries on.
func (c *closeChange) Apply(ctx context.Context, from, to *State) error {
	w := c.account.watched(c.p.Listener)
	release, err := w.take(ctx)
	if err != nil {
		return err
	}
	defer release()
	// Who writes looks for itself, unless the change before it on this listener has
	// just seen what it left.
	ctx = driver.WithBatch(ctx, driver.Batch{Since: time.Now().Add(-justSeen), Size: driver.BatchOf(ctx).Size})
	// Every round of calls brings it nearer. Another who works on the listener
	// at the same time may take it back; then it is better to say so.
	const rounds = 12
	for range rounds {
		steps, err := c.next(ctx, w, from, to)
		if err != nil || len(steps) == 0 {
			return err
		}
		w.at = time.Time{}
		for _, step := range steps {
			if err := step(ctx); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("%s does not stay as noren leaves it: %w", c.p.door().name, action.ErrUnavailable)
}

// next reads the listener, refuses drift, and returns the calls to be made.
func (c *closeChange) next(ctx context.Context, w *watched, from, to *State) ([]func(context.Context) error, error) {
	l, err := c.account.listenerIn(ctx, w, c.p.door())
	if err != nil {
		return nil, err
	}
	now := c.stateOf(l)
	switch {
	case l.ARN == "":
		return nil, c.drifted("does not exist any more")
	case same(now, to):
		return nil, nil
	}
	if found := c.foreign(l, from, to); found != "" {
		return nil, c.drifted(found)
	}
	mark, err := c.markTags(to)
	if err != nil {
		return nil, err
	}
	curtain := c.p.Curtain
	var steps []albrules.Step
	switch {
	case len(rulesOf(to)) == 0:
		steps, err = curtain.Down(l)
	case len(rulesOf(from)) == 0 || len(now.Rules) < len(to.Rules) || !curtain.InFront(l):
		curtain.Rules = to.Rules
		steps, err = curtain.Up(l)
	default:
		return c.renewal(l, to, mark), nil
	}
	var calls []func(context.Context) error
	for _, s := range steps {
		calls = append(calls, func(ctx context.Context) error { return c.account.do(ctx, c.p.door(), s, mark) })
	}
	return calls, err
}

func rulesOf(s *State) []albrules.Named {
	if s == nil {
		return nil
	}
	return s.Rules
}

// foreign says which of noren's rules on the listener is in neither state, "" if
// none: unfinished work of its own is not drift.
func (c *closeChange) foreign(l albrules.Listener, from, to *State) string {
	for _, p := range l.Of(c.p.Curtain.ID) {
		if p.Own.N == albrules.Shield {
			continue
		}
		is := func(s *State) bool {
			return slices.ContainsFunc(rulesOf(s), func(r albrules.Named) bool { return r.Name == p.Own.Name && r.Equal(p.Rule) })
		}
		if !is(from) && !is(to) {
			return fmt.Sprintf("has a rule of noren's at priority %d (%s) that is not as noren made it", p.Priority, albrules.Label(p.Own.Name))
		}
	}
	return ""
}

func (c *closeChange) drifted(found string) error {
	return &fault.Fault{Code: fault.Drift, Summary: "target has drifted", Err: action.ErrDrift,
		Detail: fmt.Sprintf("%s %s: someone else changed it. Nothing was written.", c.p.door().name, found),
		Try:    []string{"aws elbv2 describe-rules --listener-arn " + c.p.Listener}}
}

// renewal makes the rules say what they do in the state to, in place: the mark
// first, so that what is changed always carries one.
func (c *closeChange) renewal(l albrules.Listener, to *State, mark map[string]string) []func(context.Context) error {
	var calls []func(context.Context) error
	for _, p := range l.Of(c.p.Curtain.ID) {
		if p.Own.N < 0 || p.Own.N >= len(to.Rules) || p.Equal(to.Rules[p.Own.N].Rule) {
			continue
		}
		calls = append(calls, func(ctx context.Context) error { return c.account.remark(ctx, c.p.door(), p.ARN, mark) },
			func(ctx context.Context) error {
				_, err := c.account.client.ModifyRule(ctx, &elb.ModifyRuleInput{RuleArn: aws.String(p.ARN), Actions: actionsFor(to.Rules[p.Own.N].Actions)})
				return c.account.outdated(err, "renew the page on "+c.p.door().name)
			})
	}
	return calls
}

// remark writes a rule's mark over the one that it has.
func (a *account) remark(ctx context.Context, d door, arn string, mark map[string]string) error {
	have, err := a.tags(ctx, d.name, []string{arn})
	if err != nil {
		return err
	}
	what := "note on a rule of " + d.name
	if len(mark) > 0 {
		if _, err := a.client.AddTags(ctx, &elb.AddTagsInput{ResourceArns: []string{arn}, Tags: tagList(mark)}); err != nil {
			return a.outdated(err, what)
		}
	}
	surplus := slices.DeleteFunc(awsclient.MarkKeys(have[arn]), func(key string) bool { _, kept := mark[key]; return kept })
	if len(surplus) == 0 {
		return nil
	}
	_, err = a.client.RemoveTags(ctx, &elb.RemoveTagsInput{ResourceArns: []string{arn}, TagKeys: surplus})
	return a.outdated(err, what)
}

// markTags are the mark's tags, none where there is no mark, or where it goes
// since its change is taken back.
func (c *closeChange) markTags(to *State) (map[string]string, error) {
	if c.mark == nil {
		return nil, nil
	}
	var from State
	if len(rulesOf(to)) > 0 && json.Unmarshal(c.mark.Receipt.From.Fields, &from) == nil && same(&from, to) {
		return nil, nil
	}
	return awsclient.Tags(*c.mark)
}

// Between implements driver.TypedMidway: every rule of noren's that is there is as
// it is in one of the states, up to its page. Of an extension that was cut off, the
// newest mark tells the page that was to come, and not the one that is there.
func (c *closeChange) Between(now, a, b *State) bool {
	if now == nil || now.Unfinished == "" && len(now.Rules) == 0 {
		return false
	}
	return !slices.ContainsFunc(now.Rules, func(r albrules.Named) bool {
		is := func(have albrules.Named) bool { return have.Name == r.Name && samePage(have, r) }
		return !slices.ContainsFunc(rulesOf(a), is) && !slices.ContainsFunc(rulesOf(b), is)
	})
}

// samePage tells whether two rules are the same, or would be if they answered with
// the same page of noren's.
func samePage(a, b albrules.Named) bool {
	x, y := albrules.Responds(a.Actions), albrules.Responds(b.Actions)
	if x == nil || y == nil || markIn(x.Body) == "" || markIn(y.Body) == "" {
		return a.Equal(b.Rule)
	}
	page := *y
	page.Body = x.Body
	b.Actions = []albrules.Action{{Type: albrules.TypeFixed, Fixed: &page}}
	return a.Equal(b.Rule)
}

// Settled implements driver.TypedWaiter: the rules read back as they were
// written. That they are seen is for the probe to say, since a load balancer
// does not tell when they have reached all its nodes.
func (c *closeChange) Settled(ctx context.Context, want *State) (action.Verdict, error) {
	now, err := c.Observe(ctx)
	if err != nil {
		return action.Verdict{}, err
	}
	name := c.p.door().name
	if same(now, want) {
		if len(rulesOf(want)) > 0 {
			return action.Verdict{OK: true, Summary: "the page's rules are in front of " + name}, nil
		}
		return action.Verdict{OK: true, Summary: "the page's rules are off " + name}, nil
	}
	v := action.Verdict{Summary: name + " does not read as it was written", Try: []string{"aws elbv2 describe-rules --listener-arn " + c.p.Listener}}
	if now != nil && now.Unfinished != "" {
		v.Findings = []string{now.Unfinished}
	}
	return v, nil
}

// Describe implements driver.TypedDescriber.
func (c *closeChange) Describe(from, to *State) action.Description {
	d := action.Description{Before: c.manifest(from), After: c.manifest(to)}
	name := c.p.door().name
	if c.p.Service != "" {
		name += " for " + c.p.Service
	}
	switch put, gone := len(rulesOf(to)), len(rulesOf(from)); {
	case put == 1 && gone == 0:
		d.Line = "put a rule in front of " + name
	case put > gone:
		d.Line = fmt.Sprintf("put %d rules in front of %s", put, name)
	case gone > put:
		d.Line = "take noren's rules off " + name
	case !same(from, to):
		d.Line = "renew the page on " + name
	default:
		d.Line = "leave " + name + " as it is"
	}
	return d
}

// manifest shows the rules as who-sees would put them, a line for each, and each
// page once.
func (c *closeChange) manifest(s *State) string {
	if s == nil || len(s.Rules) == 0 && s.Unfinished == "" {
		return ""
	}
	var out strings.Builder
	fmt.Fprintf(&out, "rules in front of %s:\n", c.p.door().name)
	if s.Unfinished != "" {
		fmt.Fprintf(&out, "  # unfinished: %s\n", s.Unfinished)
	}
	var pages []string
	for _, r := range s.Rules {
		fmt.Fprintf(&out, "  - %s: %s\n", r.Name, redact(r.Line(markIn)))
		if f := albrules.Responds(r.Actions); f != nil && !slices.Contains(pages, f.Body) {
			pages = append(pages, f.Body)
		}
	}
	for _, body := range pages {
		fmt.Fprintf(&out, "page:\n  %s\n", strings.ReplaceAll(body, "\n", "\n  "))
	}
	return out.String()
}

// secrets match a pass in a line: the value of the pass's header, and what
// follows the name of its cookie.
var secrets = []*regexp.Regexp{
	regexp.MustCompile(`(header ` + edge.PassHeader + ` )[^\s,]+()`),
	regexp.MustCompile(`(` + edge.PassCookie + `=)[^*\s,]*(\*?)`),
}

func redact(text string) string {
	for _, s := range secrets {
		text = s.ReplaceAllString(text, "${1}•••${2}")
	}
	return text
}

// Shows implements driver.TypedRenewer.
func (c *closeChange) Shows(s *State, marks []string) (driver.Room, bool) {
	shows := slices.ContainsFunc(s.Rules, func(r albrules.Named) bool { return bears(r, marks) })
	return driver.Room{Limit: albrules.MaxBody}, shows
}

// bears tells whether a rule answers with a page of one of the marks.
func bears(r albrules.Named, marks []string) bool {
	f := albrules.Responds(r.Actions)
	return f != nil && slices.Contains(marks, markIn(f.Body))
}

// Renew implements driver.TypedRenewer.
func (c *closeChange) Renew(s *State, fresh edge.Response, marks []string) (*State, error) {
	fixed := albrules.Page(fresh)
	if limits := fixed.Limits(); len(limits) > 0 {
		return nil, pageRefused(limits)
	}
	out := *s
	out.Rules = slices.Clone(s.Rules)
	for i, r := range out.Rules {
		if bears(r, marks) {
			out.Rules[i].Actions = []albrules.Action{{Type: albrules.TypeFixed, Fixed: fixed}}
		}
	}
	return &out, nil
}

func pageRefused(limits []string) error {
	return &fault.Fault{Code: fault.Invalid, Summary: "page does not fit the load balancer",
		Detail: fmt.Sprintf("The closed page cannot be put into a listener rule: %s.", strings.Join(limits, "; ")), Try: []string{"noren page check"}}
}

// markIn finds noren's token in a page, "" if there is none.
func markIn(body string) string {
	mark, _ := page.MarkIn([]byte(body))
	return mark
}

// same compares what the states say.
func same(a, b *State) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Unfinished == b.Unfinished && slices.EqualFunc(a.Rules, b.Rules, func(x, y albrules.Named) bool { return x.Name == y.Name && x.Equal(y.Rule) })
}
