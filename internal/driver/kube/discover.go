package kube

import (
	"context"
	"errors"
	"fmt"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/kubeclient/gitops"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

// discover finds the Ingresses that noren can close, and tells of the others.
func discover(ctx context.Context, c *conn) (*driver.Discovery, error) {
	all, err := c.seen(ctx)
	if err != nil {
		return nil, err
	}
	d := &driver.Discovery{}
	taken := map[string]bool{}
	for _, ing := range all.ingresses {
		if createdByUs(ing) || ing.DeletionTimestamp != nil {
			continue
		}
		group, err := all.classes.Group(ing)
		if err != nil {
			if errors.Is(err, lbc.ErrUnmanaged) {
				d.Notes = append(d.Notes, fmt.Sprintf("Ingress %s was left out: it %s. It can be closed once a page server runs in its namespace (noren page manifest --namespace %s).",
					lbc.Key(ing), classWords(ing, all.classes), ing.Namespace))
				continue
			}
			class, _ := all.classes.Of(ing)
			d.Notes = append(d.Notes, fmt.Sprintf("Ingress %s was left out: %v (class %q).", lbc.Key(ing), err, class.Name))
			continue
		}
		owner := gitops.OwnerOf(ing, "Ingress")
		found := driver.Found{
			Kind: KindIngress, Name: lbc.Key(ing), Service: kubeobject.ServiceName(ing, shortName(ing), taken),
			Team: kubeobject.Team(ing), Hosts: named(hostsOf(ing)),
			API: kubeobject.LooksLikeAPI(ing, hostsOf(ing)), Class: fmt.Sprintf("AWS Load Balancer Controller (%s)", group), Owner: owner,
		}
		if group.Controller == lbc.ControllerEKS {
			found.Class = fmt.Sprintf("EKS Auto Mode (%s)", group)
		}
		found.Health = healthURLs(ing, all.classes, found.Hosts)
		d.Entrances = append(d.Entrances, found)
	}
	return d, nil
}

// shortName is the name of an Ingress without what says that it is one.
func shortName(ing *networkingv1.Ingress) string {
	return strings.TrimPrefix(strings.TrimSuffix(strings.TrimSuffix(ing.Name, "-ingress"), "-ing"), "ingress-")
}

// healthURLs are made from the health check's path, where the Ingress names
// one: by default the controller checks /, which tells nothing.
// Source: docs/guide/ingress/annotations.md "healthcheck-path".
func healthURLs(ing *networkingv1.Ingress, classes lbc.Classes, hosts []string) []string {
	path := ing.Annotations[lbc.HealthPath]
	ports, err := classes.Ports(ing)
	if path == "" || !strings.HasPrefix(path, "/") || err != nil {
		return nil
	}
	scheme, port := "http", 0
	for p, s := range ports {
		better := s == "https" && scheme == "http" || s == scheme && p < port
		if port == 0 || better {
			scheme, port = s, p
		}
	}
	var out []string
	for _, h := range hosts {
		if !strings.ContainsAny(h, "*?") {
			out = append(out, scheme+"://"+h+portSuffix(scheme, port)+path)
		}
	}
	return out
}
