package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/report"
	"github.com/noren-dev/noren/internal/run"
)

// A HistoryRequest chooses runs of the past.
type HistoryRequest struct {
	Environment, Service string // "" for any
	Limit                int    // 0 for all
}

// History lists runs, newest first. A closing is told with how long customers
// were turned away until its opening.
func (c *Control) History(ctx context.Context, req HistoryRequest) ([]report.Row, error) {
	ids, err := c.store.RunIDs(ctx, math.MaxInt32)
	if err != nil {
		return nil, err
	}
	var rows []report.Row
	for _, id := range ids {
		if req.Limit > 0 && len(rows) == req.Limit {
			break
		}
		r, err := c.store.Run(ctx, id)
		if err != nil {
			return nil, err
		}
		if !req.wants(r.Plan) {
			continue
		}
		source, err := c.source(ctx, r)
		if err != nil {
			return nil, err
		}
		rows = append(rows, report.RowOf(source))
	}
	return rows, nil
}

func (h HistoryRequest) wants(p *plan.Plan) bool {
	return (h.Environment == "" || p.Environment.Name == h.Environment) &&
		(h.Service == "" || slices.ContainsFunc(p.Services, func(s plan.Service) bool { return s.Name == h.Service }))
}

// Report tells what a closing was, from its beginning to the end of its
// opening. id may be that of the closing or of one of the runs that are about it.
func (c *Control) Report(ctx context.Context, id string) (*report.Report, error) {
	r, err := c.store.Run(ctx, id)
	if err != nil {
		return nil, err
	}
	if closing := r.Plan.Closing; closing != "" {
		if r, err = c.store.Run(ctx, closing); err != nil {
			return nil, err
		}
	}
	source, err := c.source(ctx, r)
	if err != nil {
		return nil, err
	}
	records, err := c.store.Audit(ctx, "")
	var f *fault.Fault
	switch {
	case errors.As(err, &f) && f.Code == fault.CheckFailed:
		source.Broken = f.Detail
	case err != nil:
		return nil, err
	}
	source.Records, source.Head, source.Version = records.Records, records.Head, c.Origin.Version
	return report.Of(source), nil
}

// source gathers what a report is made of, without the pass.
func (c *Control) source(ctx context.Context, r *run.Run) (report.Source, error) {
	s := report.Source{Now: c.Now(), Zone: zoneOf(r.Plan)}
	var err error
	if s.Closing, err = c.part(ctx, r); err != nil || r.Plan.Kind != plan.Close {
		return s, err
	}
	ids, err := c.store.Following(ctx, r.ID)
	if err != nil {
		return s, err
	}
	for _, id := range ids {
		next, err := c.store.Run(ctx, id)
		if err != nil {
			return s, err
		}
		part, err := c.part(ctx, next)
		if err != nil {
			return s, err
		}
		s.Following = append(s.Following, part)
	}
	return s, nil
}

// part reads a run's events and folds them anew, over a plan and events in
// which the pass is hidden wherever it stands.
func (c *Control) part(ctx context.Context, r *run.Run) (report.Part, error) {
	events, err := c.store.Events(ctx, r.ID, 0)
	if err != nil {
		return report.Part{}, err
	}
	pass := r.Plan.Pass
	p, err := hidden(*r.Plan, pass)
	if err != nil {
		return report.Part{}, fmt.Errorf("plan of run %s: %w", r.ID, err)
	}
	folded := run.New(r.ID, &p, r.Digest, r.Actor, r.Created)
	for i := range events {
		events[i].Data = events[i].Data.Without(pass)
		folded.Fold(events[i])
	}
	return report.Part{Run: folded, Events: events}, nil
}

// hidden copies a value with the secret hidden wherever its JSON holds it.
func hidden[T any](v T, secret string) (T, error) {
	if secret == "" {
		return v, nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return v, err
	}
	var shown T
	err = json.Unmarshal([]byte(strings.ReplaceAll(string(raw), secret, run.Hidden)), &shown)
	return shown, err
}

// zoneOf is the zone in which a plan's people are told of times, or this
// machine's.
func zoneOf(p *plan.Plan) *time.Location {
	if loc, err := time.LoadLocation(p.Zone); err == nil && p.Zone != "" {
		return loc
	}
	return time.Local
}
