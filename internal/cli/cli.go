// Package cli is noren's command line. It is the only package that knows
// cobra. A command parses its arguments into a request, asks package control,
// and hands what it gets to a view.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/charmbracelet/colorprofile"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/cli/view"
	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// World is what the command line gets from outside.
type World struct {
	Args     []string // without the program's name
	Stdin    *os.File
	Stdout   io.Writer
	Stderr   io.Writer
	Registry *driver.Registry
	Version  string
	Now      func() time.Time
	// Hook and Patience are passed to package control, for tests.
	Hook     func(point string)
	Patience time.Duration
	// ReadPatience is too; Slow is how long a wait goes unsaid. Zero: as for
	// people.
	ReadPatience, Slow time.Duration
	// HeardPatience is passed to package control, for tests.
	HeardPatience time.Duration
}

// Main runs one command and returns its exit code.
func Main(ctx context.Context, w World) int {
	a := &app{World: w}
	root := a.root()
	root.SetArgs(w.Args)
	root.SetIn(w.Stdin)
	root.SetOut(w.Stdout)
	root.SetErr(w.Stderr)
	asked, err := root.ExecuteContextC(ctx)
	if err == nil {
		return fault.ExitDone
	}
	var code exitCode
	if errors.As(err, &code) {
		return int(code)
	}
	if a.view == nil {
		a.view = a.human()
	}
	if ctx.Err() != nil && (errors.Is(err, context.Cause(ctx)) || errors.Is(err, context.Canceled)) {
		err = &fault.Fault{Code: fault.Interrupted, Summary: "interrupted",
			Detail: "No run of this command was under way, so that nothing is half done by it.", Try: []string{"noren status"}}
	}
	err = usage(asked, err)
	a.view.Fault(err)
	return fault.ExitOf(err)
}

// exitCode ends a command that has shown what there is to show.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// app is one run of the program: the world, the global flags, and what the
// commands share.
type app struct {
	World
	file   string
	output string
	view   view.View
	// waits is set where a run that fails is to wait for a person although the
	// terminal is gone: --on-failure ask says so.
	waits bool
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "noren",
		Short:         "Close a service for planned work, and open it again exactly as it was",
		Long:          longRoot,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       a.Version,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return a.chooseView()
		},
	}
	root.SetVersionTemplate("noren {{.Version}}\n")
	root.SetFlagErrorFunc(wrongFlag)
	flags := root.PersistentFlags()
	flags.StringVarP(&a.file, "file", "f", "", "the catalog (default: noren.yaml here or above, or $NOREN_CONFIG)")
	flags.StringVarP(&a.output, "output", "o", "text", "text for people, json for programs")
	root.AddGroup(&cobra.Group{ID: "work", Title: "Close and open:"}, &cobra.Group{ID: "see", Title: "See before you do:"},
		&cobra.Group{ID: "runs", Title: "Runs:"}, &cobra.Group{ID: "record", Title: "Look back:"}, &cobra.Group{ID: "setup", Title: "Set up:"})
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("work", a.closeCommand(), a.extendCommand(), a.openCommand(), a.statusCommand(), a.keepCommand(), a.leftoversCommand(), a.recoverCommand())
	add("see", a.planCommand(), a.whoSeesCommand(), a.rehearseCommand(), a.pageCommand(), a.appStatusCommand())
	add("runs", a.watchCommand(), a.resumeCommand(), a.signalCommand("retry"), a.signalCommand("skip"),
		a.signalCommand("undo"), a.signalCommand("stop"))
	add("record", a.historyCommand(), a.reportCommand(), a.auditCommand())
	add("setup", a.initCommand(), a.checkCommand(), a.iamCommand(), a.gateCommand(), a.actionsCommand(), a.schemaCommand(), a.versionCommand())
	root.SetHelpCommandGroupID("setup")
	root.SetCompletionCommandGroupID("setup")
	root.AddCommand(a.docsCommand())
	for _, c := range root.Commands() {
		if c.GroupID == "runs" {
			a.completeRuns(c)
		}
	}
	completeWords(root)
	return root
}

const longRoot = `noren closes a service for planned work and opens it again exactly as it was.

Exit codes: 0 done, 1 error, 2 wrong usage or input, 10 a check failed and
everything was put back, 11 someone else changed a target, 12 another run holds
the entrance, 20 stranded: a person must act, 130 interrupted.`

