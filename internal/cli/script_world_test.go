package cli_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/testaws/cdn"
	"github.com/noren-dev/noren/internal/testaws/cloudwatch"
	"github.com/noren-dev/noren/internal/testchannels"
	"github.com/noren-dev/noren/internal/testmonitors"
)

// scriptWorld is what stands around one script: applications, and processes
// that serve.
type scriptWorld struct {
	apps      map[string]*app
	processes map[string]*process
	fronts    map[string]*front
	stops     map[string]func() error // of monitoring systems
	vendors   map[string]*testmonitors.Fake
	ledgers   map[string]*testchannels.Ledger // of what channels told
	alarms    map[string]*cloudwatch.Server
	blade     testmonitors.Blade // over all that write to standers
	standers  map[string]stander
	cdns      map[string]*cdn.Server
}

// An app is a small web application.
type app struct {
	server *httptest.Server
	sick   atomic.Bool
}

// cmdApp starts an application and sets NAME_URL. It answers 200 with its name
// and the path; at /healthz 200, or 500 while it is sick.
func cmdApp(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "app name")
	a := &app{}
	a.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.sick.Load() && r.URL.Path == "/healthz" {
			http.Error(w, "sick", http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "%s says hello at %s\n", args[0], r.URL.Path)
	}))
	ts.Defer(a.server.Close)
	world(ts).apps[args[0]] = a
	ts.Setenv(strings.ToUpper(args[0])+"_URL", a.server.URL)
}

func health(ts *testscript.TestScript, neg bool, args []string, well bool) {
	usage(ts, neg, len(args) == 1 && world(ts).apps[args[0]] != nil, "sick|well name")
	world(ts).apps[args[0]].sick.Store(!well)
}

// A process is a noren that serves until it is stopped.
type process struct {
	cmd    *exec.Cmd
	output strings.Builder // standard error; read it after ended
	lines  *bufio.Reader   // standard output
	ended  chan struct{}
	err    error
}

// drain reads the rest of its output and waits for its end.
func (p *process) drain() error {
	_, _ = io.Copy(io.Discard, p.lines) // ends with the process
	<-p.ended
	return p.err
}

// cmdStart runs noren with --output json, waits for its first line, which says
// where it serves, and sets NAME_KEY for each member of that.
func cmdStart(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) > 1, "start NAME noren ...")
	p := &process{ended: make(chan struct{})}
	p.cmd = exec.Command(lookPath(ts, args[1]), append(args[2:], "--output", "json")...)
	p.cmd.Dir = ts.MkAbs(".")
	p.cmd.Env = environment(ts)
	p.cmd.Stderr = &p.output
	read, write, err := os.Pipe()
	ts.Check(err)
	p.cmd.Stdout, p.lines = write, bufio.NewReader(read)
	ts.Check(p.cmd.Start())
	ts.Check(write.Close())
	go func() {
		defer close(p.ended)
		p.err = p.cmd.Wait()
	}()
	world(ts).processes[args[0]] = p
	ts.Defer(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		_ = p.drain()
		_ = read.Close()
	})
	first, err := p.lines.ReadString('\n')
	if err != nil {
		ts.Fatalf("start %s: it said nothing and ended: %v\n%s", args[0], p.drain(), &p.output)
	}
	var said struct{ Value map[string]any }
	ts.Check(json.Unmarshal([]byte(first), &said))
	for key, value := range said.Value {
		if list, ok := value.([]any); ok && len(list) > 0 {
			value = list[0]
		}
		if s, ok := value.(string); ok {
			ts.Setenv(args[0]+"_"+strings.ToUpper(key), s)
			if _, port, err := net.SplitHostPort(strings.TrimPrefix(strings.TrimSuffix(s, "/"), "http://")); err == nil {
				ts.Setenv(args[0]+"_"+strings.ToUpper(key)+"_PORT", port)
			}
		}
	}
}

