package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/plan"
)

// Widths of pictures: beside text on a screen, on a page of its own, and on a
// telephone.
const (
	Wide   = 1000
	Narrow = 340
)

const (
	margin   = 14.0
	labelH   = 16.0 // a line of text
	laneH    = 11.0 // a lane of bars
	minBar   = 2.5  // a bar that can be seen
	tickGap  = 84.0 // between the times of an axis
	mostRows = 40   // services drawn one by one
	fewRows  = 8    // services drawn one by one in the overview
)

// A picture is the drawing of a report.
type picture struct {
	canvas
	r     *Report
	width float64
	y     float64
	used  []string // stages, for the legend
}

// SVG draws the time that the closing took: in all, planned beside actual, and
// then each run by stages and services. It needs no script and no font, and
// follows the reader's light or dark theme. Two pictures on one page need
// different ids.
func (r *Report) SVG(width int, id string) string {
	p := &picture{r: r, width: float64(width), y: margin}
	p.overview()
	for _, s := range r.Runs {
		p.section(s)
	}
	p.legend()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %s" width="%d" height="%s" role="img" aria-labelledby="%s-title %s-desc" class="nrn">`+"\n",
		width, num(p.y), width, num(p.y), id, id)
	fmt.Fprintf(&b, "<title id=\"%s-title\">%s</title>\n<desc id=\"%s-desc\">%s</desc>\n", id, escape("Timeline of "+r.Run+" in "+r.Environment), id, escape(r.inWords()))
	b.WriteString("<style>" + style + "</style>\n")
	fmt.Fprintf(&b, `<rect width="%d" height="%s" class="nrn-bg"/>`+"\n", width, num(p.y))
	b.WriteString(p.under.String() + p.b.String() + "</svg>\n")
	return b.String()
}

// inWords is the picture for those who do not see it.
func (r *Report) inWords() string {
	var parts []string
	if !r.Planned.IsZero() {
		parts = append(parts, "Planned until "+r.moment(r.Planned)+".")
	}
	for _, s := range r.Services {
		for _, c := range s.Closed {
			parts = append(parts, s.Name+" was closed "+r.between(c)+".")
		}
	}
	for _, s := range r.Runs {
		var stages []string
		for _, st := range s.stages {
			stages = append(stages, fmt.Sprintf("%s %s", st.name, Spell(st.to.Sub(st.from))))
		}
		parts = append(parts, fmt.Sprintf("Run %s (%s) began at %s: %s.", s.Run, s.Status, r.moment(s.Began), strings.Join(stages, ", ")))
	}
	return strings.Join(parts, " ")
}

func (r *Report) between(p Period) string {
	text := "from " + r.moment(p.From)
	if p.To.IsZero() {
		return text + " on, and still is"
	}
	return text + " to " + r.moment(p.To) + ", for " + Spell(p.Length(r.Made))
}

// overview draws the whole time on one axis.
func (p *picture) overview() {
	r := p.r
	sc := scale{from: r.Began, to: r.last(), x: margin, width: p.width - 2*margin, zone: r.zone}
	pad := sc.to.Sub(sc.from) / 50
	sc.from, sc.to = sc.from.Add(-pad), sc.to.Add(pad)
	p.heading("In all", r.Began.In(r.zone).Format("2006-01-02, MST"))
	top := p.y
	if !r.Planned.IsZero() {
		p.labelled(sc, r.Began, r.Planned, "nrn-plan", "planned until "+r.clock(r.Planned), "planned: "+Spell(r.Planned.Sub(r.Began)))
	}
	until := r.Planned
	for _, e := range r.Extensions {
		from := until
		if from.IsZero() || e.Until.Before(from) {
			from = e.At
		}
		p.labelled(sc, from, e.Until, "nrn-plan", "extended to "+r.clock(e.Until)+" by "+e.Who, "extended at "+r.clock(e.At))
		until = e.Until
	}
	for _, row := range r.closedRows() {
		p.closedRow(sc, row)
	}
	for _, s := range r.Runs {
		end := s.end()
		p.labelled(sc, s.Began, end, "nrn-run", fmt.Sprintf("%s, %s: %s", s.Run, s.Status, Spell(end.Sub(s.Began))), "")
	}
	p.axis(sc, top)
}

// A closedRow is one bar, or several in a row, of the overview.
type closedRow struct {
	name    string
	periods []Period
}

