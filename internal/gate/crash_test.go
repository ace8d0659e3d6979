package gate

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// startChild runs a gate in a process of its own; kill ends it without notice.
func startChild(t *testing.T, config string) (r *running, kill func()) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), childEnv+"="+config)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killed := false
	kill = func() {
		if !killed {
			killed = true
			_ = cmd.Process.Kill() // SIGKILL
			_ = cmd.Wait()
		}
	}
	t.Cleanup(kill)
	var a childAddrs
	if err := json.NewDecoder(out).Decode(&a); err != nil {
		t.Fatal(err)
	}
	token, err := os.ReadFile(filepath.Join(filepath.Dir(config), "state", tokenName))
	if err != nil {
		t.Fatal(err)
	}
	return &running{url: "http://" + a.Listen, admin: "http://" + a.Admin, token: strings.TrimSpace(string(token))}, kill
}

func TestComesBackAsItWasAfterSIGKILL(t *testing.T) {
	config := filepath.Join(t.TempDir(), "gate.yaml")
	if err := os.WriteFile(config, []byte(`
listen: [{address: "127.0.0.1:0"}]
admin: {address: "127.0.0.1:0"}
state_dir: state
doors:
  - {name: web, hosts: [shop.example.com], backend: "`+app(t, hello)+`"}
  - {name: api, hosts: [api.example.com], backend: "`+app(t, hello)+`"}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	r, kill := startChild(t, config)
	token := r.token
	r.mustTurn(t, "web", closing())
	before, tag := r.door(t, "web")
	kill()

	r, kill = startChild(t, config)
	if a := send(t, http.MethodGet, r.url, nil, "Host", "shop.example.com"); !a.isClosed() {
		t.Fatalf("came back open: %d %s", a.status, a.body)
	}
	if a := send(t, http.MethodGet, r.url, nil, "Host", "api.example.com"); a.status != http.StatusOK {
		t.Fatalf("a door that was open came back closed: %d %s", a.status, a.body)
	}
	if after, again := r.door(t, "web"); again != tag || after.Closed.Mark.Actor != before.Closed.Mark.Actor {
		t.Fatalf("came back as %+v %s, was %+v %s", after.Closed, again, before.Closed, tag)
	}
	if r.token != token {
		t.Fatal("the token changed over a restart")
	}
	r.mustTurn(t, "web", nil)
	kill()

	r, _ = startChild(t, config)
	if a := send(t, http.MethodGet, r.url, nil, "Host", "shop.example.com"); a.status != http.StatusOK {
		t.Fatalf("came back closed: %d %s", a.status, a.body)
	}
}
