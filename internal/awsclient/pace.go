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

// Buckets are what AWS lets through, as this process keeps to it. Connections that
// share them go together below AWS's: a plan's and its run's are two. The zero value
// is full.
type Buckets struct {
	mu  sync.Mutex
	all map[bucketKey]*rate.Limiter
}

func (b *Buckets) of(key bucketKey) *rate.Limiter {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.all[key]
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
	if key.endpoint != "" { // an emulator's, which has none
		p = pace{rate.Inf, 0}
	}
	if b.all == nil {
		b.all = map[bucketKey]*rate.Limiter{}
	}
	l = rate.NewLimiter(p.rate, p.burst)
	b.all[key] = l
	return l
}

// readAgain is how often a read that AWS found too fast is made again at once, with
// the next token. Whoever shares the account may have taken one; to begin a whole
// look at the account anew for it would take many more. After that, and for writes,
// it is for package driver to wait.
const readAgain = 3

// paced makes each request wait for its turn.
func (b *Buckets) paced(cfg Config) []func(*middleware.Stack) error {
	wait := middleware.InitializeMiddlewareFunc("noren.Pace", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		key := bucketKey{cmp.Or(awsmiddleware.GetRegion(ctx), cfg.Region), cfg.Profile, cfg.Role, cfg.Endpoint, awsmiddleware.GetServiceID(ctx), writes(awsmiddleware.GetOperationName(ctx))}
		for again := 0; ; again++ {
			if err := b.of(key).Wait(ctx); err != nil {
				if ctx.Err() == nil { // its turn would come after the deadline
					err = fmt.Errorf("%w: many calls of this run wait for their turn: %w", action.ErrUnavailable, err)
				}
				return middleware.InitializeOutput{}, middleware.Metadata{}, err
			}
			out, metadata, err := next.HandleInitialize(ctx, in)
			if key.write || again == readAgain || !isThrottled(err) {
				return out, metadata, err
			}
		}
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
