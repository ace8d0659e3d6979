package report

import (
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"
)

// Title names the rehearsal.
func (r *Rehearsal) Title() string {
	how := "for real"
	if r.OnCopy {
		how = "on a copy"
	}
	return fmt.Sprintf("Rehearsal of %s in %s, %s", strings.Join(r.Services, ", "), r.Environment, how)
}

// Met says what a visitor met in a phase, "–" where it never came so far.
func (v Visitor) Met(p Phase) string {
	if len(v.Sees[p]) == 0 {
		return "–"
	}
	return strings.Join(v.Sees[p], " → ")
}

// HowLong says in a sentence how long the real thing should take.
func (e Expected) HowLong() string {
	text := e.Doing + ": about " + Roughly(e.About)
	switch {
	case e.About == 0:
		text = e.Doing + ": not known"
	case e.About < time.Second:
		text = e.Doing + ": less than a second"
	}
	switch {
	case e.Measured == 1:
		text += ", by 1 recorded run"
	case e.Measured > 1:
		text += fmt.Sprintf(", by %d recorded runs", e.Measured)
	case len(e.Basis) > 0:
		text += ", by published figures; no run is recorded"
	}
	if n := len(e.Unknown); n > 0 {
		text += fmt.Sprintf("; and what %d of the steps take, of which nothing is known", n)
		if n == 1 {
			text = strings.Replace(text, "what 1 of the steps take", "what one of the steps takes", 1)
		}
	}
	return text
}

// Resting says what rests while closed, "" if nothing does.
func (r *Rehearsal) Resting() string {
	if len(r.AtRest) == 0 {
		return ""
	}
	return "While closed, these rest, and who gets to the service meets it without them: " + strings.Join(r.AtRest, ", ") + "."
}

// bases are the published figures that the expectations rest on, each once.
func (r *Rehearsal) bases() []string {
	var all []string
	for _, e := range r.Expected {
		for _, b := range e.Basis {
			if !slices.Contains(all, b) {
				all = append(all, b)
			}
		}
	}
	return all
}

// Markdown writes the rehearsal as Markdown. picture is the path or URL of the
// SVG of its runs, "" for none.
func (r *Rehearsal) Markdown(picture string) string {
	m := &markdown{r: r.Runs}
	m.f("# %s\n\n%s\n", md(r.Title()), md(r.Outcome))
	if f := r.Failure; f != nil {
		m.f("\n## Where it failed\n\n- **While %s**, at: %s\n- **What happened:** %s\n", f.Doing, md(f.Step), md(strings.TrimSpace(f.Problem.Summary+": "+f.Problem.Detail)))
		for _, w := range f.Written {
			m.f("- **Changed by then:** %s\n", md(w))
		}
		m.f("- **Taking back:** %s\n", md(f.Undo))
	}
	m.f("\n## How long the real thing should take\n\n")
	for _, e := range r.Expected {
		m.f("- %s\n", md(e.HowLong()))
		for _, u := range e.Unknown {
			m.f("  - not known: %s\n", md(u))
		}
	}
	m.list("", r.bases())
	r.table(m)
	m.f("\n## What cannot be undone\n\n")
	if len(r.CannotUndo) == 0 {
		m.f("Nothing: every change has its undo.\n")
	}
	for _, s := range r.CannotUndo {
		m.f("- %s: %s\n", md(s.Target), md(s.Why))
	}
	if len(r.Different) > 0 {
		m.f("\n## What was not as before\n")
		for _, d := range r.Different {
			m.f("\n### %s\n", md(d.Object))
			m.diff(d.Diff())
		}
	}
	m.f("\n## Steps\n\n| | step | took | |\n|---|---|---|---|\n")
	for _, s := range r.Steps {
		m.f("| %s, %s | %s | %s | %s |\n", s.Doing, s.Stage, md(s.Title), Spell(s.Took), s.Status)
	}
	for _, n := range r.Notes {
		m.f("\n**Warning:** %s (%s)\n", md(n.Value), md(n.Name))
	}
	m.list("Not rehearsed", r.LeftOut)
	m.list("What a rehearsal cannot tell", r.Untold)
	if r.Runs != nil {
		if picture != "" {
			m.f("\n## Picture\n\n![Timeline of %s](%s)\n", r.Runs.Run, strings.ReplaceAll(picture, " ", "%20"))
		}
		m.timeline()
		m.changes()
	}
	return m.b.String()
}

func (r *Rehearsal) table(m *markdown) {
	m.f("\n## Who sees what\n\n| service | visitor | request |")
	for _, p := range Phases() {
		m.f(" %s |", p)
	}
	m.f("\n|---|---|---|%s\n", strings.Repeat("---|", len(Phases())))
	for _, v := range r.Visitors {
		m.f("| %s | %s | %s |", md(v.Service), md(v.Who), md(v.Request))
		for _, p := range Phases() {
			m.f(" %s |", md(v.Met(p)))
		}
		m.f("\n")
	}
	if len(r.AtRest) > 0 {
		m.f("\n%s\n", md(r.Resting()))
	}
	for i, t := range r.Seen {
		if i == 0 {
			m.f("\nBy the writes, one after the other:\n\n")
		}
		m.f("- after %s: %s sees %s, no longer %s\n", md(t.Write), md(t.Visitor), md(t.To), md(t.From))
	}
}

