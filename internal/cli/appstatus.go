package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/driver"
)

func (a *app) appStatusCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "appstatus",
		Short: "See and publish the status document that mobile apps read",
		Long: `Appstatus is about the document that apps read at launch: which services are
closed and until when, what is announced, and which version of an app is the
oldest that still works. The section appstatus of an environment says where it
is. A closing, an extension and an opening write it by themselves.`,
	}
	c.AddCommand(a.appStatusShowCommand(), a.appStatusPreviewCommand(), a.appStatusPublishCommand())
	return c
}

func (a *app) appStatusShowCommand() *cobra.Command {
	var env string
	c := &cobra.Command{
		Use:     "show",
		Short:   "Show the document as apps get it now",
		Example: `  noren appstatus show --env prod`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.aboutStatus(cmd.Context(), &env, func(ctx context.Context, c *control.Control) error {
				now, err := c.ToldNow(ctx, env)
				if err != nil {
					return err
				}
				for _, p := range now {
					if !p.Exists {
						a.view.Say("There is no document yet at %s; this is what would be written: noren appstatus publish --env %s", p.Where, env)
					}
				}
				a.publications(now)
				return nil
			})
		},
	}
	a.addStatusEnv(c, &env)
	return c
}

func (a *app) appStatusPreviewCommand() *cobra.Command {
	var env, forFlag, until string
	c := &cobra.Command{
		Use:     "preview [SERVICE…]",
		Short:   "Show the document as it would be if services were closed now",
		Long:    "Preview makes the document without writing it, so that apps can be tried against it before the day.",
		Example: `  noren appstatus preview shop --env prod --until 03:00`,
		RunE: func(cmd *cobra.Command, services []string) error {
			return a.aboutStatus(cmd.Context(), &env, func(ctx context.Context, c *control.Control) error {
				var end time.Time
				var err error
				if forFlag != "" || until != "" {
					if end, err = catalog.ParseWindow(a.Now(), c.Catalog.Zone, forFlag, until); err != nil {
						return err
					}
				}
				then, err := c.ToldThen(ctx, env, end, services...)
				if err != nil {
					return err
				}
				a.publications(then)
				return nil
			})
		},
	}
	a.addStatusEnv(c, &env)
	c.ValidArgsFunction = a.completeServices(&env)
	c.Flags().StringVar(&forFlag, "for", "", "how long the work will take: 30m, 2h")
	c.Flags().StringVar(&until, "until", "", "when it ends: 03:00, 2026-11-24 03:00, or RFC 3339")
	return c
}

func (a *app) appStatusPublishCommand() *cobra.Command {
	var env string
	c := &cobra.Command{
		Use:   "publish",
		Short: "Write the names, apps and announced windows of noren.yaml into the document",
		Long: `Publish brings the document up to date: what noren.yaml says of services, apps and
announced windows, what is held closed from here, and what has been opened from
here while the document could not be written. What another noren holds closed
stays as it is. It may be run at any time, also by a pipeline.`,
		Example: `  noren appstatus publish --env prod`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.aboutStatus(cmd.Context(), &env, func(ctx context.Context, c *control.Control) error {
				done, err := c.Publish(ctx, env)
				if err == nil || len(done.Changes) > 0 {
					a.published(env, done)
				}
				return err
			})
		},
	}
	a.addStatusEnv(c, &env)
	return c
}

func (a *app) addStatusEnv(c *cobra.Command, env *string) {
	c.Flags().StringVarP(env, "env", "e", "", "the environment (default: the only one that has a document)")
	a.completeEnvironments(c)
}

// aboutStatus runs f once it is clear which environment is meant.
func (a *app) aboutStatus(ctx context.Context, env *string, f func(context.Context, *control.Control) error) error {
	cat, err := a.catalog()
	if err != nil {
		return err
	}
	if *env == "" {
		var have []string
		for _, e := range cat.Environments {
			if a.tells(e) {
				have = append(have, e.Name)
			}
		}
		if len(have) > 1 {
			return invalid("environment is not given", fmt.Sprintf("%s have a status document each. Name one with --env.", strings.Join(have, " and ")))
		}
		if len(have) == 0 && len(cat.Environments) > 0 {
			have = []string{cat.Environments[0].Name} // control says what is missing
		}
		*env = strings.Join(have, "")
	}
	return a.with(ctx, cat, func(c *control.Control) error { return f(ctx, c) })
}

func (a *app) tells(e catalog.Environment) bool {
	return len(a.Registry.Open(driver.Env{Name: e.Name}, e.Configs()).Tellers()) > 0
}

// publications prints documents as they are, so that they can be piped on.
func (a *app) publications(all []driver.Publication) {
	for _, p := range all {
		a.view.Result(string(p.Body), map[string]any{"where": p.Where, "exists": p.Exists, "document": json.RawMessage(p.Body)})
	}
}

func (a *app) published(env string, done control.Published) {
	values := []map[string]any{}
	var text strings.Builder
	for _, c := range done.Changes {
		fmt.Fprintf(&text, "✓ %s  %s\n", c.Target, c.Description.Line)
		values = append(values, map[string]any{"target": c.Target, "line": c.Description.Line})
	}
	for _, left := range done.Left {
		fmt.Fprintf(&text, "! %s\n", left)
	}
	if len(done.Changes)+len(done.Left) == 0 {
		fmt.Fprintf(&text, "The document of %s says all that there is to say.\n", env)
	}
	a.view.Result(text.String(), map[string]any{"environment": env, "changes": values, "left": slices.Concat([]string{}, done.Left)})
}
