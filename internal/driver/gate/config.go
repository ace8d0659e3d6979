package gate

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// Defaults of a Config's empty fields.
const (
	defaultAdmin    = "http://127.0.0.1:7410"
	defaultTokenEnv = "NOREN_GATE_TOKEN"
)

// Config says how to reach a gate.
type Config struct {
	// Admin is the URL of the gate's admin address. By default
	// http://127.0.0.1:7410.
	Admin string `json:"admin,omitempty"`
	// TokenFile holds the gate's admin token, as the gate wrote it.
	TokenFile string `json:"token_file,omitempty"`
	// TokenEnv names an environment variable that holds the token instead. By
	// default NOREN_GATE_TOKEN.
	TokenEnv string `json:"token_env,omitempty"`
	// CAFile holds the certificates that vouch for an https admin address, in
	// PEM. By default those of the system do.
	CAFile string `json:"ca_file,omitempty"`
}

// Pin makes the paths absolute.
func (c *Config) Pin(dir string) error {
	driver.Absolute(dir, &c.TokenFile, &c.CAFile)
	return nil
}

// Validate finds what is wrong without I/O.
func (c Config) Validate() error {
	u, err := url.Parse(c.admin())
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("admin: %q is no http or https URL; the usual one is %s", c.Admin, defaultAdmin)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("admin: give only scheme, host and port; the token goes into token_file or token_env")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return fmt.Errorf("admin: the token would travel to %s unencrypted; use https (the gate's admin cert and key), or a tunnel to 127.0.0.1", u.Host)
	case c.CAFile != "" && u.Scheme == "http":
		return fmt.Errorf("ca_file is given, but admin %s is not https", c.admin())
	case c.TokenFile != "" && c.TokenEnv != "":
		return errors.New("token_file and token_env are both given; keep one")
	}
	return nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func (c Config) admin() string { return strings.TrimSuffix(cmp.Or(c.Admin, defaultAdmin), "/") }

func (c Config) token() (string, error) {
	if c.TokenFile != "" {
		raw, err := os.ReadFile(c.TokenFile)
		if err != nil {
			return "", &fault.Fault{Code: fault.Invalid, Summary: "token of the gate cannot be read",
				Detail: fmt.Sprintf("noren closes doors of the gate at %s with the token in %s. The gate writes that file at its first start; copy it here, or run noren as a user who may read it (%v).", c.admin(), c.TokenFile, err), Err: err}
		}
		token := strings.TrimSpace(string(raw))
		if token == "" || !httpguts.ValidHeaderFieldValue(token) {
			return "", &fault.Fault{Code: fault.Invalid, Summary: "token of the gate cannot be used",
				Detail: fmt.Sprintf("%s is empty, or holds more than the one line of a token. Copy admin.token from the state directory of the gate at %s.", c.TokenFile, c.admin())}
		}
		return token, nil
	}
	name := cmp.Or(c.TokenEnv, defaultTokenEnv)
	token := strings.TrimSpace(os.Getenv(name))
	if token == "" {
		return "", &fault.Fault{Code: fault.Invalid, Summary: "token of the gate is missing",
			Detail: fmt.Sprintf("noren needs the token of the gate at %s, and the environment variable %s is empty. Set it, or give token_file in the section gate of the environment's drivers: the gate's state directory holds the file admin.token.", c.admin(), name)}
	}
	return token, nil
}

func (c Config) transport() (http.RoundTripper, error) {
	// A proxy from the environment has no business with an admin address.
	t := &http.Transport{}
	if c.CAFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	pool := x509.NewCertPool()
	if err == nil && !pool.AppendCertsFromPEM(pem) {
		err = errors.New("no certificate in PEM is in it")
	}
	if err != nil {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "ca_file of the gate cannot be used",
			Detail: fmt.Sprintf("%s is to vouch for the gate at %s.", c.CAFile, c.admin()), Err: err}
	}
	t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return t, nil
}
