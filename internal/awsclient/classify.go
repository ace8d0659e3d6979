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
// credentials, or may not do something. UnauthorizedException and the two after it
// are what SSO says once its session has ended.
// Sources: https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html,
// https://docs.aws.amazon.com/singlesignon/latest/PortalAPIReference/API_GetRoleCredentials.html
var (
	expired = []string{"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired", "UnauthorizedException", "InvalidGrantException", "UnauthorizedClientException"}
	unknown = []string{"UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "SignatureDoesNotMatch", "IncompleteSignature",
		"InvalidSignatureException", "MissingAuthenticationToken", "MissingAuthenticationTokenException", "AuthFailure"}
	denied = []string{"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"}
	// busy are those, beside the SDK's throttle codes, after which the same call
	// may succeed. ECS says ClientException for "too many concurrent attempts".
	busy = []string{"ConcurrentUpdateException", "ConcurrentModificationException", "ResourceContention", "ServiceUnavailable",
		"ServiceUnavailableException", "InternalFailure", "InternalError", "ServerException", "UpdateInProgressException"}
)

// notAuthorized matches AWS's words for a missing permission: who, what, on
// which resource (S3 puts it in quotes), and which policy forbids it or lacks it.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
var (
	notAuthorized = regexp.MustCompile(`(?:User: )?(\S+) is not authorized to perform: (\S+)(?: on resource: "?([^\s"]+)"?)?`)
	explicitDeny  = regexp.MustCompile(`with an explicit deny in an? (.+?)(?:$|: )`)
	lackingPolicy = regexp.MustCompile(`because no (.+?) allows`)
)

// Classify turns an error of the SDK into what the rest of noren knows, in plain
// words. what says what was being done to which thing: "read listener shop".
//
//   - no answer, a lost answer, throttling and 5xx wrap [action.ErrUnavailable];
//   - credentials that are missing, expired or not enough are faults of code
//     denied, with what renews them or the IAM statement that grants more;
//   - every other refusal is a fault that says AWS's own words, in which [IsCode]
//     finds the code.
func (c *Conn) Classify(err error, what string) error {
	if err == nil {
		return nil
	}
	var f *fault.Fault
	if errors.As(err, &f) || errors.Is(err, action.ErrUnavailable) || errors.Is(err, action.ErrDrift) || errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", what, Plain(err))
	}
	var api smithy.APIError
	var garbled *smithy.DeserializationError
	switch answered := errors.As(err, &api) && !unspoken(api); {
	case answered:
		return c.classifyCode(err, api, what)
	case unreachable(err):
		return c.unavailable(err, what, "AWS did not answer in "+c.Region())
	case isNoCredentials(err):
		return c.noCredentials(err)
	case errors.As(err, &garbled):
		return c.notAWS(err)
	}
	return fmt.Errorf("%s: %w", what, Plain(err))
}

// unavailable says why AWS has no answer now; the same call may get one later.
func (c *Conn) unavailable(err error, what, why string) error {
	return &plain{fmt.Sprintf("%s: %s: %s%s", what, why, Plain(err), c.nowhere(err)), errors.Join(action.ErrUnavailable, err)}
}

// unreachable tells whether there was no answer of AWS's own: nobody answered,
// the connection ended first, or something between answered for it. A machine
// without a role does not answer either, which is no matter of the network.
func unreachable(err error) bool {
	var response *smithyhttp.ResponseError
	var viaURL *url.Error
	var socket *net.OpError
	var sent *smithyhttp.RequestSendError
	switch {
	case machineWords.MatchString(err.Error()):
		return false
	case errors.As(err, &response) && response.HTTPStatusCode() >= http.StatusInternalServerError:
		return true
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &viaURL) || errors.As(err, &socket) || errors.As(err, &sent) ||
		errors.Is(err, io.ErrUnexpectedEOF) // it ended in the middle of the answer: what was asked for may have been done
}

