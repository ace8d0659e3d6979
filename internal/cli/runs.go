package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/noren-dev/noren/internal/cli/view"
	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/run"
)

func (a *app) statusCommand() *cobra.Command {
	var (
		pass bool
		env  string
	)
	c := &cobra.Command{
		Use:   "status",
		Short: "Show what is closed: since when, by whom, until when, late or not",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), nil, func(c *control.Control) error {
				closed, err := c.Status(cmd.Context())
				if err != nil {
					return err
				}
				unfinished, err := c.Unfinished(cmd.Context())
				if err != nil {
					return err
				}
				asked := view.StatusOf{StateDir: c.StateDir, Environment: env}
				if env != "" {
					elsewhere := map[string]bool{}
					left := func(name string) bool {
						if name != env {
							elsewhere[name] = true
						}
						return name != env
					}
					closed = slices.DeleteFunc(closed, func(s control.ClosedService) bool { return left(s.Environment) })
					unfinished = slices.DeleteFunc(unfinished, func(r *run.Run) bool { return left(r.Plan.Environment.Name) })
					asked.Elsewhere = slices.Sorted(maps.Keys(elsewhere))
				}
				if pass {
					a.passes(closed)
					return nil
				}
				a.view.Status(closed, unfinished, asked, a.Now())
				a.view.Rings(a.rings(cmd.Context(), c, closed))
				return nil
			})
		},
	}
	c.Flags().StringVarP(&env, "env", "e", "", "only of this environment")
	a.completeEnvironments(c)
	c.Flags().BoolVar(&pass, "pass", false, "show how staff pass (a secret: not for screens that others see)")
	return c
}

// passes shows the pass of each closing, once.
func (a *app) passes(closed []control.ClosedService) {
	seen := map[string]bool{}
	for _, s := range closed {
		p := s.Run.Plan
		if p.Pass == "" || seen[p.Pass] {
			continue
		}
		seen[p.Pass] = true
		a.view.Result(fmt.Sprintf("%s\n  curl -H '%s: %s' …\n  browser cookie: %s=%s", p.Environment.Name, edge.PassHeader, p.Pass, edge.PassCookie, p.Pass),
			map[string]any{"environment": p.Environment.Name, "run": s.Run.ID, "header": edge.PassHeader, "cookie": edge.PassCookie, "pass": p.Pass})
	}
	if len(seen) == 0 {
		a.view.Say("Nothing is closed with a pass.")
	}
}

func (a *app) watchCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "watch [RUN]",
		Short: "Show a run as it happens (default: the newest)",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), nil, func(c *control.Control) error {
				id, err := a.runID(cmd.Context(), c, args, c.Runs)
				if err != nil || id == "" {
					return err
				}
				stop := a.sayRings(cmd.Context(), c, id)
				defer stop()
				r, err := c.Observe(cmd.Context(), id, a.view.Event)
				if err != nil {
					return err
				}
				a.view.Ended(r, a.Now())
				return outcome(r)
			})
		},
	}
}

func (a *app) resumeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "resume [RUN]",
		Short: "Carry on runs that were cut off (default: all of them)",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), nil, func(c *control.Control) error {
				if len(args) == 1 {
					return a.follow(cmd.Context(), c, args[0])
				}
				runs, err := c.Unfinished(cmd.Context())
				if err != nil {
					return err
				}
				if len(runs) == 0 {
					a.view.Say("No run was cut off.")
				}
				for _, r := range runs {
					if err := a.follow(cmd.Context(), c, r.ID); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

// runID is the run named, or the newest of those listed.
func (a *app) runID(ctx context.Context, c *control.Control, args []string, list func(context.Context, int) ([]*run.Run, error)) (string, error) {
	if len(args) == 1 {
		_, err := c.Run(ctx, args[0])
		return args[0], err
	}
	runs, err := list(ctx, 1)
	if err != nil || len(runs) == 0 {
		if err == nil {
			a.view.Say("There is no run yet.")
		}
		return "", err
	}
	return runs[0].ID, nil
}

// oneRun wants the name of one run, and says where to find it.
func oneRun(cmd *cobra.Command, args []string) error {
	if len(args) == 1 {
		return nil
	}
	f := &fault.Fault{Code: fault.Invalid, Summary: "no run was named", Detail: fmt.Sprintf("noren %s is about one run, whose name it needs.", cmd.Name()),
		Try: []string{"noren history     # lists runs", "noren " + cmd.Name() + " RUN"}}
	if len(args) > 1 {
		f.Summary = "more than one run was named"
		f.Detail = fmt.Sprintf("noren %s is about one run, and these are %d: %s.", cmd.Name(), len(args), strings.Join(args, ", "))
	}
	return f
}

// signalCommand makes the command that sends a signal to a run.
func (a *app) signalCommand(name string) *cobra.Command {
	short := map[string]string{
		"retry": "Tell a waiting run to try what failed again",
		"skip":  "Tell a waiting run to go on without what failed",
		"undo":  "Tell a run to put everything back",
		"stop":  "Tell a run to stop and leave things as they are",
	}
	return &cobra.Command{
		Use:   name + " RUN",
		Short: short[name],
		Args:  oneRun,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), nil, func(c *control.Control) error {
				r, err := c.Run(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if r.Status.Ended() {
					return invalid("run has ended", fmt.Sprintf("Run %s is %s already; nothing will take the word. To take back a closing: noren open.", r.ID, r.Status))
				}
				if err := c.Signal(cmd.Context(), r.ID, run.Signal(name)); err != nil {
					return err
				}
				return a.follow(cmd.Context(), c, r.ID)
			})
		},
	}
}
