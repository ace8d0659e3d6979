package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/fault"
)

// How long an environment may take to be looked at: by who asks for it, and
// beside what was asked for.
const (
	lookPatience  = 30 * time.Second
	asidePatience = 10 * time.Second
)

func (a *app) leftoversCommand() *cobra.Command {
	var envs []string
	patience := lookPatience
	c := &cobra.Command{
		Use:   "leftovers",
		Short: "Look at the doors themselves for what no run of this state directory explains",
		Long: `Look at the doors themselves for what no run of this state directory explains:
pages that are up, syncs that are paused, marks of closings made elsewhere or
whose records are lost. Each comes with the command that mends it. Nothing is
written.

Exit code 10 if something of noren's is left over; 1 if an environment could not
be looked at. What may as well be somebody else's work is shown, and is no
reason for either.`,
		Example: `  noren leftovers
  noren leftovers --env prod -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cat, err := a.catalog()
			if err != nil {
				return err
			}
			return a.with(cmd.Context(), cat, func(c *control.Control) error {
				report, err := c.Leftovers(cmd.Context(), patience, envs...)
				if err != nil {
					return err
				}
				a.view.Leftovers(report, c.StateDir, a.Now())
				switch {
				case report.Err() != nil:
					a.view.Fault(report.Err())
					return exitCode(fault.ExitError)
				case report.Left():
					return exitCode(fault.ExitCheckFailed)
				}
				return nil
			})
		},
	}
	c.Flags().StringArrayVarP(&envs, "env", "e", nil, "the environment (repeatable; default: all of the catalog)")
	c.Flags().DurationVar(&patience, "wait", patience, "the longest that an environment may take to answer")
	a.completeEnvironments(c)
	return c
}
