package gate

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/fault"
)

func load(t *testing.T, yaml string) (Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gate.yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(path)
}

const good = `listen:
  - address: ":8080"
  - address: ":8443"
    cert: tls.crt
    key: /etc/tls.key
admin:
  token_file: secret
state_dir: state
trusted_proxies: [10.0.0.0/8]
drain: 45s
access_log: true
doors:
  - name: web
    hosts: [shop.example.com, "*.shop.example.com"]
    backend: http://127.0.0.1:3000
    health: /healthz
  - name: rest
    backend: http://127.0.0.1:3001
`

func TestLoad(t *testing.T) {
	c, err := load(t, good)
	if err != nil {
		t.Fatal(err)
	}
	if c.TrustedProxies[0] != netip.MustParsePrefix("10.0.0.0/8") || c.Drain != 45*time.Second || !c.AccessLog || c.Doors[0].Health != "/healthz" {
		t.Errorf("%+v", c)
	}
	if !filepath.IsAbs(c.StateDir) || !filepath.IsAbs(c.Admin.TokenFile) || !filepath.IsAbs(c.Listen[1].Cert) || c.Listen[1].Key != "/etc/tls.key" {
		t.Errorf("paths are not relative to the file: %+v", c)
	}
}

func TestLoadRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		old, new string
		at       string // line:column
		says     string
	}{
		"broken YAML":             {"doors:", "doors: ]", "12:8", ""},
		"unknown key":             {"drain: 45s", "drian: 45s", "10:1", "drian"},
		"unknown key in a door":   {"health: /healthz", "healht: /healthz", "16:5", "healht"},
		"key twice":               {"drain: 45s", "state_dir: x", "10:1", "state_dir"},
		"wrong type":              {"access_log: true", "access_log: [1]", "11:13", ""},
		"malformed CIDR":          {"10.0.0.0/8", "10.0.0.0/88", "9:19", "10.0.0.0/88"},
		"malformed time":          {"45s", "45 apples", "10:8", "45 apples"},
		"address without port":    {`":8080"`, "localhost", "2:14", "host:port"},
		"cert without key":        {"    key: /etc/tls.key\n", "", "4:11", "both"},
		"admin for everyone":      {"token_file: secret", "address: 0.0.0.0:7410", "7:12", "unencrypted"},
		"no state directory":      {"state_dir: state\n", "", "1:1", "state_dir is missing"},
		"door without name":       {"name: web", "name: Web Shop", "13:11", "no name for a door"},
		"two doors of a name":     {"name: rest", "name: web", "17:11", "Two doors"},
		"two doors for any host":  {"    hosts: [shop.example.com, \"*.shop.example.com\"]\n", "", "16:5", "any host"},
		"host with a port":        {"[shop.example.com,", "[shop.example.com:80,", "14:13", "without port"},
		"host never reached":      {"name: rest", "name: rest\n    hosts: [my.shop.example.com]", "18:13", "comes first"},
		"host twice":              {"name: rest", "name: rest\n    hosts: [shop.example.com]", "18:13", "twice"},
		"no backend":              {"    backend: http://127.0.0.1:3001\n", "", "17:5", "no backend"},
		"backend that is no URL":  {"http://127.0.0.1:3000", "127.0.0.1:3000", "15:14", "no http or https URL"},
		"backend with a password": {"http://127.0.0.1:3000", "http://u:p@127.0.0.1:3000", "15:14", "only scheme"},
		"health is no path":       {"/healthz", "healthz", "16:13", "slash"},
		"public URL that is none": {"health: /healthz", "urls: [shop]", "16:12", "no http or https URL"},
		"drain less than nothing": {"45s", "-45s", "10:8", "less than nothing"},
		"no doors":                {good[strings.Index(good, "doors:"):], "", "1:1", "no doors"},
		"listens nowhere":         {good[:strings.Index(good, "admin:")], "", "1:1", "nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(good, c.old) {
				t.Fatalf("the good file has no %q", c.old)
			}
			_, err := load(t, strings.Replace(good, c.old, c.new, 1))
			if err == nil {
				t.Fatal("accepted")
			}
			faults := fault.Of(err)
			if len(faults) != 1 {
				t.Fatalf("%d faults: %v", len(faults), err)
			}
			f := faults[0]
			if f.Code != fault.Invalid || f.At == nil || !strings.HasSuffix(f.At.String(), ":"+c.at) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want it at %s saying %q", err, c.at, c.says)
			}
			if strings.Contains(err.Error(), "u:p") {
				t.Errorf("the error repeats a password: %v", err)
			}
		})
	}
}

func TestLoadTellsAllMistakesAtOnce(t *testing.T) {
	_, err := load(t, strings.NewReplacer("web", "Web Shop", "http://127.0.0.1:3001", "nowhere", "45s", "-1s").Replace(good))
	if n := len(fault.Of(err)); n != 3 {
		t.Fatalf("%d faults: %v", n, err)
	}
}

func TestLoadOfMissingFile(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "none.yaml"))
	if !errors.Is(err, &fault.Fault{Code: fault.Invalid}) || !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}

func TestNewChecksWhatAProgramFilledIn(t *testing.T) {
	_, err := New(Config{})
	if len(fault.Of(err)) != 3 || !strings.Contains(err.Error(), "listen: ") {
		t.Fatal(err)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(good)
	f.Add("doors: [{name: a}, {hosts: [x]}]")
	f.Fuzz(func(t *testing.T, yaml string) {
		_, err := load(t, yaml)
		for _, one := range fault.Of(err) {
			if one.Code != fault.Invalid || one.At == nil || one.At.Line < 1 {
				t.Errorf("%q: %+v", yaml, one)
			}
		}
	})
}