// cmdEnd ends a started process: politely, or with -9 not.
func cmdEnd(ts *testscript.TestScript, neg bool, args []string) {
	hard := len(args) == 2 && args[0] == "-9"
	usage(ts, neg, len(args) == 1 || hard, "end [-9] NAME")
	p := world(ts).processes[args[len(args)-1]]
	if p == nil {
		ts.Fatalf("end: %s was not started", args[len(args)-1])
	}
	sig := syscall.SIGTERM
	if hard {
		sig = syscall.SIGKILL
	}
	ts.Check(p.cmd.Process.Signal(sig))
	if err := p.drain(); err != nil && !hard {
		ts.Fatalf("end: %v\n%s", err, &p.output)
	}
}

// cmdAwait reads a started process's output until a line matches; without an
// expression it waits for its end, which with ! must be a failure.
func cmdAwait(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 || len(args) > 2 || world(ts).processes[args[0]] == nil {
		ts.Fatalf("usage: [!] await NAME [regexp]")
	}
	p := world(ts).processes[args[0]]
	if len(args) == 1 {
		if err := p.drain(); (err != nil) != neg {
			ts.Fatalf("await %s: %v\n%s", args[0], err, &p.output)
		}
		return
	}
	wanted, err := regexp.Compile(args[1])
	ts.Check(err)
	var seen strings.Builder
	for {
		line, err := p.lines.ReadString('\n')
		seen.WriteString(line)
		if wanted.MatchString(line) {
			return
		}
		if err != nil {
			ts.Fatalf("await %s: it ended (%v) and said nothing that matches %s:\n%s%s", args[0], p.drain(), wanted, &seen, &p.output)
		}
	}
}

func lookPath(ts *testscript.TestScript, name string) string {
	for _, dir := range strings.Split(ts.Getenv("PATH"), string(os.PathListSeparator)) {
		path := dir + string(os.PathSeparator) + name
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path
		}
	}
	ts.Fatalf("there is no command %s", name)
	return ""
}

// environment is what the script's commands get.
func environment(ts *testscript.TestScript) []string {
	var all []string
	for _, name := range []string{"PATH", "HOME", "NOREN_STATE_DIR", "NO_COLOR", "TZ", "KUBECONFIG", "NOREN_CONFIG", nowVariable, killVariable, passVariable,
		heardVariable, "HOOK_KEY", "SLACK_TOKEN", "SMTP_PASSWORD", "STATUSPAGE_KEY"} {
		if v := ts.Getenv(name); v != "" {
			all = append(all, name+"="+v)
		}
	}
	return all
}

// cmdHTTP asks a URL once and prints the status, the headers of interest and
// the body. Names under .test are those of the gate started as GATE. With !,
// nothing may answer.
func cmdHTTP(ts *testscript.TestScript, neg bool, args []string) {
	req, err := request(args)
	if err != nil {
		ts.Fatalf("usage: http [-X method] [-H 'Name: value'] url: %v", err)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if host, _, err := net.SplitHostPort(address); err == nil && strings.HasSuffix(host, ".test") {
			address = strings.TrimPrefix(ts.Getenv("GATE_LISTEN"), "http://")
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(req)
	if neg {
		if err == nil {
			_ = res.Body.Close()
			ts.Fatalf("http: %s was answered with %s", req.URL, res.Status)
		}
		return
	}
	ts.Check(err)
	defer res.Body.Close()
	out := ts.Stdout()
	fmt.Fprintln(out, res.Status)
	for _, h := range []string{"Content-Type", "Retry-After", "Location", "Cache-Control", edge.SeenHeader} {
		if v := res.Header.Get(h); v != "" {
			fmt.Fprintf(out, "%s: %s\n", h, v)
		}
	}
	fmt.Fprintln(out)
	_, err = io.Copy(out, res.Body)
	ts.Check(err)
}

func request(args []string) (*http.Request, error) {
	method, header := http.MethodGet, http.Header{}
	for len(args) > 2 {
		switch args[0] {
		case "-X":
			method = args[1]
		case "-H":
			name, value, _ := strings.Cut(args[1], ":")
			header.Add(name, strings.TrimSpace(value))
		default:
			return nil, fmt.Errorf("unknown flag %s", args[0])
		}
		args = args[2:]
	}
	if len(args) != 1 {
		return nil, errors.New("no URL")
	}
	req, err := http.NewRequest(method, args[0], nil)
	if err == nil {
		req.Header = header
	}
	return req, err
}
