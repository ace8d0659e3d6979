package cloudwatch

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/action/actiontest"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/mute"
	"github.com/noren-dev/noren/internal/testaws"
	"github.com/noren-dev/noren/internal/testaws/cloudwatch"
	"github.com/noren-dev/noren/internal/testmonitors"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newSystem is CloudWatch before a fake of our own, which has some alarms.
func newSystem(t testing.TB, now func() time.Time) (*mute.System[What], *cloudwatch.Server, *testmonitors.Counter) {
	t.Helper()
	testaws.Isolate(t)
	fake := cloudwatch.New(http.NotFoundHandler())
	for _, a := range []cloudwatch.Alarm{{Name: "shop-5xx", Rings: true, Actions: []string{"arn:aws:sns:us-east-1:123456789012:night"}},
		{Name: "shop-latency", Actions: []string{"arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:1:autoScalingGroupName/web:policyName/out"}},
		{Name: "shop-old", Disabled: true, Rings: true}, {Name: "shop-errors", Log: true, Rings: true},
		{Name: "shop", Rule: `ALARM("shop-5xx") OR ALARM(api)`, Actions: []string{"arn:aws:sns:us-east-1:123456789012:night"}}, {Name: "api"}} {
		fake.Record(a)
	}
	counter := testmonitors.Count(fake, func(_, at string, _ []byte) bool {
		operation := path.Base(at)
		return strings.HasPrefix(operation, "List") || strings.HasPrefix(operation, "Get") || strings.HasPrefix(operation, "Describe")
	})
	s := httptest.NewServer(counter)
	t.Cleanup(s.Close)
	c, err := awsclient.Open(t.Context(), awsclient.Config{Region: testaws.Region, Endpoint: s.URL}, driver.Env{Name: "prod", Now: now})
	must(t, err)
	return systemOf(c), fake, counter
}

// TestContract holds aws/cloudwatch.mute to the contract.
func TestContract(t *testing.T) {
	actiontest.Exercise(t, testmonitors.Harness(func(t testing.TB, _ int64) testmonitors.Bench[What] {
		s, _, counter := newSystem(t, time.Now)
		return testmonitors.Bench[What]{System: s, Counter: counter, Marks: true, What: whatOf([]string{"shop-5xx", "shop"}), Other: whatOf([]string{"api"})}
	}))
}

// TestContractOfMany is for so many alarms that the mark has no room in the words.
// Their names are not longer, since smithy closes a request's body when its answer
// begins, and net/http closes the connection if it was not done with it: from
// 127.0.0.1, answers of more than 4 KB are cut off now and then.
func TestContractOfMany(t *testing.T) {
	var names []string
	for i := range 40 {
		names = append(names, fmt.Sprintf("%.16x", sha256.Sum256([]byte{byte(i)})))
	}
	actiontest.Exercise(t, testmonitors.Harness(func(t testing.TB, _ int64) testmonitors.Bench[What] {
		s, fake, counter := newSystem(t, time.Now)
		for _, name := range names {
			fake.Record(cloudwatch.Alarm{Name: name})
		}
		return testmonitors.Bench[What]{System: s, Counter: counter, Marks: true, What: whatOf(names), Other: whatOf([]string{"api"})}
	}))
}

func TestLongReason(t *testing.T) {
	s, fake, _ := newSystem(t, time.Now)
	p := params(time.Now().Add(time.Hour).Truncate(time.Minute))
	p.Reason = strings.Repeat("新しい棚 ", 400)
	change := s.Open(p)
	to, err := change.Propose(nil)
	must(t, err)
	must(t, change.Apply(t.Context(), nil, to))
	if got := fake.Rules(); len(got) != 1 || mute.Key(got[0]) == "" {
		t.Errorf("%v", got)
	}
	if now, err := change.Observe(t.Context()); err != nil || now == nil {
		t.Errorf("%v %v", now, err)
	}
}

// TestTamperedTags: how many parts a mark has is a tag, which others may write. A
// rule whose tags do not add up is still found, and soon.
func TestTamperedTags(t *testing.T) {
	s, fake, _ := newSystem(t, time.Now)
	var names []string
	for i := range 40 {
		names = append(names, fmt.Sprintf("%.16x", sha256.Sum256([]byte{byte(i)})))
		fake.Record(cloudwatch.Alarm{Name: names[i]})
	}
	p := params(time.Now().Add(time.Hour).Truncate(time.Minute))
	p.What = whatOf(names)
	change := s.Open(p)
	to, err := change.Propose(nil)
	must(t, err)
	state, err := driver.StateOf(to)
	must(t, err)
	mark := action.Mark{Actor: "mika@laptop", Receipt: action.Receipt{Run: "close-1", Step: "s", Action: "aws/cloudwatch.mute", Target: change.Target(), To: state}}
	must(t, change.Marked(mark).Apply(t.Context(), nil, to))
	b := s.Book.(*book)
	rules, err := b.List(t.Context())
	must(t, err)
	for _, parts := range []string{"2000000000", "-1", "many", "1"} {
		must(t, b.tag(t.Context(), rules[0].ID, []types.Tag{{Key: aws.String(tagParts), Value: aws.String(parts)}}))
		found, err := FindTraces(t.Context(), b.conn)
		if err != nil || len(found.Marks)+len(found.Unmarked) != 1 {
			t.Errorf("%s parts: %+v, %v", parts, found, err)
		}
	}
}

