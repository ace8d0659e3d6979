package kube

import (
	"context"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/kubeclient"
)

// MarkAnnotation holds noren's mark on an Ingress, as action.Mark.Text writes it.
const MarkAnnotation = kubeclient.MarkAnnotation

// ManagedBy labels the objects that noren creates.
// Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
const ManagedBy = "app.kubernetes.io/managed-by"

// createdByUs tells whether noren created an Ingress.
func createdByUs(ing *networkingv1.Ingress) bool {
	return ing.Labels[ManagedBy] == kubeclient.FieldManager
}

// Fits tells whether a new Ingress could carry the mark.
func (o *overlay) Fits(_ context.Context, m action.Mark) error {
	return kubeclient.MarkFits(o.name(), m, o.p.Annotations)
}

// Fits tells whether the Ingress, as it was read last in this session, could
// carry the mark beside its own annotations and the page's.
func (c *patch) Fits(ctx context.Context, m action.Mark) error {
	all, err := c.conn.seen(ctx)
	if err != nil {
		return err
	}
	ing := find(all.ingresses, c.p.Namespace, c.p.Name)
	if ing == nil {
		return nil
	}
	return kubeclient.MarkFits(c.name(), m, ing.Annotations, c.p.Annotations)
}
