package gate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/gate/gateapi"
)

// stateVersion is the version of a state file, raised when an older gate
// could not serve it rightly.
const stateVersion = 1

// A kept is the content of the file of a closed door. A door without a file
// is open.
type kept struct {
	Version int            `json:"version"`
	Door    string         `json:"door"`
	Closed  gateapi.Closed `json:"closed"`
}

// A store keeps what is closed, a file for each closed door. When a method
// returns nil the disk holds it.
type store struct {
	dir  string
	lock *os.File
	// write writes a file's content; tests put a full disk here.
	write func(f *os.File, content []byte) error
}

func openStore(dir string) (*store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "state directory cannot be made",
			Detail: fmt.Sprintf("The gate keeps what is closed in %s, which cannot be made. Without it a closed door would come back open.", dir), Err: err}
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	return &store{dir: dir, lock: lock, write: func(f *os.File, content []byte) error {
		_, err := f.Write(content)
		return err
	}}, nil
}

func (s *store) close() error { return s.lock.Close() }

func (s *store) path(door string) string { return filepath.Join(s.dir, door+".json") }

// load returns what is closed, by door. Files that it cannot understand, or of
// a door that is none of known, are faults: guessing would open a closed door.
func (s *store) load(known []string) (map[string]*gateapi.Closed, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "state directory cannot be read", Detail: fmt.Sprintf("The gate cannot tell which doors are closed without %s.", s.dir), Err: err}
	}
	all := map[string]*gateapi.Closed{}
	var wrong []error
	for _, e := range entries {
		door, isState := strings.CutSuffix(e.Name(), ".json")
		if strings.HasPrefix(e.Name(), ".") {
			// A half-written file of a gate that was killed: it was never
			// acknowledged. Should it stay, it does no harm.
			_ = os.Remove(filepath.Join(s.dir, e.Name()))
			continue
		}
		if !isState {
			continue
		}
		c, err := s.read(door, known)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		all[door] = c
	}
	return all, errors.Join(wrong...)
}

func (s *store) read(door string, known []string) (*gateapi.Closed, error) {
	path := s.path(door)
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, corrupt(path, door, err)
	}
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return nil, corrupt(path, door, err)
	}
	if head.Version > stateVersion {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "state file is from a newer noren",
			Detail: fmt.Sprintf("%s has version %d, this noren reads up to %d. Start the noren that wrote it, or a newer one.", path, head.Version, stateVersion)}
	}
	var k kept
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&k); err != nil {
		return nil, corrupt(path, door, err)
	}
	if k.Version != stateVersion || k.Door != door {
		return nil, corrupt(path, door, fmt.Errorf("it says version %d and door %q", k.Version, k.Door))
	}
	for _, name := range known {
		if name == door {
			return &k.Closed, nil
		}
	}
	return nil, &fault.Fault{Code: fault.Invalid, Summary: "closed door is missing from the configuration",
		Detail: fmt.Sprintf("%s says that the door %s is closed, but the configuration has no such door; under another name it would come back open. Put the door back and open it first, or remove the file to forget it.", path, door),
		Try:    []string{"rm " + path}}
}

func corrupt(path, door string, err error) error {
	return &fault.Fault{Code: fault.Invalid, Summary: "state file is corrupt",
		Detail: fmt.Sprintf("%s does not tell whether and how the door %s is closed. The gate does not start, since it would have to guess. Restore the file, or remove it to start with the door open.", path, door),
		Try:    []string{"rm " + path}, Err: err}
}

// save keeps a door as closed, or as open if c is nil.
func (s *store) save(door string, c *gateapi.Closed) error {
	if c == nil {
		if err := os.Remove(s.path(door)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return s.syncDir()
	}
	raw, err := json.Marshal(kept{Version: stateVersion, Door: door, Closed: *c})
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(s.dir, "."+door+".json.*")
	if err != nil {
		return err
	}
	err = errors.Join(s.write(f, raw), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), s.path(door))
	}
	if err != nil {
		return errors.Join(err, ignoreMissing(os.Remove(f.Name())))
	}
	return s.syncDir()
}

func (s *store) syncDir() error {
	d, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
