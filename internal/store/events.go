package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/noren-dev/noren/internal/audit"
	"github.com/noren-dev/noren/internal/run"
)

// Append records an event and returns it with its number, time and hash. Events
// that are appended side by side, as by the steps of a round, are committed
// together: each is recorded when its Append returns, and if one cannot be,
// none of its company is.
func (s *Store) Append(ctx context.Context, e run.Event) (run.Event, error) {
	if err := ctx.Err(); err != nil {
		return e, err
	}
	e.At = s.now()
	mine := &appending{event: e, done: make(chan struct{})}
	s.mu.Lock()
	s.waiting = append(s.waiting, mine)
	first := !s.appending
	s.appending = true
	s.mu.Unlock()
	if first {
		go s.appendAll(context.WithoutCancel(ctx)) // others' events are not cancelled with this one
	}
	<-mine.done
	return mine.event, mine.err
}

// An appending is an event that waits to be recorded.
type appending struct {
	event run.Event
	err   error
	done  chan struct{}
}

// appendAll records what waits, until nothing does.
func (s *Store) appendAll(ctx context.Context) {
	for {
		s.mu.Lock()
		batch := s.waiting
		s.waiting = nil
		if len(batch) == 0 {
			s.appending = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		err := s.write(ctx, s.notes, func(tx *sql.Tx) error {
			for _, a := range batch {
				e, err := s.record(ctx, tx, a.event)
				if err != nil {
					return err
				}
				a.event = e
			}
			return nil
		})
		for _, a := range batch {
			a.err = err
			close(a.done)
		}
	}
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
