//go:build unix

package gate

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/noren-dev/noren/internal/fault"
)

// lockDir takes a state directory for this process, until the file is closed
// or the process ends.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "state directory cannot be written",
			Detail: fmt.Sprintf("The gate keeps what is closed in %s and cannot write there.", dir), Err: err}
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(&fault.Fault{Code: fault.Locked, Summary: "state directory is in use",
			Detail: fmt.Sprintf("Another gate keeps its doors in %s. Stop it, or give this one a state_dir of its own.", dir), Err: err}, f.Close())
	}
	return f, nil
}
