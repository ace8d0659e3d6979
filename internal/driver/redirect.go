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

// Redirected returns the configurations of those drivers that go through a
// kubeconfig, each with the kubeconfig and context that to names in place of its
// own. Those of other drivers are left out.
func (r *Registry) Redirected(configs map[string]json.RawMessage, to func(kubeconfig, context string) (string, string, error)) (map[string]json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	for _, name := range slices.Sorted(maps.Keys(configs)) {
		if !r.ThroughKubeconfig(name) {
			continue
		}
		raw, err := r.Driver(name).inherit.fill(configs[name], configs)
		if err != nil {
			return nil, fmt.Errorf("%s: configuration: %w", name, err)
		}
		fields := map[string]json.RawMessage{}
		if len(raw) > 0 {
			if err := json.Unmarshal(raw, &fields); err != nil {
				return nil, fmt.Errorf("%s: configuration: %w", name, err)
			}
		}
		var have struct{ Kubeconfig, Context string }
		if len(raw) > 0 {
			if err := json.Unmarshal(raw, &have); err != nil {
				return nil, fmt.Errorf("%s: configuration: %w", name, err)
			}
		}
		kubeconfig, context, err := to(have.Kubeconfig, have.Context)
		if err != nil {
			return nil, err
		}
		for key, value := range map[string]string{keyKubeconfig: kubeconfig, keyContext: context} {
			if fields[key], err = json.Marshal(value); err != nil {
				return nil, fmt.Errorf("%s: configuration: %w", name, err)
			}
		}
		if out[name], err = json.Marshal(fields); err != nil {
			return nil, fmt.Errorf("%s: configuration: %w", name, err)
		}
	}
	return out, nil
}
