// Package mobile is the client of noren's status document for programs in Go,
// as docs/how-to/mobile-apps.md shows it; its siblings in Swift, Kotlin and
// TypeScript do the same. It depends on nothing of noren's: copy it.
package mobile

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Status is what of the document this client reads. What it does not know, it
// ignores, and a value that it does not know is taken for "operational".
type Status struct {
	Services map[string]struct {
		Status  string `json:"status"`
		Closing struct {
			Until    time.Time                                       `json:"until"`
			Overdue  bool                                            `json:"overdue"`
			Lang     string                                          `json:"lang"`
			Messages map[string]struct{ Title, Detail, Late string } `json:"messages"`
		} `json:"closing"`
	} `json:"services"`
	Apps map[string]struct {
		Minimum, Store string
		Message        map[string]string
	} `json:"apps"`
}

// A Decision is what to show: nothing special ("open"), the maintenance screen,
// or a screen that asks for an update.
type Decision struct {
	Kind        string // "open", "maintenance", "update"
	Title, Text string
	Until       time.Time
	Store       string
}

// A Client reads the document. It keeps the last one for keepFor, and no longer:
// who cannot ask any more must not be locked out by what was true an hour ago.
type Client struct {
	URL  string // https://status.example.com/.well-known/noren/app-status.json
	HTTP *http.Client

	mu   sync.Mutex
	last *Status
	etag string
	at   time.Time
}

const (
	patience = 2 * time.Second
	keepFor  = 5 * time.Minute
	largest  = 256 << 10
)

// Fetch returns the document, nil if there is none to be had: then go on as if
// everything were open. now is the server's clock where it told it, since
// a phone's may be wrong.
func (c *Client) Fetch(ctx context.Context) (s *Status, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now = time.Now()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, nil)
	if err != nil {
		return nil, now
	}
	if c.last != nil {
		req.Header.Set("If-None-Match", c.etag)
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		return c.kept(now), now
	}
	defer res.Body.Close()
	if date, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		now = date
	}
	if res.StatusCode == http.StatusNotModified {
		c.at = time.Now()
		return c.last, now
	}
	var fresh Status
	if res.StatusCode != http.StatusOK || json.NewDecoder(io.LimitReader(res.Body, largest)).Decode(&fresh) != nil {
		return c.kept(time.Now()), now
	}
	c.last, c.etag, c.at = &fresh, res.Header.Get("ETag"), time.Now()
	return c.last, now
}

func (c *Client) kept(now time.Time) *Status {
	if now.Sub(c.at) > keepFor {
		return nil
	}
	return c.last
}

// Decide says what to show on a platform, in a language, to a version of an app
// that needs these services.
func (s *Status) Decide(platform, version, lang string, now time.Time, needs ...string) Decision {
	if s == nil {
		return Decision{Kind: "open"}
	}
	if app, ok := s.Apps[platform]; ok && older(version, app.Minimum) {
		return Decision{Kind: "update", Store: app.Store, Text: inLanguage(app.Message, lang, "en")}
	}
	for _, name := range needs {
		service := s.Services[name]
		if service.Status != "maintenance" {
			continue // also "partial", and what a newer noren may say
		}
		closing := service.Closing
		m, ok := closing.Messages[lang]
		if !ok {
			m = closing.Messages[closing.Lang]
		}
		d := Decision{Kind: "maintenance", Title: m.Title, Text: m.Detail, Until: closing.Until}
		if late := closing.Overdue || !closing.Until.IsZero() && now.After(closing.Until); late && m.Late != "" {
			d.Text = m.Late
		}
		return d
	}
	return Decision{Kind: "open"}
}

func inLanguage(texts map[string]string, lang, other string) string {
	if text, ok := texts[lang]; ok {
		return text
	}
	return texts[other]
}

// older compares versions number by number: 3.9 is older than 3.10. A version
// that is not numbers with dots is never older.
func older(version, minimum string) bool {
	a, b := strings.Split(version, "."), strings.Split(minimum, ".")
	for i := range max(len(a), len(b)) {
		x, okX := number(a, i)
		y, okY := number(b, i)
		if !okX || !okY {
			return false
		}
		if x != y {
			return x < y
		}
	}
	return false
}

func number(parts []string, i int) (n int, ok bool) {
	if i >= len(parts) {
		return 0, true
	}
	n, err := strconv.Atoi(parts[i])
	return n, err == nil && n >= 0
}
