// Package ecsshop is the shop of examples/ecs-shop on this machine: an AWS that
// speaks the wire format, keeps to AWS's limits, and has load balancers that serve
// real HTTP requests to applications which answer while their tasks run.
package ecsshop

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// A Layout is what a shop consists of, as its catalog says.
type Layout struct {
	// Endpoints are what customers reach, in the order of their services' names.
	Endpoints []Endpoint
	// Services are the ECS services, as cluster/name.
	Services []string

	text string
}

// An Endpoint is a host, or a part of one, on a load balancer.
type Endpoint struct {
	// Service is its name in the catalog.
	Service string
	// Balancer is the load balancer's name.
	Balancer string
	// Host and Path are as a listener rule writes them; Path may be empty.
	Host, Path string
	// Task is the ECS service that answers there.
	Task string
	// Health is the path of its health check.
	Health string
}

// Rule names the endpoint among the rules of its load balancer.
func (e Endpoint) Rule() string { return e.Host + e.Path }

// Page is a path that customers ask for there.
func (e Endpoint) Page() string {
	if e.Path == "" {
		return "/"
	}
	return strings.TrimSuffix(e.Path, "*") + "1"
}

// Example is the example's catalog.
func Example() string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(here), "..", "..", "examples", "ecs-shop", "noren.yaml")
}

// Read reads a layout from a catalog.
func Read(t testing.TB, file string) Layout {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Services map[string]struct {
			Entrances []struct {
				Name         string
				Hosts, Paths []string
			}
			Workloads []struct{ Name string }
			Health    []string
		}
	}
	if err := yaml.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	l := Layout{text: string(text)}
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		s := c.Services[name]
		health, err := url.Parse(s.Health[0])
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range s.Workloads {
			l.Services = append(l.Services, w.Name)
		}
		for _, e := range s.Entrances {
			l.Endpoints = append(l.Endpoints, Endpoint{Service: name, Balancer: e.Name, Host: e.Hosts[0], Path: strings.Join(e.Paths, ""), Task: s.Workloads[0].Name, Health: health.Path})
		}
	}
	return l
}

// Balancers are the names of the load balancers, in order.
func (l Layout) Balancers() []string {
	names := map[string]bool{}
	for _, e := range l.Endpoints {
		names[e.Balancer] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// Desired is how many tasks a service has: some have more than others.
func (l Layout) Desired(service string) int32 {
	return int32(1 + slices.Index(l.Services, service)%3)
}

// Catalog is the catalog with another section aws, and with customers' names
// resolved to load balancers at these ports of this machine.
func (l Layout) Catalog(t testing.TB, aws string, ports map[string]int) string {
	t.Helper()
	before, rest, found := strings.Cut(l.text, "    aws:\n")
	_, after, ends := strings.Cut(rest, "      profile: shop-prod\n")
	if !found || !ends {
		t.Fatal("the example has no section aws that ends with its profile")
	}
	resolve := map[string]string{}
	for _, e := range l.Endpoints {
		port := ports[e.Balancer]
		resolve[fmt.Sprintf("%s:%d", e.Host, port)] = fmt.Sprintf("127.0.0.1:%d", port)
		after = strings.ReplaceAll(after, "https://"+e.Host+e.Health, fmt.Sprintf("http://%s:%d%s", e.Host, port, e.Health))
	}
	var lines strings.Builder
	for _, from := range slices.Sorted(maps.Keys(resolve)) {
		fmt.Fprintf(&lines, "        %q: %s\n", from, resolve[from])
	}
	// The office is an address of this machine, from which a test can ask.
	after = strings.ReplaceAll(after, "203.0.113.0/24", Office+"/32")
	return before + "    aws: " + aws + "\n    http:\n      resolve:\n" + lines.String() + after
}

// Office is the address of the staff.
const Office = "127.0.0.9"
