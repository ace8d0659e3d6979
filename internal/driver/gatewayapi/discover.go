package gatewayapi

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/gatewayapi/gw"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/gitops"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
	"github.com/noren-dev/noren/internal/kubeclient/kubepage"
)

// discover finds the routes that noren can close, and tells of the others.
// Who looks for Ingresses may have no right to look for these.
func discover(ctx context.Context, c *conn) (*driver.Discovery, error) {
	d, err := c.discover(ctx)
	var f *fault.Fault
	if errors.As(err, &f) && f.Code == fault.Denied {
		return &driver.Discovery{Notes: []string{"HTTPRoutes and VirtualServices were not looked for: " + f.Detail}}, nil
	}
	return d, err
}

func (c *conn) discover(ctx context.Context) (*driver.Discovery, error) {
	all, err := c.seen(ctx)
	if err != nil {
		return nil, err
	}
	d := &driver.Discovery{}
	taken := map[string]bool{}
	for _, r := range all.routes {
		if r.object.GetDeletionTimestamp() != nil {
			continue
		}
		attached, problems := gw.Attach(r.Route, all.gateways)
		if len(attached) == 0 {
			d.Notes = append(d.Notes, fmt.Sprintf("HTTPRoute %s was left out: %s.", r.Key(), strings.Join(problems, "; ")))
			continue
		}
		if onlyRedirects(r.Route) {
			d.Notes = append(d.Notes, fmt.Sprintf("HTTPRoute %s was left out: it only redirects.", r.Key()))
			continue
		}
		d.Entrances = append(d.Entrances, all.found(r, attached, taken))
	}
	grpc, err := c.list(ctx, grpcRoutes(), "")
	if err != nil && !errors.Is(err, &fault.Fault{Code: fault.Denied}) {
		return nil, err
	}
	for _, u := range grpc {
		d.Notes = append(d.Notes, fmt.Sprintf("GRPCRoute %s was left out: noren does not close gRPC.", kubeobject.Key(u)))
	}
	return d, c.discoverVirtualServices(ctx, d, taken)
}

func onlyRedirects(r gw.Route) bool {
	for _, rule := range r.Rules {
		if !rule.Redirects() {
			return false
		}
	}
	return len(r.Rules) > 0
}

func (c *cluster) found(r *route, attached []gw.Attachment, taken map[string]bool) driver.Found {
	var hosts []string
	for _, a := range attached {
		hosts = append(hosts, named(a.Hosts)...)
	}
	hosts = distinct(hosts)
	short := strings.TrimSuffix(strings.TrimSuffix(r.Name, "-httproute"), "-route")
	class := attached[0].Gateway.Class
	people := "controller " + c.classes[class].Controller
	if m := implementationOf(c.classes[class].Controller); m != nil {
		people = strings.TrimPrefix(m.people, "the ")
	}
	return driver.Found{
		Kind: kindRoute, Name: r.Key(), Service: kubeobject.ServiceName(r.object, short, taken), Team: kubeobject.Team(r.object),
		Hosts: hosts, API: kubeobject.LooksLikeAPI(r.object, hosts), Owner: gitops.OwnerOf(r.object, "HTTPRoute"),
		Class: fmt.Sprintf("%s (Gateway %s)", people, attached[0].Gateway.Key()),
	}
}

func distinct(names []string) []string {
	seen := map[string]bool{}
	var out []string
	for _, n := range names {
		if !seen[n] {
			seen[n] = true
			out = append(out, n)
		}
	}
	return out
}

// findTraces lists the marks on routes, VirtualServices, noren's own objects and
// pages. A kind that the cluster does not have has none to show; one that noren
// may not list is named, and where it may list none, that is the answer.
func findTraces(ctx context.Context, c *conn) (*driver.Traces, error) {
	found := &driver.Traces{}
	var denied error
	for _, r := range []resource{httpRoutes(), virtualServices(), awsLoadBalancer().resource, envoyGateway().resource} {
		all, err := c.list(ctx, r, "")
		if errors.Is(err, &fault.Fault{Code: fault.Denied}) {
			denied, found.Unseen = err, append(found.Unseen, r.String())
			continue
		}
		if err != nil {
			return nil, err
		}
		if len(all) > 0 {
			found.Seen = append(found.Seen, driver.Seen{Kind: r.kind + "s", Count: len(all)})
		}
		for _, u := range all {
			on := c.target(u.GetNamespace(), r.word, u.GetName())
			if m, marked := kubeobject.MarkOn(u, on); marked {
				found.Marks = append(found.Marks, m)
			} else if kubeobject.CreatedByUs(u) && u.GetDeletionTimestamp() == nil {
				found.Unmarked = append(found.Unmarked, unmarked(r, u, on))
			}
		}
	}
	if denied != nil && len(found.Seen) == 0 {
		return nil, denied
	}
	err := kubepage.Traces(ctx, c.client, c.target, found)
	if errors.Is(err, &fault.Fault{Code: fault.Denied}) && c.server.Name == "" {
		err = nil // without a page server there are none
	}
	return found, err
}

// unmarked describes an object of noren's whose mark is gone.
func unmarked(r resource, u *unstructured.Unstructured, on string) driver.Unmarked {
	name := r.word + " " + kubeobject.Key(u)
	return driver.Unmarked{Target: on, Ours: true, By: kubeclient.FieldManager, Since: u.GetCreationTimestamp().Time,
		What: name + " is one from which rules of noren's answer, and its mark is gone",
		Advice: []string{kubeobject.Show(name),
			fmt.Sprintf("kubectl -n %s delete %s %s     # once no rule of a route leads to it", u.GetNamespace(), r.word, u.GetName())}}
}