// at two in the night.
func night() time.Time { return time.Date(2030, 11, 25, 2, 0, 20, 0, time.UTC) }

func params(until time.Time) mute.Params[What] {
	return mute.Params[What]{Name: "checkout", Service: "shop", Mark: "m1", What: whatOf([]string{"shop-5xx"}), Until: until}
}

// TestBeginsAndGoesOn: a rule begins on the next whole minute, is said to mute only
// then, and goes on without a gap when it is given more time.
func TestBeginsAndGoesOn(t *testing.T) {
	now := night()
	s, fake, _ := newSystem(t, func() time.Time { return now })
	fake.At(func() time.Time { return now })
	change := s.Open(params(now.Add(time.Hour).Truncate(time.Minute)))
	to, err := change.Propose(nil)
	must(t, err)
	must(t, change.Apply(t.Context(), nil, to))
	v, err := change.Settled(t.Context(), to)
	if err != nil || v.OK || !strings.Contains(v.Summary, "begins at 02:01 UTC") {
		t.Errorf("before it begins: %+v %v", v, err)
	}
	now = now.Add(time.Minute)
	if v, err := change.Settled(t.Context(), to); err != nil || !v.OK || !fake.Muted("shop-5xx") || fake.Muted("api") {
		t.Errorf("once it has begun: %+v %v, %v", v, err, fake.Rules())
	}
	now = now.Add(30 * time.Minute)
	later, err := change.Prolong(to, to.Until.Add(24*time.Hour))
	must(t, err)
	must(t, change.Apply(t.Context(), to, later))
	if got := fake.Rules(); len(got) != 1 || !strings.Contains(got[0], "ACTIVE [shop-5xx] 1469m") {
		t.Errorf("%v", got)
	}
	if v, err := change.Settled(t.Context(), later); err != nil || !v.OK {
		t.Errorf("given more time: %+v %v", v, err)
	}
	tooLate := &mute.State[What]{What: to.What, Until: to.Until.Add(15 * 24 * time.Hour)}
	if err := change.Apply(t.Context(), later, tooLate); !errors.Is(err, &fault.Fault{Code: fault.Invalid}) || !strings.Contains(err.Error(), "15 days") {
		t.Errorf("longer than a rule lasts: %v", err)
	}
	now = later.Until.Add(time.Hour)
	if fake.Muted("shop-5xx") {
		t.Error("it has no end")
	}
	must(t, change.Apply(t.Context(), later, nil))
	if got := fake.Rules(); len(got) != 0 {
		t.Errorf("one that had ended stays: %v", got)
	}
}

// TestEndedIsBegunAgain: more time for a rule that has ended begins it anew.
func TestEndedIsBegunAgain(t *testing.T) {
	now := night()
	s, fake, _ := newSystem(t, func() time.Time { return now })
	fake.At(func() time.Time { return now })
	change := s.Open(params(now.Add(time.Hour).Truncate(time.Minute)))
	to, err := change.Propose(nil)
	must(t, err)
	must(t, change.Apply(t.Context(), nil, to))
	now = now.Add(2 * time.Hour)
	later, err := change.Prolong(to, now.Add(time.Hour).Truncate(time.Minute))
	must(t, err)
	must(t, change.Apply(t.Context(), to, later))
	now = now.Add(time.Minute)
	if !fake.Muted("shop-5xx") || len(fake.Rules()) != 1 {
		t.Errorf("%v", fake.Rules())
	}
}

func TestRewordedIsStillOurs(t *testing.T) {
	s, fake, _ := newSystem(t, time.Now)
	change := s.Open(params(time.Now().Add(time.Hour).Truncate(time.Minute)))
	to, err := change.Propose(nil)
	must(t, err)
	must(t, change.Apply(t.Context(), nil, to))
	name, _, _ := strings.Cut(fake.Rules()[0], " ")
	fake.Meddle(name, time.Hour, "mine now", "shop-5xx")
	if now, err := change.Observe(t.Context()); err != nil || now == nil {
		t.Errorf("%v %v", now, err)
	}
}