func (a *app) chooseView() error {
	switch a.output {
	case "text":
		a.view = a.human()
	case "json":
		a.view = view.JSON{Out: a.Stdout, Err: a.Stderr}
	default:
		return &fault.Fault{Code: fault.Invalid, Summary: "unknown output format",
			Detail: fmt.Sprintf("--output is %q; it can be text or json.", a.output)}
	}
	return nil
}

// human writes through colorprofile, which takes colour out where there is no
// terminal, or NO_COLOR or TERM=dumb ask for it.
func (a *app) human() view.View {
	return view.Human{Out: colorprofile.NewWriter(a.Stdout, os.Environ()), Err: colorprofile.NewWriter(a.Stderr, os.Environ()), Columns: columns(a.Stderr)}
}

// usage makes a fault of cobra's errors about flags and arguments of c.
func usage(c *cobra.Command, err error) error {
	var f *fault.Fault
	if errors.As(err, &f) || errors.Is(err, context.Canceled) {
		return err
	}
	for _, prefix := range []string{"unknown command", "unknown flag", "unknown shorthand", "invalid argument", "flag needs", "accepts ", "requires ", "required flag", "if any flags"} {
		if strings.HasPrefix(err.Error(), prefix) {
			return &fault.Fault{Code: fault.Invalid, Summary: "wrong usage", Detail: sentence(err.Error()), Try: []string{c.CommandPath() + " --help"}}
		}
	}
	return err
}

// wrongFlag makes a fault of pflag's errors: it knows the command, and so which
// option was meant and where to read of it.
func wrongFlag(c *cobra.Command, err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	f := &fault.Fault{Code: fault.Invalid, Summary: "wrong usage", Detail: sentence(err.Error()), Try: []string{c.CommandPath() + " --help"}}
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		var names []string
		c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if near := fault.Nearest(unknown.GetSpecifiedName(), names); near != "" {
			f.Detail += " Did you mean --" + near + "?"
		}
	}
	return f
}

// sentence makes cobra's words one: its suggestion of a command comes in lines
// of its own.
func sentence(s string) string {
	s, near, suggested := strings.Cut(strings.TrimSpace(s), "\n\nDid you mean this?\n")
	s = strings.ToUpper(s[:1]) + s[1:] + "."
	if suggested {
		s += " Did you mean " + strings.Join(strings.Fields(near), ", ") + "?"
	}
	return s
}

// catalog reads the file that the flags, the environment or the directory name.
func (a *app) catalog() (*catalog.Catalog, error) {
	path := a.file
	if path == "" {
		var err error
		if path, err = catalog.Find("."); err != nil {
			return nil, err
		}
	}
	return catalog.Load(path, control.Known(a.Registry))
}

// control opens the state directory; cat is nil for requests that need none.
func (a *app) control(ctx context.Context, cat *catalog.Catalog) (*control.Control, error) {
	dir, err := stateDir()
	if err != nil {
		return nil, err
	}
	return control.Open(ctx, control.Options{Catalog: cat, Registry: a.Registry, StateDir: dir, Now: a.Now, Actor: actor(), Origin: a.origin(dir), Hook: a.Hook,
		Patience: a.Patience, ReadPatience: a.ReadPatience, HeardPatience: a.HeardPatience, Reading: a.waitingLine().reading})
}

// with runs f with a control that is closed afterwards.
func (a *app) with(ctx context.Context, cat *catalog.Catalog, f func(*control.Control) error) error {
	c, err := a.control(ctx, cat)
	if err != nil {
		return err
	}
	return errors.Join(f(c), c.Close())
}

// stateDir is $NOREN_STATE_DIR, or noren's place among the user's state.
// Source: https://specifications.freedesktop.org/basedir-spec/latest/
func stateDir() (string, error) {
	if dir := os.Getenv("NOREN_STATE_DIR"); dir != "" {
		return dir, nil
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "noren"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", &fault.Fault{Code: fault.Invalid, Summary: "no state directory", Detail: "There is no home directory to keep receipts in: " + err.Error() + ".",
			Try: []string{"export NOREN_STATE_DIR=/a/directory/you/can/write"}}
	}
	return filepath.Join(home, ".local", "state", "noren"), nil
}

func actor() string {
	name := os.Getenv("USER")
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		return name
	}
	return name + "@" + host
}
