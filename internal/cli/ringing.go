package cli

import (
	"context"
	"slices"
	"time"

	"github.com/noren-dev/noren/internal/cli/view"
	"github.com/noren-dev/noren/internal/control"
)

// ringEvery is how often is asked what rings while a run is shown.
const ringEvery = 15 * time.Second

// watchRings tells, while a run is shown, of the monitors that ring and that no
// closing mutes: at once, and whenever that changes. It ends with ctx. Without a
// catalog nobody knows of any.
func (a *app) watchRings(ctx context.Context, c *control.Control, id string, tell func([]control.Ringing)) {
	cat, err := a.catalog()
	if err != nil {
		return
	}
	r, err := c.Run(ctx, id)
	if err != nil {
		return
	}
	var last []control.Ringing
	tick := time.NewTicker(ringEvery)
	defer tick.Stop()
	for {
		now := c.Rings(ctx, cat, r.Plan.Environment)
		if ctx.Err() != nil {
			return
		}
		if !slices.Equal(now, last) {
			last = now
			tell(now)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// sayRings is watchRings for a run that is shown line by line: each ring once. What
// it returns waits for its end.
func (a *app) sayRings(ctx context.Context, c *control.Control, id string) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	said := map[control.Ringing]bool{}
	go func() {
		defer close(ended)
		a.watchRings(ctx, c, id, func(rings []control.Ringing) {
			for _, r := range rings {
				if !said[r] {
					said[r] = true
					a.view.Say("%s", view.Ring(r))
				}
			}
		})
	}()
	return func() {
		cancel()
		<-ended
	}
}

// ringLines is watchRings for a run that is drawn: a line for each ring, whenever
// they change. stop waits for its end.
func (a *app) ringLines(ctx context.Context, c *control.Control, id string) (lines <-chan []string, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	sent, ended := make(chan []string), make(chan struct{})
	go func() {
		defer close(ended)
		a.watchRings(ctx, c, id, func(rings []control.Ringing) {
			var all []string
			for _, r := range rings {
				all = append(all, view.Ring(r))
			}
			select {
			case sent <- all:
			case <-ctx.Done():
			}
		})
	}()
	return sent, func() {
		cancel()
		<-ended
	}
}

// rings is what rings now wherever something is closed.
func (a *app) rings(ctx context.Context, c *control.Control, closed []control.ClosedService) []control.Ringing {
	cat, err := a.catalog()
	if err != nil || len(closed) == 0 {
		return nil
	}
	var all []control.Ringing
	asked := map[string]bool{}
	for _, s := range closed {
		if !asked[s.Environment] {
			asked[s.Environment] = true
			all = append(all, c.Rings(ctx, cat, s.Run.Plan.Environment)...)
		}
	}
	return all
}
