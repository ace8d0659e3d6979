// Package unprivileged lets tests of what permissions forbid run as root too,
// whom permissions do not stop: as in most containers.
package unprivileged

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// nobody owns nothing, on every Unix.
const nobody = 65534

// Again runs the calling test once more as nobody if this process is root's, and
// tells whether it did: then the caller has nothing left to do. The test needs
// no files of its package.
func Again(t *testing.T) bool {
	t.Helper()
	if os.Geteuid() != 0 {
		return false
	}
	// By its open file: nobody may be let into the directory where it lies.
	self := "/proc/self/exe"
	if _, err := os.Stat(self); err != nil {
		self = os.Args[0]
	}
	names := strings.Split(t.Name(), "/")
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+strings.Join(names, "$/^")+"$", "-test.v")
	cmd.Dir, cmd.Env = "/", []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=/tmp", "HOME=/nowhere"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name()+" ")) {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
	return true
}
