package kube

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

// OverlayParams are one further Ingress that noren puts into a group.
type OverlayParams struct {
	Namespace   string                   `json:"namespace"`
	Name        string                   `json:"name"`
	Labels      map[string]string        `json:"labels,omitempty"`
	Annotations map[string]string        `json:"annotations,omitempty"`
	Spec        networkingv1.IngressSpec `json:"spec"`
	// Members are the Ingresses of the group in the same namespace, as
	// "namespace/name": the controller reports on them whether it could make it
	// real.
	Members []string `json:"members,omitempty"`
}

// Validate says what is missing.
func (p OverlayParams) Validate() error {
	if p.Namespace == "" || p.Name == "" {
		return errors.New("namespace and name are needed")
	}
	return nil
}

// An Overlay is the state of that Ingress: what noren writes of it. Labels and
// annotations that others add are not in it.
type Overlay struct {
	Labels      map[string]string        `json:"labels,omitempty"`
	Annotations map[string]string        `json:"annotations,omitempty"`
	Spec        networkingv1.IngressSpec `json:"spec"`
}

type overlay struct {
	conn *conn
	p    OverlayParams
	mark *action.Mark
}

func openOverlay(c *conn, p OverlayParams) (driver.Typed[Overlay], error) {
	return &overlay{conn: c, p: p}, nil
}

func (o *overlay) Target() string { return o.conn.target(o.p.Namespace, "ingress", o.p.Name) }

// name is the target for people.
func (o *overlay) name() string { return "ingress " + o.p.Namespace + "/" + o.p.Name }

func (o *overlay) Marked(m action.Mark) driver.Typed[Overlay] {
	marked := *o
	marked.mark = &m
	return &marked
}

func (o *overlay) Requires() []action.Permission {
	own := func(verb, why string) action.Permission {
		return action.Permission{System: Name, Verb: verb, Resource: ingresses, Namespace: o.p.Namespace, Why: why}
	}
	return append(eventPermissions(o.p.Members),
		own("get", "see whether the page is up"), own("create", "put the page up"), own("delete", "take the page down"),
		own("patch", "renew the page when the closing is extended"))
}

// Observe takes an Ingress under deletion for gone: the controller does, too
// (pkg/ingress/group_loader.go loadGroupIDIfAnyHelper). Settled waits for the
// finalizers.
func (o *overlay) Observe(ctx context.Context) (*Overlay, error) {
	ing, err := o.conn.getIngress(ctx, o.p.Namespace, o.p.Name)
	if err != nil || ing == nil || ing.DeletionTimestamp != nil {
		return nil, err
	}
	return o.stateOf(ing), nil
}

func (o *overlay) stateOf(ing *networkingv1.Ingress) *Overlay {
	return &Overlay{
		Labels:      onlyKeys(ing.Labels, o.p.Labels),
		Annotations: onlyKeys(ing.Annotations, o.p.Annotations),
		Spec:        ing.Spec,
	}
}

func (o *overlay) wanted() *Overlay {
	return &Overlay{Labels: o.p.Labels, Annotations: o.p.Annotations, Spec: o.p.Spec}
}

func (o *overlay) Propose(from *Overlay) (*Overlay, error) {
	if from != nil && !kubeobject.Same(from, o.wanted()) {
		return nil, kubeobject.Occupied(o.name())
	}
	return o.wanted(), nil
}

func (o *overlay) Apply(ctx context.Context, from, to *Overlay) error {
	ing, err := o.conn.getIngress(ctx, o.p.Namespace, o.p.Name)
	if err != nil {
		return err
	}
	var now *Overlay
	if ing != nil && ing.DeletionTimestamp == nil {
		now = o.stateOf(ing)
	}
	switch {
	case driver.BatchOf(ctx).Many() && (kubeobject.Same(now, to) || !kubeobject.Same(now, from)):
		return o.Apply(driver.Alone(ctx), from, to) // who does not write has looked for itself
	case kubeobject.Same(now, to):
		return nil
	case !kubeobject.Same(now, from):
		return kubeobject.Drifted(o.name(), from, now)
	case to == nil:
		return o.remove(ctx, ing)
	case from == nil:
		if ing != nil {
			return fmt.Errorf("create %s: the one before it is still being deleted, held by %s: %w",
				o.name(), strings.Join(ing.Finalizers, ", "), action.ErrUnavailable)
		}
		return o.create(ctx, to)
	default:
		return o.change(ctx, ing, from, to)
	}
}

