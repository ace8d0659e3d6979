package cli_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/noren-dev/noren/internal/cli"
	"github.com/noren-dev/noren/internal/driver/all"
)

// TestReferenceIsCurrent compares docs/reference with what noren docs writes.
func TestReferenceIsCurrent(t *testing.T) {
	t.Parallel()
	fresh, kept := t.TempDir(), filepath.Join("..", "..", "docs", "reference")
	var problems bytes.Buffer
	code := cli.Main(context.Background(), cli.World{Args: []string{"docs", "--out", fresh}, Stdout: &problems, Stderr: &problems, Registry: all.Registry()})
	if code != 0 {
		t.Fatalf("noren docs: exit code %d\n%s", code, &problems)
	}
	want, have := tree(t, fresh), tree(t, kept)
	if !slices.Equal(want, have) {
		t.Errorf("docs/reference has the pages\n%q, want\n%q\nRun: make generate", have, want)
	}
	for _, name := range want {
		a, err := os.ReadFile(filepath.Join(fresh, name))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(filepath.Join(kept, name)); err == nil && !bytes.Equal(a, b) {
			t.Errorf("docs/reference/%s is not current. Run: make generate", name)
		}
	}
}

func tree(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Errorf("%v. Run: make generate", err)
	}
	return files
}
