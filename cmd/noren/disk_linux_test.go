package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/noren-dev/noren/internal/fault"
)

// ownMounts says that the test runs where its mounts are its own.
const ownMounts = "NOREN_TEST_OWN_MOUNTS"

// TestFullDisk closes on disks of a few sizes, each too small for one thing or
// another: the file, the engine's tables, the receipts, the events. Whatever
// does not fit is a fault that says so, never a bug and never half a record:
// with more space the same command carries on.
func TestFullDisk(t *testing.T) {
	if os.Getenv(ownMounts) == "" {
		withOwnMounts(t)
		return
	}
	r := newRig(t, false)
	state := filepath.Join(r.dir, "state")
	r.must(os.Mkdir(state, 0o700))
	full, engine, fits := 0, 0, false
	for kib := 32; !fits; kib += 64 {
		r.must(syscall.Mount("noren", state, "tmpfs", 0, fmt.Sprintf("size=%dk", kib)))
		out, err := r.noren("close").CombinedOutput()
		exit := (*exec.ExitError)(nil)
		switch {
		case err == nil:
			fits = true
		case !errors.As(err, &exit):
			t.Fatal(err)
		default:
			full++
			if bytes.Contains(out, []byte("error: state file cannot be used\n")) {
				engine++ // it could not make its tables
			}
			if exit.ExitCode() != fault.ExitError || !bytes.Contains(out, []byte("df -h")) || bytes.Contains(out, []byte("bug in noren")) {
				t.Errorf("%d KiB: exit code %d:\n%s", kib, exit.ExitCode(), out)
			}
			if closed := strings.Contains(r.get(), "503"); closed && !bytes.Contains(out, []byte("changed now: gate:prod/door/shop")) {
				t.Errorf("%d KiB: the door is closed, and noren does not say so:\n%s", kib, out)
			}
		}
		r.must(syscall.Mount("noren", state, "tmpfs", syscall.MS_REMOUNT, "size=64m"))
		if got := r.says("close"); !strings.Contains(got, "Closed") {
			t.Errorf("%d KiB, and then more: %s", kib, got)
		}
		r.wantStatus("closed since", true)
		if got := r.says("open"); !strings.Contains(got, "Open: shop") {
			t.Errorf("%d KiB, and then more: %s", kib, got)
		}
		r.wantStatus("No run of this state directory holds anything closed", false)
		r.must(syscall.Unmount(state, 0))
	}
	if full < 5 || engine == 0 {
		t.Errorf("%d disks were too small, %d of them for the engine to start", full, engine)
	}
}

// withOwnMounts runs the test once more, in a process whose mounts nobody else
// sees: as root, or as one who is root in a user namespace.
func withOwnMounts(t *testing.T) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), ownMounts+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}}
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EINVAL) {
		t.Skipf("this system lets nobody have mounts of their own: %v", err)
	}
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("%v\n%s", err, out)
	}
}
