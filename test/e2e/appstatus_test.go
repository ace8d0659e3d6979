package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/noren-dev/noren/internal/appstatus"
)

// statusSection is the section of an environment; its document is in the
// catalog's directory.
const statusSection = "    appstatus: {file: app-status.json, services: {shop: {name: {en: Shop}}, solo: {name: {en: Solo}}}}\n"

// tellsApps gives the shop's environment a status document.
func (s *shop) tellsApps(t testing.TB) {
	t.Helper()
	s.rewrite(t, "    argocd: {", statusSection+"    argocd: {")
}

// statusOf is what the document says of a service; without one, apps go on.
func statusOf(t testing.TB, raw []byte, service string) appstatus.Status {
	t.Helper()
	d, err := appstatus.Parse(raw)
	if err != nil {
		t.Fatalf("a document that is not whole: %v\n%s", err, raw)
	}
	return d.Services[service].Status
}

func (s *shop) told(t testing.TB, service string) appstatus.Status {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(s.dir, "app-status.json"))
	if os.IsNotExist(err) {
		return appstatus.Operational
	}
	if err != nil {
		t.Fatal(err)
	}
	return statusOf(t, raw, service)
}

// honest fails if apps hear that a service works while its door is closed.
func (s *shop) honest(t testing.TB, service, when string) {
	t.Helper()
	if code, body := s.get(t, service, "/"); s.told(t, service) == appstatus.Operational && code != 200 {
		t.Fatalf("%s: apps hear that %s is operational, and it answers %d %.80s", when, service, code, body)
	}
}

// TestAppStatusAtEveryPoint kills noren at each point of a closing and of an
// opening. Apps never hear that the shop works while its door is closed; carried
// on, the document says what the door does.
func TestAppStatusAtEveryPoint(t *testing.T) {
	t.Parallel()
	open := func(t testing.TB) *shop {
		s := newShop(t)
		s.tellsApps(t)
		return s
	}
	eachPointOf(t, 25, open, func(t *testing.T, s *shop, n int, reached func(result)) bool {
		closeArgs := []string{"close", "shop", "--env", "prod", "--for", "30m", "--confirm", "prod"}
		openArgs := []string{"open", "--env", "prod", "--confirm", "prod"}
		state, kill := t.TempDir(), []string{fmt.Sprintf("%s=%d", killAt, n)}
		step := func(args []string, want int, status appstatus.Status) bool {
			first := noren(t, s.dir, state, kill, args...)
			reached(first)
			s.honest(t, "shop", strings.TrimSpace(first.err))
			if first.code == -1 {
				s.noren(t, state, args...).must(t, 0)
			}
			if code, _ := s.get(t, "shop", "/"); code != want || s.told(t, "shop") != status {
				t.Fatalf("%s, killed at %d: shop answers %d, and apps hear %s\n%s", args[0], n, code, s.told(t, "shop"), first.err)
			}
			return first.code == -1
		}
		closing := step(closeArgs, 503, appstatus.Maintenance)
		opening := step(openArgs, 200, appstatus.Operational)
		if _, err := os.Stat(filepath.Join(s.dir, ".app-status.json.marks")); !os.IsNotExist(err) {
			t.Fatalf("marks are left after point %d: %v", n, err)
		}
		return closing || opening
	})
}

// TestAppStatusWhileGoingBack does it with a closing that cannot be proved: apps
// hear that the shop works again once that was seen.
func TestAppStatusWhileGoingBack(t *testing.T) {
	t.Parallel()
	open := func(t testing.TB) *shop {
		s := newShop(t)
		s.tellsApps(t)
		return s
	}
	eachPointOf(t, 12, open, func(t *testing.T, s *shop, n int, reached func(result)) bool {
		s.unprovable(t)
		args := []string{"close", "solo", "--env", "prod", "--for", "30m", "--confirm", "prod"}
		state, short := t.TempDir(), patience+"=300ms"
		first := noren(t, s.dir, state, []string{short, fmt.Sprintf("%s=%d after run.undoing", killAt, n)}, args...)
		reached(first)
		if first.code == -1 {
			noren(t, s.dir, state, []string{short}, args...).must(t, 10)
		}
		if got := s.told(t, "solo"); got != appstatus.Operational {
			t.Fatalf("gone back, killed at point %d, and apps hear %s", n, got)
		}
		return first.code == -1
	})
}

