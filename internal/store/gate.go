package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync"

	"modernc.org/sqlite"
)

// A gate lets the transactions of one process through one at a time. SQLite
// has one writer, and a second one that finds it busy sleeps for milliseconds
// before it looks again; behind the gate it waits microseconds for its turn.
// Other processes are still met with busy_timeout.
//
// Every handle of a Store, that of the checkpoints included, goes through the
// same gate. All transactions take the write lock at their beginning, so that
// none is let through in vain.
type gate struct {
	dsn  string
	turn *sync.Mutex
}

func (gate) Driver() driver.Driver { return &sqlite.Driver{} }

func (g gate) Connect(context.Context) (driver.Conn, error) {
	c, err := g.Driver().Open(g.dsn)
	if err != nil {
		return nil, err
	}
	inner, ok := c.(sqliteConn)
	if !ok {
		return nil, errors.Join(errors.New("sqlite: connection lacks an interface"), c.Close())
	}
	return &gated{sqliteConn: inner, turn: g.turn}, nil
}

// sqliteConn is what the driver's connections can do.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

type gated struct {
	sqliteConn
	turn *sync.Mutex
}

func (c *gated) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	c.turn.Lock()
	tx, err := c.sqliteConn.BeginTx(ctx, o)
	if err != nil {
		c.turn.Unlock()
		return nil, err
	}
	return &gatedTx{tx: tx, leave: sync.OnceFunc(c.turn.Unlock)}, nil
}

// A gatedTx gives up its turn however it ends.
type gatedTx struct {
	tx    driver.Tx
	leave func()
}

func (t *gatedTx) Commit() error {
	defer t.leave()
	return t.tx.Commit()
}

func (t *gatedTx) Rollback() error {
	defer t.leave()
	return t.tx.Rollback()
}
