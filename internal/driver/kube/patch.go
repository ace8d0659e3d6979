package kube

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

// PatchParams are what noren adds to an Ingress of the user's: annotations
// with actions and conditions, and rules at the head of spec.rules that lead
// to them. Nothing of the user's is replaced: taking away the last rule that
// refers to a Service makes the controller delete its target group at once.
type PatchParams struct {
	Namespace   string                     `json:"namespace"`
	Name        string                     `json:"name"`
	Annotations map[string]string          `json:"annotations"`
	Rules       []networkingv1.IngressRule `json:"rules"`
	// Members are the Ingresses on the same load balancer in the same
	// namespace, this one included: the controller reports on them.
	Members []string `json:"members,omitempty"`
}

// Validate says what is missing or not noren's to write.
func (p PatchParams) Validate() error {
	if p.Namespace == "" || p.Name == "" {
		return errors.New("namespace and name are needed")
	}
	for key := range p.Annotations {
		if !strings.HasPrefix(key, lbc.ActionAnnotation(lbc.OursPrefix)) &&
			!strings.HasPrefix(key, lbc.ConditionsAnnotation(lbc.OursPrefix)) &&
			!strings.HasPrefix(key, lbc.TransformsAnnotation(lbc.OursPrefix)) {
			return fmt.Errorf("annotation %s is not one of noren's own", key)
		}
	}
	for i, r := range p.Rules {
		if !p.ours(r) {
			return fmt.Errorf("rules[%d] leads to none of the actions in annotations", i)
		}
	}
	return nil
}

// ours tells whether a rule of the Ingress is one that noren added: a path of
// it leads to an action of ours.
func (p PatchParams) ours(r networkingv1.IngressRule) bool {
	if r.HTTP == nil {
		return false
	}
	return slices.ContainsFunc(r.HTTP.Paths, func(path networkingv1.HTTPIngressPath) bool {
		s := path.Backend.Service
		if s == nil || s.Port.Name != lbc.UseAnnotation {
			return false
		}
		_, has := p.Annotations[lbc.ActionAnnotation(s.Name)]
		return has
	})
}

// A Patched is the state of what noren adds to an Ingress: those of its
// annotations that are there, and its rules, wherever they stand. Everything
// else on the Ingress is the user's and is not in it.
type Patched struct {
	Annotations map[string]string          `json:"annotations,omitempty"`
	Rules       []networkingv1.IngressRule `json:"rules,omitempty"`
}

type patch struct {
	conn *conn
	p    PatchParams
	mark *action.Mark
}

func openPatch(c *conn, p PatchParams) (driver.Typed[Patched], error) {
	return &patch{conn: c, p: p}, nil
}

func (c *patch) Target() string { return c.conn.target(c.p.Namespace, "ingress", c.p.Name) }

func (c *patch) name() string { return "ingress " + c.p.Namespace + "/" + c.p.Name }

func (c *patch) Marked(m action.Mark) driver.Typed[Patched] {
	marked := *c
	marked.mark = &m
	return &marked
}

func (c *patch) Requires() []action.Permission {
	own := func(verb, why string) action.Permission {
		return action.Permission{System: Name, Verb: verb, Resource: ingresses, Namespace: c.p.Namespace, Why: why}
	}
	return append(eventPermissions(c.p.Members), own("get", "see whether the page is up"), own("patch", "put the page up and take it down"))
}

func (c *patch) Observe(ctx context.Context) (*Patched, error) {
	ing, err := c.conn.getIngress(ctx, c.p.Namespace, c.p.Name)
	if err != nil || ing == nil {
		return nil, err
	}
	return c.stateOf(ing), nil
}

func (c *patch) stateOf(ing *networkingv1.Ingress) *Patched {
	s := &Patched{Annotations: onlyKeys(ing.Annotations, c.p.Annotations)}
	for _, r := range ing.Spec.Rules {
		if c.p.ours(r) {
			s.Rules = append(s.Rules, r)
		}
	}
	return s
}

func (c *patch) Propose(from *Patched) (*Patched, error) {
	wanted := &Patched{Annotations: c.p.Annotations, Rules: c.p.Rules}
	switch {
	case from == nil:
		return nil, &fault.Fault{Code: fault.NotFound, Summary: "ingress does not exist",
			Detail: fmt.Sprintf("There is no %s in environment %s.", c.name(), c.conn.env.Name)}
	case !kubeobject.Same(from, wanted) && !kubeobject.Same(from, &Patched{}):
		return nil, kubeobject.Occupied(c.name())
	}
	return wanted, nil
}

