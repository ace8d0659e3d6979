package argocd

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

// findTraces lists the marks on all Applications and ApplicationSets, or on those
// of Argo CD's own namespace where more may not be read, and Applications whose
// automated sync is off with its settings left behind.
func findTraces(ctx context.Context, c *conn) (*driver.Traces, error) {
	found, err := c.applicationTraces(ctx)
	if err != nil {
		return nil, err
	}
	return found, c.setTraces(ctx, found)
}

// setTraces adds the marks on ApplicationSets: each may carry one for each of
// its Applications.
func (c *conn) setTraces(ctx context.Context, found *driver.Traces) error {
	all, err := c.everywhere(ctx, applicationSets)
	switch {
	case apierrors.IsNotFound(err): // an Argo CD without them, or none
		return nil
	case apierrors.IsForbidden(err):
		found.Unseen = append(found.Unseen, "ApplicationSets")
		return nil
	case err != nil:
		return kubeclient.Classify(err, "list ApplicationSets")
	}
	found.Seen = append(found.Seen, driver.Seen{Kind: "ApplicationSets", Count: len(all)})
	for _, u := range all {
		for key, text := range u.GetAnnotations() {
			if !strings.HasPrefix(key, markAnnotation+"-") {
				continue
			}
			var ref SetRef
			m := driver.ReadMark("", text)
			if json.Unmarshal(m.Mark.Params, &ref) != nil || ref.Application == "" {
				ref.Application = c.markedFor(u, key)
			}
			m.On = c.set(SetRef{Namespace: u.GetNamespace(), Name: u.GetName(), Application: ref.Application}).Target()
			found.Marks = append(found.Marks, m)
		}
	}
	return nil
}

// markedFor is the Application for which an ApplicationSet carries a mark that
// cannot be read: one that it ignores, by the annotation's name; else that name
// itself, so that the mark is not passed over.
func (c *conn) markedFor(u *unstructured.Unstructured, key string) string {
	if set, err := readSet(u); err == nil {
		for _, raw := range set.Spec.Ignore {
			name := readIgnored(raw).Name
			if c.set(SetRef{Namespace: u.GetNamespace(), Name: u.GetName(), Application: name}).markKey() == key {
				return name
			}
		}
	}
	return strings.TrimPrefix(key, markAnnotation+"-")
}

// everywhere lists the objects of a kind, or those of Argo CD's own namespace
// where more may not be read.
func (c *conn) everywhere(ctx context.Context, of schema.GroupVersionResource) ([]*unstructured.Unstructured, error) {
	all, err := c.list(ctx, of, metav1.NamespaceAll)
	if apierrors.IsForbidden(err) {
		all, err = c.list(ctx, of, c.namespace)
	}
	return all, err
}

func (c *conn) applicationTraces(ctx context.Context) (*driver.Traces, error) {
	all, err := c.everywhere(ctx, applications)
	if apierrors.IsNotFound(err) { // no Argo CD in this cluster
		return &driver.Traces{}, nil
	}
	if err != nil {
		return nil, kubeclient.Classify(err, "list Applications")
	}
	found := &driver.Traces{Seen: []driver.Seen{{Kind: "Applications", Count: len(all)}}}
	for _, u := range all {
		t := c.target(Ref{Namespace: u.GetNamespace(), Name: u.GetName()})
		if m, marked := kubeobject.MarkOn(u, t.Target()); marked {
			found.Marks = append(found.Marks, m)
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

func (c *conn) list(ctx context.Context, of schema.GroupVersionResource, namespace string) (all []*unstructured.Unstructured, err error) {
	err = kubeclient.EachListed(ctx, c.client.Dynamic.Resource(of).Namespace(namespace), func(u *unstructured.Unstructured) { all = append(all, u) })
	return all, err
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
