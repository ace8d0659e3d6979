package cli_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	_ "modernc.org/sqlite" // the driver of state files

	"github.com/noren-dev/noren/internal/cli"
	"github.com/noren-dev/noren/internal/driver/all"
	"github.com/noren-dev/noren/internal/testaws/cdn"
	"github.com/noren-dev/noren/internal/testaws/cloudwatch"
	"github.com/noren-dev/noren/internal/testchannels"
	"github.com/noren-dev/noren/internal/testmonitors"
)

// What scripts may tell the noren they run.
const (
	// nowVariable is an RFC 3339 time at which the process believes it begins.
	nowVariable = "NOREN_TEST_NOW"
	// killVariable is where the process kills itself: at the nth point that the
	// engine records, or at the first whose name begins so.
	killVariable = "NOREN_TEST_KILL_AT"
	// pidVariable is a file in which the process leaves its id.
	pidVariable = "NOREN_TEST_PID"
	// passVariable is a point at which, for the process, an hour passes.
	passVariable = "NOREN_TEST_PASS_AT"
	// heardVariable is how long channels have at the end of a run.
	heardVariable = "NOREN_TEST_HEARD"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"noren": noren})
}

// noren is cmd/noren, but for the clock and the hook.
func noren() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	now, pass := passing(clock(os.Getenv(nowVariable)), os.Getenv(passVariable))
	heard, _ := time.ParseDuration(os.Getenv(heardVariable)) // zero: as for people
	kill := killer(os.Getenv(killVariable))
	if file := os.Getenv(pidVariable); file != "" {
		if err := os.WriteFile(file, []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
			panic(err)
		}
	}
	code := cli.Main(ctx, cli.World{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Registry: all.Registry(), Version: "v0.0.0-test", Now: now, HeardPatience: heard, Hook: func(point string) {
			pass(point)
			kill(point)
		},
	})
	stop()
	os.Exit(code)
}

func clock(from string) func() time.Time {
	begin, err := time.Parse(time.RFC3339, from)
	if err != nil {
		return time.Now
	}
	started := time.Now()
	return func() time.Time { return begin.Add(time.Since(started)) }
}

// passing makes a clock that is an hour ahead once the hook has come to a point
// whose name begins as given.
func passing(now func() time.Time, at string) (ahead func() time.Time, hook func(string)) {
	var passed atomic.Bool
	return func() time.Time {
			if passed.Load() {
				return now().Add(time.Hour)
			}
			return now()
		}, func(point string) {
			if at != "" && strings.HasPrefix(point, at) {
				passed.Store(true)
			}
		}
}

// TestScript runs every script of testdata/script as a user would type it.
func TestScript(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		Setup:               setup,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("NOREN_UPDATE_SCRIPTS") != "",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"app":        cmdApp,
			"front":      cmdFront,
			"freshen":    cmdFreshen,
			"sick":       func(ts *testscript.TestScript, neg bool, args []string) { health(ts, neg, args, false) },
			"well":       func(ts *testscript.TestScript, neg bool, args []string) { health(ts, neg, args, true) },
			"start":      cmdStart,
			"end":        cmdEnd,
			"await":      cmdAwait,
			"subst":      cmdSubst,
			"http":       cmdHTTP,
			"meddle":     cmdMeddle,
			"killeach":   cmdKillEach,
			"killat":     cmdKillAt,
			"killwrites": cmdKillWrites,
			"colleagues": cmdColleagues,
			"standing":   cmdStanding,
			"grab":       cmdGrab,
			"newerstate": cmdNewerState,
			"sqlite":     cmdSQLite,

			"alertmanager": cmdAlertmanager,
			"silence":      cmdSilence,
			"silences":     cmdSilences,
			"alert":        cmdAlert,
			"down":         cmdDown,
			"later":        cmdLater,
			"vendor":       cmdVendor,
			"throttle":     cmdThrottle,
			"cloudwatch":   cmdCloudWatch,
			"ring":         cmdRing,
			"muterule":     cmdMuteRule,
			"muterules":    cmdMuteRules,
			"hears":        cmdHears,
			"deaf":         cmdDeaf,
			"forget":       cmdForget,
			"heardall":     cmdHeardAll,
			"asked":        cmdAsked,
			"cdn":          cmdCDN,

			"moto":     cmdMoto,
			"balancer": cmdBalancer,
			"ecs":      cmdECS,
		},
	})
}

func setup(e *testscript.Env) error {
	home := filepath.Join(e.WorkDir, "home")
	e.Setenv("HOME", home)
	e.Setenv("NOREN_STATE_DIR", filepath.Join(e.WorkDir, "state"))
	e.Setenv("NO_COLOR", "1")
	e.Setenv("TZ", "Asia/Tokyo")
	e.Setenv("KUBECONFIG", filepath.Join(e.WorkDir, "no-kubeconfig"))
	e.Values[worldKey{}] = &scriptWorld{apps: map[string]*app{}, processes: map[string]*process{}, fronts: map[string]*front{}, stops: map[string]func() error{},
		vendors: map[string]*testmonitors.Fake{}, ledgers: map[string]*testchannels.Ledger{}, alarms: map[string]*cloudwatch.Server{}, standers: map[string]stander{}, cdns: map[string]*cdn.Server{}}
	return os.Mkdir(home, 0o700)
}

type worldKey struct{}

func world(ts *testscript.TestScript) *scriptWorld { return ts.Value(worldKey{}).(*scriptWorld) }

func usage(ts *testscript.TestScript, neg, ok bool, text string) {
	if neg || !ok {
		ts.Fatalf("usage: %s", text)
	}
}

// cmdSubst writes the script's variables into files: ${NAME}.
func cmdSubst(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) > 0, "subst file...")
	for _, name := range args {
		text := os.Expand(ts.ReadFile(name), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o644))
	}
}

// cmdGrab sets a variable to the first word after a text in a file.
func cmdGrab(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 3, "grab VARIABLE file text")
	_, after, ok := strings.Cut(ts.ReadFile(args[1]), args[2])
	words := strings.FieldsFunc(after, func(r rune) bool { return strings.ContainsRune(" \n\t'\",}", r) })
	if !ok || len(words) == 0 {
		ts.Fatalf("grab: there is no %q with a word after it in %s", args[2], args[1])
	}
	ts.Setenv(args[0], words[0])
}

// cmdNewerState makes a state file look as if a newer noren had written it.
func cmdNewerState(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "newerstate file")
	db, err := sql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	_, err = db.Exec("PRAGMA user_version = 1000000")
	ts.Check(errors.Join(err, db.Close()))
}
