package testaws

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

var (
	vpc    = regexp.MustCompile(`<vpcId>([^<]+)</vpcId>`)
	subnet = regexp.MustCompile(`<subnetId>([^<]+)</subnetId>`)
)

// VPC is that which every account has.
func (s *Server) VPC(t testing.TB) string {
	t.Helper()
	m := vpc.FindStringSubmatch(s.ask(t, "ec2", url.Values{"Action": {"DescribeVpcs"}, "Version": {"2016-11-15"}}))
	if m == nil {
		t.Fatal("moto has no VPC")
	}
	return m[1]
}

// Subnets are two of it.
func (s *Server) Subnets(t testing.TB) []string {
	t.Helper()
	var ids []string
	for _, m := range subnet.FindAllStringSubmatch(s.ask(t, "ec2", url.Values{"Action": {"DescribeSubnets"}, "Version": {"2016-11-15"}}), 2) {
		ids = append(ids, m[1])
	}
	return ids
}

// Role makes a role for a function, and returns its ARN.
func (s *Server) Role(t testing.TB, name string) string {
	t.Helper()
	s.ask(t, "iam", url.Values{"Action": {"CreateRole"}, "Version": {"2010-05-08"}, "RoleName": {name}, "AssumeRolePolicyDocument": {"{}"}})
	return "arn:aws:iam::" + Account + ":role/" + name
}

// ask asks a service for which noren has no client, in the query protocol.
func (s *Server) ask(t testing.TB, service string, form url.Values) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260102/"+Region+"/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
	out, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Body.Close() }()
	body, err := io.ReadAll(out.Body)
	if err != nil || out.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v", form.Get("Action"), out.Status, err)
	}
	return string(body)
}
