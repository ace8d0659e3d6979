package flux

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/kubeclient"
)

// pageSize is how many objects a list asks for at a time.
const pageSize = 500

// findTraces lists the marks on all Kustomizations and HelmReleases. A
// suspension without a mark is as often meant so, and says nothing.
func findTraces(ctx context.Context, c *conn) (*driver.Traces, error) {
	found := &driver.Traces{}
	for _, k := range []kind{kustomizations(), helmReleases()} {
		seen, err := c.marked(ctx, k, found)
		if apierrors.IsNotFound(err) { // no such part of Flux in this cluster
			continue
		}
		if err != nil {
			return nil, kubeclient.Classify(err, "list "+k.name+"s")
		}
		found.Seen = append(found.Seen, driver.Seen{Kind: k.name + "s", Count: seen})
	}
	return found, nil
}

func (c *conn) marked(ctx context.Context, k kind, found *driver.Traces) (seen int, err error) {
	opts := metav1.ListOptions{Limit: pageSize}
	for {
		list, err := c.client.Dynamic.Resource(k.resource).List(ctx, opts)
		if err != nil {
			return seen, err
		}
		seen += len(list.Items)
		for _, u := range list.Items {
			if text, ok := u.GetAnnotations()[kubeclient.MarkAnnotation]; ok {
				t := target{c, k, Ref{Namespace: u.GetNamespace(), Name: u.GetName()}}
				found.Marks = append(found.Marks, driver.ReadMark(t.Target(), text))
			}
		}
		if opts.Continue = list.GetContinue(); opts.Continue == "" {
			return seen, nil
		}
	}
}
