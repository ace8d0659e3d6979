package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	schedulertypes "github.com/aws/aws-sdk-go-v2/service/scheduler/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/action/actiontest"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/testaws"
	"github.com/noren-dev/noren/internal/testaws/wire"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A world is a moto server with a bus of its own.
type world struct {
	moto   *testaws.Server
	direct *client
	n      int
}

func newWorld(t testing.TB) *world {
	t.Helper()
	moto := testaws.Start(t)
	w := &world{moto: moto, direct: clientOf(testaws.Connect(t, moto.Endpoint))}
	_, err := w.direct.events.CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: aws.String("shop")})
	must(t, err)
	return w
}

func (w *world) put(t testing.TB, p RuleParams, state types.RuleState, description string) {
	t.Helper()
	in := &eventbridge.PutRuleInput{Name: aws.String(p.Rule), EventBusName: aws.String(p.Bus), State: state, Description: aws.String(description),
		RoleArn: aws.String("arn:aws:iam::123456789012:role/events")}
	if p.Bus == fallback {
		in.ScheduleExpression = aws.String("rate(5 minutes)")
	} else {
		in.EventPattern = aws.String(`{"source":["shop"]}`)
	}
	_, err := w.direct.events.PutRule(t.Context(), in)
	must(t, err)
}

// TestRuleKeepsTheContract is for aws/rule.disable, from each of the two states
// in which a rule is enabled.
func TestRuleKeepsTheContract(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		bus          string
		state, other types.RuleState
	}{
		"by events":      {"shop", types.RuleStateEnabled, types.RuleStateEnabledWithAllCloudtrailManagementEvents},
		"by the clock":   {fallback, types.RuleStateEnabled, types.RuleStateEnabledWithAllCloudtrailManagementEvents},
		"CloudTrail too": {"shop", types.RuleStateEnabledWithAllCloudtrailManagementEvents, types.RuleStateEnabled},
	} {
		t.Run(name, func(t *testing.T) {
			actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target {
				w.n++
				p := RuleParams{c.bus, fmt.Sprintf("nightly%d", w.n)}
				w.put(t, p, c.state, "before")
				wr := wire.New(t, w.moto.Endpoint)
				change, err := openRule(testaws.Connect(t, wr.Endpoint), p)
				must(t, err)
				in := driver.Bare(change)
				direct := &rule{client: w.direct, p: p}
				return actiontest.Target{
					Name: "EventBridge rule " + c.bus + "/" + p.Rule, Change: in.Change, Marked: in.Marker.Marked,
					Mark: func(t testing.TB) *action.Mark {
						_, tagger, err := direct.Read(t.Context())
						must(t, err)
						tags, err := tagger.Tags(t.Context())
						must(t, err)
						return testaws.Mark(t, tags)
					},
					Meddle: func(t testing.TB) { w.put(t, p, c.other, "before") },
					MeddleBeside: func(t testing.TB) {
						now, err := direct.describe(t.Context())
						must(t, err)
						w.put(t, p, now.State, "after")
					},
					Beside: func(t testing.TB) string {
						now, err := direct.describe(t.Context())
						must(t, err)
						return fmt.Sprint(*now.Description, aws.ToString(now.EventPattern), aws.ToString(now.ScheduleExpression), aws.ToString(now.RoleArn))
					},
					LoseNextAnswer: wr.LoseNextAnswer, Writes: wr.Writes,
				}
			}})
		})
	}
}

func (w *world) schedule(t testing.TB, name, expression string) {
	t.Helper()
	_, err := w.direct.scheduler.CreateSchedule(t.Context(), &scheduler.CreateScheduleInput{Name: aws.String(name), ScheduleExpression: aws.String(expression), ScheduleExpressionTimezone: aws.String("Asia/Tokyo"),
		FlexibleTimeWindow: &schedulertypes.FlexibleTimeWindow{Mode: schedulertypes.FlexibleTimeWindowModeFlexible, MaximumWindowInMinutes: aws.Int32(7)},
		Description:        aws.String("nightly sums"), EndDate: aws.Time(time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)), State: schedulertypes.ScheduleStateEnabled,
		Target: &schedulertypes.Target{Arn: aws.String("arn:aws:sqs:us-east-1:123456789012:q"), RoleArn: aws.String("arn:aws:iam::123456789012:role/s"), Input: aws.String(`{"a":1}`),
			RetryPolicy: &schedulertypes.RetryPolicy{MaximumRetryAttempts: aws.Int32(3)}},
	})
	must(t, err)
}

// all is everything of a schedule but what a change to its state may touch.
func (w *world) all(t testing.TB, name string) string {
	t.Helper()
	out, err := w.direct.scheduler.GetSchedule(t.Context(), &scheduler.GetScheduleInput{Name: aws.String(name)})
	if awsclient.IsCode(err, notFound) {
		return "gone"
	}
	must(t, err)
	raw, err := json.Marshal([]any{parseDescription(out.Description).text, out.EndDate, out.StartDate, out.FlexibleTimeWindow, out.ScheduleExpression, out.ScheduleExpressionTimezone, out.Target, out.KmsKeyArn, out.ActionAfterCompletion})
	must(t, err)
	return string(raw)
}

