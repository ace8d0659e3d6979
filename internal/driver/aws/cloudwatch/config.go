// Package cloudwatch keeps alarms of CloudWatch quiet by alarm mute rules. See
// package mute for how.
package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/aws/smithy-go"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/mute"
)

// What a rule can hold. Sources: API_MuteTargets, API_Schedule and
// API_PutAlarmMuteRule of
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/
const (
	mostAlarms = 100  // names in one rule, and in one DescribeAlarms
	nameLimit  = 255  // of an alarm, and of a rule
	textLimit  = 1024 // of the description
	longest    = 15 * 24 * time.Hour
)

// Options are what a monitor of the kind aws/cloudwatch is.
type Options struct {
	Alarms []string `json:"alarms" jsonschema:"required,minItems=1,maxItems=100,example=shop-5xx" jsonschema_description:"The alarms, by their names: of metrics, of logs, or composite ones."`
}

// Validate says what is wrong, without asking AWS.
func (o Options) Validate() error {
	switch {
	case len(o.Alarms) == 0:
		return errors.New("alarms are missing: say which are muted, by their names")
	case len(o.Alarms) > mostAlarms:
		return fmt.Errorf("alarms: a mute rule has at most %d, and these are %d: make two monitors of them", mostAlarms, len(o.Alarms))
	}
	for _, name := range o.Alarms {
		if n := utf8.RuneCountInString(name); n == 0 || n > nameLimit {
			return fmt.Errorf("alarms: %q is no name of an alarm, which has 1 to %d characters", name, nameLimit)
		}
	}
	return nil
}

// What is what a rule covers: the names of alarms, sorted.
type What struct {
	Alarms []string `json:"alarms"`
}

func (o Options) what() (What, error) { return whatOf(o.Alarms), nil }

func whatOf(names []string) What {
	return What{slices.Compact(slices.Sorted(slices.Values(names)))}
}

func kind() mute.Kind[Options, What] {
	return mute.Kind[Options, What]{What: Options.what, Overlap: overlap,
		Words: mute.Words{Driver: "aws", Word: "cloudwatch", Called: "alarm mute rule of CloudWatch", Seen: "alarm mute rules", Longest: longest}}
}

func overlap(a, b What) bool {
	return slices.ContainsFunc(a.Alarms, func(name string) bool { return slices.Contains(b.Alarms, name) })
}

// Parts are what the driver has for alarms.
func Parts() []driver.Part[*awsclient.Conn] {
	return []driver.Part[*awsclient.Conn]{
		driver.Changes("aws/cloudwatch.mute", "An alarm mute rule keeps alarms quiet until its end", func(c *awsclient.Conn, p mute.Params[What]) (driver.Typed[mute.State[What]], error) {
			return systemOf(c).Open(p), nil
		}),
		driver.Mutes("aws/cloudwatch", "Alarms of CloudWatch, by their names; the name is one of your own", func(c *awsclient.Conn, name string, o Options) (driver.Monitor, error) {
			return kind().Open(systemOf(c), name, o)
		}),
	}
}

func systemOf(c *awsclient.Conn) *mute.System[What] {
	return awsclient.Shared(c, func(c *awsclient.Conn) *mute.System[What] { return kind().System(newBook(c), c.Env) })
}

// FindTraces finds the mute rules that noren made, and those of others that look
// forgotten. An emulator that does not speak CloudWatch's protocol has none to show.
func FindTraces(ctx context.Context, c *awsclient.Conn) (*driver.Traces, error) {
	found, err := systemOf(c).Traces(ctx)
	var unreadable *smithy.DeserializationError
	other := errors.As(err, &unreadable) || awsclient.IsCode(err, "UnknownError")
	if awsclient.IsDenied(err) || c.AWS.BaseEndpoint != nil && other {
		return &driver.Traces{Unseen: []string{kind().Seen}}, nil
	}
	return found, err
}

// TracesNeed are the rights that FindTraces takes.
func TracesNeed() []action.Permission {
	return awsclient.Rights("find alarms that were left muted", "cloudwatch:ListAlarmMuteRules", "cloudwatch:GetAlarmMuteRule", "cloudwatch:ListTagsForResource")
}
