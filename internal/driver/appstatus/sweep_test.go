package appstatus

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/appstatus"
	"github.com/noren-dev/noren/internal/fault"
)

// TestSweep: what a killed noren left half written goes with the next write, and
// nothing else does.
func TestSweep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	keep := []string{".app-status.json.marks", ".app-status.json.marks.old", ".app-status.json.1a", "app-status.json.12", ".other.json.12"}
	for _, name := range append([]string{".app-status.json.3157832815", "..app-status.json.marks.1711097242"}, keep...) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := &file{path: filepath.Join(dir, "app-status.json"), env: "prod", replace: replace}
	err := f.update(t.Context(), func(*appstatus.Document, map[string]string) (edited, error) {
		return edited{document: &appstatus.Document{Schema: appstatus.Schema, Updated: time.Now()}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		left = append(left, e.Name())
	}
	want := append([]string{"app-status.json"}, keep...)
	slices.Sort(want)
	if slices.Sort(left); err != nil || !slices.Equal(left, want) {
		t.Errorf("left are %v, %v; want %v", left, err, want)
	}
}

// TestTooLarge: a document that is too large is the catalog's fault, not noren's.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	cfg := config(filepath.Join(t.TempDir(), "app-status.json"))
	cfg.Services = map[string]Service{"shop": {Name: map[string]string{"en": strings.Repeat("x", appstatus.MaxSize)}}}
	c := &conn{cfg: cfg, env: "prod", now: time.Now, place: &file{path: cfg.File, env: "prod", replace: replace}}
	if _, err := shown(t.Context(), c, nil); !errors.Is(err, &fault.Fault{Code: fault.Invalid}) {
		t.Errorf("got %v, want that it is invalid", err)
	}
}
