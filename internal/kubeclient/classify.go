package kubeclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/fault"
)

// ErrTestFailed means that a JSON Patch wrote nothing because one of its test
// operations, or a path in it, did not hold: the object is not what the patch
// was made for. Whether that is drift is for the driver to see, by reading.
var ErrTestFailed = errors.New("the object is not what the patch was made for")

// denied matches refusals by an admission webhook or policy. Their HTTP code
// is whatever the webhook chose, often the 403 of a missing permission.
// Source: k8s.io/apiserver pkg/admission/plugin/webhook/errors ToStatusErr,
// pkg/admission/plugin/policy/validating dispatcher.
var denied = regexp.MustCompile(`denied (the )?request`)

// forbidden matches the API server's words for a missing permission.
// Source: k8s.io/apiserver pkg/endpoints/handlers/responsewriters forbiddenMessage.
var forbidden = regexp.MustCompile(`User "([^"]*)" cannot (\w+) resource "([^"]*)" in API group "([^"]*)"(?: in the namespace "([^"]*)")?`)

// Classify turns an error of client-go into what the rest of noren knows. what
// says what was being done to which object: "read ingress shop/web".
//
//   - no answer, a lost answer, 409 of two writers at once, 429 and 5xx wrap
//     [action.ErrUnavailable];
//   - a failed test of a JSON Patch wraps [ErrTestFailed];
//   - refusals are faults: denied, not_found, or invalid with the words of the
//     admission webhook.
func Classify(err error, what string) error {
	if err == nil {
		return nil
	}
	var f *fault.Fault
	if errors.As(err, &f) || errors.Is(err, action.ErrUnavailable) || errors.Is(err, action.ErrDrift) {
		return fmt.Errorf("%s: %w", what, err)
	}
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return classifyStatus(err, status.Status(), what)
	}
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", what, err)
	}
	if unanswered(err) {
		return unavailable(err, what, "the API server did not answer")
	}
	return fmt.Errorf("%s: %w", what, err)
}

// unanswered tells whether err is about the way to the server and back. An answer
// that was cut off comes as an unexpected end.
func unanswered(err error) bool {
	var viaURL *url.Error
	var viaNet net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &viaURL) || errors.As(err, &viaNet)
}

func unavailable(err error, what, why string) error {
	return fmt.Errorf("%s: %s: %w (%w)", what, why, action.ErrUnavailable, err)
}

func classifyStatus(err error, s metav1.Status, what string) error {
	switch {
	case denied.MatchString(s.Message):
		return &fault.Fault{Code: fault.Invalid, Summary: "refused by admission control",
			Detail: fmt.Sprintf("Cannot %s. The cluster said: %s", what, s.Message), Err: err}
	case s.Code == http.StatusForbidden:
		return deniedFault(err, s, what)
	case s.Code == http.StatusUnauthorized:
		return &fault.Fault{Code: fault.Denied, Summary: "credentials refused by the API server",
			Detail: fmt.Sprintf("Cannot %s: the API server does not accept these credentials. They may have expired.", what),
			Try:    []string{"kubectl auth whoami"}, Err: err}
	case s.Code == http.StatusNotFound:
		return &fault.Fault{Code: fault.NotFound, Summary: "object does not exist",
			Detail: fmt.Sprintf("Cannot %s: %s.", what, s.Message), Err: err}
	case apierrors.IsAlreadyExists(err):
		return fmt.Errorf("%s: %w", what, err)
	case s.Code == http.StatusConflict:
		return unavailable(err, what, "someone wrote to the object at the same moment, nothing was written by noren")
	case s.Code == http.StatusTooManyRequests, s.Code >= http.StatusInternalServerError:
		return unavailable(err, what, "the API server is overloaded or not ready")
	case s.Code == http.StatusUnprocessableEntity && isPatchFailure(s):
		return fmt.Errorf("%s: %w (%w)", what, ErrTestFailed, err)
	case s.Code == http.StatusUnprocessableEntity, s.Code == http.StatusBadRequest:
		return &fault.Fault{Code: fault.Invalid, Summary: "refused by the API server",
			Detail: fmt.Sprintf("Cannot %s: %s", what, s.Message), Err: err}
	default:
		return fmt.Errorf("%s: %w", what, err)
	}
}

// isPatchFailure tells a JSON Patch that did not apply from an object that is
// not valid: both are 422, but only the latter has a kind and a field in its
// details.
// Source: k8s.io/apiserver pkg/endpoints/handlers/patch.go jsonPatcher
// (NewGenericServerResponse), apimachinery api/errors NewInvalid.
func isPatchFailure(s metav1.Status) bool {
	return s.Details == nil || s.Details.Kind == ""
}

// deniedFault names the right that is missing and the YAML that grants it.
func deniedFault(err error, s metav1.Status, what string) error {
	f := &fault.Fault{Code: fault.Denied, Summary: "permission missing in the cluster",
		Detail: fmt.Sprintf("Cannot %s: %s", what, s.Message), Err: err}
	m := forbidden.FindStringSubmatch(s.Message)
	if m == nil {
		return f
	}
	user, verb, resource, group, namespace := m[1], m[2], m[3], m[4], m[5]
	if group != "" {
		name, sub, has := strings.Cut(resource, "/")
		resource = name + "." + group
		if has {
			resource += "/" + sub
		}
	}
	in := "in every namespace"
	if namespace != "" {
		in = "in namespace " + namespace
	}
	f.Detail = fmt.Sprintf("Cannot %s: %q may not %s %s %s.", what, user, verb, resource, in)
	name := strings.NewReplacer("/", "-").Replace("noren-" + verb + "-" + m[3])
	f.Try = []string{Grant(name, user, []action.Permission{{Verb: verb, Resource: resource, Namespace: namespace}}),
		"noren check --live   # prints all that noren needs, at once"}
	return f
}
