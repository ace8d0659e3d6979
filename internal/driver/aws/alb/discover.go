package alb

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/aws/alb/albrules"
)

// A Discovery is what init finds, and what is behind it.
type Discovery struct {
	driver.Discovery
	// Groups are the ARNs of the target groups behind each of the entrances.
	Groups [][]string
	// Others are target groups which requests reach that none of the entrances is
	// for, and how they do: "the default action of front:443".
	Others map[string]string
}

// Discover finds what noren can close: each set of hosts that rules of a load
// balancer name is a service, and a load balancer whose rules name none is one.
func Discover(ctx context.Context, c *awsclient.Conn) (*Discovery, error) {
	a := accountOf(c)
	all, err := a.loadBalancers(ctx)
	if err != nil {
		return nil, err
	}
	var some []*loadBalancer
	for i := range all {
		some = append(some, &all[i])
	}
	if err := a.tagged(ctx, some...); err != nil {
		return nil, err
	}
	paths, err := a.healthPaths(ctx)
	if err != nil {
		return nil, err
	}
	d := &Discovery{Others: map[string]string{}}
	for _, lb := range all {
		if err := refused(lb, c.Region()); err != nil {
			d.Notes = append(d.Notes, fmt.Sprintf("Load balancer %s was left out: %s", lb.name, awsclient.DetailOf(err)))
			continue
		}
		listeners, err := a.listenersOf(ctx, lb)
		if err != nil {
			return nil, err
		}
		found := found(lb, listeners, paths)
		switch {
		case len(listeners) == 0:
			d.Notes = append(d.Notes, fmt.Sprintf("Load balancer %s was left out: it has no listener.", lb.name))
		case len(found) == 0:
			d.Notes = append(d.Notes, fmt.Sprintf("Load balancer %s was left out: it has no listener that does more than send visitors elsewhere.", lb.name))
		}
		d.Entrances = append(d.Entrances, found...)
		d.behind(lb, serving(listeners), found)
	}
	return d, nil
}

// behind notes which target groups are behind the entrances found on a load
// balancer, and which answer requests for others.
func (d *Discovery) behind(lb loadBalancer, listeners []albrules.Listener, found []driver.Found) {
	for _, f := range found {
		var groups []string
		for _, l := range listeners {
			groups = append(groups, albrules.Behind(l, albrules.Scope{Hosts: f.Hosts})...)
		}
		d.Groups = append(d.Groups, groups)
	}
	if len(found) == 1 && len(found[0].Hosts) == 0 { // it is the whole load balancer
		return
	}
	for _, l := range listeners {
		note := func(how string, actions []albrules.Action) {
			for _, g := range albrules.TargetGroups(actions...) {
				d.Others[g] = fmt.Sprintf("%s of %s:%d", how, lb.name, l.Port)
			}
		}
		for _, u := range l.Users() {
			if len(hostsOf(u)) == 0 {
				note("a rule without a host", u.Actions)
			}
		}
		note("the default action", l.Default)
	}
}

// serving are the listeners that do more than send visitors elsewhere.
func serving(listeners []albrules.Listener) []albrules.Listener {
	return slices.DeleteFunc(slices.Clone(listeners), albrules.Listener.OnlyRedirects)
}

// healthPaths are the paths of the target groups' health checks, by ARN.
func (a *account) healthPaths(ctx context.Context) (map[string]string, error) {
	out := map[string]string{}
	pages := elb.NewDescribeTargetGroupsPaginator(a.client, &elb.DescribeTargetGroupsInput{PageSize: aws.Int32(pageSize)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, a.conn.Classify(err, "list the target groups of "+a.conn.Region())
		}
		for _, g := range page.TargetGroups {
			if aws.ToBool(g.HealthCheckEnabled) {
				out[aws.ToString(g.TargetGroupArn)] = aws.ToString(g.HealthCheckPath)
			}
		}
	}
	return out, nil
}

// found are the services of a load balancer.
func found(lb loadBalancer, listeners []albrules.Listener, paths map[string]string) []driver.Found {
	serving := serving(listeners)
	if len(serving) == 0 {
		return nil
	}
	var sets [][]string
	for _, l := range serving {
		for _, u := range l.Users() {
			hosts := hostsOf(u)
			at := slices.IndexFunc(sets, func(set []string) bool {
				return slices.ContainsFunc(hosts, func(h string) bool { return slices.Contains(set, h) })
			})
			switch {
			case len(hosts) == 0:
			case at < 0:
				sets = append(sets, hosts)
			default:
				sets[at] = slices.Compact(slices.Sorted(slices.Values(append(sets[at], hosts...))))
			}
		}
	}
	class := "Application Load Balancer " + lb.name
	if who := keptBy(lb.tags); who != "" {
		class += ", kept by " + who
	}
	one := func(service string, hosts []string) driver.Found {
		f := driver.Found{Kind: Kind, Name: lb.name, Service: service, Hosts: hosts, Class: class, Team: lb.tags["team"], API: slices.ContainsFunc(hosts, func(h string) bool { return strings.HasPrefix(h, "api.") || strings.HasPrefix(h, "api-") })}
		if len(hosts) > 0 {
			f.Options = map[string]any{"hosts": hosts}
		}
		f.Health = health(serving, hosts, lb.dns, paths)
		return f
	}
	if len(sets) == 0 {
		return []driver.Found{one(lb.name, nil)}
	}
	var out []driver.Found
	for _, hosts := range sets {
		label, _, _ := strings.Cut(strings.TrimPrefix(hosts[0], "*."), ".")
		if len(sets) == 1 {
			label = lb.name
		}
		out = append(out, one(label, hosts))
	}
	return out
}

func hostsOf(p albrules.Placed) []string {
	for _, c := range p.Conditions {
		if c.Field == albrules.FieldHost && len(c.Values) > 0 {
			return slices.Sorted(slices.Values(c.Values))
		}
	}
	return nil
}

// health are URLs of the health check of the target group that answers at the
// root of each host, on TLS where there is any. A path of / tells nothing.
func health(listeners []albrules.Listener, hosts []string, dns string, paths map[string]string) []string {
	best := listeners[0]
	for _, l := range listeners {
		if l.Scheme() == "https" && best.Scheme() != "https" {
			best = l
		}
	}
	if len(hosts) == 0 && best.Scheme() == "http" {
		hosts = []string{dns}
	}
	var out []string
	for _, h := range hosts {
		if strings.ContainsAny(h, "*?") {
			continue
		}
		scope := albrules.Scope{Hosts: []string{h}}
		if h == dns {
			scope = albrules.Scope{}
		}
		groups := albrules.Behind(best, scope)
		if len(groups) == 0 {
			continue
		}
		if path := paths[groups[len(groups)-1]]; path != "" && path != "/" {
			out = append(out, best.Scheme()+"://"+h+portSuffix(best.Scheme(), best.Port)+path)
		}
	}
	return out
}

// DiscoverNeeds are the rights that Discover takes.
func DiscoverNeeds() []action.Permission {
	return append(TracesNeed(), awsclient.Rights("propose health checks, and what works behind", iam+"DescribeTargetGroups")...)
}
