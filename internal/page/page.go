package page

import (
	"net/http"
	"strings"
	"time"
)

// ALBLimit is what an ALB's fixed response carries. AWS says "1024" and not of
// what; bytes of UTF-8 is the reading that is never refused.
const ALBLimit = 1024

// Unlimited is the budget where the carrier sets none, as in noren's own gate.
const Unlimited = 0

// RefreshDefault is how often an open page asks again when Content.Refresh is zero.
const RefreshDefault = 60 * time.Second

// ProblemType is the "type" member (RFC 9457) of the JSON twin. It is a name,
// never fetched, and stays the same for good: clients compare it.
const ProblemType = "tag:noren.dev,2026:closed"

// Content is what the closed page says. HTML and JSON say the same.
type Content struct {
	// Title and Message hold plain text by language tag (BCP 47). A line break
	// in a message is kept. Japanese and English have default texts, also for
	// variants such as en-GB; any other listed language must be given both.
	Title, Message map[string]string
	// Languages is the order of display; the first is the main one.
	// Empty: ja, then en.
	Languages []string
	// Until is when the service is expected back, shown in Zone to the minute.
	// Zero: unknown, and nothing is promised.
	Until time.Time
	// Zone is where the users' clocks are. Nil: that of Until.
	Zone *time.Location
	// Contact is an e-mail address or an http(s) URL. Empty: none is shown.
	Contact string
	// Logo is an SVG or PNG file. It is shown only if it fits.
	Logo []byte
	// Mark is the run's token, by which a probe knows our page: 1 to 64
	// letters, digits, '.', '_' and '-'. Required.
	Mark string
	// Refresh is how often an open page asks again, in whole seconds.
	// Zero: RefreshDefault. Negative: never.
	Refresh time.Duration
	// Template is the source of the user's own page, for html/template, given
	// a Data. Empty: ours. It must carry the mark; nothing is left out of it.
	Template string
}

// A Page is an answer ready to be served.
type Page struct {
	Status      int
	ContentType string // in full; see ALBType
	Body        []byte
	// RetryAfter is the value of that header, "" when Until is unknown. It is
	// a date, so that it stays true however long the page is up.
	RetryAfter string
	// Notes say what was left out to stay in the budget, and by how much.
	Notes []string
}

// ALBType is the content type under which an ALB's fixed response can send p:
// text/html or application/json, never with a charset.
func (p Page) ALBType() string {
	bare, _, _ := strings.Cut(p.ContentType, ";")
	if bare == problemJSON {
		return "application/json"
	}
	return bare
}

const problemJSON = "application/problem+json"

func (c Content) page(contentType string, body []byte, notes []string) Page {
	p := Page{Status: http.StatusServiceUnavailable, ContentType: contentType, Body: body, Notes: notes}
	if !c.Until.IsZero() {
		p.RetryAfter = c.Until.UTC().Format(http.TimeFormat)
	}
	return p
}
