package catalog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A Draft is what init found, to be written as a first catalog.
type Draft struct {
	// Zone is an IANA name; "" is UTC.
	Zone string
	// Languages of the page; empty is Japanese and English.
	Languages    []string
	Environments []DraftEnvironment
	// Teams are names; those that services name are added.
	Teams    []string
	Services []DraftService
	// Undecided are workloads that become comments, for a person to give to a
	// service or to none.
	Undecided []DraftWorkload
}

// A DraftEnvironment is an environment to write.
type DraftEnvironment struct {
	Name      string
	Protected bool
	// Drivers holds each driver's configuration by the driver's name.
	Drivers map[string]map[string]any
	// Clusters are written where the environment has several.
	Clusters []DraftCluster
}

// A DraftCluster is one of several clusters of an environment to write.
type DraftCluster struct {
	Name    string
	Drivers map[string]map[string]any
}

// A DraftService is a service to write.
type DraftService struct {
	Name string
	// Team is the owner, "" if nobody is known.
	Team      string
	API       bool
	Entrances []DraftEntrance
	Workloads []DraftWorkload
	Health    []string
	KeepOpen  []string
	// In is what differs from one environment to another.
	In []DraftPart
	// Only names the environments it is in; empty is all.
	Only []string
	// Notes become comments above it.
	Notes []string
}

// A DraftEntrance is an entrance to write.
type DraftEntrance struct {
	Kind, Name string
	Cluster    string // "" where the environment has one
	Options    map[string]any
	// Hosts and Class ("AWS Load Balancer Controller (group shared)") become a
	// comment above it.
	Hosts []string
	Class string
}

// A DraftPart is what a service has of its own in one environment.
type DraftPart struct {
	Environment string
	Workloads   []DraftWorkload
	Health      []string
}

// A DraftWorkload is a workload to write.
type DraftWorkload struct {
	Kind, Name string
	Cluster    string // "" where the environment has one
	// About becomes a comment above it.
	About string
}

var notInName = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// Name makes a name that the file accepts of one found elsewhere:
// "shop/web" becomes "shop-web". It returns "" if nothing usable is left.
func Name(found string) string {
	s := strings.TrimLeft(notInName.ReplaceAllString(found, "-"), "._-")
	return strings.TrimRight(s[:min(len(s), 63)], "._-")
}

// Write writes a catalog with comments for its reader. It writes nothing, and
// returns the faults, if the draft would not be read again: its positions are
// then in the text that would have been written.
func Write(w io.Writer, d Draft) error {
	var b bytes.Buffer
	known := Known{}
	b.WriteString("# yaml-language-server: $schema=./" + SchemaName + "\n#\n" +
		"# What noren closes for planned work, and opens again exactly as it was.\n" +
		"# `noren check` says whether this file is right, `noren plan close` what would be done.\n")
	fmt.Fprintf(&b, "version: %d\n", Version)
	zone := d.Zone
	if zone == "" {
		zone = "UTC"
	}
	fmt.Fprintf(&b, "\n# Times without an offset (--until 03:00) are in this zone.\nzone: %s\n", scalar(zone))
	writePage(&b, d.Languages)
	if err := writeEnvironments(&b, d.Environments, &known); err != nil {
		return err
	}
	writeTeams(&b, d)
	if err := writeServices(&b, d.Services, &known); err != nil {
		return err
	}
	writeUndecided(&b, d.Undecided)
	if _, err := Parse(FileName, b.Bytes(), known); err != nil {
		return err
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("catalog: write: %w", err)
	}
	return nil
}

func writePage(b *bytes.Buffer, languages []string) {
	if len(languages) == 0 {
		languages = []string{"ja", "en"}
	}
	b.WriteString("\n# How the closed page looks. A service may override any of it; `noren page preview` shows it.\n" +
		"page:\n  languages: " + flowTexts(languages) + "\n" +
		"  # title: {en: \"We'll be right back\"}\n" +
		"  # message: {en: \"We are improving our service.\"}\n" +
		"  # contact: support@example.com\n" +
		"  # logo: logo.svg\n")
}

