package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// A Lock tells who holds an entrance.
type Lock struct {
	Target string
	Run    string
	Actor  string
	Since  time.Time
}

// Create records a new run and takes its locks, all or nothing. If p.Holder is
// set, each lock must be that run's and passes to the new run; else each must
// be free. If another run holds one, the error is a fault of code Locked that
// names it.
func (s *Store) Create(ctx context.Context, id string, p *plan.Plan, actor string) (*run.Run, error) {
	return s.CreateTelling(ctx, id, p, actor, run.Data{})
}

// CreateTelling is Create with what the run's first event tells beside who
// began it and the plan's digest.
func (s *Store) CreateTelling(ctx context.Context, id string, p *plan.Plan, actor string, told run.Data) (*run.Run, error) {
	created := s.now()
	digest, err := p.Digest()
	if err != nil {
		return nil, err
	}
	err = s.write(ctx, s.journal, func(tx *sql.Tx) error {
		if err := insertRun(ctx, tx, id, p, actor, created); err != nil {
			return err
		}
		told.Actor, told.Digest = actor, digest
		_, err := s.record(ctx, tx, run.Event{Run: id, Type: run.RunCreated, At: created, Data: told})
		return err
	})
	if err != nil {
		return nil, err
	}
	return run.New(id, p, digest, actor, created), nil
}

// insertRun records a run and takes its locks.
func insertRun(ctx context.Context, tx *sql.Tx, id string, p *plan.Plan, actor string, created time.Time) error {
	body, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("plan of %s: %w", id, err)
	}
	digest, err := p.Digest()
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO runs (id, kind, plan, digest, actor, created) VALUES (?, ?, ?, ?, ?, ?)`,
		id, string(p.Kind), string(body), digest, actor, stamp(created)); err != nil {
		return err
	}
	for _, target := range p.Locks {
		if err := takeLock(ctx, tx, Lock{target, id, actor, created}, p.Holder); err != nil {
			return err
		}
	}
	return nil
}

// Fault is what a second run is told of the lock.
func (l Lock) Fault() *fault.Fault {
	return &fault.Fault{Code: fault.Locked, Summary: "entrance is held by another run",
		Detail: fmt.Sprintf("%s is held by run %s, started by %s at %s. Two runs on one entrance would undo each other.",
			l.Target, l.Run, l.Actor, l.Since.Local().Format("2006-01-02 15:04:05 MST")),
		Try: []string{"noren watch " + l.Run, "noren status"}}
}

func takeLock(ctx context.Context, tx *sql.Tx, want Lock, from string) error {
	var held Lock
	var since string
	// A lock that passed from a closing to its opening is as old as the
	// closing, but who holds it now is who asked for the opening.
	err := tx.QueryRowContext(ctx, `SELECT locks.target, runs.id, runs.actor, runs.created FROM locks JOIN runs ON runs.id = locks.run WHERE target = ?`,
		want.Target).Scan(&held.Target, &held.Run, &held.Actor, &since)
	switch {
	case errors.Is(err, sql.ErrNoRows) && from != "":
		return &fault.Fault{Code: fault.Invalid, Summary: "plan is out of date",
			Detail: fmt.Sprintf("%s is not held by run %s any longer: it was opened since this plan was made. Nothing was touched.", want.Target, from),
			Try:    []string{"noren status"}}
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return err
	case held.Run != from:
		if held.Since, err = parseStamp(since); err != nil {
			return err
		}
		return held.Fault()
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO locks (target, run, actor, since) VALUES (?, ?, ?, ?)
		ON CONFLICT (target) DO UPDATE SET run = excluded.run`, want.Target, want.Run, want.Actor, stamp(want.Since))
	return err
}

// End records that a run has ended, and what becomes of its locks: released,
// given back to the run named, or kept by the run (""). Signals that came too
// late are acknowledged as such. also are events of other runs that this one's
// end brings about. Ending a run that has ended does nothing.
func (s *Store) End(ctx context.Context, id string, e run.Event, release bool, giveBack string, also ...run.Event) error {
	return s.write(ctx, s.journal, func(tx *sql.Tx) error {
		first, err := changed(tx.ExecContext(ctx, `UPDATE runs SET ended = ? WHERE id = ? AND ended = ''`, stamp(s.now()), id))
		if err != nil || !first {
			return err
		}
		switch {
		case release:
			_, err = tx.ExecContext(ctx, `DELETE FROM locks WHERE run = ?`, id)
		case giveBack != "":
			_, err = tx.ExecContext(ctx, `UPDATE locks SET run = ? WHERE run = ?`, giveBack, id)
		}
		if err != nil {
			return err
		}
		for {
			late, err := next(ctx, tx, id)
			if err != nil {
				return err
			}
			if late == nil {
				break
			}
			if err := s.take(ctx, tx, id, *late, "too late: the run was ending"); err != nil {
				return err
			}
		}
		e.Run = id
		for _, e := range append(also[:len(also):len(also)], e) {
			e.At = s.now()
			if _, err := appendEvent(ctx, tx, e); err != nil {
				return err
			}
		}
		return nil
	})
}

