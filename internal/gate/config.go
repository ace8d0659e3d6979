// Package gate is noren's own reverse proxy: the door of bare hosts, and the
// embedded default. It serves the rules of package edge, closes and opens its
// doors without dropping a request, and keeps what is closed on disk, so that
// it comes back closed if it was.
//
// Life: [Load] a file into a [Config] (or fill one in), [New] makes a [Gate]
// from it and reads what was closed, [Gate.Run] serves until its context ends.
package gate

import (
	"log/slog"
	"net/netip"
	"time"
)

// A Config is a gate's configuration. Paths in it are relative to the working
// directory; those in a file are relative to the file.
type Config struct {
	// Listen are the addresses at which customers come in.
	Listen []Listen `yaml:"listen"`
	Admin  Admin    `yaml:"admin"`
	// StateDir keeps one file for each closed door. No two gates share it.
	StateDir string `yaml:"state_dir"`
	Doors    []Door `yaml:"doors"`
	// TrustedProxies are the networks whose X-Forwarded-For is believed. Empty:
	// the source of a request is always the TCP peer.
	TrustedProxies []netip.Prefix `yaml:"-"` // trusted_proxies
	// Drain is how long requests may take to end when the gate stops.
	// Zero: 30 seconds.
	Drain time.Duration `yaml:"-"` // drain
	// AppStatus is the file of a status document, which the gate serves to apps
	// at every host, at appstatus.Path, whatever is closed. Empty: none, and a
	// request for that path goes where others go.
	AppStatus string `yaml:"app_status"`
	// AccessLog writes a line for each request to Logger.
	AccessLog bool `yaml:"access_log"`
	// Logger is where the gate logs. Nil: nowhere.
	Logger *slog.Logger `yaml:"-"`
}

// A Listen is one address for customers, with TLS if Cert and Key are given.
// The files are read again when they change.
type Listen struct {
	Address string `yaml:"address"` // "host:port", ":port"
	Cert    string `yaml:"cert"`
	Key     string `yaml:"key"`
}

// An Admin is where noren talks to the gate. Address is on the loopback
// interface unless Cert and Key are given, since a token travels over it.
type Admin struct {
	Address string `yaml:"address"` // empty: 127.0.0.1:7410
	Cert    string `yaml:"cert"`
	Key     string `yaml:"key"`
	// TokenFile holds the bearer token. The first start writes it.
	// Empty: admin.token in StateDir.
	TokenFile string `yaml:"token_file"`
}

// A Door is one application behind the gate.
type Door struct {
	Name string `yaml:"name"`
	// Hosts may begin with "*."; empty serves every host that no other door
	// does, and is for one door only.
	Hosts []string `yaml:"hosts"`
	// Backend is the application's URL, as "http://127.0.0.1:3000".
	Backend string `yaml:"backend"`
	// Health is a path on the backend that answers 200 when it is well.
	Health string `yaml:"health"`
	// URLs under which customers reach the door, where something before the
	// gate makes them differ from its hosts and ports.
	URLs []string `yaml:"urls"`
}

// Defaults of a Config's empty fields.
const (
	defaultAdmin = "127.0.0.1:7410"
	defaultDrain = 30 * time.Second
	tokenName    = "admin.token"
)
