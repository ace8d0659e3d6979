package awsstatus

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/fault"
)

// system is the driver whose rights these are, as noren iam writes them down.
const system = "aws"

// Codes of S3. Source:
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
const (
	noSuchKey    = "NoSuchKey"
	noSuchBucket = "NoSuchBucket"
	listBucket   = "s3:ListBucket"
)

// beaten are the codes of a write whose condition does not hold: the object is
// another, is being written, or is gone.
var beaten = []string{"PreconditionFailed", "ConditionalRequestConflict", noSuchKey}

// elsewhereCodes say that the bucket is in another region.
var elsewhereCodes = []string{"PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}

var expecting = regexp.MustCompile(`expecting '([a-z0-9-]+)'`)

// isMissing tells that there is no such object. Whoever may not list the bucket
// is told instead that he may not: S3 asks for that right only where the object
// is not there. Source:
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
func isMissing(err error) bool {
	if awsclient.IsCode(err, noSuchKey) {
		return true
	}
	_, verb, _, ok := awsclient.Refused(err)
	return ok && awsclient.IsDenied(err) && verb == listBucket
}

// explain says what an error of S3 means to a person. doing is read or write, and
// verb the right that it needs.
func (s *Store) explain(ctx context.Context, err error, doing, verb, key string) error {
	what := doing + " " + s.object(key)
	env := s.conn.Env.Name
	switch _, _, _, said := awsclient.Refused(err); {
	case awsclient.IsCode(err, noSuchBucket):
		return &fault.Fault{Code: fault.NotFound, Summary: "bucket does not exist", Err: err,
			Detail: fmt.Sprintf("Cannot %s: AWS has no bucket %s. Is appstatus.s3.bucket of %s right?", what, s.cfg.Bucket, env), Try: []string{"aws s3 ls"}}
	case awsclient.IsCode(err, elsewhereCodes...):
		return s.otherRegion(err, what)
	case strings.HasPrefix(codeOf(err), "KMS."):
		return &fault.Fault{Code: fault.Denied, Summary: "the bucket's key cannot be used", Err: err,
			Detail: fmt.Sprintf("Cannot %s: the key of KMS that it is encrypted with does not answer (%s).", what, codeOf(err)),
			Try:    []string{"aws s3api get-bucket-encryption --bucket " + s.cfg.Bucket}}
	case awsclient.IsDenied(err) && !said:
		return s.denied(ctx, err, what, verb, key)
	}
	return s.conn.Classify(err, what)
}

func codeOf(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return ""
	}
	return api.ErrorCode()
}

// otherRegion names the region that the bucket is in, if S3 tells.
func (s *Store) otherRegion(err error, what string) error {
	region := ""
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) && answer.Response != nil {
		region = answer.Response.Header.Get("X-Amz-Bucket-Region")
	}
	if m := expecting.FindStringSubmatch(err.Error()); region == "" && m != nil {
		region = m[1]
	}
	f := &fault.Fault{Code: fault.Invalid, Summary: "bucket is in another region", Err: err,
		Detail: fmt.Sprintf("Cannot %s: the bucket is not in %s, where %s looks for it.", what, s.conn.Region(), s.conn.Env.Name),
		Try:    []string{"aws s3api get-bucket-location --bucket " + s.cfg.Bucket}}
	if region != "" {
		f.Detail = fmt.Sprintf("Cannot %s: the bucket is in %s, and %s looks for it in %s.", what, region, s.conn.Env.Name, s.conn.Region())
		f.Try = []string{fmt.Sprintf("appstatus: {s3: {bucket: %s, region: %s}}   # in noren.yaml", s.cfg.Bucket, region)}
	}
	return f
}

// denied explains an "Access Denied" that says no more. It comes with a bucket of
// another account, which is tried out by reading without saying whose it is.
func (s *Store) denied(ctx context.Context, err error, what, verb, key string) error {
	account, errAccount := s.conn.Account(ctx)
	if errAccount != nil {
		return errAccount
	}
	out, errAnyone := s.ask(ctx, key, false)
	if errAnyone == nil {
		_ = out.Body.Close()
	}
	if verb == "s3:GetObject" && (errAnyone == nil || isMissing(errAnyone)) {
		return &fault.Fault{Code: fault.Denied, Summary: "bucket of another AWS account", Err: err,
			Detail: fmt.Sprintf("Cannot %s: the bucket %s does not belong to account %s, as which noren works in %s. Nothing was touched. Name a role of the account that it belongs to.", what, s.cfg.Bucket, account, s.conn.Env.Name),
			Try:    []string{"appstatus: {s3: {role: \"arn:aws:iam::ACCOUNT:role/noren\"}}   # in noren.yaml", "aws sts get-caller-identity"}}
	}
	arn := s.conn.BucketARN(s.cfg.Bucket + "/" + key)
	grant := awsclient.Policy([]action.Permission{{Verb: verb, Resource: arn}})
	return &fault.Fault{Code: fault.Denied, Summary: "permission missing in AWS", Err: err,
		Detail: fmt.Sprintf("Cannot %s: account %s may not %s on %s. A policy of the role, of the bucket, of its key or of the organization denies it, or the bucket belongs to another account. Where the object is not there yet, %s on %s may be what is missing.",
			what, account, verb, arn, listBucket, s.conn.BucketARN(s.cfg.Bucket)),
		Try: []string{grant, "aws s3api get-bucket-policy --bucket " + s.cfg.Bucket}}
}

// Requires are the permissions that reading, writing and telling CloudFront need.
func (s *Store) Requires() []action.Permission {
	var need []action.Permission
	add := func(verb, resource, why string) {
		need = append(need, action.Permission{System: system, Verb: verb, Resource: resource, Why: why})
	}
	for _, key := range []string{s.cfg.Key, s.MarksKey()} {
		arn := s.conn.BucketARN(s.cfg.Bucket + "/" + key)
		add("s3:GetObject", arn, "read the status document")
		add("s3:PutObject", arn, "tell apps what is closed")
	}
	if s.cfg.Distribution != "" {
		add("cloudfront:CreateInvalidation", s.distributionARN(), "let apps hear of it at once")
		add("cloudfront:GetInvalidation", s.distributionARN(), "see that they do")
	}
	return need
}

func (s *Store) distributionARN() string {
	return s.conn.GlobalARN("cloudfront", "distribution/"+s.cfg.Distribution)
}

// LetsCloudFrontRead is the statement of a bucket policy with which the
// distribution may read the document, and nothing beside it. Source:
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-restricting-access-to-s3.html
func (s *Store) LetsCloudFrontRead() string {
	return fmt.Sprintf(`{"Effect": "Allow", "Principal": {"Service": "cloudfront.amazonaws.com"}, "Action": "s3:GetObject",
 "Resource": %q,
 "Condition": {"StringEquals": {"AWS:SourceArn": %q}}}`, s.conn.BucketARN(s.cfg.Bucket+"/"+s.cfg.Key), s.distributionARN())
}
