package kube

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver/kube/lbc"
)

// GroupParams say whose load balancer to look at, and what the plan was made
// from.
type GroupParams struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Before is the group.order that noren's Ingresses will have: nobody
	// else's may come before it. Nil where noren adds none.
	Before *int `json:"before,omitempty"`
	// InFront are the members that came before it when the plan was made.
	InFront []string `json:"inFront,omitempty"`
}

// Validate says what is missing.
func (p GroupParams) Validate() error { return needName(p.Namespace, p.Name) }

func needName(namespace, name string) error {
	if namespace == "" || name == "" {
		return errors.New("namespace and name are needed")
	}
	return nil
}

type groupCheck struct {
	conn *conn
	p    GroupParams
}

func openGroupCheck(c *conn, p GroupParams) (*groupCheck, error) { return &groupCheck{c, p}, nil }

func (g *groupCheck) Target() string { return g.conn.target(g.p.Namespace, "ingress", g.p.Name) }

func (g *groupCheck) Requires() []action.Permission {
	all := func(verb, resource, why string) action.Permission {
		return action.Permission{System: Name, Verb: verb, Resource: resource, Why: why}
	}
	return []action.Permission{
		all("list", ingresses, "find every Ingress on the same load balancer"),
		all("list", ingressClasses, "tell which controller an Ingress belongs to"),
		all("get", ingressClassParams, "read the group and certificates that a class gives"),
		{System: Name, Verb: "list", Resource: services, Namespace: g.p.Namespace, Why: "see logins that Services ask for, and Services that are missing"},
		{System: Name, Verb: "list", Resource: events, Namespace: g.p.Namespace, Why: "see what the controller reports"},
	}
}

// Check reads the cluster anew, once for all checks of a batch.
func (g *groupCheck) Check(ctx context.Context) (action.Verdict, error) {
	all, err := g.conn.lately(ctx)
	if err != nil {
		return action.Verdict{}, err
	}
	key := g.p.Namespace + "/" + g.p.Name
	ing := all.find(g.p.Namespace, g.p.Name)
	if ing == nil {
		return action.Verdict{Summary: "ingress " + key + " does not exist"}, nil
	}
	group, err := all.classes.Group(ing)
	if err != nil {
		return action.Verdict{Summary: fmt.Sprintf("ingress %s: %v", key, err)}, nil
	}
	members := all.members(group)
	lookup, err := g.conn.lookup(ctx, members)
	if err != nil {
		return action.Verdict{}, err
	}
	findings, err := g.conn.troubles(ctx, &reading{ing: ing, group: group, members: members, opts: lbc.Options{Classes: all.classes, Service: lookup, Rules: g.conn.ruleQuota}})
	if err != nil {
		return action.Verdict{}, err
	}
	findings = append(findings, g.early(members)...)
	if len(findings) > 0 {
		return action.Verdict{
			Summary:  fmt.Sprintf("%s is not fit to be closed: no change reaches its load balancer", group),
			Findings: findings,
			Try:      []string{fmt.Sprintf("kubectl -n %s describe ingress %s", g.p.Namespace, g.p.Name)},
		}, nil
	}
	return action.Verdict{OK: true, Summary: fmt.Sprintf("%s works: %d Ingresses, none failing", group, len(members))}, nil
}

// early are the members that would come before noren's page.
func (g *groupCheck) early(members []*networkingv1.Ingress) []string {
	if g.p.Before == nil {
		return nil
	}
	var out []string
	for _, m := range members {
		if order, _ := lbc.Order(m); order <= *g.p.Before && !createdByUs(m) && !slices.Contains(g.p.InFront, lbc.Key(m)) {
			out = append(out, fmt.Sprintf("ingress %s now has group.order %d and would come before the page (%d): make a new plan", lbc.Key(m), order, *g.p.Before))
		}
	}
	return out
}

