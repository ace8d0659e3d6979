package catalog

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
)

// Version is the version of the file that this noren writes, and the newest
// that it reads.
const Version = 1

// Known is what the file may name besides its own: the kinds of entrance, of
// workload and of monitor, and the drivers that this noren has. A name that is not listed is an
// error.
type Known struct {
	EntranceKinds []string
	// SharedKinds are those of them of which several services may have a part
	// each, told apart by the options.
	SharedKinds   []string
	WorkloadKinds []string
	MonitorKinds  []string
	Drivers       []string
}

// A Catalog is a noren.yaml that was read and found right. It does not change,
// and is safe for concurrent use; callers must not write to what it returns.
type Catalog struct {
	// File is the name it was read from.
	File string
	// Zone is where times without an offset are.
	Zone *time.Location
	// Page is the closed page that services inherit.
	Page Page
	// Keep is how a keeper reminds.
	Keep Keep
	// Environments and Teams in the order of the file.
	Environments []Environment
	Teams        []Team

	services []*service
}

// An Environment is a named place where services run.
type Environment struct {
	Name string
	// Protected asks loudly before anything is changed.
	Protected bool
	Bypass    Bypass
	// Drivers holds each driver's section by the driver's name. A driver
	// without a section is not in it.
	Drivers map[string]Section
	// Clusters are those of the environment, where it has several, in the order
	// of the file.
	Clusters []Cluster
	At       fault.Position
}

// A Cluster is one of several in an environment. What its sections leave out is
// as the environment's say.
type Cluster struct {
	Name    string
	Drivers map[string]Section
	At      fault.Position
}

// Configs returns the cluster's own sections as the JSON that a driver decodes.
func (c Cluster) Configs() map[string]json.RawMessage {
	return Environment{Drivers: c.Drivers}.Configs()
}

// Configs returns the drivers' sections as the JSON that a driver decodes.
func (e Environment) Configs() map[string]json.RawMessage {
	all := make(map[string]json.RawMessage, len(e.Drivers))
	for name, s := range e.Drivers {
		all[name] = s.JSON
	}
	return all
}

// A Bypass says which staff may pass while an entrance is closed.
type Bypass struct {
	// Sources are addresses and networks, masked, without doubles.
	Sources []netip.Prefix
	// Pass tells whether each closing makes a secret pass for staff elsewhere.
	Pass bool
}

// A Team owns services.
type Team struct {
	Name    string
	Contact string
	At      fault.Position
}

// A Kind is what a service answers: pages or JSON.
type Kind string

// The kinds of service.
const (
	Web Kind = "web"
	API Kind = "api"
)

// A Service is what users use, as it is in one environment.
type Service struct {
	Name string
	// Team is the owner's name, "" if the file names none.
	Team      string
	Kind      Kind
	Entrances []Entrance
	// Workloads rest while the service is closed.
	Workloads []Workload
	// Monitors are kept quiet while the service is closed.
	Monitors []Monitor
	// Health are the URLs that answer 200 when the service is well.
	Health []string
	// KeepOpen are path patterns that stay open in every mode.
	KeepOpen []string
	// Mode is how much is closed unless the operator says otherwise; Paths are
	// what mode edge.Paths closes.
	Mode  edge.Mode
	Paths []string
	// Page is the closed page, merged with the catalog's.
	Page Page
	At   fault.Position

	healthAt map[string]fault.Position
}

// HealthAt returns where a health URL is written, or the service's place if it
// is not one of its URLs.
func (s Service) HealthAt(url string) fault.Position {
	if p, ok := s.healthAt[url]; ok {
		return p
	}
	return s.At
}

// An Entrance is where a service's requests come in.
type Entrance struct {
	Kind string // "kube/ingress"
	Name string // "shop/web"
	// Cluster is one of the environment's, "" where it has none.
	Cluster string
	// Options are the keys of the entrance other than these, strategy
	// among them: its driver decodes them.
	Options Section
	At      fault.Position
}

// A Workload is what works behind a service's entrances, and rests while they
// are closed.
type Workload struct {
	Kind string // "kube/deployment"
	Name string // "shop/worker"
	// Cluster is one of the environment's, "" where it has none.
	Cluster string
	// Options are the keys other than these: its driver decodes them.
	Options Section
	At      fault.Position
}

