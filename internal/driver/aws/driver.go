// Package aws is the driver of Amazon Web Services, for what is not behind
// Kubernetes: each part of it, such as alb or ecs, is a package below.
//
// An environment is one account and region, by the section aws of noren.yaml;
// with several, each is a cluster of the environment.
package aws

import (
	"context"
	"errors"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/aws/alb"
	"github.com/noren-dev/noren/internal/driver/aws/asg"
	"github.com/noren-dev/noren/internal/driver/aws/cloudwatch"
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
		driver.Discovers(discover),
		driver.Grants[*awsclient.Conn](awsclient.PolicyFor,
			driver.Purpose{Name: "FindLeftovers", Need: looks()},
			driver.Purpose{Name: "Init", Need: discoverNeeds()}),
		driver.Identifies(func(ctx context.Context, c *awsclient.Conn) (string, error) { return c.Identity(ctx) }),
	}
	parts = append(parts, alb.Parts()...)
	parts = append(parts, ecs.Parts()...)
	parts = append(parts, asg.Parts()...)
	parts = append(parts, events.Parts()...)
	parts = append(parts, lambda.Parts()...)
	parts = append(parts, cloudwatch.Parts()...)
	buckets := new(awsclient.Buckets)
	connect := func(ctx context.Context, cfg Config, env driver.Env) (*awsclient.Conn, error) {
		return buckets.Open(ctx, cfg.Config, env)
	}
	return driver.New(Name, "load balancers, workloads and alarms of Amazon Web Services", connect, parts...)
}

// A finder looks through the account for traces, which takes rights to list.
type finder struct {
	find  func(context.Context, *awsclient.Conn) (*driver.Traces, error)
	needs func() []action.Permission
}

// finders are one for each part of the driver.
func finders() []finder {
	return []finder{
		{alb.FindTraces, alb.TracesNeed},
		{asg.FindTraces, asg.TracesNeed},
		{cloudwatch.FindTraces, cloudwatch.TracesNeed},
		{ecs.FindTraces, ecs.TracesNeed},
		{events.FindTraces, events.TracesNeed},
		{lambda.FindTraces, lambda.TracesNeed},
	}
}

// looks are the rights that finding leftovers takes, and recovering from them
// beside those of the closing.
func looks() []action.Permission {
	var all []action.Permission
	for _, f := range finders() {
		all = append(all, f.needs()...)
	}
	return all
}

// findTraces gathers what the parts find. A part that fails does not hide what
// the others found.
func findTraces(ctx context.Context, c *awsclient.Conn) (*driver.Traces, error) {
	all := &driver.Traces{}
	var errs []error
	for _, f := range finders() {
		found, err := f.find(ctx, c)
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