// troubles are what freezes a group: what the controller reports, and what it
// has not had the time to report yet. What only AWS could refuse does not
// count where the controller has succeeded since: quotas can be raised.
func (c *conn) troubles(ctx context.Context, r *reading) ([]string, error) {
	all, err := c.reports(ctx, r.membersHere())
	if err != nil {
		return nil, err
	}
	failing := slices.DeleteFunc(slices.Clone(all), func(r report) bool { return !r.failing() })
	findings := failing.sentences()
	succeeded := len(failing) == 0 && slices.ContainsFunc(all, func(r report) bool { return !r.doneAt.IsZero() })
	_, problems := lbc.Build(r.members, r.opts)
	for _, p := range problems {
		if p.Freezes() && !(p.Event == lbc.FailedDeployModel && succeeded) {
			findings = append(findings, p.String())
		}
	}
	return findings, nil
}

// UnchangedParams are the Ingress that a plan was made from.
type UnchangedParams struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
	Digest    string `json:"digest"`
}

// Validate says what is missing.
func (p UnchangedParams) Validate() error { return needName(p.Namespace, p.Name) }

type unchanged struct {
	conn *conn
	p    UnchangedParams
}

func openUnchanged(c *conn, p UnchangedParams) (*unchanged, error) { return &unchanged{c, p}, nil }

func (u *unchanged) Target() string { return u.conn.target(u.p.Namespace, "ingress", u.p.Name) }

func (u *unchanged) Requires() []action.Permission {
	return []action.Permission{{System: Name, Verb: "get", Resource: ingresses, Namespace: u.p.Namespace, Why: "see that the Ingress is as it was planned for"}}
}

// Check compares what decides about the rules, not who wrote it or when.
func (u *unchanged) Check(ctx context.Context) (action.Verdict, error) {
	name := fmt.Sprintf("ingress %s/%s", u.p.Namespace, u.p.Name)
	ing, err := u.conn.getIngress(ctx, u.p.Namespace, u.p.Name)
	if err != nil {
		return action.Verdict{}, err
	}
	v := action.Verdict{Summary: name + " has changed since the plan was made",
		Try: []string{"noren plan close"}}
	switch {
	case ing == nil || ing.DeletionTimestamp != nil:
		v.Findings = []string{"it was deleted"}
	case string(ing.UID) != u.p.UID:
		v.Findings = []string{"it was deleted and created again"}
	case digest(ing) != u.p.Digest:
		v.Findings = []string{"its rules, class or annotations are others"}
	default:
		return action.Verdict{OK: true, Summary: name + " is as it was when the plan was made"}, nil
	}
	return v, nil
}

// digest is of what the controller reads of an Ingress, noren's own left out.
func digest(ing *networkingv1.Ingress) string {
	annotations := maps.Clone(ing.Annotations)
	maps.DeleteFunc(annotations, func(k, _ string) bool {
		return !strings.HasPrefix(k, lbc.Prefix) && k != lbc.ClassAnnotation || k == lbc.Prefix+"dry-run-plan"
	})
	raw, _ := json.Marshal(map[string]any{"annotations": annotations, "spec": ing.Spec}) // of plain data
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// BackendParams are the Services behind an entrance.
type BackendParams struct {
	Namespace string   `json:"namespace"`
	Services  []string `json:"services"`
}

// Validate says what is missing.
func (p BackendParams) Validate() error {
	if p.Namespace == "" || len(p.Services) == 0 {
		return errors.New("namespace and services are needed")
	}
	return nil
}

type backends struct {
	conn *conn
	p    BackendParams
}

func openBackends(c *conn, p BackendParams) (*backends, error) { return &backends{c, p}, nil }

func (b *backends) Target() string {
	return b.conn.target(b.p.Namespace, "service", strings.Join(b.p.Services, "+"))
}

func (b *backends) Requires() []action.Permission {
	return []action.Permission{{System: Name, Verb: "list", Resource: endpointSlices, Namespace: b.p.Namespace, Why: "see whether the application would answer"}}
}

// Check counts ready endpoints.
func (b *backends) Check(ctx context.Context) (action.Verdict, error) {
	return b.conn.client.Ready(ctx, b.p.Namespace, b.p.Services)
}
