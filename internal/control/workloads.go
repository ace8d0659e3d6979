package control

import (
	"context"
	"time"

	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/plan"
)

// restPatience is how long a workload may take to come to rest, and to work
// again: pods get their grace, Jobs under way come to their end.
const restPatience = 15 * time.Minute

// A work is one workload of one service, as it would be brought to rest.
type work struct {
	service  catalog.Service
	workload catalog.Workload
	resting  *driver.Resting
}

// rests reads every workload, side by side, and asks each driver how it would
// be brought to rest.
func (x *planner) rests(ctx context.Context, services []catalog.Service) error {
	if x.req.LeaveWorkloads {
		return nil
	}
	for _, s := range services {
		for _, w := range s.Workloads {
			x.works = append(x.works, &work{service: s, workload: w})
		}
	}
	return each(ctx, x.works, func(ctx context.Context, w *work) error {
		opened, err := x.session.At(w.workload.Cluster).Workload(ctx, w.workload.Kind, w.workload.Name, w.workload.Options.JSON)
		if err != nil {
			return x.located(x.env.Name, w.workload.Cluster, w.workload.Options, err)
		}
		name := w.workload.Kind + " " + w.workload.Name
		answered := x.asks(x.env.Name, name)
		w.resting, err = opened.Rest(ctx)
		answered()
		if err != nil {
			return x.met(x.env.Name, w.workload.Cluster, w.workload.Options, w.workload.At, unread(name, x.env.Name, err))
		}
		return nil
	})
}

// work adds the steps by which a workload comes to rest. They come last, once
// the page is proved: while customers are still let in, somebody must serve
// them. The calls of one workload come one after the other.
func (b *builder) work(ctx context.Context, w *work) error {
	target, at, owner := w.resting.Target, b.session.At(w.workload.Cluster), ""
	b.plan.Locks = append(b.plan.Locks, target)
	for _, n := range w.resting.Notes {
		b.plan.AddNote(n, target)
	}
	var requests []request
	if o := w.resting.Owner; o != nil && len(w.resting.Calls) > 0 {
		of, pauses, err := b.pauses(ctx, w.service, w.workload.Cluster, target, *o)
		if err != nil {
			return err
		}
		owner, requests = of, append(requests, pauses...)
	}
	for _, call := range w.resting.Calls {
		requests = append(requests, request{plan.StageRest, call, w.service.Name, target, "", restPatience})
	}
	for _, r := range requests {
		if err := b.add(ctx, at, r); err != nil {
			return err
		}
	}
	s := b.service(w.service)
	s.Workloads = append(s.Workloads, plan.Workload{Kind: w.workload.Kind, Name: w.workload.Name, Cluster: w.workload.Cluster, Target: target, Owner: owner})
	return nil
}
