package cli

import (
	"github.com/spf13/cobra"

	"github.com/noren-dev/noren/internal/control"
)

func (a *app) checkCommand() *cobra.Command {
	var req control.CheckRequest
	c := &cobra.Command{
		Use:   "check",
		Short: "Say whether noren.yaml is right; with --live also whether closing would work",
		Long: `Check reads noren.yaml and says everything that is wrong with it at once, each
with its place in the file, and how large the closed pages are. It asks nobody.

With --live it also asks the systems outside, without writing anything: is every
entrance there, may noren do what a closing and its opening need, do the health
URLs answer. It prints what grants the permissions that are missing.

Exit codes: 0 all is well, 1 something cannot be reached or is not permitted,
2 noren.yaml is wrong, 10 a health check fails.`,
		Example: `  noren check
  noren check --live --env prod`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cat, err := a.catalog()
			if err != nil {
				return err
			}
			options := control.Options{Catalog: cat, Registry: a.Registry, Now: a.Now, Actor: actor()}
			if req.Live {
				if options.StateDir, err = stateDir(); err != nil {
					return err
				}
			}
			report, err := control.Check(cmd.Context(), options, req)
			if err != nil {
				return err
			}
			a.view.Checked(report)
			if err := report.Err(); err != nil {
				return err
			}
			if !req.Live {
				a.view.Say("%s is right. Is the world outside, too?  noren check --live", cat.File)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&req.Live, "live", false, "also ask the systems outside; nothing is written")
	c.Flags().StringSliceVarP(&req.Environments, "env", "e", nil, "only this environment (repeatable; default: all)")
	a.completeEnvironments(c)
	return c
}
