package bench

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// host is the application's name at every front door.
const host = "shop.localhost"

// closedPage is what nginx and Caddy answer while closed: as long as noren's.
var closedPage = "<!doctype html><title>Closed</title><p>" + strings.Repeat("closed ", 130)

// startOrigin is the application: an nginx that answers 1 KiB, or without one a
// server of the test's own.
func startOrigin(t testing.TB) string {
	body := strings.Repeat("0123456789abcde\n", 64)
	if *servers == "" {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }))
		t.Cleanup(server.Close)
		return server.Listener.Addr().String()
	}
	address := free(t)
	nginx(t, fmt.Sprintf("server { listen %s reuseport; location / { return 200 '%s'; } }", address, body))
	await(t, address)
	return address
}

func startGate(t testing.TB, origin string) *proxy {
	binary := buildNoren(t)
	dir, listen, admin := t.TempDir(), free(t), free(t)
	write(t, dir, "gate.yaml", fmt.Sprintf("listen:\n  - address: %s\nadmin: {address: %s}\nstate_dir: %s/gate\ndoors:\n  - name: shop\n    hosts: [%s]\n    backend: http://%s\n",
		listen, admin, dir, host, origin))
	write(t, dir, "noren.yaml", fmt.Sprintf(`version: 1
zone: UTC
environments:
  demo:
    gate: {admin: "http://%[1]s", token_file: %[2]s/gate/admin.token}
    http: {resolve: {"%[3]s:%[4]s": "%[5]s"}}
services:
  shop: {entrances: [{kind: gate/door, name: shop}]}
`, admin, dir, host, listen[strings.LastIndex(listen, ":")+1:], listen))
	start(t, dir, binary, "gate", "--config", "gate.yaml")
	await(t, listen)
	verb := func(verb string) func(testing.TB) {
		return func(t testing.TB) {
			command(t, dir, []string{"NOREN_STATE_DIR=" + dir + "/state"}, binary, verb, "--env", "demo", "--yes")
		}
	}
	return &proxy{name: "noren", version: "noren gate, `noren close`, proved", address: listen, close: verb("close"), open: verb("open")}
}

// startNginx is the usual recipe: a file whose being there closes.
func startNginx(t testing.TB, origin string) *proxy {
	address, dir := free(t), t.TempDir()
	file := filepath.Join(dir, "closed")
	write(t, dir, "page.html", closedPage)
	nginx(t, fmt.Sprintf(`upstream app { server %s; keepalive 256; }
  server { listen %s; root %s; error_page 503 /page.html;
    location = /page.html { internal; add_header Retry-After 600 always; }
    location / { if (-f %s) { return 503; }
      proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme; } }`, origin, address, dir, file))
	await(t, address)
	out, _ := exec.CommandContext(t.Context(), filepath.Join(*servers, "usr/sbin/nginx"), "-v").CombinedOutput()
	_, version, _ := strings.Cut(strings.TrimSpace(string(out)), "nginx/")
	return &proxy{name: "nginx", version: "nginx " + version + ", `touch` of a file that it looks for", address: address,
		close: func(t testing.TB) { write(t, dir, "closed", "") },
		open: func(t testing.TB) {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}}
}

// startCaddy is closed by loading a configuration that answers.
func startCaddy(t testing.TB, origin string) *proxy {
	address, admin, dir := free(t), free(t), t.TempDir()
	head := fmt.Sprintf("{\n admin %s\n auto_https off\n}\nhttp://:%s {\n bind 127.0.0.1\n", admin, address[strings.LastIndex(address, ":")+1:])
	write(t, dir, "open", head+" reverse_proxy "+origin+"\n}\n")
	write(t, dir, "closed", head+" header Retry-After 600\n header Content-Type text/html\n respond \""+closedPage+"\" 503\n}\n")
	caddy := filepath.Join(*servers, "usr/bin/caddy")
	start(t, dir, caddy, "run", "--adapter", "caddyfile", "--config", "open")
	await(t, address)
	load := func(file string) func(testing.TB) {
		return func(t testing.TB) {
			command(t, dir, []string{"HOME=" + dir}, caddy, "reload", "--adapter", "caddyfile", "--config", file, "--address", admin)
		}
	}
	out, _ := exec.CommandContext(t.Context(), caddy, "version").Output()
	return &proxy{name: "caddy", version: "Caddy " + strings.TrimSpace(string(out)) + ", `caddy reload`", address: address, close: load("closed"), open: load("open")}
}

// nginx runs one with a configuration's http section.
func nginx(t testing.TB, http string) {
	dir, user := t.TempDir(), ""
	if os.Geteuid() == 0 {
		user = "user root; " // its workers read the test's folders
	}
	write(t, dir, "nginx.conf", user+fmt.Sprintf(`daemon off; worker_processes auto; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 1000000;
  client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
  %[2]s
}
`, dir, http))
	start(t, dir, filepath.Join(*servers, "usr/sbin/nginx"), "-p", dir, "-c", filepath.Join(dir, "nginx.conf"), "-e", filepath.Join(dir, "error.log"))
}

// start runs a program until the test ends.
func start(t testing.TB, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		timer := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait() // how it ends is of no interest
		timer.Stop()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s:\n%s", name, tail(string(text)))
		}
		log.Close()
	})
}

// await waits until somebody answers.
func await(t testing.TB, address string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	for status(ctx, address) == 0 {
		if ctx.Err() != nil {
			t.Fatalf("nobody answers at %s", address)
		}
	}
}

func write(t testing.TB, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
