package report

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/aymanbagabas/go-udiff"
)

// Markdown writes the report as Markdown. picture is the path or URL of the
// SVG, "" for none: the timeline is there as text in any case.
func (r *Report) Markdown(picture string) string {
	m := &markdown{r: r}
	m.f("# %s: %s in %s\n\n", r.Run, md(r.title()), md(r.Environment))
	m.f("%s\n\n", md(r.Outcome))
	if r.Audit.Broken != "" {
		m.f("> **The records do not verify.** %s\n\n", md(r.Audit.Broken))
	}
	for _, f := range r.facts() {
		m.f("- **%s:** %s\n", f.Name, md(f.Value))
	}
	m.customers()
	if picture != "" {
		m.f("\n## Picture\n\n![Timeline of %s](%s)\n", r.Run, strings.ReplaceAll(picture, " ", "%20"))
	}
	m.timeline()
	m.changes()
	m.proofs()
	m.rest()
	return m.b.String()
}

type markdown struct {
	r *Report
	b strings.Builder
}

func (m *markdown) f(format string, args ...any) { fmt.Fprintf(&m.b, format, args...) }

func (m *markdown) customers() {
	m.f("\n## What customers saw\n\n| service | closed from | to | for |\n|---|---|---|---|\n")
	for _, s := range m.r.customers() {
		m.f("| %s | %s | %s | %s |\n", md(s.Service), s.From, s.To, s.For)
	}
}

func (m *markdown) timeline() {
	m.f("\n## Timeline\n\nTimes are %s.\n", m.r.zoneName())
	for _, s := range m.r.Runs {
		m.f("\n### %s by %s: %s\n\n", s.Run, md(s.Who), s.Status)
		for _, f := range m.r.sectionFacts(s) {
			m.f("- %s: %s\n", f.Name, md(f.Value))
		}
		m.f("\n")
		for _, l := range s.Lines {
			m.f("- `%s` %s%s%s\n", m.r.tenths(l.At), l.Kind.sign(), md(l.Text), m.r.took(l))
			for _, d := range splitLines(l.Detail) {
				m.f("  - %s\n", md(d))
			}
		}
	}
}

func (m *markdown) changes() {
	if len(m.r.Changes) == 0 {
		return
	}
	m.f("\n## What was changed\n")
	for _, c := range m.r.Changes {
		m.f("\n### %s\n\n%s: **%s**, by %s.\n", md(c.Target), md(c.Title), c.Became, c.Run)
		if c.Line != "" {
			m.f("\n%s\n", md(c.Line))
		}
		lines := c.Diff()
		if len(lines) == 0 {
			continue
		}
		var text strings.Builder
		for _, l := range lines {
			text.WriteString(l.Sign + l.Text + "\n")
		}
		fence := fenceFor(text.String())
		m.f("\n%sdiff\n%s%s\n", fence, text.String(), fence)
	}
}

func (m *markdown) proofs() {
	if len(m.r.Proofs) == 0 {
		return
	}
	m.f("\n## What was seen from outside\n\n")
	for _, p := range m.r.Proofs {
		sign := "✓"
		if !p.OK {
			sign = "✗"
		}
		m.f("- `%s` %s %s\n", m.r.tenths(p.At), sign, md(p.Title))
		for _, d := range splitLines(p.Saw) {
			m.f("  - %s\n", md(d))
		}
	}
}

func (m *markdown) rest() {
	if len(m.r.Stuck) > 0 {
		m.f("\n## What was not, or cannot be, put back\n\n")
		for _, s := range m.r.Stuck {
			m.f("- %s (%s): %s\n", md(s.Target), s.Run, md(s.Why))
		}
	}
	if len(m.r.Notes) > 0 {
		m.f("\n## Notes of the plan\n\n")
		for _, n := range m.r.Notes {
			label := "note"
			if n.Warn {
				label = "warning"
			}
			m.f("- **%s:** %s (%s)\n", label, md(n.Text), md(strings.Join(n.Targets, ", ")))
		}
	}
	m.f("\n---\n\n%s\n", md(m.r.foot()))
}

// md escapes text for Markdown, on one line.
func md(s string) string {
	var b strings.Builder
	for _, r := range strings.Join(strings.Fields(s), " ") {
		switch {
		case strings.ContainsRune("\\`*_{}[]<>#|!~", r):
			b.WriteRune('\\')
			b.WriteRune(r)
		case r == '&':
			b.WriteString("&amp;")
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteRune(' ')
		}
	}
	return b.String()
}

// fenceFor is a fence that the text does not contain.
func fenceFor(text string) string {
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	return fence
}

func splitLines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

// A DiffLine is one line of a diff: its sign is "+", "-" or " ".
type DiffLine struct{ Sign, Text string }

// diffContext is how many unchanged lines stand around a change, and
// longestDiffLine how much of one is shown: a page is one long line.
const (
	diffContext     = 2
	longestDiffLine = 160
)

// Diff is the way from before to after.
func (c Change) Diff() []DiffLine {
	if c.Before == c.After {
		return nil
	}
	before, after := withNewline(c.Before), withNewline(c.After)
	unified, err := udiff.ToUnified("before", "after", before, udiff.Lines(before, after), diffContext)
	if err != nil {
		unified = after
	}
	var lines []DiffLine
	for i, l := range strings.Split(strings.TrimRight(unified, "\n"), "\n") {
		switch {
		case i < 2 && (strings.HasPrefix(l, "---") || strings.HasPrefix(l, "+++")), strings.HasPrefix(l, "@@"), l == "":
			continue
		}
		if r := []rune(l); len(r) > longestDiffLine {
			l = string(r[:longestDiffLine]) + " …"
		}
		lines = append(lines, DiffLine{l[:1], l[1:]})
	}
	return lines
}

func withNewline(s string) string {
	if s == "" || strings.HasSuffix(s, "\n") {
		return s
	}
	return s + "\n"
}
