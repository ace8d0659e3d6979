package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/cli/view"
	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/rehearsal"
	"github.com/noren-dev/noren/internal/report"
	"github.com/noren-dev/noren/internal/run"
)

func (a *app) rehearseCommand() *cobra.Command {
	var r rehearsing
	r.app = a
	flags := &r.flags
	c := &cobra.Command{
		Use:   "rehearse [SERVICE…] --env ENVIRONMENT",
		Short: "Close and open a copy of the live objects, or a sandbox, and tell how it went",
		Long: `Rehearse closes services and opens them again, and reports: how long each step
took, what customers, staff and probes saw at each moment, what cannot be
undone, and how long the real thing should take.

With --copy, everything that the closing reads is copied from the cluster, and
the run changes the copy, in memory. Nothing is written to the cluster, and
nothing to the state directory. It ends with the proof that the copy is byte for
byte as it was before.

Without --copy it closes and opens the environment for real, as noren close and
noren open do: for a sandbox.`,
		Example: `  noren rehearse shop --env production --copy
  noren rehearse shop --env production --copy --out rehearsal.html
  noren rehearse shop --env sandbox --yes`,
		ValidArgsFunction: a.completeServices(&flags.env),
		RunE:              func(cmd *cobra.Command, services []string) error { return r.command(cmd.Context(), services) },
	}
	flags.add(c)
	r.confirm.add(c)
	c.Flags().BoolVar(&r.copy, "copy", false, "rehearse on a copy in memory; write nothing to the cluster")
	c.Flags().StringVar(&r.out, "out", "", "write the report too: .md, .html or .json")
	c.Flags().BoolVar(&r.force, "force", false, "replace the file if it is there")
	a.addWait(c)
	a.completeEnvironments(c)
	return c
}

// rehearsalOut refuses a file that could not be written when all is over.
func rehearsalOut(out string, force bool) error {
	ext := filepath.Ext(out)
	switch {
	case out == "":
		return nil
	case ext != ".md" && ext != ".html" && ext != ".json":
		return invalid("unknown format", fmt.Sprintf("--out is %q; its ending says the format: .md, .html or .json.", out))
	}
	written := []string{out}
	if ext == ".md" {
		written = append(written, pictureOf(out))
	}
	for _, path := range written {
		if _, err := os.Lstat(path); err == nil && !force {
			return exists(path)
		}
	}
	if info, err := os.Stat(filepath.Dir(out)); err != nil || !info.IsDir() {
		return invalid("no such folder", fmt.Sprintf("--out is %q, and there is no folder %s.", out, filepath.Dir(out)))
	}
	return nil
}

// pictureOf is the picture beside a report in Markdown.
func pictureOf(out string) string { return strings.TrimSuffix(out, filepath.Ext(out)) + ".svg" }

// rehearsing is one rehearse command.
type rehearsing struct {
	*app
	flags       closeFlags
	confirm     confirmFlags
	copy, force bool
	out         string

	cat *catalog.Catalog
	req control.CloseRequest
}

// command refuses what makes no sense, rehearses, and shows how that went.
func (r *rehearsing) command(ctx context.Context, services []string) (err error) {
	if err := rehearsalOut(r.out, r.force); err != nil {
		return err
	}
	if r.copy && (r.confirm.yes || r.confirm.confirm != "") {
		return invalid("nothing to confirm", "--copy writes nothing real, so that --yes and --confirm have no meaning beside it.")
	}
	if r.cat, err = r.catalog(); err != nil {
		return err
	}
	if r.flags.env, err = r.chooseEnvironment(ctx, r.cat, r.flags.env); err != nil {
		return err
	}
	if r.req, err = r.flags.request(r.app, r.cat, services); err != nil {
		return err
	}
	rehearse := r.live
	if r.copy {
		rehearse = r.onCopy
	}
	told, ended := rehearse(ctx)
	if told == nil {
		return ended
	}
	r.view.Rehearsal(told)
	if r.out != "" {
		if err := r.writeRehearsal(told, r.out, r.force); err != nil {
			return err
		}
	}
	return ended
}

// onCopy rehearses on a copy. The state directory is only read, and only if it is
// there.
func (r *rehearsing) onCopy(ctx context.Context) (told *report.Rehearsal, err error) {
	dir, err := stateDir()
	if err != nil {
		return nil, err
	}
	rehearse := func(past *control.Control) error {
		if past != nil {
			if err := r.closedReally(ctx, past); err != nil {
				return err
			}
		}
		told, err = rehearsal.OnCopy(ctx, r.options(dir, past), r.req)
		return err
	}
	if _, gone := os.Stat(dir); gone != nil {
		err = rehearse(nil)
	} else {
		err = r.with(ctx, r.cat, rehearse)
	}
	if err != nil {
		return nil, err
	}
	return told, rehearsed(told, r.req)
}

