package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// An Adoption is a closing that was rebuilt from its marks, to be recorded as
// if it had been made here.
type Adoption struct {
	// ID is the run's own, as its marks name it, unless the store has a run of
	// that name that holds the marked targets no longer.
	ID       string
	Plan     *plan.Plan
	Receipts []action.Receipt
	Actor    string    // who closed
	Created  time.Time // when
	By       string    // who adopts
}

// Adopt records a closing with its receipts and takes its locks, all or
// nothing, as done: it holds its entrances until it is opened. If another run
// holds one, the error is a fault of code Locked that names it; so it is if the
// store has the run already.
func (s *Store) Adopt(ctx context.Context, a Adoption) error {
	digest, err := a.Plan.Digest()
	if err != nil {
		return err
	}
	return s.write(ctx, s.journal, func(tx *sql.Tx) error {
		known, err := hasRun(ctx, tx, a.ID)
		if err != nil {
			return err
		}
		if known {
			return &fault.Fault{Code: fault.Locked, Summary: "run is known already",
				Detail: fmt.Sprintf("%s has run %s: somebody adopted it at this moment. Nothing was touched.", s.path, a.ID), Try: []string{"noren status"}}
		}
		if err := insertRun(ctx, tx, a.ID, a.Plan, a.Actor, a.Created); err != nil {
			return err
		}
		if err := putReceipts(ctx, tx, a.ID, a.Receipts); err != nil {
			return err
		}
		sealed, err := digests(ctx, tx, a.ID)
		if err != nil {
			return err
		}
		now := s.now()
		if _, err := tx.ExecContext(ctx, `UPDATE runs SET ended = ? WHERE id = ?`, stamp(now), a.ID); err != nil {
			return err
		}
		for _, e := range []run.Event{
			{Type: run.Adopted, Data: run.Data{Actor: a.By, Digest: digest, Receipts: sealed}},
			// An older noren does not know the event above, but this one.
			{Type: run.RunEnded, Data: run.Data{Status: run.Done}},
		} {
			e.Run, e.At = a.ID, now
			if _, err := s.record(ctx, tx, e); err != nil {
				return err
			}
		}
		return nil
	})
}

func hasRun(ctx context.Context, tx *sql.Tx, id string) (bool, error) {
	var n int
	err := tx.QueryRowContext(ctx, `SELECT count(*) FROM runs WHERE id = ?`, id).Scan(&n)
	return n > 0, err
}

// Note records a run that is over and held nothing, with its events between the
// first and the last, all or nothing. told is what the last event tells.
func (s *Store) Note(ctx context.Context, id string, p *plan.Plan, actor string, events []run.Event, told run.Data) error {
	digest, err := p.Digest()
	if err != nil {
		return err
	}
	now := s.now()
	events = append([]run.Event{{Type: run.RunCreated, Data: run.Data{Actor: actor, Digest: digest}}}, events...)
	events = append(events, run.Event{Type: run.RunEnded, Data: told})
	return s.write(ctx, s.journal, func(tx *sql.Tx) error {
		if err := insertRun(ctx, tx, id, p, actor, now); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE runs SET ended = ? WHERE id = ?`, stamp(now), id); err != nil {
			return err
		}
		for _, e := range events {
			e.Run, e.At = id, now
			if _, err := s.record(ctx, tx, e); err != nil {
				return err
			}
		}
		return nil
	})
}
