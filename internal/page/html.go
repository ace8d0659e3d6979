package page

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"html/template"

	"github.com/noren-dev/noren/internal/fault"
	"github.com/tdewolff/minify/v2"
	"github.com/tdewolff/minify/v2/css"
	"github.com/tdewolff/minify/v2/html"
	"github.com/tdewolff/minify/v2/svg"
)

//go:embed page.tmpl
var ours string

// HTML builds the closed page. A budget of 0 is none; a page over its budget
// is a fault that says by how much and what takes the bytes.
func HTML(c Content, budget int) (Page, error) {
	d, err := c.data()
	if err != nil {
		return Page{}, err
	}
	logo, err := c.logo()
	if err != nil {
		return Page{}, err
	}
	var body []byte
	var notes []string
	if c.Template != "" {
		d.Logo, d.Refresh = logo, c.refresh()
		body, err = own(c.Template, d)
	} else {
		body, notes, err = furnish(d, logo, c.refresh(), budget)
	}
	if err != nil {
		return Page{}, err
	}
	if over(body, budget) > 0 {
		return Page{}, overflow("closed page", body, d, budget)
	}
	return c.page("text/html; charset=utf-8", body, notes), nil
}

// furnish renders the bare page and adds what the budget leaves room for.
func furnish(d Data, logo template.URL, refresh, budget int) (body []byte, notes []string, err error) {
	tmpl, err := template.New("page").Parse(ours)
	if err != nil {
		return nil, nil, fmt.Errorf("page: parse our template: %w", err)
	}
	if body, err = render(tmpl, d); err != nil || over(body, budget) > 0 {
		return body, nil, err
	}
	extras := []struct {
		name   string
		wanted bool
		add    func(*Data)
	}{
		{"logo", logo != "", func(d *Data) { d.Logo = logo }},
		{"cloth", true, func(d *Data) { d.Cloth = true }},
		{"refresh", refresh > 0, func(d *Data) { d.Refresh = refresh }},
		{"word that it is late", d.late() != "", func(d *Data) { d.Late = d.late() }},
		{"fine spacing", true, func(d *Data) { d.Fine = true }},
	}
	for _, extra := range extras {
		if !extra.wanted {
			continue
		}
		with := d
		extra.add(&with)
		larger, err := render(tmpl, with)
		if err != nil {
			return nil, nil, err
		}
		if n := over(larger, budget); n > 0 {
			notes = append(notes, fmt.Sprintf("%s left out: %s too many", extra.name, bytesOf(n)))
			continue
		}
		d, body = with, larger
	}
	return body, notes, nil
}

// own renders the user's template and makes sure that a probe will know it.
func own(source string, d Data) ([]byte, error) {
	tmpl, err := template.New("template").Parse(source)
	if err != nil {
		return nil, invalid("the page's template cannot be read", err.Error(), err)
	}
	body, err := render(tmpl, d)
	if err != nil {
		return nil, invalid("the page's template cannot be rendered", err.Error(), err)
	}
	if mark, ok := MarkIn(body); !ok || mark != d.Mark {
		return nil, &fault.Fault{
			Code:    fault.Invalid,
			Summary: "the page's template lacks the mark",
			Detail:  "Without the mark no probe can tell this page from the application's own 503. Put this line into the template's <head>.",
			Try:     []string{`<meta name="noren" content="{{.Mark}}">`},
		}
	}
	return body, nil
}

// renderLimit ends a template that does not end by itself.
const renderLimit = 4 << 20

var errEndless = errors.New("the page is over 4 MiB")

type capped struct{ bytes.Buffer }

func (w *capped) Write(p []byte) (int, error) {
	if w.Len()+len(p) > renderLimit {
		return 0, errEndless
	}
	return w.Buffer.Write(p)
}

func render(tmpl *template.Template, d Data) ([]byte, error) {
	var w capped
	if err := tmpl.Execute(&w, d); err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	small, err := minifier().Bytes("text/html", w.Bytes())
	if err != nil {
		return nil, fmt.Errorf("page: minify: %w", err)
	}
	return small, nil
}

func minifier() *minify.M {
	m := minify.New()
	m.AddFunc("text/html", html.Minify)
	m.AddFunc("text/css", css.Minify)
	m.AddFunc(svgType, svg.Minify)
	return m
}
