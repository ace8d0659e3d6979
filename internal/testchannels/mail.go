package testchannels

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http/httptest"
	"net/mail"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"

	"github.com/noren-dev/noren/internal/localca"
)

// Mail is a mail server that takes mails only over TLS and from a user, unless it
// is a Relay, and looks into each as a mail program would.
type Mail struct {
	Ledger
	PEM  []byte // who vouches for it
	Port string
	User string
	// Relay is set where it takes mails of anybody, and speaks no TLS.
	Relay bool

	password string
	server   *gosmtp.Server
	mu       sync.Mutex
	seen     map[string]bool
}

// NewMail starts one on this machine that encrypts on STARTTLS.
func NewMail(user, password string) (*Mail, error) {
	return startMail(&Mail{User: user, password: password}, false)
}

// NewImplicitMail starts one that speaks TLS from the beginning.
func NewImplicitMail(user, password string) (*Mail, error) {
	return startMail(&Mail{User: user, password: password}, true)
}

// NewRelay starts one that takes mails of anybody, and knows no TLS.
func NewRelay() (*Mail, error) { return startMail(&Mail{Relay: true}, false) }

func startMail(m *Mail, implicit bool) (*Mail, error) {
	ca, err := localca.New(time.Now())
	if err != nil {
		return nil, err
	}
	ca.Addresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	m.PEM, m.seen = ca.PEM, map[string]bool{}
	m.server = gosmtp.NewServer(gosmtp.BackendFunc(func(*gosmtp.Conn) (gosmtp.Session, error) { return &mailSession{mail: m}, nil }))
	m.server.Domain, m.server.MaxLineLength = "localhost", 998 // RFC 5322 section 2.1.1
	secure := &tls.Config{GetCertificate: ca.Certificate, MinVersion: tls.VersionTLS12}
	if !m.Relay && !implicit {
		m.server.TLSConfig = secure
	}
	m.server.ReadTimeout, m.server.WriteTimeout = time.Minute, time.Minute
	l := httptest.NewUnstartedServer(nil).Listener
	_, m.Port, _ = net.SplitHostPort(l.Addr().String())
	if implicit {
		l = tls.NewListener(l, secure)
	}
	go func() { _ = m.server.Serve(l) }() // it ends with Close
	return m, nil
}

// Close stops it.
func (m *Mail) Close() { _ = m.server.Close() }

// A mailSession is one connection.
type mailSession struct {
	mail  *Mail
	known bool
	from  string
	to    []string
}

// AuthMechanisms implements [gosmtp.AuthSession].
func (s *mailSession) AuthMechanisms() []string { return []string{sasl.Plain} }

// Auth implements [gosmtp.AuthSession].
func (s *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != s.mail.User || password != s.mail.password {
			return gosmtp.ErrAuthFailed
		}
		s.known = true
		return nil
	}), nil
}

// Mail begins a mail.
func (s *mailSession) Mail(from string, _ *gosmtp.MailOptions) error {
	if s.mail.isDown() {
		return &gosmtp.SMTPError{Code: 451, EnhancedCode: gosmtp.EnhancedCode{4, 3, 0}, Message: "try later"}
	}
	if !s.known && !s.mail.Relay {
		return gosmtp.ErrAuthRequired
	}
	s.from, s.to = from, nil
	return nil
}

// Rcpt adds a recipient.
func (s *mailSession) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	s.to = append(s.to, to)
	return nil
}

// Data takes the mail. Its line is the subject, the id, what it refers to, and
// its text.
func (s *mailSession) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	line, id, err := s.read(raw)
	if err != nil {
		s.mail.Wrong("%v\n%s", err, raw)
		return &gosmtp.SMTPError{Code: 554, EnhancedCode: gosmtp.EnhancedCode{5, 6, 0}, Message: err.Error()}
	}
	s.mail.mu.Lock()
	if s.mail.seen[id] {
		line = "again " + line
	}
	s.mail.seen[id] = true
	s.mail.mu.Unlock()
	s.mail.Took("%s", line)
	return nil
}

func (s *mailSession) read(raw []byte) (line, id string, err error) {
	for text := bufio.NewScanner(bytes.NewReader(raw)); text.Scan(); {
		for _, c := range text.Bytes() {
			if c > 126 {
				return "", "", fmt.Errorf("a line is not ASCII: %q", text.Text())
			}
		}
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return "", "", err
	}
	for _, name := range []string{"Date", "From", "To", "Subject", "Message-Id", "References", "In-Reply-To", "Mime-Version", "Auto-Submitted"} {
		if m.Header.Get(name) == "" {
			return "", "", errors.New("no header " + name)
		}
	}
	from, err := mail.ParseAddress(m.Header.Get("From"))
	if err != nil || from.Address != s.from {
		return "", "", fmt.Errorf("from %v, and the envelope says %q: %w", from, s.from, err)
	}
	to, err := m.Header.AddressList("To")
	if err != nil || len(to) != len(s.to) {
		return "", "", fmt.Errorf("to %v, and the envelope says %q: %w", to, s.to, err)
	}
	if _, err := m.Header.Date(); err != nil {
		return "", "", err
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		return "", "", err
	}
	body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil {
		return "", "", err
	}
	id = m.Header.Get("Message-Id")
	return fmt.Sprintf("mail %q %s in %s: %s", subject, id, m.Header.Get("References"), strings.Join(strings.Fields(string(body)), " ")), id, nil
}

// Reset implements [gosmtp.Session].
func (s *mailSession) Reset() { s.from, s.to = "", nil }

// Logout implements [gosmtp.Session].
func (s *mailSession) Logout() error { return nil }
