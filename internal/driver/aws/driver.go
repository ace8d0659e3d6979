// Package aws is the driver of Amazon Web Services, for what is not behind
// Kubernetes: each part of it, such as alb or ecs, is a package below.
//
// An environment is one account and region, by the section aws of noren.yaml;
// with several, each is a cluster of the environment.
package aws

import (
	"context"
	"errors"

	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/aws/alb"
	"github.com/noren-dev/noren/internal/driver/aws/asg"
	"github.com/noren-dev/noren/internal/driver/aws/ecs"
	"github.com/noren-dev/noren/internal/driver/aws/events"
	"github.com/noren-dev/noren/internal/driver/aws/lambda"
)

// Name is the driver's, and the system of its permissions.
const Name = "aws"

// Config is the section aws of an environment.
type Config struct {
	awsclient.Config
}

// Driver returns the driver "aws".
func Driver() *driver.Driver {
	parts := []driver.Part[*awsclient.Conn]{
		driver.FindsTraces(findTraces),
		driver.Discovers(alb.Discover),
		driver.Grants[*awsclient.Conn](awsclient.Policy),
		driver.Identifies(func(ctx context.Context, c *awsclient.Conn) (string, error) { return c.Identity(ctx) }),
	}
	parts = append(parts, alb.Parts()...)
	parts = append(parts, ecs.Parts()...)
	parts = append(parts, asg.Parts()...)
	parts = append(parts, events.Parts()...)
	parts = append(parts, lambda.Parts()...)
	return driver.New(Name, "load balancers and workloads of Amazon Web Services", connect, parts...)
}

func connect(ctx context.Context, cfg Config, env driver.Env) (*awsclient.Conn, error) {
	return awsclient.Open(ctx, cfg.Config, env)
}

// finders look through the account, one for each part of the driver.
func finders() []func(context.Context, *awsclient.Conn) (*driver.Traces, error) {
	return []func(context.Context, *awsclient.Conn) (*driver.Traces, error){
		alb.FindTraces,
		asg.FindTraces,
		ecs.FindTraces,
		events.FindTraces,
		lambda.FindTraces,
	}
}

// findTraces gathers what the parts find. A part that fails does not hide what
// the others found.
func findTraces(ctx context.Context, c *awsclient.Conn) (*driver.Traces, error) {
	all := &driver.Traces{}
	var errs []error
	for _, find := range finders() {
		found, err := find(ctx, c)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all.Seen = append(all.Seen, found.Seen...)
		all.Unseen = append(all.Unseen, found.Unseen...)
		all.Marks = append(all.Marks, found.Marks...)
		all.Unmarked = append(all.Unmarked, found.Unmarked...)
	}
	return all, errors.Join(errs...)
}
