package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// ErrHeld means that another process holds the lock.
var ErrHeld = errors.New("another process holds the lock")

// A FileLock is held by an open file: the kernel lets go of it when the
// process dies, however it dies.
type FileLock struct{ f *os.File }

// TryLock takes the lock of the file at path, which it makes if need be, or
// returns ErrHeld.
func TryLock(path string) (*FileLock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := flock(f, syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &FileLock{f}, nil
}

// Held tells whether some process holds the lock of the file at path. For a
// moment nobody else can take it: whoever wants it tries more than once.
func Held(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("lock: %w", err)
	}
	err = flock(f, syscall.LOCK_SH)
	if errors.Is(err, ErrHeld) {
		return true, f.Close()
	}
	return false, errors.Join(err, f.Close())
}

func flock(f *os.File, how int) error {
	err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrHeld
	}
	return err
}

// Note writes into the locked file what others may want to know of its holder.
func (l *FileLock) Note(text []byte) error {
	if err := l.f.Truncate(0); err != nil {
		return err
	}
	_, err := l.f.WriteAt(text, 0)
	return err
}

// Release gives the lock up.
func (l *FileLock) Release() error { return l.f.Close() }