// change brings the object to a state with other annotations, in place. The
// server refuses unless it is exactly the object that was read: whatever else
// was written meanwhile, the next try reads it.
func (o *overlay) change(ctx context.Context, ing *networkingv1.Ingress, from, to *Overlay) error {
	if !kubeobject.Same(&Overlay{Labels: from.Labels, Spec: from.Spec}, &Overlay{Labels: to.Labels, Spec: to.Spec}) {
		return fmt.Errorf("%s: only the annotations of an overlay are changed in place; make a new plan", o.name())
	}
	annotations := maps.Clone(to.Annotations)
	if o.mark != nil && !kubeobject.TakesAway(*o.mark, to) {
		raw, err := o.mark.Text()
		if err != nil {
			return err
		}
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[kubeclient.MarkAnnotation] = raw
	}
	p := &kubeclient.Patch{}
	p.Test("/metadata/uid", ing.UID).Test("/metadata/resourceVersion", ing.ResourceVersion)
	keys := map[string]string{}
	maps.Copy(keys, annotations)
	maps.Copy(keys, from.Annotations)
	keys[kubeclient.MarkAnnotation] = ""
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		move(p, kubeclient.Annotation(key), lookUp(ing.Annotations, key), lookUp(annotations, key))
	}
	body, err := p.JSON()
	if err != nil {
		return err
	}
	return o.conn.patchIngress(ctx, o.p.Namespace, o.p.Name, body)
}

func (o *overlay) create(ctx context.Context, to *Overlay) error {
	ing := &networkingv1.Ingress{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: o.p.Namespace, Name: o.p.Name,
			Labels: to.Labels, Annotations: maps.Clone(to.Annotations),
		},
		Spec: to.Spec,
	}
	if o.mark != nil {
		raw, err := o.mark.Text()
		if err != nil {
			return err
		}
		if ing.Annotations == nil {
			ing.Annotations = map[string]string{}
		}
		ing.Annotations[kubeclient.MarkAnnotation] = raw
	}
	_, err := o.conn.client.Typed.NetworkingV1().Ingresses(o.p.Namespace).
		Create(ctx, ing, metav1.CreateOptions{FieldManager: kubeclient.FieldManager})
	if apierrors.IsAlreadyExists(err) {
		// Someone was quicker by a moment; the next try reads it.
		return fmt.Errorf("create %s: it came into being at the same moment: %w", o.name(), action.ErrUnavailable)
	}
	return kubeclient.Classify(err, "create "+o.name())
}

// remove deletes exactly the object that was read: a write by anybody in
// between makes the server refuse.
func (o *overlay) remove(ctx context.Context, ing *networkingv1.Ingress) error {
	err := o.conn.client.Typed.NetworkingV1().Ingresses(o.p.Namespace).Delete(ctx, o.p.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &ing.UID, ResourceVersion: &ing.ResourceVersion},
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return kubeclient.Classify(err, "delete "+o.name())
}

// Settled: deleted is settled when the object is gone with its finalizers.
// Created is settled unless the controller reports a failure since; that the
// page is really seen is for the probe to say, since the controller's events
// are rate-limited and may be missing.
func (o *overlay) Settled(ctx context.Context, want *Overlay) (action.Verdict, error) {
	ing, err := o.conn.getIngress(ctx, o.p.Namespace, o.p.Name)
	if err != nil {
		return action.Verdict{}, err
	}
	if want == nil {
		return o.settledGone(ctx, ing)
	}
	if ing == nil || ing.DeletionTimestamp != nil {
		return action.Verdict{Summary: o.name() + " does not exist", Findings: []string{"someone deleted it since"}}, nil
	}
	since := ing.CreationTimestamp.Time
	if changed := writtenAt(ing); changed.After(since) {
		since = changed
	}
	failures, err := o.conn.failures(ctx, spokesmen(o.p.Namespace+"/"+o.p.Name, o.p.Members), since)
	if err != nil {
		return action.Verdict{}, err
	}
	return failures.verdict(o.name() + " is there"), nil
}

func (o *overlay) settledGone(ctx context.Context, ing *networkingv1.Ingress) (action.Verdict, error) {
	if ing == nil {
		return action.Verdict{OK: true, Summary: o.name() + " is gone"}, nil
	}
	if ing.DeletionTimestamp == nil {
		return action.Verdict{Summary: o.name() + " is there again", Findings: []string{"someone created it since"}}, nil
	}
	v := action.Verdict{
		Summary:  o.name() + " is being deleted",
		Findings: []string{"held by the finalizers " + strings.Join(ing.Finalizers, ", ") + ": the controller takes them off once the rules are gone from the load balancer"},
		Try:      []string{fmt.Sprintf("kubectl -n %s describe ingress %s", o.p.Namespace, o.p.Name)},
	}
	failures, err := o.conn.failures(ctx, spokesmen(o.p.Namespace+"/"+o.p.Name, o.p.Members), ing.DeletionTimestamp.Time)
	if err != nil {
		return action.Verdict{}, err
	}
	v.Findings = append(v.Findings, failures.sentences()...)
	return v, nil
}

func (o *overlay) Describe(from, to *Overlay) action.Description {
	d := action.Description{Before: o.manifest(from), After: o.manifest(to)}
	switch {
	case from == nil && to != nil:
		d.Line = "create " + o.name()
	case from != nil && to == nil:
		d.Line = "delete " + o.name()
	case !kubeobject.Same(from, to):
		d.Line = "renew the page on " + o.name()
	default:
		d.Line = "leave " + o.name() + " as it is"
	}
	return d
}

func (o *overlay) manifest(s *Overlay) string {
	if s == nil {
		return ""
	}
	return manifest(o.p.Namespace, o.p.Name, s.Labels, s.Annotations, s.Spec)
}
