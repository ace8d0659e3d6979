package appstatus

import (
	"context"
	"fmt"
	"path/filepath"
	"syscall"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/appstatus"
)

// WritableParams are the parameters of appstatus/document.writable: none.
type WritableParams struct{}

// writable is the check appstatus/document.writable. It only looks: that the
// disk takes the document is seen when it is written, which is still before
// customers are shut out.
type writable struct{ conn *conn }

func openWritable(c *conn, _ WritableParams) (*writable, error) { return &writable{c}, nil }

// Target names the document.
func (w *writable) Target() string { return w.conn.target("document") }

// room is how much must be free: the document and its marks, twice, since the new
// is written beside the old, and what the opening will need.
const room = 4 * appstatus.MaxSize

const mayWrite, mayEnter = 2, 1 // W_OK and X_OK of access(2)

// Check asks whether the directory is there, may be written, and has room.
func (w *writable) Check(ctx context.Context) (action.Verdict, error) {
	if err := ctx.Err(); err != nil {
		return action.Verdict{}, err
	}
	dir := filepath.Dir(w.conn.cfg.File)
	v := action.Verdict{Summary: "the status document cannot be written"}
	if _, err := w.conn.read(); err != nil {
		return action.Verdict{}, err
	}
	if err := syscall.Access(dir, mayWrite|mayEnter); err != nil {
		v.Findings, v.Try = []string{fmt.Sprintf("%s: %v", dir, err)}, []string{"ls -ld " + dir}
		return v, nil
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return action.Verdict{}, w.conn.broken("the disk of the status document cannot be looked at", err)
	}
	if free := disk.Bavail * uint64(disk.Bsize); free < room { //nolint:gosec // a block has a size
		v.Findings, v.Try = []string{fmt.Sprintf("%s has %d bytes free, and %d are needed", dir, free, room)}, []string{"df -h " + dir}
		return v, nil
	}
	return action.Verdict{OK: true, Summary: "the status document can be written: " + w.conn.cfg.File}, nil
}
