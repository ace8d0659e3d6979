package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"charm.land/huh/v2"
	"github.com/spf13/cobra"

	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/fault"
)

// initFlags are what init is told.
type initFlags struct {
	contexts   []string
	kubeconfig string
	gates      []string
	gateToken  string
	regions    []string
	profile    string
	role       string
	endpoint   string
	envs       []string
	out        string
	zone       string
	languages  []string
	force      bool
}

func (a *app) initCommand() *cobra.Command {
	var flags initFlags
	c := &cobra.Command{
		Use:   "init",
		Short: "Find what there is to close, and write noren.yaml",
		Long: `Init looks for entrances behind the contexts of a kubeconfig, in regions of AWS,
or behind noren's own gates, and writes a noren.yaml with comments for you to
complete, and its JSON Schema beside it. It changes nothing but these two files.
An ECS service behind the load balancer of one service alone becomes a workload of
it; others are comments, with why.

An environment is named after its context or profile (sandbox, qa, prod) unless
--env says otherwise, in the order of the contexts, regions and gates. One with
"prod" in its name becomes protected. Contexts or regions to which --env gives one
name are the clusters of one environment.`,
		Example: `  noren init --context shop-sandbox --context shop-prod
  noren init --context tokyo --context osaka --env prod --env prod
  noren init --aws ap-northeast-1 --profile shop-prod --env prod
  noren init --gate http://127.0.0.1:7410 --env local`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.init(cmd.Context(), flags) },
	}
	f := c.Flags()
	f.StringArrayVar(&flags.contexts, "context", nil, "a context of the kubeconfig (repeatable)")
	f.StringVar(&flags.kubeconfig, "kubeconfig", "", "the kubeconfig (default: as kubectl)")
	f.StringArrayVar(&flags.regions, "aws", nil, "a region of AWS, such as ap-northeast-1 (repeatable)")
	f.StringVar(&flags.profile, "profile", "", "the profile of the AWS configuration files (default: as the AWS CLI)")
	f.StringVar(&flags.role, "role", "", "the ARN of a role to assume in AWS")
	f.StringVar(&flags.endpoint, "aws-endpoint", "", "the address of an emulator of AWS")
	f.StringArrayVar(&flags.gates, "gate", nil, "the admin URL of a gate of noren's (repeatable)")
	f.StringVar(&flags.gateToken, "gate-token-file", "", "the file with the gate's admin token (default: $NOREN_GATE_TOKEN holds it)")
	f.StringSliceVarP(&flags.envs, "env", "e", nil, "what to call the environments, in order")
	f.StringVar(&flags.out, "out", catalog.FileName, "where to write")
	f.StringVar(&flags.zone, "zone", "", "the time zone of times without an offset (default: this machine's)")
	f.StringSliceVar(&flags.languages, "lang", nil, "the languages of the closed page (default: ja,en)")
	f.BoolVar(&flags.force, "force", false, "overwrite the file if it is there")
	a.completeContexts(c, &flags.kubeconfig)
	return c
}

func (a *app) init(ctx context.Context, flags initFlags) error {
	if err := a.mayWrite(ctx, flags.out, &flags.force); err != nil {
		return err
	}
	zone, err := zoneName(flags.zone)
	if err != nil {
		return err
	}
	places, err := a.places(ctx, flags)
	if err != nil {
		return err
	}
	drafted, err := control.Init(ctx, a.Registry, a.Now, control.InitRequest{Zone: zone, Languages: flags.languages, Places: places})
	if err != nil {
		return err
	}
	var file bytes.Buffer
	if err := catalog.Write(&file, drafted.Draft); err != nil {
		return err
	}
	schema, err := control.Schema(a.Registry)
	if err != nil {
		return err
	}
	beside := filepath.Join(filepath.Dir(flags.out), catalog.SchemaName)
	if err := writeFile(flags.out, file.Bytes(), flags.force); err != nil {
		return err
	}
	if err := writeFile(beside, schema, true); err != nil {
		return err
	}
	a.drafted(flags.out, beside, drafted)
	return nil
}

// mayWrite refuses to overwrite, or asks.
func (a *app) mayWrite(ctx context.Context, path string, force *bool) error {
	_, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || *force:
		return nil
	case err == nil && a.interactive():
		if err := a.form(ctx, huh.NewConfirm().Title("Overwrite "+path+"?").Affirmative("Yes").Negative("No").Value(force)); err != nil {
			return err
		}
		if !*force {
			return declined()
		}
		return nil
	case err == nil:
		return exists(path)
	}
	return unwritable(path, err)
}

func exists(path string) error {
	return &fault.Fault{Code: fault.Invalid, Summary: "file is there already", Detail: path + " exists and was left as it is.",
		Try: []string{"--out another" + filepath.Ext(path), "--force     # overwrite it"}}
}

