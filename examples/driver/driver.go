package flagfile

import (
	"context"
	"os"

	"github.com/noren-dev/noren/internal/driver"
)

// Driver returns the driver "flagfile".
func Driver() *driver.Driver {
	return driver.New("flagfile", "sets flags in files that applications read", connect,
		driver.Changes("flagfile/flag.set", "a key of a flag file has a value", openSet),
	)
}

// conn is the connection: the folder, and how a file is written. Tests give
// another write to count writes and to lose an answer.
type conn struct {
	dir   string
	write func(path string, data []byte, mode os.FileMode) error
}

func connect(_ context.Context, cfg Config, _ driver.Env) (*conn, error) {
	return &conn{dir: cfg.Dir, write: replace}, nil
}
