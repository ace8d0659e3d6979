package argocd

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/kubeclient"
)

// pageSize is how many Applications a list asks for at a time.
const pageSize = 500

// findTraces lists the marks on all Applications, or on those of Argo CD's own
// namespace where more may not be read, and those whose automated sync is off
// with its settings left behind.
func findTraces(ctx context.Context, c *conn) (*driver.Traces, error) {
	all, err := c.list(ctx, metav1.NamespaceAll)
	if apierrors.IsForbidden(err) {
		all, err = c.list(ctx, c.namespace)
	}
	if apierrors.IsNotFound(err) { // no Argo CD in this cluster
		return &driver.Traces{}, nil
	}
	if err != nil {
		return nil, kubeclient.Classify(err, "list Applications")
	}
	found := &driver.Traces{Seen: []driver.Seen{{Kind: "Applications", Count: len(all)}}}
	for i := range all {
		u := &all[i]
		t := c.target(Ref{Namespace: u.GetNamespace(), Name: u.GetName()})
		if text, marked := u.GetAnnotations()[markAnnotation]; marked {
			found.Marks = append(found.Marks, driver.ReadMark(t.Target(), text))
			continue
		}
		app, err := read(u)
		if err != nil {
			return nil, err
		}
		if how, on := automationOf(app.automated()); !on && how.Enabled != nil {
			found.Unmarked = append(found.Unmarked, t.off(app))
		}
	}
	return found, nil
}

func (c *conn) list(ctx context.Context, namespace string) ([]unstructured.Unstructured, error) {
	var all []unstructured.Unstructured
	opts := metav1.ListOptions{Limit: pageSize}
	for {
		list, err := c.client.Dynamic.Resource(applications).Namespace(namespace).List(ctx, opts)
		if err != nil {
			return nil, err
		}
		all = append(all, list.Items...)
		if opts.Continue = list.GetContinue(); opts.Continue == "" {
			return all, nil
		}
	}
}

// off describes an Application whose automated sync somebody switched off. It
// may be meant so.
func (t target) off(app *application) driver.Unmarked {
	by, since := writerOf(app.Metadata.ManagedFields, func(string) bool { return true })
	return driver.Unmarked{Target: t.Target(), By: by, Since: since, Ours: by == kubeclient.FieldManager,
		What: fmt.Sprintf("automated sync of %s is off, and its settings are left: %s", t.what(), app.automated()),
		Advice: []string{
			fmt.Sprintf("kubectl -n %s get applications.argoproj.io %s -o yaml --show-managed-fields", t.ref.Namespace, t.ref.Name),
			fmt.Sprintf(`kubectl -n %s patch applications.argoproj.io %s --type merge -p '{"spec":{"syncPolicy":{"automated":{"enabled":true}}}}'     # only if nobody wants it off`, t.ref.Namespace, t.ref.Name),
		}}
}
