package asg

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/action/actiontest"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/testaws"
	"github.com/noren-dev/noren/internal/testaws/cloudwatch"
	"github.com/noren-dev/noren/internal/testaws/wire"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A world is a moto server with groups, and a recorded CloudWatch before it.
type world struct {
	moto    *testaws.Server
	metrics *cloudwatch.Server
	direct  *client
	n       int
}

func newWorld(t testing.TB) *world {
	t.Helper()
	moto := testaws.Start(t)
	w := &world{moto: moto, metrics: cloudwatch.Start(t, moto.Endpoint), direct: clientOf(testaws.Connect(t, moto.Endpoint))}
	_, err := w.direct.groups.CreateLaunchConfiguration(t.Context(), &autoscaling.CreateLaunchConfigurationInput{LaunchConfigurationName: aws.String("web"), ImageId: aws.String("ami-12c6146b"), InstanceType: aws.String("t2.micro")})
	must(t, err)
	return w
}

// group makes a group of 2 to 4 instances, 3 of them there.
func (w *world) group(t testing.TB, targetGroups ...string) string {
	t.Helper()
	w.n++
	name := fmt.Sprintf("web%d", w.n)
	_, err := w.direct.groups.CreateAutoScalingGroup(t.Context(), &autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: aws.String(name), LaunchConfigurationName: aws.String("web"),
		MinSize: aws.Int32(2), DesiredCapacity: aws.Int32(3), MaxSize: aws.Int32(4), AvailabilityZones: []string{"us-east-1a"}, TargetGroupARNs: targetGroups})
	must(t, err)
	return name
}

func (w *world) get(t testing.TB, name string) *types.AutoScalingGroup {
	t.Helper()
	g, err := w.direct.byName.Get(t.Context(), name)
	must(t, err)
	return g
}

// targetGroup makes one, to which a listener leads if used is set.
func (w *world) targetGroup(t testing.TB, name string, used bool) string {
	t.Helper()
	made, err := w.direct.elb.CreateTargetGroup(t.Context(), &elb.CreateTargetGroupInput{Name: aws.String(name), Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80), VpcId: aws.String(w.moto.VPC(t))})
	must(t, err)
	arn := made.TargetGroups[0].TargetGroupArn
	if !used {
		return *arn
	}
	lb, err := w.direct.elb.CreateLoadBalancer(t.Context(), &elb.CreateLoadBalancerInput{Name: aws.String(name), Subnets: w.moto.Subnets(t)})
	must(t, err)
	_, err = w.direct.elb.CreateListener(t.Context(), &elb.CreateListenerInput{LoadBalancerArn: lb.LoadBalancers[0].LoadBalancerArn, Port: aws.Int32(80), Protocol: elbtypes.ProtocolEnumHttp,
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: arn}}})
	must(t, err)
	return *arn
}

// target is what the suite needs of a group, on a wire of its own.
func (w *world) target(t testing.TB, name, as string, wr *wire.Wire, in *driver.Instance, slot string) actiontest.Target {
	return actiontest.Target{
		Name: as, Change: in.Change, Marked: in.Marker.Marked,
		Mark: func(t testing.TB) *action.Mark {
			tags := tagsOf(w.get(t, name))
			if slot != "" {
				tags = awsclient.MarkTagsIn(slot, tags)
			}
			return testaws.Mark(t, tags)
		},
		MeddleBeside: func(t testing.TB) {
			_, err := w.direct.groups.UpdateAutoScalingGroup(t.Context(), &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: aws.String(name), DefaultCooldown: aws.Int32(77)})
			must(t, err)
			_, err = w.direct.groups.CreateOrUpdateTags(t.Context(), &autoscaling.CreateOrUpdateTagsInput{Tags: []types.Tag{groupTags{w.direct, w.get(t, name)}.tag("team", "cart")}})
			must(t, err)
		},
		Beside: func(t testing.TB) string {
			g := w.get(t, name)
			return fmt.Sprint(*g.DefaultCooldown, tagsOf(g)["team"])
		},
		LoseNextAnswer: wr.LoseNextAnswer, Writes: wr.Writes,
	}
}