// TestAppStatusIsAdopted loses noren's records while closed.
func TestAppStatusIsAdopted(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.tellsApps(t)
	before := s.objects(t)
	s.noren(t, t.TempDir(), "close", "shop", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 0)
	if got := s.told(t, "shop"); got != appstatus.Maintenance {
		t.Fatalf("apps hear %s", got)
	}
	s.noren(t, t.TempDir(), "recover", "--env", "prod", "--confirm", "prod").must(t, 0)
	if got := s.told(t, "shop"); got != appstatus.Operational {
		t.Errorf("recovered, and apps hear %s", got)
	}
	s.same(t, before)
}

// TestAppStatusOfTheGate asks a gate, which is a process of its own, as an app
// does, after every kill.
func TestAppStatusOfTheGate(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	closeArgs, openArgs := []string{"close", "--env", "prod", "--for", "30m"}, []string{"open", "--env", "prod"}
	points := 0
	for n, more := 1, true; more; n++ {
		state, kill := t.TempDir(), []string{fmt.Sprintf("%s=%d", killAt, n)}
		more = false
		for _, args := range [][]string{closeArgs, openArgs} {
			first := noren(t, g.dir, state, kill, args...)
			if code, status := g.door(t), g.told(t); code != 200 && status == appstatus.Operational {
				t.Fatalf("%s: apps hear operational, and the door answers %d", first.err, code)
			}
			if first.code == -1 {
				points++
				more = true
				noren(t, g.dir, state, nil, args...).must(t, 0)
			}
			if closed := args[0] == "close"; (g.door(t) == 503) != closed || (g.told(t) == appstatus.Maintenance) != closed {
				t.Fatalf("after %s: the door answers %d, and apps hear %s", args[0], g.door(t), g.told(t))
			}
		}
	}
	if points < 20 {
		t.Errorf("killed at %d points only", points)
	}
}

// A gateProcess is noren gate with one door, and a catalog for it.
type gateProcess struct{ dir, listen string }

func startGate(t *testing.T) *gateProcess {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") }))
	t.Cleanup(app.Close)
	g := &gateProcess{dir: t.TempDir()}
	g.write(t, "gate.yaml", fmt.Sprintf(`listen: [{address: "127.0.0.1:0"}]
admin: {address: "127.0.0.1:0"}
state_dir: gate-state
app_status: app-status.json
doors: [{name: shop, hosts: [shop.test], backend: %q}]
`, app.URL))
	cmd := exec.CommandContext(t.Context(), os.Args[0], "gate", "--output", "json")
	cmd.Dir, cmd.Env = g.dir, append(os.Environ(), asNoren+"=1")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	var said struct {
		Value struct {
			Listen []string
			Admin  string
		}
	}
	if err == nil {
		err = json.Unmarshal(line, &said)
	}
	if err != nil {
		t.Fatalf("the gate: %v: %s", err, line)
	}
	g.listen = strings.TrimPrefix(said.Value.Listen[0], "http://")
	_, port, err := net.SplitHostPort(g.listen)
	if err != nil {
		t.Fatal(err)
	}
	g.write(t, "noren.yaml", fmt.Sprintf(`version: 1
zone: Asia/Tokyo
environments:
  prod:
    gate: {admin: %q, token_file: gate-state/admin.token}
    http: {resolve: {"shop.test:%[2]s": "127.0.0.1:%[2]s"}}
    appstatus: {file: app-status.json, services: {shop: {name: {en: Shop}}}}
services:
  shop: {entrances: [{kind: gate/door, name: shop}], health: ["http://shop.test:%[2]s/healthz"]}
`, said.Value.Admin, port))
	noren(t, g.dir, t.TempDir(), nil, "appstatus", "publish").must(t, 0)
	return g
}

func (g *gateProcess) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(g.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (g *gateProcess) get(t *testing.T, path string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+g.listen+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "shop.test"
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, body
}

func (g *gateProcess) door(t *testing.T) int {
	code, _ := g.get(t, "/cart")
	return code
}

func (g *gateProcess) told(t *testing.T) appstatus.Status {
	t.Helper()
	code, body := g.get(t, appstatus.Path)
	if code != http.StatusOK {
		t.Fatalf("the document: %d %s", code, body)
	}
	return statusOf(t, body, "shop")
}
