package awsclient

import (
	"cmp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// ARN names a thing of this account and region: ARN("ecs", "service/shop/web").
// The account is "*" while it is not known, which is good enough for a policy.
// It asks AWS nothing.
func (c *Conn) ARN(service, resource string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	account := c.expect
	if c.caller != nil {
		account = cmp.Or(account, aws.ToString(c.caller.Account))
	}
	return strings.Join([]string{"arn", partition(c.Region()), service, c.Region(), cmp.Or(account, "*"), resource}, ":")
}

// GlobalARN names a thing of this account that is in no region, such as a
// distribution of CloudFront. The account is as in [Conn.ARN].
func (c *Conn) GlobalARN(service, resource string) string {
	parts := strings.Split(c.ARN(service, resource), ":")
	parts[3] = ""
	return strings.Join(parts, ":")
}

// BucketARN names a bucket of S3, or an object in it: their names are of no
// account and no region.
func (c *Conn) BucketARN(name string) string {
	return "arn:" + partition(c.Region()) + ":s3:::" + name
}

// partition is that of a region. Source:
// internal/endpoints/awsrulesfn/partitions.go of aws-sdk-go-v2, which does not
// export it.
func partition(region string) string {
	for begins, name := range map[string]string{"cn-": "aws-cn", "us-gov-": "aws-us-gov", "eusc-": "aws-eusc",
		"us-iso-": "aws-iso", "us-isob-": "aws-iso-b", "eu-isoe-": "aws-iso-e", "us-isof-": "aws-iso-f"} {
		if strings.HasPrefix(region, begins) {
			return name
		}
	}
	return "aws"
}

// Target names a thing as plans do: "aws:prod/ecs/shop/web".
func (c *Conn) Target(kind, name string) string {
	return "aws:" + c.Env.Name + "/" + kind + "/" + name
}
