package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/page"
)

// pageFlags are the flags of everything that makes pages.
type pageFlags struct {
	env       string
	forFlag   string
	until     string
	languages []string
	json      bool
}

func (f *pageFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVarP(&f.env, "env", "e", "", "the environment (default: the first that the service is in)")
	flags.StringVar(&f.forFlag, "for", "", "how long the work will take: 30m, 2h")
	flags.StringVar(&f.until, "until", "", "when it ends: 03:00, 2026-11-24 03:00, or RFC 3339")
	flags.StringSliceVar(&f.languages, "lang", nil, "languages to show instead of those of noren.yaml: ja,en")
	flags.BoolVar(&f.json, "json", false, "the JSON twin, whatever the service's kind")
}

// A shownPage is the closed page of one service.
type shownPage struct {
	service catalog.Service
	env     string
	page    page.Page
	limit   int
	err     error
}

func (p shownPage) file() string {
	if p.service.Kind == catalog.API {
		return "closed.json"
	}
	return "closed.html"
}

func (a *app) pageCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "page",
		Short: "See, build, weigh and serve the page that customers are shown",
		Long: `Page makes the closed page of a service as noren.yaml says, without closing
anything. Without a noren.yaml it makes the page that noren shows by itself.`,
	}
	c.AddCommand(a.pagePreviewCommand(), a.pageBuildCommand(), a.pageCheckCommand(), a.pageServeCommand(), a.pageManifestCommand())
	return c
}

func (a *app) pageCheckCommand() *cobra.Command {
	var flags pageFlags
	c := &cobra.Command{
		Use:     "check [SERVICE]",
		Short:   "Say how many bytes the page has of those the door can send",
		Long:    "Check builds the page of each service and says how large it is. Exit code 2: one is too large or cannot be built.",
		Example: `  noren page check shop --until 03:00`,
		Args:    cobra.MaximumNArgs(1), ValidArgsFunction: a.completeServices(&flags.env),
		RunE: func(_ *cobra.Command, args []string) error {
			pages, err := a.pages(flags, args)
			if err != nil {
				return err
			}
			a.weighed(pages)
			var all []error
			for _, p := range pages {
				all = append(all, p.err)
			}
			return errors.Join(all...)
		},
	}
	flags.add(c)
	a.completeEnvironments(c)
	return c
}

// weighed prints a line for each page.
func (a *app) weighed(pages []shownPage) {
	width := 0
	for _, p := range pages {
		width = max(width, len(p.service.Name))
	}
	var text strings.Builder
	values := []map[string]any{}
	for _, p := range pages {
		if p.err != nil {
			fmt.Fprintf(&text, "✗ %-*s  cannot be shown\n", width, p.service.Name)
			values = append(values, map[string]any{"service": p.service.Name, "ok": false})
			continue
		}
		fmt.Fprintf(&text, "✓ %-*s  %s  %s\n", width, p.service.Name, weight(p), p.page.ContentType)
		for _, n := range p.page.Notes {
			fmt.Fprintf(&text, "  %*s  %s\n", width, "", n)
		}
		values = append(values, map[string]any{"service": p.service.Name, "ok": true, "bytes": len(p.page.Body), "limit": p.limit,
			"contentType": p.page.ContentType, "notes": p.page.Notes})
	}
	a.view.Result(text.String(), map[string]any{"pages": values})
}

func weight(p shownPage) string {
	if p.limit == page.Unlimited {
		return fmt.Sprintf("%d bytes, and its door has no limit", len(p.page.Body))
	}
	return fmt.Sprintf("%d of %d bytes", len(p.page.Body), p.limit)
}

func (a *app) pageBuildCommand() *cobra.Command {
	var flags pageFlags
	var out string
	c := &cobra.Command{
		Use:   "build [SERVICE]",
		Short: "Write the page as a file: closed.html, or closed.json for an api",
		Example: `  noren page build shop --out public
  noren page build --lang ja --json`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.completeServices(&flags.env),
		RunE: func(_ *cobra.Command, args []string) error {
			pages, err := a.pages(flags, args)
			if err != nil {
				return err
			}
			var all []error
			for _, p := range pages {
				all = append(all, p.err)
			}
			if err := errors.Join(all...); err != nil {
				return err
			}
			return a.writePages(out, pages)
		},
	}
	flags.add(c)
	c.Flags().StringVar(&out, "out", ".", "the directory to write into; with several services, one directory in it for each")
	a.completeEnvironments(c)
	return c
}

