package awsclient

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// noise is what no person needs to read.
var noise = []string{"operation error", "https response error", "RequestID", "StatusCode", "api error", "failed to refresh", "deserialization", "HIDDEN"}

func quiet(t *testing.T, text string) {
	t.Helper()
	for _, words := range noise {
		if strings.Contains(text, words) {
			t.Errorf("it says %q: %s", words, text)
		}
	}
}

// refusing answers every request with an error of AWS, or with something else.
func refusing(t *testing.T, status int, code, message string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Amzn-Requestid", "0ec5a1f0")
		w.WriteHeader(status)
		if code == "" {
			fmt.Fprint(w, message)
			return
		}
		fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>0ec5a1f0</RequestId></ErrorResponse>`, code, message)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// TestAnswersInPlainWords: whatever AWS answers, or answers in its place, is said
// in words that help at night, and with what to do.
func TestAnswersInPlainWords(t *testing.T) {
	const night = "User: arn:aws:iam::123456789012:user/night is not authorized to perform: "
	for name, c := range map[string]struct {
		status        int
		code, message string
		unavailable   bool
		says          []string
		never         string
	}{
		"expired":        {403, "ExpiredToken", "The security token included in the request is expired", false, []string{"AWS credentials have expired", "the keys in the environment (AWS_ACCESS_KEY_ID)", "export AWS_ACCESS_KEY_ID="}, "sso login"},
		"no such key":    {403, "InvalidClientTokenId", "The security token included in the request is invalid.", false, []string{"does not accept the keys in the environment", "is invalid."}, "invalid.."},
		"storm":          {400, "Throttling", "Rate exceeded", true, []string{"AWS asks to go slower: Throttling: Rate exceeded"}, ""},
		"down":           {503, "ServiceUnavailable", "try later", true, []string{"AWS is busy: ServiceUnavailable: try later"}, ""},
		"gateway":        {502, "", "<html>Bad Gateway</html>", true, []string{"HTTP 502 Bad Gateway, and not in AWS's words"}, "<html>"},
		"login page":     {200, "", "<html>Welcome, please log in</html>", false, []string{"answer is not one of AWS", "an API of AWS?"}, "bug"},
		"not enabled":    {403, "OptInRequired", "You are not subscribed to this service", false, []string{"AWS region or service is not enabled", "aws account list-regions"}, "permission"},
		"odd":            {400, "ValidationError", "1 validation error detected", false, []string{"AWS refused a request", "AWS says ValidationError: 1 validation error detected."}, ""},
		"SCP":            {403, "AccessDenied", night + "ecs:UpdateService on resource: arn:x with an explicit deny in a service control policy", false, []string{"may not ecs:UpdateService on arn:x", "The denial is explicit, in the service control policy"}, `"Effect"`},
		"no SCP":         {403, "AccessDenied", night + "ecs:UpdateService on resource: arn:x because no service control policy allows the ecs:UpdateService action", false, []string{"It is the service control policy that has to allow it."}, ""},
		"boundary":       {403, "AccessDenied", night + "ecs:UpdateService on resource: arn:x because no permissions boundary allows the ecs:UpdateService action", false, []string{"It is the permissions boundary that has to allow it."}, ""},
		"plainly denied": {403, "AccessDenied", night + "ecs:UpdateService on resource: arn:x because no identity-based policy allows the ecs:UpdateService action", false, []string{"may not ecs:UpdateService on arn:x.", `"Effect": "Allow"`}, "has to allow"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := conn(t, Config{Region: "us-east-1", Endpoint: refusing(t, c.status, c.code, c.message)}).Account(t.Context())
			text := fmt.Sprint(err)
			for _, f := range fault.Of(err) {
				text += "\n" + strings.Join(f.Try, "\n")
			}
			quiet(t, text)
			for _, words := range c.says {
				if !strings.Contains(text, words) {
					t.Errorf("it does not say %q: %s", words, text)
				}
			}
			if c.never != "" && strings.Contains(text, c.never) {
				t.Errorf("it says %q: %s", c.never, text)
			}
			if errors.Is(err, action.ErrUnavailable) != c.unavailable {
				t.Errorf("unavailable is %v: %s", !c.unavailable, text)
			}
		})
	}
}

// TestCredentialsThatCannotBeHad says which they are, and how to get them.
func TestCredentialsThatCannotBeHad(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config")
	must(t, os.WriteFile(config, []byte(`
[profile sso]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = Ops
[sso-session corp]
sso_start_url = https://corp.example.com/start
sso_region = us-east-1
[profile tool]
credential_process = /bin/false
[profile chained]
role_arn = arn:aws:iam::123456789012:role/x
source_profile = nothere
[profile bare]
region = us-east-1
`), 0o600))
	const role = "arn:aws:iam::123456789012:role/noren"
	for name, c := range map[string]struct {
		cfg       Config
		variables map[string]string
		says      []string
	}{
		"nothing at all":     {Config{}, nil, []string{"no AWS credentials", "There are no keys in the environment (AWS_ACCESS_KEY_ID), none in the default profile, and this machine has no role."}},
		"bare profile":       {Config{Profile: "bare"}, nil, []string{"Profile bare has no credentials", "aws sso login --profile bare"}},
		"SSO":                {Config{Profile: "sso"}, nil, []string{"AWS SSO session has ended", "aws sso login --profile sso"}},
		"SSO by variable":    {Config{}, map[string]string{"AWS_PROFILE": "sso"}, []string{"AWS SSO session has ended", "aws sso login --profile sso"}},
		"a tool":             {Config{Profile: "tool"}, nil, []string{"The credential_process of profile tool failed: exit status 1."}},
		"chained to none":    {Config{Profile: "chained"}, nil, []string{`leads to the profile "nothere" (source_profile)`}},
		"no such profile":    {Config{Profile: "nihgt"}, nil, []string{`Environment prod names the profile "nihgt", which none`, "aws configure list-profiles"}},
		"no such variable":   {Config{}, map[string]string{"AWS_PROFILE": "nihgt"}, []string{`The variable AWS_PROFILE names the profile "nihgt"`, "aws configure list-profiles"}},
		"the same with keys": {Config{}, map[string]string{"AWS_PROFILE": "nihgt", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "HIDDEN"}, []string{`The variable AWS_PROFILE names the profile "nihgt"`}},
		"role refused": {Config{Role: role, Endpoint: refusing(t, 403, "AccessDenied", "User: arn:aws:iam::123456789012:user/night is not authorized to perform: sts:AssumeRole on resource: "+role)},
			map[string]string{"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "HIDDEN"}, []string{"Cannot work as the role in us-east-1: arn:aws:iam::123456789012:user/night may not sts:AssumeRole on " + role, "The role's trust policy has to allow it, too."}},
		"role, expired":  {Config{Role: role, Endpoint: refusing(t, 403, "ExpiredToken", "expired")}, map[string]string{"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "HIDDEN"}, []string{"AWS credentials have expired", "the role " + role}},
		"role, but down": {Config{Role: role, Endpoint: "http://127.0.0.1:1"}, map[string]string{"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "HIDDEN"}, []string{"AWS did not answer in us-east-1: dial tcp 127.0.0.1:1: connect: connection refused"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, v := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"} {
				t.Setenv(v, c.variables[v])
			}
			t.Setenv("HOME", t.TempDir())
			t.Setenv("AWS_CONFIG_FILE", config)
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "none")
			t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			if c.cfg.Endpoint == "" {
				c.cfg.Endpoint = refusing(t, 500, "InternalFailure", "nobody should have asked")
			}
			c.cfg.Region = "us-east-1"
			conn, err := Open(t.Context(), c.cfg, driver.Env{Name: "prod"})
			if err == nil {
				_, err = conn.Account(t.Context())
			}
			text := fmt.Sprint(err)
			for _, f := range fault.Of(err) {
				text += "\n" + strings.Join(f.Try, "\n")
			}
			quiet(t, text)
			for _, words := range c.says {
				if !strings.Contains(text, words) {
					t.Errorf("it does not say %q: %s", words, text)
				}
			}
		})
	}
}

// TestRegionsAreChecked: what is no region is refused, and where a region has no
// address, the nearest is named.
func TestRegionsAreChecked(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{"us-east-1": true, "us-gov-west-1": true, "eusc-de-east-1": true, "ap-northeast-9": true, "Tokyo": false, "us-east-1a": false, "": false, "us east 1": false} {
		if err := CheckRegion(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := CheckRegion("us-east-1a"); !strings.Contains(fmt.Sprint(err), "did you mean us-east-1?") {
		t.Error(err)
	}
}

// A name that has no address may be a region that does not exist.
func TestNowhere(t *testing.T) {
	c := conn(t, Config{Region: "us-eats-1"})
	err := c.Classify(unknownName("sts.us-eats-1.amazonaws.com"), "ask")
	if !errors.Is(err, action.ErrUnavailable) || !strings.Contains(err.Error(), "did you mean us-east-1?") {
		t.Error(err)
	}
	quiet(t, err.Error())
}

// unknownName is what the SDK says of a name without an address.
func unknownName(name string) error {
	dns := &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	return &smithy.OperationError{ServiceID: "STS", OperationName: "GetCallerIdentity", Err: &smithyhttp.RequestSendError{Err: &net.OpError{Op: "dial", Net: "tcp", Err: dns}}}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
