package driver

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Configs are drivers' configurations by the drivers' names.
type Configs = map[string]json.RawMessage

// OpenClusters makes a session for an environment of several clusters, each
// with configurations of its own beside the environment's: see [Session.At].
func (r *Registry) OpenClusters(env Env, configs Configs, clusters map[string]Configs) *Session {
	s := r.Open(env, configs)
	for name, own := range clusters {
		child := r.Open(Env{Name: env.Name + "/" + name, Now: env.Now, CallPatience: env.CallPatience}, own)
		child.parent, child.cluster = s, name
		if s.clusters == nil {
			s.clusters = map[string]*Session{}
		}
		s.clusters[name] = child
	}
	return s
}

// At returns the session of one of the environment's clusters, whose targets
// are named with it; "" is the environment itself. A driver that the cluster
// does not configure is the environment's: one connection for all clusters,
// where it says itself what it reaches, and else one for each, with what it
// inherits from the cluster.
func (s *Session) At(cluster string) *Session {
	if cluster == "" || cluster == s.cluster {
		return s
	}
	if child := s.clusters[cluster]; child != nil {
		return child
	}
	return &Session{registry: s.registry, env: s.env, cluster: cluster, conns: map[string]*connection{},
		unknown: fmt.Errorf("environment %s has no cluster %q", s.env.Name, cluster)}
}

// Cluster is the name of the cluster that the session is of, "" for that of the
// environment.
func (s *Session) Cluster() string { return s.cluster }

// All are the sessions of the environment: its own, and each cluster's.
func (s *Session) All() []*Session {
	all := []*Session{s}
	for _, name := range slices.Sorted(maps.Keys(s.clusters)) {
		all = append(all, s.clusters[name])
	}
	return all
}

// home is the session that a driver's connection belongs to, with its
// configuration there.
func (s *Session) home(d *Driver) (*Session, Configs) {
	if s.parent == nil {
		return s, s.configs
	}
	_, own := s.configs[d.Name]
	theirs, given := s.parent.configs[d.Name]
	_, from := s.configs[d.inherit.from]
	if own || !given && (d.inherit.from == "" || from) {
		return s, s.configs
	}
	if given && from && !d.says(theirs) {
		with := maps.Clone(s.configs)
		with[d.Name] = theirs
		return s, with
	}
	return s.parent, s.parent.configs
}

// A Located configuration may say where its system is by other keys than those
// that it inherits: a file is in no cluster.
type Located interface{ Located() bool }

// says tells whether a configuration says itself where its system is.
func (d *Driver) says(raw json.RawMessage) bool {
	if d.elsewhere(raw) {
		return true
	}
	own := map[string]json.RawMessage{}
	_ = json.Unmarshal(raw, &own) // what is wrong with it is said when it is decoded
	return slices.ContainsFunc(d.inherit.keys, func(k string) bool { return own[k] != nil })
}

// CheckClusters is CheckConfig for a cluster of an environment.
func (r *Registry) CheckClusters(name string, configs, cluster Configs) error {
	all := maps.Clone(configs)
	maps.Copy(all, cluster)
	return r.CheckConfig(name, all)
}

// own tells whether a driver's connection belongs to this session and no other,
// configured by itself or by what it inherits: each system is asked once.
func (s *Session) own(d *Driver) (own, configured bool) {
	home, configs := s.home(d)
	raw, configured := configs[d.Name]
	_, inherits := configs[d.inherit.from]
	if home != s || !configured && (!inherits || !d.doesWithout(configs)) {
		return false, configured
	}
	// Beside clusters, a configuration that says nothing of where is about them.
	about := len(s.clusters) > 0 && d.inherit.from != "" && !inherits && !d.says(raw)
	return !about, configured
}

// doesWithout tells whether a driver can be used without a section of its own,
// by what it inherits.
func (d *Driver) doesWithout(configs Configs) bool {
	raw, err := d.inherit.fill(nil, configs)
	return err == nil && decodeStrict(raw, d.NewConfig()) == nil
}

// discoverIn asks the drivers whose connection belongs to one session.
func (s *Session) discoverIn(ctx context.Context, all *Discovery) error {
	for _, d := range s.registry.drivers {
		if own, _ := s.own(d); !own || d.discover == nil {
			continue
		}
		conn, err := s.connect(ctx, d)
		if err != nil {
			return err
		}
		found, err := d.discover(ctx, conn)
		if err != nil {
			return err
		}
		for _, f := range found.Entrances {
			f.Cluster = s.cluster
			f.Workloads = s.here(f.Workloads)
			all.Entrances = append(all.Entrances, f)
		}
		all.Undecided = append(all.Undecided, s.here(found.Undecided)...)
		for name, section := range found.Sections {
			if all.Sections == nil {
				all.Sections = map[string]map[string]any{}
			}
			all.Sections[name] = section
		}
		all.Notes = append(all.Notes, found.Notes...)
	}
	return nil
}

// here says of workloads that they were found in the session's cluster.
func (s *Session) here(found []FoundWorkload) []FoundWorkload {
	all := slices.Clone(found)
	for i := range all {
		all[i].Cluster = s.cluster
	}
	return all
}
