package vendorhttp

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/fault"
)

// A Pace is how many calls a system takes in any span of a length.
type Pace struct {
	Calls int
	Per   time.Duration
}

// turns gives calls their turn at a pace, in the order in which they ask.
type turns struct {
	pace Pace
	mu   sync.Mutex
	at   []time.Time // of the last calls, and of those that wait for theirs
}

// take returns when a call may be made, and reserves that. It does not if that is
// after the deadline, zero for none.
func (t *turns) take(now, deadline time.Time) (at time.Time, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at = slices.DeleteFunc(t.at, func(x time.Time) bool { return !x.Add(t.pace.Per).After(now) })
	at = now
	if n := len(t.at) - t.pace.Calls; n >= 0 {
		at = t.at[n].Add(t.pace.Per)
	}
	if !deadline.IsZero() && at.After(deadline) {
		return at, false
	}
	t.at = append(t.at, at)
	return at, true
}

// turn waits until a call may be made. One whose context ends before is told when
// to come again.
func (c *Client) turn(ctx context.Context, r Request) error {
	if c.turns == nil {
		return nil
	}
	now := time.Now()
	deadline, _ := ctx.Deadline()
	at, ok := c.turns.take(now, deadline)
	if !ok {
		late := &Refusal{Words: fmt.Sprintf("it takes %d calls in %s", c.turns.pace.Calls, c.turns.pace.Per), after: at.Sub(now)}
		return &fault.Fault{Code: fault.Unavailable, Summary: c.system + " is asked too often",
			Detail: fmt.Sprintf("About %s: %s takes %d calls in %s.", r.What, c.system, c.turns.pace.Calls, c.turns.pace.Per), Err: fmt.Errorf("%w: %w", action.ErrUnavailable, late)}
	}
	if !at.After(now) {
		return nil
	}
	timer := time.NewTimer(at.Sub(now))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return c.lost(ctx, r, ctx.Err())
	}
}
