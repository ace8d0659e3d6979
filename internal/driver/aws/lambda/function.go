package lambda

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// FunctionParams are the parameters of aws/lambda.throttle.
type FunctionParams struct {
	Function string `json:"function"`
}

// Validate says what is missing.
func (p FunctionParams) Validate() error {
	if p.Function == "" {
		return errors.New("function is needed")
	}
	return nil
}

// A Concurrency is the state of aws/lambda.throttle: how many of the function
// may run at a time, if a number is reserved for it.
type Concurrency struct {
	Reserved *int32 `json:"reserved,omitempty"`
}

func (c *Concurrency) String() string {
	if c == nil || c.Reserved == nil {
		return "not limited"
	}
	return fmt.Sprintf("at most %d at a time", *c.Reserved)
}

// throttle is the change aws/lambda.throttle. Source:
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
type throttle struct {
	*client
	p    FunctionParams
	mark *action.Mark
}

func openThrottle(c *awsclient.Conn, p FunctionParams) (driver.Typed[Concurrency], error) {
	return &throttle{client: clientOf(c), p: p}, nil
}

// Target implements driver.Typed.
func (t *throttle) Target() string { return t.conn.Target("lambda", t.p.Function) }

// Name implements awsclient.Thing.
func (t *throttle) Name() string { return "Lambda function " + t.p.Function }

// Read implements awsclient.Thing.
func (t *throttle) Read(ctx context.Context) (*Concurrency, awsclient.Tagger, error) {
	out, err := t.lambda.GetFunctionConcurrency(ctx, &lambda.GetFunctionConcurrencyInput{FunctionName: aws.String(t.p.Function)})
	if awsclient.IsCode(err, notFound) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, t.conn.Classify(err, "read "+t.Name())
	}
	return &Concurrency{out.ReservedConcurrentExecutions}, functionTags{t}, nil
}

// functionTags need the function's ARN, which only its configuration tells.
type functionTags struct{ *throttle }

func (f functionTags) tagged(ctx context.Context) (tagged, error) {
	out, err := f.lambda.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: aws.String(f.p.Function)})
	if err != nil {
		return tagged{}, f.conn.Classify(err, "read "+f.Name())
	}
	return tagged{f.client, aws.ToString(out.FunctionArn), f.Name()}, nil
}

// Tags implements awsclient.Tagger.
func (f functionTags) Tags(ctx context.Context) (map[string]string, error) {
	t, err := f.tagged(ctx)
	if err != nil {
		return nil, err
	}
	return t.Tags(ctx)
}

// Tag implements awsclient.Tagger.
func (f functionTags) Tag(ctx context.Context, tags map[string]string) error {
	t, err := f.tagged(ctx)
	if err != nil {
		return err
	}
	return t.Tag(ctx, tags)
}

// Untag implements awsclient.Tagger.
func (f functionTags) Untag(ctx context.Context, keys []string) error {
	t, err := f.tagged(ctx)
	if err != nil {
		return err
	}
	return t.Untag(ctx, keys)
}

// Observe implements driver.Typed.
func (t *throttle) Observe(ctx context.Context) (*Concurrency, error) {
	return awsclient.Observe(ctx, t)
}

// Propose implements driver.Typed.
func (t *throttle) Propose(from *Concurrency) (*Concurrency, error) {
	if from == nil {
		return nil, t.missing(nil)
	}
	return &Concurrency{aws.Int32(0)}, nil
}

func (t *throttle) missing(have []string) error {
	return t.conn.Missing("Lambda function", t.p.Function, "aws lambda list-functions", have)
}

// Apply implements driver.Typed.
func (t *throttle) Apply(ctx context.Context, from, to *Concurrency) error {
	return awsclient.Apply(ctx, t, t.mark, from, to)
}

