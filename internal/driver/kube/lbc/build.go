package lbc

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/noren-dev/noren/internal/edge"
)

// Options are what Build knows besides the Ingresses.
type Options struct {
	Classes Classes
	// Service looks a Service up. nil, or a Service of state Unknown, is taken
	// to exist with every port and no annotations.
	Service func(namespace, name string) Service
	// Mark finds noren's token in the body of a fixed response; nil finds none.
	Mark func(body string) string
	// Rules is the quota of rules of the load balancer, MaxRules by default.
	Rules int
}

// RuleQuota is how many rules the load balancer may have, all listeners
// together.
func (o Options) RuleQuota() int { return cmp.Or(o.Rules, MaxRules) }

// A Service is what the controller reads of one.
type Service struct {
	State       ServiceState
	Annotations map[string]string
	Ports       []string // each port by number and, if it has one, by name
}

// A ServiceState says whether a Service was looked up, and found.
type ServiceState int

// The states.
const (
	Unknown ServiceState = iota
	Missing
	Found
)

type builder struct {
	Options
	problems []Problem
}

// Build returns the front door that the controller makes of the members of one
// group, and what is wrong with them. Where a problem freezes the group, the
// front is what it would be without the part at fault; the load balancer stays
// as it was before.
func Build(members []*networkingv1.Ingress, o Options) (edge.Front, []Problem) {
	b := &builder{Options: o}
	members = sorted(members)
	for _, ing := range members {
		if _, err := Order(ing); err != nil {
			b.fails(ing, err.Error())
		}
	}
	listeners := b.listeners(members)
	redirectPort := b.sslRedirect(members, listeners)
	var front edge.Front
	rules := 0
	for _, port := range slices.Sorted(maps.Keys(listeners)) {
		l := b.listener(port, listeners[port], redirectPort)
		rules += len(l.Rules)
		front.Listeners = append(front.Listeners, l)
	}
	if quota := b.RuleQuota(); rules > quota {
		b.problems = append(b.problems, Problem{Event: FailedDeployModel,
			Reason: fmt.Sprintf("%d listener rules, and a load balancer has at most %d unless AWS raised its quota", rules, quota)})
	}
	return front, distinct(b.problems)
}

func (b *builder) problem(ing *networkingv1.Ingress, event, reason string) {
	b.problems = append(b.problems, Problem{Ingress: Key(ing), Reason: reason, Event: event})
}

func (b *builder) fails(ing *networkingv1.Ingress, reason string) {
	b.problem(ing, FailedBuildModel, reason)
}

// distinct keeps each problem once: a rule is built for every listener.
func distinct(all []Problem) []Problem {
	seen := map[Problem]bool{}
	var out []Problem
	for _, p := range all {
		if !seen[p] {
			seen[p] = true
			out = append(out, p)
		}
	}
	return out
}

type listening struct {
	scheme  string
	members []*networkingv1.Ingress
}

// listeners merges the listen-ports of the members. The rules of a member go
// only on its own ports. Source: model_builder.go run, mergeListenPortConfigs.
func (b *builder) listeners(members []*networkingv1.Ingress) map[int]*listening {
	merged := map[int]*listening{}
	for _, ing := range members {
		ports, err := b.Classes.Ports(ing)
		if err != nil {
			b.fails(ing, err.Error())
			continue
		}
		for port, scheme := range ports {
			l := merged[port]
			if l == nil {
				l = &listening{scheme: scheme}
				merged[port] = l
			}
			if l.scheme != scheme {
				b.fails(ing, fmt.Sprintf("conflicting protocol on port %d: %s here, %s in ingress %s", port, scheme, l.scheme, Key(l.members[0])))
				continue
			}
			l.members = append(l.members, ing)
		}
	}
	return merged
}

// Ports returns the ports on which the controller listens for an Ingress, each
// with its scheme: listen-ports, or HTTPS 443 where there is a certificate-arn,
// or HTTP 80. Source: model_build_listener.go computeIngressListenPorts.
func (c Classes) Ports(ing *networkingv1.Ingress) (map[int]string, error) {
	raw, ok := ing.Annotations[ListenPorts]
	if !ok {
		if len(c.Certificates(ing)) > 0 {
			return map[int]string{443: "https"}, nil
		}
		return map[int]string{80: "http"}, nil
	}
	var entries []map[string]int32
	if err := json.Unmarshal([]byte(raw), &entries); err != nil {
		return nil, fmt.Errorf("failed to parse listen-ports configuration: %s", raw)
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("empty listen-ports configuration: %s", raw)
	}
	ports := map[int]string{}
	for _, entry := range entries {
		for protocol, port := range entry {
			if port < 1 || port > 65535 {
				return nil, fmt.Errorf("listen port must be within [1, 65535]: %d", port)
			}
			if protocol != "HTTP" && protocol != "HTTPS" {
				return nil, fmt.Errorf("listen protocol must be within [HTTP, HTTPS]: %s", protocol)
			}
			ports[int(port)] = strings.ToLower(protocol)
		}
	}
	return ports, nil
}