// TestScaleKeepsTheContract is for aws/asg.scale.
func TestScaleKeepsTheContract(t *testing.T) {
	w := newWorld(t)
	two := int32(2)
	for name, p := range map[string]ScaleParams{"none left": {}, "one left of at most two": {To: 1, Max: &two}} {
		t.Run(name, func(t *testing.T) {
			actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target {
				group, wr := w.group(t), wire.New(t, w.moto.Endpoint)
				p.Group = group
				change, err := openScale(testaws.Connect(t, wr.Endpoint), p)
				must(t, err)
				target := w.target(t, group, "Auto Scaling group "+group, wr, driver.Bare(change), "")
				target.Meddle = func(t testing.TB) {
					_, err := w.direct.groups.UpdateAutoScalingGroup(t.Context(), &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: aws.String(group), MaxSize: aws.Int32(9)})
					must(t, err)
				}
				return target
			}})
		})
	}
}

// TestSuspendKeepsTheContract is for aws/asg.suspend. One of the processes is
// suspended before.
func TestSuspendKeepsTheContract(t *testing.T) {
	w := newWorld(t)
	actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target {
		group, wr := w.group(t), wire.New(t, w.moto.Endpoint)
		_, err := w.direct.groups.SuspendProcesses(t.Context(), &autoscaling.SuspendProcessesInput{AutoScalingGroupName: aws.String(group), ScalingProcesses: []string{"ScheduledActions", "AZRebalance"}})
		must(t, err)
		change, err := openSuspend(testaws.Connect(t, wr.Endpoint), SuspendParams{group, []string{"AlarmNotification", "ScheduledActions"}})
		must(t, err)
		target := w.target(t, group, "processes of Auto Scaling group "+group, wr, driver.Bare(change), slot)
		target.Meddle = func(t testing.TB) {
			_, err := w.direct.groups.ResumeProcesses(t.Context(), &autoscaling.ResumeProcessesInput{AutoScalingGroupName: aws.String(group), ScalingProcesses: []string{"ScheduledActions"}})
			must(t, err)
		}
		return target
	}})
}

func (w *world) rest(t testing.TB, group string, o Options) (*driver.Resting, error) {
	t.Helper()
	must(t, o.Validate())
	opened, err := openWorkload(testaws.Connect(t, w.metrics.Endpoint), group, o)
	must(t, err)
	return opened.Rest(t.Context())
}

func texts(notes []driver.Note) string {
	var b strings.Builder
	for _, n := range notes {
		fmt.Fprintf(&b, "%v %s\n", n.Warn, n.Text)
	}
	return b.String()
}

