package main

import (
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

// TestFullDiskOfTheStatusDocument fills the disk on which the document is, and
// makes it read-only: nothing is closed then; what is closed opens all the same,
// with words and an exit code; and once there is room, publish mends it.
func TestFullDiskOfTheStatusDocument(t *testing.T) {
	if os.Getenv(ownMounts) == "" {
		withOwnMounts(t)
		return
	}
	r := newRig(t, false)
	public := filepath.Join(r.dir, "public")
	r.must(os.Mkdir(public, 0o700))
	r.must(syscall.Mount("noren", public, "tmpfs", 0, "size=4m"))
	t.Cleanup(func() { r.must(syscall.Unmount(public, 0)) })
	catalog, err := os.ReadFile(filepath.Join(r.dir, "noren.yaml"))
	r.must(err)
	r.write("noren.yaml", strings.Replace(string(catalog), "    gate:", "    appstatus: {file: public/app-status.json, services: {shop: {name: {en: Shop}}}}\n    gate:", 1))

	for name, disk := range map[string]struct{ damage, mend func() }{
		"full":      {func() { fill(t, public) }, func() { r.must(os.Remove(filepath.Join(public, "ballast"))) }},
		"read-only": {func() { r.remount(public, syscall.MS_RDONLY) }, func() { r.remount(public, 0) }},
	} {
		disk.damage()
		before := names(t, public)
		out := r.ends(fault.ExitCheckFailed, "close", "--for", "30m")
		if !strings.Contains(out, "the status document cannot be written") || !strings.Contains(out, "nothing was changed") {
			t.Errorf("%s: closing says\n%s", name, out)
		}
		r.wantStatus("No run of this state directory holds anything closed", false)
		if after := names(t, public); after != before {
			t.Errorf("%s: left behind %s, and before there was %s", name, after, before)
		}
		disk.mend()

		r.ends(fault.ExitDone, "close", "--for", "30m")
		r.document(public, "maintenance")
		disk.damage()
		out = r.ends(fault.ExitStranded, "extend", "--for", "2h")
		if !strings.Contains(out, "Extended: shop in prod") || !strings.Contains(out, "apps were not told") {
			t.Errorf("%s: extending says\n%s", name, out)
		}
		r.wantStatus("extended from", true)
		out = r.ends(fault.ExitStranded, "open")
		if !strings.Contains(out, "Open: shop in prod") || !strings.Contains(out, "apps were not told") || !strings.Contains(out, "noren appstatus publish --env prod") {
			t.Errorf("%s: opening says\n%s", name, out)
		}
		r.wantStatus("No run of this state directory holds anything closed", false)
		r.document(public, "maintenance") // whole, and as it was
		disk.mend()
		if out := r.ends(fault.ExitDone, "appstatus", "publish"); !strings.Contains(out, "tell apps that shop is open") {
			t.Errorf("%s: publishing says\n%s", name, out)
		}
		r.document(public, "operational")
		r.ends(fault.ExitDone, "leftovers")
	}
}

// TestDiskFillsWhileTheStatusDocumentIsWritten closes on disks that pass the check
// and then have no room for the mark, or for the document after it.
func TestDiskFillsWhileTheStatusDocumentIsWritten(t *testing.T) {
	if os.Getenv(ownMounts) == "" {
		withOwnMounts(t)
		return
	}
	r := newRig(t, false)
	public := filepath.Join(r.dir, "public")
	r.must(os.Mkdir(public, 0o700))
	catalog, err := os.ReadFile(filepath.Join(r.dir, "noren.yaml"))
	r.must(err)
	r.write("noren.yaml", strings.Replace(string(catalog), "    gate:", "    appstatus: {file: public/app-status.json, services: {shop: {name: {en: Shop}}}}\n    gate:", 1))
	// A tmpfs of a few inodes has bytes to spare and no room for a file: one is
	// its root's, with two the mark fits and no more.
	refused := 0
	for inodes := 1; inodes < 6; inodes++ {
		r.must(syscall.Mount("noren", public, "tmpfs", 0, fmt.Sprintf("size=4m,nr_inodes=%d", inodes)))
		cmd := r.noren("close", "--for", "30m")
		out, err := cmd.CombinedOutput()
		if err == nil {
			r.wantStatus("closed since", true)
			r.document(public, "maintenance")
		} else {
			refused++
			if code := cmd.ProcessState.ExitCode(); code != fault.ExitError || !strings.Contains(string(out), "status document cannot be written") || strings.Contains(string(out), "bug in noren") {
				t.Errorf("%d inodes: exit code %d\n%s", inodes, code, out)
			}
			r.wantStatus("No run of this state directory holds anything closed", false)
			if left := names(t, public); strings.Contains(left, ".json.") {
				t.Errorf("%d inodes: left behind %s", inodes, left)
			}
		}
		r.must(syscall.Mount("noren", public, "tmpfs", syscall.MS_REMOUNT, "size=4m,nr_inodes=100"))
		if err == nil {
			r.ends(fault.ExitDone, "open")
			r.document(public, "operational")
		}
		r.ends(fault.ExitDone, "leftovers")
		r.must(syscall.Unmount(public, 0))
	}
	if refused != 2 {
		t.Errorf("%d of 5 disks were too small", refused)
	}
}

// ends runs a command, which must end with the code, and returns what it said.
func (r *rig) ends(code int, args ...string) string {
	r.t.Helper()
	cmd := r.noren(args...)
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		r.t.Fatalf("noren %s: exit code %d, want %d\n%s", strings.Join(args, " "), got, code, out)
	}
	return string(out)
}

// document fails unless the document is whole and has that status.
func (r *rig) document(dir, status string) {
	r.t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "app-status.json"))
	r.must(err)
	if !strings.HasSuffix(string(raw), "}\n") || !strings.Contains(string(raw), "\n  \"status\": \""+status+"\"") {
		r.t.Errorf("the document is not %s:\n%s", status, raw)
	}
}

func (r *rig) remount(dir string, flags uintptr) {
	r.t.Helper()
	r.must(syscall.Mount("noren", dir, "tmpfs", syscall.MS_REMOUNT|flags, "size=4m"))
}

// fill writes a file until the disk is full.
func fill(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 4096)
	for range 1 << 20 {
		if _, err := f.Write(block); err != nil {
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatal("the disk does not fill")
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}
