package control

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/plan"
)

// ringPatience bounds a look at what rings: it is shown beside something else.
const ringPatience = 3 * time.Second

// A Ringing is an alert that goes off while something is closed, of a monitor that
// no closing of this state directory keeps quiet.
type Ringing struct {
	Environment string    `json:"environment"`
	Service     string    `json:"service"`
	Kind        string    `json:"kind"`
	Monitor     string    `json:"monitor"`
	What        string    `json:"what"`
	Since       time.Time `json:"since,omitzero"`
	// OnRing says who does what, "" if the catalog does not.
	OnRing string `json:"onRing,omitempty"`
}

// Rings asks the monitors of an environment that no closing mutes what rings now,
// the longest first. One that does not answer, or cannot tell, is left out: this
// is shown beside something that must not wait for it.
func (c *Control) Rings(ctx context.Context, cat *catalog.Catalog, env plan.Environment) []Ringing {
	services, err := cat.Services(env.Name)
	if err != nil {
		return nil
	}
	muted, err := c.mutedIn(ctx, env.Name)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, ringPatience)
	defer cancel()
	session := c.session(env)
	var mu sync.Mutex
	var asking sync.WaitGroup
	var all []Ringing
	for _, s := range services {
		for _, m := range s.Monitors {
			if slices.Contains(muted, plan.Monitor{Kind: m.Kind, Name: m.Name, Cluster: m.Cluster}) {
				continue
			}
			asking.Go(func() {
				for _, r := range ringsOf(ctx, session, m) {
					mu.Lock()
					all = append(all, Ringing{Environment: env.Name, Service: s.Name, Kind: m.Kind, Monitor: m.Name, What: r.What, Since: r.Since, OnRing: m.OnRing})
					mu.Unlock()
				}
			})
		}
	}
	asking.Wait()
	slices.SortFunc(all, func(a, b Ringing) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.What, b.What)) })
	return all
}

// mutedIn are the monitors that closings keep quiet in an environment.
func (c *Control) mutedIn(ctx context.Context, env string) ([]plan.Monitor, error) {
	closed, err := c.Status(ctx)
	var muted []plan.Monitor
	for _, s := range closed {
		if s.Environment == env {
			muted = append(muted, s.Monitors...)
		}
	}
	return muted, err
}

// ringsOf is what rings of one monitor and is muted by nobody.
func ringsOf(ctx context.Context, session *driver.Session, m catalog.Monitor) []driver.Ring {
	opened, err := session.At(m.Cluster).Monitor(ctx, m.Kind, m.Name, m.Options.JSON)
	if err != nil {
		return nil
	}
	ringer, ok := opened.(driver.Ringer)
	if !ok {
		return nil
	}
	rings, err := ringer.Ringing(ctx)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(rings, func(r driver.Ring) bool { return r.Muted })
}
