package herald

import (
	"context"
	"time"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/run"
)

// A Miss is a channel that did not tell all of a run in time.
type Miss struct {
	driver.Ear
	Run string
	Why string
}

// Settle waits, no longer than d, until every channel has told all of a run that
// there is to tell now. Those that have not are returned, and recorded; they go
// on trying while this process lives.
func (h *Herald) Settle(ctx context.Context, id string, d time.Duration) ([]Miss, error) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	end := time.NewTimer(d)
	defer end.Stop()
	for over := false; ; {
		r, err := h.Records.Run(ctx, id)
		if err != nil || len(r.Plan.Ears) == 0 {
			return nil, err
		}
		events, err := h.Records.Events(ctx, id, 0)
		if err != nil {
			return nil, err
		}
		var missed []Miss
		waits := false
		for _, ear := range untold(r, noticesOf(r, events)) {
			why, failed := h.why(id, ear.Driver)
			missed = append(missed, Miss{ear, id, why})
			waits = waits || !failed || !h.gaveUp(id, ear.Driver)
		}
		if len(missed) == 0 {
			return nil, nil
		}
		if over || !waits {
			return missed, h.record(ctx, id, missed)
		}
		select {
		case <-ctx.Done():
			over, ctx = true, context.WithoutCancel(ctx)
		case <-end.C:
			over = true
		case <-tick.C:
		}
	}
}

func (h *Herald) gaveUp(id, name string) bool {
	h.mu.Lock()
	t := h.watched[id]
	h.mu.Unlock()
	if t == nil {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.channels {
		if c.ear.Driver == name {
			return c.given
		}
	}
	return false
}

func (h *Herald) record(ctx context.Context, id string, missed []Miss) error {
	for i, m := range missed {
		if m.Why == "" {
			missed[i].Why = "it had not answered yet"
		}
		if _, err := h.Records.Append(ctx, run.Event{Run: id, Type: run.Missed, Data: run.Data{Channel: m.Driver, Text: missed[i].Why}}); err != nil {
			return err
		}
	}
	return nil
}
