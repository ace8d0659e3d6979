package page

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/fault"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// The promise of the package: ja and en, default texts, a contact and a time
// fit an ALB with everything but a logo and the word that it is late, for which
// one language or no contact leaves room; a typical message fits as well.
func TestFitsALB(t *testing.T) {
	t.Parallel()
	p, err := HTML(sample("ja", "en"), ALBLimit)
	if err != nil || len(p.Notes) != 1 || !strings.HasPrefix(p.Notes[0], "word that it is late left out: ") {
		t.Errorf("default texts: err %v, notes %q", err, p.Notes)
	}
	c := sample("ja", "en")
	c.Message = typical
	if _, err := HTML(c, ALBLimit); err != nil {
		t.Errorf("typical message: %v", err)
	}
	if _, err := JSON(c, ALBLimit); err != nil {
		t.Errorf("typical message, JSON: %v", err)
	}
}

func TestServedAs(t *testing.T) {
	t.Parallel()
	c := sample("ja", "en")
	page, err := HTML(c, ALBLimit)
	if err != nil {
		t.Fatal(err)
	}
	twin, err := JSON(c, ALBLimit)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []Page{page, twin} {
		if p.Status != 503 {
			t.Errorf("status %d, want 503", p.Status)
		}
		at, err := http.ParseTime(p.RetryAfter)
		if err != nil || !at.Equal(c.Until) {
			t.Errorf("Retry-After %q is not %v", p.RetryAfter, c.Until)
		}
	}
	if got := page.ContentType + ", " + page.ALBType(); got != "text/html; charset=utf-8, text/html" {
		t.Error(got)
	}
	if got := twin.ContentType + ", " + twin.ALBType(); got != "application/problem+json, application/json" {
		t.Error(got)
	}
	c.Until = time.Time{}
	if page, _ = HTML(c, ALBLimit); page.RetryAfter != "" {
		t.Errorf("Retry-After %q though the end is unknown", page.RetryAfter)
	}
}

// TestDocument checks what a person, a browser and a crawler rely on.
func TestDocument(t *testing.T) {
	t.Parallel()
	for _, g := range goldens {
		c := g.content()
		p, err := HTML(c, g.budget)
		if err != nil {
			t.Fatal(err)
		}
		doc := parse(t, p.Body)
		if at := bytes.Index(p.Body, []byte("<meta charset=utf-8>")); at < 0 || at > 200 {
			t.Errorf("%s: charset is not near the start", g.name)
		}
		for _, tag := range []atom.Atom{atom.H1, atom.Main, atom.Title} {
			if n := len(doc.all(tag)); n != 1 {
				t.Errorf("%s: %d <%s>, want 1", g.name, n, tag)
			}
		}
		if got := attr(doc.all(atom.Html)[0], "lang"); got != c.Languages[0] {
			t.Errorf("%s: lang %q", g.name, got)
		}
		for i, div := range doc.all(atom.Div) {
			if got := attr(div, "lang"); got != c.Languages[i+1] {
				t.Errorf("%s: block %d has lang %q", g.name, i, got)
			}
		}
		for name, want := range map[string]string{"robots": "noindex", "viewport": "width=device-width", "noren": c.Mark} {
			if got := doc.meta(name); got != want {
				t.Errorf("%s: meta %s is %q, want %q", g.name, name, got, want)
			}
		}
		for _, e := range doc.all(atom.Time) {
			if at, err := time.Parse("2006-01-02T15:04Z07:00", attr(e, "datetime")); err != nil || !at.Equal(c.Until) {
				t.Errorf("%s: datetime %q", g.name, attr(e, "datetime"))
			}
		}
		if n := len(doc.all(atom.Time)); n != 1 && !c.Until.IsZero() {
			t.Errorf("%s: %d <time>, want 1", g.name, n)
		}
	}
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		refresh time.Duration
		want    string
	}{
		{0, `http-equiv=refresh content=60>`},
		{90 * time.Second, `http-equiv=refresh content=90>`},
		{time.Millisecond, `http-equiv=refresh content=1>`},
		{-1, ""},
	} {
		c := sample("ja")
		c.Refresh = test.refresh
		p, err := HTML(c, ALBLimit)
		if err != nil {
			t.Fatal(err)
		}
		if test.want == "" && bytes.Contains(p.Body, []byte("refresh")) || !bytes.Contains(p.Body, []byte(test.want)) {
			t.Errorf("refresh %v: %s", test.refresh, p.Body)
		}
	}
}

