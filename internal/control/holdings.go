package control

import (
	"context"
	"slices"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// Holdings are what the current runs of this state directory account for
// outside: whatever else is found there is left over.
type holdings struct {
	steps   map[stepKey]bool
	targets map[string]bool
}

// A stepKey is a step of a run as its receipt names them.
type stepKey struct{ run, step string }

func keyOf(r action.Receipt) stepKey { return stepKey{r.Run, r.Step} }

func newHoldings() *holdings { return &holdings{steps: map[stepKey]bool{}, targets: map[string]bool{}} }

// add reads what is held now into h. Called before and after a look outside, it
// accounts for runs that begin or end meanwhile.
func (h *holdings) add(ctx context.Context, c *Control) error {
	locks, err := c.store.Locks(ctx)
	if err != nil {
		return err
	}
	for _, l := range locks {
		h.targets[l.Target] = true
	}
	unfinished, err := c.Unfinished(ctx)
	if err != nil {
		return err
	}
	for _, r := range unfinished {
		if err := h.closing(ctx, c, closingID(r), nil); err != nil {
			return err
		}
	}
	closed, err := c.Status(ctx)
	if err != nil {
		return err
	}
	held := map[string][]string{}
	for _, s := range closed {
		held[closingID(s.Run)] = append(held[closingID(s.Run)], s.Service)
	}
	for id, services := range held {
		if err := h.closing(ctx, c, id, services); err != nil {
			return err
		}
	}
	return nil
}

// closing adds the receipts of a closing: those of the services, and of its
// pauses, which last until all of them are open; of everything if none is named.
func (h *holdings) closing(ctx context.Context, c *Control, id string, services []string) error {
	r, err := c.store.Run(ctx, id)
	if err != nil {
		return err
	}
	receipts, err := c.store.Receipts(ctx, id)
	if err != nil {
		return err
	}
	held := map[string]bool{}
	for _, stage := range r.Plan.Stages {
		for _, s := range stage.Steps {
			held[s.ID] = services == nil || stage.Name == plan.StagePause || slices.Contains(services, s.Service)
		}
	}
	for _, receipt := range receipts {
		if held[receipt.Step] && !receipt.From.Equal(receipt.To) {
			h.steps[keyOf(receipt)] = true
			h.targets[receipt.Target] = true
		}
	}
	return nil
}

// closingID is the run whose receipts a run takes back, or its own.
func closingID(r *run.Run) string {
	if r.Plan.Closing != "" {
		return r.Plan.Closing
	}
	return r.ID
}
