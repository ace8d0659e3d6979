package smtp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/smtp"
	"github.com/noren-dev/noren/internal/testchannels"
)

func open(t *testing.T, cfg smtp.Config) *driver.Session {
	t.Helper()
	raw, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return driver.NewRegistry(smtp.Driver()).Open(driver.Env{Name: "prod", Now: time.Now}, driver.Configs{"smtp": raw})
}

func hearing(upto *int64) driver.Hearing {
	return driver.Hearing{
		Story: driver.Story{Run: "open-2", Closing: "close-1", Lang: "ja", Facts: []driver.Fact{{Name: "理由", Value: ".\n.\nBcc: x@example.com\n" + strings.Repeat("長い", 600)}}},
		Notices: []driver.Notice{{Seq: 4, Kind: driver.NoticeStarted, At: time.Now(), Text: "再開を開始: " + strings.Repeat("とても長い名前、", 30)},
			{Seq: 5, Kind: driver.NoticeStage, Text: "no mail"}, {Seq: 6, Kind: driver.NoticeEnded, At: time.Now(), Text: "Open\r\nBcc: x@example.com"}, {Seq: 7, Kind: driver.NoticeReminded, Text: "no mail"}},
		Keep: func(_ context.Context, n int64, _ string) error { *upto = n; return nil },
	}
}

// mailed is a configuration that leads to a server of which users have a password.
func mailed(t *testing.T, m *testchannels.Mail, err error) smtp.Config {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	dir := t.TempDir()
	for name, content := range map[string]string{"ca": string(m.PEM), "password": "secret\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	port, err := strconv.Atoi(m.Port)
	if err != nil {
		t.Fatal(err)
	}
	return smtp.Config{Host: "127.0.0.1", Port: port, From: "n@example.com", To: []string{"a@example.com"}, User: "noren", PasswordFile: filepath.Join(dir, "password"), CAFile: filepath.Join(dir, "ca")}
}

// TestImplicitTLS has a server that speaks TLS from the first byte; one that is
// vouched for by nobody is told nothing, and one that speaks STARTTLS is refused.
func TestImplicitTLS(t *testing.T) {
	t.Parallel()
	m, err := testchannels.NewImplicitMail("noren", "secret")
	cfg := mailed(t, m, err)
	cfg.TLS = "implicit"
	upto := int64(0)
	if err := open(t, cfg).Hear(t.Context(), "smtp", hearing(&upto)); err != nil || upto != 7 || len(m.Lines()) != 2 {
		t.Errorf("kept %d, took %q: %v", upto, m.Lines(), err)
	}
	stranger := cfg
	stranger.CAFile = ""
	if err := open(t, stranger).Hear(t.Context(), "smtp", hearing(&upto)); err == nil || !strings.Contains(err.Error(), "not who it should be") {
		t.Errorf("a server that nobody vouches for: %v", err)
	}
	if n := len(m.Lines()); n != 2 {
		t.Errorf("%d mails, want the 2 of before", n)
	}
}

// TestRelay has a server without TLS that takes mails of anybody, and takes it at
// its word: the same server is refused unless tls is none.
func TestRelay(t *testing.T) {
	t.Parallel()
	m, err := testchannels.NewRelay()
	cfg := mailed(t, m, err)
	cfg.User, cfg.PasswordFile, cfg.CAFile = "", "", ""
	upto := int64(0)
	if err := open(t, cfg).Hear(t.Context(), "smtp", hearing(&upto)); err == nil || !strings.Contains(err.Error(), "tls: none") || upto != 0 {
		t.Errorf("without tls: none: kept %d, %v", upto, err)
	}
	cfg.TLS = "none"
	if err := open(t, cfg).Hear(t.Context(), "smtp", hearing(&upto)); err != nil || upto != 7 || len(m.Lines()) != 2 || len(m.Wrongs()) > 0 {
		t.Errorf("kept %d, took %q, wrong %q: %v", upto, m.Lines(), m.Wrongs(), err)
	}
}

// TestMails has a server that speaks STARTTLS look into what it gets: long texts,
// and texts that would be headers.
func TestMails(t *testing.T) {
	t.Parallel()
	m, err := testchannels.NewMail("noren", "secret")
	cfg := mailed(t, m, err)
	cfg.From, cfg.To = "noren <n@example.com>", []string{"a@example.com", "\"B, c\" <b@example.com>"}
	s := open(t, cfg)
	upto := int64(0)
	if err := s.Hear(t.Context(), "smtp", hearing(&upto)); err != nil {
		t.Fatal(err, m.Wrongs())
	}
	got := m.Lines()
	if len(got) != 2 || upto != 7 || len(m.Wrongs()) > 0 {
		t.Fatalf("kept %d, took %q, wrong %q", upto, got, m.Wrongs())
	}
	if !strings.Contains(got[0], "<open-2.4@example.com> in <close-1@example.com>") || !strings.Contains(got[0], "理由: . . Bcc: x@example.com 長い") {
		t.Error(got[0])
	}
	if !strings.HasPrefix(got[1], `mail "[noren] Open`) {
		t.Error(got[1])
	}
}

// TestNeverUnencrypted meets a server that does not offer STARTTLS: it hears
// neither password nor mail.
func TestNeverUnencrypted(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			heard <- err.Error()
			return
		}
		defer func() { _ = c.Close() }()
		fmt.Fprint(c, "220 plain\r\n")
		var all strings.Builder
		for lines := bufio.NewScanner(c); lines.Scan(); {
			all.WriteString(lines.Text() + "\n")
			fmt.Fprint(c, "250 plain\r\n")
		}
		heard <- all.String()
	}()
	t.Cleanup(func() { _ = l.Close() })
	s := open(t, smtp.Config{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, From: "n@example.com", To: []string{"a@example.com"}, User: "noren", PasswordEnv: "PATH"})
	upto := int64(0)
	if err := s.Hear(t.Context(), "smtp", hearing(&upto)); err == nil || !strings.Contains(err.Error(), "does not offer STARTTLS") || upto != 0 {
		t.Errorf("got %v, kept %d", err, upto)
	}
	if said := <-heard; strings.Contains(said, "AUTH") || strings.Contains(said, "MAIL") {
		t.Error(said)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	good := smtp.Config{Host: "mail.example.com", From: "n@example.com", To: []string{"a@example.com"}}
	for want, change := range map[string]func(*smtp.Config){
		"":                   func(*smtp.Config) {},
		"a port goes into":   func(c *smtp.Config) { c.Host = "mail:25" },
		"from: \"noren\"":    func(c *smtp.Config) { c.From = "noren" },
		"to: name at":        func(c *smtp.Config) { c.To = nil },
		"is none of":         func(c *smtp.Config) { c.TLS = "ssl" },
		"a user needs":       func(c *smtp.Config) { c.User = "u" },
		"travel unencrypted": func(c *smtp.Config) { c.User, c.PasswordEnv, c.TLS = "u", "P", "none" },
	} {
		c := good
		change(&c)
		err := c.Validate()
		if want == "" && err == nil {
			continue
		}
		if err == nil || want == "" || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
