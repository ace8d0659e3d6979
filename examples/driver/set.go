package flagfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
)

// SetParams are the parameters of flagfile/flag.set.
type SetParams struct {
	// File is the name of the flag file in the driver's folder.
	File string `json:"file"`
	Key  string `json:"key"`
	// Value is what the key is to be.
	Value string `json:"value"`
}

// Validate checks the parameters without I/O.
func (p SetParams) Validate() error {
	switch {
	case p.File == "" || p.File != filepath.Base(p.File):
		return errors.New("file: name a file of the folder, without a path")
	case p.Key == "" || strings.ContainsAny(p.Key, "=\n"):
		return errors.New("key: name a key, without an equals sign")
	case strings.Contains(p.Value, "\n"):
		return errors.New("value: one line")
	}
	return nil
}

// Flag is the state: exactly what the change writes. A file without the key
// has no Flag.
type Flag struct {
	Value string `json:"value"`
}

// set is the change flagfile/flag.set.
type set struct {
	conn   *conn
	params SetParams
}

func openSet(c *conn, p SetParams) (driver.Typed[Flag], error) { return &set{c, p}, nil }

// Target names the key.
func (s *set) Target() string { return "flagfile:" + s.path() + "#" + s.params.Key }

func (s *set) path() string { return filepath.Join(s.conn.dir, s.params.File) }

// Observe reads the key.
func (s *set) Observe(ctx context.Context) (*Flag, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	lines, _, err := s.read()
	if err != nil {
		return nil, err
	}
	return s.find(lines), nil
}

// Propose wants the value of the parameters, whatever there is now.
func (s *set) Propose(*Flag) (*Flag, error) { return &Flag{Value: s.params.Value}, nil }

// Apply writes the key, or takes it out where to is nil. It looks just before
// it writes; README.md says what window is left.
func (s *set) Apply(ctx context.Context, from, to *Flag) error {
	lines, mode, err := s.read()
	if err != nil {
		return err
	}
	switch now := s.find(lines); {
	case equal(now, to):
		return nil
	case !equal(now, from):
		return fmt.Errorf("flag file %s: %s is %s now; find out who set it: %w", s.path(), s.params.Key, now, action.ErrDrift)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.conn.write(s.path(), s.with(lines, to), mode); err != nil {
		// Nobody knows whether the new file is there: trying again is safe.
		return fmt.Errorf("flag file %s: %w: %w", s.path(), action.ErrUnavailable, err)
	}
	return nil
}

func (s *set) read() (lines []string, mode os.FileMode, err error) {
	info, err := os.Stat(s.path())
	if err != nil {
		return nil, 0, fmt.Errorf("flag file: %w", err)
	}
	raw, err := os.ReadFile(s.path())
	if err != nil {
		return nil, 0, fmt.Errorf("flag file: %w", err)
	}
	return strings.SplitAfter(string(raw), "\n"), info.Mode().Perm(), nil
}

func (s *set) find(lines []string) *Flag {
	for _, l := range lines {
		if value, ok := strings.CutPrefix(l, s.params.Key+"="); ok {
			return &Flag{Value: strings.TrimSuffix(value, "\n")}
		}
	}
	return nil
}

// with returns the file with the key as to says, and all else as it is, down
// to the byte. A new key becomes the first line, so that taking it out again
// leaves no trace.
func (s *set) with(lines []string, to *Flag) []byte {
	var out strings.Builder
	if to != nil && s.find(lines) == nil {
		out.WriteString(s.params.Key + "=" + to.Value + "\n")
	}
	for _, l := range lines {
		old, ok := strings.CutPrefix(l, s.params.Key+"=")
		switch {
		case !ok:
			out.WriteString(l)
		case to != nil:
			end := old[len(strings.TrimSuffix(old, "\n")):]
			out.WriteString(s.params.Key + "=" + to.Value + end)
		}
	}
	return []byte(out.String())
}

func equal(a, b *Flag) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// String is for errors.
func (f *Flag) String() string {
	if f == nil {
		return "not set"
	}
	return fmt.Sprintf("%q", f.Value)
}

// replace puts a new file in the place of the old one in a single step, so
// that the application never reads half of it.
func replace(path string, data []byte, mode os.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".flags-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}
