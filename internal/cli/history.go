package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/report"
)

func (a *app) historyCommand() *cobra.Command {
	var req control.HistoryRequest
	c := &cobra.Command{
		Use:   "history",
		Short: "List past runs, newest first: who, when, how long it was closed, how it ended",
		Long: `History lists what was closed and opened with this state directory. A closing
is told with how long customers were turned away: from the first request that
was seen to get the page until the first that was seen to get the service again.`,
		Example: `  noren history --env prod
  noren history --service shop --limit 5 -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if req.Limit < 0 {
				return invalid("malformed number", fmt.Sprintf("--limit %d is less than nothing; 0 lists all.", req.Limit))
			}
			return a.with(cmd.Context(), nil, func(c *control.Control) error {
				rows, err := c.History(cmd.Context(), req)
				if err != nil {
					return err
				}
				a.view.History(rows, a.Now())
				return nil
			})
		},
	}
	c.Flags().StringVarP(&req.Environment, "env", "e", "", "only of this environment")
	c.Flags().StringVar(&req.Service, "service", "", "only of this service")
	c.Flags().IntVar(&req.Limit, "limit", 20, "how many at most; 0: all")
	a.completeEnvironments(c)
	return c
}

// The formats of a report.
const (
	formatMarkdown = "md"
	formatHTML     = "html"
	formatJSON     = "json"
)

func (a *app) reportCommand() *cobra.Command {
	var format, out string
	var force bool
	c := &cobra.Command{
		Use:   "report RUN",
		Short: "Write what a closing was, for a post-mortem: summary, timeline, picture, proofs",
		Long: `Report tells of a closing together with its extensions and openings; RUN may be
the closing or one of its openings. It holds what was planned and what customers
saw, every step with its time, who said what, what was changed, and what could
not be put back. No secret is in it.

An HTML report is one file with a picture in it. A Markdown report that is
written to a file gets the picture beside it, as .svg.`,
		Example: `  noren report close-1124-vrws --format html --out report.html
  noren report close-1124-vrws --out docs/post-mortem.md`,
		Args: oneRun,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case a.output == formatJSON:
				format = formatJSON
			case !cmd.Flags().Changed("format") && (filepath.Ext(out) == ".html" || filepath.Ext(out) == ".json"):
				format = strings.TrimPrefix(filepath.Ext(out), ".")
			}
			if format != formatMarkdown && format != formatHTML && format != formatJSON {
				return invalid("unknown format", fmt.Sprintf("--format is %q; it can be md, html or json.", format))
			}
			return a.with(cmd.Context(), nil, func(c *control.Control) error {
				r, err := c.Report(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return a.writeReport(r, format, out, force)
			})
		},
	}
	c.Flags().StringVar(&format, "format", formatMarkdown, "md, html or json (default: as --out ends, else md)")
	addOut(c, &out, &force)
	a.completeRuns(c)
	return c
}

func (a *app) writeReport(r *report.Report, format, out string, force bool) error {
	var text string
	var err error
	switch format {
	case formatHTML:
		text, err = r.HTML()
	case formatJSON:
		raw, errJSON := json.MarshalIndent(r, "", "  ")
		text, err = string(raw)+"\n", errJSON
	case formatMarkdown:
		picture := ""
		if out != "" {
			if _, err := os.Lstat(out); err == nil && !force {
				return exists(out)
			}
			// The picture first: a report that names one that is not there is worse
			// than a picture without its report.
			path := strings.TrimSuffix(out, filepath.Ext(out)) + ".svg"
			picture = filepath.Base(path)
			if err := writeFileMode(path, []byte(r.SVG(report.Wide, "timeline")), force, privateFile); err != nil {
				return err
			}
		}
		text = r.Markdown(picture)
	}
	if err != nil {
		return err
	}
	return a.deliver(out, []byte(text), force, "what "+r.Run+" was")
}
