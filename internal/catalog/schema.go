package catalog

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/invopop/jsonschema"
)

// SchemaName is the file next to the catalog that editors read the JSON Schema
// from.
const SchemaName = "noren.schema.json"

// The types below are the file as editors see it: the same keys as the readers
// of this package know, which a test keeps.

type fileSchema struct {
	Version      int                          `json:"version" jsonschema:"required,enum=1" jsonschema_description:"Version of this file's format."`
	Zone         string                       `json:"zone" jsonschema:"required,example=Asia/Tokyo,example=UTC" jsonschema_description:"IANA name of the time zone that times without an offset are in."`
	Page         *pageSchema                  `json:"page,omitempty" jsonschema_description:"How the closed page looks. Every service inherits it and may override any of it."`
	Keep         *keepSchema                  `json:"keep,omitempty" jsonschema_description:"How noren keep reminds people of the end of a closing."`
	Environments map[string]environmentSchema `json:"environments" jsonschema:"required" jsonschema_description:"The places where services run, by name."`
	Teams        map[string]teamSchema        `json:"teams,omitempty" jsonschema_description:"Who owns services, by name."`
	Services     map[string]serviceSchema     `json:"services,omitempty" jsonschema_description:"What users use, by name."`
}

type pageSchema struct {
	Languages []string          `json:"languages,omitempty" jsonschema:"example=ja,example=en" jsonschema_description:"Languages shown, in order, as BCP 47 tags."`
	Title     map[string]string `json:"title,omitempty" jsonschema_description:"The title by language. Japanese and English have default texts."`
	Message   map[string]string `json:"message,omitempty" jsonschema_description:"The message by language. Line breaks are kept."`
	Contact   string            `json:"contact,omitempty" jsonschema_description:"E-mail address or URL where customers can ask."`
	Logo      string            `json:"logo,omitempty" jsonschema_description:"SVG or PNG file, relative to this file. It is shown only if it fits in the page's limit."`
	Template  string            `json:"template,omitempty" jsonschema_description:"HTML template of your own, relative to this file."`
}

type keepSchema struct {
	Remind  []string `json:"remind,omitempty" jsonschema:"example=15m,example=5m" jsonschema_description:"How long before the end to remind, besides at the end itself. Left out: 15m and 5m."`
	Overdue string   `json:"overdue,omitempty" jsonschema:"default=10m" jsonschema_description:"How long after the end to remind again, and again."`
	Command []string `json:"command,omitempty" jsonschema:"minItems=1" jsonschema_description:"A program and its arguments, run for each reminder without a shell. It gets the reminder as JSON on its standard input, and never a secret."`
	Timeout string   `json:"timeout,omitempty" jsonschema:"default=10s" jsonschema_description:"How long the command may take, at most 1m."`
}

type environmentSchema struct {
	Protected bool                     `json:"protected,omitempty" jsonschema_description:"Announce loudly and ask for the environment's name before changing anything here."`
	Bypass    *bypassSchema            `json:"bypass,omitempty" jsonschema_description:"Staff who may pass while an entrance is closed."`
	Clusters  map[string]clusterSchema `json:"clusters,omitempty" jsonschema_description:"Where the environment has several clusters: each by name, with drivers of its own. What it leaves out is as the environment says."`
}

type clusterSchema struct{}

type bypassSchema struct {
	Sources []string `json:"sources,omitempty" jsonschema:"example=203.0.113.0/24" jsonschema_description:"Addresses and networks (CIDR) whose requests reach the application."`
	Pass    bool     `json:"pass,omitempty" jsonschema_description:"Make a secret pass for each closing, to be sent as a header or cookie."`
}

type teamSchema struct {
	Contact string `json:"contact,omitempty" jsonschema_description:"Where the team is reached, for example a channel."`
}

type differsSchema struct {
	Entrances []any    `json:"entrances,omitempty" jsonschema:"minItems=1" jsonschema_description:"Where requests come in and can be turned away."`
	Workloads []any    `json:"workloads,omitempty" jsonschema_description:"What works behind the entrances and rests while they are closed."`
	Monitors  []any    `json:"monitors,omitempty" jsonschema_description:"What calls people when the service does not work, and is kept quiet while it is closed."`
	Health    []string `json:"health,omitempty" jsonschema:"example=https://shop.example.com/healthz" jsonschema_description:"URLs that answer 200 when the service is well. Opening ends when all do."`
	KeepOpen  []string `json:"keep_open,omitempty" jsonschema:"example=/.well-known/acme-challenge/*" jsonschema_description:"Path patterns that stay open while the service is closed."`
	Mode      string   `json:"mode,omitempty" jsonschema:"enum=closed,enum=read-only,enum=paths" jsonschema_description:"How much is closed unless the operator says otherwise: everything (closed), requests that write (read-only), or the paths named (paths)."`
	Paths     []string `json:"paths,omitempty" jsonschema_description:"Path patterns that mode paths closes."`
}

