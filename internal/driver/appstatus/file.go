package appstatus

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/appstatus"
	"github.com/noren-dev/noren/internal/fault"
)

// The document is for everyone to read, its marks for nobody else.
const (
	documentMode fs.FileMode = 0o644
	marksMode    fs.FileMode = 0o600
)

// marksFile is where the document's marks are: beside it, under a name that web
// servers do not show.
func (c *conn) marksFile() string {
	return filepath.Join(filepath.Dir(c.cfg.File), "."+filepath.Base(c.cfg.File)+".marks")
}

// read returns the document, nil if there is none.
func (c *conn) read() (*appstatus.Document, error) {
	raw, err := appstatus.ReadFile(c.cfg.File)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Dir(c.cfg.File)); err != nil {
			return nil, c.broken("the directory of the status document is not there", err, "mkdir -p "+filepath.Dir(c.cfg.File))
		}
		return nil, nil
	}
	if err != nil {
		return nil, c.broken("status document cannot be read", err)
	}
	d, err := appstatus.Parse(raw)
	if err != nil {
		return nil, c.broken("status document cannot be read", err, "mv "+c.cfg.File+" "+c.cfg.File+".old", "noren appstatus publish --env "+c.env)
	}
	return d, nil
}

func (c *conn) broken(summary string, err error, try ...string) error {
	code := fault.Invalid
	if errors.Is(err, fs.ErrPermission) {
		code = fault.Denied
	}
	return &fault.Fault{Code: code, Summary: summary, Detail: fmt.Sprintf("%s of %s: %v.", c.cfg.File, c.env, err), Try: try, Err: err}
}

// fresh is the document where there is none: nothing is closed.
func (c *conn) fresh() *appstatus.Document {
	d := &appstatus.Document{Schema: appstatus.Schema, Status: appstatus.Operational, Services: map[string]appstatus.Service{}}
	c.cfg.static().into(d)
	return d
}

// marks are the texts of the marks by service.
func (c *conn) marks() (map[string]string, error) {
	raw, err := os.ReadFile(c.marksFile())
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]string{}, nil
	}
	all := map[string]string{}
	if err == nil {
		err = json.Unmarshal(raw, &all)
	}
	if err != nil {
		return nil, c.broken("marks of the status document cannot be read", err)
	}
	return all, nil
}

func (c *conn) writeMarks(all map[string]string) error {
	if len(all) == 0 {
		if err := os.Remove(c.marksFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return c.unwritten(err)
		}
		return nil
	}
	raw, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("marks of %s: %w", c.cfg.File, err)
	}
	return c.unwritten(c.replace(c.marksFile(), raw, false))
}

// write puts the document in the place of the one before.
func (c *conn) write(d *appstatus.Document) error {
	d.Updated = c.now().UTC().Truncate(time.Second)
	raw, err := d.JSON()
	if err != nil {
		return &fault.Fault{Code: fault.Invalid, Summary: "status document is too large", Detail: fmt.Sprintf("%s of %s: %v.", c.cfg.File, c.env, err), Err: err}
	}
	return c.unwritten(c.replace(c.cfg.File, raw, true))
}

// errUnknown is wrapped where the new file may be in place though an error came.
var errUnknown = errors.New("the disk did not answer")

// unwritten explains why a file could not be written. nil stays nil.
func (c *conn) unwritten(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errUnknown):
		return fmt.Errorf("status document %s: %w: %w", c.cfg.File, action.ErrUnavailable, err)
	}
	dir := filepath.Dir(c.cfg.File)
	f := &fault.Fault{Code: fault.Unavailable, Summary: "status document cannot be written", Err: err,
		Detail: fmt.Sprintf("%s of %s, which apps read, stays as it was: %v.", c.cfg.File, c.env, err), Try: []string{"ls -ld " + dir}}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		f.Try = []string{"df -h " + dir}
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		f.Code = fault.Denied
	}
	return f
}

// replace puts a new file in the place of the old one in a single step, so that
// no app reads half of it, and waits until the disk has it. With keepMode a file
// that is there keeps its permissions; a new one is for everyone to read.
func replace(path string, data []byte, keepMode bool) error {
	mode := marksMode
	if keepMode {
		mode = documentMode
		if info, err := os.Stat(path); err == nil {
			mode = info.Mode().Perm()
		}
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		if gone := os.Remove(f.Name()); !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("%w: %w", errUnknown, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("%w: %w", errUnknown, err)
	}
	return nil
}

// locked calls f while no other noren on this machine reads the document to
// write it. The lock is on the directory: no file is left, and a full disk has
// room for it.
func (c *conn) locked(f func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	dir, err := os.Open(filepath.Dir(c.cfg.File))
	if err != nil {
		return c.broken("the directory of the status document cannot be read", err)
	}
	defer dir.Close()
	switch err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return fmt.Errorf("status document %s: another noren is writing it: %w", c.cfg.File, action.ErrUnavailable)
	case err != nil:
		return c.broken("the directory of the status document cannot be locked", err)
	}
	return f()
}
