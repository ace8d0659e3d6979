package cli

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/invopop/jsonschema"
	"github.com/spf13/cobra"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

func (a *app) actionsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "actions [NAME]",
		Short: "List what noren can do outside, or describe one action",
		Long: `Actions lists everything that noren can do to the systems outside. A change can
be undone, a check only reads, an effect cannot be undone. With a NAME it shows
the parameters, and what of the target a change keeps in its receipt.`,
		Example: `  noren actions
  noren actions http/closed`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return a.actionNames(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				a.view.Actions(a.Registry.Drivers())
				return nil
			}
			found := a.action(args[0])
			if found == nil {
				return a.unknownAction(args[0])
			}
			text, value, err := describeAction(found)
			if err == nil {
				a.view.Result(text, value)
			}
			return err
		},
	}
}

func (a *app) actionNames() []string {
	var names []string
	for _, d := range a.Registry.Drivers() {
		for _, found := range d.Actions {
			names = append(names, found.Name)
		}
	}
	return names
}

func (a *app) action(name string) *driver.Action {
	for _, d := range a.Registry.Drivers() {
		for _, found := range d.Actions {
			if found.Name == name {
				return found
			}
		}
	}
	return nil
}

func (a *app) unknownAction(name string) error {
	f := &fault.Fault{Code: fault.Invalid, Summary: "unknown action", Detail: fmt.Sprintf("noren has no action %q.", name), Try: []string{"noren actions"}}
	if near := fault.Nearest(name, a.actionNames()); near != "" {
		f.Detail += fmt.Sprintf(" Did you mean %q?", near)
		f.Try = []string{"noren actions " + near}
	}
	return f
}

// kindWords say what an action of a kind promises.
func kindWords(k action.Kind) string {
	switch k {
	case action.KindChange:
		return "a change: it can be undone"
	case action.KindCheck:
		return "a check: it only reads"
	default:
		return "an effect: it CANNOT be undone"
	}
}

func describeAction(found *driver.Action) (string, map[string]any, error) {
	value := map[string]any{"name": found.Name, "kind": found.Kind, "summary": found.Summary, "undoable": found.Kind == action.KindChange}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n%s\n", found.Name, kindWords(found.Kind), sentence(found.Summary))
	part := func(title, key string, empty any) error {
		schema := reflected(empty)
		value[key] = schema
		fmt.Fprintf(&b, "\n%s\n", title)
		rows, err := fields(schema)
		for _, r := range rows {
			fmt.Fprintf(&b, "  %s\n", r)
		}
		return err
	}
	if err := part("Parameters:", "parameters", found.NewParams()); err != nil {
		return "", nil, err
	}
	if found.NewState != nil {
		if err := part("State, as kept in receipts:", "state", found.NewState()); err != nil {
			return "", nil, err
		}
	}
	return b.String(), value, nil
}

func reflected(pointer any) *jsonschema.Schema {
	r := &jsonschema.Reflector{DoNotReference: true, Anonymous: true}
	s := r.Reflect(pointer)
	s.Version = ""
	return s
}

// fields lists the keys of a schema, aligned: name, type, need, description.
func fields(s *jsonschema.Schema) ([]string, error) {
	all, err := schemaFields(s)
	if err != nil || len(all) == 0 {
		return []string{"none"}, err
	}
	width, kinds := 0, 0
	for _, f := range all {
		width, kinds = max(width, len(f.name)), max(kinds, len(f.kind))
	}
	rows := make([]string, len(all))
	for i, f := range all {
		need := "        "
		if f.required {
			need = "required"
		}
		rows[i] = strings.TrimRight(fmt.Sprintf("%-*s  %-*s  %s  %s", width, f.name, kinds, f.kind, need, f.description), " ")
	}
	return rows, nil
}

// A schemaField is one key of a JSON Schema, for people.
type schemaField struct {
	name, kind, description string
	required                bool
	schema                  schemaNode
}

// A schemaNode is what the pages read of a JSON Schema.
type schemaNode struct {
	Type        any               `json:"type"`
	Format      string            `json:"format"`
	Description string            `json:"description"`
	Properties  json.RawMessage   `json:"properties"`
	Additional  json.RawMessage   `json:"additionalProperties"`
	Items       json.RawMessage   `json:"items"`
	AnyOf       []json.RawMessage `json:"anyOf"`
	Enum        []any             `json:"enum"`
	Const       any               `json:"const"`
	Required    []string          `json:"required"`
	Examples    []any             `json:"examples"`
}

func schemaFields(s *jsonschema.Schema) ([]schemaField, error) {
	raw, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	n, err := nodeOf(raw)
	if err != nil {
		return nil, err
	}
	return n.fields()
}

// nodeOf reads a schema; the schemas true and false are the empty one.
func nodeOf(raw json.RawMessage) (schemaNode, error) {
	var n schemaNode
	if len(raw) == 0 || string(raw) == "true" || string(raw) == "false" {
		return n, nil
	}
	if err := json.Unmarshal(raw, &n); err != nil {
		return n, fmt.Errorf("schema: %w", err)
	}
	return n, nil
}

// fields lists the properties in the order of the schema.
func (n schemaNode) fields() ([]schemaField, error) {
	if len(n.Properties) == 0 {
		return nil, nil
	}
	dec := json.NewDecoder(strings.NewReader(string(n.Properties)))
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	var all []schemaField
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("schema: %w", err)
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, fmt.Errorf("schema: %w", err)
		}
		child, err := nodeOf(raw)
		if err != nil {
			return nil, err
		}
		name, _ := key.(string)
		f := schemaField{name: name, kind: child.kind(), description: child.Description, schema: child}
		for _, r := range n.Required {
			f.required = f.required || r == name
		}
		all = append(all, f)
	}
	return all, nil
}

// kind words a schema's type: "list of text".
func (n schemaNode) kind() string {
	name, _ := n.Type.(string)
	switch name {
	case "string":
		if len(n.Enum) > 0 {
			var words []string
			for _, e := range n.Enum {
				words = append(words, fmt.Sprint(e))
			}
			return strings.Join(words, " or ")
		}
		if n.Format == "date-time" {
			return "time"
		}
		return "text"
	case "boolean":
		return "true or false"
	case "integer":
		return "whole number"
	case "array":
		if items, err := nodeOf(n.Items); err == nil && len(n.Items) > 0 && items.Type != nil {
			return "list of " + items.kind()
		}
		return "list"
	case "object", "":
		if additional, err := nodeOf(n.Additional); err == nil && additional.Type != nil {
			return "map to " + additional.kind()
		}
		if name == "" {
			return "any value"
		}
		return "mapping"
	}
	return name
}
