package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/noren-dev/noren/internal/audit"
	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/fault"
)

func (a *app) auditCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "audit",
		Short: "Show, check and take away the record of who did what",
		Long: `Audit is about the record of everything that runs of this state directory did:
who asked for it, when, from where and how it was confirmed, what was changed
and what was seen. Each record carries a hash over itself and the one before.`,
	}
	c.AddCommand(a.auditShowCommand(), a.auditVerifyCommand(), a.auditExportCommand())
	return c
}

func (a *app) auditShowCommand() *cobra.Command {
	var f audit.Filter
	var since string
	c := &cobra.Command{
		Use:   "show",
		Short: "Show records, oldest first",
		Example: `  noren audit show --since 24h
  noren audit show --run close-1124-vrws
  noren audit show --env prod --service shop --since 2026-11-01 -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if f.Since, err = parseSince(a.Now(), since); err != nil {
				return err
			}
			return a.with(cmd.Context(), nil, func(c *control.Control) error {
				records, err := c.Records(cmd.Context(), f)
				if err != nil {
					return err
				}
				a.view.Records(records)
				return nil
			})
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.Run, "run", "", "only of this run")
	flags.StringVarP(&f.Environment, "env", "e", "", "only of this environment")
	flags.StringVar(&f.Service, "service", "", "only of runs that closed or opened this service")
	flags.StringVar(&since, "since", "", "only from then on: 24h, 7d, 2026-11-24, 2026-11-24 03:00, or RFC 3339")
	a.completeEnvironments(c)
	return c
}

func (a *app) auditVerifyCommand() *cobra.Command {
	var head, file string
	c := &cobra.Command{
		Use:   "verify",
		Short: "Check that no record, plan or receipt was altered since it was written",
		Long: `Verify computes the whole chain of hashes again, and holds every plan and every
receipt against the digest in the chain. It prints the head: the last record's
hash. Whoever can write the state file can compute a whole chain anew, or cut
off its end; note the head somewhere else, and give it to --head later.

Exit code 10: something is not as it was written. The first such record is named.`,
		Example: `  noren audit verify
  noren audit verify --head 7c54a1c48b4759b2e01d5299fbf5d7a0220e9aad2cecaa7a3d49c23c1feef546
  noren audit verify --file records.jsonl`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if head != "" && !isHash.MatchString(head) {
				return invalid("malformed hash", fmt.Sprintf("--head %q is not 64 digits of 0 to 9 and a to f, as noren audit verify prints them.", head))
			}
			report, err := a.verify(cmd.Context(), file, head)
			if err != nil {
				return err
			}
			a.view.Verified(report, head)
			return nil
		},
	}
	c.Flags().StringVar(&head, "head", "", "a head noted earlier, which must be found")
	c.Flags().StringVar(&file, "file", "", "check this export instead of the state directory")
	return c
}

var isHash = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (a *app) verify(ctx context.Context, file, head string) (report audit.Report, err error) {
	if file != "" {
		f, err := os.Open(file)
		if err != nil {
			return report, &fault.Fault{Code: fault.NotFound, Summary: "file cannot be read", Detail: err.Error() + ".", Err: err}
		}
		report, err = audit.VerifyExport(f, head)
		return report, errors.Join(err, f.Close())
	}
	err = a.with(ctx, nil, func(c *control.Control) error {
		report, err = c.VerifyRecords(ctx, head)
		return err
	})
	return report, err
}

func (a *app) auditExportCommand() *cobra.Command {
	var format, out string
	var force bool
	c := &cobra.Command{
		Use:   "export",
		Short: "Write all records to a file that can be checked elsewhere",
		Long: `Export writes every record, without secrets, and the head after the last.
noren audit verify --file checks it on any machine. Every record is in it: a
chain with records left out could not be checked.`,
		Example: `  noren audit export --out records-2026-11.jsonl
  noren audit export --format csv --out records.csv`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f := audit.Format(format)
			if f != audit.JSONL && f != audit.CSV {
				return invalid("unknown format", fmt.Sprintf("--format is %q; it can be jsonl or csv.", format))
			}
			var text bytes.Buffer
			var records []audit.Record
			err := a.with(cmd.Context(), nil, func(c *control.Control) (err error) {
				if records, err = c.Records(cmd.Context(), audit.Filter{}); err != nil {
					return err
				}
				return audit.Export(&text, f, records)
			})
			if err != nil {
				return err
			}
			return a.deliver(out, text.Bytes(), force, fmt.Sprintf("%d records", len(records)))
		},
	}
	c.Flags().StringVar(&format, "format", string(audit.JSONL), "jsonl or csv")
	addOut(c, &out, &force)
	return c
}

// addOut adds the flags of a command that writes a file, or to standard output.
func addOut(c *cobra.Command, out *string, force *bool) {
	c.Flags().StringVar(out, "out", "", "the file to write (default: standard output)")
	c.Flags().BoolVar(force, "force", false, "replace the file if it is there")
}

// privateFile is the mode of files that say who did what.
const privateFile = 0o600

// deliver writes a document to a file for its owner alone, or to standard
// output if no file is named; what says what it holds.
func (a *app) deliver(path string, data []byte, force bool, what string) error {
	if path == "" {
		_, err := a.Stdout.Write(data)
		return err
	}
	if err := writeFileMode(path, data, force, privateFile); err != nil {
		return err
	}
	a.view.Result(fmt.Sprintf("Wrote %s: %s.", path, what), map[string]any{"file": path, "bytes": len(data)})
	return nil
}

// parseSince reads a moment of the past: so long ago, or a date.
func parseSince(now time.Time, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, invalid("malformed time", fmt.Sprintf("--since %q is neither so long ago, such as 24h or 7d, nor a date such as 2026-11-24 or 2026-11-24 03:00.", s))
}
