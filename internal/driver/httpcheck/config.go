package httpcheck

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// defaultTimeout is for one request from connecting to the end of the body. An
// entrance that needs longer for a fixed answer is not working.
const defaultTimeout = 5 * time.Second

// Config is the configuration of the driver "http".
type Config struct {
	// Resolve sends requests for "host:port" to other addresses, written
	// "ip:port" or several of them with commas between, like curl's
	// --connect-to: the URL, the Host header and the name in TLS stay. Names
	// not listed are looked up in DNS.
	Resolve map[string]string `json:"resolve,omitempty"`
	// CAFile is a PEM file of certificate authorities to trust besides the system's.
	CAFile string `json:"ca_file,omitempty"`
	// Timeout is for one request, as "5s", which is the default.
	Timeout string `json:"timeout,omitempty"`
}

// Pin makes the path absolute.
func (c *Config) Pin(dir string) error {
	driver.Absolute(dir, &c.CAFile)
	return nil
}

// Validate checks the configuration without I/O.
func (c Config) Validate() error {
	if _, err := c.resolve(); err != nil {
		return err
	}
	_, err := c.timeout()
	return err
}

func (c Config) timeout() (time.Duration, error) {
	if c.Timeout == "" {
		return defaultTimeout, nil
	}
	d, err := time.ParseDuration(c.Timeout)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("timeout: %q is not a duration above zero such as 5s", c.Timeout)
	}
	return d, nil
}

func (c Config) resolve() (map[string][]netip.AddrPort, error) {
	all := map[string][]netip.AddrPort{}
	for from, to := range c.Resolve {
		host, port, err := net.SplitHostPort(from)
		if err != nil || host == "" || !isPort(port) {
			return nil, fmt.Errorf("resolve: %q is not host:port such as shop.example.com:443", from)
		}
		for one := range strings.SplitSeq(to, ",") {
			addr, err := netip.ParseAddrPort(strings.TrimSpace(one))
			if err != nil {
				return nil, fmt.Errorf("resolve: %q for %s is not ip:port such as 192.0.2.10:443", one, from)
			}
			key := net.JoinHostPort(strings.ToLower(host), port)
			all[key] = append(all[key], addr)
		}
	}
	return all, nil
}

func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

// roots returns the authorities to trust, nil for the system's alone.
func (c Config) roots() (*x509.CertPool, error) {
	if c.CAFile == "" {
		return nil, nil
	}
	bad := func(detail string, err error) error {
		return &fault.Fault{Code: fault.Invalid, Summary: "the certificate authorities for probes cannot be read",
			Detail: fmt.Sprintf("The setting ca_file of the driver http is %s: %s. Nothing was asked.", c.CAFile, detail), Err: err}
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, bad(err.Error(), err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil { // a machine without any roots of its own
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, bad("it holds no certificate in PEM form", nil)
	}
	return pool, nil
}

// URLs are the URLs that a check asks.
type URLs []string

// parse reads the URLs, each of which must be complete.
func (u URLs) parse() ([]*url.URL, error) {
	if len(u) == 0 {
		return nil, errors.New("urls: at least one URL is needed")
	}
	parsed := make([]*url.URL, len(u))
	for i, raw := range u {
		p, err := url.Parse(raw)
		switch {
		case err != nil:
			return nil, fmt.Errorf("urls: %w", err)
		case p.Scheme != "http" && p.Scheme != "https", p.Hostname() == "":
			return nil, fmt.Errorf("urls: %q is not a complete http or https URL such as https://shop.example.com/", raw)
		case p.User != nil:
			return nil, fmt.Errorf("urls: the URL of %s holds a user name; credentials do not belong into plans", p.Host)
		}
		parsed[i] = p
	}
	return parsed, nil
}

// target names what the check is about.
func (u URLs) target() string {
	if len(u) == 1 {
		return "http:" + u[0]
	}
	return fmt.Sprintf("http:%s and %d more", u[0], len(u)-1)
}