func open(t testing.TB, s *mute.System[What], alarms ...string) driver.Monitor {
	t.Helper()
	m, err := kind().Open(s, "checkout", Options{Alarms: alarms})
	must(t, err)
	return m
}

func asked(d time.Duration) driver.Muting {
	return driver.Muting{Mark: "m", Service: "shop", Until: time.Now().Add(d).Truncate(time.Minute)}
}

func TestNotesOfAPlan(t *testing.T) {
	s, fake, _ := newSystem(t, time.Now)
	fake.Meddle("release", 20*time.Hour, "release of the week", "api", "shop-old")
	q, err := open(t, s, "shop-5xx", "shop-latency", "shop-old", "shop-errors").Mute(t.Context(), asked(time.Hour))
	must(t, err)
	var notes []string
	for _, n := range q.Notes {
		notes = append(notes, n.Text)
	}
	for _, want := range []string{"waits for it, about a minute", "actions of alarm shop-old are switched off already", "shop-latency does more than call people", "arn:aws:autoscaling:",
		"The composite alarm shop watches shop-5xx and is not muted", "It is muted already, until", "(release)"} {
		if !strings.Contains(strings.Join(notes, "\n"), want) {
			t.Errorf("no %q in %q", want, notes)
		}
	}
	if len(notes) != 5 {
		t.Errorf("%q", notes)
	}
	if _, err := open(t, s, "shop").Mute(t.Context(), asked(16*24*time.Hour)); !errors.Is(err, &fault.Fault{Code: fault.Invalid}) {
		t.Errorf("16 days: %v", err)
	}
}

func TestAlarmsThatDoNotExist(t *testing.T) {
	s, _, counter := newSystem(t, time.Now)
	_, err := open(t, s, "shop-5xx", "shop-latncy", "other").Mute(t.Context(), asked(time.Hour))
	if !errors.Is(err, &fault.Fault{Code: fault.NotFound}) || !strings.Contains(err.Error(), "other, shop-latncy") || !strings.Contains(err.Error(), "Did you mean shop-latency?") {
		t.Errorf("%v", err)
	}
	if counter.Writes() != 0 {
		t.Error("it wrote")
	}
}

func TestRings(t *testing.T) {
	s, fake, _ := newSystem(t, time.Now)
	rings := func() string {
		got, err := open(t, s, "shop-5xx", "shop-latency", "shop-old", "shop-errors").(driver.Ringer).Ringing(t.Context())
		must(t, err)
		var all []string
		for _, r := range got {
			all = append(all, fmt.Sprint(r.What, " ", r.Muted))
		}
		slices.Sort(all)
		return strings.Join(all, ", ")
	}
	if got, want := rings(), "shop-5xx false, shop-errors false, shop-old true"; got != want {
		t.Errorf("rings %s, want %s", got, want)
	}
	fake.Meddle("release", time.Hour, "hers", "shop-5xx")
	if got, want := rings(), "shop-5xx true, shop-errors false, shop-old true"; got != want {
		t.Errorf("rings %s, want %s", got, want)
	}
}

func TestTooManyRules(t *testing.T) {
	s, fake, _ := newSystem(t, time.Now)
	fake.Limit(0)
	change := s.Open(params(time.Now().Add(time.Hour).Truncate(time.Minute)))
	to, err := change.Propose(nil)
	must(t, err)
	if err := change.Apply(t.Context(), nil, to); !errors.Is(err, &fault.Fault{Code: fault.Invalid}) || !strings.Contains(err.Error(), "no more alarm mute rules in us-east-1") {
		t.Errorf("%v", err)
	}
}

func TestTraces(t *testing.T) {
	s, fake, _ := newSystem(t, time.Now)
	for i := range 7 { // more than a page
		fake.Meddle(fmt.Sprint("hers-", i), time.Hour, "hers", "api")
	}
	change := s.Open(params(time.Now().Add(time.Hour).Truncate(time.Minute)))
	to, err := change.Propose(nil)
	must(t, err)
	mark := action.Mark{Actor: "mika@laptop", Receipt: action.Receipt{Run: "close-1", Step: "s", Action: "aws/cloudwatch.mute", Target: change.Target()}}
	must(t, change.Marked(mark).Apply(t.Context(), nil, to))
	fake.MeddleAgain("backup", "api", "shop-5xx")
	found, err := FindTraces(t.Context(), connOf(s))
	if err != nil || len(found.Marks) != 1 || found.Marks[0].On != "aws:prod/cloudwatch/checkout" || found.Seen[0].Count != 9 || len(found.Unmarked) != 0 {
		t.Errorf("%+v %v", found, err)
	}
	fake.At(func() time.Time { return time.Now().Add(3 * time.Hour) })
	if found, err := FindTraces(t.Context(), connOf(s)); err != nil || len(found.Marks) != 1 || found.Seen[0].Count != 2 {
		t.Errorf("once they have ended: %+v %v", found, err)
	}
	fake.Deny()
	if found, err := FindTraces(t.Context(), connOf(s)); err != nil || len(found.Unseen) != 1 {
		t.Errorf("without the right: %+v %v", found, err)
	}
}

