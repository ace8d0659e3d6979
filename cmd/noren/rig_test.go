package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/creack/pty"

	"github.com/noren-dev/noren/internal/gate"
)

// asNoren makes the test binary be noren: main itself, with its signals.
const asNoren = "NOREN_TEST_AS_NOREN"

func TestMain(m *testing.M) {
	if os.Getenv(asNoren) != "" {
		main()
	}
	// Where the tests are run under nohup, noren would ignore hangups, too. What
	// a process catches, the processes that it starts have by default again.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	os.Exit(m.Run())
}

// A rig is a catalog with one service "shop" in the environment "prod", behind a
// gate whose admin address can be made to wait.
type rig struct {
	t     *testing.T
	dir   string
	front string // the gate's public URL
	stall *stall
}

func newRig(t *testing.T, protected bool) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir()}
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") }))
	t.Cleanup(app.Close)
	addrs := serveGate(t, gate.Config{StateDir: filepath.Join(r.dir, "gate"), Listen: []gate.Listen{{Address: "127.0.0.1:0"}},
		Admin: gate.Admin{Address: "127.0.0.1:0"}, Doors: []gate.Door{{Name: "shop", Hosts: []string{"shop.test"}, Backend: app.URL}}})
	r.front = addrs.Listen[0].String()
	r.stall = newStall(t, addrs.Admin.String())
	_, port, err := net.SplitHostPort(r.front)
	r.must(err)
	r.write("noren.yaml", fmt.Sprintf(`version: 1
zone: Asia/Tokyo
environments:
  prod:
    protected: %t
    gate: {admin: %q, token_file: gate/admin.token}
    http: {resolve: {"shop.test:%[3]s": "127.0.0.1:%[3]s"}}
services:
  shop:
    entrances: [{kind: gate/door, name: shop}]
    health: ["http://shop.test:%[3]s/healthz"]
`, protected, r.stall.url, port))
	return r
}

func (r *rig) write(name, text string) {
	r.t.Helper()
	r.must(os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600))
}

func serveGate(t *testing.T, c gate.Config) gate.Addrs {
	t.Helper()
	g, err := gate.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-g.Ready():
	case err := <-ended:
		t.Fatal(err)
	}
	return g.Addrs()
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// noren is a command of the program under test.
func (r *rig) noren(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(r.t.Context(), os.Args[0], args...)
	cmd.Dir = r.dir
	cmd.Env = []string{asNoren + "=1", "HOME=" + r.dir, "NOREN_STATE_DIR=" + filepath.Join(r.dir, "state"), "TERM=xterm", "PATH=" + os.Getenv("PATH")}
	return cmd
}

// says runs a command to its end and returns what it printed.
func (r *rig) says(args ...string) string {
	r.t.Helper()
	out, err := r.noren(args...).CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	return string(out)
}

// wantStatus fails unless noren status says so, and the door is as it says.
func (r *rig) wantStatus(want string, closed bool) {
	r.t.Helper()
	if got := r.says("status"); !strings.Contains(got, want) {
		r.t.Errorf("status: %s\nwant %q", got, want)
	}
	if got := r.get(); strings.HasPrefix(got, "503") != closed {
		r.t.Errorf("the door answers %s; closed should be %t", got, closed)
	}
}

// get asks the front door, and returns the status.
func (r *rig) get() string {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "http://"+r.front, nil)
	r.must(err)
	req.Host = "shop.test"
	res, err := http.DefaultTransport.RoundTrip(req)
	r.must(err)
	defer res.Body.Close()
	return res.Status
}

// A stall stands before a gate's admin address. Once armed for a method, it
// keeps the next request of that method until it is told what to do with it;
// those of the method that come meanwhile wait for that, and pass.
type stall struct {
	url string

	mu      sync.Mutex
	method  string        // armed for, "" if for none
	keeps   string        // the method of the request that is kept, if any
	freed   chan struct{} // closed once that one is answered
	reached chan struct{}
	answer  chan int // a status, or 0 to pass it on
}

func newStall(t *testing.T, admin string) *stall {
	s := &stall{answer: make(chan int)}
	pass := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: admin})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		s.mu.Lock()
		armed, freed := s.method == req.Method, s.freed
		if armed {
			s.method, s.keeps, s.freed = "", req.Method, make(chan struct{})
			close(s.reached)
		} else if s.keeps != req.Method {
			freed = nil
		}
		s.mu.Unlock()
		if !armed && freed != nil {
			select {
			case <-freed:
			case <-t.Context().Done():
				return
			}
		}
		if armed {
			select {
			case status := <-s.answer:
				s.mu.Lock()
				s.keeps = ""
				close(s.freed)
				s.mu.Unlock()
				if status != 0 {
					w.WriteHeader(status)
					return
				}
			case <-t.Context().Done():
				return
			}
		}
		pass.ServeHTTP(w, req)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// arm returns a channel that is closed when a request of the method waits.
func (s *stall) arm(method string) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.method, s.reached = method, make(chan struct{})
	return s.reached
}

// A terminal is noren on a pseudo-terminal.
type terminal struct {
	t    *testing.T
	cmd  *exec.Cmd
	tty  *os.File
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // gets a value after each read; closed at the end
}

// onTerminal starts a command as the leader of a session whose terminal has
// that size.
func (r *rig) onTerminal(columns, lines uint16, args ...string) *terminal {
	r.t.Helper()
	term := &terminal{t: r.t, cmd: r.noren(args...), more: make(chan struct{}, 1)}
	tty, err := pty.StartWithSize(term.cmd, &pty.Winsize{Cols: columns, Rows: lines})
	r.must(err)
	// Closing must not wait for the read under way: the file is opened anew in
	// the mode in which Go interrupts reads.
	fd, err := syscall.Dup(int(tty.Fd()))
	r.must(err)
	r.must(syscall.SetNonblock(fd, true))
	term.tty = os.NewFile(uintptr(fd), tty.Name())
	r.must(tty.Close())
	r.t.Cleanup(func() { _ = term.tty.Close() }) // a test may have closed it
	go term.read()
	return term
}

func (term *terminal) read() {
	defer close(term.more)
	buf := make([]byte, 4096)
	for {
		n, err := term.tty.Read(buf)
		term.mu.Lock()
		term.text.Write(buf[:n])
		term.mu.Unlock()
		if err != nil {
			return
		}
		select {
		case term.more <- struct{}{}:
		default:
		}
	}
}

// shown is all that was written to the terminal so far.
func (term *terminal) shown() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.text.String()
}

// await waits until the terminal shows the text.
func (term *terminal) await(text string) {
	term.t.Helper()
	for !strings.Contains(term.shown(), text) {
		if _, ok := <-term.more; !ok {
			term.t.Fatalf("noren ended without saying %q:\n%s", text, term.shown())
		}
	}
}

func (term *terminal) typed(text string) {
	term.t.Helper()
	if _, err := io.WriteString(term.tty, text); err != nil {
		term.t.Fatal(err)
	}
}

// vanish is the loss of the connection.
func (term *terminal) vanish() {
	term.t.Helper()
	if err := term.tty.Close(); err != nil {
		term.t.Fatal(err)
	}
}

// exit waits for the end and returns the exit code, -1 for death by a signal.
func (term *terminal) exit() int {
	_ = term.cmd.Wait() // its code says it
	return term.cmd.ProcessState.ExitCode()
}
