package driver

import (
	"encoding/json"
	"slices"
)

// An inheritance is what a driver's configuration takes from those of others in
// the same environment.
type inheritance struct {
	from string
	keys []string
	lent []loan
}

// A loan is keys of a mapping inside a configuration, in groups that are taken as
// a whole or not at all.
type loan struct {
	from, into string
	groups     [][]string
}

// Inherits lets a driver take the keys that its configuration leaves out from
// the configuration of another driver in the same environment: Argo CD is
// usually reached through the same kubeconfig context as the cluster.
func Inherits[K any](from string, keys ...string) Part[K] {
	return func(d *Driver) { d.inherit.from, d.inherit.keys = from, keys }
}

// Borrows lets a mapping in a driver's configuration, if it is there, take what it
// leaves out from the configuration of another driver in the same environment. A
// group of keys is taken as a whole, and only where the mapping has none of them:
// half of one identity and half of another would be somebody else.
func Borrows[K any](from, into string, groups ...[]string) Part[K] {
	return func(d *Driver) { d.inherit.lent = append(d.inherit.lent, loan{from, into, groups}) }
}

// fill returns raw with the keys that it lacks and another configuration has.
func (i inheritance) fill(raw json.RawMessage, configs map[string]json.RawMessage) (json.RawMessage, error) {
	if parent, ok := configs[i.from]; ok {
		groups := make([][]string, len(i.keys))
		for n, key := range i.keys {
			groups[n] = []string{key}
		}
		var err error
		if raw, err = taken(raw, parent, groups); err != nil {
			return nil, err
		}
	}
	for _, l := range i.lent {
		lender, ok := configs[l.from]
		if !ok || len(raw) == 0 {
			continue
		}
		own := map[string]json.RawMessage{}
		if err := json.Unmarshal(raw, &own); err != nil {
			return nil, err
		}
		var inside map[string]json.RawMessage
		if json.Unmarshal(own[l.into], &inside) != nil || inside == nil {
			continue // what is wrong with it is said when it is decoded
		}
		filled, err := taken(own[l.into], lender, l.groups)
		if err != nil {
			return nil, err
		}
		own[l.into] = filled
		if raw, err = json.Marshal(own); err != nil {
			return nil, err
		}
	}
	return raw, nil
}

// taken returns raw with those groups of keys of which it has none.
func taken(raw, parent json.RawMessage, groups [][]string) (json.RawMessage, error) {
	own, theirs := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	for from, into := range map[*json.RawMessage]*map[string]json.RawMessage{&raw: &own, &parent: &theirs} {
		if len(*from) > 0 {
			if err := json.Unmarshal(*from, into); err != nil {
				return nil, err
			}
		}
	}
	for _, group := range groups {
		if slices.ContainsFunc(group, func(k string) bool { return own[k] != nil }) {
			continue
		}
		for _, k := range group {
			if v, ok := theirs[k]; ok {
				own[k] = v
			}
		}
	}
	return json.Marshal(own)
}
