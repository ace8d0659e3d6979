package driver

import (
	"encoding/json"
	"fmt"
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
	return d != nil && d.throughKubeconfig()
}

func (d *Driver) throughKubeconfig() bool {
	keys := Keys(d.NewConfig())
	return slices.Contains(keys, keyKubeconfig) && slices.Contains(keys, keyContext)
}

// A Redirect names the kubeconfig and context that take the place of others.
// named is unset where no configuration names them: then it is the default that
// must not be reached.
type Redirect func(kubeconfig, context string, named bool) (string, string, error)

// Redirected returns the configurations of an environment and of its clusters
// with those drivers that go through a kubeconfig, each led to what to names in
// place of its own, of the default where it names none. Drivers that are reached
// otherwise are left out. What it returns reaches no other API server:
// [Session.Kubeconfigs] tells.
func (r *Registry) Redirected(configs Configs, clusters map[string]Configs, to Redirect) (Configs, map[string]Configs, error) {
	out, err := r.redirected(configs, nil, to)
	if err != nil || clusters == nil {
		return out, nil, err
	}
	led := map[string]Configs{}
	for name, own := range clusters {
		if led[name], err = r.redirected(own, out, to); err != nil {
			return nil, nil, err
		}
	}
	return out, led, nil
}

// redirected redirects one section. above is that of the environment, where the
// section is of one of its clusters.
func (r *Registry) redirected(configs, above Configs, to Redirect) (Configs, error) {
	out := Configs{}
	for _, d := range r.drivers {
		raw, configured := configs[d.Name]
		_, taken := above[d.Name]
		// A driver that inherits is led by what it inherits from.
		if !d.throughKubeconfig() || !configured && (d.inherit.from != "" || taken) {
			continue
		}
		if d.elsewhere(raw) {
			continue
		}
		led, err := d.redirected(raw, configs, configured, to)
		if err != nil {
			return nil, err
		}
		out[d.Name] = led
	}
	return out, nil
}

func (d *Driver) redirected(raw json.RawMessage, configs Configs, named bool, to Redirect) (json.RawMessage, error) {
	raw, err := d.inherit.fill(raw, configs)
	if err != nil {
		return nil, fmt.Errorf("%s: configuration: %w", d.Name, err)
	}
	fields := map[string]json.RawMessage{}
	var have struct{ Kubeconfig, Context string }
	if len(raw) > 0 {
		for _, into := range []any{&fields, &have} {
			if err := json.Unmarshal(raw, into); err != nil {
				return nil, fmt.Errorf("%s: configuration: %w", d.Name, err)
			}
		}
	}
	kubeconfig, context, err := to(have.Kubeconfig, have.Context, named)
	if err != nil {
		return nil, err
	}
	for key, value := range map[string]string{keyKubeconfig: kubeconfig, keyContext: context} {
		if fields[key], err = json.Marshal(value); err != nil {
			return nil, fmt.Errorf("%s: configuration: %w", d.Name, err)
		}
	}
	return json.Marshal(fields)
}

// elsewhere tells whether a configuration names something that is in no cluster.
func (d *Driver) elsewhere(raw json.RawMessage) bool {
	cfg := d.NewConfig()
	l, ok := cfg.(Located)
	return ok && decodeStrict(raw, cfg) == nil && l.Located()
}

// Kubeconfigs are the kubeconfigs through which the session's drivers would reach
// their systems, in all clusters; "" is the default. It connects to none.
func (s *Session) Kubeconfigs() ([]string, error) {
	var all []string
	for _, in := range s.All() {
		for _, d := range s.registry.drivers {
			_, configs := in.home(d)
			if !d.throughKubeconfig() || d.elsewhere(configs[d.Name]) {
				continue
			}
			raw, err := d.inherit.fill(configs[d.Name], configs)
			if err != nil {
				return nil, fmt.Errorf("%s: configuration: %w", d.Name, err)
			}
			var have struct{ Kubeconfig string }
			if len(raw) > 0 {
				if err := json.Unmarshal(raw, &have); err != nil {
					return nil, fmt.Errorf("%s: configuration: %w", d.Name, err)
				}
			}
			all = append(all, have.Kubeconfig)
		}
	}
	return all, nil
}
