package cli_test

import (
	"database/sql"
	"errors"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdSQLite plays a person with a SQL shell and bad intentions: it takes the
// triggers that keep history away, and then does as told.
func cmdSQLite(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) > 1, "sqlite file statement...")
	db, err := sql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	statements := []string{`DROP TRIGGER IF EXISTS events_keep`, `DROP TRIGGER IF EXISTS events_stay`, `DROP TRIGGER IF EXISTS receipts_keep`,
		`DROP TRIGGER IF EXISTS receipts_stay`, `DROP TRIGGER IF EXISTS runs_keep`, `DROP TRIGGER IF EXISTS runs_stay`}
	for _, q := range append(statements, args[1:]...) {
		if _, err = db.Exec(q); err != nil {
			break
		}
	}
	ts.Check(errors.Join(err, db.Close()))
}
