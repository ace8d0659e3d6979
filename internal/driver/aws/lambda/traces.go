package lambda

import (
	"cmp"
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
)

// mostLooks is up to how many functions, and enabled event sources, are asked
// for their tags and concurrency, which takes requests of their own: Lambda bears
// 15 a second. Source:
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html#api-requests
const mostLooks = 100

// FindTraces looks through event sources and functions.
func FindTraces(ctx context.Context, conn *awsclient.Conn) (*driver.Traces, error) {
	c := clientOf(conn)
	found := &driver.Traces{}
	for kind, find := range map[string]func(context.Context, *driver.Traces) error{"event sources of Lambda functions": c.sourceTraces, "Lambda functions": c.functionTraces} {
		if err := find(ctx, found); awsclient.IsDenied(err) {
			found.Unseen = append(found.Unseen, kind)
		} else if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// sourceTraces adds the marks on event sources, and disabled ones without.
func (c *client) sourceTraces(ctx context.Context, found *driver.Traces) error {
	all, err := c.sources(ctx, "")
	if err != nil {
		return err
	}
	for _, m := range all {
		s := &source{client: c, p: SourceParams{aws.ToString(m.UUID)}}
		on := feeds(aws.ToString(m.State))
		if on && len(all) > mostLooks {
			continue
		}
		tags, err := tagged{c, cmp.Or(aws.ToString(m.EventSourceMappingArn), s.arn()), s.Name()}.Tags(ctx)
		if err != nil {
			return err
		}
		if mark, marked := awsclient.MarkIn(s.Target(), tags); marked {
			found.Marks = append(found.Marks, mark)
		} else if !on {
			found.Unmarked = append(found.Unmarked, driver.Unmarked{Target: s.Target(), What: "is disabled: " + named(m) + " gets nothing", Since: aws.ToTime(m.LastModified),
				Advice: []string{fmt.Sprintf("aws lambda update-event-source-mapping --uuid %s --enabled --region %s   # unless somebody means it so", s.p.UUID, c.conn.Region())}})
		}
	}
	if len(all) > 0 {
		found.Seen = append(found.Seen, driver.Seen{Kind: "event sources of Lambda functions", Count: len(all)})
	}
	return nil
}

// functionTraces adds the marks on functions, and those without that may not run.
// Lambda tells neither with the list of functions.
func (c *client) functionTraces(ctx context.Context, found *driver.Traces) error {
	all, err := c.functions(ctx)
	if err != nil {
		return err
	}
	if len(all) > mostLooks {
		found.Unseen = append(found.Unseen, fmt.Sprintf("Lambda functions (there are %d, and each would take requests of its own)", len(all)))
		return nil
	}
	for _, f := range all {
		name := aws.ToString(f.FunctionName)
		t := &throttle{client: c, p: FunctionParams{name}}
		now, _, err := t.Read(ctx)
		if err != nil {
			return err
		}
		if now == nil {
			continue // it is gone since
		}
		tags, err := tagged{c, aws.ToString(f.FunctionArn), t.Name()}.Tags(ctx)
		if err != nil {
			return err
		}
		if mark, marked := awsclient.MarkIn(t.Target(), tags); marked {
			found.Marks = append(found.Marks, mark)
		} else if now.Reserved != nil && *now.Reserved == 0 {
			found.Unmarked = append(found.Unmarked, driver.Unmarked{Target: t.Target(), What: "may not run: its reserved concurrency is 0",
				Advice: []string{fmt.Sprintf("aws lambda delete-function-concurrency --function-name %s --region %s   # unless somebody means it so", name, c.conn.Region())}})
		}
	}
	if len(all) > 0 {
		found.Seen = append(found.Seen, driver.Seen{Kind: "Lambda functions", Count: len(all)})
	}
	return nil
}

// TracesNeed are the rights that FindTraces takes.
func TracesNeed() []action.Permission {
	return awsclient.Rights("find functions and event sources that were left at rest", "lambda:ListEventSourceMappings", "lambda:ListFunctions", "lambda:ListTags",
		"lambda:GetFunctionConcurrency", "lambda:GetFunctionConfiguration")
}
