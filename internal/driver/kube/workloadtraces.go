package kube

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

// markable are the resources besides Ingresses that noren leaves marks on.
func markable() []resource {
	all := []resource{cronJobs(), autoscalers(), scaledObjects()}
	for _, word := range []string{"deployment", "statefulset", "rollout"} {
		r, _ := scalable(word)
		all = append(all, r)
	}
	return all
}

// workloadTraces adds the marks on workloads and what scales them. A kind that
// the cluster does not have has none to show; one that noren may not list is
// named.
func workloadTraces(ctx context.Context, c *conn, found *driver.Traces) error {
	for _, r := range markable() {
		n := 0
		err := c.eachObject(ctx, r, func(u *unstructured.Unstructured) {
			n++
			if m, marked := kubeobject.MarkOn(u, c.target(u.GetNamespace(), r.word, u.GetName())); marked {
				found.Marks = append(found.Marks, m)
			}
		})
		switch {
		case apierrors.IsNotFound(err):
		case apierrors.IsForbidden(err):
			found.Unseen = append(found.Unseen, r.label())
		case err != nil:
			return kubeclient.Classify(err, "list the "+r.label()+" of all namespaces")
		case n > 0:
			found.Seen = append(found.Seen, driver.Seen{Kind: r.gvr.Resource, Count: n})
		}
	}
	return nil
}

// eachObject shows see every object of a resource, in all namespaces.
func (c *conn) eachObject(ctx context.Context, r resource, see func(*unstructured.Unstructured)) error {
	opts := metav1.ListOptions{Limit: kubeclient.PageSize}
	for {
		list, err := c.client.Dynamic.Resource(r.gvr).List(ctx, opts)
		if err != nil {
			return err
		}
		for i := range list.Items {
			see(&list.Items[i])
		}
		if opts.Continue = list.GetContinue(); opts.Continue == "" {
			return nil
		}
	}
}
