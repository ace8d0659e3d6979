package awsclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

func conn(t *testing.T, cfg Config) *Conn {
	t.Helper()
	for name, value := range map[string]string{"AWS_CONFIG_FILE": "none", "AWS_SHARED_CREDENTIALS_FILE": "none", "AWS_PROFILE": "", "AWS_REGION": "", "AWS_DEFAULT_REGION": "",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"} {
		t.Setenv(name, value)
	}
	c, err := Open(t.Context(), cfg, driver.Env{Name: "prod", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOpenRefuses(t *testing.T) {
	conn(t, Config{Region: "us-east-1"}) // sets the environment
	for name, tt := range map[string]struct {
		cfg  Config
		want string
	}{
		"no region":       {Config{}, "no AWS region"},
		"unknown profile": {Config{Region: "us-east-1", Profile: "nobody"}, "AWS profile does not exist"},
	} {
		_, err := Open(t.Context(), tt.cfg, driver.Env{Name: "prod"})
		var f *fault.Fault
		if !errors.As(err, &f) || f.Summary != tt.want || !strings.Contains(f.Detail, "prod") || len(f.Try) == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestClassify(t *testing.T) {
	c := conn(t, Config{Region: "us-east-1", Profile: ""})
	api := func(code, message string) error {
		return &smithy.OperationError{ServiceID: "ECS", OperationName: "UpdateService", Err: &smithy.GenericAPIError{Code: code, Message: message}}
	}
	for name, tt := range map[string]struct {
		err  error
		want error
		says string
	}{
		"throttled":    {api("Throttling", "Rate exceeded"), action.ErrUnavailable, "go slower"},
		"many at once": {api("ClientException", "Too many concurrent attempts to update the service"), action.ErrUnavailable, "busy"},
		"late":         {context.DeadlineExceeded, action.ErrUnavailable, "did not answer in us-east-1"},
		"expired":      {api("ExpiredToken", "The security token included in the request is expired"), &fault.Fault{Code: fault.Denied}, "expired"},
		"bad key":      {api("InvalidClientTokenId", "The security token is invalid"), &fault.Fault{Code: fault.Denied}, "does not accept"},
		"not allowed": {api("AccessDenied", "User: arn:aws:iam::123456789012:user/night is not authorized to perform: ecs:UpdateService on resource: arn:aws:ecs:us-east-1:123456789012:service/shop/web because no identity-based policy allows the ecs:UpdateService action"),
			&fault.Fault{Code: fault.Denied}, "user/night may not ecs:UpdateService on arn:aws:ecs:us-east-1:123456789012:service/shop/web"},
		"its own": {api("PriorityInUse", "taken"), nil, "Cannot scale web in us-east-1. AWS says PriorityInUse: taken."},
	} {
		err := c.Classify(tt.err, "scale web")
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "operation error") {
			t.Errorf("%s: %v", name, err)
		}
		if tt.want == nil && (errors.Is(err, action.ErrUnavailable) || errors.Is(err, &fault.Fault{Code: fault.Denied})) {
			t.Errorf("%s: taken for another: %v", name, err)
		}
	}
}

// TestCutOffInTheMiddle: an answer that ends too early is none.
func TestCutOffInTheMiddle(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		fmt.Fprint(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws`)
	}))
	defer server.Close()
	c := conn(t, Config{Region: "us-east-1", Endpoint: server.URL})
	_, err := sts.NewFromConfig(c.AWS).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err = c.Classify(err, "ask who noren is"); !errors.Is(err, action.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}

// What is at work on something else is tried again; the same code elsewhere is not.
func TestClassifyBusy(t *testing.T) {
	c := conn(t, Config{Region: "us-east-1", Profile: ""})
	inUse := &smithy.GenericAPIError{Code: "ResourceInUse", Message: "in use"}
	if err := c.ClassifyBusy(inUse, "scale web", "ScalingActivityInProgress", "ResourceInUse"); !errors.Is(err, action.ErrUnavailable) || !errors.Is(err, inUse) {
		t.Errorf("%v", err)
	}
	if err := c.ClassifyBusy(inUse, "scale web", "ScalingActivityInProgress"); err == nil || errors.Is(err, action.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if err := c.ClassifyBusy(nil, "scale web", "ResourceInUse"); err != nil {
		t.Error(err)
	}
}

// The statement that grants what is missing can be pasted as it is.
func TestDeniedGrants(t *testing.T) {
	c := conn(t, Config{Region: "us-east-1"})
	err := c.Classify(&smithy.GenericAPIError{Code: "AccessDenied", Message: "User: me is not authorized to perform: ecs:UpdateService on resource: arn:x because"}, "scale")
	var f *fault.Fault
	if !errors.As(err, &f) || len(f.Try) != 1 || !strings.Contains(f.Try[0], `"ecs:UpdateService"`) || !strings.Contains(f.Try[0], `"arn:x"`) {
		t.Errorf("%+v", f)
	}
}

func TestAnotherAccount(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/me</Arn><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	}))
	defer server.Close()
	c := conn(t, Config{Region: "us-east-1", Endpoint: server.URL, Account: "999999999999"})
	_, err := c.Account(t.Context())
	if !errors.Is(err, &fault.Fault{Code: fault.Invalid}) || !strings.Contains(err.Error(), "123456789012") {
		t.Errorf("%v", err)
	}
	if who, err := c.Identity(t.Context()); err != nil || who != "arn:aws:iam::123456789012:user/me" {
		t.Errorf("%s, %v", who, err)
	}
}

func TestPolicy(t *testing.T) {
	got := Policy([]action.Permission{
		{Verb: "ecs:UpdateService", Resource: "arn:b"}, {Verb: "ecs:UpdateService", Resource: "arn:a"}, {Verb: "ecs:TagResource", Resource: "arn:a"},
		{Verb: "ecs:TagResource", Resource: "arn:b"}, {Verb: "ecs:DescribeServices"}, {Verb: "ecs:DescribeServices", Resource: "arn:a"},
	})
	want := `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": [
        "ecs:DescribeServices"
      ],
      "Resource": [
        "*"
      ]
    },
    {
      "Effect": "Allow",
      "Action": [
        "ecs:TagResource",
        "ecs:UpdateService"
      ],
      "Resource": [
        "arn:a",
        "arn:b"
      ]
    }
  ]
}`
	if got != want {
		t.Errorf("got %s", got)
	}
}

func TestMarkInTags(t *testing.T) {
	m := action.Mark{Receipt: action.Receipt{Run: "run-1", Step: "close-1", Action: "aws/alb.close", Target: "aws:prod/alb/shop",
		To: action.State{Version: 1, Fields: []byte(`{"page":"` + strings.Repeat("メンテナンス中です ", 100) + `"}`)}}}
	tags, err := Tags(m)
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range tags {
		if len(value) > tagValue || len(key) > 128 || strings.ContainsFunc(value, func(r rune) bool {
			return !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-=._:/@ ", r)
		}) {
			t.Errorf("AWS would refuse the tag %s=%s", key, value)
		}
	}
	tags["team"] = "shop"
	found, ok := MarkIn("rule", tags)
	if !ok || found.Wrong != "" || found.Mark.Receipt.Run != "run-1" || !found.Mark.Receipt.To.Equal(m.Receipt.To) {
		t.Errorf("%+v", found)
	}
	delete(tags, markPrefix+"00")
	if found, ok := MarkIn("rule", tags); !ok || found.Wrong == "" || found.Mark.Receipt.Run != "run-1" {
		t.Errorf("a mark with a part missing: %+v", found)
	}
	if _, ok := MarkIn("rule", map[string]string{"team": "shop"}); ok {
		t.Error("a mark where there is none")
	}
	full := map[string]string{}
	for i := range MostTags {
		full[fmt.Sprint(i)] = ""
	}
	if err := Fits("rule x", full, m, 1); !errors.Is(err, &fault.Fault{Code: fault.Invalid}) || !strings.Contains(err.Error(), "rule x has 50 tags") {
		t.Errorf("%v", err)
	}
	if err := Fits("rule x", map[string]string{"aws:cloudformation:stack": "s"}, m, 1); err != nil {
		t.Error(err)
	}
}

// One connection's parts share; another's do not.
func TestShared(t *testing.T) {
	c, d := conn(t, Config{Region: "us-east-1"}), conn(t, Config{Region: "us-east-2"})
	type cache struct{ region string }
	build := func(c *Conn) *cache { return &cache{c.Region()} }
	first, again, other := Shared(c, build), Shared(c, build), Shared(d, build)
	if first != again || first == other || other.region != "us-east-2" {
		t.Error("not shared by connection")
	}
}

// A call whose turn would come after its deadline can be made again: it is not
// refused.
// TestReadsAgain: a read that AWS finds too fast is made again with the next token;
// a write is not, and a read that stays too fast is told of.
func TestReadsAgain(t *testing.T) {
	asked, refuse := 0, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		if asked <= refuse {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>`)
			return
		}
		fmt.Fprint(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	}))
	defer server.Close()
	client := sts.NewFromConfig(conn(t, Config{Region: "us-east-1", Endpoint: server.URL}).AWS)
	read := func() error {
		_, err := client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
		return err
	}
	write := func() error {
		_, err := client.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::123456789012:role/x"), RoleSessionName: aws.String("x")})
		return err
	}
	for name, c := range map[string]struct {
		call   func() error
		refuse int
		asked  int
		fails  bool
	}{"a few": {read, 3, 4, false}, "on and on": {read, 9, 4, true}, "a write": {write, 1, 1, true}} {
		asked, refuse = 0, c.refuse
		if err := c.call(); asked != c.asked || isThrottled(err) != c.fails {
			t.Errorf("%s: asked %d times, %v", name, asked, err)
		}
	}
}

func TestWaitingTooLongIsUnavailable(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	}))
	defer server.Close()
	c := conn(t, Config{Region: "us-east-1", Endpoint: server.URL})
	client := sts.NewFromConfig(c.AWS)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var err error
	for err == nil {
		_, err = client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	}
	if err = c.Classify(err, "ask"); !errors.Is(err, action.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}

// TestPartitions: a policy with ARNs of another partition grants nothing.
func TestPartitions(t *testing.T) {
	t.Parallel()
	for region, want := range map[string]string{"ap-northeast-1": "arn:aws:s3:::b", "cn-north-1": "arn:aws-cn:s3:::b", "us-gov-west-1": "arn:aws-us-gov:s3:::b",
		"eusc-de-east-1": "arn:aws-eusc:s3:::b", "us-isob-east-1": "arn:aws-iso-b:s3:::b", "us-iso-east-1": "arn:aws-iso:s3:::b", "eu-west-1": "arn:aws:s3:::b"} {
		if got := (&Conn{AWS: aws.Config{Region: region}}).BucketARN("b"); got != want {
			t.Errorf("%s: %s, want %s", region, got, want)
		}
	}
}
