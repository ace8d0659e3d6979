// Package smtp tells people of runs by mail: when a run begins, ends, waits for a
// person, is given another end, and when a closing is late. The mails of a closing
// stand together.
//
// Sources: RFC 5321 (SMTP), RFC 3207 (STARTTLS), RFC 5322 (headers), RFC 3834
// (Auto-Submitted).
package smtp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/mail"
	"regexp"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/vendorhttp"
)

// Config is the section smtp of an environment.
type Config struct {
	Host string   `json:"host" jsonschema:"required,example=smtp.example.com" jsonschema_description:"The mail server."`
	Port int      `json:"port,omitempty" jsonschema:"minimum=1,maximum=65535" jsonschema_description:"Its port. By default 587, of tls: implicit 465."`
	TLS  string   `json:"tls,omitempty" jsonschema:"enum=starttls,enum=implicit,enum=none" jsonschema_description:"starttls (the default), implicit, or none: for a server on a network of your own, without a user."`
	From string   `json:"from" jsonschema:"required,example=noren <noren@example.com>" jsonschema_description:"Who the mails are from."`
	To   []string `json:"to" jsonschema:"required,minItems=1" jsonschema_description:"Who gets them. All see who else does."`

	User         string `json:"user,omitempty" jsonschema_description:"The user at the server, if it asks for one."`
	PasswordEnv  string `json:"password_env,omitempty" jsonschema:"example=SMTP_PASSWORD" jsonschema_description:"The environment variable that holds the user's password."`
	PasswordFile string `json:"password_file,omitempty" jsonschema_description:"The file that holds it instead, on one line."`
	CAFile       string `json:"ca_file,omitempty" jsonschema_description:"Certificates in PEM that vouch for the server. By default those of the system do."`
}

// How a connection is kept from being read by others.
const (
	startTLS    = "starttls"
	implicitTLS = "implicit"
	noTLS       = "none"
)

// Pin makes the paths absolute.
func (c *Config) Pin(dir string) error {
	driver.Absolute(dir, &c.PasswordFile, &c.CAFile)
	return nil
}

// hostForm is a name or an address, without a port.
var hostForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$|^[0-9A-Fa-f:.]+$`)

// Validate finds what is wrong without I/O.
func (c Config) Validate() error {
	if !hostForm.MatchString(c.Host) {
		return fmt.Errorf("host: %q is no name or address of a mail server; a port goes into port", c.Host)
	}
	if _, err := mail.ParseAddress(c.From); err != nil {
		return fmt.Errorf("from: %q is no address, such as noren <noren@example.com>", c.From)
	}
	if len(c.To) == 0 {
		return errors.New("to: name at least one address")
	}
	for _, to := range c.To {
		if _, err := mail.ParseAddress(to); err != nil {
			return fmt.Errorf("to: %q is no address", to)
		}
	}
	secret := c.PasswordEnv != "" || c.PasswordFile != ""
	switch {
	case c.TLS != "" && c.TLS != startTLS && c.TLS != implicitTLS && c.TLS != noTLS:
		return fmt.Errorf("tls: %q is none of starttls, implicit, none", c.TLS)
	case c.PasswordEnv != "" && c.PasswordFile != "":
		return errors.New("password_file and password_env are both given; keep one")
	case (c.User != "") != secret:
		return errors.New("user: a user needs password_env or password_file, and they a user")
	case c.User != "" && c.TLS == noTLS:
		return errors.New("tls: the password would travel unencrypted; use starttls or implicit")
	}
	return nil
}

// Address says who hears.
func (c Config) Address() string { return "mail to " + strings.Join(c.To, ", ") }

func (c Config) port() int {
	if c.TLS == implicitTLS {
		return cmp.Or(c.Port, 465)
	}
	return cmp.Or(c.Port, 587)
}

func (c Config) key() vendorhttp.Key {
	return vendorhttp.Key{Env: c.PasswordEnv, File: c.PasswordFile, Names: [2]string{"password_env", "password_file"}}
}

// Driver returns the driver "smtp".
func Driver() *driver.Driver {
	return driver.New("smtp", "tells people of runs by mail", connect,
		driver.Checks("smtp/server.reachable", "The mail server answers and takes the user; nothing is sent", openReachable),
		driver.Hears(hear),
	)
}

// conn is a mail server as it is configured; each telling connects to it.
type conn struct {
	cfg Config
	now func() time.Time
}

func connect(_ context.Context, cfg Config, env driver.Env) (*conn, error) {
	now := env.Now
	if now == nil {
		now = time.Now
	}
	return &conn{cfg, now}, nil
}

// ReachableParams are the parameters of smtp/server.reachable: none.
type ReachableParams struct{}

type reachable struct{ c *conn }

func openReachable(c *conn, _ ReachableParams) (*reachable, error) { return &reachable{c}, nil }

// Target names the server.
func (r *reachable) Target() string { return "smtp:" + r.c.address() }

// Check connects as for a mail, and sends none.
func (r *reachable) Check(ctx context.Context) (action.Verdict, error) {
	s, err := r.c.dial(ctx)
	if err != nil {
		return action.Verdict{}, err
	}
	defer s.leave()
	if err := s.client.Noop(); err != nil {
		return action.Verdict{}, r.c.said("NOOP", err)
	}
	return action.Verdict{OK: true, Summary: "the mail server " + r.c.address() + " answers"}, nil
}