func TestLeavesOut(t *testing.T) {
	t.Parallel()
	c := sample("ja", "en")
	c.Logo = append(bytes.Clone(star[:len(star)-6]), []byte("<path d='M"+strings.Repeat("1 2l3 4 5 6 7 8", 100)+"'/></svg>")...)
	p, err := HTML(c, ALBLimit)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Notes) == 0 || !strings.HasPrefix(p.Notes[0], "logo left out: ") || !strings.HasSuffix(p.Notes[0], " bytes too many") {
		t.Errorf("notes %q", p.Notes)
	}
	if bytes.Contains(p.Body, []byte("<img")) {
		t.Error("the logo is there all the same")
	}
}

func TestOverflow(t *testing.T) {
	t.Parallel()
	c := sample("ja", "en")
	c.Message = map[string]string{"ja": strings.Repeat("長", 300)}
	_, err := HTML(c, ALBLimit)
	f := invalidFault(t, err)
	big, err := HTML(c, Unlimited)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"more than the 1,024 allowed", "texts in ja 1,0", "texts in en 9", "contact 39", "style 1", "markup ", "show fewer languages"} {
		if !strings.Contains(f.Detail, want) {
			t.Errorf("%q is not in: %s", want, f.Detail)
		}
	}
	if len(big.Body) <= ALBLimit {
		t.Error("without a budget the page should be large")
	}
	_, err = JSON(c, ALBLimit)
	if f := invalidFault(t, err); !strings.Contains(f.Detail, "JSON answer") {
		t.Error(f.Detail)
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	with := func(change func(*Content)) Content {
		c := sample("ja")
		change(&c)
		return c
	}
	for name, c := range map[string]Content{
		"no mark":         with(func(c *Content) { c.Mark = "" }),
		"mark with space": with(func(c *Content) { c.Mark = "a b" }),
		"long mark":       with(func(c *Content) { c.Mark = strings.Repeat("a", 65) }),
		"bad tag":         with(func(c *Content) { c.Languages = []string{"日本"} }),
		"tag twice":       with(func(c *Content) { c.Languages = []string{"ja", "ja"} }),
		"no text":         with(func(c *Content) { c.Languages = []string{"ko"} }),
		"no UTF-8":        with(func(c *Content) { c.Title = map[string]string{"ja": "\xff"} }),
		"NUL":             with(func(c *Content) { c.Message = map[string]string{"ja": "a\x00b"} }),
		"javascript":      with(func(c *Content) { c.Contact = "javascript:alert(1)" }),
		"named address":   with(func(c *Content) { c.Contact = "Help <help@example.com>" }),
		"password in URL": with(func(c *Content) { c.Contact = "https://u:p@example.com/" }),
		"year 10000":      with(func(c *Content) { c.Until = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }),
		"logo is text":    with(func(c *Content) { c.Logo = []byte("GIF89a") }),
		"logo is HTML":    with(func(c *Content) { c.Logo = []byte("<html/>") }),
		"svg without ns":  with(func(c *Content) { c.Logo = []byte("<svg/>") }),
		"template syntax": with(func(c *Content) { c.Template = "{{" }),
		"template field":  with(func(c *Content) { c.Template = "{{.Nothing}}" }),
		"template mark":   with(func(c *Content) { c.Template = "<p>{{.Title}}" }),
		"template size":   with(func(c *Content) { c.Template = "{{range 1000000}}aaaaaaaaaa{{end}}" }),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := HTML(c, ALBLimit)
			if f := invalidFault(t, err); f.Summary == "" || f.Detail == "" {
				t.Errorf("a person cannot act on this: %+v", f)
			}
		})
	}
}

func TestContact(t *testing.T) {
	t.Parallel()
	for contact, want := range map[string]Link{
		"help@example.com":               {"mailto:help@example.com", "help@example.com"},
		"a?b@example.com":                {"mailto:a%3Fb@example.com", "a?b@example.com"},
		"https://status.example.com/":    {"https://status.example.com/", "status.example.com"},
		"http://example.com/a?b=c&d=e#f": {"http://example.com/a?b=c&d=e#f", "example.com/a?b=c&d=e#f"},
	} {
		got, err := link(contact)
		if err != nil || *got != want {
			t.Errorf("%s: %v, %v, want %v", contact, got, err, want)
		}
	}
}