// TestEmulatorWithoutRules: leftovers are looked for all the same.
func TestEmulatorWithoutRules(t *testing.T) {
	testaws.Isolate(t)
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	c, err := awsclient.Open(t.Context(), awsclient.Config{Region: testaws.Region, Endpoint: s.URL}, driver.Env{Name: "prod"})
	must(t, err)
	if found, err := FindTraces(t.Context(), c); err != nil || len(found.Unseen) != 1 {
		t.Errorf("%+v %v", found, err)
	}
}

// TestForgotten tells of a rule of somebody else's that is older than a week, with
// what ends it.
func TestForgotten(t *testing.T) {
	now := time.Now()
	s, fake, _ := newSystem(t, func() time.Time { return now })
	fake.Meddle("her rule's", 14*24*time.Hour, "hers", "api")
	now = now.Add(8 * 24 * time.Hour)
	found, err := FindTraces(t.Context(), connOf(s))
	if err != nil || len(found.Unmarked) != 1 || found.Unmarked[0].Ours || found.Unmarked[0].Advice[0] != `aws cloudwatch delete-alarm-mute-rule --alarm-mute-rule-name 'her rule'\''s' --region us-east-1` {
		t.Errorf("%+v %v", found, err)
	}
}

// TestDenied names the right that is missing, and what grants it.
func TestDenied(t *testing.T) {
	s, fake, _ := newSystem(t, time.Now)
	fake.Deny()
	_, err := open(t, s, "shop-5xx").Mute(t.Context(), asked(time.Hour))
	var f *fault.Fault
	if !errors.As(err, &f) || f.Code != fault.Denied || !strings.Contains(strings.Join(f.Try, ""), "cloudwatch:DescribeAlarms") {
		t.Errorf("%v", err)
	}
}

func connOf(s *mute.System[What]) *awsclient.Conn { return s.Book.(*book).conn }

func TestOptions(t *testing.T) {
	for want, o := range map[string]Options{"alarms are missing": {}, "no name": {Alarms: []string{""}}, "at most 100": {Alarms: make([]string, 101)}, "255": {Alarms: []string{strings.Repeat("a", 256)}}} {
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestDurations(t *testing.T) {
	for want, d := range map[string]time.Duration{"PT1M": time.Minute, "PT1H": time.Hour, "P1DT2H30M": 26*time.Hour + 30*time.Minute, "P15D": longest, "P1DT1M": 24*time.Hour + time.Minute} {
		if got := isoOf(d); got != want || durationOf(got) != d {
			t.Errorf("%s is %s, and that is %s; want %s", d, got, durationOf(got), want)
		}
	}
	if got := durationOf("P1WT1S"); got != 7*24*time.Hour+time.Second {
		t.Error(got)
	}
}

func TestWindows(t *testing.T) {
	expire := time.Date(2030, 11, 24, 18, 0, 0, 0, time.UTC)
	rule := func(expression, duration, zone string) *types.Rule {
		return &types.Rule{Schedule: &types.Schedule{Expression: &expression, Duration: &duration, Timezone: &zone}}
	}
	for name, c := range map[string]struct {
		rule      *types.Rule
		expire    *time.Time
		until     time.Time
		recurring bool
	}{
		"in Tokyo":                {rule("at(2030-11-25T02:00)", "PT2H", "Asia/Tokyo"), nil, time.Date(2030, 11, 24, 19, 0, 0, 0, time.UTC), false},
		"that expires before":     {rule("at(2030-11-25T02:00)", "PT2H", "Asia/Tokyo"), &expire, expire, false},
		"in a zone nobody knows":  {rule("at(2030-11-25T02:00)", "PT2H", "Mars/Olympus"), nil, time.Date(2030, 11, 25, 4, 0, 0, 0, time.UTC), false},
		"every night":             {rule("cron(0 2 * * *)", "PT2H", "Asia/Tokyo"), nil, time.Time{}, true},
		"every night until a day": {rule("cron(0 2 * * *)", "PT2H", "Asia/Tokyo"), &expire, expire, true},
	} {
		if _, until, recurring := windowOf(c.rule, nil, c.expire); !until.Equal(c.until) || recurring != c.recurring {
			t.Errorf("%s: until %s, again %v", name, until, recurring)
		}
	}
}
