package rehearsal

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/control"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/kubecopy"
	"github.com/noren-dev/noren/internal/kubeclient/kubepage"
	"github.com/noren-dev/noren/internal/pageserver/pageapi"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/report"
)

// httpDriver is the driver that asks front doors.
const httpDriver = "http"

// reach leads drivers to the copies: as they are now, or as they were after so
// many writes each. Drivers that need none and are not led to a front door of
// this machine are left without a configuration.
func (r *copied) reach(counts []int) control.Reach {
	return func(env plan.Environment) (plan.Environment, error) {
		drivers, clusters, err := r.Registry.Redirected(env.Drivers, env.Clusters, func(kubeconfig, context string, named bool) (string, string, error) {
			if !named && len(env.Clusters) > 0 { // each has its own: nobody needs the default
				return filepath.Join(r.dir, "none.kubeconfig"), kubecopy.ContextName, nil
			}
			_, n, err := r.copies.Copy(kubeclient.Config{Kubeconfig: kubeconfig, Context: context})
			if err != nil {
				return "", "", err
			}
			path := ""
			if n < len(counts) {
				path, err = r.copies.KubeconfigAt(n, counts[n])
			} else {
				path, err = r.copies.Kubeconfig(n)
			}
			return path, kubecopy.ContextName, err
		})
		if err != nil {
			return env, err
		}
		if drivers[httpDriver], err = r.probes(env.Drivers[httpDriver]); err != nil {
			return env, err
		}
		for name, own := range env.Clusters {
			if raw, given := own[httpDriver]; given {
				if clusters[name][httpDriver], err = r.probes(raw); err != nil {
					return env, err
				}
			}
		}
		// Made anew: what this does not know of an environment must lead nowhere.
		led := plan.Environment{Name: env.Name, Protected: env.Protected, Drivers: drivers, Clusters: clusters}
		return led, r.onlyCopies(led)
	}
}

// onlyCopies fails if a driver would reach anything but a copy. It is a second
// look at what Redirected promises: a rehearsal that writes to the real cluster
// is the worst that this program could do.
func (r *copied) onlyCopies(env plan.Environment) error {
	reached, err := r.Registry.OpenClusters(driver.Env{Name: env.Name}, env.Drivers, env.Clusters).Kubeconfigs()
	if err != nil {
		return err
	}
	for _, path := range reached {
		if filepath.Dir(path) != r.dir {
			return internalFault("the rehearsal would reach more than its copies", fmt.Errorf("a driver of %s goes through the kubeconfig %q", env.Name, path))
		}
	}
	return nil
}

// probes is the configuration of the driver http with the front door of this
// machine in the place of the real one.
func (r *copied) probes(raw json.RawMessage) (json.RawMessage, error) {
	fields := map[string]any{}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &fields); err != nil {
			return nil, err
		}
	}
	delete(fields, "ca_file")
	delete(fields, "resolve")
	if r.front != nil {
		fields["ca_file"], fields["resolve"] = r.front.CA, r.front.Resolve
	}
	return json.Marshal(fields)
}

// openFront opens the front door for every URL that a check may ask.
func (r *copied) openFront(ctx context.Context, services []catalog.Service, doors []control.Door) error {
	var urls []string
	for _, d := range doors {
		urls = append(urls, d.Survey.URLs...)
	}
	for _, s := range services {
		urls = append(urls, s.Health...)
	}
	front, err := openFrontDoor(ctx, r.dir, urls, r.Now())
	if err != nil {
		return err
	}
	front.doors = r.doorsNow()
	front.pages = r.pagesNow
	r.front = front
	return nil
}

// doorsNow reads the doors of the copies, once for each write.
func (r *copied) doorsNow() func(context.Context) ([]control.Door, error) {
	type reading struct {
		writes int
		doors  []control.Door
	}
	last := make(chan reading, 1)
	last <- reading{writes: -1}
	return func(ctx context.Context) ([]control.Door, error) {
		have := <-last
		defer func() { last <- have }()
		writes := 0
		for _, c := range r.copies.Copies() {
			writes += len(c.Writes())
		}
		if have.writes == writes {
			return have.doors, nil
		}
		doors, err := r.control.Doors(ctx, r.req.Environment, r.req.Services, nil)
		if err == nil {
			have = reading{writes, doors}
		}
		return doors, err
	}
}

// pagesNow are the pages that the page server of a namespace would have, in
// whichever copy.
func (r *copied) pagesNow(ctx context.Context, namespace string) ([]pageapi.Page, error) {
	var all []pageapi.Page
	for n := range r.copies.Copies() {
		path, err := r.copies.Kubeconfig(n)
		if err != nil {
			return nil, err
		}
		client, err := kubeclient.New(kubeclient.Config{Kubeconfig: path, Context: kubecopy.ContextName})
		if err != nil {
			return nil, err
		}
		pages, err := kubepage.List(ctx, client, namespace)
		if err != nil {
			return nil, err
		}
		all = append(all, pages...)
	}
	return all, nil
}

// A moment is the copies after a write of noren's.
type moment struct {
	phase  report.Phase
	at     time.Time
	write  string
	counts []int // of writes, by copy
}

// moments are the beginning, each write of noren's, and the ends of the runs.
func (r *copied) moments() []moment {
	copies := r.copies.Copies()
	type write struct {
		kubecopy.Write
		of int
	}
	var writes []write
	for n, c := range copies {
		for _, w := range c.Writes() {
			writes = append(writes, write{w, n})
		}
	}
	slices.SortStableFunc(writes, func(a, b write) int { return a.At.Compare(b.At) })
	counts := make([]int, len(copies))
	all := []moment{{phase: report.Before, at: r.closing.run.Created, counts: slices.Clone(counts)}}
	closed := func() bool { return reached(counts, r.closing.writes) }
	shut := false
	ends := func() {
		if !shut && closed() && r.closing.ok() {
			shut = true
			all = append(all, moment{report.Shut, r.closing.run.Ended, "the end of the closing", slices.Clone(counts)})
		}
	}
	ends()
	for _, w := range writes {
		counts[w.of]++
		if w.By == kubeclient.FieldManager {
			phase := report.Closing
			if shut {
				phase = report.Opening
			}
			all = append(all, moment{phase, w.At, w.Verb + " " + w.Object, slices.Clone(counts)})
		}
		ends()
	}
	if r.opening.ok() {
		all = append(all, moment{report.After, r.opening.run.Ended, "the end of the opening", slices.Clone(counts)})
	}
	return all
}

// reached tells whether as many writes as given are counted, for each copy.
func reached(counts, wanted []int) bool {
	for n := range counts {
		if n < len(wanted) && counts[n] < wanted[n] {
			return false
		}
	}
	return true
}
