package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/noren-dev/noren/internal/herald"
	"github.com/noren-dev/noren/internal/store"
)

// heardPatience is how long channels have, once a run has ended, to tell people
// so. What they do not tell then is noted, and tried by the next noren.
const heardPatience = 10 * time.Second

func (c *Control) newHerald() *herald.Herald {
	return herald.New(herald.Options{Records: c.store, Registry: c.Registry, Now: c.Now, Hook: c.Hook, Lock: func() (func() error, bool, error) {
		l, err := store.TryLock(filepath.Join(c.StateDir, "herald"))
		if errors.Is(err, store.ErrHeld) {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, fmt.Errorf("herald's %w", err)
		}
		return l.Release, true, nil
	}})
}

// Tell sees to it that people hear of a run through the channels of its
// environment, from now on and in the background.
func (c *Control) Tell(ctx context.Context, id string) error {
	r, err := c.store.Run(ctx, id)
	if err == nil {
		c.herald.Watch(ctx, r)
	}
	return err
}

// Heard waits a moment until people have heard of a run, and of the closing that
// it extends or opens, as they are now. It returns the channels through which they
// have not.
func (c *Control) Heard(ctx context.Context, id string) ([]herald.Miss, error) {
	r, err := c.store.Run(ctx, id)
	if err != nil {
		return nil, err
	}
	var all []herald.Miss
	for _, about := range []string{r.Plan.Closing, id} {
		if about == "" {
			continue
		}
		if err := c.Tell(ctx, about); err != nil {
			return nil, err
		}
		missed, err := c.herald.Settle(ctx, about, cmp.Or(c.HeardPatience, heardPatience))
		if err != nil {
			return nil, err
		}
		all = append(all, missed...)
	}
	return all, nil
}

// lang is the first language of the pages of what is planned.
func (x *planner) lang() string {
	for _, p := range x.places {
		if all := p.service.Page.Languages; len(all) > 0 {
			return all[0]
		}
	}
	for _, w := range x.works {
		if all := w.service.Page.Languages; len(all) > 0 {
			return all[0]
		}
	}
	return ""
}