func writeEnvironments(b *bytes.Buffer, all []DraftEnvironment, known *Known) error {
	b.WriteString("\n# Where services run, and how noren reaches each place. A protected one is confirmed by typing its name.\nenvironments:\n")
	for _, e := range all {
		fmt.Fprintf(b, "  %s:\n", scalar(e.Name))
		if e.Protected {
			b.WriteString("    protected: true\n")
		}
		if err := writeDrivers(b, "    ", e.Drivers, known); err != nil {
			return fmt.Errorf("catalog: write environment %s: %w", e.Name, err)
		}
		if len(e.Clusters) > 0 {
			b.WriteString("    clusters:\n")
		}
		for _, c := range e.Clusters {
			fmt.Fprintf(b, "      %s:\n", scalar(c.Name))
			if err := writeDrivers(b, "        ", c.Drivers, known); err != nil {
				return fmt.Errorf("catalog: write cluster %s of %s: %w", c.Name, e.Name, err)
			}
		}
		b.WriteString("    # Staff who reach the application while it is closed:\n" +
			"    # bypass: {sources: [203.0.113.0/24], pass: true}\n")
	}
	return nil
}

func writeDrivers(b *bytes.Buffer, indent string, drivers map[string]map[string]any, known *Known) error {
	for _, name := range slices.Sorted(maps.Keys(drivers)) {
		if !slices.Contains(known.Drivers, name) {
			known.Drivers = append(known.Drivers, name)
		}
		value, err := flow(drivers[name])
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Fprintf(b, "%s%s: %s\n", indent, scalar(name), value)
	}
	return nil
}

func writeTeams(b *bytes.Buffer, d Draft) {
	teams := slices.Clone(d.Teams)
	for _, s := range d.Services {
		teams = append(teams, s.Team)
	}
	seen := map[string]bool{"": true}
	b.WriteString("\n# Who owns what. A service names its team.\nteams:\n")
	for _, t := range teams {
		if !seen[t] {
			seen[t] = true
			fmt.Fprintf(b, "  %s: {} # contact: \"#channel\"\n", scalar(t))
		}
	}
	if len(seen) == 1 {
		b.WriteString("  # storefront: {contact: \"#storefront\"}\n")
	}
}

func writeServices(b *bytes.Buffer, all []DraftService, known *Known) error {
	b.WriteString("\n# What users use. web is shown an HTML page, api gets JSON; keep_open are paths that stay open,\n" +
		"# health are URLs that answer 200 when the service is well: opening ends when all of them do.\nservices:\n")
	for i, s := range all {
		if i > 0 {
			b.WriteString("\n")
		}
		for _, n := range s.Notes {
			fmt.Fprintf(b, "  # %s\n", comment(n))
		}
		fmt.Fprintf(b, "  %s:\n", scalar(s.Name))
		if s.Team != "" {
			fmt.Fprintf(b, "    team: %s\n", scalar(s.Team))
		} else {
			b.WriteString("    # team: nobody is known to own it\n")
		}
		kind := Web
		if s.API {
			kind = API
		}
		fmt.Fprintf(b, "    kind: %s\n", kind)
		if len(s.Only) > 0 {
			fmt.Fprintf(b, "    only: %s\n", flowTexts(s.Only))
		}
		b.WriteString("    entrances:\n")
		for _, e := range s.Entrances {
			if err := writeEntrance(b, e, known); err != nil {
				return fmt.Errorf("catalog: write service %s: %w", s.Name, err)
			}
		}
		writeWorkloads(b, "    ", s.Workloads, known)
		switch {
		case len(s.Health) > 0:
			fmt.Fprintf(b, "    health: %s\n", flowTexts(s.Health))
		case !slices.ContainsFunc(s.In, func(p DraftPart) bool { return len(p.Health) > 0 }):
			b.WriteString("    # health: [https://example.com/healthz]  # none found: noren cannot tell when it is well\n")
		}
		if len(s.KeepOpen) > 0 {
			fmt.Fprintf(b, "    keep_open: %s\n", flowTexts(s.KeepOpen))
		}
		writeParts(b, s.In, known)
	}
	return nil
}

// writeParts writes what differs from one environment to another.
func writeParts(b *bytes.Buffer, parts []DraftPart, known *Known) {
	if len(parts) > 0 {
		b.WriteString("    environments:\n")
	}
	for _, p := range parts {
		fmt.Fprintf(b, "      %s:\n", scalar(p.Environment))
		writeWorkloads(b, "        ", p.Workloads, known)
		if len(p.Health) > 0 {
			fmt.Fprintf(b, "        health: %s\n", flowTexts(p.Health))
		}
	}
}

