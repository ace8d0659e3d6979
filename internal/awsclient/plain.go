package awsclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/noren-dev/noren/internal/fault"
)

// plain is an error of the SDK in the words that a person needs: what AWS said,
// or what became of the request. The SDK's own text, with operations and request
// ids, stays below it for errors.As.
type plain struct {
	words string
	err   error
}

func (p *plain) Error() string { return p.words }

func (p *plain) Unwrap() error { return p.err }

// Plain says an error of the SDK in plain words. Every other error stays as it is.
func Plain(err error) error {
	if words := wordsOf(err); words != "" {
		return &plain{words, err}
	}
	return err
}

// wordsOf are the plain words for an error, "" if it is not one of the SDK.
func wordsOf(err error) string {
	var done *plain
	var operation *smithy.OperationError
	if err == nil || errors.As(err, &done) || !errors.As(err, &operation) {
		return ""
	}
	var api smithy.APIError
	var unknownName *net.DNSError
	var socket *net.OpError
	var timeout net.Error
	var certificate *tls.CertificateVerificationError
	var response *smithyhttp.ResponseError
	switch {
	case errors.As(err, &api) && !unspoken(api):
		return said(api)
	case errors.As(err, &unknownName) && unknownName.IsNotFound:
		return "there is no address for the name " + unknownName.Name
	case errors.As(err, &certificate):
		return certificate.Error()
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case errors.As(err, &socket):
		return socket.Error()
	case errors.As(err, &response) && response.HTTPStatusCode() > 0:
		return fmt.Sprintf("HTTP %d %s, and not in AWS's words", response.HTTPStatusCode(), http.StatusText(response.HTTPStatusCode()))
	}
	return rootOf(err).Error()
}

// unspoken tells of an answer with an error in it that the SDK could not read.
func unspoken(api smithy.APIError) bool {
	return (api.ErrorCode() == "" || api.ErrorCode() == "UnknownError") && api.ErrorMessage() == "UnknownError"
}

// said is what AWS said: its words, or its code where it has none.
func said(api smithy.APIError) string {
	switch code, message := api.ErrorCode(), api.ErrorMessage(); {
	case message == "" || message == code:
		return code
	case code == "":
		return message
	default:
		return code + ": " + message
	}
}

// DetailOf is what an error says to a person, without its summary.
func DetailOf(err error) string {
	var f *fault.Fault
	if errors.As(err, &f) {
		return f.Detail
	}
	return err.Error()
}

// sentence ends with a full stop.
func sentence(text string) string { return strings.TrimRight(text, ". \n") + "." }

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
