package page

import (
	"encoding/base64"
	"fmt"
	"html/template"
	"strings"
	"time"
	"unicode"
)

// Data is what a page's template is given, the user's own as well as ours.
// Everything is escaped by html/template where it is put.
type Data struct {
	Blocks  []Block      // one for each language, the main one first; never empty
	Mark    string       // must stand in <meta name="noren" content="{{.Mark}}">
	Contact *Link        // nil: none
	Until   time.Time    // in the users' zone; zero: unknown
	Logo    template.URL // a data: URI; "": none
	Refresh int          // seconds between reloads; 0: never
	Cloth   bool         // whether to draw the decoration
	Fine    bool         // whether to spend bytes on even lines and wider spacing
	Late    template.JS  // says in our page that the time is past; "": nothing does
	Long    bool         // whether a word is too long for a phone and must be broken
}

// A Block is what the page says in one language.
type Block struct {
	Lang, Dir string   // tag, and "rtl" for a script written right to left, else ""
	Title     string   // plain text
	Lines     []string // the message, line by line
	Back      *Back    // nil: unknown
	// ID names the sentence of Back for Data.Late, and Late is what it says once
	// the time is past.
	ID, Late string
}

// A Back is the sentence that says when the service is expected back. Clock is
// the time as people write it, Machine the same for <time datetime>; Before
// and After are the words around it.
type Back struct {
	Before, Clock, Machine, After string
}

// A Link is where to ask.
type Link struct {
	Href, Text string
}

// Lang is the tag of the main language.
func (d Data) Lang() string { return d.Blocks[0].Lang }

// Dir is "rtl" if the main language is written right to left, else "".
func (d Data) Dir() string { return d.Blocks[0].Dir }

// Title is the title in the main language.
func (d Data) Title() string { return d.Blocks[0].Title }

// Sentence is the whole of b, as plain text.
func (b *Back) Sentence() string {
	if b == nil {
		return ""
	}
	return b.Before + b.Clock + b.After
}

func (c Content) data() (Data, error) {
	if err := c.checkMark(); err != nil {
		return Data{}, err
	}
	d := Data{Mark: c.Mark}
	if !c.Until.IsZero() {
		d.Until = c.until()
		if err := checkUntil(d.Until); err != nil {
			return Data{}, err
		}
	}
	tags, err := c.languages()
	if err != nil {
		return Data{}, err
	}
	for _, tag := range tags {
		b, err := c.block(tag, d.Until)
		if err != nil {
			return Data{}, err
		}
		b.ID = string(rune('a' + len(d.Blocks)))
		d.Blocks = append(d.Blocks, b)
	}
	if d.Contact, err = link(c.Contact); err != nil {
		return Data{}, err
	}
	d.Long = d.long()
	return d, nil
}

// long tells whether anything shown has more letters in a row than a phone has
// room for. Chinese and Japanese break anywhere.
func (d Data) long() bool {
	var shown []string
	for _, b := range d.Blocks {
		shown = append(append(shown, b.Title), b.Lines...)
	}
	if d.Contact != nil {
		shown = append(shown, d.Contact.Text)
	}
	for _, word := range strings.Fields(strings.Join(shown, " ")) {
		run := 0
		for _, r := range word {
			if run++; unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) {
				run = 0
			}
			if run > phoneWidth {
				return true
			}
		}
	}
	return false
}

// phoneWidth is how many wide letters of a title fit on a line at 390 px.
const phoneWidth = 20

func (c Content) block(tag string, until time.Time) (Block, error) {
	v := voiceOf(tag)
	message := v.message
	if until.IsZero() {
		message += v.unknown
	}
	b := Block{Lang: tag, Dir: direction(tag), Title: text(c.Title, tag, v.title), Late: v.late}
	message = text(c.Message, tag, message)
	if err := checkText(tag, b.Title, message); err != nil {
		return Block{}, err
	}
	b.Lines = strings.Split(strings.ReplaceAll(message, "\r\n", "\n"), "\n")
	if !until.IsZero() {
		b.Back = &Back{v.before, until.Format(v.date), until.UTC().Format("2006-01-02T15:04Z"), v.after}
	}
	return b, nil
}

// late is the script that says, once the time is past, that it takes longer: as
// the page is loaded, which it is again at every refresh.
func (d Data) late() template.JS {
	var says []string
	for _, b := range d.Blocks {
		if b.Back != nil && len(b.ID) == 1 && b.ID <= "s" {
			says = append(says, fmt.Sprintf("%s.innerText=%q", b.ID, b.Late))
		}
	}
	if len(says) == 0 {
		return ""
	}
	return template.JS("new Date>new Date(t.dateTime)&&(" + strings.Join(says, ",") + ")")
}

func direction(tag string) string {
	base, _, _ := strings.Cut(strings.ToLower(tag), "-")
	switch base {
	case "ar", "dv", "fa", "he", "ps", "ur", "yi":
		return "rtl"
	}
	return ""
}

func (c Content) refresh() int {
	switch {
	case c.Refresh < 0:
		return 0
	case c.Refresh == 0:
		return int(RefreshDefault / time.Second)
	default:
		return max(1, int(c.Refresh/time.Second))
	}
}

// logo returns the logo as a data: URI, "" if there is none. Inside an <img> a
// browser neither runs an SVG's scripts nor loads what it refers to.
func (c Content) logo() (template.URL, error) {
	if len(c.Logo) == 0 {
		return "", nil
	}
	kind, err := logoKind(c.Logo)
	if err != nil {
		return "", err
	}
	file := c.Logo
	if kind == svgType {
		if file, err = minifier().Bytes(svgType, file); err != nil {
			return "", invalid("the logo cannot be read", "The logo is not well-formed SVG.", err)
		}
	}
	return template.URL("data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(file)), nil
}
