package main

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/test/unprivileged"
)

// A home that takes no state: said before anything is touched.
func TestReadOnlyHome(t *testing.T) {
	t.Parallel()
	if unprivileged.Again(t) {
		return // root may write everywhere
	}
	home := t.TempDir()
	if err := os.Chmod(home, 0o500); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "status")
	cmd.Env = []string{asNoren + "=1", "HOME=" + home}
	out, err := cmd.CombinedOutput()
	exit := (*exec.ExitError)(nil)
	if !errors.As(err, &exit) || exit.ExitCode() != fault.ExitError {
		t.Errorf("%v, want exit code %d", err, fault.ExitError)
	}
	for _, want := range []string{"state directory cannot be used", home, "permission denied", "Nothing was touched", "NOREN_STATE_DIR"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
}
