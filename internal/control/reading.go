package control

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// readPatience bounds all that is read before a run begins: a person sits
	// there and waits. A run has more patience, since it may be half way.
	readPatience = 30 * time.Second
	// readCalls is how many calls of the longest kind fit into it, one after
	// another: the first answer may have been lost.
	readCalls = 2
)

// A Reading is what is being read outside, before a run, at one moment.
type Reading struct {
	Environment string
	// Waiting are the entrances and targets that have not answered yet, those
	// asked longest ago first. Empty: all have.
	Waiting []string
}

// A reading gathers what is asked outside at the moment. Reads side by side
// share it.
type reading struct {
	mu      sync.Mutex
	waiting []*string
}

// asks tells the face that something is being read, until the answer is there.
func (c *Control) asks(env, what string) (answered func()) {
	if c.Reading == nil {
		return func() {}
	}
	tell := func(change func([]*string) []*string) {
		c.reading.mu.Lock()
		defer c.reading.mu.Unlock()
		c.reading.waiting = change(c.reading.waiting)
		now := Reading{Environment: env}
		for _, w := range c.reading.waiting {
			now.Waiting = append(now.Waiting, *w)
		}
		c.Reading(now)
	}
	tell(func(w []*string) []*string { return append(w, &what) })
	return func() {
		tell(func(w []*string) []*string { return slices.DeleteFunc(w, func(p *string) bool { return p == &what }) })
	}
}

// patiently bounds what is read before a run.
func (c *Control) patiently(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, cmp.Or(c.ReadPatience, readPatience))
}

func (c *Control) callPatience() time.Duration {
	return cmp.Or(c.ReadPatience, readPatience) / readCalls
}
