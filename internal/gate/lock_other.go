//go:build !unix

package gate

import (
	"os"
	"path/filepath"
)

// lockDir opens the lock file. This system has no advisory locks that end with
// the process: two gates on one directory are not noticed here.
func lockDir(dir string) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
}
