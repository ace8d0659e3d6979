package control

import (
	"context"
	"fmt"
	"strings"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// iamSystem is the system whose rights are written down as policies.
const iamSystem = "aws"

// A Policy is the least that noren needs of AWS in one environment, or in one of
// its clusters.
type Policy struct {
	Environment string
	Cluster     string // "" where the environment has none
	// Text is the IAM policy, as JSON.
	Text string
	// Silent are entrances and workloads that do not say what they need.
	Silent []string
}

// Policies says what noren needs of AWS to close and open the services of an
// environment: from the catalog alone, so that it can be asked before any right
// is granted. It asks nobody.
func Policies(ctx context.Context, o Options, environment, cluster string) ([]Policy, error) {
	env, err := o.Catalog.Environment(environment)
	if err != nil {
		return nil, err
	}
	services, err := o.Catalog.Services(environment)
	if err != nil {
		return nil, err
	}
	c := &Control{Options: o}
	pinned, err := c.pinned(env)
	if err != nil {
		return nil, err
	}
	session := c.session(pinned)
	var all []Policy
	for _, in := range session.All() {
		if cluster != "" && in.Cluster() != cluster {
			continue
		}
		p := Policy{Environment: environment, Cluster: in.Cluster()}
		var need []action.Permission
		for _, s := range services {
			more, silent, err := c.needsIn(ctx, environment, in, s)
			if err != nil {
				return nil, err
			}
			need = append(need, more...)
			p.Silent = append(p.Silent, silent...)
		}
		more, err := needsToTell(ctx, in)
		if err != nil {
			return nil, err
		}
		if need = append(need, more...); len(need) == 0 && len(p.Silent) == 0 {
			continue
		}
		var ok bool
		if p.Text, ok = c.Registry.Grant(iamSystem, need); !ok {
			return nil, fmt.Errorf("driver %s writes no policies", iamSystem)
		}
		all = append(all, p)
	}
	if len(all) == 0 {
		return nil, nothingOfAWS(env, cluster)
	}
	return all, nil
}

func nothingOfAWS(env catalog.Environment, cluster string) error {
	f := &fault.Fault{Code: fault.Invalid, Summary: "nothing of AWS",
		Detail: fmt.Sprintf("No service of %s has an entrance, workload or monitor of AWS in the catalog, nor has it a status document there, so that noren needs no right there.", env.Name)}
	if cluster != "" {
		f.Detail = fmt.Sprintf("No service has an entrance, workload or monitor of AWS in the cluster %s of %s.", cluster, env.Name)
	}
	return f
}

// needsIn lists what the entrances, workloads and monitors of a service need of AWS
// in the cluster of a session, and those that do not say.
func (c *Control) needsIn(ctx context.Context, environment string, session *driver.Session, s catalog.Service) (need []action.Permission, silent []string, err error) {
	ask := func(name string, opened any) {
		if r, ok := opened.(action.Requirer); ok && len(r.Requires()) > 0 {
			need = append(need, r.Requires()...)
			return
		}
		silent = append(silent, name)
	}
	for _, e := range s.Entrances {
		if e.Cluster != session.Cluster() || systemOf(e.Kind) != iamSystem {
			continue
		}
		opened, err := session.Entrance(ctx, e.Kind, e.Name, e.Options.JSON)
		if err != nil {
			return nil, nil, c.located(environment, e.Cluster, e.Options, err)
		}
		ask(e.Kind+" "+e.Name, opened)
	}
	for _, w := range s.Workloads {
		if w.Cluster != session.Cluster() || systemOf(w.Kind) != iamSystem {
			continue
		}
		opened, err := session.Workload(ctx, w.Kind, w.Name, w.Options.JSON)
		if err != nil {
			return nil, nil, c.located(environment, w.Cluster, w.Options, err)
		}
		ask(w.Kind+" "+w.Name, opened)
	}
	for _, m := range s.Monitors {
		if m.Cluster != session.Cluster() || systemOf(m.Kind) != iamSystem {
			continue
		}
		opened, err := session.Monitor(ctx, m.Kind, m.Name, m.Options.JSON)
		if err != nil {
			return nil, nil, c.located(environment, m.Cluster, m.Options, err)
		}
		ask(m.Kind+" "+m.Name, opened)
	}
	return need, silent, nil
}

// needsToTell lists what documents that others read need of AWS: an environment
// has them once, whatever its clusters are.
func needsToTell(ctx context.Context, session *driver.Session) ([]action.Permission, error) {
	if session.Cluster() != "" {
		return nil, nil
	}
	var need []action.Permission
	for _, call := range session.PublishingIn(iamSystem) {
		in, _, err := openCall(ctx, session, call)
		if err != nil {
			return nil, err
		}
		if in.Requirer == nil {
			continue
		}
		for _, p := range in.Requirer.Requires() {
			if p.System == iamSystem {
				need = append(need, p)
			}
		}
	}
	return need, nil
}

// systemOf is the driver of a kind: "aws" of "aws/ecs".
func systemOf(kind string) string {
	system, _, _ := strings.Cut(kind, "/")
	return system
}