// A Monitor calls people when the service does not work, and is kept quiet while
// it is closed.
type Monitor struct {
	Kind string // "alertmanager/silence"
	Name string // "checkout-errors"
	// Cluster is one of the environment's, "" where it has none.
	Cluster string
	// OnRing says who does what when it rings, "" if the file does not.
	OnRing string
	// Options are the keys other than these: its driver decodes them.
	Options Section
	At      fault.Position
}

// Environment returns the environment of the name. Its error suggests one.
func (c *Catalog) Environment(name string) (Environment, error) {
	names := make([]string, len(c.Environments))
	for i, e := range c.Environments {
		if e.Name == name {
			return e, nil
		}
		names[i] = e.Name
	}
	f := &fault.Fault{Code: fault.Invalid, Summary: "unknown environment",
		Detail: fmt.Sprintf("%s has no environment %q%s It has: %s.", c.File, name, didYouMean(name, names), strings.Join(names, ", "))}
	if near := fault.Nearest(name, names); near != "" {
		f.Try = []string{"--env " + near}
	}
	return Environment{}, f
}

// ServiceNames lists the services of an environment in the order of the file.
func (c *Catalog) ServiceNames(env string) []string {
	var names []string
	for _, s := range c.services {
		if s.isIn(env) {
			names = append(names, s.Name)
		}
	}
	return names
}

// Services returns services as they are in an environment, in the order of the
// file: those named, each once, or all of the environment if none is named. It
// reports every unknown name.
func (c *Catalog) Services(env string, names ...string) ([]Service, error) {
	if _, err := c.Environment(env); err != nil {
		return nil, err
	}
	here := c.ServiceNames(env)
	var wrong []*fault.Fault
	for _, name := range names {
		if !slices.Contains(here, name) {
			wrong = append(wrong, c.unknownService(env, name, here))
		}
	}
	if len(wrong) > 0 {
		return nil, join(wrong)
	}
	var all []Service
	for _, s := range c.services {
		if s.isIn(env) && (len(names) == 0 || slices.Contains(names, s.Name)) {
			all = append(all, s.in(env))
		}
	}
	return all, nil
}

func (c *Catalog) unknownService(env, name string, here []string) *fault.Fault {
	for _, s := range c.services {
		if s.Name != name {
			continue
		}
		at := s.At
		return &fault.Fault{Code: fault.Invalid, Summary: "service is not in this environment", At: &at,
			Detail: fmt.Sprintf("The service %s is not in %s: it is only in %s.", name, env, strings.Join(s.only, ", "))}
	}
	f := &fault.Fault{Code: fault.Invalid, Summary: "unknown service",
		Detail: fmt.Sprintf("%s has no service %q in %s%s %s has: %s.", c.File, name, env, didYouMean(name, here), env, listed(here))}
	return f
}

// didYouMean ends a sentence, with a suggestion if one is near.
func didYouMean(typed string, candidates []string) string {
	if near := fault.Nearest(typed, candidates); near != "" {
		return fmt.Sprintf(". Did you mean %q?", near)
	}
	return "."
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// service is a service as the file writes it: what holds everywhere, and what
// differs.
type service struct {
	Service
	own       differs
	only      []string // nil: everywhere
	overrides map[string]*differs
	teamAt    spot
}

// differs holds the keys that an environment may replace. Nil: not given.
type differs struct {
	at        spot
	entrances []Entrance
	workloads []Workload
	monitors  []Monitor
	health    []string
	keepOpen  []string
	mode      edge.Mode
	paths     []string
}

func (s *service) isIn(env string) bool {
	return s.only == nil || slices.Contains(s.only, env)
}

// in returns the service as it is in an environment.
func (s *service) in(env string) Service {
	out, d := s.Service, s.own
	if o := s.overrides[env]; o != nil {
		if o.entrances != nil {
			d.entrances = o.entrances
		}
		if o.workloads != nil {
			d.workloads = o.workloads
		}
		if o.monitors != nil {
			d.monitors = o.monitors
		}
		if o.health != nil {
			d.health = o.health
		}
		if o.keepOpen != nil {
			d.keepOpen = o.keepOpen
		}
		if o.mode != "" || o.paths != nil {
			d.mode, d.paths = o.mode, o.paths
		}
	}
	out.Entrances, out.Health, out.KeepOpen = d.entrances, d.health, d.keepOpen
	out.Mode, out.Paths, out.Workloads, out.Monitors = d.mode, d.paths, d.workloads, d.monitors
	if out.Mode == "" {
		out.Mode = edge.Closed
	}
	return out
}
