package gate

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/noren-dev/noren/internal/fault"
)

// A mistake is something wrong in a configuration, and where: a path such as
// $.doors[0].backend.
type mistake struct{ path, detail string }

var (
	doorName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)
	hostForm = regexp.MustCompile(`^(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$`)
)

// validate returns what Load would, without places, for a Config that a
// program filled in.
func (c Config) validate() error {
	var all []error
	for _, m := range c.mistakes() {
		all = append(all, &fault.Fault{Code: fault.Invalid, Summary: "gate configuration is wrong", Detail: strings.TrimPrefix(m.path, "$.") + ": " + m.detail})
	}
	return errors.Join(all...)
}

func (c Config) mistakes() []mistake {
	m := &mistakes{}
	if len(c.Listen) == 0 {
		m.add("$.listen", "The gate listens nowhere. Give at least one address, for example\n\n  listen:\n    - address: \":8080\"")
	}
	for i, l := range c.Listen {
		at := fmt.Sprintf("$.listen[%d]", i)
		m.address(at+".address", l.Address)
		m.pair(at, l.Cert, l.Key)
	}
	c.Admin.mistakes(m)
	if c.StateDir == "" {
		m.add("$.state_dir", "state_dir is missing: the directory where the gate keeps what is closed, for example /var/lib/noren/gate.")
	}
	if c.Drain < 0 {
		m.add("$.drain", "drain is less than nothing; give a time such as 30s.")
	}
	c.doorMistakes(m)
	return m.all
}

func (a Admin) mistakes(m *mistakes) {
	m.pair("$.admin", a.Cert, a.Key)
	if a.Address == "" || !m.address("$.admin.address", a.Address) || a.Cert != "" {
		return
	}
	host, _, _ := net.SplitHostPort(a.Address)
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		m.add("$.admin.address", fmt.Sprintf("The admin address %s is open to others and the token would travel over it unencrypted. Use 127.0.0.1, or give cert and key.", a.Address))
	}
}

func (c Config) doorMistakes(m *mistakes) {
	if len(c.Doors) == 0 {
		m.add("$.doors", "The gate has no doors. Give at least one with a name and a backend.")
	}
	names, hosts, anyHost := map[string]bool{}, map[string]string{}, ""
	for i, d := range c.Doors {
		at := fmt.Sprintf("$.doors[%d]", i)
		switch {
		case !doorName.MatchString(d.Name):
			m.add(at+".name", fmt.Sprintf("%q is no name for a door: use small letters, digits, dots and hyphens, at most 63.", d.Name))
		case names[d.Name]:
			m.add(at+".name", fmt.Sprintf("Two doors are called %s.", d.Name))
		}
		names[d.Name] = true
		if len(d.Hosts) == 0 {
			if anyHost != "" {
				m.add(at, fmt.Sprintf("The doors %s and %s both serve any host; name the hosts of one.", anyHost, d.Name))
			}
			anyHost = d.Name
		}
		for j, h := range d.Hosts {
			m.host(fmt.Sprintf("%s.hosts[%d]", at, j), h, d.Name, hosts)
		}
		m.backend(at+".backend", d)
		if d.Health != "" && !strings.HasPrefix(d.Health, "/") {
			m.add(at+".health", fmt.Sprintf("The health path %q of door %s does not begin with a slash; it is a path on the backend.", d.Health, d.Name))
		}
		for j, u := range d.URLs {
			if p, err := url.Parse(u); err != nil || p.Host == "" || p.Scheme != "http" && p.Scheme != "https" {
				m.add(fmt.Sprintf("%s.urls[%d]", at, j), fmt.Sprintf("%q is no http or https URL.", u))
			}
		}
	}
}

type mistakes struct{ all []mistake }

func (m *mistakes) add(path, detail string) { m.all = append(m.all, mistake{path, detail}) }

func (m *mistakes) address(path, address string) bool {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		m.add(path, fmt.Sprintf("%q is no address to listen at; write host:port or :port, the port as a number.", address))
	}
	return err == nil
}

func (m *mistakes) pair(path, cert, key string) {
	switch {
	case cert != "" && key == "":
		m.add(path+".cert", "cert is given without key; TLS needs both.")
	case cert == "" && key != "":
		m.add(path+".key", "key is given without cert; TLS needs both.")
	}
}

// host checks one host of a door. A host that an earlier door's pattern serves
// too would never be reached.
func (m *mistakes) host(path, h, door string, seen map[string]string) {
	if !hostForm.MatchString(h) {
		m.add(path, fmt.Sprintf("%q is no host name: write it in small letters without port, for example shop.example.com or *.example.com.", h))
		return
	}
	for earlier, owner := range seen {
		switch {
		case earlier == h:
			m.add(path, fmt.Sprintf("The host %s is given twice, at the doors %s and %s.", h, owner, door))
			return
		case owner != door && strings.HasPrefix(earlier, "*") && strings.HasSuffix(h, earlier[1:]):
			m.add(path, fmt.Sprintf("Requests to %s never reach the door %s, because %s of the door %s comes first. Put the door %s before it.", h, door, earlier, owner, door))
			return
		}
	}
	seen[h] = door
}

func (m *mistakes) backend(path string, d Door) {
	u, err := url.Parse(d.Backend)
	switch {
	case d.Backend == "":
		m.add(path, fmt.Sprintf("The door %s has no backend; give the application's URL, for example http://127.0.0.1:3000.", d.Name))
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		m.add(path, fmt.Sprintf("The backend %q of door %s is no http or https URL.", d.Backend, d.Name))
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		m.add(path, fmt.Sprintf("The backend of door %s has a user, a query or a fragment; give only scheme, host, port and path.", d.Name))
	}
}
