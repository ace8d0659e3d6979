package kube

import (
	"context"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

// createdByUs tells whether noren created an Ingress.
func createdByUs(ing *networkingv1.Ingress) bool { return kubeobject.CreatedByUs(ing) }

// Fits tells whether a new Ingress could carry the mark.
func (o *overlay) Fits(_ context.Context, m action.Mark) error {
	return kubeclient.MarkFits(o.name(), m, o.p.Annotations)
}

// Fits tells whether the Ingress could carry the mark beside its own annotations
// and the page's.
func (c *patch) Fits(ctx context.Context, m action.Mark) error {
	return c.conn.markFits(ctx, c.name(), c.p.Namespace, c.p.Name, m, c.p.Annotations)
}

// Fits tells whether the Ingress could carry the mark beside its own annotations.
func (c *route) Fits(ctx context.Context, m action.Mark) error {
	return c.conn.markFits(ctx, c.name(), c.p.Namespace, c.p.Name, m, nil)
}

// markFits asks of an Ingress as it was read last in this session.
func (c *conn) markFits(ctx context.Context, what, namespace, name string, m action.Mark, more map[string]string) error {
	all, err := c.seen(ctx)
	if err != nil {
		return err
	}
	ing := all.find(namespace, name)
	if ing == nil {
		return nil
	}
	return kubeclient.MarkFits(what, m, ing.Annotations, more)
}

// Fits tells whether the object could carry the mark beside its own annotations.
func (f *fields) Fits(ctx context.Context, m action.Mark) error {
	u, err := f.read(ctx)
	if err != nil || u == nil {
		return err
	}
	return kubeclient.MarkFits(f.name(), m, u.GetAnnotations())
}
