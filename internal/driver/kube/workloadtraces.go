package kube

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/kubeclient"
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

// workloadTraces adds the marks on workloads and on what scales them. A kind that
// the cluster does not have, or that noren may not list, has none to show.
func workloadTraces(ctx context.Context, c *conn, found *driver.Traces) error {
	for _, r := range markable() {
		seen := driver.Seen{Kind: r.gvr.Resource}
		err := c.eachObject(ctx, r, func(u *unstructured.Unstructured) {
			seen.Count++
			if text, ok := u.GetAnnotations()[MarkAnnotation]; ok && u.GetDeletionTimestamp() == nil {
				found.Marks = append(found.Marks, driver.ReadMark(c.target(u.GetNamespace(), r.word, u.GetName()), text))
			}
		})
		if err != nil {
			return err
		}
		if seen.Count > 0 {
			found.Seen = append(found.Seen, seen)
		}
	}
	return nil
}

// eachObject shows see every object of a resource, in all namespaces.
func (c *conn) eachObject(ctx context.Context, r resource, see func(*unstructured.Unstructured)) error {
	opts := metav1.ListOptions{Limit: pageSize}
	for {
		list, err := c.client.Dynamic.Resource(r.gvr).List(ctx, opts)
		if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
			return nil
		}
		if err != nil {
			return kubeclient.Classify(err, "list the "+r.label()+" of all namespaces")
		}
		for i := range list.Items {
			see(&list.Items[i])
		}
		if opts.Continue = list.GetContinue(); opts.Continue == "" {
			return nil
		}
	}
}