// Write implements awsclient.Thing. Where nothing was reserved before, what is
// reserved is taken away.
func (t *throttle) Write(ctx context.Context, _, to *Concurrency) error {
	var err error
	if to.Reserved == nil {
		_, err = t.lambda.DeleteFunctionConcurrency(ctx, &lambda.DeleteFunctionConcurrencyInput{FunctionName: aws.String(t.p.Function)})
	} else {
		_, err = t.lambda.PutFunctionConcurrency(ctx, &lambda.PutFunctionConcurrencyInput{FunctionName: aws.String(t.p.Function), ReservedConcurrentExecutions: to.Reserved})
	}
	return t.conn.ClassifyBusy(err, "change the concurrency of "+t.Name(), busy()...)
}

// Marked implements driver.TypedMarker.
func (t *throttle) Marked(m action.Mark) driver.Typed[Concurrency] {
	return &throttle{t.client, t.p, &m}
}

// Fits implements driver.MarkLimiter.
func (t *throttle) Fits(ctx context.Context, m action.Mark) error {
	return awsclient.MarkFits(ctx, t, m)
}

// Requires implements action.Requirer.
func (t *throttle) Requires() []action.Permission {
	return t.permissions(t.conn.ARN("lambda", "function:"+t.p.Function), "keep it from running for the work, and let it run again",
		"GetFunctionConcurrency", "PutFunctionConcurrency", "DeleteFunctionConcurrency", "GetFunctionConfiguration", "ListTags", "TagResource", "UntagResource")
}

// Describe implements driver.TypedDescriber.
func (t *throttle) Describe(from, to *Concurrency) action.Description {
	line := fmt.Sprintf("let %s run again (%s)", t.Name(), to)
	if to != nil && to.Reserved != nil && *to.Reserved == 0 {
		line = "let " + t.Name() + " not run at all"
	}
	return awsclient.Describe(line, from, to)
}

// functionWorkload is a function that rests.
type functionWorkload struct{ *throttle }

func openFunctionWorkload(c *awsclient.Conn, name string, _ driver.NoOptions) (driver.Workload, error) {
	if name == "" || strings.ContainsAny(name, ":/") {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "malformed workload name",
			Detail: fmt.Sprintf("aws/lambda %q: want the name of a function, and neither an ARN nor a version: all of its versions rest.", name)}
	}
	return &functionWorkload{&throttle{client: clientOf(c), p: FunctionParams{name}}}, nil
}

// Requires implements action.Requirer.
func (w *functionWorkload) Requires() []action.Permission {
	return append(w.throttle.Requires(), action.Permission{System: system, Verb: "lambda:ListEventSourceMappings", Why: "warn where messages would be lost"})
}

// Rest implements driver.Workload.
func (w *functionWorkload) Rest(ctx context.Context) (*driver.Resting, error) {
	now, err := w.Observe(ctx)
	if err != nil {
		return nil, err
	}
	if now == nil {
		var names []string
		all, _ := w.functions(ctx) // what cannot be listed suggests nothing
		for _, f := range all {
			names = append(names, aws.ToString(f.FunctionName))
		}
		return nil, w.missing(names)
	}
	r := &driver.Resting{Target: w.Target(), Calls: []driver.Call{{Action: "aws/lambda.throttle", Params: w.p}}}
	note := func(warn bool, format string, args ...any) {
		r.Notes = append(r.Notes, driver.Note{Warn: warn, Text: fmt.Sprintf(format, args...)})
	}
	if now.Reserved != nil && *now.Reserved == 0 {
		note(false, "%s does not run already and stays so, also after opening.", w.Name())
		return r, nil
	}
	note(false, "What runs of %s goes on to its end, which noren does not wait for. Who calls it meanwhile gets 429; events that others send it are tried again for up to 6 hours.", w.Name())
	sources, err := w.sources(ctx, w.p.Function)
	if err != nil && !awsclient.IsDenied(err) {
		return nil, err
	}
	for _, m := range sources {
		if arn := aws.ToString(m.EventSourceArn); strings.Contains(arn, ":sqs:") && feeds(aws.ToString(m.State)) {
			note(true, "Queue %s feeds %s: each message that it cannot take counts as a failed try, and ends in the dead-letter queue. Let the source rest as well: {kind: aws/lambda-source, name: %s}, before the function.",
				sourceName(arn), w.Name(), w.p.Function+"/"+sourceName(arn))
		}
	}
	return r, nil
}
