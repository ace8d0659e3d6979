package engine

import (
	"context"
	"slices"

	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// consequences are the events of other runs that come with this one's end: an
// extension that is done has moved the end of its closing.
func (x *execution) consequences(ctx context.Context, status run.Status) ([]run.Event, error) {
	if x.plan.Kind != plan.Extend || status != run.Done {
		return nil, nil
	}
	r, err := x.store.Run(ctx, x.id)
	if err != nil {
		return nil, err
	}
	closing, err := x.store.Run(ctx, x.plan.Closing)
	if err != nil {
		return nil, err
	}
	stays := !slices.ContainsFunc(r.Plan.Services, func(s plan.Service) bool { return !r.Plan.Until.Equal(closing.UntilOf(s.Name)) })
	if stays { // it only keeps monitors quiet for longer
		return nil, nil
	}
	return []run.Event{run.ExtendedBy(r, closing)}, nil
}
