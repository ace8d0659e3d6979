package driver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/fault"
)

// Bounds on every outside call. One call may take callPatience, unless [Env] says
// otherwise; a call that does not return in time, or ends with action.ErrUnavailable, is tried again
// up to callTries times in all, with pauses that grow by half from firstPause and
// are spread at random by half, so that many targets do not come back at the
// same moment. They begin short and grow slowly: of many calls side by side the
// unluckiest is what all wait for. What is down for longer is the engine's to
// wait for, and what an outside asks for, such as Retry-After, its driver's.
const (
	callPatience = 30 * time.Second
	callTries    = 8
	// callsPatience is after which no other try begins: those that hang add up.
	callsPatience = 2 * time.Minute
	firstPause    = 50 * time.Millisecond
)

// guarded wraps an instance's calls in the bounds above. Retrying is safe
// because of the contract: observing only reads, and an Apply that has
// happened already does nothing.
func guarded(in *Instance, p patience) *Instance {
	out := *in // what does no I/O stays as it is
	if in.Change != nil {
		out.Change = guardedChange{in.Change, p}
	}
	if in.Check != nil {
		out.Check = guardedCheck{in.Check, p}
	}
	if in.Effect != nil {
		out.Effect = guardedEffect{in.Effect, p}
	}
	if in.Waiter != nil {
		out.Waiter = guardedWaiter{in.Waiter, p}
	}
	if in.Marker != nil {
		out.Marker = guardedMarker{in.Marker, p}
	}
	return &out
}

// A patience is how long one call may take.
type patience time.Duration

func (e Env) patience() patience { return patience(cmp.Or(e.CallPatience, callPatience)) }

type guardedChange struct {
	action.Change
	patience patience
}

func (g guardedChange) Observe(ctx context.Context) (action.State, error) {
	return retried(ctx, g.patience, g.Change.Observe)
}

func (g guardedChange) Apply(ctx context.Context, from, to action.State) error {
	_, err := retried(ctx, g.patience, writing(func(ctx context.Context) (struct{}, error) {
		return struct{}{}, g.Change.Apply(ctx, from, to)
	}))
	return err
}

type guardedCheck struct {
	check    action.Check
	patience patience
}

func (g guardedCheck) Check(ctx context.Context) (action.Verdict, error) {
	return retried(ctx, g.patience, g.check.Check)
}

type guardedEffect struct {
	action.Effect
	patience patience
}

func (g guardedEffect) Do(ctx context.Context, key string) error {
	_, err := retried(ctx, g.patience, writing(func(ctx context.Context) (struct{}, error) { return struct{}{}, g.Effect.Do(ctx, key) }))
	return err
}

type guardedWaiter struct {
	action.Waiter
	patience patience
}

func (g guardedWaiter) Settled(ctx context.Context, want action.State) (action.Verdict, error) {
	return retried(ctx, g.patience, func(ctx context.Context) (action.Verdict, error) { return g.Waiter.Settled(ctx, want) })
}

type guardedMarker struct {
	action.Marker
	patience patience
}

func (g guardedMarker) Marked(m action.Mark) action.Change {
	return guardedChange{g.Marker.Marked(m), g.patience}
}

func (g guardedMarker) Fits(ctx context.Context, m action.Mark) error {
	_, err := retried(ctx, g.patience, func(ctx context.Context) (struct{}, error) { return struct{}{}, g.Marker.Fits(ctx, m) })
	return err
}

type guardedEntrance struct {
	Entrance
	patience patience
}

func (g guardedEntrance) Survey(ctx context.Context) (*Survey, error) {
	return retried(ctx, g.patience, g.Entrance.Survey)
}

// Requires lists what surveying, closing and opening the entrance may need, as
// far as that is known before it is read.
func (g guardedEntrance) Requires() []action.Permission {
	if r, ok := g.Entrance.(action.Requirer); ok {
		return r.Requires()
	}
	return nil
}

// writing makes f look for itself from its second call on: an answer that many
// share may be older than what the first call wrote.
func writing[R any](f func(context.Context) (R, error)) func(context.Context) (R, error) {
	again := false
	return func(ctx context.Context) (R, error) {
		if again {
			ctx = Alone(ctx)
		}
		again = true
		return f(ctx)
	}
}

// retried calls f until it ends with anything but ErrUnavailable, its tries or
// their time are used up, or ctx is done.
func retried[R any](ctx context.Context, p patience, f func(context.Context) (R, error)) (R, error) {
	pause, began := firstPause, time.Now()
	for try := 1; ; try++ {
		r, err := bounded(ctx, p, f)
		if err == nil || try == callTries || time.Since(began) >= callsPatience || !errors.Is(err, action.ErrUnavailable) {
			return r, err
		}
		if try == 1 && errors.Is(err, ErrOutdated) {
			continue
		}
		timer := time.NewTimer(max(pause/2+rand.N(pause), askedPause(err)))
		select {
		case <-ctx.Done():
			timer.Stop()
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return r, fmt.Errorf("%w (%w)", err, ctx.Err()) // one thing, said as one
			}
			return r, errors.Join(ctx.Err(), err)
		case <-timer.C:
		}
		pause += pause / 2
	}
}

// longestAsked bounds how long an outside may ask noren to wait before it tries
// again: a run has more patience than that, a person before a run has not.
const longestAsked = 20 * time.Second

// A Later is an error of an outside that says when to try again, as by a header
// Retry-After.
type Later interface {
	error
	RetryAfter() time.Duration
}

// askedPause is how long the outside asks to wait, 0 if it does not.
func askedPause(err error) time.Duration {
	var l Later
	if !errors.As(err, &l) {
		return 0
	}
	return min(max(l.RetryAfter(), 0), longestAsked)
}

// bounded calls f with a deadline. An outside that let it pass is unavailable.
// A driver that panics fails its step, not the process: other targets of the
// run may have to be taken back.
func bounded[R any](ctx context.Context, p patience, f func(context.Context) (R, error)) (r R, err error) {
	call, cancel := context.WithTimeout(ctx, time.Duration(p))
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = &fault.Fault{Code: fault.Internal, Summary: "driver panicked", Detail: fmt.Sprintf("This is a bug in noren: %v.", p),
				Err: fmt.Errorf("%v\n%s", p, debug.Stack())}
		}
	}()
	r, err = f(call)
	if errors.Is(err, context.DeadlineExceeded) && call.Err() != nil && !errors.Is(ctx.Err(), context.Canceled) && !errors.Is(err, action.ErrUnavailable) {
		err = fmt.Errorf("no answer in time: %w: %w", action.ErrUnavailable, err)
	}
	return r, err
}
