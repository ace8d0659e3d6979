package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/run"
)

// Append records an event and returns it with its number, time and hash.
func (s *Store) Append(ctx context.Context, e run.Event) (run.Event, error) {
	e.At = s.now()
	err := s.write(ctx, s.notes, func(tx *sql.Tx) (err error) {
		e, err = appendEvent(ctx, tx, e)
		return err
	})
	return e, err
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
	e.Hash = hashOf(e, data)
	_, err = tx.ExecContext(ctx, `INSERT INTO events (seq, run, type, at, step, data, prev, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		e.Seq, e.Run, string(e.Type), stamp(e.At), e.Step, string(data), e.Prev, e.Hash)
	return e, err
}

func hashOf(e run.Event, data []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%d\n%s\n%s\n%s\n%s\n", e.Prev, e.Seq, e.Run, e.Type, stamp(e.At), e.Step)
	h.Write(data)
	return hex.EncodeToString(h.Sum(nil))
}

// Events lists the events after number after, of one run, or of all if id is "".
func (s *Store) Events(ctx context.Context, id string, after int64) ([]run.Event, error) {
	rows, err := s.rawEvents(ctx, id, after)
	if err != nil {
		return nil, err
	}
	events := make([]run.Event, len(rows))
	for i, r := range rows {
		events[i] = r.Event
	}
	return events, nil
}

type rawEvent struct {
	run.Event
	data []byte
}

func (s *Store) rawEvents(ctx context.Context, id string, after int64) ([]rawEvent, error) {
	query, args := `SELECT seq, run, type, at, step, data, prev, hash FROM events WHERE seq > ? ORDER BY seq`, []any{after}
	if id != "" {
		query, args = `SELECT seq, run, type, at, step, data, prev, hash FROM events WHERE run = ? AND seq > ? ORDER BY seq`, []any{id, after}
	}
	return collect(ctx, s, query, args, func(rows *sql.Rows) (r rawEvent, err error) {
		var at string
		if err := rows.Scan(&r.Seq, &r.Run, &r.Type, &at, &r.Step, &r.data, &r.Prev, &r.Hash); err != nil {
			return r, err
		}
		if r.At, err = parseStamp(at); err != nil {
			return r, err
		}
		return r, json.Unmarshal(r.data, &r.Data)
	})
}

// Verify reads every event and checks the chain of hashes, and that the last
// event ever written is still there. Its fault names the first event that was
// changed, removed or inserted by another hand.
func (s *Store) Verify(ctx context.Context) error {
	// The number first: events may be added while this reads.
	var last int64
	err := s.notes.QueryRowContext(ctx, `SELECT seq FROM sqlite_sequence WHERE name = 'events'`).Scan(&last)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return s.Explain(err)
	}
	rows, err := s.rawEvents(ctx, "", 0)
	if err != nil {
		return err
	}
	prev, seq := "", int64(0)
	for _, r := range rows {
		if r.Seq != seq+1 || r.Prev != prev || r.Hash != hashOf(r.Event, r.data) {
			return &fault.Fault{Code: fault.CheckFailed, Summary: "record of events was altered",
				Detail: fmt.Sprintf("%s: event %d (%s of run %s) does not follow from the one before it.", s.path, r.Seq, r.Type, r.Run)}
		}
		prev, seq = r.Hash, r.Seq
	}
	if seq < last {
		return &fault.Fault{Code: fault.CheckFailed, Summary: "record of events was altered",
			Detail: fmt.Sprintf("%s: the events after %d, up to %d, are gone.", s.path, seq, last)}
	}
	return nil
}
