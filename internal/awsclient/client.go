// Package awsclient is what the parts of the AWS driver share: connecting to an
// account and region, keeping to AWS's rates, saying what an error means, and
// marks in tags.
package awsclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// requestTimeout bounds one HTTP request. It is shorter than the deadline that
// package driver gives a call, so that the error names the service.
const requestTimeout = 20 * time.Second

// A Config says which account and region an environment is, and as whom noren
// works there. What it leaves out is as the AWS CLI would take it: environment
// variables, then the shared configuration files, then the machine's role.
type Config struct {
	// Region, such as ap-northeast-1. Without it, that of the profile.
	Region string `json:"region,omitempty" jsonschema_description:"Such as ap-northeast-1. By default that of the profile."`
	// Profile of the shared configuration files.
	Profile string `json:"profile,omitempty" jsonschema_description:"A profile of the shared configuration files. By default what the AWS CLI would take."`
	// Role is the ARN of a role to assume, for another account.
	Role string `json:"role,omitempty" jsonschema_description:"The ARN of a role to assume, for another account."`
	// ExternalID goes with Role where its trust policy asks for one.
	ExternalID string `json:"external_id,omitempty" jsonschema_description:"Goes with role where its trust policy asks for one."`
	// Account is the account's number. With it, noren refuses to work in any other.
	Account string `json:"account,omitempty" jsonschema_description:"The account's number, in quotes. In any other, nothing is touched."`
	// Endpoint replaces the address of every service, for emulators: they have none of
	// AWS's buckets, and noren does not pace itself there.
	Endpoint string `json:"endpoint,omitempty" jsonschema_description:"Replaces the address of every service, for emulators."`
}

// A Conn is a connection to one account and region. It is safe for concurrent
// use.
type Conn struct {
	// AWS makes clients: they keep to AWS's rates, and do not retry.
	AWS aws.Config
	// Env is the environment that the connection serves.
	Env driver.Env

	source   source
	role     string
	endpoint string
	expect   string

	mu     sync.Mutex
	caller *sts.GetCallerIdentityOutput
	shared map[reflect.Type]any
}

// Open makes a connection with buckets of its own. It reads files and the
// environment, and asks AWS nothing yet.
func Open(ctx context.Context, cfg Config, env driver.Env) (*Conn, error) {
	return new(Buckets).Open(ctx, cfg, env)
}

// Open makes a connection that shares the buckets.
func (b *Buckets) Open(ctx context.Context, cfg Config, env driver.Env) (*Conn, error) {
	options := []func(*config.LoadOptions) error{
		// Package driver retries, with the run's patience.
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }),
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(requestTimeout).WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConnsPerHost = 32
		})),
		config.WithAPIOptions(b.paced(cfg)),
		// Errors say what there is to say; the SDK would log beside them.
		config.WithLogger(logging.Nop{}),
	}
	if cfg.Region != "" {
		options = append(options, config.WithRegion(cfg.Region))
	}
	if cfg.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(cfg.Profile))
	}
	if cfg.Endpoint != "" {
		options = append(options, config.WithBaseEndpoint(cfg.Endpoint))
	}
	loaded, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, badConfig(cfg, env, err)
	}
	if loaded.Region == "" {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "no AWS region",
			Detail: fmt.Sprintf("Environment %s does not say in which region of AWS it is, and neither does %s.", env.Name, cmp.Or(profileWords(cfg.Profile), "the default profile")),
			Try:    []string{"aws: {region: ap-northeast-1}"}}
	}
	if err := CheckRegion(loaded.Region); err != nil { // that of a profile or variable
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "no region of AWS", Detail: fmt.Sprintf("Environment %s: %v.", env.Name, err), Err: err, Try: []string{"aws configure list"}}
	}
	if cfg.Role != "" {
		provider := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(loaded), cfg.Role, func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName = "noren"
			if cfg.ExternalID != "" {
				o.ExternalID = aws.String(cfg.ExternalID)
			}
		})
		loaded.Credentials = aws.NewCredentialsCache(provider)
	}
	c := &Conn{AWS: loaded, Env: env, source: sourceOf(cfg), role: cfg.Role, endpoint: cfg.Endpoint, expect: cfg.Account, shared: map[reflect.Type]any{}}
	c.guardAccount()
	return c, nil
}

func profileWords(profile string) string {
	if profile == "" {
		return ""
	}
	return "the profile " + profile
}

func badConfig(cfg Config, env driver.Env, err error) error {
	var missing config.SharedConfigProfileNotExistError
	from := profileOf(cfg)
	f := &fault.Fault{Code: fault.Invalid, Summary: "AWS configuration cannot be used", Err: err,
		Detail: fmt.Sprintf("Environment %s: %v.", env.Name, err), Try: []string{"aws configure list"}}
	if !errors.As(err, &missing) {
		return f
	}
	f.Summary, f.Try, f.Err = "AWS profile does not exist", []string{"aws configure list-profiles"}, &plain{"", err}
	named := cmp.Or(missing.Profile, from.profile)
	const nowhere = "which none of the AWS configuration files of this machine has"
	switch {
	case from.profile == "" || named != from.profile:
		f.Detail = fmt.Sprintf("Environment %s leads to the profile %q (source_profile), %s.", env.Name, named, nowhere)
	case from.named != "":
		f.Detail = fmt.Sprintf("The variable %s names the profile %q, %s. Environment %s names none of its own.", from.named, named, nowhere, env.Name)
	default:
		f.Detail = fmt.Sprintf("Environment %s names the profile %q, %s.", env.Name, named, nowhere)
	}
	return f
}

// Region is where the connection works.
func (c *Conn) Region() string { return c.AWS.Region }

// Account returns the number of the account that the connection works in. It
// fails if the configuration names another.
func (c *Conn) Account(ctx context.Context) (string, error) {
	caller, err := c.identity(ctx)
	if err != nil {
		return "", err
	}
	account := aws.ToString(caller.Account)
	if c.expect != "" && account != c.expect {
		return "", driver.AboutSection("aws", &fault.Fault{Code: fault.Invalid, Summary: "another AWS account",
			Detail: fmt.Sprintf("Environment %s is account %s, and these credentials (%s) are of account %s. Nothing was touched.", c.Env.Name, c.expect, aws.ToString(caller.Arn), account),
			Try:    []string{"aws sts get-caller-identity" + c.profileFlag()}})
	}
	return account, nil
}

// Identity returns the ARN of who noren is to AWS.
func (c *Conn) Identity(ctx context.Context) (string, error) {
	caller, err := c.identity(ctx)
	if err != nil {
		return "", err
	}
	return aws.ToString(caller.Arn), nil
}

func (c *Conn) identity(ctx context.Context) (*sts.GetCallerIdentityOutput, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.caller != nil {
		return c.caller, nil
	}
	caller, err := sts.NewFromConfig(c.AWS).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return nil, c.Classify(err, "ask AWS who this is")
	}
	c.caller = caller
	return caller, nil
}

// Shared returns what the parts of one connection share, made when it is first
// asked for: one T for each connection. build does no I/O.
func Shared[T any](c *Conn, build func(*Conn) T) T {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := reflect.TypeFor[T]()
	if have, ok := c.shared[key]; ok {
		return have.(T)
	}
	made := build(c)
	c.shared[key] = made
	return made
}