// TestScheduleKeepsTheContract is for aws/schedule.disable. A schedule has two
// states: a colleague meddles by deleting it.
func TestScheduleKeepsTheContract(t *testing.T) {
	w := newWorld(t)
	actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target {
		w.n++
		name := fmt.Sprintf("sums%d", w.n)
		w.schedule(t, name, "cron(0 2 * * ? *)")
		wr := wire.New(t, w.moto.Endpoint)
		p := ScheduleParams{Group: fallback, Name: name}
		change, err := openSchedule(testaws.Connect(t, wr.Endpoint), p)
		must(t, err)
		in := driver.Bare(change)
		return actiontest.Target{
			Name: "schedule default/" + name, Change: in.Change, Marked: in.Marker.Marked,
			Mark: func(t testing.TB) *action.Mark {
				now, err := (&schedule{client: w.direct, p: p}).get(t.Context())
				must(t, err)
				m, ok, err := parseDescription(now.Description).mark()
				must(t, err)
				if !ok {
					return nil
				}
				return &m
			},
			Meddle: func(t testing.TB) {
				_, err := w.direct.scheduler.DeleteSchedule(t.Context(), &scheduler.DeleteScheduleInput{Name: aws.String(name)})
				must(t, err)
			},
			MeddleBeside: func(t testing.TB) {
				s := &schedule{client: w.direct, p: p}
				now, err := s.get(t.Context())
				must(t, err)
				_, err = w.direct.scheduler.UpdateSchedule(t.Context(), &scheduler.UpdateScheduleInput{Name: now.Name, State: now.State, FlexibleTimeWindow: now.FlexibleTimeWindow,
					ScheduleExpression: aws.String("cron(0 4 * * ? *)"), Target: now.Target, Description: now.Description, EndDate: now.EndDate, ScheduleExpressionTimezone: now.ScheduleExpressionTimezone})
				must(t, err)
			},
			Beside:         func(t testing.TB) string { return w.all(t, name) },
			LoseNextAnswer: wr.LoseNextAnswer, Writes: wr.Writes,
		}
	}})
}

// TestRest: what is said of rules and schedules, and of those that are not there.
func TestRest(t *testing.T) {
	w := newWorld(t)
	w.put(t, RuleParams{fallback, "nightly"}, types.RuleStateEnabled, "")
	w.put(t, RuleParams{"shop", "orders"}, types.RuleStateEnabled, "")
	w.put(t, RuleParams{"shop", "idle"}, types.RuleStateDisabled, "")
	w.schedule(t, "sums", "cron(0 2 * * ? *)")
	w.schedule(t, "once", "at(2026-12-01T02:00:00)")
	c := testaws.Connect(t, w.moto.Endpoint)
	rest := func(kind, name string) (*driver.Resting, error) {
		opened, err := openRuleWorkload(c, name, driver.NoOptions{})
		if kind == "schedule" {
			opened, err = openScheduleWorkload(c, name, ScheduleOptions{})
		}
		if err != nil {
			return nil, err
		}
		return opened.Rest(t.Context())
	}
	for name, says := range map[string]string{
		"rule nightly": "does not fire while", "rule shop/orders": "are lost while it is disabled", "rule shop/idle": "disabled already",
		"schedule sums": "at the end of the description of", "schedule default/once": "fires once",
	} {
		kind, key, _ := strings.Cut(name, " ")
		r, err := rest(kind, key)
		must(t, err)
		if said := fmt.Sprint(r.Notes); !strings.Contains(said, says) || len(r.Calls) != 1 {
			t.Errorf("%s: %s %v", name, said, r.Calls)
		}
	}
	for name, says := range map[string]string{
		"rule shop/ordres": "Did you mean shop/orders?", "rule shpo/orders": "Did you mean shop/orders?", "schedule smus": "Did you mean default/sums?",
		"rule a/b/c": "malformed", "schedule arn:aws:x": "malformed",
	} {
		kind, key, _ := strings.Cut(name, " ")
		if _, err := rest(kind, key); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", name, err, says)
		}
	}
	found, err := FindTraces(t.Context(), c)
	must(t, err)
	if len(found.Unmarked) != 1 || found.Unmarked[0].Target != "aws:test/eventbridge-rule/shop/idle" || found.Unmarked[0].Ours {
		t.Errorf("%+v", found.Unmarked)
	}
}

// TestManagedRule: a rule that a service of AWS keeps is refused. Moto makes none,
// so that the answer is one that was recorded.
func TestManagedRule(t *testing.T) {
	testaws.Isolate(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		fmt.Fprint(w, `{"Arn":"arn:aws:events:us-east-1:123456789012:rule/AutoScalingManagedRule","EventBusName":"default","EventPattern":"{}","ManagedBy":"autoscaling.amazonaws.com","Name":"AutoScalingManagedRule","State":"ENABLED"}`)
	}))
	t.Cleanup(server.Close)
	opened, err := openRuleWorkload(testaws.Connect(t, server.URL), "AutoScalingManagedRule", driver.NoOptions{})
	must(t, err)
	if _, err := opened.Rest(t.Context()); !errors.Is(err, &fault.Fault{Code: fault.Invalid}) || !strings.Contains(err.Error(), "kept by autoscaling.amazonaws.com") {
		t.Errorf("%v", err)
	}
}
