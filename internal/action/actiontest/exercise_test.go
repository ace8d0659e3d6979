package actiontest_test

import (
	"errors"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"testing"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/action/actiontest"
)

// subjectEnv chooses the driver that TestExercise runs; empty is the right one.
const subjectEnv = "NOREN_ACTIONTEST_SUBJECT"

func markedRight(s *shelf, m action.Mark) action.Change { return &right{shelf: s, mark: &m} }

// wrongDrivers are wrong each in its own way, and caught by at least these.
var wrongDrivers = []struct {
	name    string
	harness actiontest.Harness
	caught  []string
}{
	{"undo is a no-op",
		harness(func(s *shelf) action.Change { return &noopUndo{right{shelf: s}} }, nil),
		[]string{"UndoReachesFrom", "ApplyTwiceWritesOnce/Back", "RetryAfterLostAnswer", "UndoRefusesDrift"}},
	{"writes without looking",
		harness(func(s *shelf) action.Change { return &blind{right{shelf: s}} }, nil),
		[]string{"ApplyTwiceWritesOnce", "ApplyRefusesDrift", "UndoRefusesDrift"}},
	{"restores the whole object",
		harness(func(s *shelf) action.Change { return &wholeObject{right: right{shelf: s}} }, nil),
		[]string{"LeavesOtherFieldsAlone/Back"}},
	{"logs and returns nil",
		harness(func(s *shelf) action.Change { return &logsAndGoesOn{right{shelf: s}} }, nil),
		[]string{"RetryAfterLostAnswer", "ApplyRefusesDrift", "UndoRefusesDrift", "CancelledContextWritesNothing"}},
	{"calls its own work drift",
		harness(func(s *shelf) action.Change { return &ownWorkIsDrift{right{shelf: s}} }, nil),
		[]string{"ApplyTwiceWritesOnce", "RetryAfterLostAnswer"}},
	{"ignores the context",
		harness(func(s *shelf) action.Change { return &deaf{right{shelf: s}} }, nil),
		[]string{"CancelledContextWritesNothing"}},
	{"looks at the context once",
		harness(func(s *shelf) action.Change { return &looksOnce{right{shelf: s}} }, nil),
		[]string{"CancelledContextWritesNothing"}},
	{"records again on a retry",
		harness(func(s *shelf) action.Change { return &recordsAgain{right: right{shelf: s}} }, nil),
		[]string{"RetryAfterLostAnswer/Forward"}},
	{"does not name the target",
		harness(func(s *shelf) action.Change { return &dumb{right{shelf: s}} }, nil),
		[]string{"ErrorsSayWhatToDo"}},
	{"hides lost answers",
		harness(func(s *shelf) action.Change { return &hopeless{right{shelf: s}} }, nil),
		[]string{"RetryAfterLostAnswer"}},
	{"proposes something new each time",
		harness(func(s *shelf) action.Change { return &fickle{right: right{shelf: s}} }, nil),
		[]string{"ProposedIsWhatIsRead"}},
	{"writes when it observes",
		harness(func(s *shelf) action.Change { return &nosy{right{shelf: s}} }, nil),
		[]string{"ObserveIsReadOnlyAndStable"}},
	{"marks in a write of its own",
		harness(func(s *shelf) action.Change { return &right{shelf: s} },
			func(s *shelf, m action.Mark) action.Change { return &markLater{right{shelf: s, mark: &m}} }),
		[]string{"MarkLeftAndTaken", "MarkSurvivesLostAnswer"}},
}

// TestExercise runs the suite on the right driver, or in a process of its own
// on the wrong one that TestWrongDriversAreCaught names.
func TestExercise(t *testing.T) {
	name := os.Getenv(subjectEnv)
	if name == "" {
		actiontest.Exercise(t, harness(func(s *shelf) action.Change { return &right{shelf: s} }, markedRight))
		return
	}
	for _, w := range wrongDrivers {
		if w.name == name {
			actiontest.Exercise(t, w.harness)
			return
		}
	}
	t.Fatalf("no wrong driver is called %q", name)
}

func TestWrongDriversAreCaught(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	failed := regexp.MustCompile(`(?m)^\s*--- FAIL: TestExercise/(\S+)`)
	for _, w := range wrongDrivers {
		t.Run(w.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestExercise$", "-test.v")
			cmd.Env = append(os.Environ(), subjectEnv+"="+w.name)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Fatalf("the suite passed it, or broke: %v\n%s", err, out)
			}
			var names []string
			for _, m := range failed.FindAllStringSubmatch(string(out), -1) {
				names = append(names, m[1])
			}
			for _, want := range w.caught {
				if !slices.Contains(names, want) {
					t.Errorf("%s let it pass; failing were %q\n%s", want, names, out)
				}
			}
			t.Logf("caught by %q", names)
		})
	}
}