type serviceSchema struct {
	Team string `json:"team,omitempty" jsonschema_description:"The team that owns the service, one of teams."`
	Kind string `json:"kind,omitempty" jsonschema:"enum=web,enum=api,default=web" jsonschema_description:"What the service answers: web is shown an HTML page, api gets JSON."`
	differsSchema
	Page         *pageSchema              `json:"page,omitempty" jsonschema_description:"What differs from the page above."`
	Only         []string                 `json:"only,omitempty" jsonschema:"minItems=1" jsonschema_description:"The environments the service is in. Left out: all."`
	Environments map[string]differsSchema `json:"environments,omitempty" jsonschema_description:"What differs by environment. Each key given replaces the service's own as a whole."`
}

// Schema makes the JSON Schema (draft 2020-12) of the file, for editors.
// sections holds a pointer to each driver's configuration by the driver's
// name, entrances, workloads and monitors one to the options of each of their kinds.
// Descriptions come from their jsonschema_description tags. A nil pointer, as
// interface or typed, is a section of any keys.
func Schema(sections, entrances, workloads, monitors map[string]any) ([]byte, error) {
	reflector := &jsonschema.Reflector{DoNotReference: true, Anonymous: true, RequiredFromJSONSchemaTags: true}
	root := reflector.Reflect(&fileSchema{})
	root.Title = FileName
	root.Description = "What there is to close, and how: environments, teams and services."

	environment, err := within(root, "environments", "")
	if err != nil {
		return nil, err
	}
	cluster, err := within(environment, "clusters", "")
	if err != nil {
		return nil, err
	}
	cluster.Properties = jsonschema.NewProperties()
	for _, name := range slices.Sorted(maps.Keys(sections)) {
		for place, in := range map[string]*jsonschema.Schema{"environment": environment, "cluster": cluster} {
			s := reflected(reflector, sections[name])
			if s.Description == "" {
				s.Description = "Configuration of the driver " + name + " in this " + place + "."
			}
			in.Properties.Set(name, s)
		}
	}
	for key, items := range map[string]*jsonschema.Schema{
		"entrances": partSchema(reflector, "entrance", entrances), "workloads": partSchema(reflector, "workload", workloads),
		"monitors": monitorSchema(reflector, monitors),
	} {
		for _, path := range [][]string{{"services", "", key}, {"services", "", "environments", "", key}} {
			s, err := within(root, path...)
			if err != nil {
				return nil, err
			}
			s.Items = items
		}
	}
	for _, path := range [][]string{{"environments"}, {"environments", "", "clusters"}, {"services"}} {
		s, err := within(root, path...)
		if err != nil {
			return nil, err
		}
		s.PropertyNames = &jsonschema.Schema{Pattern: nameShape.String()}
	}
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("catalog: schema: %w", err)
	}
	return append(out, '\n'), nil
}

// partSchema is one schema for each kind of entrance, or of workload, told apart
// by kind.
func partSchema(r *jsonschema.Reflector, what string, optionsByKind map[string]any) *jsonschema.Schema {
	var kinds []*jsonschema.Schema
	for _, kind := range slices.Sorted(maps.Keys(optionsByKind)) {
		s := reflected(r, optionsByKind[kind])
		s.Properties.Set("kind", &jsonschema.Schema{Type: "string", Const: kind, Description: "The kind of " + what + "."})
		s.Properties.Set("name", &jsonschema.Schema{Type: "string", MinLength: new(uint64(1)), Description: "Its name, as " + kind + " writes it."})
		s.Properties.Set("cluster", &jsonschema.Schema{Type: "string", Description: "One of the environment's clusters, where it has several."})
		s.Required = append([]string{"kind", "name"}, s.Required...)
		kinds = append(kinds, s)
	}
	if len(kinds) == 1 {
		return kinds[0]
	}
	return &jsonschema.Schema{AnyOf: kinds}
}

// monitorSchema is partSchema for monitors, of which each says what is done when
// it rings.
func monitorSchema(r *jsonschema.Reflector, optionsByKind map[string]any) *jsonschema.Schema {
	all := partSchema(r, "monitor", optionsByKind)
	kinds := all.AnyOf
	if kinds == nil {
		kinds = []*jsonschema.Schema{all}
	}
	for _, s := range kinds {
		if s.Properties != nil {
			s.Properties.Set("on_ring", &jsonschema.Schema{Type: "string", Description: "Who does what when it rings. noren check asks where it is missing."})
		}
	}
	return all
}

func reflected(r *jsonschema.Reflector, pointer any) *jsonschema.Schema {
	var s *jsonschema.Schema
	if pointer != nil {
		s = r.Reflect(pointer)
	}
	if s == nil || s.Type != "object" {
		s = &jsonschema.Schema{Type: "object"}
	}
	s.Version = ""
	if s.Properties == nil {
		s.Properties = jsonschema.NewProperties()
	}
	return s
}

// within walks down a schema: a name is a property, "" the value of any.
func within(s *jsonschema.Schema, path ...string) (*jsonschema.Schema, error) {
	for _, step := range path {
		var next *jsonschema.Schema
		if step == "" {
			next = s.AdditionalProperties
		} else if s.Properties != nil {
			next, _ = s.Properties.Get(step)
		}
		if next == nil {
			return nil, fmt.Errorf("catalog: schema: nothing at %q", path)
		}
		s = next
	}
	return s, nil
}
