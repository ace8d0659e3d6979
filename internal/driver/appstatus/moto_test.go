package appstatus

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	cftypes "github.com/aws/aws-sdk-go-v2/service/cloudfront/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/testaws"
)

// TestMoto holds the wire format against another's reading of it: moto keeps to
// conditions, and to little else here. Buckets may have versions.
func TestMoto(t *testing.T) {
	moto := testaws.Start(t)
	sdk, err := awsconfig.LoadDefaultConfig(t.Context(), awsconfig.WithBaseEndpoint(moto.Endpoint))
	if err != nil {
		t.Fatal(err)
	}
	distribution := aDistribution(t, cloudfront.NewFromConfig(sdk))
	buckets := s3.NewFromConfig(sdk, func(o *s3.Options) { o.UsePathStyle = true })
	for _, name := range []string{"plain-status", "versioned-status"} {
		t.Run(name, func(t *testing.T) {
			if _, err := buckets.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(name)}); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(name, "versioned") {
				versions := &s3types.VersioningConfiguration{Status: s3types.BucketVersioningStatusEnabled}
				if _, err := buckets.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: aws.String(name), VersioningConfiguration: versions}); err != nil {
					t.Fatal(err)
				}
			}
			cfg := inMoto(name, moto.Endpoint, distribution)
			onMoto(t, cfg)
			// The document is deleted, and told again.
			if _, err := buckets.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(name), Key: aws.String(key)}); err != nil {
				t.Fatal(err)
			}
			onMoto(t, cfg)
		})
	}
	cfg := inMoto("nobodys-status", moto.Endpoint, distribution)
	if _, err := process(t, cfg).place.writable(t.Context()); !errors.Is(err, &fault.Fault{Code: fault.NotFound}) {
		t.Errorf("a bucket that is not there: %v", err)
	}
	cfg = inMoto("plain-status", moto.Endpoint, "ENOBODY")
	if _, err := process(t, cfg).place.writable(t.Context()); !errors.Is(err, &fault.Fault{Code: fault.NotFound}) {
		t.Errorf("a distribution that is not there: %v", err)
	}
}

// onMoto closes, again, opens, and again.
func onMoto(t *testing.T, cfg Config) {
	t.Helper()
	if v, err := process(t, cfg).place.writable(t.Context()); err != nil || !v.OK {
		t.Fatalf("%+v, %v", v, err)
	}
	for _, there := range []bool{true, true, false, false} {
		c, err := moves(t, cfg, there)
		if err != nil {
			t.Fatal(err)
		}
		d, err := c.place.read(t.Context())
		if err != nil || (d.Services["shop"].Closing != nil) != there || (markIn(t, c) != nil) != there {
			t.Errorf("closed %t: %+v, %v, mark %v", there, d, err, markIn(t, c))
		}
		if v, err := settled(t.Context(), c.place, nil); err != nil || !v.OK || !strings.Contains(v.Summary, "completed invalidation") {
			t.Errorf("closed %t: %+v, %v", there, v, err)
		}
		if v, err := c.place.writable(t.Context()); err != nil || !v.OK {
			t.Errorf("closed %t: %+v, %v", there, v, err)
		}
	}
}

func inMoto(bucket, endpoint, distribution string) Config {
	c := config("")
	c.S3 = &S3{Bucket: bucket, Key: key, Config: awsclient.Config{Region: testaws.Region, Endpoint: endpoint}}
	c.CloudFront = &CloudFront{Distribution: distribution, Path: "/" + key}
	return c
}

// aDistribution makes one and returns its ID.
func aDistribution(t *testing.T, front *cloudfront.Client) string {
	t.Helper()
	made, err := front.CreateDistribution(t.Context(), &cloudfront.CreateDistributionInput{DistributionConfig: &cftypes.DistributionConfig{
		CallerReference: aws.String("test"), Comment: aws.String("test"), Enabled: aws.Bool(true),
		Origins: &cftypes.Origins{Quantity: aws.Int32(1), Items: []cftypes.Origin{{Id: aws.String("bucket"), DomainName: aws.String("plain-status.s3.amazonaws.com"),
			S3OriginConfig: &cftypes.S3OriginConfig{OriginAccessIdentity: aws.String("")}}}},
		DefaultCacheBehavior: &cftypes.DefaultCacheBehavior{TargetOriginId: aws.String("bucket"), ViewerProtocolPolicy: cftypes.ViewerProtocolPolicyRedirectToHttps},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(made.Distribution.Id)
}
