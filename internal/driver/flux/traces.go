package flux

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

// findTraces lists the marks on all Kustomizations and HelmReleases. A
// suspension without a mark is as often meant so, and says nothing.
func findTraces(ctx context.Context, c *conn) (*driver.Traces, error) {
	found := &driver.Traces{}
	for _, k := range []kind{kustomizations(), helmReleases()} {
		switch seen, err := c.marked(ctx, k, found); {
		case apierrors.IsNotFound(err): // no such part of Flux in this cluster
		case apierrors.IsForbidden(err):
			found.Unseen = append(found.Unseen, k.name+"s")
		case err != nil:
			return nil, kubeclient.Classify(err, "list "+k.name+"s")
		default:
			found.Seen = append(found.Seen, driver.Seen{Kind: k.name + "s", Count: seen})
		}
	}
	return found, nil
}

func (c *conn) marked(ctx context.Context, k kind, found *driver.Traces) (seen int, err error) {
	err = kubeclient.EachListed(ctx, c.client.Dynamic.Resource(k.resource), func(u *unstructured.Unstructured) {
		seen++
		on := target{c, k, Ref{Namespace: u.GetNamespace(), Name: u.GetName()}}.Target()
		if m, marked := kubeobject.MarkOn(u, on); marked {
			found.Marks = append(found.Marks, m)
		}
	})
	return seen, err
}