func (c *patch) Apply(ctx context.Context, from, to *Patched) error {
	ing, err := c.conn.getIngress(ctx, c.p.Namespace, c.p.Name)
	if err != nil {
		return err
	}
	var now *Patched
	if ing != nil {
		now = c.stateOf(ing)
	}
	many := driver.BatchOf(ctx).Many()
	switch {
	case many && (kubeobject.Same(now, to) || !kubeobject.Same(now, from)):
		return c.Apply(driver.Alone(ctx), from, to) // who does not write has looked for itself
	case kubeobject.Same(now, to):
		return c.tidy(ctx, ing, to)
	case now == nil || !kubeobject.Same(now, from):
		return kubeobject.Drifted(c.name(), from, now)
	case to == nil:
		return fmt.Errorf("%s: noren does not delete it; its receipt is not one of this action", c.name())
	}
	body, err := c.operations(ing, to, many)
	if err != nil {
		return err
	}
	return c.write(ctx, body)
}

// tidy takes this run's mark away where somebody else took the page off by
// hand and left it.
func (c *patch) tidy(ctx context.Context, ing *networkingv1.Ingress, to *Patched) error {
	if ing == nil || c.mark == nil || rulesIn(to) > 0 {
		return nil
	}
	raw := lookUp(ing.Annotations, kubeclient.MarkAnnotation)
	if raw == nil || !kubeobject.SameReceipt(*raw, c.mark.Receipt) {
		return nil
	}
	p := &kubeclient.Patch{}
	p.Test("/metadata/uid", ing.UID)
	move(p, kubeclient.Annotation(kubeclient.MarkAnnotation), raw, nil)
	body, err := p.JSON()
	if err != nil {
		return err
	}
	return c.write(ctx, body)
}

func (c *patch) write(ctx context.Context, body []byte) error {
	return c.conn.patchIngress(ctx, c.p.Namespace, c.p.Name, body)
}

// patchIngress sends a JSON Patch. One whose tests fail wrote nothing: the
// object changed between the read and the write, the next try reads again, and
// knows whether it is drift.
func (c *conn) patchIngress(ctx context.Context, namespace, name string, body []byte) error {
	_, err := c.client.Typed.NetworkingV1().Ingresses(namespace).
		Patch(ctx, name, types.JSONPatchType, body, metav1.PatchOptions{FieldManager: kubeclient.FieldManager})
	err = kubeclient.Classify(err, "patch ingress "+namespace+"/"+name)
	switch {
	case errors.Is(err, kubeclient.ErrTestFailed) && driver.BatchOf(ctx).Many():
		return fmt.Errorf("%w: %w: %w", action.ErrUnavailable, driver.ErrOutdated, err)
	case errors.Is(err, kubeclient.ErrTestFailed):
		return fmt.Errorf("%w: %w", action.ErrUnavailable, err)
	}
	return err
}

// operations is the JSON Patch that brings the object, as it was just read, to
// a state. Every operation is behind a test of what it changes. What was read a
// while ago, in a list for many, has to be the same object in every part.
func (c *patch) operations(ing *networkingv1.Ingress, to *Patched, exactly bool) ([]byte, error) {
	p := &kubeclient.Patch{}
	p.Test("/metadata/uid", ing.UID)
	if exactly {
		p.Test("/metadata/resourceVersion", ing.ResourceVersion)
	}
	annotations, err := c.annotationsOf(to)
	if err != nil {
		return nil, err
	}
	if len(ing.Annotations) == 0 {
		p.Test("/metadata/annotations", nil).Add("/metadata/annotations", map[string]string{})
	}
	keys := maps.Clone(c.p.Annotations)
	keys[kubeclient.MarkAnnotation] = ""
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		move(p, kubeclient.Annotation(key), lookUp(ing.Annotations, key), lookUp(annotations, key))
	}
	c.moveRules(p, ing, to)
	return p.JSON()
}

