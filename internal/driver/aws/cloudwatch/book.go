package cloudwatch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/mute"
)

// book is the alarm mute rules of an account and region. A rule has its name from
// who makes it, and to put one again is to change it: with the name made of a mute's
// key, noren never makes two of one.
type book struct {
	conn *awsclient.Conn
	api  *sdk.Client
	now  func() time.Time
}

func newBook(c *awsclient.Conn) *book {
	return &book{c, sdk.NewFromConfig(c.AWS), c.Env.Clock()}
}

const (
	// prefix begins the name of every rule of noren's, and of nobody else's.
	prefix = "noren-"
	// notFound is the code for a rule that is not there; the model has both.
	notFound, notFoundToo = "ResourceNotFoundException", "ResourceNotFound"
	// recurring is the type of a rule that mutes again and again.
	recurring = "RECURRING"
	// lead is how far ahead a rule has to begin, so that CloudWatch has it by then.
	lead = 15 * time.Second
)

// nameOf is the name of noren's rule with that key, or of a colleague's in a test.
func nameOf(text string) string {
	key := mute.Key(text)
	if key == "" {
		key = text
	}
	sum := sha256.Sum256([]byte(key))
	readable := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '-'
	}, strings.Trim(strings.TrimPrefix(key, "[noren:"), "]"))
	return prefix + readable[:min(len(readable), 100)] + "-" + hex.EncodeToString(sum[:6])
}

// List implements mute.Book: every rule that mutes or will, and those of noren's
// that have ended and are still there.
func (b *book) List(ctx context.Context) ([]mute.Entry[What], error) {
	var out []mute.Entry[What]
	for pages := sdk.NewListAlarmMuteRulesPaginator(b.api, &sdk.ListAlarmMuteRulesInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, b.conn.Classify(err, "list alarm mute rules")
		}
		for _, s := range page.AlarmMuteRuleSummaries {
			_, name, _ := strings.Cut(aws.ToString(s.AlarmMuteRuleArn), ":alarm-mute-rule:")
			if name == "" || s.Status == types.AlarmMuteRuleStatusExpired && !strings.HasPrefix(name, prefix) {
				continue
			}
			if aws.ToString(s.MuteType) == recurring { // meant so, and there may be many
				out = append(out, mute.Entry[What]{ID: name, Recurring: true})
				continue
			}
			e, err := b.read(ctx, name)
			if err != nil {
				return nil, err
			}
			if e != nil {
				out = append(out, *e)
			}
		}
	}
	return out, nil
}

// Find implements mute.Finder. Whoever rewrote its description has not made it
// somebody else's.
func (b *book) Find(ctx context.Context, key string) ([]mute.Entry[What], error) {
	e, err := b.read(ctx, nameOf(key))
	if err != nil || e == nil {
		return nil, err
	}
	if mute.Key(e.Text) != key {
		e.Text = key + " " + e.Text
	}
	return []mute.Entry[What]{*e}, nil
}

// read returns a rule, nil if there is none of that name.
func (b *book) read(ctx context.Context, name string) (*mute.Entry[What], error) {
	out, err := b.api.GetAlarmMuteRule(ctx, &sdk.GetAlarmMuteRuleInput{AlarmMuteRuleName: aws.String(name)})
	if awsclient.IsCode(err, notFound, notFoundToo) {
		return nil, nil
	}
	if err != nil {
		return nil, b.conn.Classify(err, "read alarm mute rule "+name)
	}
	e := &mute.Entry[What]{ID: name, Text: aws.ToString(out.Description), Active: out.Status == types.AlarmMuteRuleStatusActive}
	if strings.HasSuffix(e.Text, continued) && strings.HasPrefix(name, prefix) {
		if e.Text, err = b.whole(ctx, name, aws.ToString(out.AlarmMuteRuleArn), e.Text); err != nil {
			return nil, err
		}
	}
	if out.MuteTargets != nil {
		e.What = whatOf(out.MuteTargets.AlarmNames)
	}
	e.Since, e.Until, e.Recurring = windowOf(out.Rule, out.StartDate, out.ExpireDate)
	return e, nil
}

// Create implements mute.Book. A rule begins on a whole minute: the next one, since
// nothing is said of a window whose beginning has passed.
func (b *book) Create(ctx context.Context, e mute.Entry[What]) error {
	return b.put(ctx, nameOf(e.Text), e, b.begin(), tagsOf(e.Text))
}

func (b *book) begin() time.Time {
	return b.now().Add(lead + time.Minute - 1).UTC().Truncate(time.Minute)
}

// Change implements mute.Book. The window goes on from where it began, so that no
// alarm rings meanwhile, unless it is over.
func (b *book) Change(ctx context.Context, have, want mute.Entry[What]) error {
	begin := have.Since
	if !have.Until.After(b.now()) {
		begin = b.begin()
	}
	want.What = have.What
	if tags := tagsOf(want.Text); len(tags) > 0 {
		// Of tags in a call that changes a rule AWS says nothing: they go first, so that
		// what is changed carries its mark.
		if err := b.tag(ctx, have.ID, tags); err != nil {
			return err
		}
	}
	return b.put(ctx, have.ID, want, begin, nil)
}

