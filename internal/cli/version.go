package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/noren-dev/noren/internal/control"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the versions of noren and of Go, and the commit",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			commit, dirty := commit()
			platform := runtime.GOOS + "/" + runtime.GOARCH
			text := fmt.Sprintf("noren   %s\ngo      %s %s\n", a.Version, runtime.Version(), platform)
			if commit != "" {
				text += "commit  " + commit
				if dirty {
					text += " with changes"
				}
				text += "\n"
			}
			a.view.Result(text, map[string]any{"version": a.Version, "go": runtime.Version(), "platform": platform, "commit": commit, "dirty": dirty})
			return nil
		},
	}
}

// commit is what the toolchain wrote into the binary, "" if nothing.
func commit() (revision string, dirty bool) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "", false
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.modified":
			dirty = s.Value == "true"
		}
	}
	return revision, dirty
}

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of noren.yaml, for editors",
		Long: `Schema prints the JSON Schema of noren.yaml with the settings of every driver.
noren init writes it beside the file, where editors find it by the first line.`,
		Example: `  noren schema > noren.schema.json`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			schema, err := control.Schema(a.Registry)
			if err != nil {
				return err
			}
			_, err = a.Stdout.Write(schema)
			return err
		},
	}
}
