package awsclient

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	"golang.org/x/time/rate"

	"github.com/noren-dev/noren/internal/action"
)

// A pace is how fast a service may be asked: tokens a second, and how many may
// be used at once after a pause.
type pace struct {
	rate  rate.Limit
	burst int
}

// AWS counts requests by account and region, of all programs together, in one
// bucket for reads and one for writes. These are AWS's documented buckets, or
// what is known to be safe; whoever shares the account may still get throttled,
// which is tried again.
//
// Sources: https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/elb-api-throttling.html
// (reads 40 tokens, 10 a second; writes are not documented, and are those that the
// AWS Load Balancer Controller allows itself, pkg/aws/throttle/defaults.go); https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html
// (service: reads 100 and 20 a second, writes 50 and 5 a second).
var (
	unknownPace = pace{10, 20}
	reading     = map[string]pace{"Elastic Load Balancing v2": {10, 40}, "ECS": {20, 100}}
	writing     = map[string]pace{"Elastic Load Balancing v2": {10, 40}, "ECS": {5, 50}}
)

// A bucketKey is what AWS has a bucket for, as far as a configuration tells: an
// account is behind a profile, a role or the keys of the environment.
type bucketKey struct {
	region, profile, role, endpoint, service string
	write                                    bool
}

// buckets are those of this process. All its connections share them, since AWS
// counts their requests together: the plan's and the run's are two.
var buckets struct {
	mu  sync.Mutex
	all map[bucketKey]*rate.Limiter
}

func bucket(key bucketKey) *rate.Limiter {
	buckets.mu.Lock()
	defer buckets.mu.Unlock()
	l := buckets.all[key]
	if l != nil {
		return l
	}
	paces := reading
	if key.write {
		paces = writing
	}
	p, known := paces[key.service]
	if !known {
		p = unknownPace
	}
	if buckets.all == nil {
		buckets.all = map[bucketKey]*rate.Limiter{}
	}
	l = rate.NewLimiter(p.rate, p.burst)
	buckets.all[key] = l
	return l
}

// paced makes each request wait for its turn.
func paced(cfg Config) []func(*middleware.Stack) error {
	wait := middleware.InitializeMiddlewareFunc("noren.Pace", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		key := bucketKey{cmp.Or(awsmiddleware.GetRegion(ctx), cfg.Region), cfg.Profile, cfg.Role, cfg.Endpoint, awsmiddleware.GetServiceID(ctx), writes(awsmiddleware.GetOperationName(ctx))}
		if err := bucket(key).Wait(ctx); err != nil {
			if ctx.Err() == nil { // its turn would come after the deadline
				err = fmt.Errorf("%w: many calls of this run wait for their turn: %w", action.ErrUnavailable, err)
			}
			return middleware.InitializeOutput{}, middleware.Metadata{}, err
		}
		return next.HandleInitialize(ctx, in)
	})
	return []func(*middleware.Stack) error{func(s *middleware.Stack) error { return s.Initialize.Add(wait, middleware.After) }}
}

// writes tells whether an operation is one of those that change something.
func writes(operation string) bool {
	for _, read := range []string{"Describe", "Get", "List"} {
		if strings.HasPrefix(operation, read) {
			return false
		}
	}
	return true
}
