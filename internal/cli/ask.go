package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"charm.land/huh/v2"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/cli/live"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// interactive tells whether a person sits at both ends: then, and only then,
// noren asks.
func (a *app) interactive() bool {
	return a.output == "text" && a.Stdin != nil && term.IsTerminal(int(a.Stdin.Fd())) && isTerminal(a.Stdout)
}

// The least room in which noren draws. A serial console, expect and some CI say
// that they have 0 columns and 0 lines: they get plain lines.
const (
	leastColumns = 20
	leastLines   = 6
)

// roomy tells whether the terminal has room to draw in.
func (a *app) roomy() bool { return columns(a.Stdout) > 0 }

// columns is the width of a terminal with room to draw in, else 0.
func columns(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	columns, lines, err := term.GetSize(int(f.Fd()))
	if err != nil || columns < leastColumns || lines < leastLines {
		return 0
	}
	return columns
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// chooseEnvironment is the environment named, or the one chosen from a menu.
func (a *app) chooseEnvironment(ctx context.Context, cat *catalog.Catalog, named string) (string, error) {
	var names []string
	for _, e := range cat.Environments {
		names = append(names, e.Name)
	}
	switch {
	case named != "":
		_, err := cat.Environment(named)
		return named, err
	case len(names) == 1:
		return names[0], nil
	case !a.interactive():
		return "", invalid("no environment", "There is nobody to ask which environment is meant. Say it with --env: "+strings.Join(names, ", ")+".")
	}
	options := make([]huh.Option[string], len(cat.Environments))
	for i, e := range cat.Environments {
		label := e.Name
		if e.Protected {
			label += "  (protected)"
		}
		options[i] = huh.NewOption(label, e.Name)
	}
	var chosen string
	err := a.form(ctx, huh.NewSelect[string]().Title("Which environment?").Options(options...).Value(&chosen))
	return chosen, err
}

// confirm asks before anything is written. A protected environment is named
// in full, by hand or by --confirm. It returns how the person said yes.
func (a *app) confirm(ctx context.Context, p *plan.Plan, flags confirmFlags) (run.How, error) {
	env := p.Environment.Name
	what := fmt.Sprintf("%s %s in %s", p.Kind, serviceList(p), env)
	if flags.confirm != "" && flags.confirm != env {
		return "", invalid("wrong confirmation", fmt.Sprintf("--confirm says %q and the environment is %q. Nothing was touched.", flags.confirm, env))
	}
	switch {
	case flags.confirm == env:
		return run.Flagged, nil
	case p.Environment.Protected && !a.interactive():
		return "", &fault.Fault{Code: fault.Invalid, Summary: "confirmation needed", Detail: fmt.Sprintf("%s is protected and there is nobody to ask. Nothing was touched.", env),
			Try: []string{"--confirm " + env}}
	case p.Environment.Protected:
		return run.Typed, a.confirmByName(ctx, what, env)
	case flags.yes:
		return run.YesFlag, nil
	case !a.interactive():
		return run.NotAsked, nil
	}
	yes := false
	if err := a.form(ctx, huh.NewConfirm().Title(strings.ToUpper(what[:1])+what[1:]+"?").Affirmative("Yes").Negative("No").Value(&yes)); err != nil {
		return "", err
	}
	if !yes {
		return "", declined()
	}
	return run.Answered, nil
}

// warn says what a plan warns of to whoever is not asked, and so is not shown it.
func (a *app) warn(p *plan.Plan) {
	for _, n := range p.Notes {
		if n.Warn {
			a.view.Say("warning: %s", n.Text)
		}
	}
}

func (a *app) confirmByName(ctx context.Context, what, env string) error {
	var typed string
	a.view.Say("\n  %s IS A PROTECTED ENVIRONMENT. You are about to %s.\n", strings.ToUpper(env), what)
	if err := a.form(ctx, huh.NewInput().Title("Type the environment's name to go ahead:").Value(&typed)); err != nil {
		return err
	}
	if strings.TrimSpace(typed) != env {
		return declined()
	}
	return nil
}

func declined() error {
	return &fault.Fault{Code: fault.Interrupted, Summary: "not confirmed", Detail: "Nothing was touched."}
}

// form asks one question: drawn where there is room, else as a line.
func (a *app) form(ctx context.Context, field huh.Field) error {
	form := huh.NewForm(huh.NewGroup(field)).WithInput(a.Stdin).WithOutput(a.Stdout).WithShowHelp(false)
	if !a.roomy() {
		return atOnce(ctx, form.WithAccessible(true).Run)
	}
	err := form.WithProgramOptions(live.Shrinkable()).RunWithContext(ctx)
	switch {
	case errors.Is(err, huh.ErrUserAborted):
		return declined()
	case ctx.Err() != nil:
		return ctx.Err() // huh says that its time is over
	}
	return err
}

// atOnce runs f, which does not heed ctx, and does not wait for it when ctx is
// done: f reads a line that nobody will type.
func atOnce(ctx context.Context, f func() error) error {
	answered := make(chan error, 1)
	go func() { answered <- f() }()
	select {
	case err := <-answered:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func serviceList(p *plan.Plan) string {
	names := make([]string, len(p.Services))
	for i, s := range p.Services {
		names[i] = s.Name
	}
	return strings.Join(names, ", ")
}

// completeServices completes service names from the catalog.
func (a *app) completeServices(env *string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		cat, err := a.catalog()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var names []string
		for _, e := range cat.Environments {
			if *env == "" || *env == e.Name {
				names = append(names, cat.ServiceNames(e.Name)...)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeEnvironments completes the values of --env.
func (a *app) completeEnvironments(c *cobra.Command) {
	complete := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		cat, err := a.catalog()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var names []string
		for _, e := range cat.Environments {
			names = append(names, e.Name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	if err := c.RegisterFlagCompletionFunc("env", complete); err != nil {
		panic(err) // the flag is defined a few lines above every call
	}
}
