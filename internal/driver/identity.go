package driver

import (
	"context"
	"path"
	"sync"
	"time"
)

// identityPatience bounds how long a system is asked who noren is to it: a
// closing does not wait for what only its record needs.
const identityPatience = 3 * time.Second

// Identifies adds the ability to ask the system by which name it knows noren,
// for the audit record. "" is a system that cannot tell.
func Identifies[K any](ask func(ctx context.Context, conn K) (string, error)) Part[K] {
	return func(d *Driver) {
		d.identify = func(ctx context.Context, conn any) (string, error) { return ask(ctx, conn.(K)) }
	}
}

// Identities asks every configured system that can tell by which name it knows
// noren, side by side, and returns the names by driver, and by cluster and
// driver ("osaka/kube") where an environment has clusters. One that does not
// answer is left out: a record that says less is better than a closing that
// fails.
func (s *Session) Identities(ctx context.Context) map[string]string {
	ctx, cancel := context.WithTimeout(ctx, identityPatience)
	defer cancel()
	var mu sync.Mutex
	var all sync.WaitGroup
	names := map[string]string{}
	for _, in := range s.All() {
		for _, d := range s.registry.drivers {
			if own, configured := in.own(d); !own || !configured || d.identify == nil {
				continue
			}
			all.Go(func() {
				conn, err := in.connect(ctx, d)
				if err != nil {
					return
				}
				if name, err := d.identify(ctx, conn); err == nil && name != "" {
					mu.Lock()
					defer mu.Unlock()
					names[path.Join(in.cluster, d.Name)] = name
				}
			})
		}
	}
	all.Wait()
	return names
}