// Certificates returns the certificates that an Ingress names, by its class or
// by annotation. Without any, the controller looks for ones that fit the hosts.
// Source: model_build_listener.go computeIngressExplicitTLSCertARNs.
func (c Classes) Certificates(ing *networkingv1.Ingress) []string {
	if class, _ := c.Of(ing); len(class.CertificateARNs) > 0 {
		return class.CertificateARNs
	}
	var arns []string
	for arn := range strings.SplitSeq(ing.Annotations[CertificateARN], ",") {
		if arn = strings.TrimSpace(arn); arn != "" {
			arns = append(arns, arn)
		}
	}
	return arns
}

// sslRedirect returns the port to which HTTP listeners redirect, 0 for none.
// The setting counts for the whole group. Source: model_builder.go
// buildSSLRedirectConfig.
func (b *builder) sslRedirect(members []*networkingv1.Ingress, listeners map[int]*listening) int {
	var from *networkingv1.Ingress
	port := 0
	for _, ing := range members {
		class, _ := b.Classes.Of(ing)
		raw, exists := ing.Annotations[SSLRedirect]
		if class.SSLRedirectPort != "" {
			raw, exists = class.SSLRedirectPort, true
		}
		if !exists {
			continue
		}
		n, err := strconv.ParseInt(raw, 10, 32)
		switch {
		case err != nil:
			b.fails(ing, fmt.Sprintf("ssl-redirect %q is not a port", raw))
		case from != nil && int(n) != port:
			b.fails(ing, fmt.Sprintf("conflicting sslRedirect port: %d here, %d in ingress %s", n, port, Key(from)))
		default:
			from, port = ing, int(n)
		}
	}
	if from == nil {
		return 0
	}
	switch l := listeners[port]; {
	case l == nil:
		b.fails(from, fmt.Sprintf("listener does not exist for SSLRedirect port: %d", port))
		return 0
	case l.scheme != "https":
		b.fails(from, fmt.Sprintf("listener protocol non-SSL for SSLRedirect port: %d", port))
		return 0
	}
	return port
}

// listener builds one listener. With ssl-redirect, an HTTP listener has a
// default action that redirects and no rules. Source: model_build_listener.go
// buildListenerDefaultActions, model_build_listener_rules.go buildListenerRules.
func (b *builder) listener(port int, l *listening, redirectPort int) edge.Listener {
	out := edge.Listener{Scheme: l.scheme, Port: port}
	if redirectPort != 0 && l.scheme == "http" {
		out.Default = edge.Action{Kind: edge.Redirect, Status: 301,
			Location: fmt.Sprintf("https://#{host}:%d/#{path}?#{query}", redirectPort)}
		return out
	}
	out.Default = b.defaultAction(l)
	var rules []rule
	for _, ing := range l.members {
		rules = append(rules, b.rules(ing)...)
	}
	for _, r := range optimise(port, l.scheme, rules) {
		b.checkLimits(r)
		out.Rules = append(out.Rules, b.edgeRule(r, l.scheme))
	}
	return out
}

// defaultAction is the defaultBackend of the one member that has one, else 404.
// Source: model_build_listener.go buildListenerDefaultActions, build404Action.
func (b *builder) defaultAction(l *listening) edge.Action {
	notFound := edge.Action{Kind: edge.Respond, Response: &edge.Response{Status: 404, ContentType: "text/plain"}}
	var with []*networkingv1.Ingress
	for _, ing := range l.members {
		if ing.Spec.DefaultBackend != nil {
			with = append(with, ing)
		}
	}
	if len(with) == 0 {
		return notFound
	}
	if len(with) > 1 {
		b.fails(with[1], fmt.Sprintf("multiple ingress defined default backend: %s and %s", Key(with[0]), Key(with[1])))
	}
	back, err := b.backend(with[0], *with[0].Spec.DefaultBackend)
	if err != nil {
		b.fails(with[0], "defaultBackend: "+err.Error())
		return notFound
	}
	return b.edgeAction(back, l.scheme)
}
