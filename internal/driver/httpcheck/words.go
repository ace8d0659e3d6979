package httpcheck

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"syscall"
	"unicode"
)

// maxExcerpt is how much of an answer a finding quotes, in characters.
const maxExcerpt = 80

var (
	title     = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)
	tags      = regexp.MustCompile(`(?s)<(script|style)\b.*?</(script|style)>|<[^>]*>`)
	loginPart = regexp.MustCompile(`(?i)(^|[^a-z])(login|log-in|signin|sign-in|sign_in|oauth2?|authorize|saml2?|sso|oidc)([^a-z]|$)`)
)

// explain says in a person's words why there is no answer.
func explain(err error) string {
	if s := explainTLS(err); s != "" {
		return s
	}
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "the name " + dns.Name + " has no address in DNS"
	case errors.As(err, &dns):
		return "the name " + dns.Name + " could not be looked up: " + dns.Err
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused: nothing listens there, or a firewall refuses this machine"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed before the answer was complete"
	case noRoute(err), errors.Is(err, syscall.EHOSTUNREACH):
		return "this machine has no route there"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "no answer in time: a security group, a firewall or an overloaded door"
	default:
		return "no answer: " + excerpt(err.Error())
	}
}

func explainTLS(err error) string {
	var (
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
		alert   tls.AlertError
	)
	switch {
	case errors.As(err, &unknown):
		return "TLS: the certificate is signed by an authority unknown here (the driver's setting ca_file names more)"
	case errors.As(err, &host):
		return "TLS: the certificate is not for " + host.Host
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "TLS: the certificate has expired, or is not valid yet, by this machine's clock"
	case errors.As(err, &invalid):
		return "TLS: " + excerpt(invalid.Error())
	case errors.As(err, &record):
		return "TLS: no TLS is spoken on this port"
	case errors.As(err, &alert):
		return "TLS: the door refuses the handshake: " + alert.Error()
	default:
		return ""
	}
}

// describe says in a person's words who answered what.
func describe(u *url.URL, a answer) string {
	switch {
	case a.marked:
		return fmt.Sprintf("%d with noren's page of another closing (mark %s)", a.status, a.mark)
	case a.status == http.StatusUnauthorized:
		return "401: a login is asked for first" + inBrackets(excerpt(a.challenge))
	case a.status >= 300 && a.status < 400:
		return redirect(u, a)
	case a.status == http.StatusServiceUnavailable:
		return "503, but not noren's page: " + whose503(a)
	case a.status >= 500:
		return fmt.Sprintf("%d from the application or a proxy before it%s", a.status, said(a))
	default:
		return fmt.Sprintf("%d by the application%s", a.status, said(a))
	}
}

func redirect(u *url.URL, a answer) string {
	to, err := u.Parse(a.location)
	if a.location == "" || err != nil {
		return fmt.Sprintf("%d without a place to go", a.status)
	}
	where := excerpt(to.Scheme + "://" + to.Host + to.EscapedPath()) // a query may hold tokens
	switch {
	case u.Scheme == "http" && to.Scheme == "https" && to.Hostname() == u.Hostname():
		return fmt.Sprintf("%d to https (%s): ask the https URL instead", a.status, where)
	case loginPart.MatchString(to.Hostname()), loginPart.MatchString(to.Path), to.Query().Has("redirect_uri"):
		return fmt.Sprintf("%d to a login page first (%s)", a.status, where)
	default:
		return fmt.Sprintf("%d to %s", a.status, where)
	}
}

// whose503 knows the 503s that a load balancer answers of itself.
//
// Sources: the first two are what the AWS Load Balancer Controller (2.x and 3.x)
// puts into rules whose Service or action annotation is missing
// (https://github.com/kubernetes-sigs/aws-load-balancer-controller,
// pkg/ingress/enhanced_backend_builder.go); the last is an ALB without targets
// (https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html,
// "HTTP 503"), whose Server header is awselb/2.0.
func whose503(a answer) string {
	text := excerpt(string(a.body))
	switch {
	case strings.Contains(text, "Backend service does not exist"):
		return "“Backend service does not exist”, by the AWS Load Balancer Controller: the Ingress names a Service that is not there"
	case strings.Contains(text, "Backend action does not exist"):
		return "“Backend action does not exist”, by the AWS Load Balancer Controller: the Ingress names an action annotation that is not there"
	case strings.HasPrefix(a.server, "awselb/"):
		return "by the load balancer itself, which has no target for the request"
	default:
		return "by the application or a proxy before it" + said(a)
	}
}

// said quotes an answer: its content type, its title or the begin of its text.
func said(a answer) string {
	parts := []string{}
	if kind, _, err := mime.ParseMediaType(a.contentType); err == nil {
		parts = append(parts, kind)
	}
	text := ""
	if m := title.FindSubmatch(a.body); m != nil {
		text = excerpt(string(m[1]))
	} else {
		text = excerpt(tags.ReplaceAllString(string(a.body), " "))
	}
	if text != "" {
		parts = append(parts, "“"+text+"”")
	}
	return inBrackets(strings.Join(parts, ", "))
}

func inBrackets(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

// excerpt makes foreign text fit for one line of a terminal: no control or
// format characters, which could move the cursor or turn the text around, runs
// of space made one, and cut.
func excerpt(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		default:
			return r
		}
	}, strings.ToValidUTF8(s, "�"))
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > maxExcerpt {
		return strings.TrimSpace(string(runes[:maxExcerpt])) + "…"
	}
	return s
}