func unwritable(path string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return &fault.Fault{Code: fault.Denied, Summary: "file cannot be written", Detail: fmt.Sprintf("%s: %v. Nothing was written.", path, err), Err: err}
}

// writeFile writes a whole file or nothing. Without force it never replaces
// one, not even one made a moment ago.
func writeFile(path string, data []byte, force bool) error {
	return writeFileMode(path, data, force, 0o644)
}

func writeFileMode(path string, data []byte, force bool, mode fs.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return unwritable(path, err)
	}
	defer func() {
		if gone := os.Remove(f.Name()); err == nil && gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = unwritable(path, gone)
		}
	}()
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return unwritable(path, err)
	}
	if force {
		err = os.Rename(f.Name(), path)
	} else {
		err = os.Link(f.Name(), path)
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		return exists(path)
	case err != nil:
		return unwritable(path, err)
	}
	return nil
}

// places are where to look, each with its environment's name.
func (a *app) places(ctx context.Context, flags initFlags) ([]control.InitPlace, error) {
	contexts, err := a.chooseContexts(ctx, flags)
	if err != nil {
		return nil, err
	}
	var places []control.InitPlace
	for _, c := range contexts {
		config := map[string]any{"context": c}
		if flags.kubeconfig != "" {
			config["kubeconfig"] = flags.kubeconfig
		}
		name, protected := control.GuessEnvironment(c)
		places = append(places, control.InitPlace{Environment: name, Protected: protected, Drivers: map[string]map[string]any{"kube": config}})
	}
	aws, err := awsPlaces(flags)
	if err != nil {
		return nil, err
	}
	places = append(places, aws...)
	for _, url := range flags.gates {
		config := map[string]any{"admin": url}
		if flags.gateToken != "" {
			config["token_file"] = flags.gateToken
		}
		places = append(places, control.InitPlace{Environment: "local", Drivers: map[string]map[string]any{"gate": config}})
	}
	if len(flags.envs) > len(places) {
		return nil, invalid("more environments than places", fmt.Sprintf("--env names %s, and there are only %d contexts, regions and gates to look at. Give --context, --aws or --gate once for each.",
			strings.Join(flags.envs, ", "), len(places)))
	}
	for i, name := range flags.envs {
		places[i].Environment = name
		_, places[i].Protected = control.GuessEnvironment(name)
	}
	return places, distinctNames(places, flags)
}

// awsPlaces are the regions to look at. An environment is called after the
// profile, which says more than the region.
func awsPlaces(flags initFlags) ([]control.InitPlace, error) {
	if len(flags.regions) == 0 && flags.profile+flags.role+flags.endpoint != "" {
		return nil, invalid("no region", "--profile, --role and --aws-endpoint say how to reach AWS, and --aws is missing, which says in which region to look.")
	}
	var places []control.InitPlace
	for _, region := range flags.regions {
		config := map[string]any{"region": region}
		for key, value := range map[string]string{"profile": flags.profile, "role": flags.role, "endpoint": flags.endpoint} {
			if value != "" {
				config[key] = value
			}
		}
		name, protected := control.GuessEnvironment(cmp.Or(flags.profile, region))
		places = append(places, control.InitPlace{Environment: name, Protected: protected, Drivers: map[string]map[string]any{"aws": config}})
	}
	return places, nil
}

// distinctNames lets several contexts or regions be the clusters of one environment, where
// --env says so by naming it for each, and refuses other doubles.
func distinctNames(places []control.InitPlace, flags initFlags) error {
	of := map[string][]int{}
	for i, p := range places {
		of[p.Environment] = append(of[p.Environment], i)
	}
	seen := map[string]bool{}
	for i := range places {
		p := &places[i]
		if len(of[p.Environment]) == 1 {
			continue
		}
		last := of[p.Environment][len(of[p.Environment])-1]
		context, ok := p.Drivers["kube"]["context"]
		if !ok {
			context, ok = p.Drivers["aws"]["region"]
		}
		if last >= len(flags.envs) || !ok {
			return invalid("two environments of one name", fmt.Sprintf("Two of the places would be called %[1]s. Name each with --env, in order; "+
				"--env %[1]s for each of several contexts or regions makes them clusters of one environment.", p.Environment))
		}
		name := fmt.Sprint(context)
		p.Cluster = catalog.Name(name[strings.LastIndex(name, "/")+1:])
		key := p.Environment + "/" + p.Cluster
		if p.Cluster == "" || seen[key] {
			return invalid("two clusters of one name", fmt.Sprintf("The contexts or regions of %s would have one name as clusters: %q. Name a context otherwise in the kubeconfig.", p.Environment, p.Cluster))
		}
		seen[key] = true
	}
	return nil
}