// On lists the ids of the runs of a kind that are about a closing, in the order
// in which they were made.
func (s *Store) On(ctx context.Context, closing string, k plan.Kind) ([]string, error) {
	return s.strings(ctx, `SELECT id FROM runs WHERE kind = ? AND plan ->> '$.closing' = ? ORDER BY rowid`, string(k), closing)
}

// Run reads a run with everything that has happened to it.
func (s *Store) Run(ctx context.Context, id string) (*run.Run, error) {
	var body, digest, actor, created string
	err := s.notes.QueryRowContext(ctx, `SELECT plan, digest, actor, created FROM runs WHERE id = ?`, id).Scan(&body, &digest, &actor, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, s.noSuchRun(id)
	}
	if err != nil {
		return nil, s.Explain(err)
	}
	p, err := s.decoded(id, body)
	if err != nil {
		return nil, err
	}
	at, err := parseStamp(created)
	if err != nil {
		return nil, err
	}
	r := run.New(id, p, digest, actor, at)
	events, err := s.Events(ctx, id, 0)
	if err != nil {
		return nil, err
	}
	for _, e := range events {
		r.Fold(e)
	}
	return r, nil
}

// planKept is a plan as it was decoded from the text of that hash.
type planKept struct {
	of   [sha256.Size]byte
	plan *plan.Plan
}

// mostPlans bounds the plans that are kept decoded: a run, the closing that it
// undoes, and one more that is looked at meanwhile.
const mostPlans = 3

// decoded is the plan of a run. Nobody changes a plan, so that all who read a
// run share one: those of large closings are many megabytes.
func (s *Store) decoded(id, body string) (*plan.Plan, error) {
	hash := sha256.Sum256([]byte(body))
	s.mu.Lock()
	defer s.mu.Unlock()
	if kept, ok := s.plans[id]; ok && kept.of == hash {
		return kept.plan, nil
	}
	var p plan.Plan
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		return nil, fmt.Errorf("plan of run %s: %w", id, err)
	}
	if len(s.plans) == mostPlans {
		clear(s.plans)
	}
	s.plans[id] = planKept{hash, &p}
	return &p, nil
}

func (s *Store) noSuchRun(id string) error {
	return &fault.Fault{Code: fault.NotFound, Summary: "no such run",
		Detail: fmt.Sprintf("%s has no run %q.", s.path, id), Try: []string{"noren history"}}
}

// Unfinished lists the ids of the runs that have not ended, oldest first.
func (s *Store) Unfinished(ctx context.Context) ([]string, error) {
	return s.strings(ctx, `SELECT id FROM runs WHERE ended = '' ORDER BY created, rowid`)
}

// RunIDs lists the ids of all runs, at most limit, the one recorded last first:
// a clock that was set back meanwhile does not change what was last.
func (s *Store) RunIDs(ctx context.Context, limit int) ([]string, error) {
	return s.strings(ctx, `SELECT id FROM runs ORDER BY rowid DESC LIMIT ?`, limit)
}

// Following lists the ids of the runs that are about the closing: those that
// took it back, or tried to. Oldest first.
func (s *Store) Following(ctx context.Context, closing string) ([]string, error) {
	return s.strings(ctx, `SELECT id FROM runs WHERE plan ->> '$.closing' = ? ORDER BY created, rowid`, closing)
}

func (s *Store) strings(ctx context.Context, query string, args ...any) ([]string, error) {
	return collect(ctx, s, query, args, func(rows *sql.Rows) (v string, err error) { return v, rows.Scan(&v) })
}

func collect[T any](ctx context.Context, s *Store, query string, args []any, scan func(*sql.Rows) (T, error)) ([]T, error) {
	rows, err := s.notes.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, s.Explain(err)
	}
	defer func() { _ = rows.Close() }() // its error is that of rows.Err
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, s.Explain(rows.Err())
}

// Locks lists every lock held, by target.
func (s *Store) Locks(ctx context.Context) ([]Lock, error) {
	return collect(ctx, s, `SELECT target, run, actor, since FROM locks ORDER BY target`, nil, func(rows *sql.Rows) (Lock, error) {
		var l Lock
		var since string
		if err := rows.Scan(&l.Target, &l.Run, &l.Actor, &since); err != nil {
			return l, err
		}
		var err error
		l.Since, err = parseStamp(since)
		return l, err
	})
}

