package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// parentCheckInterval is how often the parent process is looked for. It only
// matters where stdin outlives the parent, such as on a terminal.
const parentCheckInterval = time.Second

// lifetime returns a context that ends on SIGTERM or SIGINT, when stdin
// reaches its end, or when the parent process dies.
func lifetime(stdin io.Reader) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	go func() {
		defer stop()
		// Input is no part of the protocol: only its end says something.
		_, _ = io.Copy(io.Discard, stdin)
	}()
	go func() {
		defer stop()
		waitOrphaned(ctx, os.Getppid())
	}()
	return ctx, stop
}

// waitOrphaned returns when parent is no longer the parent process, or when
// ctx ends.
func waitOrphaned(ctx context.Context, parent int) {
	ticker := time.NewTicker(parentCheckInterval)
	defer ticker.Stop()
	for os.Getppid() == parent {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
