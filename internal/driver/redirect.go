package driver

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// The keys by which drivers of Kubernetes systems say which API server is meant.
const (
	keyKubeconfig = "kubeconfig"
	keyContext    = "context"
)

// ThroughKubeconfig tells whether a driver reaches its system through a
// kubeconfig, so that another API server can be put in its place.
func (r *Registry) ThroughKubeconfig(name string) bool {
	d := r.Driver(name)
	if d == nil {
		return false
	}
	keys := Keys(d.NewConfig())
	return slices.Contains(keys, keyKubeconfig) && slices.Contains(keys, keyContext)
}

// Redirected returns configurations by which every driver that goes through a
// kubeconfig goes through the one that to names, in place of its own. One
// without a configuration would go through the default kubeconfig: it gets one,
// or inherits it from a driver that has. Other drivers' are left out.
func (r *Registry) Redirected(configs map[string]json.RawMessage, to func(kubeconfig, context string) (string, string, error)) (map[string]json.RawMessage, error) {
	all := maps.Clone(configs)
	if all == nil {
		all = map[string]json.RawMessage{}
	}
	for _, d := range r.drivers {
		if r.ThroughKubeconfig(d.Name) && !d.inherit.gives(keyKubeconfig, keyContext) && all[d.Name] == nil {
			all[d.Name] = json.RawMessage("{}")
		}
	}
	out := map[string]json.RawMessage{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !r.ThroughKubeconfig(name) {
			continue
		}
		raw, err := r.Driver(name).inherit.fill(all[name], all)
		if err == nil {
			raw, err = redirected(raw, to)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: configuration: %w", name, err)
		}
		out[name] = raw
	}
	return out, nil
}

// gives tells whether a driver without a configuration takes all of the keys
// from another's.
func (i inheritance) gives(keys ...string) bool {
	for _, k := range keys {
		if !slices.Contains(i.keys, k) {
			return false
		}
	}
	return i.from != ""
}

func redirected(raw json.RawMessage, to func(kubeconfig, context string) (string, string, error)) (json.RawMessage, error) {
	fields := map[string]json.RawMessage{}
	var have struct{ Kubeconfig, Context string }
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &fields); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(raw, &have); err != nil {
			return nil, err
		}
	}
	kubeconfig, context, err := to(have.Kubeconfig, have.Context)
	if err != nil {
		return nil, err
	}
	for key, value := range map[string]string{keyKubeconfig: kubeconfig, keyContext: context} {
		if fields[key], err = json.Marshal(value); err != nil {
			return nil, err
		}
	}
	return json.Marshal(fields)
}
