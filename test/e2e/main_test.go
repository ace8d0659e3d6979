// Package e2e runs noren as a user does, as a process of its own, against a
// real Kubernetes API server. A simulated load balancer fronts real HTTP
// servers; see package albsim for what it imitates.
package e2e

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/cli"
	"github.com/noren-dev/noren/internal/driver/all"
)

// The environment variables by which the test binary becomes noren, dies or
// waits at a chosen point of a run, and waits less long for everything.
const (
	asNoren  = "NOREN_TEST_AS_NOREN"
	killAt   = "NOREN_TEST_KILL_AT"
	holdAt   = "NOREN_TEST_HOLD_AT"
	patience = "NOREN_TEST_PATIENCE"
)

// atOnce is how many tests run side by side: they wait more than they work.
const atOnce = 8

func TestMain(m *testing.M) {
	if os.Getenv(asNoren) == "" {
		flag.Parse()
		_ = flag.Set("test.parallel", strconv.Itoa(atOnce)) // a flag that every test binary has
		os.Exit(m.Run())
	}
	hooks := []func(string){dieAt(os.Getenv(killAt))}
	for text := range strings.Lines(os.Getenv(holdAt)) {
		hooks = append(hooks, waitAt(strings.TrimSuffix(text, "\n")))
	}
	short, _ := time.ParseDuration(os.Getenv(patience)) // zero if it is not set
	os.Exit(cli.Main(context.Background(), cli.World{Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Registry: all.Registry(), Version: "test", Now: time.Now, Patience: short, Hook: func(point string) {
			for _, hook := range hooks {
				hook(point)
			}
		}}))
}

// dieAt returns a hook that kills the process, as kill -9 does, at the n-th
// recorded point: "n", or "n after POINT" to count from that point on.
func dieAt(text string) func(string) {
	text, after, _ := strings.Cut(text, " after ")
	at, err := strconv.Atoi(text)
	if err != nil {
		return func(string) {}
	}
	var mu sync.Mutex
	points, counting := 0, after == ""
	return func(point string) {
		mu.Lock() // and keep it: nothing happens in a dead process
		counting = counting || strings.HasPrefix(point, after)
		if counting {
			points++
		}
		if points == at {
			fmt.Fprintf(os.Stderr, "killed at point %d: %s\n", at, point)
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		mu.Unlock()
	}
}

// waitAt returns a hook that waits at the first point that begins with the
// words given, "ADDRESS POINT", until the test lets it go. Several may be given
// in lines.
func waitAt(text string) func(string) {
	address, at, ok := strings.Cut(text, " ")
	if !ok {
		return func(string) {}
	}
	var once sync.Once
	return func(point string) {
		if !strings.HasPrefix(point, at) {
			return
		}
		once.Do(func() {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				panic(err)
			}
			_, _ = conn.Read(make([]byte, 1)) // until the test closes it
		})
	}
}

// A hold makes a process wait at a point of its run.
type hold struct {
	env      string
	listener net.Listener
	conn     net.Conn
}

func newHold(t testing.TB, point string) *hold {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return &hold{env: fmt.Sprintf("%s=%s %s", holdAt, l.Addr(), point), listener: l}
}

// reached waits until the process is there.
func (h *hold) reached(t testing.TB) {
	t.Helper()
	_ = h.listener.(*net.TCPListener).SetDeadline(time.Now().Add(time.Minute))
	var err error
	if h.conn, err = h.listener.Accept(); err != nil {
		t.Fatalf("the point was not reached: %v", err)
	}
}

func (h *hold) release() { _ = h.conn.Close() }

// A result is what a command printed and how it ended. Code is -1 for a
// command that was killed.
type result struct {
	out, err string
	code     int
}

// A command is one under way.
type command struct {
	args     []string
	cmd      *exec.Cmd
	out, err output
	ctx      context.Context
	done     chan struct{}
}

// An output keeps what a command has written so far.
type output struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	more chan struct{} // closed and made anew at every write
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.more)
	o.more = make(chan struct{})
	return o.buf.Write(p)
}

func (o *output) soFar() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String(), o.more
}

// start runs a command in dir with its state in state.
func start(t testing.TB, dir, state string, env []string, args ...string) *command {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	c := &command{args: args, cmd: exec.CommandContext(ctx, self, args...), ctx: ctx, done: make(chan struct{}),
		out: output{more: make(chan struct{})}, err: output{more: make(chan struct{})}}
	c.cmd.Dir = dir
	c.cmd.Env = append(os.Environ(), append(env, asNoren+"=1", "NOREN_STATE_DIR="+state, "NO_COLOR=1", "NOREN_CONFIG=")...)
	c.cmd.Stdout, c.cmd.Stderr = io.Writer(&c.out), io.Writer(&c.err)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.done)
		_ = c.cmd.Wait()
	}()
	return c
}

// says waits until the command has printed the words.
func (c *command) says(t testing.TB, words string) {
	t.Helper()
	for {
		text, more := c.out.soFar()
		if strings.Contains(text, words) {
			return
		}
		select {
		case <-more:
		case <-c.done:
			if text, _ := c.out.soFar(); strings.Contains(text, words) {
				return
			}
			t.Fatalf("noren %s ended without saying %q:\n%s", strings.Join(c.args, " "), words, text)
		}
	}
}

// wait returns how the command ended.
func (c *command) wait(t testing.TB) result {
	t.Helper()
	<-c.done
	out, _ := c.out.soFar()
	errs, _ := c.err.soFar()
	if c.ctx.Err() != nil {
		t.Fatalf("noren %s did not end:\n%s%s", strings.Join(c.args, " "), out, errs)
	}
	return result{out, errs, c.cmd.ProcessState.ExitCode()}
}

// noren runs a command to its end.
func noren(t testing.TB, dir, state string, env []string, args ...string) result {
	t.Helper()
	return start(t, dir, state, env, args...).wait(t)
}

// must fails the test unless the command ended with the code.
func (r result) must(t testing.TB, code int) result {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", r.code, code, r.out, r.err)
	}
	return r
}

// says fails the test unless the command printed all of the words, on either
// stream.
func (r result) says(t testing.TB, words ...string) result {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(r.out, w) && !strings.Contains(r.err, w) {
			t.Errorf("it does not say %q\nstdout:\n%s\nstderr:\n%s", w, r.out, r.err)
		}
	}
	return r
}

// silent fails if a command said any of the words.
func (r result) silent(t testing.TB, words ...string) result {
	t.Helper()
	for _, w := range words {
		if strings.Contains(r.out, w) || strings.Contains(r.err, w) {
			t.Errorf("it says %q\nstdout:\n%s\nstderr:\n%s", w, r.out, r.err)
		}
	}
	return r
}
