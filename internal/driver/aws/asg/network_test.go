package asg

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

var subnet = regexp.MustCompile(`<subnetId>([^<]+)</subnetId>`)

// ec2 asks moto's EC2, for which noren has no client.
func (w *world) ec2(t testing.TB, action string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.moto.Endpoint, strings.NewReader("Version=2016-11-15&Action="+action))
	must(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260102/us-east-1/ec2/aws4_request, SignedHeaders=host, Signature=0")
	out, err := http.DefaultClient.Do(req)
	must(t, err)
	defer func() { _ = out.Body.Close() }()
	body, err := io.ReadAll(out.Body)
	must(t, err)
	return string(body)
}

// vpc is that which every account has.
func (w *world) vpc(t testing.TB) string {
	t.Helper()
	m := regexp.MustCompile(`<vpcId>([^<]+)</vpcId>`).FindStringSubmatch(w.ec2(t, "DescribeVpcs"))
	if m == nil {
		t.Fatal("moto has no VPC")
	}
	return m[1]
}

// subnets are two of it.
func (w *world) subnets(t testing.TB) []string {
	t.Helper()
	var ids []string
	for _, m := range subnet.FindAllStringSubmatch(w.ec2(t, "DescribeSubnets"), 2) {
		ids = append(ids, m[1])
	}
	return ids
}
