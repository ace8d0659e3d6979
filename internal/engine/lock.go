package engine

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/noren-dev/noren/internal/store"
)

func lockPath(dir string) string { return filepath.Join(dir, "executor") }

func tryLock(dir string) (*store.FileLock, error) {
	l, err := store.TryLock(lockPath(dir))
	switch {
	case errors.Is(err, store.ErrHeld):
		return nil, ErrBusy
	case err != nil:
		return nil, fmt.Errorf("executor's %w", err)
	}
	return l, nil
}

// Executed tells whether some process executes the runs of a state directory.
// While it asks, Open may find the place taken; whoever follows a run tries
// again a moment later.
func Executed(dir string) (bool, error) { return store.Held(lockPath(dir)) }