// closedReally refuses to rehearse what this state directory holds closed: a copy
// of it cannot be closed, and its marks are those of a run that is known here.
func (r *rehearsing) closedReally(ctx context.Context, c *control.Control) error {
	closed, err := c.Status(ctx)
	if err != nil {
		return err
	}
	for _, s := range closed {
		if s.Environment == r.req.Environment && (len(r.req.Services) == 0 || slices.Contains(r.req.Services, s.Service)) {
			return r.closedAlready(s.Run.ID, "Its copy is closed, too: rehearse once it is open.")
		}
	}
	return nil
}

func (r *rehearsing) closedAlready(holder, why string) error {
	return &fault.Fault{Code: fault.Locked, Summary: "closed already",
		Detail: fmt.Sprintf("Run %s holds what was to be rehearsed in %s. %s", holder, r.req.Environment, why), Try: []string{"noren status", "noren open --env " + r.req.Environment}}
}

func (r *rehearsing) options(dir string, past *control.Control) rehearsal.Options {
	return rehearsal.Options{Catalog: r.cat, Registry: r.Registry, Now: r.Now, Actor: actor(), Origin: r.origin(dir), Real: past, Patience: r.Patience,
		ReadPatience: r.ReadPatience, Reading: r.waitingLine().reading, Hook: r.Hook, Say: func(text string) { r.view.Say("rehearsal: %s", text) }}
}

// rehearsed is how a rehearsal on a copy ended, as an error.
func rehearsed(told *report.Rehearsal, req control.CloseRequest) error {
	if told.OK {
		return nil
	}
	f := &fault.Fault{Code: fault.CheckFailed, Summary: "rehearsal failed", Detail: told.Outcome, Left: "nothing: a copy was closed and opened, and the cluster was only read",
		Try: []string{"noren plan close " + strings.Join(append(slices.Clone(told.Services), "--env", req.Environment), " ")}}
	if p := told.Failure; p != nil {
		f.Detail += "\n" + strings.TrimSpace(p.Problem.Summary+": "+p.Problem.Detail)
		f.Try = append(slices.Clone(p.Problem.Try), f.Try...)
	}
	return f
}

// live closes and opens for real, as close and open do, and looks on.
func (r *rehearsing) live(ctx context.Context) (told *report.Rehearsal, err error) {
	err = r.with(ctx, r.cat, func(c *control.Control) error {
		c.Quiet = true
		begun, err := c.Closing(ctx, r.req.Environment, r.req.Services)
		if err != nil {
			return err
		}
		if begun != nil {
			return r.closedAlready(begun.ID, "A rehearsal closes and opens, and would open what that run closed.")
		}
		l, err := rehearsal.NewLive(ctx, r.options(c.StateDir, c), c, r.req)
		if err != nil {
			return err
		}
		seen := r.view
		r.view = onlooker{seen, func(e run.Event, now *run.Run) { l.Observe(context.WithoutCancel(ctx), e, now) }}
		defer func() { r.view = seen }()
		ended := r.close(ctx, c, r.req, r.confirm, false)
		var failed error
		if ended == nil {
			// The person has said yes to both.
			yes := confirmFlags{yes: true, confirm: r.req.Environment}
			ended = r.open(context.WithoutCancel(ctx), c, control.OpenRequest{Environment: r.req.Environment, Services: l.Services(), OnFailure: r.req.OnFailure}, yes)
			failed = ended
		}
		if told, err = l.Report(context.WithoutCancel(ctx), failed); err != nil {
			return err
		}
		return ended
	})
	return told, err
}

// An onlooker sees every event before it is shown.
type onlooker struct {
	view.View
	see func(run.Event, *run.Run)
}

func (o onlooker) Event(e run.Event, r *run.Run) {
	o.see(e, r)
	o.View.Event(e, r)
}

func (a *app) writeRehearsal(r *report.Rehearsal, out string, force bool) error {
	var text string
	var err error
	switch filepath.Ext(out) {
	case ".html":
		text, err = r.HTML()
	case ".json":
		raw, errJSON := json.MarshalIndent(r, "", "  ")
		text, err = string(raw)+"\n", errJSON
	default:
		path := pictureOf(out)
		if err := writeFileMode(path, []byte(r.Runs.SVG(report.Wide, "timeline")), force, privateFile); err != nil {
			return err
		}
		text = r.Markdown(filepath.Base(path))
	}
	if err != nil {
		return err
	}
	return a.deliver(out, []byte(text), force, "how the rehearsal went")
}