// list writes a heading, if there is one, and a list.
func (m *markdown) list(heading string, items []string) {
	if len(items) > 0 && heading != "" {
		m.f("\n## %s\n\n", heading)
	}
	for _, i := range items {
		m.f("- %s\n", md(i))
	}
}

func (m *markdown) diff(lines []DiffLine) {
	var text strings.Builder
	for _, l := range lines {
		text.WriteString(l.Sign + l.Text + "\n")
	}
	fence := fenceFor(text.String())
	m.f("\n%sdiff\n%s%s\n", fence, text.String(), fence)
}

// HTML writes the rehearsal as a page of its own, as that of a [Report].
func (r *Rehearsal) HTML() (string, error) {
	t, err := template.New("rehearsal").Parse(rehearsalPage)
	if err != nil {
		return "", err
	}
	data := struct {
		*Rehearsal
		Phases           []Phase
		Bases            []string
		Style            template.CSS
		WideSVG, SlimSVG template.HTML
		MadeAt           string
	}{Rehearsal: r, Phases: Phases(), Bases: r.bases(), Style: pageStyle, MadeAt: r.Made.UTC().Format("2006-01-02 15:04:05 MST")}
	if r.Runs != nil {
		data.WideSVG, data.SlimSVG = template.HTML(r.Runs.SVG(Wide, "wide")), template.HTML(r.Runs.SVG(Narrow, "slim")) // as in a report
		data.MadeAt = r.Runs.moment(r.Made)
	}
	var b strings.Builder
	if err := t.Execute(&b, data); err != nil {
		return "", fmt.Errorf("report of the rehearsal: %w", err)
	}
	return printable(b.String()), nil
}

// Time says how long the step took.
func (s RehearsedStep) Time() string { return Spell(s.Took) }

const rehearsalPage = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{.Title}}</title>
<style>{{.Style}}</style>
</head>
<body>
<main>
<header>
<p class="id">rehearsal</p>
<h1>{{.Title}}</h1>
<p class="outcome {{if .OK}}open{{else}}stranded{{end}}"><b>{{if .OK}}passed{{else}}failed{{end}}</b> {{.Outcome}}</p>
</header>
{{with .Failure}}<h2>Where it failed</h2>
<p class="alarm"><b>While {{.Doing}}{{if .Step}}, at: {{.Step}}{{end}}.</b> {{.Problem.Summary}}: {{.Problem.Detail}}</p>
<ul>{{range .Written}}<li>changed by then: {{.}}</li>{{end}}<li>{{.Undo}}</li></ul>
{{end}}
<h2>How long the real thing should take</h2>
<ul>
{{range .Expected}}<li>{{.HowLong}}{{range .Unknown}}<br><span class="detail">not known: {{.}}</span>{{end}}</li>
{{end}}{{range .Bases}}<li class="dim">{{.}}</li>
{{end}}</ul>

<h2>Who sees what</h2>
<div class="scroll"><table>
<thead><tr><th>service</th><th>visitor</th><th>request</th>{{range .Phases}}<th>{{.}}</th>{{end}}</tr></thead>
<tbody>
{{$phases := .Phases}}{{range .Visitors}}{{$v := .}}<tr><td>{{.Service}}</td><td>{{.Who}}</td><td>{{.Request}}</td>{{range $phases}}<td>{{$v.Met .}}</td>{{end}}</tr>
{{end}}</tbody></table></div>
{{with .Resting}}<p>{{.}}</p>{{end}}
{{if .Seen}}<ul>
{{range .Seen}}<li>after {{.Write}}: {{.Visitor}} sees <b>{{.To}}</b>, no longer {{.From}}</li>
{{end}}</ul>{{end}}

<h2>What cannot be undone</h2>
{{if .CannotUndo}}<ul>{{range .CannotUndo}}<li><code>{{.Target}}</code>: {{.Why}}</li>{{end}}</ul>{{else}}<p>Nothing: every change has its undo.</p>{{end}}
{{if .Different}}<h2>What was not as before</h2>
{{range .Different}}<section class="change"><h3>{{.Object}}</h3>
<pre>{{range .Diff}}<span class="{{if eq .Sign "+"}}plus{{else if eq .Sign "-"}}minus{{end}}">{{.Sign}}{{.Text}}
</span>{{end}}</pre></section>
{{end}}{{end}}
<h2>Steps</h2>
{{if .WideSVG}}<figure class="wide">{{.WideSVG}}</figure>
<figure class="slim">{{.SlimSVG}}</figure>{{end}}
<div class="scroll"><table>
<thead><tr><th></th><th>step</th><th>took</th><th></th></tr></thead>
<tbody>
{{range .Steps}}<tr><td>{{.Doing}}, {{.Stage}}</td><td>{{.Title}}{{if .Change}}<br><span class="detail">{{.Change}}</span>{{end}}</td><td>{{.Time}}</td><td>{{.Status}}</td></tr>
{{end}}</tbody></table></div>
{{if .Notes}}<h2>Warnings of the plan</h2>
<ul>{{range .Notes}}<li>{{.Value}} <code>{{.Name}}</code></li>{{end}}</ul>{{end}}
{{if .LeftOut}}<h2>Not rehearsed</h2>
<ul>{{range .LeftOut}}<li>{{.}}</li>{{end}}</ul>{{end}}
<h2>What a rehearsal cannot tell</h2>
<ul>{{range .Untold}}<li>{{.}}</li>{{end}}</ul>
<footer>Made by noren at {{.MadeAt}}.</footer>
</main>
</body>
</html>
`
