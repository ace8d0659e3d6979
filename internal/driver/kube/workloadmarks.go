package kube

import (
	"context"
	"encoding/json"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/noren-dev/noren/internal/action"
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

// findWorkloadMarks lists the marks on workloads and what scales them. A kind
// that the cluster does not have, or that noren may not list, has none to show.
func findWorkloadMarks(ctx context.Context, c *conn) ([]action.Mark, error) {
	var marks []action.Mark
	for _, r := range markable() {
		err := c.eachObject(ctx, r, func(u *unstructured.Unstructured) {
			raw, ok := u.GetAnnotations()[MarkAnnotation]
			if !ok || u.GetDeletionTimestamp() != nil {
				return
			}
			var m action.Mark
			if json.Unmarshal([]byte(raw), &m) != nil || m.Receipt.Target == "" {
				m = action.Mark{Receipt: action.Receipt{Target: c.target(u.GetNamespace(), r.word, u.GetName())}}
			}
			marks = append(marks, m)
		})
		if err != nil {
			return nil, err
		}
	}
	return marks, nil
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
