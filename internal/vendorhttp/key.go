// Package vendorhttp is what drivers share whose systems speak JSON over HTTP and
// let noren in by a key: where keys come from, one call with its bounds, and what
// a refusal means. No key ever stands in noren.yaml, in a plan or in an error.
package vendorhttp

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// Access is the part of a driver's configuration that says by which key noren is
// let in, and who vouches for the server.
type Access struct {
	TokenEnv  string `json:"token_env,omitempty" jsonschema_description:"The environment variable that holds the key."`
	TokenFile string `json:"token_file,omitempty" jsonschema_description:"The file that holds the key instead, on one line."`
	CAFile    string `json:"ca_file,omitempty" jsonschema_description:"Certificates in PEM that vouch for the server. By default those of the system do."`
}

// Pin makes the paths absolute.
func (a *Access) Pin(dir string) error {
	driver.Absolute(dir, &a.TokenFile, &a.CAFile)
	return nil
}

// Key is where the key is; usual is the variable that holds it if nothing is said.
func (a Access) Key(usual string) Key {
	return Key{Env: a.TokenEnv, File: a.TokenFile, Usual: usual, Names: [2]string{"token_env", "token_file"}}
}

// Validate finds what is wrong with an access and the URL that it leads to,
// without I/O.
func (a Access) Validate(key, base string) error {
	if err := CheckURL(key, base, a.TokenEnv != "" || a.TokenFile != ""); err != nil {
		return err
	}
	if a.TokenEnv != "" && a.TokenFile != "" {
		return errors.New("token_file and token_env are both given; keep one")
	}
	return nil
}

// CheckURL refuses a base URL that cannot be used, and one over which a key would
// travel unencrypted.
func CheckURL(key, base string, secret bool) error {
	u, err := url.Parse(base)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%s: %q is no http or https URL", key, base)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("%s: give only scheme, host and path; a key goes into an environment variable or a file", key)
	case secret && u.Scheme == "http" && !loopback(u.Hostname()):
		return fmt.Errorf("%s: the key would travel to %s unencrypted; use https", key, u.Host)
	}
	return nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// A Key is where a secret is kept: in an environment variable, or in a file.
type Key struct {
	Env, File string
	// Usual is the variable where neither is given; "" if there need be no key.
	Usual string
	// Names are the keys of noren.yaml that say so.
	Names [2]string
}

// Given tells whether there is to be a key.
func (k Key) Given() bool { return k.Env != "" || k.File != "" || k.Usual != "" }

// String says where the key is, for people.
func (k Key) String() string {
	if k.File != "" {
		return "the file " + k.File
	}
	return "the environment variable " + cmp.Or(k.Env, k.Usual)
}

// Read reads the key. system is whose it is, for people.
func (k Key) Read(system string) (string, error) {
	if !k.Given() {
		return "", nil
	}
	var raw string
	if k.File != "" {
		content, err := os.ReadFile(k.File)
		if err != nil {
			return "", &fault.Fault{Code: fault.Invalid, Summary: "key cannot be read", Err: err,
				Detail: fmt.Sprintf("noren is let into %s by the key in %s, and cannot read it: %v.", system, k, err)}
		}
		raw = string(content)
	} else {
		raw = os.Getenv(cmp.Or(k.Env, k.Usual))
	}
	key := strings.TrimSpace(raw)
	switch {
	case key == "":
		return "", &fault.Fault{Code: fault.Invalid, Summary: "key is missing",
			Detail: fmt.Sprintf("noren is let into %s by a key, and %s is empty. Set it, or say with %s or %s where the key is.", system, k, k.Names[0], k.Names[1])}
	case !httpguts.ValidHeaderFieldValue(key):
		return "", &fault.Fault{Code: fault.Invalid, Summary: "key cannot be used",
			Detail: fmt.Sprintf("%s, which is to let noren into %s, holds more than the one line of a key.", strings.ToUpper(k.String()[:1])+k.String()[1:], system)}
	}
	return key, nil
}