func writeWorkloads(b *bytes.Buffer, indent string, all []DraftWorkload, known *Known) {
	if len(all) > 0 {
		fmt.Fprintf(b, "%sworkloads: # what rests while it is closed\n", indent)
	}
	for _, w := range all {
		if !slices.Contains(known.WorkloadKinds, w.Kind) {
			known.WorkloadKinds = append(known.WorkloadKinds, w.Kind)
		}
		if w.About != "" {
			fmt.Fprintf(b, "%s  # %s\n", indent, comment(w.About))
		}
		fmt.Fprintf(b, "%s  - %s\n", indent, w.flow())
	}
}

// writeUndecided lists as comments what a person may put into the services.
func writeUndecided(b *bytes.Buffer, all []DraftWorkload) {
	if len(all) == 0 {
		return
	}
	b.WriteString("\n# Found too. What works for a service, and may rest while it is closed, goes into its workloads:\n")
	for _, w := range all {
		fmt.Fprintf(b, "#     - %s\n", w.flow())
		if w.About != "" {
			fmt.Fprintf(b, "#       # %s\n", comment(w.About))
		}
	}
}

// flow is a workload on one line.
func (w DraftWorkload) flow() string {
	text := "{kind: " + scalar(w.Kind) + ", name: " + scalar(w.Name)
	if w.Cluster != "" {
		text += ", cluster: " + scalar(w.Cluster)
	}
	return text + "}"
}

func writeEntrance(b *bytes.Buffer, e DraftEntrance, known *Known) error {
	if !slices.Contains(known.EntranceKinds, e.Kind) {
		known.EntranceKinds = append(known.EntranceKinds, e.Kind)
	}
	if len(e.Options) > 0 { // as a driver gives them to tell its services apart
		known.SharedKinds = append(known.SharedKinds, e.Kind)
	}
	var about []string
	if len(e.Hosts) > 0 {
		about = append(about, "serves "+strings.Join(e.Hosts, ", "))
	}
	if e.Class != "" {
		about = append(about, e.Class)
	}
	if len(about) > 0 {
		fmt.Fprintf(b, "      # %s\n", comment(strings.Join(about, "; ")))
	}
	fmt.Fprintf(b, "      - kind: %s\n        name: %s\n", scalar(e.Kind), scalar(e.Name))
	if e.Cluster != "" {
		fmt.Fprintf(b, "        cluster: %s\n", scalar(e.Cluster))
	}
	for _, key := range slices.Sorted(maps.Keys(e.Options)) {
		value, err := flow(e.Options[key])
		if err != nil {
			return fmt.Errorf("%s %s: %s: %w", e.Kind, e.Name, key, err)
		}
		fmt.Fprintf(b, "        %s: %s\n", scalar(key), value)
	}
	return nil
}

// comment makes text safe behind a "#".
func comment(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\uFFFD"), func(c rune) bool {
		return c < ' ' || c == 0x7F || c == 0x85 || c == 0x2028 || c == 0x2029
	}), " ")
}

// plain is text that every YAML reader reads as itself without quotes, in a
// flow as well: "[a:b]" is a mapping to some, goccy among them.
var plain = regexp.MustCompile(`^(https?://)?[A-Za-z/][A-Za-z0-9_./@+*-]*$`)

// scalar writes text as YAML.
func scalar(s string) string {
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		return strconv.Quote(s)
	}
	if plain.MatchString(s) {
		return s
	}
	return quoted(s)
}

func flowTexts(all []string) string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = scalar(s)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// flow writes any JSON value as YAML on one line.
func flow(v any) (string, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var plain any
	if err := dec.Decode(&plain); err != nil {
		return "", err
	}
	return flowOf(plain), nil
}

func flowOf(v any) string {
	switch v := v.(type) {
	case map[string]any:
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, scalar(k)+": "+flowOf(v[k]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		var parts []string
		for _, item := range v {
			parts = append(parts, flowOf(item))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case string:
		return scalar(v)
	case nil:
		return "null"
	default:
		return fmt.Sprint(v)
	}
}

// quoted writes text in double quotes, with no escape but those that every
// YAML reader knows.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\t':
			b.WriteString(`\t`)
		case c > 0xFFFF:
			b.WriteRune(c)
		case c < ' ' || !strconv.IsPrint(c):
			fmt.Fprintf(&b, `\u%04X`, c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
