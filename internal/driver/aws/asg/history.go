package asg

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cw "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
)

// historyDays is how far back the load is looked at. CloudWatch keeps minutes for
// 15 days. Source:
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html#metrics-retention
const historyDays = 14

const (
	// sizePeriod is how fine a group's size is looked at.
	sizePeriod = int32(300)
	// shortestPeriod is the finest that is kept for so long.
	shortestPeriod = int32(60)
	// mostAlarms and mostQueries bound what one request may name. Source:
	// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html
	mostAlarms  = 100
	mostQueries = 100
)

// A history is the load of a group in the last days, as CloudWatch has it.
type history struct {
	sizes  []point
	alarms []alarmHistory
	// unseen says why there is none.
	unseen string
	asked  bool // for a most
}

type point struct {
	at    time.Time
	value float64
}

// An alarmHistory is an alarm that scales out, and what its metric was.
type alarmHistory struct {
	alarm  cw.MetricAlarm
	points []point
}

// peak is the most instances that were in service, and when.
func (h *history) peak() (most float64, at time.Time) {
	for _, p := range h.sizes {
		if p.value > most {
			most, at = p.value, p.at
		}
	}
	return most, at
}

// look reads the history of a group. Who may not is told so in a note.
func (w *workload) look(ctx context.Context, g *types.AutoScalingGroup) (*history, error) {
	h := &history{asked: w.o.Max != nil}
	alarms, err := w.scaleOutAlarms(ctx, w.group)
	if err == nil {
		err = w.measure(ctx, g, alarms, h)
	}
	if awsclient.IsDenied(err) {
		return &history{unseen: "noren may not read its policies, alarms and metrics", asked: h.asked}, nil
	}
	return h, err
}

// scaleOutAlarms are the alarms that make a group larger: those of its policies
// that fire above a threshold. The SDK's answer for target tracking lists the
// alarms that AWS made for it, too.
func (c *client) scaleOutAlarms(ctx context.Context, group string) ([]cw.MetricAlarm, error) {
	var names []string
	for pages := autoscaling.NewDescribePoliciesPaginator(c.groups, &autoscaling.DescribePoliciesInput{AutoScalingGroupName: aws.String(group)}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, c.conn.Classify(err, "read the scaling policies of "+label(group))
		}
		for _, p := range page.ScalingPolicies {
			for _, a := range p.Alarms {
				if name := aws.ToString(a.AlarmName); aws.ToBool(p.Enabled) && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
	}
	return c.alarmsNamed(ctx, group, names)
}

// alarmsNamed reads alarms and picks those that fire above a threshold.
func (c *client) alarmsNamed(ctx context.Context, group string, names []string) ([]cw.MetricAlarm, error) {
	var alarms []cw.MetricAlarm
	for some := range slices.Chunk(names, mostAlarms) {
		out, err := c.metrics.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: some, AlarmTypes: []cw.AlarmType{cw.AlarmTypeMetricAlarm}, MaxRecords: aws.Int32(mostAlarms)})
		if err != nil {
			return nil, c.conn.Classify(err, "read the scaling alarms of "+label(group))
		}
		for _, a := range out.MetricAlarms {
			// Of an alarm on several metrics, the history of one says little.
			if strings.HasPrefix(string(a.ComparisonOperator), "GreaterThan") && a.MetricName != nil && a.Threshold != nil {
				alarms = append(alarms, a)
			}
		}
	}
	return alarms, nil
}

// measure reads the group's size and the alarms' metrics.
func (c *client) measure(ctx context.Context, g *types.AutoScalingGroup, alarms []cw.MetricAlarm, h *history) error {
	var queries []cw.MetricDataQuery
	query := func(m cw.Metric, stat string, period int32) {
		queries = append(queries, cw.MetricDataQuery{Id: aws.String(fmt.Sprintf("m%d", len(queries))), MetricStat: &cw.MetricStat{Metric: &m, Stat: aws.String(stat), Period: aws.Int32(period)}})
	}
	query(cw.Metric{Namespace: aws.String("AWS/AutoScaling"), MetricName: aws.String("GroupInServiceInstances"),
		Dimensions: []cw.Dimension{{Name: aws.String("AutoScalingGroupName"), Value: g.AutoScalingGroupName}}}, "Maximum", sizePeriod)
	for _, a := range alarms[:min(len(alarms), mostQueries-1)] {
		stat := string(a.Statistic)
		if a.ExtendedStatistic != nil {
			stat = aws.ToString(a.ExtendedStatistic)
		}
		query(cw.Metric{Namespace: a.Namespace, MetricName: a.MetricName, Dimensions: a.Dimensions}, stat, max(aws.ToInt32(a.Period), shortestPeriod))
		h.alarms = append(h.alarms, alarmHistory{alarm: a})
	}
	now := c.now().Truncate(time.Hour)
	in := &cloudwatch.GetMetricDataInput{MetricDataQueries: queries, StartTime: aws.Time(now.AddDate(0, 0, -historyDays)), EndTime: aws.Time(now), ScanBy: cw.ScanByTimestampAscending}
	for pages := cloudwatch.NewGetMetricDataPaginator(c.metrics, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return c.conn.Classify(err, "read the metrics of "+label(aws.ToString(g.AutoScalingGroupName)))
		}
		for _, r := range page.MetricDataResults {
			var n int
			if _, err := fmt.Sscanf(aws.ToString(r.Id), "m%d", &n); err != nil || n >= len(queries) {
				continue
			}
			into := &h.sizes
			if n > 0 {
				into = &h.alarms[n-1].points
			}
			for i := range min(len(r.Timestamps), len(r.Values)) {
				*into = append(*into, point{r.Timestamps[i], r.Values[i]})
			}
		}
	}
	if len(h.sizes) == 0 {
		h.unseen = "CloudWatch has no GroupInServiceInstances of it"
	}
	return nil
}

