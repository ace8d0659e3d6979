package view

import (
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/aymanbagabas/go-udiff"
	"github.com/charmbracelet/x/ansi"
)

// The styles use the terminal's own sixteen colours, so that they follow its
// theme; meaning never rests on colour alone.
var (
	bold   = lipgloss.NewStyle().Bold(true).Render
	faint  = lipgloss.NewStyle().Faint(true).Render
	green  = lipgloss.NewStyle().Foreground(lipgloss.Green).Render
	red    = lipgloss.NewStyle().Foreground(lipgloss.Red).Render
	yellow = lipgloss.NewStyle().Foreground(lipgloss.Yellow).Render
	cyan   = lipgloss.NewStyle().Foreground(lipgloss.Cyan).Render
	loud   = lipgloss.NewStyle().Bold(true).Foreground(lipgloss.White).Background(lipgloss.Red).Padding(0, 1).Render
)

// diffContext is how many unchanged lines stand around a change.
const diffContext = 2

// diff shows the way from one text to another, coloured and indented.
func diff(before, after, indent string) string {
	edits := udiff.Lines(ensureNewline(before), ensureNewline(after))
	unified, err := udiff.ToUnified("before", "after", ensureNewline(before), edits, diffContext)
	if err != nil {
		unified = after
	}
	var b strings.Builder
	for i, line := range strings.Split(strings.TrimRight(unified, "\n"), "\n") {
		line = clip(line)
		switch {
		case i < 2 && (strings.HasPrefix(line, "---") || strings.HasPrefix(line, "+++")):
			continue
		case strings.HasPrefix(line, "@@"):
			continue
		case strings.HasPrefix(line, "+"):
			line = green(line)
		case strings.HasPrefix(line, "-"):
			line = red(line)
		}
		b.WriteString(indent + line + "\n")
	}
	return b.String()
}

// widest is how many columns of a line a diff shows: a closed page is one long
// line, and whole in noren page build and --output json.
const widest = 100

func clip(line string) string { return ansi.Truncate(line, widest, " …") }

func ensureNewline(s string) string {
	if s == "" || strings.HasSuffix(s, "\n") {
		return s
	}
	return s + "\n"
}
