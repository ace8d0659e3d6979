package driver

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/fault"
)

// A Registry knows the drivers by name. It is built once, in main, and passed
// down; it does not change afterwards.
type Registry struct {
	drivers []*Driver
}

// NewRegistry makes a registry of the drivers. Two drivers, actions or
// entrance kinds of one name are a mistake in the program, and it panics.
func NewRegistry(drivers ...*Driver) *Registry {
	seen := map[string]bool{}
	claim := func(name string) {
		if seen[name] {
			panic("driver: two of the name " + name)
		}
		seen[name] = true
	}
	for _, d := range drivers {
		claim(d.Name)
		for _, a := range d.Actions {
			claim(a.Name)
		}
		for _, e := range d.Entrances {
			claim(e.Name)
		}
		for _, w := range d.Workloads {
			claim(w.Name)
		}
		for _, m := range d.Monitors {
			claim(m.Name)
		}
	}
	return &Registry{drivers: drivers}
}

// Drivers lists the drivers in the order of their registration.
func (r *Registry) Drivers() []*Driver { return r.drivers }

// EntranceKinds lists the names of every kind of entrance.
func (r *Registry) EntranceKinds() []string {
	var names []string
	for _, d := range r.drivers {
		for _, e := range d.Entrances {
			names = append(names, e.Name)
		}
	}
	return names
}

// Driver returns the driver of the name, or nil.
func (r *Registry) Driver(name string) *Driver {
	for _, d := range r.drivers {
		if d.Name == name {
			return d
		}
	}
	return nil
}

// CheckConfig decodes and validates a driver's configuration as connecting
// would, with what it inherits from the others of the environment, without any
// I/O. A driver that does not exist has nothing to be wrong.
func (r *Registry) CheckConfig(name string, configs map[string]json.RawMessage) error {
	d := r.Driver(name)
	if d == nil {
		return nil
	}
	raw, err := d.inherit.fill(configs[name], configs)
	if err != nil {
		return err
	}
	return decodeStrict(raw, d.NewConfig())
}

// CheckOptions decodes and validates the options of an entrance, without any
// I/O.
func (r *Registry) CheckOptions(kind string, raw json.RawMessage) error {
	if e := r.EntranceKind(kind); e != nil {
		return decodeStrict(raw, e.NewOptions())
	}
	return nil
}

// Keys lists the keys that a configuration, options or parameters can have,
// given a pointer to a value of their type, for suggestions.
func Keys(v any) []string {
	t := reflect.TypeOf(v)
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	var keys []string
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.IsExported() && !f.Anonymous && name != "-" {
			keys = append(keys, cmp.Or(name, f.Name))
		}
	}
	return keys
}

// CheckWorkload decodes and validates the options of a workload, without any
// I/O.
func (r *Registry) CheckWorkload(kind string, raw json.RawMessage) error {
	if w := r.WorkloadKind(kind); w != nil {
		return decodeStrict(raw, w.NewOptions())
	}
	return nil
}

// A Sharer is the options of an entrance of which several services may have a
// part each: the options say which.
type Sharer interface{ Shared() }

// SharedEntranceKinds lists the names of the kinds of entrance whose options are
// a [Sharer].
func (r *Registry) SharedEntranceKinds() []string {
	var names []string
	for _, d := range r.drivers {
		for _, e := range d.Entrances {
			if _, ok := e.NewOptions().(Sharer); ok {
				names = append(names, e.Name)
			}
		}
	}
	return names
}

// EntranceKind returns the kind of entrance of that name, or nil.
func (r *Registry) EntranceKind(name string) *EntranceKind {
	for _, d := range r.drivers {
		for _, e := range d.Entrances {
			if e.Name == name {
				return e
			}
		}
	}
	return nil
}

// A PageLimiter is the options of an entrance whose door's limit is known
// without looking at it. Without it, the strictest door that noren knows is
// assumed until the entrance is surveyed.
type PageLimiter interface {
	// PageLimit is how many bytes of page the door can send, 0 for any.
	PageLimit() int
}

// PageLimit returns the limit of an entrance's door as far as its options tell
// it, and whether they do.
func (r *Registry) PageLimit(kind string, raw json.RawMessage) (limit int, known bool) {
	e := r.EntranceKind(kind)
	if e == nil {
		return 0, false
	}
	options := e.NewOptions()
	if err := decodeStrict(raw, options); err != nil {
		return 0, false
	}
	l, ok := options.(PageLimiter)
	if !ok {
		return 0, false
	}
	return l.PageLimit(), true
}

// A LargePager is the options of an entrance, or its driver's configuration,
// that may name a page server, which sends what the door itself cannot.
type LargePager interface {
	// LargePages tells whether it does.
	LargePages() bool
}

// LargePages tells whether a page over an entrance's limit can be sent, as far
// as its options and the configuration of its driver tell.
func (r *Registry) LargePages(kind string, options json.RawMessage, configs map[string]json.RawMessage) bool {
	e := r.EntranceKind(kind)
	if e == nil {
		return false
	}
	name, _, _ := strings.Cut(kind, "/")
	d := r.Driver(name)
	if d == nil {
		return false
	}
	o, c := e.NewOptions(), d.NewConfig()
	if decodeStrict(options, o) != nil || decodeStrict(configs[name], c) != nil {
		return false
	}
	return largePages(o) || largePages(c)
}

