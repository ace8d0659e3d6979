package flagfile

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/action/actiontest"
	"github.com/noren-dev/noren/internal/driver"
)

// TestContract holds flagfile/flag.set to the contract, on a key that is there
// before and on one that is not.
func TestContract(t *testing.T) {
	for name, before := range map[string]string{
		"KeyIsThere": "maintenance=off\ncolour=blue\n",
		"NewKey":     "colour=blue\n",
	} {
		t.Run(name, func(t *testing.T) {
			actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target { return target(t, before) }})
		})
	}
}

func target(t testing.TB, before string) actiontest.Target {
	path := filepath.Join(t.TempDir(), "shop.flags")
	put(t, path, before)
	writes, lose := 0, false
	c := &conn{dir: filepath.Dir(path), write: func(path string, data []byte, mode os.FileMode) error {
		writes++
		if err := replace(path, data, mode); err != nil {
			return err
		}
		if lose {
			lose = false
			return errors.New("the disk did not answer")
		}
		return nil
	}}
	change, err := openSet(c, SetParams{File: "shop.flags", Key: "maintenance", Value: "on"})
	if err != nil {
		t.Fatal(err)
	}
	return actiontest.Target{
		Name:           "flag file " + path,
		Change:         driver.Bare(change).Change,
		Meddle:         func(t testing.TB) { put(t, path, "maintenance=maybe\n"+without(t, path)); writes++ },
		MeddleBeside:   func(t testing.TB) { put(t, path, strings.Replace(get(t, path), "blue", "red", 1)); writes++ },
		Beside:         func(t testing.TB) string { return without(t, path) },
		LoseNextAnswer: func(testing.TB) { lose = true },
		Writes:         func(testing.TB) int { return writes },
	}
}

// without is the file without the key that the change writes.
func without(t testing.TB, path string) string {
	var rest string
	for l := range strings.Lines(get(t, path)) {
		if !strings.HasPrefix(l, "maintenance=") {
			rest += l
		}
	}
	return rest
}

func get(t testing.TB, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func put(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
}

// TestThroughTheRegistry opens the action as noren does, by name, and goes
// there and back: the file must be the same to the byte.
func TestThroughTheRegistry(t *testing.T) {
	for before, during := range map[string]string{
		"maintenance=off\ncolour=blue\n": "maintenance=on\ncolour=blue\n",
		"colour=blue\nmaintenance=off":   "colour=blue\nmaintenance=on",
		"colour=blue":                    "maintenance=on\ncolour=blue",
		"":                               "maintenance=on\n",
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "shop.flags")
		put(t, path, before)
		in, err := open(t, dir, `{"file":"shop.flags","key":"maintenance","value":"on"}`)
		if err != nil {
			t.Fatal(err)
		}
		from, err := in.Change.Observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		to, err := in.Change.Propose(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := in.Change.Apply(t.Context(), from, to); err != nil {
			t.Fatal(err)
		}
		if got := get(t, path); got != during {
			t.Errorf("%q became %q, want %q", before, got, during)
		}
		if err := in.Change.Apply(t.Context(), to, from); err != nil {
			t.Fatal(err)
		}
		if got := get(t, path); got != before {
			t.Errorf("after undoing the file reads %q, want %q", got, before)
		}
	}
}

func TestBadInput(t *testing.T) {
	for params, want := range map[string]string{
		`{"file":"../shop.flags","key":"a","value":"on"}`: "file:",
		`{"file":"shop.flags","key":"a=b","value":"on"}`:  "key:",
		`{"file":"shop.flags","key":"a","value":"1\n2"}`:  "value:",
		`{"file":"shop.flags","keys":"a","value":"on"}`:   "keys",
	} {
		if _, err := open(t, t.TempDir(), params); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error about %q", params, err, want)
		}
	}
	if _, err := open(t, "flags", `{"file":"shop.flags","key":"a","value":"on"}`); err == nil || !strings.Contains(err.Error(), "dir:") {
		t.Errorf("a relative folder: %v", err)
	}
}

func open(t *testing.T, dir, params string) (*driver.Instance, error) {
	t.Helper()
	config, err := json.Marshal(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	session := driver.NewRegistry(Driver()).Open(driver.Env{Name: "test"}, map[string]json.RawMessage{"flagfile": config})
	return session.Action(t.Context(), "flagfile/flag.set", json.RawMessage(params))
}
