package report

import (
	"fmt"
	"html/template"
	"strings"
)

// HTML writes the report as a page of its own: no script, no font, nothing
// that is loaded from elsewhere. It follows the reader's light or dark theme.
func (r *Report) HTML() (string, error) {
	t, err := template.New("report").Parse(page)
	if err != nil {
		return "", err
	}
	type section struct {
		Section
		Facts []Fact
		Lines []shownLine
	}
	data := struct {
		*Report
		Title, Zone, Foot string
		Facts             []Fact
		Customers         []Customer
		Sections          []section
		Seen              []shownProof
		Style             template.CSS
		WideSVG, SlimSVG  template.HTML
	}{Report: r, Title: r.title() + " in " + r.Environment, Zone: r.zoneName(), Foot: r.foot(), Facts: r.facts(), Customers: r.customers(), Style: pageStyle,
		// The pictures are ours: every word of other people in them is escaped.
		WideSVG: template.HTML(r.SVG(Wide, "wide")), SlimSVG: template.HTML(r.SVG(Narrow, "slim"))}
	for _, s := range r.Runs {
		data.Sections = append(data.Sections, section{s, r.sectionFacts(s), r.shown(s.Lines)})
	}
	for _, p := range r.Proofs {
		data.Seen = append(data.Seen, shownProof{p, r.tenths(p.At), splitLines(p.Saw)})
	}
	var b strings.Builder
	if err := t.Execute(&b, data); err != nil {
		return "", fmt.Errorf("report of %s: %w", r.Run, err)
	}
	return printable(b.String()), nil
}

// A shownLine is a line with its times in words.
type shownLine struct {
	Line
	Clock, Sign, For string
	Details          []string
}

type shownProof struct {
	Proof
	Clock string
	Saws  []string
}

func (r *Report) shown(lines []Line) []shownLine {
	var all []shownLine
	for _, l := range lines {
		s := shownLine{Line: l, Clock: r.tenths(l.At), Sign: l.Kind.sign(), Details: splitLines(l.Detail)}
		if l.Took > 0 {
			s.For = Spell(l.Took)
		}
		all = append(all, s)
	}
	return all
}

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{.Run}}: {{.Title}}</title>
<style>{{.Style}}</style>
</head>
<body>
<main>
<header>
<p class="id">{{.Run}}</p>
<h1>{{.Title}}</h1>
<p class="outcome {{.Ending}}"><b>{{.Ending}}</b> {{.Outcome}}</p>
{{if .Audit.Broken}}<p class="alarm"><b>The records do not verify.</b> {{.Audit.Broken}}</p>{{end}}
</header>

<dl class="facts">
{{range .Facts}}<div><dt>{{.Name}}</dt><dd>{{.Value}}</dd></div>
{{end}}</dl>

<h2>Picture</h2>
<figure class="wide">{{.WideSVG}}</figure>
<figure class="slim">{{.SlimSVG}}</figure>

<h2>What customers saw</h2>
<div class="scroll"><table>
<thead><tr><th>service</th><th>closed from</th><th>to</th><th>for</th></tr></thead>
<tbody>
{{range .Customers}}<tr><td>{{.Service}}</td><td>{{.From}}</td><td>{{.To}}</td><td>{{.For}}</td></tr>
{{end}}</tbody></table></div>

<h2>Timeline</h2>
<p class="dim">Times are {{.Zone}}.</p>
{{range .Sections}}<section>
<h3>{{.Run}} <span class="dim">by {{.Who}}:</span> {{.Status}}</h3>
<dl class="small">
{{range .Facts}}<div><dt>{{.Name}}</dt><dd>{{.Value}}</dd></div>
{{end}}</dl>
<ol class="lines">
{{range .Lines}}<li class="{{.Kind}}"><time>{{.Clock}}</time><div><span class="what">{{.Sign}}{{.Text}}</span>{{if .For}} <span class="dim">{{.For}}</span>{{end}}{{range .Details}}<br><span class="detail">{{.}}</span>{{end}}</div></li>
{{end}}</ol>
</section>
{{end}}
{{if .Changes}}<h2>What was changed</h2>
{{range .Changes}}<section class="change">
<h3>{{.Target}}</h3>
<p>{{.Title}}: <b>{{.Became}}</b> <span class="dim">by {{.Run}}</span></p>
{{if .Line}}<p>{{.Line}}</p>{{end}}
{{with .Diff}}<pre>{{range .}}<span class="{{if eq .Sign "+"}}plus{{else if eq .Sign "-"}}minus{{end}}">{{.Sign}}{{.Text}}
</span>{{end}}</pre>{{end}}
</section>
{{end}}{{end}}
{{if .Seen}}<h2>What was seen from outside</h2>
<ol class="lines">
{{range .Seen}}<li class="{{if .OK}}done{{else}}failed{{end}}"><time>{{.Clock}}</time><div><span class="what">{{if .OK}}✓{{else}}✗{{end}} {{.Title}}</span>{{range .Saws}}<br><span class="detail">{{.}}</span>{{end}}</div></li>
{{end}}</ol>{{end}}
{{if .Stuck}}<h2>What was not, or cannot be, put back</h2>
<ul>
{{range .Stuck}}<li><code>{{.Target}}</code> <span class="dim">({{.Run}})</span>: {{.Why}}</li>
{{end}}</ul>{{end}}
{{if .Notes}}<h2>Notes of the plan</h2>
<ul>
{{range .Notes}}<li><b>{{if .Warn}}warning{{else}}note{{end}}:</b> {{.Text}}{{range .Targets}} <code>{{.}}</code>{{end}}</li>
{{end}}</ul>{{end}}
<footer>{{.Foot}}</footer>
</main>
</body>
</html>
`
