package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/kube/lbc"
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
		owner, _ := ownerOf(ing)
		found := driver.Found{
			Kind: KindIngress, Name: lbc.Key(ing), Service: serviceName(ing, taken),
			Team: firstLabel(ing, "team", "owner", "noren.dev/team"), Hosts: named(hostsOf(ing)),
			API: looksLikeAPI(ing), Class: fmt.Sprintf("AWS Load Balancer Controller (%s)", group), Owner: owner,
		}
		if group.Controller == lbc.ControllerEKS {
			found.Class = fmt.Sprintf("EKS Auto Mode (%s)", group)
		}
		found.Health = healthURLs(ing, all.classes, found.Hosts)
		d.Entrances = append(d.Entrances, found)
	}
	return d, nil
}

func firstLabel(ing *networkingv1.Ingress, keys ...string) string {
	for _, k := range keys {
		if v := ing.Labels[k]; v != "" {
			return v
		}
	}
	return ""
}

// serviceName proposes a name: that of the application where a label tells,
// else the Ingress's own without "ingress"; the namespace's where that says
// nothing. A name that is taken gets the namespace in front.
func serviceName(ing *networkingv1.Ingress, taken map[string]bool) string {
	name := firstLabel(ing, "app.kubernetes.io/name", "app", "k8s-app")
	if name == "" {
		name = strings.TrimSuffix(strings.TrimSuffix(ing.Name, "-ingress"), "-ing")
		name = strings.TrimPrefix(name, "ingress-")
	}
	if slices.Contains([]string{"ingress", "alb", "main", "default", "public", "external"}, name) {
		name = ing.Namespace
	}
	if taken[name] {
		name = ing.Namespace + "-" + name
	}
	for base, n := name, 2; taken[name]; n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	taken[name] = true
	return name
}

// looksLikeAPI guesses from words in the names, labels and hosts.
func looksLikeAPI(ing *networkingv1.Ingress) bool {
	words := []string{ing.Name}
	for _, k := range []string{"app.kubernetes.io/name", "app.kubernetes.io/component", "app", "k8s-app", "tier"} {
		words = append(words, ing.Labels[k])
	}
	words = append(words, hostsOf(ing)...)
	isSeparator := func(r rune) bool { return strings.ContainsRune("-_./", r) }
	for _, w := range words {
		for _, token := range strings.FieldsFunc(strings.ToLower(w), isSeparator) {
			switch token {
			case "api", "apis", "gateway", "graphql", "grpc", "bff", "webhook", "webhooks":
				return true
			}
		}
	}
	return false
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
