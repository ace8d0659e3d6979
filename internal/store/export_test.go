package store

import (
	"context"
	"database/sql"
	"fmt"
)

// LimitPages lets the file grow no more than a little: one connection each, so
// that the limit, which belongs to a connection, is on all.
func (s *Store) LimitPages(ctx context.Context) {
	s.journal.SetMaxOpenConns(1)
	s.notes.SetMaxOpenConns(1)
	for _, db := range []*sql.DB{s.journal, s.notes} {
		var pages int
		if err := db.QueryRowContext(ctx, `PRAGMA page_count`).Scan(&pages); err != nil {
			panic(err)
		}
		if _, err := db.ExecContext(ctx, fmt.Sprintf(`PRAGMA max_page_count = %d`, pages+2)); err != nil {
			panic(err)
		}
	}
}
