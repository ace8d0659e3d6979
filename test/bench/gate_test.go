package bench

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

var (
	servers = flag.String("servers", "", "the folder with nginx, Caddy and wrk; servers/install.sh makes it")
	loadFor = flag.Duration("load", 5*time.Second, "how long each load lasts")
)

// A proxy stands in front of an application, and can be closed.
type proxy struct {
	name        string
	address     string
	version     string
	close, open func(t testing.TB)
}

// TestGate measures noren's gate beside nginx and Caddy that do the same: proxy
// an application, answer everything with a closed page, and change between them
// under load. Without -servers only the gate is looked at, and briefly.
func TestGate(t *testing.T) {
	origin := startOrigin(t)
	gate := startGate(t, origin)
	if *servers == "" {
		firstPage(t, gate)
		gate.open(t)
		return
	}
	proxies := []*proxy{gate, startNginx(t, origin), startCaddy(t, origin)}
	type figures struct{ open, closed []load }
	measured := map[string]*figures{}
	first := map[string][]time.Duration{}
	for range *rounds {
		for _, p := range proxies {
			if measured[p.name] == nil {
				measured[p.name] = &figures{}
			}
			m := measured[p.name]
			m.open = append(m.open, p.load(t, *loadFor, ""))
			first[p.name] = append(first[p.name], firstPage(t, p))
			m.closed = append(m.closed, p.load(t, *loadFor, ""))
			p.open(t)
		}
	}
	var b strings.Builder
	b.WriteString("| front door | proxying: requests/s | p99, ms | closed: requests/s | p99, ms | first 503 after the command, ms | changed 10 times under load: other answers than 200 and 503, errors |\n|---|---|---|---|---|---|---|\n")
	for _, p := range proxies {
		m := measured[p.name]
		fmt.Fprintf(&b, "| %s | %.0f | %.2f | %.0f | %.2f | %d | %s |\n", p.version, rate(m.open), late(m.open), rate(m.closed), late(m.closed),
			middle(first[p.name]).Milliseconds(), changes(t, p))
	}
	publish(t, "gate", "32 connections, one application that answers 1 KiB; the load, the front door and the application share the machine", b.String())
}

// changes closes and opens under load and tells what clients got that they
// ought not.
func changes(t testing.TB, p *proxy) string {
	script := filepath.Join(t.TempDir(), "count.lua")
	const lua = `
odd = 0
local threads = {}
function setup(thread) table.insert(threads, thread) end
function response(status) if status ~= 200 and status ~= 503 then odd = odd + 1 end end
function done(s)
  local all = 0
  for _, t in ipairs(threads) do all = all + t:get("odd") end
  io.write(string.format("odd: %d errors: %d\n", all, s.errors.connect + s.errors.read + s.errors.write + s.errors.timeout))
end
`
	if err := os.WriteFile(script, []byte(lua), 0o600); err != nil {
		t.Fatal(err)
	}
	ended := make(chan load)
	go func() { ended <- p.load(t, 2**loadFor, script) }()
	for range 5 {
		p.close(t)
		p.open(t)
	}
	l := <-ended
	if p.name == "noren" && l.odd != "odd: 0 errors: 0" {
		t.Errorf("noren's gate while it was closed and opened: %s", l.odd)
	}
	return strings.NewReplacer("odd: ", "", " errors:", ",").Replace(l.odd)
}

// A load is what wrk measured.
type load struct {
	perSecond float64
	p99       time.Duration
	odd       string
}

func rate(all []load) float64 {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b load) int { return int(a.perSecond - b.perSecond) })
	return sorted[len(sorted)/2].perSecond
}

func late(all []load) float64 {
	var p []time.Duration
	for _, l := range all {
		p = append(p, l.p99)
	}
	return float64(middle(p).Microseconds()) / 1000
}

var (
	perSecond = regexp.MustCompile(`Requests/sec:\s+([\d.]+)`)
	p99       = regexp.MustCompile(`99%\s+(\S+)`)
	odd       = regexp.MustCompile(`odd: \d+ errors: \d+`)
)

func (p *proxy) load(t testing.TB, d time.Duration, script string) load {
	args := []string{"-t1", "-c32", "-d" + strconv.Itoa(int(d.Seconds())) + "s", "--latency", "-H", "Host: " + host}
	if script != "" {
		args = append(args, "-s", script)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(*servers, "usr/bin/wrk"), append(args, "http://"+p.address+"/")...)
	libs, _ := filepath.Glob(filepath.Join(*servers, "usr/lib/*-linux-gnu"))
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+strings.Join(libs, ":"))
	out, err := cmd.CombinedOutput()
	rps, slow := perSecond.FindSubmatch(out), p99.FindSubmatch(out)
	if err != nil || rps == nil || slow == nil {
		t.Errorf("wrk: %v\n%s", err, out)
		return load{}
	}
	n, _ := strconv.ParseFloat(string(rps[1]), 64)
	wait, _ := time.ParseDuration(string(slow[1]))
	return load{n, wait, string(odd.Find(out))}
}

// firstPage tells how long after the command to close began a client got a 503.
func firstPage(t testing.TB, p *proxy) time.Duration {
	var at atomic.Int64
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	seen := make(chan struct{})
	go func() {
		defer close(seen)
		for ctx.Err() == nil {
			if status(ctx, p.address) == http.StatusServiceUnavailable {
				at.Store(time.Now().UnixNano())
				return
			}
		}
	}()
	began := time.Now()
	p.close(t)
	<-seen
	if at.Load() == 0 {
		t.Fatalf("%s: no client saw a closed page", p.name)
	}
	return time.Duration(at.Load() - began.UnixNano())
}

func status(ctx context.Context, address string) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		return 0
	}
	req.Host = host
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	return res.StatusCode
}

func free(t testing.TB) string {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
