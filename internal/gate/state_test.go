package gate

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/test/unprivileged"
)

func oneDoor(t testing.TB) Config {
	return Config{Doors: []Door{{Name: "web", Backend: app(t, hello)}}, StateDir: t.TempDir(),
		Listen: []Listen{{Address: "127.0.0.1:0"}}}
}

func TestRefusesToStartOnDoubtfulState(t *testing.T) {
	for name, c := range map[string]struct{ file, content, says string }{
		"corrupt":       {"web.json", `{"version":1,"door":"web","clo`, "corrupt"},
		"empty":         {"web.json", ``, "corrupt"},
		"of no version": {"web.json", `{}`, "corrupt"},
		"other door's":  {"web.json", `{"version":1,"door":"api","closed":{}}`, "corrupt"},
		"unknown field": {"web.json", `{"version":1,"door":"web","closed":{"closing":{"fog":true}}}`, "corrupt"},
		"newer noren's": {"web.json", `{"version":2,"door":"web","fog":{}}`, "newer"},
		"unknown door":  {"shop.json", `{"version":1,"door":"shop","closed":{"closing":{"mark":"m","mode":"closed","bypass":{},"page":{"status":503,"contentType":"text/html","body":""}}}}`, "no such door"},
	} {
		t.Run(name, func(t *testing.T) {
			config := oneDoor(t)
			path := filepath.Join(config.StateDir, c.file)
			if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := New(config)
			if !errors.Is(err, &fault.Fault{Code: fault.Invalid}) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) {
				t.Fatalf("got %v, want a fault that says %q and names %s", err, c.says, path)
			}
			if raw, err := os.ReadFile(path); err != nil || string(raw) != c.content {
				t.Fatalf("the file was touched: %q %v", raw, err)
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			g, err := New(config)
			if err != nil {
				t.Fatalf("does not start after the file is removed: %v", err)
			}
			if err := g.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestHalfWrittenFilesOfAKilledGateAreForgotten(t *testing.T) {
	config := oneDoor(t)
	half := filepath.Join(config.StateDir, ".web.json.123")
	if err := os.WriteFile(half, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, config)
	if a := send(t, http.MethodGet, r.url, nil); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if _, err := os.Stat(half); !errors.Is(err, os.ErrNotExist) {
		t.Fatal("the half-written file is still there")
	}
}

func TestTwoGatesDoNotShareState(t *testing.T) {
	config := oneDoor(t)
	start(t, config)
	if _, err := New(config); !errors.Is(err, &fault.Fault{Code: fault.Locked}) || !strings.Contains(err.Error(), config.StateDir) {
		t.Fatalf("a second gate on the same state: %v", err)
	}
}

// A trouble is something that keeps the disk from taking what it should.
type trouble struct {
	fail, mend func(t *testing.T, r *running)
	status     int
	says       string
}

func troubles() map[string]trouble {
	return map[string]trouble{
		"full": {
			fail: func(_ *testing.T, r *running) {
				r.store.write = func(f *os.File, content []byte) error {
					_, _ = f.Write(content[:len(content)/2])
					return &os.PathError{Op: "write", Path: f.Name(), Err: syscall.ENOSPC}
				}
			},
			mend: func(_ *testing.T, r *running) {
				r.store.write = func(f *os.File, content []byte) error { _, err := f.Write(content); return err }
			},
			status: http.StatusInsufficientStorage, says: "no space left",
		},
		"unusable": {
			fail: func(t *testing.T, r *running) {
				if err := os.Rename(r.config.StateDir, r.config.StateDir+"-away"); err != nil {
					t.Fatal(err)
				}
			},
			mend: func(t *testing.T, r *running) {
				if err := os.Rename(r.config.StateDir+"-away", r.config.StateDir); err != nil {
					t.Fatal(err)
				}
			},
			status: http.StatusInternalServerError, says: "no such file",
		},
		"read-only": {
			fail:   func(t *testing.T, r *running) { readOnly(t, r, true) },
			mend:   func(t *testing.T, r *running) { readOnly(t, r, false) },
			status: http.StatusInternalServerError, says: "ermi", // permission denied, operation not permitted
		},
	}
}

// TestDiskThatDoesNotTakeIt holds the gate to its word: what the disk did not
// take did not happen.
func TestDiskThatDoesNotTakeIt(t *testing.T) {
	for name, c := range troubles() {
		t.Run(name, func(t *testing.T) {
			if name == "read-only" && unprivileged.Again(t) {
				return // root writes to read-only directories
			}
			config := oneDoor(t)
			config.StateDir = filepath.Join(config.StateDir, "state")
			r := start(t, config)
			_, before := r.door(t, "web")
			c.fail(t, r)
			a := r.turnTo(t, "web", closing())
			if a.status != c.status || !strings.Contains(a.body, c.says) || !strings.Contains(a.body, config.StateDir) || !strings.Contains(a.body, "as it was") {
				t.Errorf("closing: %d %s", a.status, a.body)
			}
			if a := send(t, http.MethodGet, r.url, nil); a.status != http.StatusOK {
				t.Errorf("the door closed all the same: %d", a.status)
			}
			if _, after := r.door(t, "web"); after != before {
				t.Errorf("the door's tag went from %s to %s", before, after)
			}
			c.mend(t, r)
			if left, _ := filepath.Glob(filepath.Join(config.StateDir, ".*")); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
			r.mustTurn(t, "web", closing())
			if a := send(t, http.MethodGet, r.url, nil); !a.isClosed() {
				t.Errorf("not closed after the disk was mended: %d", a.status)
			}
		})
	}
}

func readOnly(t *testing.T, r *running, on bool) {
	mode := os.FileMode(0o700)
	if on {
		mode = 0o500
	}
	if err := os.Chmod(r.config.StateDir, mode); err != nil {
		t.Fatal(err)
	}
}

func TestTokenFile(t *testing.T) {
	config := oneDoor(t)
	r := start(t, config)
	info, err := os.Stat(r.TokenFile())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v, want mode 0600", info.Mode(), err)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(r.TokenFile(), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := New(config); err == nil || !strings.Contains(err.Error(), "every user") {
		t.Fatalf("a token that others can read: %v", err)
	}
	if err := errors.Join(os.Chmod(r.TokenFile(), 0o600), os.WriteFile(r.TokenFile(), []byte("short\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := New(config); err == nil || !strings.Contains(err.Error(), "too short") {
		t.Fatalf("a token that can be guessed: %v", err)
	}
}
