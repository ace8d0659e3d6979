package smtp

import (
	"bytes"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/driver"
)

// worth tells whether a notice gets a mail of its own.
func worth(n driver.Notice) bool {
	return slices.Contains([]driver.NoticeKind{driver.NoticeStarted, driver.NoticeWaiting, driver.NoticeExtended, driver.NoticeLate, driver.NoticeEnded}, n.Kind)
}

// compose writes a mail. Its id is the notice's, so that one that comes twice is
// known as the same; all of a closing's refer to one root.
func compose(cfg Config, s driver.Story, n driver.Notice, now time.Time) []byte {
	var b bytes.Buffer
	header := func(name, value string) { fmt.Fprintf(&b, "%s: %s\r\n", name, value) }
	from, _ := mail.ParseAddress(cfg.From) // validated
	_, domain, _ := strings.Cut(from.Address, "@")
	var to []string
	for _, text := range cfg.To {
		a, _ := mail.ParseAddress(text) // validated
		to = append(to, a.String())
	}
	root := fmt.Sprintf("<%s@%s>", s.Closing, domain)
	header("From", from.String())
	header("To", strings.Join(to, ",\r\n "))
	header("Date", now.Format(time.RFC1123Z))
	header("Subject", encoded("[noren] "+firstLine(n.Text)))
	header("Message-ID", fmt.Sprintf("<%s.%d@%s>", s.Run, n.Seq, domain))
	header("In-Reply-To", root)
	header("References", root)
	header("Auto-Submitted", "auto-generated")
	header("MIME-Version", "1.0")
	header("Content-Type", "text/plain; charset=utf-8")
	header("Content-Transfer-Encoding", "quoted-printable")
	if s.Lang != "" {
		header("Content-Language", s.Lang)
	}
	b.WriteString("\r\n")
	q := quotedprintable.NewWriter(&b)
	_, _ = q.Write([]byte(text(s, n))) // into memory
	_ = q.Close()
	return b.Bytes()
}

// longestSubject is in runes: more is not shown anywhere.
const longestSubject = 120

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	if runes := []rune(s); len(runes) > longestSubject {
		return string(runes[:longestSubject]) + "…"
	}
	return s
}

// encoded is a header's text, with a word a line where it is not ASCII.
func encoded(s string) string {
	return strings.ReplaceAll(mime.BEncoding.Encode("utf-8", s), "?= =?", "?=\r\n =?")
}

func text(s driver.Story, n driver.Notice) string {
	var b strings.Builder
	b.WriteString(n.Text + "\n\n")
	if len(n.Try) > 0 {
		for _, t := range n.Try {
			b.WriteString("    " + t + "\n")
		}
		b.WriteString("\n")
	}
	for _, f := range s.Facts {
		b.WriteString(f.Name + ": " + strings.ReplaceAll(f.Value, "\n", "\n  ") + "\n")
	}
	return strings.ReplaceAll(b.String(), "\n", "\r\n")
}
