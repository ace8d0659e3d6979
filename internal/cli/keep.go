package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/cli/view"
	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/keeper"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

const longKeep = `Mind the closings of the state directory until it is stopped: remind as the end
nears and while it is late, open at the end what was closed with --auto-open and
is ready, and carry on runs that were cut off.

It opens onto no sick application, chooses no side where someone else changed a
target, and answers no question that a run asks a person. One keeper works on a
state directory. The section keep of noren.yaml says when to remind, and which
program to tell.`

func (a *app) keepCommand() *cobra.Command {
	var once, dryRun bool
	c := &cobra.Command{
		Use:   "keep",
		Short: "Mind what is closed: remind people, and open at the end",
		Long:  longKeep,
		Example: `  noren keep
  * * * * * noren keep --once     # from cron`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := a.keepSettings()
			if err != nil {
				return err
			}
			return a.with(cmd.Context(), nil, func(c *control.Control) error {
				if dryRun {
					return a.foresee(cmd.Context(), c, settings)
				}
				return a.keep(cmd.Context(), c, settings, once)
			})
		},
	}
	c.Flags().BoolVar(&once, "once", false, "do what is due now, and end")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "say what it would do and when, and do nothing")
	a.addWait(c)
	c.MarkFlagsMutuallyExclusive("once", "dry-run")
	return c
}

// keepSettings are those of the catalog. Without one, as on a machine that only
// keeps, they are the usual.
func (a *app) keepSettings() (catalog.Keep, error) {
	cat, err := a.catalog()
	switch {
	case err == nil:
		return cat.Keep, nil
	case a.file == "" && os.Getenv(catalog.PathVariable) == "" && errors.Is(err, &fault.Fault{Code: fault.NotFound}):
		return catalog.DefaultKeep(), nil
	}
	return catalog.Keep{}, err
}

func (a *app) keeper(c *control.Control, s catalog.Keep) *keeper.Keeper {
	o := keeper.Options{Control: c, Now: a.Now, Settings: keeper.Settings{Remind: s.Remind, Overdue: s.Overdue},
		Channels: []keeper.Channel{screen{a.view}}, Complain: a.view.Say}
	if len(s.Command) > 0 {
		o.Channels = append(o.Channels, keeper.Command{Words: s.Command, Timeout: s.Timeout})
	}
	return keeper.New(o)
}

// screen is the command's own output as a channel.
type screen struct{ view view.View }

func (screen) Name() string { return "the screen" }

func (s screen) Send(_ context.Context, r keeper.Reminder) error {
	s.view.Reminder(r)
	return nil
}

func (a *app) foresee(ctx context.Context, c *control.Control, s catalog.Keep) error {
	lines, err := a.keeper(c, s).Foresee(ctx)
	if err != nil {
		return err
	}
	if len(lines) == 0 {
		a.view.Result("Nothing is closed, and no run was cut off: there is nothing to do.", map[string]any{"would": []string{}})
	}
	for _, l := range lines {
		a.view.Result(l, map[string]any{"would": l})
	}
	return nil
}

func (a *app) keep(ctx context.Context, c *control.Control, s catalog.Keep, once bool) (err error) {
	leave, err := c.Keep(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, leave()) }()
	k := a.keeper(c, s)
	if once {
		return k.Once(ctx)
	}
	a.view.Result("Keeping "+c.StateDir+". Stop it with Ctrl-C; what is closed stays closed.", map[string]any{"keeps": c.StateDir, "pid": os.Getpid()})
	return k.Run(ctx, nil)
}

// stay keeps, as noren keep does, until what a run closed is open.
func (a *app) stay(ctx context.Context, c *control.Control, id string) (err error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	settings, err := a.keepSettings()
	if err != nil {
		return err
	}
	leave, err := c.Keep(ctx)
	if errors.Is(err, &fault.Fault{Code: fault.Locked}) {
		a.view.Say("A keeper is at work already: there is no need to stay.")
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, leave()) }()
	a.view.Say("Staying as the keeper until it is open. With Ctrl-C it stays closed, and nothing opens it.")
	err = a.keeper(c, settings).Run(ctx, func(closed []control.ClosedService) bool {
		return !slices.ContainsFunc(closed, func(s control.ClosedService) bool { return s.Closing.ID == id })
	})
	if err != nil || ctx.Err() == nil {
		return err
	}
	return &fault.Fault{Code: fault.Interrupted, Summary: "stopped keeping", Detail: fmt.Sprintf("What run %s closed is still closed.", id),
		Try: []string{"noren status", "noren keep"}}
}

// closed ends a command that closed: somebody must be there to open what is to
// open by itself.
func (a *app) closed(ctx context.Context, c *control.Control, id string, stay bool) error {
	r, err := c.Run(ctx, id)
	if err != nil || r.Status != run.Done || r.Plan.Kind != plan.Close || !r.Plan.AutoOpen {
		return err
	}
	if stay {
		return a.stay(ctx, c, id)
	}
	k, err := c.Keeper(ctx)
	if err == nil && k == nil {
		a.view.Say("warning: " + control.NoKeeper)
	}
	return err
}
