package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
)

func (a *app) recoverCommand() *cobra.Command {
	var flags openFlags
	var confirm confirmFlags
	var run string
	var keep bool
	c := &cobra.Command{
		Use:   "recover [SERVICE…] --env ENVIRONMENT",
		Short: "Open what was closed elsewhere, or whose records are lost, from the marks on the targets",
		Long: `Open what was closed elsewhere, or whose records are lost, from the marks on the
targets alone. The closings are rebuilt and adopted: from then on this state
directory knows them like its own, and they are opened as by noren open, with all
checks and proofs.

What has no room for a mark, such as a maintenance window of PagerDuty, carries the
token of its closing, and goes with it. If it is all that is left, it is taken away.

Only what is in the catalog is recovered: others may be at work in the same place.

The noren that made a closing must not be at work on it any more: a mark cannot
tell whether it is.`,
		Example: `  noren recover --env prod
  noren recover shop --env prod --keep-closed --confirm prod`,
		ValidArgsFunction: a.completeServices(&flags.env),
		RunE: func(cmd *cobra.Command, services []string) error {
			cat, err := a.catalog()
			if err != nil {
				return err
			}
			if flags.env, err = a.chooseEnvironment(cmd.Context(), cat, flags.env); err != nil {
				return err
			}
			open, err := flags.request(a, services)
			if err != nil {
				return err
			}
			return a.with(cmd.Context(), cat, func(c *control.Control) error {
				return a.recover(cmd.Context(), c, recovering{open, run, keep}, confirm)
			})
		},
	}
	flags.add(c)
	c.Flags().Lookup("env").Usage = "the environment"
	c.Flags().StringVar(&run, "run", "", "only what this run left: where marks of two runs are on one entrance, or where its service is not in the catalog")
	c.Flags().BoolVar(&keep, "keep-closed", false, "only adopt: status, open and all else know the closing from then on")
	confirm.add(c)
	a.addWait(c)
	a.completeEnvironments(c)
	return c
}

// recovering is what the person asks of recover.
type recovering struct {
	open control.OpenRequest
	run  string
	keep bool
}

// recover adopts what the marks tell, and opens it. Cut off in between, the
// same command opens what it adopted before.
func (a *app) recover(ctx context.Context, c *control.Control, req recovering, confirm confirmFlags) error {
	env := req.open.Environment
	rec, err := c.PlanRecover(ctx, control.RecoverRequest{Environment: env, Services: req.open.Services, Run: req.run, Patience: lookPatience})
	if err != nil {
		return err
	}
	if len(rec.Runs)+len(rec.Tagged) > 0 {
		a.view.Recovery(rec, a.Now())
		if _, err := a.confirm(ctx, asPlan(rec), confirm); err != nil {
			return err
		}
		confirm = confirmFlags{yes: true, confirm: env} // it has been: one question is enough
		if err := c.Adopt(ctx, rec); err != nil {
			return err
		}
	}
	req.open.Behind = rec.Behind
	err = a.openAdopted(ctx, c, rec, req, confirm)
	if err == nil && !req.keep {
		err = a.takeAway(ctx, c, rec)
	}
	return errors.Join(err, stuck(rec), rec.Look.Err)
}

// takeAway takes away what is left of closings that left nothing else.
func (a *app) takeAway(ctx context.Context, c *control.Control, rec *control.Recovery) error {
	gone, err := c.TakeAway(ctx, rec)
	if len(gone) > 0 {
		a.view.Result("Taken away: "+strings.Join(gone, ", ")+". Nothing else of their closings was left.", map[string]any{"takenAway": gone})
	}
	return err
}

// openAdopted opens what was adopted, now or by a command before that was cut
// off.
func (a *app) openAdopted(ctx context.Context, c *control.Control, rec *control.Recovery, req recovering, confirm confirmFlags) error {
	env := rec.Environment.Name
	names := req.open.Services
	if req.run != "" {
		names = serviceNames(rec)
	}
	adopted, err := c.Adopted(ctx, env, names)
	if err != nil {
		return err
	}
	switch {
	case req.keep && len(rec.Runs) > 0:
		a.view.Result(stillClosed(rec)+" Open it with: noren open --env "+env, map[string]any{"adopted": runNames(rec)})
		return nil
	case len(adopted) == 0 || req.keep:
		if len(rec.Runs)+len(rec.Tagged)+len(rec.Stuck) == 0 && rec.Look.Err == nil {
			a.view.Result(fmt.Sprintf("Nothing is to be recovered in %s: no mark is there that this state directory does not explain (looked at %s).", env, rec.Look.Sights()),
				map[string]any{"adopted": []string{}})
		}
		return nil
	}
	open := req.open
	open.Services = nil
	for _, s := range adopted {
		if !slices.Contains(open.Services, s.Service) {
			open.Services = append(open.Services, s.Service)
		}
	}
	return a.open(ctx, c, open, confirm)
}

// stillClosed says what is so after an adoption that opens nothing.
func stillClosed(rec *control.Recovery) string {
	var half []string
	for _, s := range asPlan(rec).Services {
		if s.Missing > 0 {
			half = append(half, s.Name)
		}
	}
	if len(half) > 0 {
		return "Adopted, closed half-way only: " + strings.Join(half, ", ") + ". Customers may get in."
	}
	return "Adopted. It is as closed as its marks say, which was not proved."
}

func runNames(rec *control.Recovery) []string {
	names := []string{}
	for _, r := range rec.Runs {
		names = append(names, r.ID)
	}
	return names
}

func serviceNames(rec *control.Recovery) []string {
	var names []string
	for _, s := range asPlan(rec).Services {
		names = append(names, s.Name)
	}
	return names
}

// asPlan is what a person confirms.
func asPlan(rec *control.Recovery) *plan.Plan {
	p := &plan.Plan{Kind: plan.Recover, Environment: rec.Environment}
	add := func(s plan.Service) {
		if !slices.ContainsFunc(p.Services, func(have plan.Service) bool { return have.Name == s.Name }) {
			p.Services = append(p.Services, s)
		}
	}
	for _, r := range rec.Runs {
		for _, s := range r.Plan.Services {
			add(s)
		}
	}
	for _, l := range rec.Tagged {
		add(plan.Service{Name: l.Service})
	}
	return p
}

// stuck says what is left over and could not be recovered, nil if nothing is.
func stuck(rec *control.Recovery) error {
	if len(rec.Stuck) == 0 {
		return nil
	}
	f := &fault.Fault{Code: fault.Stranded, Summary: "not everything can be recovered"}
	for i, l := range rec.Stuck {
		if i > 0 {
			f.Detail += "\n"
			f.Left += ", "
		}
		f.Detail += l.Target + ": " + l.What
		f.Left += l.Target
	}
	for _, l := range rec.Stuck {
		for _, t := range l.Try {
			if !slices.Contains(f.Try, t) {
				f.Try = append(f.Try, t)
			}
		}
	}
	return f
}
