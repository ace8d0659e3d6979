package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/control"
)

// extendFlags are the flags of everything that plans an extension.
type extendFlags struct {
	env, forFlag, until, reason, onFailure string
	shorten                                bool
}

func (f *extendFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVarP(&f.env, "env", "e", "", "the environment (default: wherever something is closed)")
	flags.StringVar(&f.forFlag, "for", "", "how long the work will still take, from now: 30m, 2h")
	flags.StringVar(&f.until, "until", "", "when it ends: 03:00, 2026-11-24 03:00, or RFC 3339")
	flags.StringVar(&f.reason, "reason", "", "why, for those who look at the status")
	flags.BoolVar(&f.shorten, "shorten", false, "let the new end be before the present one")
	flags.StringVar(&f.onFailure, "on-failure", "", "undo (the former page) or ask (default: ask on a terminal, else undo)")
}

func (f *extendFlags) request(a *app, cat *catalog.Catalog, services []string) (control.ExtendRequest, error) {
	req := control.ExtendRequest{Environment: f.env, Services: services, Reason: f.reason, Shorten: f.shorten}
	if strings.TrimSpace(f.forFlag+f.until) == "" {
		return req, invalid("no time was given", "Say when it will end now: --for 30m counts from now on, --until 04:00 is a time.")
	}
	if f.env != "" {
		if _, err := cat.Environment(f.env); err != nil {
			return req, err
		}
	}
	var err error
	if req.Until, err = catalog.ParseWindow(a.Now(), cat.Zone, f.forFlag, f.until); err != nil {
		return req, err
	}
	req.OnFailure, err = a.onFailure(f.onFailure)
	return req, err
}

// run makes the request and hands it to do.
func (f *extendFlags) run(ctx context.Context, a *app, services []string, do func(*control.Control, control.ExtendRequest) error) error {
	cat, err := a.catalog()
	if err != nil {
		return err
	}
	req, err := f.request(a, cat, services)
	if err != nil {
		return err
	}
	return a.with(ctx, cat, func(c *control.Control) error { return do(c, req) })
}

func (a *app) extendCommand() *cobra.Command {
	var flags extendFlags
	var confirm confirmFlags
	c := &cobra.Command{
		Use:   "extend [SERVICE…] --env ENVIRONMENT",
		Short: "Move the end of a closing, and end only when customers see it",
		Example: `  noren extend --env prod --for 30m
  noren extend shop --env prod --until 04:00 --confirm prod`,
		ValidArgsFunction: a.completeServices(&flags.env),
		RunE: func(cmd *cobra.Command, services []string) error {
			return flags.run(cmd.Context(), a, services, func(c *control.Control, req control.ExtendRequest) error {
				return a.extend(cmd.Context(), c, req, confirm)
			})
		},
	}
	flags.add(c)
	confirm.add(c)
	a.addWait(c)
	a.completeEnvironments(c)
	return c
}

func (a *app) planExtendCommand() *cobra.Command {
	var flags extendFlags
	var looking planFlags
	c := &cobra.Command{
		Use:               "extend [SERVICE…] --env ENVIRONMENT",
		Short:             "Show what moving the end would change",
		ValidArgsFunction: a.completeServices(&flags.env),
		RunE: func(cmd *cobra.Command, services []string) error {
			return flags.run(cmd.Context(), a, services, func(c *control.Control, req control.ExtendRequest) error {
				plans, err := c.PlanExtend(cmd.Context(), req)
				if err != nil {
					return err
				}
				if len(plans) == 0 {
					a.endsThen(req)
				}
				for _, p := range plans {
					looking.view(a).Extension(p, a.Now())
					if err := looking.exit(p.Plan); err != nil {
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

func (a *app) endsThen(req control.ExtendRequest) {
	a.view.Result(fmt.Sprintf("It ends at %s already.", req.Until.Format("2006-01-02 15:04 MST")), map[string]any{"until": req.Until, "extended": []string{}})
}

// sameEnd is how far apart two ends may be that one person means with one
// --for, typed again after the command was cut off.
const sameEnd = time.Minute

// extend carries on extensions that were cut off; then it plans, asks, and
// moves the end of every closing that holds what was asked for.
func (a *app) extend(ctx context.Context, c *control.Control, req control.ExtendRequest, confirm confirmFlags) error {
	begun, err := c.Extendings(ctx, req.Environment)
	if err != nil {
		return err
	}
	var late []error // the next one is extended all the same
	for _, r := range begun {
		a.view.Say("Carrying on run %s, started by %s.", r.ID, r.Actor)
		if err := a.follow(ctx, c, r.ID); errors.Is(err, errUntold) {
			late = append(late, err)
		} else if err != nil {
			return err
		}
		if req.Until.Sub(r.Plan.Until).Abs() > sameEnd {
			continue
		}
		named := len(req.Services) > 0
		if req.Services = without(req.Services, r.Plan); named && len(req.Services) == 0 {
			return errors.Join(late...)
		}
		req.Until = r.Plan.Until
	}
	plans, err := c.PlanExtend(ctx, req)
	if err != nil {
		return err
	}
	if len(plans) == 0 && len(begun) == 0 {
		a.endsThen(req)
	}
	for _, p := range plans {
		if a.interactive() {
			a.view.Brief().Extension(p, a.Now())
		} else {
			a.warn(p.Plan)
		}
		how, err := a.confirm(ctx, p.Plan, confirm)
		if err != nil {
			return err
		}
		if _, err := a.start(ctx, c, p.Plan, how); errors.Is(err, errUntold) {
			late = append(late, err)
		} else if err != nil {
			return err
		}
	}
	return errors.Join(late...)
}
