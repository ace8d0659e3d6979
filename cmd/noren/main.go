// Command noren closes a service for planned work and opens it again exactly
// as it was.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/noren-dev/noren/internal/cli"
	"github.com/noren-dev/noren/internal/driver/all"
	"github.com/noren-dev/noren/internal/kubeclient"
)

// version is set by the linker for releases.
var version = ""

func main() {
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends what does not heed the first
	// A reader that goes away (noren close | head) must not cut off a run.
	signal.Ignore(syscall.SIGPIPE)
	kubeclient.Quiet()
	return cli.Main(ctx, cli.World{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Registry: all.Registry(), Version: buildVersion(), Now: time.Now,
	})
}

// buildVersion is the release's, or the module's as the toolchain knows it.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
