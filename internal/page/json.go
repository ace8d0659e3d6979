package page

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// problem is the JSON twin: RFC 9457's members, then ours.
type problem struct {
	Type     string                `json:"type"`
	Title    string                `json:"title"`
	Status   int                   `json:"status"`
	Detail   string                `json:"detail"`
	Lang     string                `json:"lang"`               // of Title and Detail
	Messages map[string]inLanguage `json:"messages,omitempty"` // the other languages
	Until    string                `json:"until,omitempty"`    // RFC 3339, UTC
	Contact  string                `json:"contact,omitempty"`
	Noren    string                `json:"noren"` // the mark
}

type inLanguage struct {
	Title  string `json:"title"`
	Detail string `json:"detail"`
}

// JSON builds the twin of the closed page for API clients and mobile apps, as
// application/problem+json (an ALB can only say application/json: Page.ALBType).
// Title and detail are in the main language, "messages" holds the others.
func JSON(c Content, budget int) (Page, error) {
	d, err := c.data()
	if err != nil {
		return Page{}, err
	}
	p := problem{Type: ProblemType, Status: http.StatusServiceUnavailable, Contact: c.Contact, Noren: c.Mark}
	if !d.Until.IsZero() {
		p.Until = d.Until.UTC().Format("2006-01-02T15:04:05Z")
	}
	for i, b := range d.Blocks {
		m := inLanguage{Title: b.Title, Detail: b.detail()}
		if i == 0 {
			p.Lang, p.Title, p.Detail = b.Lang, m.Title, m.Detail
			continue
		}
		if p.Messages == nil {
			p.Messages = map[string]inLanguage{}
		}
		p.Messages[b.Lang] = m
	}
	body, err := json.Marshal(p)
	if err != nil {
		return Page{}, fmt.Errorf("page: encode JSON: %w", err)
	}
	if over(body, budget) > 0 {
		return Page{}, overflow("JSON answer", body, d, budget)
	}
	return c.page(problemJSON, body, nil), nil
}

// detail is the message and the sentence after it. Japanese puts no space
// between sentences, so a line break stands there for every language.
func (b Block) detail() string {
	lines := b.Lines
	if b.Back != nil {
		lines = append(lines[:len(lines):len(lines)], b.Back.Sentence())
	}
	return strings.Join(lines, "\n")
}
