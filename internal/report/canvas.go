package report

import (
	"fmt"
	"html"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// A canvas is an SVG being drawn. Everything written on it is escaped.
type canvas struct {
	b     strings.Builder
	under strings.Builder // what lies below everything in b
}

// rect draws a box; its title is what a pointer, or a screen reader, is told.
func (c *canvas) rect(x, y, w, h float64, class, title string) {
	fmt.Fprintf(&c.b, `<rect x="%s" y="%s" width="%s" height="%s" rx="2" class="%s"`, num(x), num(y), num(w), num(h), class)
	if title == "" {
		c.b.WriteString("/>\n")
		return
	}
	fmt.Fprintf(&c.b, "><title>%s</title></rect>\n", escape(title))
}

// line draws below everything else.
func (c *canvas) line(x1, y1, x2, y2 float64, class string) {
	fmt.Fprintf(&c.under, `<line x1="%s" y1="%s" x2="%s" y2="%s" class="%s"/>`+"\n", num(x1), num(y1), num(x2), num(y2), class)
}

// text writes from x on; anchor "middle" and "end" write around x and up to it.
func (c *canvas) text(x, y float64, class, anchor, s string) {
	at := ""
	if anchor != "" {
		at = ` text-anchor="` + anchor + `"`
	}
	fmt.Fprintf(&c.b, `<text x="%s" y="%s" class="%s"%s>%s</text>`+"\n", num(x), num(y), class, at, escape(s))
}

func num(f float64) string { return strconv.FormatFloat(float64(int(f*10+0.5))/10, 'f', -1, 64) }

// escape makes text safe inside an element or an attribute.
func escape(s string) string { return html.EscapeString(printable(s)) }

// printable leaves out control characters, which XML knows no way to write,
// and those that turn the direction of what follows.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
}

// charWidth is the width of a character of size 12, roughly: no font is known
// where the picture is drawn.
func charWidth(r rune) float64 {
	if r >= 0x2e80 {
		return 12
	}
	return 6.7
}

func textWidth(s string) float64 {
	w := 0.0
	for _, r := range s {
		w += charWidth(r)
	}
	return w
}

// fit cuts a text to a width, with "…".
func fit(s string, width float64) string {
	if textWidth(s) <= width {
		return s
	}
	w := charWidth('m')
	for i, r := range s {
		if w += charWidth(r); w > width {
			return s[:i] + "…"
		}
	}
	return s
}

// A scale maps times to places on the canvas.
type scale struct {
	from, to time.Time
	x, width float64
	zone     *time.Location
}

func (s scale) at(t time.Time) float64 {
	if !s.to.After(s.from) {
		return s.x
	}
	part := float64(t.Sub(s.from)) / float64(s.to.Sub(s.from))
	return s.x + min(max(part, 0), 1)*s.width
}

// ticks are round times of the zone, not closer than minGap.
func (s scale) ticks(minGap float64) (times []time.Time, layout string) {
	total := s.to.Sub(s.from)
	if total <= 0 {
		return []time.Time{s.from}, "15:04:05"
	}
	step := 100 * time.Millisecond
	for _, step = range tickSteps() {
		if float64(step)/float64(total)*s.width >= minGap {
			break
		}
	}
	layout = "15:04:05"
	switch {
	case step >= 24*time.Hour:
		layout = "01-02"
	case step >= time.Minute:
		layout = "15:04"
	case step < time.Second:
		layout = "15:04:05.0"
	}
	_, offset := s.from.In(s.zone).Zone()
	shift := time.Duration(offset) * time.Second
	for t := s.from.Add(shift).Truncate(step).Add(-shift); !t.After(s.to); t = t.Add(step) {
		if !t.Before(s.from) {
			times = append(times, t)
		}
	}
	return times, layout
}

func tickSteps() []time.Duration {
	const s, m, h = time.Second, time.Minute, time.Hour
	return []time.Duration{s / 10, s / 5, s / 2, s, 2 * s, 5 * s, 10 * s, 15 * s, 30 * s, m, 2 * m, 5 * m, 10 * m, 15 * m, 30 * m,
		h, 2 * h, 3 * h, 6 * h, 12 * h, 24 * h, 48 * h, 7 * 24 * h, 28 * 24 * h, 365 * 24 * h}
}
