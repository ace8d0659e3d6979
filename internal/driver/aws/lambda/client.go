// Package lambda lets functions and what feeds them rest while a service is
// closed: event sources are disabled, or a function may not run at all.
package lambda

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
)

const (
	// system is the name of the driver, in permissions.
	system = "aws"
	// notFound is what Lambda says of what is not there.
	notFound = "ResourceNotFoundException"
)

// busy are the codes by which Lambda says that a function or an event source is on
// its way to another state, such as in a deployment. Source:
// https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionConcurrency.html,
// https://docs.aws.amazon.com/lambda/latest/api/API_UpdateEventSourceMapping.html
func busy() []string { return []string{"ResourceInUseException", "ResourceConflictException"} }

// Parts are this package's part of the driver.
func Parts() []driver.Part[*awsclient.Conn] {
	return []driver.Part[*awsclient.Conn]{
		driver.Changes("aws/lambda-source.disable", "Let an event source of a Lambda function feed it no more", openSource),
		driver.Changes("aws/lambda.throttle", "Let a Lambda function not run at all", openThrottle),
		driver.Rests("aws/lambda-source", "An event source of a Lambda function, by its UUID or as function/source", openSourceWorkload),
		driver.Rests("aws/lambda", "A Lambda function, by its name", openFunctionWorkload),
	}
}

// A client is what the actions of one connection share.
type client struct {
	conn   *awsclient.Conn
	lambda *lambda.Client
}

func clientOf(c *awsclient.Conn) *client {
	return awsclient.Shared(c, func(c *awsclient.Conn) *client { return &client{c, lambda.NewFromConfig(c.AWS)} })
}

func (c *client) permissions(arn, why string, verbs ...string) []action.Permission {
	var need []action.Permission
	for _, verb := range verbs {
		need = append(need, action.Permission{System: system, Verb: "lambda:" + verb, Resource: arn, Why: why})
	}
	return need
}

// functions lists all functions.
func (c *client) functions(ctx context.Context) ([]types.FunctionConfiguration, error) {
	var all []types.FunctionConfiguration
	for pages := lambda.NewListFunctionsPaginator(c.lambda, &lambda.ListFunctionsInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, c.conn.Classify(err, "list the Lambda functions")
		}
		all = append(all, page.Functions...)
	}
	return all, nil
}

// sources lists event sources: of one function, or of all if it is "".
func (c *client) sources(ctx context.Context, function string) ([]types.EventSourceMappingConfiguration, error) {
	in := &lambda.ListEventSourceMappingsInput{}
	if function != "" {
		in.FunctionName = aws.String(function)
	}
	var all []types.EventSourceMappingConfiguration
	for pages := lambda.NewListEventSourceMappingsPaginator(c.lambda, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, c.conn.Classify(err, "list the event sources of Lambda functions")
		}
		all = append(all, page.EventSourceMappings...)
	}
	return all, nil
}

// tagged are the tags of a function or an event source.
type tagged struct {
	*client
	arn, name string
}

// Tags implements awsclient.Tagger.
func (t tagged) Tags(ctx context.Context) (map[string]string, error) {
	out, err := t.lambda.ListTags(ctx, &lambda.ListTagsInput{Resource: aws.String(t.arn)})
	if err != nil {
		return nil, t.conn.Classify(err, "read the tags of "+t.name)
	}
	return out.Tags, nil
}

// Tag implements awsclient.Tagger.
func (t tagged) Tag(ctx context.Context, tags map[string]string) error {
	_, err := t.lambda.TagResource(ctx, &lambda.TagResourceInput{Resource: aws.String(t.arn), Tags: tags})
	return t.conn.ClassifyBusy(err, "tag "+t.name, busy()...)
}

// Untag implements awsclient.Tagger.
func (t tagged) Untag(ctx context.Context, keys []string) error {
	_, err := t.lambda.UntagResource(ctx, &lambda.UntagResourceInput{Resource: aws.String(t.arn), TagKeys: keys})
	return t.conn.ClassifyBusy(err, "take noren's tags off "+t.name, busy()...)
}