// annotationsOf are noren's annotations in the state to, the mark included.
func (c *patch) annotationsOf(to *Patched) (map[string]string, error) {
	out := maps.Clone(to.Annotations)
	if out == nil {
		out = map[string]string{}
	}
	if len(to.Rules) > 0 && c.mark != nil && !kubeobject.TakesAway(*c.mark, to) {
		raw, err := c.mark.Text()
		if err != nil {
			return nil, err
		}
		out[kubeclient.MarkAnnotation] = raw
	}
	return out, nil
}

func lookUp(m map[string]string, key string) *string {
	if v, ok := m[key]; ok {
		return &v
	}
	return nil
}

// move makes the value at path go from one value to another; nil is absent.
func move(p *kubeclient.Patch, path string, from, to *string) {
	switch {
	case from == nil && to == nil:
		return
	case from != nil && to != nil && *from == *to:
		return
	case from == nil:
		p.Test(path, nil)
	default:
		p.Test(path, *from)
	}
	if to == nil {
		p.Remove(path)
		return
	}
	p.Add(path, *to)
}

// moveRules takes out the rules that are ours, each tested by value at its
// place, last first, and inserts those of the state to at the head. Where they
// are the same, the page alone is renewed, and they stay where they are.
func (c *patch) moveRules(p *kubeclient.Patch, ing *networkingv1.Ingress, to *Patched) {
	if kubeobject.Same(&Patched{Rules: c.stateOf(ing).Rules}, &Patched{Rules: to.Rules}) {
		return
	}
	for i, r := range slices.Backward(ing.Spec.Rules) {
		if c.p.ours(r) {
			at := kubeclient.Pointer("spec", "rules", strconv.Itoa(i))
			p.Test(at, r).Remove(at)
		}
	}
	if len(to.Rules) > 0 && len(ing.Spec.Rules) == 0 {
		p.Test("/spec/rules", nil).Add("/spec/rules", []any{})
	}
	for i, r := range to.Rules {
		p.Add(kubeclient.Pointer("spec", "rules", strconv.Itoa(i)), r)
	}
}

// Settled: the controller reports no failure since the write. That the page is
// seen, or gone, is for the probe to say.
func (c *patch) Settled(ctx context.Context, want *Patched) (action.Verdict, error) {
	ing, err := c.conn.getIngress(ctx, c.p.Namespace, c.p.Name)
	if err != nil {
		return action.Verdict{}, err
	}
	if ing == nil {
		return action.Verdict{Summary: c.name() + " does not exist", Findings: []string{"someone deleted it since"}}, nil
	}
	failures, err := c.conn.failures(ctx, spokesmen(c.p.Namespace+"/"+c.p.Name, c.p.Members), writtenAt(ing))
	if err != nil {
		return action.Verdict{}, err
	}
	summary := "the page's rules are on " + c.name()
	if want == nil || len(want.Rules) == 0 {
		summary = "the page's rules are off " + c.name()
	}
	return failures.verdict(summary), nil
}

// writtenAt is when noren last wrote the Ingress, zero once it has taken all
// of its own away again.
func writtenAt(ing *networkingv1.Ingress) time.Time {
	for _, m := range ing.ManagedFields {
		if m.Manager == kubeclient.FieldManager && m.Time != nil {
			return m.Time.Time
		}
	}
	return time.Time{}
}

func (c *patch) Describe(from, to *Patched) action.Description {
	d := action.Description{Before: c.manifest(from), After: c.manifest(to)}
	switch put, gone := rulesIn(to), rulesIn(from); {
	case put > gone:
		d.Line = fmt.Sprintf("insert %d rules at the head of %s", put, c.name())
		if put == 1 {
			d.Line = "insert a rule at the head of " + c.name()
		}
	case gone > put:
		d.Line = "take noren's rules out of " + c.name()
	case !kubeobject.Same(from, to):
		d.Line = "renew the page on " + c.name()
	default:
		d.Line = "leave " + c.name() + " as it is"
	}
	return d
}

func rulesIn(s *Patched) int {
	if s == nil {
		return 0
	}
	return len(s.Rules)
}

func (c *patch) manifest(s *Patched) string {
	if rulesIn(s) == 0 && (s == nil || len(s.Annotations) == 0) {
		return ""
	}
	return manifest(c.p.Namespace, c.p.Name, nil, s.Annotations, networkingv1.IngressSpec{Rules: s.Rules})
}
