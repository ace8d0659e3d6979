// Package store keeps noren's own records: runs with their plans, events,
// receipts, locks and signals, in one SQLite file.
//
// Who is authoritative for what: a receipt is the truth about what a target
// was before; the events are the truth about what happened; a lock is the
// truth about who may touch an entrance. The engine's checkpoints live in the
// same file but in tables of their own, and may be lost without harm.
//
// Durability: receipts, locks and new runs are on disk (fsync) when the call
// returns. Events may lose their last few at a power cut, never at the death
// of the process; every step can be repeated, so that costs a second look, not
// correctness.
package store

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/run"
)

// schemaVersion is in the file's user_version. A file of a higher one was
// written by a newer noren and is refused.
const schemaVersion = 1

//go:embed schema.sql
var schema string

// A Store is one open state file. It is safe for concurrent use, and several
// processes may have the same file open.
type Store struct {
	path string
	// journal waits for the disk at each commit; notes does not.
	journal, notes *sql.DB
	now            func() time.Time
	origin         *run.Origin // of what this process records; see From
	// turn is whose transaction it is, among this process's handles: see gate.
	turn sync.Mutex

	mu        sync.Mutex // guards what follows
	waiting   []*appending
	appending bool                // somebody is recording what waits
	plans     map[string]planKept // by run; see decoded
}

// Open opens the state file in dir, making both if need be. now tells the
// time of records.
func Open(ctx context.Context, dir string, now func() time.Time) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, unusable(dir, err)
	}
	path := filepath.Join(dir, "noren.db")
	s := &Store{path: path, now: now, plans: map[string]planKept{}}
	// The file holds passes: it is made here, readable to its owner alone, and
	// SQLite gives the same mode to the files beside it.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, unusable(path, err)
	}
	if err := f.Close(); err != nil {
		return nil, unusable(path, err)
	}
	s.journal, s.notes = s.openDB("full"), s.openDB("normal")
	if err := s.settle(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// settle migrates the file. Of two processes that make it at the same moment,
// one can meet the other turning it to WAL, which SQLite reports as busy at
// once, whatever busy_timeout says.
func (s *Store) settle(ctx context.Context) error {
	for try := 1; ; try++ {
		err := s.migrate(ctx)
		if try == openTries || !isBusy(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(openPause):
		}
	}
}

const (
	openTries = 100
	openPause = 50 * time.Millisecond
)

func isBusy(err error) bool {
	var se *sqlite.Error
	return errors.As(err, &se) && se.Code()&0xff == sqlite3.SQLITE_BUSY
}

// openDB sets every pragma in the DSN, so that every connection of the pool
// has it. Transactions take the write lock at their beginning: a reader that
// turns into a writer half way could not wait for its turn.
func (s *Store) openDB(synchronous string) *sql.DB {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(10000)", "journal_mode(wal)", "synchronous(" + synchronous + ")", "foreign_keys(on)"}}
	db := sql.OpenDB(gate{"file:" + (&url.URL{Path: s.path}).EscapedPath() + "?" + q.Encode(), &s.turn})
	db.SetMaxOpenConns(4)
	return db
}

func (s *Store) migrate(ctx context.Context) error {
	return s.write(ctx, s.journal, func(tx *sql.Tx) error {
		var have int
		if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have); err != nil {
			return err
		}
		switch {
		case have == schemaVersion:
			return nil
		case have > schemaVersion:
			return &fault.Fault{Code: fault.Invalid, Summary: "state file from a newer noren",
				Detail: fmt.Sprintf("%s has format %d; this noren knows up to %d. Nothing was read or written.", s.path, have, schemaVersion),
				Try:    []string{"noren version", "install the noren that wrote it, or a newer one"}}
		}
		if _, err := tx.ExecContext(ctx, schema); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", schemaVersion))
		return err
	})
}

// From says where what this process records comes from. It is called before
// anything is recorded, or not at all.
func (s *Store) From(o run.Origin) { s.origin = &o }

// Path is the state file's.
func (s *Store) Path() string { return s.path }

// OpenCheckpoints opens a handle of its own on the same file for the engine's
// checkpoints, which the engine closes.
func (s *Store) OpenCheckpoints() *sql.DB { return s.openDB("normal") }

// Close closes the file.
func (s *Store) Close() error { return errors.Join(s.journal.Close(), s.notes.Close()) }

func (s *Store) write(ctx context.Context, db *sql.DB, f func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return s.Explain(err)
	}
	if err := f(tx); err != nil {
		return s.Explain(errors.Join(err, ignoreDone(tx.Rollback())))
	}
	return s.Explain(tx.Commit())
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// Explain turns what SQLite says of the state file into what a person can act
// on. Every other error it returns as it is.
func (s *Store) Explain(err error) error {
	var se *sqlite.Error
	if err == nil || !errors.As(err, &se) {
		return err
	}
	f := &fault.Fault{Code: fault.Unavailable, Err: err, Detail: fmt.Sprintf("%s: %v.", s.path, err)}
	switch se.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		f.Summary = "no space for the state file"
		f.Try = []string{"df -h " + shellQuote(filepath.Dir(s.path)), "free some space, then run the same command again: it carries on"}
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		f.Summary = "state file cannot be written"
		f.Try = []string{"export NOREN_STATE_DIR=/a/directory/you/can/write"}
	case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
		f.Summary = "state file is damaged"
		f.Detail += " It says what is closed and how to open it: bring it back from a backup if you can. With a new one, noren does not know of what is closed now."
		f.Try = []string{"mv " + shellQuote(s.path) + " " + shellQuote(s.path+".damaged") + "     # only if nothing is closed, or it is opened by hand"}
	case sqlite3.SQLITE_IOERR:
		f.Summary = "state file cannot be used"
		f.Try = []string{"df -h " + shellQuote(filepath.Dir(s.path)), "run the same command again: it carries on"}
	default:
		f.Summary = "state file cannot be used"
	}
	return f
}

func unusable(path string, err error) error {
	return &fault.Fault{Code: fault.Unavailable, Summary: "state directory cannot be used",
		Detail: fmt.Sprintf("noren keeps its receipts in %s before it changes anything, and could not: %v. Nothing was touched.", path, err),
		Try:    []string{"ls -ld " + shellQuote(path), "export NOREN_STATE_DIR=/a/directory/you/can/write     # what was closed from another one is opened from there"}, Err: err}
}

func shellQuote(s string) string {
	if strings.IndexFunc(s, func(r rune) bool {
		return !strings.ContainsRune("/._-+@%:=", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func parseStamp(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339Nano, s)
}
