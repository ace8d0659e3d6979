package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/noren-dev/noren/internal/audit"
	"github.com/noren-dev/noren/internal/run"
)

// Append records an event and returns it with its number, time and hash.
func (s *Store) Append(ctx context.Context, e run.Event) (run.Event, error) {
	e.At = s.now()
	err := s.write(ctx, s.notes, func(tx *sql.Tx) (err error) {
		e, err = s.record(ctx, tx, e)
		return err
	})
	return e, err
}

// record is appendEvent for what a person did and for a process that begins to
// execute: the event says from where.
func (s *Store) record(ctx context.Context, tx *sql.Tx, e run.Event) (run.Event, error) {
	switch e.Type {
	case run.RunCreated, run.RunStarted, run.SignalSent, run.Extended, run.Adopted:
		if e.Data.Origin == nil {
			e.Data.Origin = s.origin
		}
	}
	return appendEvent(ctx, tx, e)
}

// appendEvent chains e to the event before it. The write lock that the
// transaction holds keeps two events from following the same one.
func appendEvent(ctx context.Context, tx *sql.Tx, e run.Event) (run.Event, error) {
	err := tx.QueryRowContext(ctx, `SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1`).Scan(&e.Seq, &e.Prev)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return e, err
	}
	e.Seq++
	data, err := json.Marshal(e.Data)
	if err != nil {
		return e, err
	}
	e.Hash = audit.Link{Seq: e.Seq, Run: e.Run, Type: e.Type, At: e.At, Step: e.Step, Data: data, Prev: e.Prev}.Sum()
	_, err = tx.ExecContext(ctx, `INSERT INTO events (seq, run, type, at, step, data, prev, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		e.Seq, e.Run, string(e.Type), stamp(e.At), e.Step, string(data), e.Prev, e.Hash)
	return e, err
}

// Events lists the events after number after, of one run, or of all if id is "".
func (s *Store) Events(ctx context.Context, id string, after int64) ([]run.Event, error) {
	query, args := allEvents+` WHERE seq > ? ORDER BY seq`, []any{after}
	if id != "" {
		query, args = allEvents+` WHERE run = ? AND seq > ? ORDER BY seq`, []any{id, after}
	}
	return collect(ctx, s, query, args, func(rows *sql.Rows) (run.Event, error) {
		l, err := scanLink(rows)
		if err != nil {
			return run.Event{}, err
		}
		return l.Event()
	})
}