func (b *book) put(ctx context.Context, name string, e mute.Entry[What], begin time.Time, tags []types.Tag) error {
	switch d := e.Until.Sub(begin); {
	case d < time.Minute:
		return &fault.Fault{Code: fault.Invalid, Summary: "mute would end before it begins",
			Detail: fmt.Sprintf("An alarm mute rule of CloudWatch begins on a whole minute, this one at %s, and would end at %s.", begin.Format(time.TimeOnly), e.Until.Format(time.TimeOnly))}
	case d > longest:
		return &fault.Fault{Code: fault.Invalid, Summary: "closed for longer than a mute lasts",
			Detail: fmt.Sprintf("Alarm mute rule %s began on %s, and CloudWatch lets it last for %d days at most.", name, begin.Format(time.DateTime), longest/(24*time.Hour))}
	}
	_, err := b.api.PutAlarmMuteRule(ctx, &sdk.PutAlarmMuteRuleInput{Name: aws.String(name), Description: aws.String(descriptionOf(e.Text)),
		Rule: scheduleOf(begin, e.Until), MuteTargets: &types.MuteTargets{AlarmNames: e.What.Alarms}, Tags: tags})
	if awsclient.IsCode(err, "LimitExceededFault", "LimitExceeded", "LimitExceededException") {
		return &fault.Fault{Code: fault.Invalid, Summary: "too many alarm mute rules", Err: err,
			Detail: fmt.Sprintf("CloudWatch takes no more alarm mute rules in %s: those that have expired can be deleted.", b.conn.Region()),
			Try:    []string{"aws cloudwatch list-alarm-mute-rules --statuses EXPIRED --region " + b.conn.Region()}}
	}
	return b.conn.Classify(err, "write alarm mute rule "+name)
}

// Remove implements mute.Book. AWS calls it no error where there is none.
func (b *book) Remove(ctx context.Context, e mute.Entry[What]) error {
	_, err := b.api.DeleteAlarmMuteRule(ctx, &sdk.DeleteAlarmMuteRuleInput{AlarmMuteRuleName: aws.String(e.ID)})
	if awsclient.IsCode(err, notFound, notFoundToo) {
		return nil
	}
	return b.conn.Classify(err, "delete alarm mute rule "+e.ID)
}

// Settled implements mute.Settler: CloudWatch says that it mutes.
func (b *book) Settled(e mute.Entry[What]) (bool, string) {
	if e.Active {
		return true, "CloudWatch mutes the alarms"
	}
	return false, fmt.Sprintf("CloudWatch has the rule and does not mute yet; it begins at %s", e.Since.Format("15:04 MST"))
}

// ByHand implements mute.Book.
func (b *book) ByHand(e mute.Entry[What]) string {
	name := e.ID
	if !plainName.MatchString(name) {
		name = "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
	}
	return fmt.Sprintf("aws cloudwatch delete-alarm-mute-rule --alarm-mute-rule-name %s --region %s", name, b.conn.Region())
}

// plainName is a name that a shell takes as it is.
var plainName = regexp.MustCompile(`^[\w.-]+$`)

// Requires implements mute.Requirer. Without all of DescribeAlarms, AWS shows no
// composite alarms; putting a rule needs the right on the rule and on each alarm.
// Sources: API_DescribeAlarms, API_PutAlarmMuteRule.
func (b *book) Requires(w What) []action.Permission {
	rules, mine := b.conn.ARN("cloudwatch", "alarm-mute-rule:*"), b.conn.ARN("cloudwatch", "alarm-mute-rule:"+prefix+"*")
	need := []action.Permission{
		{System: "aws", Verb: "cloudwatch:DescribeAlarms", Why: "find alarms, and tell which ring"},
		{System: "aws", Verb: "cloudwatch:ListAlarmMuteRules", Why: "find who else mutes them"},
		{System: "aws", Verb: "cloudwatch:GetAlarmMuteRule", Resource: rules, Why: "read who else mutes them"},
		{System: "aws", Verb: "cloudwatch:DeleteAlarmMuteRule", Resource: mine, Why: "let alarms ring again"},
		{System: "aws", Verb: "cloudwatch:PutAlarmMuteRule", Resource: mine, Why: "mute alarms"},
		{System: "aws", Verb: "cloudwatch:TagResource", Resource: mine, Why: "note on a rule what recover needs"},
		{System: "aws", Verb: "cloudwatch:ListTagsForResource", Resource: mine, Why: "read what recover needs"},
	}
	for _, name := range w.Alarms {
		need = append(need, action.Permission{System: "aws", Verb: "cloudwatch:PutAlarmMuteRule", Resource: b.conn.ARN("cloudwatch", "alarm:"+name), Why: "mute alarms"})
	}
	return need
}
