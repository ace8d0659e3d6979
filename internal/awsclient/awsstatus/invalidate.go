package awsstatus

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	cftypes "github.com/aws/aws-sdk-go-v2/service/cloudfront/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/fault"
)

const (
	// completed is the status of an invalidation that every place has carried out.
	completed = "Completed"
	// crowdedPause is how long to leave a distribution alone that is at its limit
	// of invalidations under way. Source:
	// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html
	crowdedPause = 5 * time.Second
)

// An Invalidation is how CloudFront forgets what it kept of the document.
type Invalidation struct {
	ID   string
	Done bool
}

// Invalidate lets CloudFront forget what it kept of the document before this
// writing of it. To ask again is safe: of one writing there is one invalidation,
// whoever asks for it, since the reference that it goes by is made of the writing.
// Without a distribution it does nothing.
//
// Source: https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_InvalidationBatch.html
func (s *Store) Invalidate(ctx context.Context, written Object) (Invalidation, error) {
	if s.cfg.Distribution == "" || written.Data == nil {
		return Invalidation{Done: true}, nil
	}
	reference := fmt.Sprintf("noren-%x", sha256.Sum256([]byte(written.write+"\n"+s.cfg.Path)))
	s.mu.Lock()
	id := s.invalidations[reference]
	s.mu.Unlock()
	if id != "" {
		return s.invalidation(ctx, id)
	}
	out, err := s.front.CreateInvalidation(ctx, s.batch(reference, 1))
	if err != nil {
		return Invalidation{}, s.explainFront(err, "invalidate "+s.cfg.Path+" in distribution "+s.cfg.Distribution)
	}
	made, err := s.read(out.Invalidation)
	if err != nil {
		return Invalidation{}, err
	}
	s.mu.Lock()
	s.invalidations[reference] = made.ID
	s.mu.Unlock()
	return made, nil
}

func (s *Store) batch(reference string, quantity int32) *cloudfront.CreateInvalidationInput {
	return &cloudfront.CreateInvalidationInput{DistributionId: aws.String(s.cfg.Distribution), InvalidationBatch: &cftypes.InvalidationBatch{
		CallerReference: aws.String(reference), Paths: &cftypes.Paths{Quantity: aws.Int32(quantity), Items: []string{s.cfg.Path}}}}
}

func (s *Store) invalidation(ctx context.Context, id string) (Invalidation, error) {
	out, err := s.front.GetInvalidation(ctx, &cloudfront.GetInvalidationInput{DistributionId: aws.String(s.cfg.Distribution), Id: aws.String(id)})
	if err != nil {
		return Invalidation{}, s.explainFront(err, "ask about invalidation "+id+" of distribution "+s.cfg.Distribution)
	}
	return s.read(out.Invalidation)
}

// read is an invalidation as CloudFront tells it. An answer without one, as
// something in between may give it, is none: to ask again is safe.
func (s *Store) read(i *cftypes.Invalidation) (Invalidation, error) {
	if i == nil || aws.ToString(i.Id) == "" {
		return Invalidation{}, fmt.Errorf("invalidate %s in distribution %s: the answer tells of no invalidation: %w", s.cfg.Path, s.cfg.Distribution, action.ErrUnavailable)
	}
	return Invalidation{ID: *i.Id, Done: strings.EqualFold(aws.ToString(i.Status), completed)}, nil
}

// MayInvalidate asks whether the distribution is there and may be told: by a
// request that says two paths and names one, which CloudFront refuses for that
// reason, or for want of a right. Were it carried out, apps would be served what
// is in the bucket.
func (s *Store) MayInvalidate(ctx context.Context) error {
	if s.cfg.Distribution == "" {
		return nil
	}
	what := "ask about distribution " + s.cfg.Distribution
	_, err := s.front.CreateInvalidation(ctx, s.batch("noren-asks-whether-it-may", 2))
	if err != nil && !awsclient.IsCode(err, "InconsistentQuantities", "InvalidArgument", "InvalidationBatchAlreadyExists", crowded) {
		return s.explainFront(err, what)
	}
	_, err = s.front.GetInvalidation(ctx, &cloudfront.GetInvalidationInput{DistributionId: aws.String(s.cfg.Distribution), Id: aws.String("IDOESNOTEXIST")})
	if err != nil && !awsclient.IsCode(err, "NoSuchInvalidation") {
		return s.explainFront(err, what)
	}
	return nil
}

const crowded = "TooManyInvalidationsInProgress"

// explainFront says what an error of CloudFront means to a person.
func (s *Store) explainFront(err error, what string) error {
	switch _, _, _, said := awsclient.Refused(err); {
	case awsclient.IsCode(err, crowded):
		return later{fmt.Errorf("%s: CloudFront is at its limit of invalidations under way: %w (%w)", what, action.ErrUnavailable, err)}
	case awsclient.IsCode(err, "NoSuchDistribution"):
		return &fault.Fault{Code: fault.NotFound, Summary: "distribution does not exist", Err: err,
			Detail: fmt.Sprintf("Cannot %s: the account that noren works in has none of that ID. Is appstatus.cloudfront.distribution of %s right, and of this account?", what, s.conn.Env.Name),
			Try:    []string{"aws cloudfront list-distributions --query 'DistributionList.Items[].[Id,Aliases.Items[0],DomainName]' --output text"}}
	case awsclient.IsDenied(err) && !said:
		verbs := []action.Permission{{Verb: "cloudfront:CreateInvalidation", Resource: s.distributionARN()}, {Verb: "cloudfront:GetInvalidation", Resource: s.distributionARN()}}
		return &fault.Fault{Code: fault.Denied, Summary: "permission missing in AWS", Err: err,
			Detail: fmt.Sprintf("Cannot %s: %s and %s are needed on %s.", what, verbs[0].Verb, verbs[1].Verb, s.distributionARN()), Try: []string{awsclient.Policy(verbs)}}
	}
	return s.conn.Classify(err, what)
}

// later is an error after which the call may succeed in a while: a driver.Later.
type later struct{ error }

func (l later) Unwrap() error { return l.error }

// RetryAfter is how long to wait.
func (l later) RetryAfter() time.Duration { return crowdedPause }
