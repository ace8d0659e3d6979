package gate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/noren-dev/noren/internal/fault"
)

// Load reads a gate's configuration from a YAML file and finds everything that
// is wrong with it. Its error holds a fault for each mistake, with its place.
func Load(path string) (Config, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return Config{}, &fault.Fault{Code: fault.Invalid, Summary: "gate configuration cannot be read",
			Detail: fmt.Sprintf("The gate's file cannot be read: %v.", err), Err: err, Try: []string{"noren gate init     # writes one to begin with"}}
	}
	f := file{name: path, source: source}
	var w written
	if err := yaml.NewDecoder(bytes.NewReader(source), yaml.Strict()).Decode(&w); err != nil && !errors.Is(err, io.EOF) {
		return Config{}, f.syntax(err)
	}
	if f.tree, err = parser.ParseBytes(source, 0); err != nil {
		return Config{}, f.syntax(err)
	}
	c, mistakes := w.config()
	c.relativeTo(filepath.Dir(path))
	if mistakes = append(mistakes, c.mistakes()...); len(mistakes) > 0 {
		var all []error
		for _, m := range mistakes {
			all = append(all, f.fault(m))
		}
		return Config{}, errors.Join(all...)
	}
	return c, nil
}

// written is a Config as it stands in a file. Values that are more than text
// are read by us: the YAML library does not tell where they are wrong.
type written struct {
	Config         `yaml:",inline"`
	TrustedProxies []string `yaml:"trusted_proxies"`
	Drain          string   `yaml:"drain"`
}

func (w written) config() (Config, []mistake) {
	c, m := w.Config, &mistakes{}
	for i, s := range w.TrustedProxies {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			m.add(fmt.Sprintf("$.trusted_proxies[%d]", i), fmt.Sprintf("%q is no network; write it as 10.0.0.0/8 or 192.0.2.1/32.", s))
			continue
		}
		c.TrustedProxies = append(c.TrustedProxies, p.Masked())
	}
	if w.Drain != "" {
		d, err := time.ParseDuration(w.Drain)
		if err != nil {
			m.add("$.drain", fmt.Sprintf("%q is no time; write it as 30s or 5m.", w.Drain))
		}
		c.Drain = d
	}
	return c, m.all
}

func (c *Config) relativeTo(dir string) {
	paths := []*string{&c.StateDir, &c.AppStatus, &c.Admin.TokenFile, &c.Admin.Cert, &c.Admin.Key}
	for i := range c.Listen {
		paths = append(paths, &c.Listen[i].Cert, &c.Listen[i].Key)
	}
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
}

// A file is what Load reads, for the places of mistakes in it.
type file struct {
	name   string
	source []byte
	tree   *ast.File
}

func (f file) syntax(err error) error {
	out := &fault.Fault{Code: fault.Invalid, Summary: "gate configuration is not understood", Detail: err.Error(), Err: err}
	var y yaml.Error
	if errors.As(err, &y) {
		out.Detail = y.GetMessage() + "."
		out.Err = nil
		out.At = f.position(y.GetToken())
	}
	return out
}

func (f file) fault(m mistake) error {
	return &fault.Fault{Code: fault.Invalid, Summary: "gate configuration is wrong", Detail: m.detail, At: f.find(m.path)}
}

// find returns the place of a path such as $.doors[0].backend, or of the
// nearest part of it that is in the file.
func (f file) find(path string) *fault.Position {
	for path != "$" {
		if p, err := yaml.PathString(path); err == nil {
			if node, err := p.FilterFile(f.tree); err == nil && node != nil {
				return f.position(first(node))
			}
		}
		path = path[:strings.LastIndexAny(path, ".[")]
	}
	return &fault.Position{File: f.name, Line: 1, Column: 1, Excerpt: f.line(1)}
}

// first is the token where a node begins: the parser's own choice for a
// mapping is its first colon.
func first(n ast.Node) *token.Token {
	switch n := n.(type) {
	case *ast.MappingNode:
		if len(n.Values) > 0 {
			return n.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		return n.Key.GetToken()
	}
	return n.GetToken()
}

func (f file) position(t *token.Token) *fault.Position {
	if t == nil || t.Position == nil {
		return &fault.Position{File: f.name, Line: 1, Column: 1, Excerpt: f.line(1)}
	}
	return &fault.Position{File: f.name, Line: t.Position.Line, Column: t.Position.Column, Excerpt: f.line(t.Position.Line)}
}

func (f file) line(n int) string {
	lines := strings.Split(string(f.source), "\n")
	if n < 1 || n > len(lines) {
		return ""
	}
	return strings.TrimRight(lines[n-1], "\r")
}
