package awsclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/fault"
)

// Codes with which AWS says that credentials are no longer good, are no
// credentials, or may not do something.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
var (
	expired = []string{"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
	unknown = []string{"UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "SignatureDoesNotMatch", "IncompleteSignature",
		"InvalidSignatureException", "MissingAuthenticationToken", "MissingAuthenticationTokenException", "AuthFailure"}
	denied = []string{"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "OptInRequired"}
	// busy are those, beside the SDK's throttle codes, after which the same call
	// may succeed. ECS says ClientException for "too many concurrent attempts".
	busy = []string{"ConcurrentUpdateException", "ConcurrentModificationException", "ResourceContention", "ServiceUnavailable",
		"ServiceUnavailableException", "InternalFailure", "InternalError", "ServerException", "UpdateInProgressException"}
)

// notAuthorized matches AWS's words for a missing permission.
// S3 puts the resource in quotes.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
var notAuthorized = regexp.MustCompile(`(?:User: )?(\S+) is not authorized to perform: (\S+)(?: on resource: "?([^\s"]+)"?)?`)

// Classify turns an error of the SDK into what the rest of noren knows. what
// says what was being done to which thing: "read listener shop".
//
//   - no answer, a lost answer, throttling and 5xx wrap [action.ErrUnavailable];
//   - credentials that are missing, expired or not enough are faults of code
//     denied, with what renews them or the IAM statement that grants more;
//   - every other refusal is returned as it is, for the caller knows its codes.
func (c *Conn) Classify(err error, what string) error {
	if err == nil {
		return nil
	}
	var f *fault.Fault
	if errors.As(err, &f) || errors.Is(err, action.ErrUnavailable) || errors.Is(err, action.ErrDrift) || errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", what, err)
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		return c.classifyCode(err, api, what)
	}
	var signing *smithyhttp.ResponseError
	var viaURL *url.Error
	var viaNet net.Error
	switch {
	case isNoCredentials(err):
		return c.noCredentials(err, what)
	case errors.As(err, &signing) && signing.HTTPStatusCode() >= http.StatusInternalServerError,
		errors.Is(err, context.DeadlineExceeded), errors.As(err, &viaURL), errors.As(err, &viaNet), isCutOff(err):
		return c.unavailable(err, what, "AWS did not answer in "+c.Region())
	}
	return fmt.Errorf("%s: %w", what, err)
}

func (c *Conn) unavailable(err error, what, why string) error {
	return fmt.Errorf("%s: %s: %w (%w)", what, why, action.ErrUnavailable, err)
}

// isCutOff tells a connection that ended before the answer did, or in the middle
// of it: what was asked for may have been done.
func isCutOff(err error) bool {
	var sent *smithyhttp.RequestSendError
	return errors.As(err, &sent) || errors.Is(err, io.ErrUnexpectedEOF)
}

// isNoCredentials tells whether the chain of providers found none. The SDK has
// no type for it.
func isNoCredentials(err error) bool {
	return noCredentialsWords.MatchString(err.Error())
}

var noCredentialsWords = regexp.MustCompile(`failed to refresh cached credentials|no EC2 IMDS role found|get identity: get credentials`)

func (c *Conn) classifyCode(err error, api smithy.APIError, what string) error {
	code := api.ErrorCode()
	var limited ratelimit.QuotaExceededError
	switch _, throttled := retry.DefaultThrottleErrorCodes[code]; {
	case throttled || errors.As(err, &limited):
		return c.unavailable(err, what, "AWS asks to go slower ("+code+")")
	case slices.Contains(busy, code), tooManyAttempts.MatchString(api.ErrorMessage()), serverSide(err):
		return c.unavailable(err, what, "AWS is busy ("+code+")")
	case slices.Contains(expired, code):
		return &fault.Fault{Code: fault.Denied, Summary: "AWS credentials have expired", Err: err,
			Detail: fmt.Sprintf("Cannot %s in %s: %s", what, c.Region(), api.ErrorMessage()), Try: c.renew()}
	case slices.Contains(unknown, code):
		return &fault.Fault{Code: fault.Denied, Summary: "AWS does not accept these credentials", Err: err,
			Detail: fmt.Sprintf("Cannot %s in %s: %s", what, c.Region(), api.ErrorMessage()), Try: c.renew()}
	case slices.Contains(denied, code):
		return c.deniedFault(err, api, what)
	}
	return fmt.Errorf("%s: %w", what, err)
}

var tooManyAttempts = regexp.MustCompile(`(?i)too many concurrent attempts`)

func serverSide(err error) bool {
	var response *smithyhttp.ResponseError
	return errors.As(err, &response) && response.HTTPStatusCode() >= http.StatusInternalServerError
}

func (c *Conn) noCredentials(err error, what string) error {
	return &fault.Fault{Code: fault.Denied, Summary: "no AWS credentials", Err: err,
		Detail: fmt.Sprintf("Cannot %s in %s: no credentials were found, or they could not be renewed (%v).", what, c.Region(), rootOf(err)), Try: c.renew()}
}

// rootOf is the innermost error, which says why.
func rootOf(err error) error {
	for {
		below := errors.Unwrap(err)
		if below == nil {
			return err
		}
		err = below
	}
}

func (c *Conn) renew() []string {
	return []string{"aws sso login" + c.profileFlag() + "   # or as your organization gives out credentials", "aws sts get-caller-identity" + c.profileFlag()}
}

// deniedFault names the right that is missing and the statement that grants it.
func (c *Conn) deniedFault(err error, api smithy.APIError, what string) error {
	f := &fault.Fault{Code: fault.Denied, Summary: "permission missing in AWS", Err: err,
		Detail: fmt.Sprintf("Cannot %s in %s: %s", what, c.Region(), api.ErrorMessage())}
	who, verb, resource, ok := Refused(api)
	if !ok {
		return f
	}
	f.Detail = fmt.Sprintf("Cannot %s in %s: %s may not %s%s.", what, c.Region(), who, verb, onResource(resource))
	f.Try = []string{Policy([]action.Permission{{Verb: verb, Resource: resource}})}
	return f
}

func onResource(arn string) string {
	if arn == "" || arn == "*" {
		return ""
	}
	return " on " + arn
}

// IsCode tells whether AWS answered with one of the codes.
func IsCode(err error, codes ...string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && slices.Contains(codes, api.ErrorCode())
}

// Refused is what a message of AWS says is missing: who may not do what, on
// which resource ("" where it does not say). ok is false where it says nothing of
// the kind.
func Refused(err error) (who, verb, resource string, ok bool) {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return "", "", "", false
	}
	m := notAuthorized.FindStringSubmatch(api.ErrorMessage())
	if m == nil {
		return "", "", "", false
	}
	return m[1], m[2], m[3], true
}

// IsDenied tells whether AWS refused since a right is missing, and not since it
// does not know who asks.
func IsDenied(err error) bool { return IsCode(err, denied...) }
