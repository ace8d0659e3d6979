package cli

import (
	"github.com/spf13/cobra"

	"github.com/noren-dev/noren/internal/control"
)

// openFlags are the flags of everything that plans an opening.
type openFlags struct {
	env          string
	sick         bool
	ours, theirs bool
	onFailure    string
}

func (f *openFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVarP(&f.env, "env", "e", "", "the environment (default: wherever something is closed)")
	flags.BoolVar(&f.sick, "even-if-sick", false, "open also if the application behind does not answer")
	flags.BoolVar(&f.ours, "ours", false, "where someone changed a target meanwhile: put back what was before")
	flags.BoolVar(&f.theirs, "theirs", false, "where someone changed a target meanwhile: leave it as it is now")
	flags.StringVar(&f.onFailure, "on-failure", "", "undo (close again) or ask (default: ask on a terminal, else undo)")
	c.MarkFlagsMutuallyExclusive("ours", "theirs")
}

func (f *openFlags) request(a *app, services []string) (control.OpenRequest, error) {
	req := control.OpenRequest{Environment: f.env, Services: services, Sick: f.sick}
	switch {
	case f.ours:
		req.Side = control.Ours
	case f.theirs:
		req.Side = control.Theirs
	}
	var err error
	req.OnFailure, err = a.onFailure(f.onFailure)
	return req, err
}

func (a *app) openCommand() *cobra.Command {
	var flags openFlags
	var confirm confirmFlags
	c := &cobra.Command{
		Use:   "open [SERVICE…]",
		Short: "Open again exactly as it was, and end only when health checks pass",
		Example: `  noren open --env sandbox
  noren open shop --env prod --confirm prod`,
		ValidArgsFunction: a.completeServices(&flags.env),
		RunE: func(cmd *cobra.Command, services []string) error {
			req, err := flags.request(a, services)
			if err != nil {
				return err
			}
			cat, _ := a.catalog() // opening needs none; looking for closings made elsewhere does
			return a.with(cmd.Context(), cat, func(c *control.Control) error {
				return a.open(cmd.Context(), c, req, confirm)
			})
		},
	}
	flags.add(c)
	confirm.add(c)
	a.addWait(c)
	a.completeEnvironments(c)
	return c
}

func (a *app) planOpenCommand() *cobra.Command {
	var flags openFlags
	var looking planFlags
	c := &cobra.Command{
		Use:               "open [SERVICE…]",
		Short:             "Show what opening would change",
		ValidArgsFunction: a.completeServices(&flags.env),
		RunE: func(cmd *cobra.Command, services []string) error {
			req, err := flags.request(a, services)
			if err != nil {
				return err
			}
			cat, _ := a.catalog() // as for open
			return a.with(cmd.Context(), cat, func(c *control.Control) error {
				plans, err := a.planOpen(cmd.Context(), c, req)
				if err != nil {
					return err
				}
				if len(plans) == 0 {
					return a.nothingHeld(cmd.Context(), c, req, nil)
				}
				for _, p := range plans {
					looking.view(a).Opening(p, a.Now())
					if err := looking.exit(p); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	flags.add(c)
	looking.add(c)
	a.completeEnvironments(c)
	return c
}
