package cli

import (
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/run"
)

// manyRuns is how many runs a completion offers.
const manyRuns = 20

// completeRuns completes the ids of runs: those that take a signal only while
// they have not ended.
func (a *app) completeRuns(commands ...*cobra.Command) {
	for _, c := range commands {
		c.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			ended := cmd.Name() == "watch" || cmd.Name() == "report"
			runs, err := a.knownRuns(cmd, ended)
			if err != nil {
				return nil, cobra.ShellCompDirectiveError
			}
			var ids []string
			for _, r := range runs {
				ids = append(ids, cobra.CompletionWithDesc(r.ID, string(r.Status)+" in "+r.Plan.Environment.Name))
			}
			return ids, cobra.ShellCompDirectiveNoFileComp
		}
	}
}

func (a *app) knownRuns(cmd *cobra.Command, ended bool) (runs []*run.Run, err error) {
	dir, err := stateDir()
	if err != nil {
		return nil, err
	}
	// Pressing a key makes no directory.
	if _, err := os.Stat(dir); err != nil {
		return nil, nil
	}
	err = a.with(cmd.Context(), nil, func(c *control.Control) error {
		if ended {
			runs, err = c.Runs(cmd.Context(), manyRuns)
		} else {
			runs, err = c.Unfinished(cmd.Context())
		}
		return err
	})
	return runs, err
}

// completeWords completes the values of flags with few.
func completeWords(root *cobra.Command) {
	words := map[string][]string{"output": {"text", "json"}, "on-failure": {"undo", "ask"}, "method": {"GET", "POST", "PUT", "PATCH", "DELETE"}, "lang": {"ja", "en"}}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for name, values := range words {
			if f := c.LocalFlags().Lookup(name); f == nil || c != root && c.InheritedFlags().Lookup(name) != nil {
				continue
			}
			if err := c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(slices.Clone(values), cobra.ShellCompDirectiveNoFileComp)); err != nil {
				panic(err) // the flag was looked up above
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
}
