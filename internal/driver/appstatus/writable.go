package appstatus

import (
	"context"

	"github.com/noren-dev/noren/internal/action"
)

// WritableParams are the parameters of appstatus/document.writable: none.
type WritableParams struct{}

// writable is the check appstatus/document.writable. It only looks: that the
// place takes the document is seen when it is written, which is still before
// customers are shut out.
type writable struct{ conn *conn }

func openWritable(c *conn, _ WritableParams) (*writable, error) { return &writable{c}, nil }

// Target names the document.
func (w *writable) Target() string { return w.conn.target("document") }

// Check asks whether the document could be written.
func (w *writable) Check(ctx context.Context) (action.Verdict, error) {
	if err := ctx.Err(); err != nil {
		return action.Verdict{}, err
	}
	return w.conn.place.writable(ctx)
}

// Requires lists what a closing and its opening need.
func (w *writable) Requires() []action.Permission { return w.conn.place.requires() }
