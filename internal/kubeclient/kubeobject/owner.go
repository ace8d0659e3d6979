package kubeobject

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/driver"
)

// InstanceLabel is Argo CD's way of old to track an object, and a label that
// Helm sets as well.
const InstanceLabel = "app.kubernetes.io/instance"

const trackingAnnotation = "argocd.argoproj.io/tracking-id"

// OwnerOf is the Argo CD Application that keeps an object of a kind as Git
// says, nil if nobody is known; the owner says whether it is a guess. The
// tracking id is "app:group/kind:namespace/name", and app is "namespace_app"
// for an Application outside Argo CD's own namespace. Source: argoproj/argo-cd
// docs/user-guide/resource_tracking.md, docs/operator-manual/app-any-namespace.md.
func OwnerOf(o metav1.Object, kind string) *driver.Owner {
	if id, ok := o.GetAnnotations()[trackingAnnotation]; ok {
		app, rest, _ := strings.Cut(id, ":")
		// A copy of another object's annotations carries that object's id.
		if strings.HasSuffix(rest, "/"+kind+":"+Key(o)) {
			return application(app)
		}
	}
	if app := o.GetLabels()[InstanceLabel]; app != "" {
		owner := application(app)
		owner.Guessed = true
		return owner
	}
	return nil
}

// application is the Application that a tracking id or label names. Without a
// namespace in it, it is in Argo CD's own, which the driver argocd knows.
func application(app string) *driver.Owner {
	if namespace, name, ok := strings.Cut(app, "_"); ok {
		return &driver.Owner{System: "argocd", Namespace: namespace, Name: name}
	}
	return &driver.Owner{System: "argocd", Name: app}
}

// Editors are tools that keep an object as their own sources say, by the names
// under which they write. Source: metadata.managedFields of objects written by
// them.
func Editors(o metav1.Object) []string {
	known := []struct{ prefix, name string }{
		{"kustomize-controller", "Flux (kustomize-controller)"},
		{"helm-controller", "Flux (helm-controller)"},
		{"Terraform", "Terraform"}, {"HashiCorp", "Terraform"}, {"terraform", "Terraform"},
		{"pulumi", "Pulumi"}, {"crossplane", "Crossplane"},
	}
	var out []string
	for _, m := range o.GetManagedFields() {
		for _, k := range known {
			if strings.HasPrefix(m.Manager, k.prefix) && !slices.Contains(out, k.name) {
				out = append(out, k.name)
			}
		}
	}
	return out
}
