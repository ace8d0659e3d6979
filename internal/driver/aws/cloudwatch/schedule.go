package cloudwatch

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// atForm is how a schedule says that it begins once. Source: API_Schedule.
const atForm = "at(2006-01-02T15:04)"

// scheduleOf is the one window from a whole minute until another, in UTC.
func scheduleOf(from, until time.Time) *types.Rule {
	return &types.Rule{Schedule: &types.Schedule{Expression: aws.String(from.UTC().Format(atForm)), Duration: aws.String(isoOf(until.Sub(from))), Timezone: aws.String("UTC")}}
}

// isoOf is a duration of whole minutes as ISO 8601 has it: P1DT2H30M.
func isoOf(d time.Duration) string {
	days, minutes := int(d/(24*time.Hour)), int(d/time.Minute)%(24*60)
	text := "P"
	if days > 0 {
		text += fmt.Sprintf("%dD", days)
	}
	if minutes == 0 && days > 0 {
		return text
	}
	text += "T"
	if hours := minutes / 60; hours > 0 {
		text += fmt.Sprintf("%dH", hours)
	}
	if m := minutes % 60; m > 0 || text == "PT" {
		text += fmt.Sprintf("%dM", m)
	}
	return text
}

var isoForm = regexp.MustCompile(`^P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$`)

// durationOf reads a duration, 0 where it cannot.
func durationOf(iso string) time.Duration {
	m := isoForm.FindStringSubmatch(iso)
	if m == nil {
		return 0
	}
	var d time.Duration
	for i, unit := range []time.Duration{7 * 24 * time.Hour, 24 * time.Hour, time.Hour, time.Minute, time.Second} {
		n, err := strconv.Atoi(cmp.Or(m[i+1], "0"))
		if err != nil {
			return 0
		}
		d += time.Duration(n) * unit
	}
	return d
}

// windowOf is when a rule mutes. recurring is set where it does again and again; a
// rule that it cannot read has the end after which AWS lets it go, or none.
func windowOf(rule *types.Rule, start, expire *time.Time) (since, until time.Time, recurring bool) {
	since, until = aws.ToTime(start), aws.ToTime(expire)
	if rule == nil || rule.Schedule == nil {
		return since, until, false
	}
	zone, err := time.LoadLocation(cmp.Or(aws.ToString(rule.Schedule.Timezone), "UTC"))
	if err != nil { // one that this machine does not know
		zone = time.UTC
	}
	at, err := time.ParseInLocation(atForm, aws.ToString(rule.Schedule.Expression), zone)
	if err != nil {
		return since, until, true
	}
	end := at.Add(durationOf(aws.ToString(rule.Schedule.Duration)))
	if until.IsZero() || end.Before(until) {
		until = end
	}
	return at.UTC(), until.UTC(), false
}
