package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/invopop/jsonschema"
)

// actionsPage describes every action of every driver.
func (a *app) actionsPage() (string, error) {
	var b strings.Builder
	b.WriteString("# Actions\n\nWhat noren can do to the systems outside. A change can be undone, a check only reads,\nan effect cannot be undone. `noren actions` lists the same.\n")
	for _, d := range a.Registry.Drivers() {
		fmt.Fprintf(&b, "\n## %s\n\nThe driver %s %s.\n", d.Name, d.Name, d.Summary)
		for _, found := range d.Actions {
			fmt.Fprintf(&b, "\n### %s\n\n%s It is %s.\n", found.Name, sentence(found.Summary), kindWords(found.Kind))
			if err := fieldTable(&b, "parameter", reflected(found.NewParams())); err != nil {
				return "", err
			}
			if found.NewState == nil {
				continue
			}
			b.WriteString("\nIts receipts keep:\n")
			if err := fieldTable(&b, "field", reflected(found.NewState())); err != nil {
				return "", err
			}
		}
	}
	return b.String(), nil
}

// entrancesPage describes every kind of entrance, and its options.
func (a *app) entrancesPage() (string, error) {
	var b strings.Builder
	b.WriteString("# Kinds of entrance\n\nAn entrance is where requests come in and can be turned away. In noren.yaml it has\na `kind`, a `name` and the options of its kind.\n")
	for _, d := range a.Registry.Drivers() {
		for _, e := range d.Entrances {
			fmt.Fprintf(&b, "\n## %s\n\n%s\n", e.Name, sentence(e.Summary))
			if err := fieldTable(&b, "option", reflected(e.NewOptions())); err != nil {
				return "", err
			}
		}
	}
	return b.String(), nil
}

// workloadsPage describes every kind of workload, and its options.
func (a *app) workloadsPage() (string, error) {
	var b strings.Builder
	b.WriteString("# Kinds of workload\n\nA workload is what works behind the entrances of a service and rests while they are\nclosed. In noren.yaml it has a `kind`, a `name` and the options of its kind.\n")
	for _, d := range a.Registry.Drivers() {
		for _, w := range d.Workloads {
			fmt.Fprintf(&b, "\n## %s\n\n%s\n", w.Name, sentence(w.Summary))
			if err := fieldTable(&b, "option", reflected(w.NewOptions())); err != nil {
				return "", err
			}
		}
	}
	return b.String(), nil
}

// monitorsPage describes every kind of monitor, and its options.
func (a *app) monitorsPage() (string, error) {
	var b strings.Builder
	b.WriteString("# Kinds of monitor\n\nA monitor calls people when a service does not work, and is kept quiet while it is\nclosed. In noren.yaml it has a `kind`, a `name`, the options of its kind, and\n`on_ring`: who does what when it rings.\n")
	for _, d := range a.Registry.Drivers() {
		for _, m := range d.Monitors {
			fmt.Fprintf(&b, "\n## %s\n\n%s\n", m.Name, sentence(m.Summary))
			if err := fieldTable(&b, "option", reflected(m.NewOptions())); err != nil {
				return "", err
			}
		}
	}
	return b.String(), nil
}

func fieldTable(b *strings.Builder, what string, s *jsonschema.Schema) error {
	all, err := schemaFields(s)
	if err != nil || len(all) == 0 {
		return err
	}
	fmt.Fprintf(b, "\n| %s | value | |\n|---|---|---|\n", what)
	for _, f := range all {
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", f.name, f.kind, meaning(f))
	}
	return nil
}

func meaning(f schemaField) string {
	text := cell(f.description)
	if f.required {
		text = strings.TrimSpace("Required. " + text)
	}
	return text
}

// catalogPage describes noren.yaml from its JSON Schema.
func catalogPage(schema []byte) (string, error) {
	root, err := nodeOf(json.RawMessage(schema))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# noren.yaml\n\n%s Found in the working directory or above it, or where `--file` or\n`$NOREN_CONFIG` says. `noren init` writes one; `noren check` says whether it is right.\n", root.Description)
	err = section(&b, "", root)
	return b.String(), err
}

// section writes the table of a mapping, and then what is in its values:
// mappings, maps and lists of them.
func section(b *strings.Builder, path string, n schemaNode) error {
	all, err := n.fields()
	if err != nil {
		return err
	}
	title := path
	for _, f := range all {
		if f.name == "kind" && f.schema.Const != nil {
			title = fmt.Sprintf("%s of kind %v", path, f.schema.Const)
		}
	}
	if len(all) > 0 {
		fmt.Fprintf(b, "\n## %s\n\n| key | value | |\n|---|---|---|\n", cmp.Or(title, "The file"))
	}
	for _, f := range all {
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", f.name, f.kind, meaning(f))
	}
	for _, f := range all {
		// What differs by environment has keys that the service has, too.
		if path == "services.NAME" && f.name == "environments" {
			continue
		}
		if err := section(b, strings.TrimPrefix(path+"."+f.name, "."), f.schema); err != nil {
			return err
		}
	}
	return within(b, path, n)
}

// within goes on with what is in a map, in a list, or one of several things.
func within(b *strings.Builder, path string, n schemaNode) error {
	inner := map[string][]json.RawMessage{path: n.AnyOf, path + ".NAME": {n.Additional}, path + "[]": {n.Items}}
	for _, at := range slices.Sorted(maps.Keys(inner)) {
		for _, raw := range inner[at] {
			if len(raw) == 0 || raw[0] != '{' {
				continue
			}
			child, err := nodeOf(raw)
			if err != nil {
				return err
			}
			if err := section(b, at, child); err != nil {
				return err
			}
		}
	}
	return nil
}
