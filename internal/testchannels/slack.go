package testchannels

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Slack is Slack as far as noren uses it. It takes messages at its pace, and answers 200 with ok: false where Slack does.
type Slack struct {
	Ledger
	strictness strictness
	Token      string
	Channel    string
	// Pace is the time between messages.
	Pace time.Duration
	// Blind refuses to list messages, as Slack does an app without that scope.
	Blind bool

	state    sync.Mutex
	messages []*slackMessage
	last     time.Time
}

type slackMessage struct {
	Type     string          `json:"type"`
	TS       string          `json:"ts"`
	Thread   string          `json:"thread_ts,omitempty"`
	Text     string          `json:"text"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
}

// A slackRequest is what noren sends.
type slackRequest struct {
	Channel   string
	TS        string
	ThreadTS  string `json:"thread_ts"`
	Broadcast bool   `json:"reply_broadcast"`
	Text      string
	Blocks    []struct {
		Type   string
		Text   *slackText
		Fields []slackText
	}
	Metadata json.RawMessage
}

type slackText struct{ Type, Text string }

// ServeHTTP answers one method.
func (s *Slack) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.strictness.serve("slack", s.answer, s.Wrong, w, r)
}

func (s *Slack) answer(w http.ResponseWriter, r *http.Request) {
	if s.isDown() {
		http.Error(w, "down", http.StatusBadGateway)
		return
	}
	s.state.Lock()
	defer s.state.Unlock()
	w.Header().Set("Content-Type", "application/json")
	refuse := func(code string) { fmt.Fprintf(w, `{"ok":false,"error":%q,"needed":"channels:history"}`, code) }
	if r.Header.Get("Authorization") != "Bearer "+s.Token {
		refuse("invalid_auth")
		return
	}
	var q slackRequest
	if r.Method == http.MethodPost {
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
			s.Wrong("body: %v", err)
			refuse("invalid_json")
			return
		}
	}
	switch method := strings.TrimPrefix(r.URL.Path, "/"); method {
	case "auth.test":
		fmt.Fprint(w, `{"ok":true,"url":"https://shop.slack.com/","user":"noren","team":"Shop","team_id":"T0123456789","user_id":"U0123456789"}`)
	case "chat.postMessage", "chat.update":
		s.write(w, method, q, refuse)
	case "conversations.history", "conversations.replies":
		s.list(w, r, refuse)
	default:
		s.Wrong("method %s", method)
		refuse("unknown_method")
	}
}

func (s *Slack) list(w http.ResponseWriter, r *http.Request, refuse func(string)) {
	if s.Blind {
		refuse("missing_scope")
		return
	}
	found := []*slackMessage{}
	for _, m := range s.messages {
		ts := r.URL.Query().Get("ts")
		if ts == "" && m.Thread == "" || ts != "" && (m.Thread == ts || m.TS == ts) {
			found = append(found, m)
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"ok": true, "messages": found, "has_more": false})
}

func (s *Slack) write(w http.ResponseWriter, method string, q slackRequest, refuse func(string)) {
	if code := s.wrong(q); code != "" {
		s.Wrong("%s: %s", method, code)
		refuse(code)
		return
	}
	if q.Channel != s.Channel {
		refuse("channel_not_found")
		return
	}
	if method == "chat.update" {
		for _, m := range s.messages {
			if m.TS == q.TS {
				m.Text, m.Metadata = q.Text, q.Metadata
				s.Took("update %s %s", q.TS, oneLine(q.Text))
				_ = json.NewEncoder(w).Encode(map[string]any{"ok": true, "channel": q.Channel, "ts": q.TS, "text": q.Text, "message": m})
				return
			}
		}
		refuse("message_not_found")
		return
	}
	if time.Since(s.last) < s.Pace {
		w.Header().Set("Retry-After", "1")
		http.Error(w, `{"ok":false,"error":"ratelimited"}`, http.StatusTooManyRequests)
		return
	}
	s.last = time.Now()
	m := &slackMessage{Type: "message", TS: strconv.Itoa(1700000000+len(s.messages)) + ".000100", Thread: q.ThreadTS, Text: q.Text, Metadata: q.Metadata}
	s.messages = append(s.messages, m)
	what := "post"
	if q.ThreadTS != "" {
		what = "reply to " + q.ThreadTS
		if q.Broadcast {
			what = "loud " + what
		}
	}
	s.Took("%s %s %s", what, m.TS, oneLine(q.Text))
	_ = json.NewEncoder(w).Encode(map[string]any{"ok": true, "channel": q.Channel, "ts": m.TS, "message": m})
}

// wrong is what Slack would call wrong with a message.
// Source: https://docs.slack.dev/reference/block-kit/blocks/section-block
func (s *Slack) wrong(q slackRequest) string {
	const mostBlocks, mostText, mostFields, mostField, mostMessage = 50, 3000, 10, 2000, 40000
	if q.Text == "" || len(q.Text) > mostMessage {
		return "no_text"
	}
	if len(q.Blocks) > mostBlocks {
		return "invalid_blocks"
	}
	for _, b := range q.Blocks {
		bad := b.Type != "section" || b.Text == nil && len(b.Fields) == 0 || len(b.Fields) > mostFields ||
			b.Text != nil && (b.Text.Text == "" || len([]rune(b.Text.Text)) > mostText)
		for _, f := range b.Fields {
			bad = bad || f.Text == "" || len([]rune(f.Text)) > mostField
		}
		if bad {
			return "invalid_blocks"
		}
	}
	return ""
}

func oneLine(s string) string { return strings.ReplaceAll(s, "\n", " | ") }
