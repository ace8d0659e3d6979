// Package driver is where drivers meet the rest of noren: the registry, the
// strict decoding of their configuration, and the typed layer that turns what
// a driver's author writes into the interfaces of package action.
//
// A driver is a value, built by [New] from parts and listed in driver/all.
// Its life: the configuration is decoded strictly and validated without I/O
// ([Driver.Decode]); a [Session] connects it on first use; the session opens
// its actions and entrances by name.
package driver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/noren-dev/noren/internal/action"
)

// Env is what a driver is told about the environment it works in.
type Env struct {
	Name string
	Now  func() time.Time
	// CallPatience, if not zero, bounds one call to the outside instead of the
	// patience that a run has: before a run, a person sits there and waits.
	CallPatience time.Duration
}

// Clock is Now, or the machine's clock where nobody gave one.
func (e Env) Clock() func() time.Time {
	if e.Now == nil {
		return time.Now
	}
	return e.Now
}

// A Driver is one outside system that noren knows: its configuration, its
// actions, the entrances it can close.
type Driver struct {
	Name    string
	Summary string
	// NewConfig returns a pointer to an empty configuration, for the JSON Schema.
	NewConfig func() any

	Actions   []*Action
	Entrances []*EntranceKind
	Workloads []*WorkloadKind
	Monitors  []*MonitorKind

	inherit  inheritance
	connect  func(ctx context.Context, raw json.RawMessage, env Env) (any, error)
	discover func(ctx context.Context, conn any) (*Discovery, error)
	traces   func(ctx context.Context, conn any) (*Traces, error)
	owns     *Ownership[any]
	permit   func(ctx context.Context, conn any, need []action.Permission) ([]Refusal, error)
	identify func(ctx context.Context, conn any) (string, error)
	tells    *teller
	grants   func(closing Purpose) string
	hear     func(ctx context.Context, conn any, h Hearing) error
}

// A Part is one thing a driver can do, given its connection K.
type Part[K any] func(d *Driver)

// A Validator is a configuration that can tell what is wrong with it without
// any I/O. Its errors name the fields.
type Validator interface{ Validate() error }

// A Pinner is a configuration that means different things at different places
// or times: a relative path, "the current context". A plan keeps it pinned, so
// that opening reaches what closing reached, wherever and whenever it is run.
type Pinner interface {
	// Pin makes paths absolute from dir, where the configuration's file is, and
	// replaces what the surroundings decide by what they decide now. It asks
	// no outside system.
	Pin(dir string) error
}

// Absolute makes paths absolute from dir. Empty ones stay empty.
func Absolute(dir string, paths ...*string) {
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
}

// New makes a driver from its configuration type C, its connection type K and
// its parts. connect does the first I/O, or none until the connection is used;
// it is called once per session.
func New[C, K any](name, summary string, connect func(ctx context.Context, cfg C, env Env) (K, error), parts ...Part[K]) *Driver {
	d := &Driver{
		Name:      name,
		Summary:   summary,
		NewConfig: func() any { return new(C) },
		connect: func(ctx context.Context, raw json.RawMessage, env Env) (any, error) {
			var cfg C
			if err := decodeStrict(raw, &cfg); err != nil {
				return nil, fmt.Errorf("%s: configuration: %w", name, err)
			}
			return connect(ctx, cfg, env)
		},
	}
	for _, p := range parts {
		p(d)
	}
	return d
}

// decodeStrict refuses unknown keys, so that a slip of the hand is an error
// and not silence. No input at all is an empty object.
func decodeStrict(raw json.RawMessage, into any) error {
	if len(raw) == 0 {
		raw = json.RawMessage("{}")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return placed(raw, into, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	if v, ok := into.(Validator); ok {
		return v.Validate()
	}
	return nil
}

// Discovers adds the ability to find entrances for init.
func Discovers[K any](find func(ctx context.Context, conn K) (*Discovery, error)) Part[K] {
	return func(d *Driver) {
		d.discover = func(ctx context.Context, conn any) (*Discovery, error) { return find(ctx, conn.(K)) }
	}
}

// AsksPermission adds the ability to ask the system which of the permissions
// needed are refused to the present identity.
func AsksPermission[K any](ask func(ctx context.Context, conn K, need []action.Permission) ([]Refusal, error)) Part[K] {
	return func(d *Driver) {
		d.permit = func(ctx context.Context, conn any, need []action.Permission) ([]Refusal, error) {
			return ask(ctx, conn.(K), need)
		}
	}
}

// A Refusal is a permission that is missing, and the text (RBAC YAML, an IAM
// statement) that grants it.
type Refusal struct {
	Permission action.Permission
	Identity   string
	Grant      string
}

// A Discovery is what init found: the beginnings of a catalog.
type Discovery struct {
	Entrances []Found
	// Undecided are workloads that a person gives to a service, or to none.
	Undecided []FoundWorkload
	// Sections are what the catalog should say of the place beside what it was
	// found by, by the driver's name: the account, so that noren works in no other.
	Sections map[string]map[string]any
	Notes    []string
}

// Found is one entrance that a driver found, and what it knows of its service.
type Found struct {
	Kind    string         // "kube/ingress"
	Name    string         // "shop/web"
	Cluster string         // that it was found in, "" where the environment has one
	Service string         // proposed service name
	Team    string         // owner where a label tells, else ""
	Hosts   []string       // public hosts
	Health  []string       // URLs, from health-check annotations where present
	API     bool           // looks like an API gateway rather than a web application
	Class   string         // what makes the rules real: "AWS Load Balancer Controller (group shared)"
	Options map[string]any // of the entrance, none for its defaults
	Owner   *Owner
	// Workloads are what works behind this entrance and behind no other, and can
	// rest as it is.
	Workloads []FoundWorkload
}

// A FoundWorkload is a workload that a driver found.
type FoundWorkload struct {
	Kind    string `json:"kind"`              // "aws/ecs"
	Name    string `json:"name"`              // "shop/web"
	Cluster string `json:"cluster,omitempty"` // that it was found in, "" where the environment has one
	// About says of it what whoever reads the catalog should know, such as why
	// it was given to no service; "" is nothing.
	About string `json:"about,omitempty"`
}
