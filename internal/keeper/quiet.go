package keeper

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// stillQuiet prolongs the mutes of services that stay closed longer than these
// last, so that nobody is woken by a shop that is known to be closed. Once an
// opening has begun and gone wrong, it does not: then a person is to be woken.
func (k *Keeper) stillQuiet(ctx context.Context) error {
	closed, err := k.Control.Status(ctx) // an opening may have begun since the tick did
	if err != nil {
		return err
	}
	now := k.Now()
	byRun := map[string][]control.ClosedService{}
	var order []string
	for _, s := range closed {
		if len(byRun[s.Run.ID]) == 0 {
			order = append(order, s.Run.ID)
		}
		byRun[s.Run.ID] = append(byRun[s.Run.ID], s)
	}
	for _, id := range order {
		for _, services := range byEnd(byRun[id]) {
			if err := k.prolong(ctx, services, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// byEnd groups services by their end: a run has one.
func byEnd(services []control.ClosedService) [][]control.ClosedService {
	var all [][]control.ClosedService
next:
	for _, s := range services {
		for i := range all {
			if all[i][0].Until.Equal(s.Until) {
				all[i] = append(all[i], s)
				continue next
			}
		}
		all = append(all, []control.ClosedService{s})
	}
	return all
}

func (k *Keeper) prolong(ctx context.Context, services []control.ClosedService, now time.Time) error {
	key := services[0].Run.ID + " " + services[0].Until.Format(time.RFC3339)
	if last, tried := k.prolonged[key]; tried && now.Sub(last) >= 0 && now.Sub(last) < tryEvery {
		return nil
	}
	p, err := k.Control.PlanProlong(ctx, services)
	if p == nil && err == nil {
		return nil
	}
	k.prolonged[key] = now
	if err != nil {
		return fmt.Errorf("%s: %w", services[0].Service, err)
	}
	r, err := k.Control.Start(ctx, p)
	if err != nil {
		return err // somebody was quicker, perhaps: the next look tells
	}
	k.quieting[r.ID] = true
	k.Complain("keeping monitors of %s in %s quiet until %s, run %s", strings.Join(serviceNames(p), ", "), p.Environment.Name, clockIn(p.Zone, p.MutedUntil), r.ID)
	return k.Control.Execute(ctx, r.ID)
}

// quieted tells of prolongings that did not reach every monitor: they are tried
// again, and meanwhile alarms may ring.
func (k *Keeper) quieted(ctx context.Context) error {
	for id := range k.quieting {
		r, err := k.Control.Run(ctx, id)
		if err != nil {
			return err
		}
		if !r.Status.Ended() {
			continue
		}
		delete(k.quieting, id)
		lines := r.NotMuted()
		if r.Status != run.Done {
			lines = append(lines, fmt.Sprintf("run %s was %s", id, r.Status))
		}
		if len(lines) > 0 {
			k.Complain("monitors may ring though %s is closed: %s", strings.Join(serviceNames(r.Plan), ", "), strings.Join(lines, "; "))
		}
	}
	return nil
}

func serviceNames(p *plan.Plan) []string {
	var names []string
	for _, s := range p.Services {
		names = append(names, s.Name)
	}
	return names
}

// clockIn tells a time in a zone of that name.
func clockIn(zone string, t time.Time) string {
	if z, err := time.LoadLocation(zone); err == nil {
		t = t.In(z)
	}
	return t.Format("15:04 MST")
}
