// Package e2e runs noren as a user does, as a process of its own, against a
// real Kubernetes API server. A simulated load balancer fronts real HTTP
// servers; see package albsim for what it imitates.
package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/cli"
	"github.com/noren-dev/noren/internal/driver/all"
)

// The environment variables by which the test binary becomes noren, and dies
// at a chosen point of a run.
const (
	asNoren = "NOREN_TEST_AS_NOREN"
	killAt  = "NOREN_TEST_KILL_AT"
)

func TestMain(m *testing.M) {
	if os.Getenv(asNoren) == "" {
		os.Exit(m.Run())
	}
	os.Exit(cli.Main(context.Background(), cli.World{Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Registry: all.Registry(), Version: "test", Now: time.Now, Hook: dieAt(os.Getenv(killAt))}))
}

// dieAt returns a hook that kills the process, as kill -9 does, at the n-th
// recorded point.
func dieAt(n string) func(string) {
	at, err := strconv.Atoi(n)
	if err != nil {
		return nil
	}
	var points atomic.Int64
	return func(point string) {
		if points.Add(1) == int64(at) {
			fmt.Fprintf(os.Stderr, "killed at point %d: %s\n", at, point)
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
}

// A result is what a command printed and how it ended. Code is -1 for a
// command that was killed.
type result struct {
	out, err string
	code     int
}

// noren runs a command in dir with its state in state.
func noren(t testing.TB, dir, state string, env []string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), append(env, asNoren+"=1", "NOREN_STATE_DIR="+state, "NO_COLOR=1", "NOREN_CONFIG=")...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("noren %s did not end:\n%s%s", strings.Join(args, " "), out.String(), errs.String())
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// must fails the test unless the command ended with the code.
func (r result) must(t testing.TB, code int) result {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", r.code, code, r.out, r.err)
	}
	return r
}
