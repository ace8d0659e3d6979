package awsclient

import (
	"fmt"
	"os"
	"regexp"

	"github.com/noren-dev/noren/internal/fault"
)

// The SDK has no types for what goes wrong on its way to credentials.
var (
	noCredentialsWords = regexp.MustCompile(`failed to refresh cached credentials|no EC2 IMDS role found|get identity: get credentials`)
	machineWords       = regexp.MustCompile(`IMDS|ec2imds`)
	ssoWords           = regexp.MustCompile(`\bSSO\b|sso token`)
	processWords       = regexp.MustCompile(`process provider error`)
)

// isNoCredentials tells whether the chain of providers found none, or could not
// renew those it found.
func isNoCredentials(err error) bool { return noCredentialsWords.MatchString(err.Error()) }

// source is where the SDK takes credentials from: a profile that is named in the
// configuration goes before the environment's keys, which go before all others.
// Source: https://docs.aws.amazon.com/sdk-for-go/v2/developer-guide/configure-gosdk.html#specifying-credentials
type source struct {
	profile string // "" where the environment's keys are used
	named   string // what names the profile: "AWS_PROFILE", or "" for the configuration
	keys    bool
}

func sourceOf(cfg Config) source {
	if cfg.Profile == "" && os.Getenv("AWS_ACCESS_KEY_ID")+os.Getenv("AWS_ACCESS_KEY") != "" {
		return source{keys: true}
	}
	return profileOf(cfg)
}

// profileOf is the profile that is read, be it for credentials or the region alone.
func profileOf(cfg Config) source {
	if cfg.Profile != "" {
		return source{profile: cfg.Profile}
	}
	for _, variable := range []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE"} {
		if name := os.Getenv(variable); name != "" {
			return source{profile: name, named: variable}
		}
	}
	return source{}
}

// who says whose credentials the connection works with.
func (c *Conn) who() string {
	text := "the credentials of the default profile, or of this machine's role"
	switch s := c.source; {
	case s.keys:
		text = "the keys in the environment (AWS_ACCESS_KEY_ID)"
	case s.profile != "":
		text = "the credentials of profile " + s.profile
	}
	if c.role != "" {
		text += ", or those of the role " + c.role
	}
	return text
}

// credentials is a fault of the credentials, which is the same for whatever was
// asked: it is told once.
func (c *Conn) credentials(err error, summary, what, why string) error {
	return &fault.Fault{Code: fault.Denied, Summary: summary, Err: &plain{"", err},
		Detail: fmt.Sprintf("%s. AWS says in %s: %s", what, c.Region(), sentence(why)), Try: c.renew()}
}

// renew are the commands that get new credentials.
func (c *Conn) renew() []string {
	if c.source.keys {
		return []string{"export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… AWS_SESSION_TOKEN=…   # new ones, or unset all three to use a profile", "aws sts get-caller-identity"}
	}
	return []string{"aws sso login" + c.profileFlag() + "   # or as your organization gives out credentials", "aws sts get-caller-identity" + c.profileFlag()}
}

// noCredentials says why there are none.
func (c *Conn) noCredentials(err error) error {
	f := &fault.Fault{Code: fault.Denied, Summary: "no AWS credentials", Err: &plain{"", err}, Try: c.renew()}
	of := "the default profile"
	if c.source.profile != "" {
		of = "profile " + c.source.profile
	}
	switch text := err.Error(); {
	case ssoWords.MatchString(text):
		f.Summary = "AWS SSO session has ended"
		f.Detail = fmt.Sprintf("The SSO session of %s has ended, or was never begun on this machine.", of)
		f.Try = []string{"aws sso login" + c.profileFlag()}
	case processWords.MatchString(text):
		f.Detail = fmt.Sprintf("The credential_process of %s failed: %v.", of, rootOf(err))
	case machineWords.MatchString(text) && c.source.profile != "":
		f.Detail = fmt.Sprintf("Profile %s has no credentials, and this machine has no role.", c.source.profile)
	case machineWords.MatchString(text):
		f.Detail = "There are no keys in the environment (AWS_ACCESS_KEY_ID), none in the default profile, and this machine has no role."
	default:
		f.Detail = fmt.Sprintf("Those of %s could not be had: %v.", of, rootOf(err))
	}
	return f
}

func (c *Conn) profileFlag() string {
	if c.source.profile == "" {
		return ""
	}
	return " --profile " + c.source.profile
}
