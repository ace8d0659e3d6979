package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/noren-dev/noren/internal/audit"
	"github.com/noren-dev/noren/internal/fault"
)

const allEvents = `SELECT seq, run, type, at, step, data, prev, hash FROM events`

func scanLink(rows *sql.Rows) (l audit.Link, err error) {
	var at string
	if err := rows.Scan(&l.Seq, &l.Run, &l.Type, &at, &l.Step, &l.Data, &l.Prev, &l.Hash); err != nil {
		return l, err
	}
	if l.At, err = parseStamp(at); err != nil {
		return l, unreadable("The time of record %d", l.Seq, err)
	}
	return l, nil
}

// unreadable is what is said of a field that noren cannot have written.
func unreadable(what string, which any, err error) error {
	return &fault.Fault{Code: fault.CheckFailed, Summary: "records are not as they were written",
		Detail: fmt.Sprintf(what+" was altered: %v.", which, err), Err: err}
}

// digests are the digests of a run's receipts, by step.
func digests(ctx context.Context, tx *sql.Tx, id string) (map[string]string, error) {
	rows, err := tx.QueryContext(ctx, `SELECT step, body FROM receipts WHERE run = ?`, id)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // its error is that of rows.Err
	all := map[string]string{}
	for rows.Next() {
		var step string
		var body []byte
		if err := rows.Scan(&step, &body); err != nil {
			return nil, err
		}
		all[step] = audit.Digest(body)
	}
	return all, rows.Err()
}

// Links calls f for every event as it is stored, in order.
func (s *Store) Links(ctx context.Context, f func(audit.Link) error) error {
	return s.snapshot(ctx, func(c *sql.Conn) error { return links(ctx, c, f) })
}

func links(ctx context.Context, c *sql.Conn, f func(audit.Link) error) error {
	return scanAll(ctx, c, allEvents+` ORDER BY seq`, func(rows *sql.Rows) error {
		l, err := scanLink(rows)
		if err != nil {
			return err
		}
		return f(l)
	})
}

// Verify reads every record and checks the chain, that the last record ever
// written is still there, and plans and receipts against it.
func (s *Store) Verify(ctx context.Context) error {
	_, err := s.Audit(ctx, "")
	return err
}

// Audit is Verify with a report of what was checked, also if something is
// wrong. head, unless empty, is the hash of a record that must be there. Its
// fault names the first record that is not as it was written.
func (s *Store) Audit(ctx context.Context, head string) (audit.Report, error) {
	chain := &audit.Chain{Known: head}
	err := s.snapshot(ctx, func(c *sql.Conn) error { return check(ctx, c, chain) })
	return chain.Report(), err
}

func check(ctx context.Context, c *sql.Conn, chain *audit.Chain) error {
	var last int64
	err := c.QueryRowContext(ctx, `SELECT seq FROM sqlite_sequence WHERE name = 'events'`).Scan(&last)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if err := links(ctx, c, chain.Add); err != nil {
		return err
	}
	if err := chain.Tail(last); err != nil {
		return err
	}
	err = scanAll(ctx, c, `SELECT id, kind, plan, digest, actor, created, ended <> '' FROM runs ORDER BY created, id`, func(rows *sql.Rows) error {
		var r audit.RunRow
		var created string
		if err := rows.Scan(&r.ID, &r.Kind, &r.Plan, &r.Digest, &r.Actor, &created, &r.Ended); err != nil {
			return err
		}
		if r.Created, err = parseStamp(created); err != nil {
			return unreadable("The time of run %s", r.ID, err)
		}
		return chain.Run(r)
	})
	if err != nil {
		return err
	}
	err = scanAll(ctx, c, `SELECT run, step, body FROM receipts ORDER BY run, rowid`, func(rows *sql.Rows) error {
		var id, step string
		var body []byte
		if err := rows.Scan(&id, &step, &body); err != nil {
			return err
		}
		return chain.Receipt(id, step, body)
	})
	if err != nil {
		return err
	}
	if err := chain.Stored(); err != nil {
		return err
	}
	return chain.End()
}

// snapshot calls f with a connection that sees the file as it is at one
// moment. It takes no lock that a run would have to wait for.
func (s *Store) snapshot(ctx context.Context, f func(*sql.Conn) error) error {
	c, err := s.notes.Conn(ctx)
	if err != nil {
		return s.Explain(err)
	}
	_, err = c.ExecContext(ctx, `BEGIN DEFERRED`)
	if err == nil {
		err = f(c)
		_, ended := c.ExecContext(context.WithoutCancel(ctx), `COMMIT`)
		err = errors.Join(err, ended)
	}
	return s.Explain(errors.Join(err, c.Close()))
}

func scanAll(ctx context.Context, c *sql.Conn, query string, f func(*sql.Rows) error) error {
	rows, err := c.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // its error is that of rows.Err
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