func largePages(v any) bool {
	l, ok := v.(LargePager)
	return ok && l.LargePages()
}

// Pinned returns a driver's configuration pinned, as a plan keeps it; see
// [Pinner].
func (r *Registry) Pinned(name string, raw json.RawMessage, dir string) (json.RawMessage, error) {
	d := r.Driver(name)
	if d == nil {
		return raw, nil
	}
	cfg := d.NewConfig()
	if err := decodeStrict(raw, cfg); err != nil {
		return nil, err
	}
	p, ok := cfg.(Pinner)
	if !ok {
		return raw, nil
	}
	if err := p.Pin(dir); err != nil {
		return nil, err
	}
	return json.Marshal(cfg)
}

// A Session is the drivers of one environment, connected on first use. It is
// safe for concurrent use.
type Session struct {
	registry *Registry
	env      Env
	configs  map[string]json.RawMessage

	// Of a cluster of an environment: whose, which, or that there is none.
	parent  *Session
	cluster string
	unknown error
	// clusters are those of an environment, by name.
	clusters map[string]*Session

	mu    sync.Mutex
	conns map[string]*connection
}

type connection struct {
	once sync.Once
	conn any
	err  error
}

// Open makes a session for an environment. configs holds each driver's
// configuration by its name; a driver without one gets an empty object.
func (r *Registry) Open(env Env, configs map[string]json.RawMessage) *Session {
	return &Session{registry: r, env: env, configs: configs, conns: map[string]*connection{}}
}

func (s *Session) connect(ctx context.Context, d *Driver) (any, error) {
	if s.unknown != nil {
		return nil, s.unknown
	}
	home, configs := s.home(d)
	if home != s {
		return home.connect(ctx, d)
	}
	s.mu.Lock()
	c := s.conns[d.Name]
	if c == nil {
		c = &connection{}
		s.conns[d.Name] = c
	}
	s.mu.Unlock()
	// A failed connection stays failed for the session's life: the person
	// reads one error, not one per target.
	c.once.Do(func() {
		raw, err := d.inherit.fill(configs[d.Name], configs)
		if err != nil {
			c.err = fmt.Errorf("%s: configuration: %w", d.Name, err)
			return
		}
		c.conn, c.err = d.connect(ctx, raw, s.env)
		c.err = AboutSection(d.Name, c.err)
	})
	return c.conn, c.err
}

// Action opens an action of that name with its parameters, wrapped so that
// calls have a deadline and are retried when the outside is unavailable.
func (s *Session) Action(ctx context.Context, name string, params json.RawMessage) (*Instance, error) {
	d, a := s.registry.action(name)
	if a == nil {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "unknown action",
			Detail: fmt.Sprintf("No driver of this noren has the action %q. A run made by a newer noren needs that noren.", name)}
	}
	conn, err := s.connect(ctx, d)
	if err != nil {
		return nil, err
	}
	in, err := a.open(conn, params)
	if err != nil {
		return nil, err
	}
	return guarded(in, s.env.patience()), nil
}

// Entrance opens an entrance by its kind and name.
func (s *Session) Entrance(ctx context.Context, kind, name string, options json.RawMessage) (Entrance, error) {
	for _, d := range s.registry.drivers {
		for _, e := range d.Entrances {
			if e.Name != kind {
				continue
			}
			conn, err := s.connect(ctx, d)
			if err != nil {
				return nil, err
			}
			opened, err := e.open(conn, name, options)
			if err != nil {
				return nil, err
			}
			return guardedEntrance{opened, s.env.patience()}, nil
		}
	}
	return nil, &fault.Fault{Code: fault.Invalid, Summary: "unknown kind of entrance",
		Detail: fmt.Sprintf("%q is none of %s.", kind, strings.Join(s.registry.EntranceKinds(), ", "))}
}

// Discover asks every configured driver that can for the entrances it finds,
// and those that take their configuration from a configured one.
func (s *Session) Discover(ctx context.Context) (*Discovery, error) {
	all := &Discovery{}
	for _, in := range s.All() {
		if err := in.discoverIn(ctx, all); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// CanAskPermission tells whether a system can be asked what noren may do there.
func (s *Session) CanAskPermission(system string) bool {
	d := s.registry.Driver(system)
	return d != nil && d.permit != nil
}

// Refusals asks each system concerned which of the permissions are missing.
func (s *Session) Refusals(ctx context.Context, need []action.Permission) ([]Refusal, error) {
	var all []Refusal
	for _, in := range s.All() {
		for _, d := range s.registry.drivers {
			if d.permit == nil {
				continue
			}
			var mine []action.Permission
			for _, p := range need {
				if p.System == d.Name && p.Cluster == in.cluster {
					p.Cluster = "" // a driver knows of none
					mine = append(mine, p)
				}
			}
			if len(mine) == 0 {
				continue
			}
			conn, err := in.connect(ctx, d)
			if err != nil {
				return nil, err
			}
			refused, err := d.permit(ctx, conn, mine)
			if err != nil {
				return nil, err
			}
			for _, r := range refused {
				r.Permission.Cluster = in.cluster
				all = append(all, r)
			}
		}
	}
	return all, nil
}

func (r *Registry) action(name string) (*Driver, *Action) {
	for _, d := range r.drivers {
		for _, a := range d.Actions {
			if a.Name == name {
				return d, a
			}
		}
	}
	return nil, nil
}