// TestGuards: a minimum of 0 for a group that serves customers and a maximum
// below the load are refused, unless the guard is named.
func TestGuards(t *testing.T) {
	w := newWorld(t)
	serving, idle := w.group(t, w.targetGroup(t, "used", true)), w.group(t, w.targetGroup(t, "unused", false))
	w.metrics.Measure("GroupInServiceInstances", 2, 3, 6, 3)
	three, six := int32(3), int32(6)
	for name, c := range map[string]struct {
		group string
		o     Options
		says  string // "" where it is not refused
	}{
		"none left, serving":             {serving, Options{}, "through target group used"},
		"one left, serving":              {serving, Options{To: 1}, ""},
		"none left, serving, overridden": {serving, Options{Allow: []string{"min-zero"}}, ""},
		"none left, another override":    {serving, Options{Allow: []string{"max-low"}}, "guard min-zero refuses"},
		"none left, not serving":         {idle, Options{}, ""},
		"max too low":                    {idle, Options{To: 1, Max: &three}, "needed 6 instances"},
		"max too low, overridden":        {idle, Options{To: 1, Max: &three, Allow: []string{"max-low"}}, ""},
		"max high enough":                {idle, Options{To: 1, Max: &six}, ""},
		"size kept":                      {serving, Options{KeepSize: true}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := w.rest(t, c.group, c.o)
			if c.says == "" {
				must(t, err)
				want := 2
				if c.o.KeepSize {
					want = 1
				}
				if len(r.Calls) != want || r.Calls[0].Action != "aws/asg.suspend" {
					t.Errorf("calls %+v", r.Calls)
				}
				return
			}
			if !errors.Is(err, &fault.Fault{Code: fault.CheckFailed}) || !strings.Contains(err.Error(), c.says) || len(fault.Of(err)[0].Try) != 2 {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
	if _, err := w.rest(t, "wbe1", Options{}); !errors.Is(err, &fault.Fault{Code: fault.NotFound}) || !strings.Contains(err.Error(), "Did you mean web1?") {
		t.Errorf("an unknown group: %v", err)
	}
}

// TestLateThresholds: what CloudWatch recorded tells whether scaling out acts in
// time, and is said to whoever closes.
func TestLateThresholds(t *testing.T) {
	late := func(alarm cloudwatch.Alarm, points ...float64) alarmHistory {
		a := alarmHistory{}
		a.alarm.AlarmName, a.alarm.MetricName = aws.String("high"), aws.String(alarm.Metric)
		a.alarm.Threshold, a.alarm.Period, a.alarm.EvaluationPeriods = aws.Float64(alarm.Threshold), aws.Int32(int32(alarm.Period)), aws.Int32(int32(alarm.Periods)) //nolint:gosec // small
		if alarm.Datapoints > 0 {
			a.alarm.DatapointsToAlarm = aws.Int32(int32(alarm.Datapoints)) //nolint:gosec // small
		}
		for i, v := range points {
			a.points = append(a.points, point{time.Date(2026, 1, 2, 3, i, 0, 0, time.UTC), v})
		}
		return a
	}
	cpu := cloudwatch.Alarm{Metric: "CPUUtilization", Threshold: 80, Period: 60, Periods: 3}
	requests := cloudwatch.Alarm{Metric: "RequestCountPerTarget", Threshold: 100, Period: 60, Periods: 2}
	for name, c := range map[string]struct {
		history alarmHistory
		says    []string // none: in time
	}{
		"in time":               {late(cpu, 50, 82, 85, 90, 97, 60), nil},
		"too late":              {late(cpu, 50, 85, 96, 99, 60, 20, 81, 97, 40), []string{"at 95 or more 2 times before that had passed", "2026-01-02 03:01 UTC", "at most 99", "3 × 1m0s"}},
		"never that high":       {late(cpu, 10, 20, 30), nil},
		"no history":            {late(cpu), nil},
		"threshold is the end":  {late(cloudwatch.Alarm{Metric: "CPUUtilization", Threshold: 95, Period: 60, Periods: 1}, 10), []string{"there is nothing left"}},
		"requests, in time":     {late(requests, 50, 120, 150, 400), nil},
		"requests, too late":    {late(requests, 50, 120, 250, 400), []string{"at 200 or more 1 times"}},
		"one datapoint of many": {late(cloudwatch.Alarm{Metric: "CPUUtilization", Threshold: 80, Period: 60, Periods: 3, Datapoints: 1}, 85, 99, 99), nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.history.late()
			if (got == "") != (c.says == nil) {
				t.Errorf("says %q", got)
			}
			for _, words := range c.says {
				if !strings.Contains(got, words) {
					t.Errorf("%q does not say %q", got, words)
				}
			}
		})
	}
}

// TestHistoryOverTheWire: the plan says what the recorded CloudWatch tells, and
// goes on without it where noren may not read it.
func TestHistoryOverTheWire(t *testing.T) {
	w := newWorld(t)
	group := w.group(t)
	w.metrics.Record(cloudwatch.Alarm{Name: "out-high", Namespace: "AWS/EC2", Metric: "CPUUtilization", Threshold: 90, Period: 300, Periods: 3})
	w.metrics.Record(cloudwatch.Alarm{Name: "out-low", Namespace: "AWS/EC2", Metric: "CPUUtilization", Threshold: 10, Period: 300, Periods: 3, Below: true})
	w.metrics.Measure("CPUUtilization", 40, 92, 99, 99, 99, 50)
	w.metrics.Measure("GroupInServiceInstances", 2, 4, 4)
	conn := testaws.Connect(t, w.metrics.Endpoint)
	c := clientOf(conn)
	h := &history{}
	alarms, err := c.alarmsNamed(t.Context(), group, []string{"out-high", "out-low"})
	must(t, err)
	must(t, c.measure(t.Context(), w.get(t, group), alarms, h))
	said := texts(h.notes(w.get(t, group)))
	for _, words := range []string{"true Auto Scaling group " + group + " was at its maximum of 4", "acts too late: the alarm out-high waits for CPUUtilization above 90 during 3 × 5m0s", "at most 99"} {
		if !strings.Contains(said, words) {
			t.Errorf("it does not say %q:\n%s", words, said)
		}
	}
	if strings.Contains(said, "out-low") || !slices.Contains(w.metrics.Asked(), "GetMetricData") {
		t.Errorf("%s %v", said, w.metrics.Asked())
	}
	three := int32(3)
	w.metrics.Deny()
	r, err := w.rest(t, group, Options{To: 1, Max: &three})
	must(t, err)
	if !strings.Contains(texts(r.Notes), "true Whether the maximum is enough") {
		t.Errorf("without the right to read metrics it says\n%s", texts(r.Notes))
	}
}

// TestOptions: bad options say what is meant.
func TestOptions(t *testing.T) {
	two := int32(2)
	for says, o := range map[string]Options{
		"did you mean min-zero?":         {Allow: []string{"min-zer"}},
		"is none of the guards":          {Allow: []string{"everything"}},
		"did you mean ScheduledActions?": {Suspend: []string{"ScheduledAction"}},
		"named twice":                    {Suspend: []string{"AZRebalance", "AZRebalance"}},
		"cannot change its size":         {Suspend: []string{"Launch"}},
		"leave one of them out":          {KeepSize: true, To: 1},
		"less than none":                 {To: -1},
		"max: 2 is less than to: 3":      {To: 3, Max: &two},
	} {
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v, want %q", o, err, says)
		}
	}
}

// TestGroupIsBusy: a change that AWS refuses while instances come or go is one to try
// again. Moto never refuses it, so that the answer is one of AWS's reference.
func TestGroupIsBusy(t *testing.T) {
	testaws.Isolate(t)
	for _, code := range busy() {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/xml")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `<ErrorResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><Error><Type>Sender</Type><Code>%s</Code><Message>busy</Message></Error></ErrorResponse>`, code)
		}))
		t.Cleanup(server.Close)
		c := clientOf(testaws.Connect(t, server.URL))
		for name, err := range map[string]error{
			"scale":   (&scale{client: c, p: ScaleParams{Group: "web"}}).Write(t.Context(), nil, &Size{}),
			"suspend": (&suspend{client: c, p: SuspendParams{Group: "web"}}).Write(t.Context(), &Suspension{"AZRebalance": false}, &Suspension{"AZRebalance": true}),
			"resume":  (&suspend{client: c, p: SuspendParams{Group: "web"}}).Write(t.Context(), &Suspension{"AZRebalance": true}, &Suspension{"AZRebalance": false}),
		} {
			if !errors.Is(err, action.ErrUnavailable) {
				t.Errorf("%s, %s: %v", name, code, err)
			}
		}
	}
}