func (a *app) writePages(out string, pages []shownPage) error {
	var text strings.Builder
	files := []map[string]any{}
	for _, p := range pages {
		dir := out
		if len(pages) > 1 {
			dir = filepath.Join(out, p.service.Name)
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return unwritable(dir, err)
		}
		path := filepath.Join(dir, p.file())
		if err := writeFile(path, p.page.Body, true); err != nil {
			return err
		}
		fmt.Fprintf(&text, "%s  %s\n", path, weight(p))
		for _, n := range p.page.Notes {
			fmt.Fprintf(&text, "  %s\n", n)
		}
		files = append(files, map[string]any{"service": p.service.Name, "file": path, "bytes": len(p.page.Body), "limit": p.limit,
			"contentType": p.page.ContentType, "notes": p.page.Notes})
	}
	a.view.Result(text.String(), map[string]any{"files": files})
	return nil
}

// pages makes the pages asked for: of the service named, or of all.
func (a *app) pages(flags pageFlags, args []string) ([]shownPage, error) {
	cat, err := a.pageCatalog(args)
	if err != nil {
		return nil, err
	}
	services, envs, err := pageServices(cat, flags.env, args)
	if err != nil {
		return nil, err
	}
	var until time.Time
	if flags.forFlag != "" || flags.until != "" {
		if until, err = catalog.ParseWindow(a.Now(), cat.Zone, flags.forFlag, flags.until); err != nil {
			return nil, err
		}
	}
	var pages []shownPage
	for i, s := range services {
		if flags.json {
			s.Kind = catalog.API
		}
		if len(flags.languages) > 0 {
			s.Page.Languages = flags.languages
		}
		p := shownPage{service: s, env: envs[i]}
		p.page, p.limit, p.err = control.PreviewPage(cat, a.Registry, envs[i], s, page.Content{Until: until})
		pages = append(pages, p)
	}
	return pages, nil
}

// pageCatalog is the catalog, or the built-in page's where there is none.
func (a *app) pageCatalog(args []string) (*catalog.Catalog, error) {
	cat, err := a.catalog()
	if err == nil || a.file != "" || os.Getenv(catalog.PathVariable) != "" || len(args) > 0 || !errors.Is(err, &fault.Fault{Code: fault.NotFound}) {
		return cat, err
	}
	zone, err := zoneName("")
	if err != nil {
		return nil, err
	}
	loc, err := time.LoadLocation(zone)
	return &catalog.Catalog{Zone: loc}, err
}

// pageServices are the services asked for and the environment of each: the
// page is the same in all, and only a door's limit may differ.
func pageServices(cat *catalog.Catalog, env string, args []string) (services []catalog.Service, envs []string, err error) {
	if len(cat.Environments) == 0 {
		example := catalog.Service{Name: "example", Kind: catalog.Web, Entrances: []catalog.Entrance{{}}}
		return []catalog.Service{example}, []string{""}, nil
	}
	if env != "" {
		services, err = cat.Services(env, args...)
		for range services {
			envs = append(envs, env)
		}
		return services, envs, err
	}
	seen := map[string]bool{}
	var first error
	for _, e := range cat.Environments {
		found, err := cat.Services(e.Name, args...)
		if err != nil && first == nil {
			first = err
		}
		for _, s := range found {
			if !seen[s.Name] {
				seen[s.Name] = true
				services, envs = append(services, s), append(envs, e.Name)
			}
		}
	}
	switch {
	case len(services) == 0 && first != nil:
		return nil, nil, first
	case len(services) == 0:
		return nil, nil, invalid("no service", cat.File+" has no service yet, and so no page.")
	}
	return services, envs, nil
}

func (a *app) pagePreviewCommand() *cobra.Command {
	var flags pageFlags
	var address string
	c := &cobra.Command{
		Use:   "preview [SERVICE]",
		Short: "Show the page in a browser, as on a phone and a desktop, light and dark",
		Long: `Preview serves the closed page on this machine until Ctrl-C, and prints where.
Edit noren.yaml and reload: the page is made anew each time.`,
		Example: `  noren page preview shop --until 03:00`,
		Args:    cobra.MaximumNArgs(1), ValidArgsFunction: a.completeServices(&flags.env),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := a.pages(flags, args); err != nil {
				return err
			}
			return a.preview(cmd.Context(), address, func(json bool) ([]shownPage, error) {
				with := flags
				with.json = with.json || json
				return a.pages(with, args)
			})
		},
	}
	flags.add(c)
	c.Flags().StringVar(&address, "address", "127.0.0.1:0", "where to serve; port 0 is any that is free")
	a.completeEnvironments(c)
	return c
}

// preview serves pages until the context ends.
func (a *app) preview(ctx context.Context, address string, pages func(json bool) ([]shownPage, error)) error {
	p, err := newPreview(ctx, address, pages)
	if err != nil {
		return err
	}
	a.view.Result(p.url()+"\n", map[string]any{"url": p.url()})
	if a.interactive() {
		a.view.Say("Ctrl-C ends the preview.")
	}
	return p.serve(ctx)
}
