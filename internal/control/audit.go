package control

import (
	"context"
	"math"

	"github.com/noren-dev/noren/internal/audit"
)

// Records lists what the filter chooses of everything that was recorded, oldest
// first, without secrets.
func (c *Control) Records(ctx context.Context, f audit.Filter) ([]audit.Record, error) {
	if f.Run != "" {
		if _, err := c.store.Run(ctx, f.Run); err != nil {
			return nil, err
		}
	}
	runs, err := c.Runs(ctx, math.MaxInt32)
	if err != nil {
		return nil, err
	}
	rec := audit.NewRecorder(runs)
	var all []audit.Record
	err = c.store.Links(ctx, func(l audit.Link) error {
		r, err := rec.Record(l)
		if err == nil && f.Chooses(r) {
			all = append(all, r)
		}
		return err
	})
	return all, err
}

// VerifyRecords checks everything that was recorded; see [audit.Chain]. head,
// unless empty, is the hash of a record that must be there. The report tells
// how far the check came also when something is wrong.
func (c *Control) VerifyRecords(ctx context.Context, head string) (audit.Report, error) {
	return c.store.Audit(ctx, head)
}
