package page

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// TestLate: the page of a known end carries what it says once that is past, in
// each language that noren speaks, and is right without scripts.
func TestLate(t *testing.T) {
	t.Parallel()
	c := sample("en", "ja", "de")
	c.Title, c.Message = map[string]string{"de": "Geschlossen"}, map[string]string{"de": "Wir arbeiten."}
	p, err := HTML(c, Unlimited)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`<p id=a>We’ll be back around <time id=t datetime=2026-11-22T18:00Z>Nov 23, 03:00 JST</time>.`,
		`<p id=b>11月23日 03:00 JST`, `<p id=c>`,
		`<script>new Date>new Date(t.dateTime)&&(a.innerText="Taking longer than planned.",b.innerText="再開が遅れています。",c.innerText="")</script>`,
	} {
		if !strings.Contains(string(p.Body), want) {
			t.Errorf("the page lacks %s:\n%s", want, p.Body)
		}
	}
	c.Until = time.Time{}
	if p, err = HTML(c, Unlimited); err != nil || bytes.Contains(p.Body, []byte("<script")) || bytes.Contains(p.Body, []byte(" id=")) {
		t.Errorf("no end is known, and the page has a script: %v\n%s", err, p.Body)
	}
}

// TestLateFits: with a mark as long as a closing's and no contact, the default
// texts in two languages leave room on an ALB; so does one language.
func TestLateFits(t *testing.T) {
	t.Parallel()
	for _, c := range []Content{
		{Until: sample().Until, Zone: tokyo, Mark: "0123456789"},
		{Until: sample().Until, Zone: tokyo, Mark: "0123456789", Contact: "help@example.com", Languages: []string{"ja"}},
	} {
		if p, err := HTML(c, ALBLimit); err != nil || !bytes.Contains(p.Body, []byte("<script>")) {
			t.Errorf("languages %q: %v, notes %q", c.Languages, err, p.Notes)
		}
	}
}