// chooseContexts are the contexts named, or those chosen from a menu.
func (a *app) chooseContexts(ctx context.Context, flags initFlags) ([]string, error) {
	if len(flags.contexts)+len(flags.gates)+len(flags.regions) > 0 || flags.profile+flags.role+flags.endpoint != "" {
		return flags.contexts, nil
	}
	known, err := control.KubeContexts(flags.kubeconfig)
	if err != nil {
		return nil, err
	}
	if len(known) == 0 {
		return nil, &fault.Fault{Code: fault.NotFound, Summary: "nowhere to look", Detail: "There is no kubeconfig with a context, and neither a region of AWS nor a gate was named.",
			Try: []string{"noren init --kubeconfig FILE --context NAME", "noren init --aws ap-northeast-1", "noren init --gate http://127.0.0.1:7410", "noren gate init     # no cluster: a gate of noren's own"}}
	}
	var names []string
	options := make([]huh.Option[string], len(known))
	for i, c := range known {
		names = append(names, c.Name)
		label := fmt.Sprintf("%s  → %s", c.Name, c.Environment)
		if c.Protected {
			label += " (protected)"
		}
		options[i] = huh.NewOption(label, c.Name).Selected(c.Current)
	}
	if !a.interactive() {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "no context", Detail: "There is nobody to ask where to look. The kubeconfig has: " + strings.Join(names, ", ") + ".",
			Try: []string{"noren init --context " + names[0]}}
	}
	var chosen []string
	err = a.form(ctx, huh.NewMultiSelect[string]().Title("Where to look? (space to choose, enter to go on)").Options(options...).Value(&chosen))
	if err == nil && len(chosen) == 0 {
		return nil, declined()
	}
	return chosen, err
}

// drafted says what was found and what comes next.
func (a *app) drafted(path, schema string, d *control.Drafted) {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	head := "ENVIRONMENT\tSERVICE\tENTRANCE\tHOSTS\tHEALTH\tOWNER"
	rest := slices.ContainsFunc(d.Found, func(f control.FoundEntrance) bool { return len(f.Workloads) > 0 })
	if rest {
		head += "\tWORKLOADS"
	}
	fmt.Fprintln(table, head)
	found := []map[string]any{}
	for _, f := range d.Found {
		owner := "-"
		if f.Owner != nil {
			owner = f.Owner.System + " " + f.Owner.Name
		}
		row := fmt.Sprintf("%s\t%s\t%s %s\t%s\t%s\t%s", f.Environment, f.Service, f.Kind, f.Name, orDash(f.Hosts), orDash(f.Health), owner)
		var works []string
		for _, w := range f.Workloads {
			works = append(works, w.Kind+" "+w.Name)
		}
		if rest {
			row += "\t" + orDash(works)
		}
		fmt.Fprintln(table, row)
		found = append(found, map[string]any{"environment": f.Environment, "service": f.Service, "kind": f.Kind, "name": f.Name,
			"hosts": f.Hosts, "health": f.Health, "class": f.Class, "owner": f.Owner, "api": f.API, "team": f.Team, "workloads": f.Workloads})
	}
	_ = table.Flush() // a strings.Builder does not fail
	for _, n := range d.Notes {
		fmt.Fprintf(&text, "note: %s\n", n)
	}
	env := d.Draft.Environments[0].Name
	fmt.Fprintf(&text, "\nWritten: %s and %s. Read it through, then:\n\n    noren check --live\n    noren plan close --env %s\n", path, schema, env)
	undecided := []map[string]any{}
	for _, w := range d.Draft.Undecided {
		undecided = append(undecided, map[string]any{"kind": w.Kind, "name": w.Name, "cluster": w.Cluster, "about": w.About})
	}
	a.view.Result(text.String(), map[string]any{"file": path, "schema": schema, "found": found, "undecided": undecided, "notes": d.Notes})
}

func orDash(all []string) string {
	if len(all) == 0 {
		return "-"
	}
	return strings.Join(all, ",")
}

// zoneName is the zone named, or this machine's, as an IANA name.
func zoneName(named string) (string, error) {
	if named != "" {
		if _, err := time.LoadLocation(named); err != nil || named == "Local" {
			return "", invalid("unknown time zone", fmt.Sprintf("--zone %s is not the IANA name of a time zone, such as Asia/Tokyo or UTC.", named))
		}
		return named, nil
	}
	candidates := []string{os.Getenv("TZ")}
	if target, err := filepath.EvalSymlinks("/etc/localtime"); err == nil {
		if _, name, ok := strings.Cut(target, "zoneinfo/"); ok {
			candidates = append(candidates, name)
		}
	}
	for _, name := range candidates {
		if _, err := time.LoadLocation(name); err == nil && name != "" && name != "Local" {
			return name, nil
		}
	}
	return "UTC", nil
}

// completeContexts completes the names of contexts.
func (a *app) completeContexts(c *cobra.Command, kubeconfig *string) {
	complete := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		known, err := control.KubeContexts(*kubeconfig)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var names []string
		for _, k := range known {
			names = append(names, k.Name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	if err := c.RegisterFlagCompletionFunc("context", complete); err != nil {
		panic(err) // the flag is defined a few lines above the call
	}
}