func (r *Report) closedRows() []closedRow {
	if len(r.Services) > fewRows {
		if r.Closed.From.IsZero() {
			return nil
		}
		return []closedRow{{fmt.Sprintf("%d services", len(r.Services)), []Period{r.Closed}}}
	}
	var rows []closedRow
	for _, s := range r.Services {
		if len(s.Closed) > 0 {
			rows = append(rows, closedRow{s.Name, s.Closed})
		}
	}
	return rows
}

func (p *picture) closedRow(sc scale, row closedRow) {
	r := p.r
	for _, c := range row.periods {
		end := c.To
		text := row.name + " closed " + Spell(c.Length(r.Made))
		if end.IsZero() {
			end, text = r.Made, text+", and still is"
		}
		if !c.FromProven || !c.ToProven && !c.To.IsZero() {
			text += " (not proven)"
		}
		late := !r.Until.IsZero() && end.After(r.Until)
		if late {
			text += ", " + Spell(end.Sub(r.Until)) + " late"
		}
		p.labelled(sc, c.From, end, "nrn-closed", text, row.name+" was closed "+r.between(c))
		if from := maxTime(c.From, r.Until); late {
			x := sc.at(from)
			p.rect(x, p.y-laneH-4, max(sc.at(end)-x, minBar), laneH, "nrn-late", "later than planned: "+Spell(end.Sub(from)))
		}
	}
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// labelled draws a bar with its text above, moved so that it stays inside.
func (p *picture) labelled(sc scale, from, to time.Time, class, label, title string) {
	x := sc.at(from)
	label = fit(label, p.width-2*margin)
	p.text(min(x, p.width-margin-textWidth(label)), p.y+labelH-4, "nrn-t", "", label)
	p.y += labelH
	p.rect(x, p.y, max(sc.at(to)-x, minBar), laneH, class, title)
	p.y += laneH + 4
}

func (p *picture) heading(text, right string) {
	p.text(margin, p.y+labelH-3, "nrn-h", "", fit(text, p.width-2*margin))
	if right != "" && textWidth(text)*1.1+textWidth(right) < p.width-3*margin {
		p.text(p.width-margin, p.y+labelH-3, "nrn-d", "end", right)
	}
	p.y += labelH + 6
}

// axis draws ticks below what was drawn from top on, and lines up to there.
func (p *picture) axis(sc scale, top float64) {
	p.line(sc.x, p.y, sc.x+sc.width, p.y, "nrn-axis")
	times, layout := sc.ticks(tickGap)
	free := sc.x // from here on nothing is written yet
	for _, t := range times {
		x := sc.at(t)
		p.line(x, top, x, p.y+4, "nrn-grid")
		label := t.In(sc.zone).Format(layout)
		half := textWidth(label) / 2
		if x-half < free || x+half > sc.x+sc.width {
			continue
		}
		p.text(x, p.y+labelH, "nrn-d", "middle", label)
		free = x + half + 6
	}
	p.y += labelH + 14
}

// section draws one run on an axis of its own.
func (p *picture) section(s Section) {
	kind, ok := map[plan.Kind]string{plan.Close: "Closing", plan.Open: "Opening", plan.Extend: "Extension"}[s.Kind]
	if !ok {
		kind = string(s.Kind)
	}
	p.y += 4
	p.heading(fmt.Sprintf("%s by %s, %s", kind, s.Who, s.Status), s.Run+", "+Spell(s.end().Sub(s.Began)))
	sc := scale{from: s.Began, to: s.end(), x: margin, width: p.width - 2*margin, zone: p.r.zone}
	if !sc.to.After(sc.from) {
		sc.to = sc.from.Add(time.Second)
	}
	top := p.y
	for _, st := range s.stages {
		x, w := sc.at(st.from), sc.at(st.to)-sc.at(st.from)
		p.use(st.name)
		p.rect(x, p.y, max(w-1, minBar), labelH, classOf(st.name), fmt.Sprintf("stage %s: %s to %s, %s", st.name, p.r.clock(st.from), p.r.clock(st.to), Spell(st.to.Sub(st.from))))
		if w > textWidth(st.name)+6 {
			p.text(x+w/2, p.y+labelH-4, "nrn-on", "middle", st.name)
		}
	}
	p.y += labelH + 6
	for _, h := range s.halts {
		p.labelled(sc, h.from, h.to, "nrn-plan", h.name+": "+Spell(h.to.Sub(h.from)), "")
	}
	rows := byService(s.bars)
	for i, row := range rows {
		if i == mostRows {
			p.text(margin, p.y+labelH-4, "nrn-d", "", fmt.Sprintf("and %d more, in the table", len(rows)-i))
			p.y += labelH
			break
		}
		p.row(sc, row)
	}
	p.axis(sc, top)
}

// A row is what happened to one service, or to a target of none.
type row struct {
	name string
	bars []bar
}

func byService(bars []bar) []row {
	var rows []row
	for _, b := range bars {
		i := slices.IndexFunc(rows, func(r row) bool { return r.name == b.service })
		if i < 0 {
			i = len(rows)
			rows = append(rows, row{name: b.service})
		}
		rows[i].bars = append(rows[i].bars, b)
	}
	return rows
}

// row draws bars in as many lanes as keep them from covering each other.
func (p *picture) row(sc scale, r row) {
	p.text(margin, p.y+labelH-4, "nrn-t", "", fit(r.name, p.width-2*margin))
	p.y += labelH
	var ends []float64 // of the lanes
	for _, b := range r.bars {
		x := sc.at(b.from)
		w := max(sc.at(b.to)-x, minBar)
		x = min(x, sc.x+sc.width-w)
		lane := slices.IndexFunc(ends, func(e float64) bool { return e <= x })
		if lane < 0 {
			lane = len(ends)
			ends = append(ends, 0)
		}
		y := p.y + float64(lane)*laneH
		class := classOf(b.stage)
		p.use(b.stage)
		switch b.outcome {
		case barFailed:
			class = "nrn-bad"
			p.use("bad")
		case barSkipped, barCut, barOpen:
			class += " nrn-cut"
		}
		p.rect(x, y, w, laneH-2, class, fmt.Sprintf("%s: %s, %s to %s, %s", b.title, b.outcome, p.r.clock(b.from), p.r.clock(b.to), Spell(b.to.Sub(b.from))))
		ends[lane] = x + w + 1
		if b.outcome == barFailed {
			p.text(x+w+2, y+laneH-2, "nrn-x", "", "✗")
			ends[lane] += 12
		}
	}
	p.y += float64(len(ends))*laneH + 5
}

// classOf is the class of a stage, of letters alone whatever it is called.
func classOf(stage string) string {
	return "nrn-" + strings.Map(func(r rune) rune {
		if r < 'a' || r > 'z' {
			return -1
		}
		return r
	}, stage)
}

func (p *picture) use(stage string) {
	if !slices.Contains(p.used, stage) {
		p.used = append(p.used, stage)
	}
}

// legend names the colours that were used, on as many lines as it takes.
func (p *picture) legend() {
	words := map[string]string{"bad": "✗ failed", stageUndo: "put back"}
	x := margin
	add := func(class, word string) {
		w := 14 + textWidth(word) + 14
		if x+w > p.width-margin && x > margin {
			x = margin
			p.y += labelH + 2
		}
		p.rect(x, p.y, 10, 10, class, "")
		p.text(x+14, p.y+9.5, "nrn-d", "", word)
		x += w
	}
	if !p.r.Planned.IsZero() || len(p.r.Extensions) > 0 {
		add("nrn-plan", "planned")
	}
	if !p.r.Closed.From.IsZero() {
		add("nrn-closed", "closed for customers")
	}
	if p.r.late() > 0 {
		add("nrn-late", "later than planned")
	}
	for _, stage := range p.used {
		word := stage
		if w, ok := words[stage]; ok {
			word = w
		}
		add(classOf(stage), word)
	}
	p.y += labelH + margin/2
}

// end is when the run ended, or the last that is known of it.
func (s Section) end() time.Time {
	end := s.Ended
	if end.IsZero() && len(s.Lines) > 0 {
		for _, l := range s.Lines {
			end = maxTime(end, l.At)
		}
	}
	return maxTime(end, s.Began)
}

// last is the end of the picture's time.
func (r *Report) last() time.Time {
	last := maxTime(r.Planned, r.Until)
	for _, s := range r.Runs {
		last = maxTime(last, s.end())
	}
	if !r.Closed.From.IsZero() && r.Closed.To.IsZero() {
		last = maxTime(last, r.Made)
	}
	for _, e := range r.Extensions {
		last = maxTime(last, e.Until)
	}
	return last
}