func (c *client) now() time.Time { return c.conn.Env.Clock()() }

// notes say what the history tells of how the group will take the load once the
// service is open again.
func (h *history) notes(g *types.AutoScalingGroup) []driver.Note {
	var notes []driver.Note
	name, now := label(aws.ToString(g.AutoScalingGroupName)), sizeOf(g)
	if h.unseen != "" && h.asked {
		notes = append(notes, driver.Note{Warn: true, Text: fmt.Sprintf("Whether the maximum is enough for %s cannot be told: %s. aws autoscaling enable-metrics-collection makes AWS keep its size.", name, h.unseen)})
	}
	if peak, at := h.peak(); peak > 0 && peak >= float64(now.Max) {
		notes = append(notes, driver.Note{Warn: true, Text: fmt.Sprintf("%s was at its maximum of %d in the last %d days (%s): it could not have grown further.", name, now.Max, historyDays, at.Format("2006-01-02 15:04 MST"))})
	}
	for _, a := range h.alarms {
		if text := a.late(); text != "" {
			notes = append(notes, driver.Note{Warn: true, Text: "Scaling out of " + name + " acts too late: " + text})
		}
	}
	return notes
}

// A metric in percent is at its end at saturated; of any other, overwhelmed times
// the threshold is taken to be more than the group could bear.
const (
	saturated   = 95
	overwhelmed = 2
)

// late explains from the metric's own history whether the alarm acts too late:
// how often the load was at its end before the alarm could fire, or rose and went
// without it. It returns "" if it does not.
func (a alarmHistory) late() string {
	threshold, limit := aws.ToFloat64(a.alarm.Threshold), a.limit()
	need := int(aws.ToInt32(a.alarm.EvaluationPeriods))
	if n := aws.ToInt32(a.alarm.DatapointsToAlarm); n > 0 {
		need = int(n)
	}
	need = max(need, 1)
	times, first, worst := 0, time.Time{}, 0.0
	for run := range a.above(threshold) {
		before := 0.0
		for _, p := range run[:min(need, len(run))] {
			before = max(before, p.value)
		}
		if before < limit {
			continue
		}
		if times++; times == 1 {
			first = run[0].at
		}
		worst = max(worst, before)
	}
	period := time.Duration(max(aws.ToInt32(a.alarm.Period), 1)) * time.Second
	what := fmt.Sprintf("the alarm %s waits for %s above %.4g during %d × %s", aws.ToString(a.alarm.AlarmName), aws.ToString(a.alarm.MetricName), threshold, need, period)
	switch {
	case threshold >= limit:
		return fmt.Sprintf("%s, and at %.4g there is nothing left to serve with. Lower the threshold.", what, limit)
	case times > 0:
		return fmt.Sprintf("%s. In the last %d days it was at %.4g or more %d times before that had passed, first on %s, at most %.4g. Lower the threshold, or let it wait less.",
			what, historyDays, limit, times, first.Format("2006-01-02 15:04 MST"), worst)
	}
	return ""
}

// limit is the value at which the group is at its end.
func (a alarmHistory) limit() float64 {
	name := aws.ToString(a.alarm.MetricName)
	if a.alarm.Unit == cw.StandardUnitPercent || strings.Contains(name, "Utilization") || strings.Contains(name, "Percent") {
		return saturated
	}
	return overwhelmed * aws.ToFloat64(a.alarm.Threshold)
}

// above yields each stretch of points over a threshold that follow each other.
func (a alarmHistory) above(threshold float64) func(func([]point) bool) {
	return func(yield func([]point) bool) {
		begin := -1
		for i := 0; i <= len(a.points); i++ {
			if i < len(a.points) && a.points[i].value > threshold {
				if begin < 0 {
					begin = i
				}
				continue
			}
			if begin >= 0 && !yield(a.points[begin:i]) {
				return
			}
			begin = -1
		}
	}
}
