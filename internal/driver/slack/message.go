package slack

import (
	"strings"

	"github.com/noren-dev/noren/internal/driver"
)

// Limits of a message. Source: https://docs.slack.dev/reference/block-kit/blocks/section-block
const (
	mostText   = 2900 // of a section, of 3000
	mostField  = 1900 // of a field, of 2000
	mostFields = 10
	longFact   = 120 // what is longer gets a section of its own
)

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// escape makes a text one in which Slack finds no markup of people's.
func escape(s string) string { return escaper.Replace(s) }

func clip(s string, most int) string {
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return s
}

func mrkdwn(s string, most int) map[string]any {
	return map[string]any{"type": "mrkdwn", "text": clip(s, most), "verbatim": true}
}

func section(text string) map[string]any {
	return map[string]any{"type": "section", "text": mrkdwn(text, mostText)}
}

// message is a run's. Its text is what notifications show.
func message(s driver.Story) map[string]any {
	title := escape(s.Sign + " " + s.Title)
	blocks := []any{section("*" + title + "*")}
	var fields []any
	flush := func() {
		if len(fields) > 0 {
			blocks = append(blocks, map[string]any{"type": "section", "fields": fields})
			fields = nil
		}
	}
	for _, f := range s.Facts {
		text := "*" + escape(f.Name) + "*\n" + escape(f.Value)
		if len(f.Value) > longFact || strings.Contains(f.Value, "\n") {
			flush()
			blocks = append(blocks, section(text))
			continue
		}
		fields = append(fields, mrkdwn(text, mostField))
		if len(fields) == mostFields {
			flush()
		}
	}
	flush()
	return map[string]any{"text": clip(title, mostText), "blocks": blocks}
}

// reply is what happened, for the thread.
func reply(notices []driver.Notice, _ driver.Story) map[string]any {
	var lines []string
	for _, n := range notices {
		line := escape(n.Text)
		if n.Loud {
			line = "*" + strings.ReplaceAll(line, "*", "∗") + "*"
		}
		lines = append(lines, line)
		for _, try := range n.Try {
			lines = append(lines, "`"+strings.ReplaceAll(escape(try), "`", "'")+"`")
		}
	}
	text := clip(strings.Join(lines, "\n"), mostText)
	return map[string]any{"text": text, "blocks": []any{section(text)}}
}
