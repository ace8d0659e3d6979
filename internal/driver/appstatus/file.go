package appstatus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/appstatus"
	"github.com/noren-dev/noren/internal/fault"
)

// The document is for everyone to read, its marks for nobody else.
const (
	documentMode fs.FileMode = 0o644
	marksMode    fs.FileMode = 0o600
)

// A file is a document on a disk.
type file struct {
	path string
	env  string
	// replace puts a file in the place of another; tests put a full disk here.
	replace func(path string, data []byte, keepMode bool) error

	mu sync.Mutex // held from reading the document to writing it
}

func (f *file) String() string { return f.path }

func (f *file) dir() string { return filepath.Dir(f.path) }

// marksFile is where the document's marks are: beside it, under a name that web
// servers do not show.
func (f *file) marksFile() string {
	return filepath.Join(f.dir(), "."+filepath.Base(f.path)+".marks")
}

func (f *file) requires() []action.Permission { return nil }

func (f *file) read(ctx context.Context) (*appstatus.Document, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	raw, err := appstatus.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(f.dir()); err != nil {
			return nil, f.broken("the directory of the status document is not there", err, "mkdir -p "+f.dir())
		}
		return nil, nil
	}
	if err != nil {
		return nil, f.broken("status document cannot be read", err)
	}
	d, err := appstatus.Parse(raw)
	if err != nil {
		return nil, f.broken("status document cannot be read", err, "mv "+f.path+" "+f.path+".old", "noren appstatus publish --env "+f.env)
	}
	return d, nil
}

func (f *file) broken(summary string, err error, try ...string) error {
	code := fault.Invalid
	if errors.Is(err, fs.ErrPermission) {
		code = fault.Denied
	}
	return &fault.Fault{Code: code, Summary: summary, Detail: fmt.Sprintf("%s of %s: %v.", f.path, f.env, err), Try: try, Err: err}
}

func (f *file) marks(ctx context.Context) (map[string]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(f.marksFile())
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]string{}, nil
	}
	all := map[string]string{}
	if err == nil {
		err = json.Unmarshal(raw, &all)
	}
	if err != nil {
		return nil, f.unreadMarks(err)
	}
	return all, nil
}

// unreadMarks explains that the marks cannot be read. A file that is no marks is
// worth keeping for who wants to know what was there, and must not keep apps out:
// without it, publishing takes back what nobody here holds closed.
func (f *file) unreadMarks(err error) error {
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return f.broken("marks of the status document cannot be read", err, "ls -l "+f.marksFile())
	}
	return &fault.Fault{Code: fault.Invalid, Summary: "marks of the status document cannot be read", Err: err,
		Detail: fmt.Sprintf("%s, which tells who closed what in %s, is cut off or was edited: %v.\nPut it aside: publishing then tells what is held closed from here, and calls open what is not, also what another noren holds closed.", f.marksFile(), f.env, err),
		Try:    []string{"mv " + f.marksFile() + " " + f.marksFile() + ".old", "noren appstatus publish --env " + f.env}}
}

func (f *file) writeMarks(all map[string]string) error {
	if len(all) == 0 {
		if err := os.Remove(f.marksFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return f.unwritten(err)
		}
		return nil
	}
	raw, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("marks of %s: %w", f.path, err)
	}
	return f.unwritten(f.replace(f.marksFile(), raw, false))
}

// update holds a lock on the directory: no file is left by it, and a full disk
// has room for it.
func (f *file) update(ctx context.Context, edit func(*appstatus.Document, map[string]string) (edited, error)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	dir, err := os.Open(f.dir())
	if err != nil {
		return f.broken("the directory of the status document cannot be read", err)
	}
	defer dir.Close()
	switch err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return fmt.Errorf("status document %s: another noren is writing it: %w", f.path, action.ErrUnavailable)
	case err != nil:
		return f.broken("the directory of the status document cannot be locked", err)
	}
	f.sweep()
	d, err := f.read(ctx)
	if err != nil {
		return err
	}
	marks, err := f.marks(ctx)
	if err != nil {
		return err
	}
	e, err := edit(d, marks)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	return f.write(e)
}

// sweep removes the new files that a noren left beside the old ones when it was
// killed. The lock is held, so that nobody is writing one.
func (f *file) sweep() {
	for _, path := range []string{f.path, f.marksFile()} {
		prefix := "." + filepath.Base(path) + "."
		left, _ := filepath.Glob(filepath.Join(f.dir(), prefix+"*")) // a name that is a pattern finds nothing
		for _, old := range left {
			if strings.Trim(strings.TrimPrefix(filepath.Base(old), prefix), "0123456789") == "" {
				_ = os.Remove(old) // it does no harm
			}
		}
	}
}

// write writes the marks before the document or, where they go, after it: where
// the process dies between, there is a mark too many, and never one too few.
func (f *file) write(e edited) error {
	if e.marks != nil && !e.marksLast {
		if err := f.writeMarks(e.marks); err != nil {
			return err
		}
	}
	if e.document != nil {
		raw, err := e.document.JSON()
		if err != nil {
			return tooLarge(f, f.env, err)
		}
		if err := f.unwritten(f.replace(f.path, raw, true)); err != nil {
			return err
		}
	}
	if e.marks != nil && e.marksLast {
		return f.writeMarks(e.marks)
	}
	return nil
}

// errUnknown is wrapped where the new file may be in place though an error came.
var errUnknown = errors.New("the disk did not answer")

// unwritten explains why a file could not be written. nil stays nil.
func (f *file) unwritten(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errUnknown):
		return fmt.Errorf("status document %s: %w: %w", f.path, action.ErrUnavailable, err)
	}
	out := &fault.Fault{Code: fault.Unavailable, Summary: "status document cannot be written", Err: err,
		Detail: fmt.Sprintf("%s of %s, which apps read, stays as it was: %v.", f.path, f.env, err), Try: []string{"ls -ld " + f.dir()}}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		out.Try = []string{"df -h " + f.dir()}
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		out.Code = fault.Denied
	}
	return out
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
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		if gone := os.Remove(tmp.Name()); !errors.Is(gone, fs.ErrNotExist) {
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

// room is how much must be free: the document and its marks, twice, since the new
// is written beside the old, and what the opening will need.
const room = 4 * appstatus.MaxSize

const mayWrite, mayEnter = 2, 1 // W_OK and X_OK of access(2)

// writable asks whether the directory is there, may be written, and has room.
func (f *file) writable(ctx context.Context) (action.Verdict, error) {
	v := action.Verdict{Summary: "the status document cannot be written"}
	if _, err := f.read(ctx); err != nil {
		return action.Verdict{}, err
	}
	if err := syscall.Access(f.dir(), mayWrite|mayEnter); err != nil {
		v.Findings, v.Try = []string{fmt.Sprintf("%s: %v", f.dir(), err)}, []string{"ls -ld " + f.dir()}
		return v, nil
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(f.dir(), &disk); err != nil {
		return action.Verdict{}, f.broken("the disk of the status document cannot be looked at", err)
	}
	if free := uint64(max(disk.Bavail, 0)) * uint64(disk.Bsize); free < room { //nolint:gosec,unconvert // both are of other types on other systems
		v.Findings, v.Try = []string{fmt.Sprintf("%s has %d bytes free, and %d are needed", f.dir(), free, room)}, []string{"df -h " + f.dir()}
		return v, nil
	}
	return action.Verdict{OK: true, Summary: "the status document can be written: " + f.path}, nil
}