// notAWS says that something else answered: an API that is not AWS's, or a proxy.
func (c *Conn) notAWS(err error) error {
	where := "Is there a proxy or a login page in between (HTTPS_PROXY)?"
	if c.endpoint != "" {
		where = fmt.Sprintf("Is %s, the endpoint of %s, an API of AWS?", c.endpoint, c.Env.Name)
	}
	return &fault.Fault{Code: fault.Unavailable, Summary: "answer is not one of AWS", Err: &plain{"", err},
		Detail: fmt.Sprintf("What answers in place of AWS in %s does not speak as AWS does. %s", c.Region(), where)}
}

func (c *Conn) classifyCode(err error, api smithy.APIError, what string) error {
	code := api.ErrorCode()
	var limited ratelimit.QuotaExceededError
	switch {
	case isThrottled(err) || errors.As(err, &limited):
		return c.unavailable(err, what, "AWS asks to go slower")
	case slices.Contains(busy, code), tooManyAttempts.MatchString(api.ErrorMessage()), serverSide(err):
		return c.unavailable(err, what, "AWS is busy")
	case slices.Contains(expired, code):
		return c.credentials(err, "AWS credentials have expired", "AWS takes no longer "+c.who(), api.ErrorMessage())
	case slices.Contains(unknown, code):
		return c.credentials(err, "AWS does not accept these credentials", "AWS does not accept "+c.who(), api.ErrorMessage())
	case slices.Contains(denied, code):
		return c.deniedFault(err, api, what)
	case code == "OptInRequired":
		return &fault.Fault{Code: fault.Denied, Summary: "AWS region or service is not enabled", Err: Plain(err),
			Detail: fmt.Sprintf("Cannot %s in %s: the account is not subscribed to it. AWS says %s", what, c.Region(), sentence(Plain(err).Error())),
			Try:    []string{"aws account list-regions --region-opt-status-contains ENABLED ENABLED_BY_DEFAULT" + c.profileFlag()}}
	}
	return &fault.Fault{Code: fault.Unavailable, Summary: "AWS refused a request", Err: Plain(err),
		Detail: fmt.Sprintf("Cannot %s in %s. AWS says %s", what, c.Region(), sentence(Plain(err).Error()))}
}

// isThrottled tells whether AWS asks to go slower.
func isThrottled(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	_, throttled := retry.DefaultThrottleErrorCodes[api.ErrorCode()]
	return throttled
}

var tooManyAttempts = regexp.MustCompile(`(?i)too many concurrent attempts`)

func serverSide(err error) bool {
	var response *smithyhttp.ResponseError
	return errors.As(err, &response) && response.HTTPStatusCode() >= http.StatusInternalServerError
}

// deniedFault names the right that is missing and the statement that grants it,
// or the policy that no statement helps against.
func (c *Conn) deniedFault(err error, api smithy.APIError, what string) error {
	f := &fault.Fault{Code: fault.Denied, Summary: "permission missing in AWS", Err: &plain{"", err},
		Detail: fmt.Sprintf("Cannot %s in %s: %s", what, c.Region(), sentence(api.ErrorMessage()))}
	who, verb, resource, ok := Refused(api)
	if !ok || verb == "this" { // it does not say what
		return f
	}
	if verb == "sts:AssumeRole" {
		what = "work as the role" // whatever was to be done: it is told once
	}
	f.Detail = fmt.Sprintf("Cannot %s in %s: %s may not %s%s.", what, c.Region(), who, verb, onResource(resource))
	if by := explicitDeny.FindStringSubmatch(api.ErrorMessage()); len(by) > 0 {
		f.Detail += fmt.Sprintf(" The denial is explicit, in the %s: no statement that allows it helps against that. Whoever keeps that policy has to change it.", by[1])
		return f
	}
	if by := lackingPolicy.FindStringSubmatch(api.ErrorMessage()); len(by) > 0 && by[1] != "identity-based policy" {
		f.Detail += fmt.Sprintf(" It is the %s that has to allow it.", by[1])
	}
	if verb == "sts:AssumeRole" {
		f.Detail += " The role's trust policy has to allow it, too."
	}
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
