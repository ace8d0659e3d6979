package smtp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"os"
	"strconv"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

func (c *conn) address() string { return net.JoinHostPort(c.cfg.Host, strconv.Itoa(c.cfg.port())) }

// callPatience bounds all that is said to the server for one telling.
const callPatience = 12 * time.Second

// A session is one connection, ready to take mails.
type session struct {
	conn   *conn
	client *smtp.Client
	stop   func() bool
}

// leave says goodbye; whether that is heard matters no more.
func (s *session) leave() {
	_ = s.client.Quit()
	_ = s.client.Close()
	s.stop()
}

// dial connects, encrypts and logs in, as configured. It never goes on without
// the encryption that is asked for.
func (c *conn) dial(ctx context.Context) (*session, error) {
	config, err := c.tls()
	if err != nil {
		return nil, err
	}
	dialing, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	var raw net.Conn
	if c.cfg.TLS == implicitTLS {
		raw, err = (&tls.Dialer{Config: config}).DialContext(dialing, "tcp", c.address())
	} else {
		raw, err = (&net.Dialer{}).DialContext(dialing, "tcp", c.address())
	}
	if err != nil {
		return nil, c.said("connecting", err)
	}
	if err := raw.SetDeadline(time.Now().Add(callPatience)); err != nil {
		return nil, c.said("connecting", errors.Join(err, raw.Close()))
	}
	client, err := smtp.NewClient(raw, c.cfg.Host)
	if err != nil {
		return nil, c.said("its greeting", errors.Join(err, raw.Close()))
	}
	s := &session{conn: c, client: client, stop: context.AfterFunc(ctx, func() { _ = raw.Close() })} // what waits then fails
	if err := s.begin(config); err != nil {
		s.leave()
		return nil, err
	}
	return s, nil
}

func (s *session) begin(config *tls.Config) error {
	c := s.conn
	if c.cfg.TLS == "" || c.cfg.TLS == startTLS {
		if ok, _ := s.client.Extension("STARTTLS"); !ok {
			return &fault.Fault{Code: fault.Invalid, Summary: "mail server does not encrypt",
				Detail: fmt.Sprintf("%s does not offer STARTTLS. If it speaks TLS from the beginning, say tls: implicit; on a network of your own, tls: none.", c.address())}
		}
		if err := s.client.StartTLS(config); err != nil {
			return c.said("STARTTLS", err)
		}
	}
	if c.cfg.User == "" {
		return nil
	}
	password, err := c.cfg.key().Read("the mail server " + c.address())
	if err != nil {
		return err
	}
	if err := s.client.Auth(smtp.PlainAuth("", c.cfg.User, password, c.cfg.Host)); err != nil {
		return c.said("logging in as "+c.cfg.User, err)
	}
	return nil
}

func (c *conn) tls() (*tls.Config, error) {
	config := &tls.Config{ServerName: c.cfg.Host, MinVersion: tls.VersionTLS12}
	if c.cfg.CAFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(c.cfg.CAFile)
	config.RootCAs = x509.NewCertPool()
	if err == nil && !config.RootCAs.AppendCertsFromPEM(pem) {
		err = errors.New("no certificate in PEM is in it")
	}
	if err != nil {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "ca_file cannot be used", Err: err,
			Detail: fmt.Sprintf("%s is to vouch for the mail server %s: %v.", c.cfg.CAFile, c.cfg.Host, err)}
	}
	return config, nil
}

// Replies of a server: 4xx means later, 5xx never; 530, 534, 535 and 538 are about
// the user. Source: RFC 5321 section 4.2.1, RFC 4954 section 6.
func (c *conn) said(at string, err error) error {
	f := &fault.Fault{Code: fault.Unavailable, Summary: "mail server does not answer",
		Detail: fmt.Sprintf("%s, at %s: %v.", c.address(), at, err), Err: fmt.Errorf("%w: %w", action.ErrUnavailable, err)}
	var reply *textproto.Error
	var foreign *tls.CertificateVerificationError
	switch {
	case errors.As(err, &foreign):
		f.Code, f.Summary, f.Err = fault.Invalid, "mail server is not who it should be", err
	case !errors.As(err, &reply) || reply.Code/100 == 4:
	case reply.Code == 530 || reply.Code == 534 || reply.Code == 535 || reply.Code == 538:
		f.Code, f.Summary, f.Err = fault.Denied, "mail server refuses the user", err
		if c.cfg.User != "" {
			f.Detail += " The password of " + c.cfg.User + " is in " + c.cfg.key().String() + "."
		}
	default:
		f.Code, f.Summary, f.Err = fault.Invalid, "mail server refuses it", err
	}
	return f
}

// hear sends a mail for each notice that is worth one, each kept once the server
// has taken it.
func hear(ctx context.Context, c *conn, h driver.Hearing) error {
	var s *session
	defer func() {
		if s != nil {
			s.leave()
		}
	}()
	for _, n := range h.Notices {
		if !worth(n) {
			continue
		}
		if s == nil {
			var err error
			if s, err = c.dial(ctx); err != nil {
				return err
			}
		}
		if err := s.send(compose(c.cfg, h.Story, n, c.now())); err != nil {
			return err
		}
		if err := h.Keep(ctx, n.Seq, ""); err != nil {
			return err
		}
	}
	return h.Keep(ctx, h.Last(), "")
}

// send hands over one mail.
func (s *session) send(message []byte) error {
	c := s.conn
	from, err := mail.ParseAddress(c.cfg.From)
	if err != nil {
		return err
	}
	if err := s.client.Mail(from.Address); err != nil {
		return c.said("the sender "+from.Address, err)
	}
	for _, to := range c.cfg.To {
		a, err := mail.ParseAddress(to)
		if err != nil {
			return err
		}
		if err := s.client.Rcpt(a.Address); err != nil {
			return c.said("the recipient "+a.Address, err)
		}
	}
	w, err := s.client.Data()
	if err == nil {
		_, err = w.Write(message)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return c.said("the mail", err)
	}
	return nil
}
