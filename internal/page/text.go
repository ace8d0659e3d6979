package page

import (
	"strings"
	"time"
)

// A voice is how noren speaks a language.
type voice struct {
	title   string
	message string // when the user gives none
	unknown string // follows message when Until is unknown
	date    string // layout of the time shown
	before  string // what stands before and after the time
	after   string
	late    string // once that time is past; "" where noren has no words
}

// voiceOf returns the voice for a language tag. A language that noren does not
// speak gets a date that is read the same everywhere, an arrow and no words.
func voiceOf(tag string) voice {
	base, _, _ := strings.Cut(strings.ToLower(tag), "-")
	switch base {
	case "ja":
		return voice{
			title:   "ただいまメンテナンス中です",
			message: "ご不便をおかけし、申し訳ございません。",
			unknown: "再開までしばらくお待ちください。",
			date:    "1月2日 15:04 MST",
			after:   " ごろ再開する予定です。",
			late:    "再開が遅れています。",
		}
	case "en":
		return voice{
			title:   "Closed for maintenance",
			message: "Sorry for the inconvenience.",
			unknown: " We’ll be back as soon as we can.",
			date:    "Jan 2, 15:04 MST",
			before:  "We’ll be back around ",
			after:   ".",
			late:    "Taking longer than planned.",
		}
	default:
		if direction(tag) == "rtl" { // isolated, or its parts change places
			return voice{date: "2006-01-02 15:04 MST", before: "← \u2066", after: "\u2069"}
		}
		return voice{date: "2006-01-02 15:04 MST", before: "→ "}
	}
}

// Languages are those that noren speaks, as tags without a region.
func Languages() []string { return []string{"ja", "en"} }

// Speaks tells whether noren has texts of its own in a language, by its tag.
func Speaks(tag string) bool { return tagForm.MatchString(tag) && voiceOf(tag).title != "" }

// text returns the user's text for a language, or else the default.
func text(given map[string]string, tag, byDefault string) string {
	if s := strings.TrimSpace(given[tag]); s != "" {
		return s
	}
	return byDefault
}

// until returns Until as the users' clocks show it.
func (c Content) until() time.Time {
	if c.Zone != nil {
		return c.Until.In(c.Zone)
	}
	return c.Until
}

// A Text is what the page says in one language, as plain text.
type Text struct {
	Lang   string
	Title  string
	Detail string // the message, and when the service is expected back
	Late   string // what stands in place of that once the time is past; may be ""
}

// Texts are what a page of the content says, the main language first: for those
// who are told of a closing without seeing its page. They are the words of the
// JSON twin.
func Texts(c Content) ([]Text, error) {
	d, err := c.data()
	if err != nil {
		return nil, err
	}
	texts := make([]Text, len(d.Blocks))
	for i, b := range d.Blocks {
		texts[i] = Text{Lang: b.Lang, Title: b.Title, Detail: b.detail()}
		if b.Back != nil {
			texts[i].Late = b.Late
		}
	}
	return texts, nil
}
