// Package examples_test keeps the examples true: each is read by the code that
// would read it.
package examples_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/driver/all"
	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/gate"
)

// TestCatalogs reads every noren.yaml with the drivers that noren has, and lets
// them look at their settings.
func TestCatalogs(t *testing.T) {
	t.Parallel()
	for _, name := range files(t, "noren.yaml") {
		c := parse(t, name)
		registry := all.Registry()
		for _, env := range c.Environments {
			for driver := range env.Drivers {
				if err := registry.CheckConfig(driver, env.Configs()); err != nil {
					t.Errorf("%s: environment %s: %v", name, env.Name, err)
				}
			}
			services, err := c.Services(env.Name)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range services {
				for _, e := range s.Entrances {
					if err := registry.CheckOptions(e.Kind, e.Options.JSON); err != nil {
						t.Errorf("%s: service %s: %v", name, s.Name, err)
					}
				}
			}
		}
	}
}

func TestGates(t *testing.T) {
	t.Parallel()
	for _, name := range files(t, "gate.yaml") {
		if _, err := gate.Load(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestGateDoors tells whether each entrance of the gate's catalog is a door of
// the gate.
func TestGateDoors(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"gate", "demo"} {
		g, err := gate.Load(filepath.Join(dir, "gate.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		doors := map[string]bool{}
		for _, d := range g.Doors {
			doors[d.Name] = true
		}
		for key := range entrances(t, parse(t, filepath.Join(dir, "noren.yaml"))) {
			if key[0] != "gate/door" || !doors[key[1]] {
				t.Errorf("%s: %s %s is no door of the gate beside it", dir, key[0], key[1])
			}
		}
	}
}

// TestKubernetes makes the load balancers that the controller would make of the
// example's Ingresses, and sends requests through their rules.
func TestKubernetes(t *testing.T) {
	t.Parallel()
	classes := lbc.Classes{ByName: map[string]lbc.Class{"alb": {Name: "alb", Controller: lbc.ControllerLBC}}}
	groups := map[string]lbc.Group{}
	group := map[string]string{}
	all := ingresses(t, "kubernetes")
	for _, ing := range all {
		if _, ok := classes.Of(ing); !ok {
			t.Errorf("%s is of no class that noren knows", lbc.Key(ing))
		}
		g, err := classes.Group(ing)
		if err != nil {
			t.Fatal(err)
		}
		groups[g.String()], group[lbc.Key(ing)] = g, g.String()
	}
	if group["shop/shop"] != group["shop/api"] || group["shop/admin"] == group["shop/api"] || groups[group["shop/admin"]].Explicit() {
		t.Errorf("the groups are %v, want shop and api together and admin alone", group)
	}
	fronts := map[string]edge.Front{}
	for name, g := range groups {
		front, problems := lbc.Build(classes.Members(all, g), lbc.Options{Classes: classes})
		for _, p := range problems {
			t.Errorf("%s: %v", name, p)
		}
		fronts[name] = front
	}
	for host, want := range map[string]string{"shop": "service shop/shop:80", "api": "service shop/api:80", "admin": "service shop/admin:80"} {
		front := fronts[group["shop/"+host]]
		d, err := front.Decide(edge.Request{Scheme: "https", Method: "GET", Host: host + ".example.com", Path: "/cart"})
		if err != nil || d.Action.Kind != edge.Forward || d.Action.Backend != want {
			t.Errorf("https://%s.example.com/cart goes to %v (%v), want %s", host, d.Action, err, want)
		}
	}
	for key := range entrances(t, parse(t, "kubernetes/noren.yaml")) {
		if key[0] != "kube/ingress" || group[key[1]] == "" {
			t.Errorf("kubernetes/noren.yaml names %s %s, which ingress.yaml has not", key[0], key[1])
		}
	}
}

// files are the examples of a name.
func files(t *testing.T, name string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join("*", name))
	if err != nil || len(found) < 2 {
		t.Fatalf("found %q (%v), want several %s", found, err, name)
	}
	return found
}

func parse(t *testing.T, name string) *catalog.Catalog {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Parse(name, text, control.Known(all.Registry()))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// entrances are the kind and name of each entrance, in any environment.
func entrances(t *testing.T, c *catalog.Catalog) map[[2]string]bool {
	t.Helper()
	found := map[[2]string]bool{}
	for _, env := range c.Environments {
		services, err := c.Services(env.Name)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range services {
			for _, e := range s.Entrances {
				found[[2]string{e.Kind, e.Name}] = true
			}
		}
	}
	return found
}

// ingresses reads those of a folder's ingress.yaml, refusing fields that
// Kubernetes does not know.
func ingresses(t *testing.T, dir string) []*networkingv1.Ingress {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "ingress.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var found []*networkingv1.Ingress
	docs := yaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(text)))
	for buf := make([]byte, len(text)+1); ; {
		n, err := docs.Read(buf)
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		var ing networkingv1.Ingress
		if !bytes.Contains(buf[:n], []byte("kind: Ingress\n")) {
			continue
		}
		if err := yaml.UnmarshalStrict(buf[:n], &ing); err != nil {
			t.Fatal(err)
		}
		found = append(found, &ing)
	}
}