// PutReceipts commits the receipts of a run and the event that tells of it with
// their digests, all in one transaction. A receipt that exists already is left as it is: the first
// one is the truth.
func (s *Store) PutReceipts(ctx context.Context, id string, receipts []action.Receipt) error {
	return s.write(ctx, s.journal, func(tx *sql.Tx) error {
		if err := putReceipts(ctx, tx, id, receipts); err != nil {
			return err
		}
		sealed, err := digests(ctx, tx, id)
		if err != nil {
			return err
		}
		_, err = appendEvent(ctx, tx, run.Event{Run: id, Type: run.Prepared, At: s.now(), Data: run.Data{Receipts: sealed}})
		return err
	})
}

func putReceipts(ctx context.Context, tx *sql.Tx, id string, receipts []action.Receipt) error {
	for _, r := range receipts {
		body, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO receipts (run, step, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
			id, r.Step, string(body)); err != nil {
			return err
		}
	}
	return nil
}

// Receipts lists a run's receipts.
func (s *Store) Receipts(ctx context.Context, id string) ([]action.Receipt, error) {
	return collect(ctx, s, `SELECT body FROM receipts WHERE run = ? ORDER BY rowid`, []any{id}, func(rows *sql.Rows) (r action.Receipt, err error) {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return r, err
		}
		return r, json.Unmarshal(body, &r)
	})
}

// Receipt reads the receipt of one step.
func (s *Store) Receipt(ctx context.Context, id, step string) (action.Receipt, error) {
	var r action.Receipt
	var body []byte
	err := s.notes.QueryRowContext(ctx, `SELECT body FROM receipts WHERE run = ? AND step = ?`, id, step).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return r, fmt.Errorf("run %s: no receipt of step %s", id, step)
	}
	if err != nil {
		return r, s.Explain(err)
	}
	return r, json.Unmarshal(body, &r)
}

// A Sent is a signal as it waits in the store.
type Sent struct {
	ID     int64
	Signal run.Signal
	Actor  string
}

// Send leaves a signal for a run. Signals are kept until taken, in order. A run
// that has ended takes none, and the sender is told.
func (s *Store) Send(ctx context.Context, id string, sig run.Signal, actor string) error {
	return s.write(ctx, s.journal, func(tx *sql.Tx) error {
		var ended string
		err := tx.QueryRowContext(ctx, `SELECT ended FROM runs WHERE id = ?`, id).Scan(&ended)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return s.noSuchRun(id)
		case err != nil:
			return err
		case ended != "":
			return &fault.Fault{Code: fault.Invalid, Summary: "run has ended",
				Detail: fmt.Sprintf("Run %s ended at %s: it takes no %s any more.", id, ended, sig), Try: []string{"noren watch " + id, "noren status"}}
		}
		now := s.now()
		if _, err := tx.ExecContext(ctx, `INSERT INTO signals (run, signal, actor, at) VALUES (?, ?, ?, ?)`, id, string(sig), actor, stamp(now)); err != nil {
			return err
		}
		_, err = s.record(ctx, tx, run.Event{Run: id, Type: run.SignalSent, At: now, Data: run.Data{Signal: sig, Actor: actor}})
		return err
	})
}

// Next returns the oldest signal for the run that was not taken, or nil.
func (s *Store) Next(ctx context.Context, id string) (*Sent, error) {
	sent, err := next(ctx, s.notes, id)
	return sent, s.Explain(err)
}

func next(ctx context.Context, db interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}, id string) (*Sent, error) {
	var sent Sent
	err := db.QueryRowContext(ctx, `SELECT id, signal, actor FROM signals WHERE run = ? AND taken = 0 ORDER BY id LIMIT 1`, id).
		Scan(&sent.ID, &sent.Signal, &sent.Actor)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &sent, err
}

// Take marks a signal as taken and records the event that acknowledges it, in
// one transaction. Taking it again does nothing.
func (s *Store) Take(ctx context.Context, id string, sent Sent) error {
	return s.write(ctx, s.journal, func(tx *sql.Tx) error { return s.take(ctx, tx, id, sent, "") })
}

func (s *Store) take(ctx context.Context, tx *sql.Tx, id string, sent Sent, text string) error {
	first, err := changed(tx.ExecContext(ctx, `UPDATE signals SET taken = 1 WHERE id = ? AND taken = 0`, sent.ID))
	if err != nil || !first {
		return err
	}
	_, err = appendEvent(ctx, tx, run.Event{Run: id, Type: run.Signalled, At: s.now(),
		Data: run.Data{Signal: sent.Signal, Actor: sent.Actor, Text: text}})
	return err
}

// changed tells whether a statement changed any row.
func changed(res sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}