func TestTimeIsWritten(t *testing.T) {
	t.Parallel()
	c := sample("ja", "en", "ko", "he")
	c.Title = map[string]string{"ko": "점검 중", "he": "סגור"}
	c.Message = map[string]string{"ko": "죄송합니다", "he": "נחזור"}
	d := must(c.data())
	for i, want := range []string{
		"11月23日 03:00 JST ごろ再開する予定です。",
		"We’ll be back around Nov 23, 03:00 JST.",
		"→ 2026-11-23 03:00 JST",
		"← \u20662026-11-23 03:00 JST\u2069",
	} {
		if got := d.Blocks[i].Back.Sentence(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	c = sample("ja")
	c.Until = time.Time{}
	if d := must(c.data()); d.Blocks[0].Back != nil || !strings.Contains(d.Blocks[0].Lines[0], "しばらくお待ちください") {
		t.Errorf("an unknown end: %+v", d.Blocks[0])
	}
}

func TestOwnTemplate(t *testing.T) {
	t.Parallel()
	c := sample("ja", "en")
	c.Title = map[string]string{"ja": "<b>閉店</b>"}
	c.Logo = star
	c.Template = `<!doctype html><html lang="{{.Lang}}"><meta charset="utf-8"><meta name="noren" content="{{.Mark}}">
		<title>{{.Title}}</title> {{range .Blocks}}<p lang="{{.Lang}}">{{range .Lines}}{{.}}{{end}} {{.Back.Sentence}}</p>{{end}}
		<img alt="" src="{{.Logo}}"><a href="{{.Contact.Href}}">{{.Contact.Text}}</a>{{.Refresh}}{{.Until.Format "15:04"}}`
	p, err := HTML(c, ALBLimit)
	if err != nil {
		t.Fatal(err)
	}
	if mark, ok := MarkIn(p.Body); !ok || mark != testMark {
		t.Errorf("mark %q", mark)
	}
	if got := parse(t, p.Body).text(atom.Title); got != "<b>閉店</b>" {
		t.Errorf("title %q", got)
	}
	for _, want := range []string{"data:image/svg+xml", "03:00", "mailto:help@example.com"} {
		if !bytes.Contains(p.Body, []byte(want)) {
			t.Errorf("%s is not in %s", want, p.Body)
		}
	}
}

func TestJSONMembers(t *testing.T) {
	t.Parallel()
	p, err := JSON(sample("ja", "en"), ALBLimit)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(p.Body, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"type": ProblemType, "status": 503.0, "lang": "ja",
		"title":  "ただいまメンテナンス中です",
		"detail": "ご不便をおかけし、申し訳ございません。\n11月23日 03:00 JST ごろ再開する予定です。",
		"messages": map[string]any{"en": map[string]any{
			"title":  "Closed for maintenance",
			"detail": "Sorry for the inconvenience.\nWe’ll be back around Nov 23, 03:00 JST.",
		}},
		"until": "2026-11-22T18:00:00Z", "contact": "help@example.com", "noren": testMark,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestMarkIn(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`<meta name=noren content=abc>`:                       "abc",
		`<META name="noren" content="abc" />`:                 "abc",
		"<meta name='noren'\n content='a-b_c.1'>":             "a-b_c.1",
		` {"noren":"abc"}`:                                    "abc",
		`{"noren":"abc"`:                                      "",
		`{"Noren":"abc"}`:                                     "",
		`{"noren":"a b"}`:                                     "",
		`{"noren":7}`:                                         "",
		`{"title":"<meta name=noren content=abc>"}`:           "",
		`<p>&lt;meta name=noren content=abc>`:                 "",
		`<meta name=norena content=abc>`:                      "",
		`<meta name=noren content="a&quot;b">`:                "",
		``:                                                    "",
		`<html><body><h1>503 Service Temporarily Unavailable`: "",
		`<meta name=noren content=` + strings.Repeat("a", 65) + `>`: "",
	} {
		if got, ok := MarkIn([]byte(body)); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %t, want %q", body, got, ok, want)
		}
	}
}

// FuzzContent: whatever the content, a page fits, parses, carries the mark and
// says exactly what it was told to, or there is a fault.
func FuzzContent(f *testing.F) {
	f.Add("ja", "閉店", "しばらく\nお待ちください", "help@example.com", []byte(nil), int64(1795370400), 1024)
	f.Add("en", "</title><script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "https://example.com/'\"<>", star, int64(0), 0)
	f.Add("he-IL", "&amp;amp; &lt &#0;", "<!-- {{.Mark}} ]]> <meta name=noren content=evil>", "", []byte("\x89PNG\r\n\x1a\n123"), int64(-1), 700)
	f.Fuzz(func(t *testing.T, tag, title, message, contact string, logo []byte, until int64, budget int) {
		c := Content{
			Title: map[string]string{tag: title}, Message: map[string]string{tag: message},
			Languages: []string{tag, "en"}, Zone: tokyo, Contact: contact, Logo: logo, Mark: testMark,
		}
		if until != 0 {
			c.Until = time.Unix(until, 0)
		}
		for kind, build := range map[string]func(Content, int) (Page, error){"HTML": HTML, "JSON": JSON} {
			p, err := build(c, budget)
			if err != nil {
				_ = invalidFault(t, err)
				continue
			}
			if budget > 0 && len(p.Body) > budget {
				t.Fatalf("%s: %d bytes, %d allowed", kind, len(p.Body), budget)
			}
			if mark, ok := MarkIn(p.Body); !ok || mark != testMark {
				t.Fatalf("%s: mark %q in %s", kind, mark, p.Body)
			}
			if kind == "HTML" {
				saysExactly(t, p.Body, must(c.data()))
			} else if !json.Valid(p.Body) {
				t.Fatalf("not JSON: %s", p.Body)
			}
		}
	})
}

// saysExactly compares what a browser would show with what should be said.
func saysExactly(t *testing.T, body []byte, d Data) {
	t.Helper()
	doc := parse(t, body)
	var want []string
	for _, b := range d.Blocks {
		want = append(append(append(want, b.Title), b.Lines...), b.Back.Sentence())
	}
	if d.Contact != nil {
		want = append(want, d.Contact.Text)
		if got := attr(doc.all(atom.A)[0], "href"); got != d.Contact.Href {
			t.Fatalf("href %q, want %q", got, d.Contact.Href)
		}
	}
	if got, want := squeeze(doc.text(atom.Main)), squeeze(strings.Join(want, " ")); got != want {
		t.Fatalf("shown %q\n want %q\n page %s", got, want, body)
	}
	if got, want := squeeze(doc.text(atom.Title)), squeeze(d.Title()); got != want {
		t.Fatalf("title %q, want %q", got, want)
	}
	allowed := map[atom.Atom]bool{}
	for _, a := range []atom.Atom{atom.Html, atom.Head, atom.Meta, atom.Title, atom.Style, atom.Body, atom.Main, atom.H1,
		atom.H2, atom.P, atom.Br, atom.Div, atom.Time, atom.A, atom.Img} {
		allowed[a] = true
	}
	for n := range doc.Descendants() {
		if n.DataAtom == atom.Script && n.FirstChild.Data == string(d.late()) {
			continue
		}
		if n.Type == html.ElementNode && !allowed[n.DataAtom] {
			t.Fatalf("a <%s> got into %s", n.Data, body)
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") {
				t.Fatalf("%s= got into %s", a.Key, body)
			}
		}
	}
}

type document struct{ *html.Node }

func parse(t *testing.T, body []byte) document {
	t.Helper()
	n, err := html.Parse(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return document{n}
}

func (d document) all(tag atom.Atom) (found []*html.Node) {
	for n := range d.Descendants() {
		if n.DataAtom == tag {
			found = append(found, n)
		}
	}
	return found
}

func (d document) meta(name string) string {
	for _, n := range d.all(atom.Meta) {
		if attr(n, "name") == name {
			return attr(n, "content")
		}
	}
	return ""
}

// text is what the first such element shows, with a space where a line breaks.
func (d document) text(tag atom.Atom) string {
	var b strings.Builder
	for n := range d.all(tag)[0].Descendants() {
		switch {
		case n.Type == html.TextNode:
			b.WriteString(n.Data)
		case n.DataAtom != atom.Time:
			b.WriteString(" ")
		}
	}
	return b.String()
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// squeeze makes of spaces what a browser does.
func squeeze(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" \t\r\n", r) }), " ")
}

func invalidFault(t *testing.T, err error) *fault.Fault {
	t.Helper()
	var f *fault.Fault
	if !errors.As(err, &f) || f.Code != fault.Invalid {
		t.Fatalf("got %v, want a fault of code invalid", err)
	}
	return f
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprint("test: ", err))
	}
	return v
}

// TestNeverOverBudget walks every budget around the interesting sizes. More
// room never turns a page back into a fault.
func TestNeverOverBudget(t *testing.T) {
	t.Parallel()
	for _, g := range goldens {
		for kind, build := range map[string]func(Content, int) (Page, error){"HTML": HTML, "JSON": JSON} {
			fitted := false
			for budget := 1; budget < 1700; budget += 3 {
				p, err := build(g.content(), budget)
				switch {
				case err == nil && len(p.Body) > budget:
					t.Fatalf("%s %s: %d bytes, %d allowed", g.name, kind, len(p.Body), budget)
				case err == nil:
					fitted = true
				case fitted:
					t.Fatalf("%s %s: fitted less than %d, and now: %v", g.name, kind, budget, err)
				default:
					_ = invalidFault(t, err)
				}
			}
			if !fitted {
				t.Errorf("%s %s: never fitted", g.name, kind)
			}
		}
	}
}
