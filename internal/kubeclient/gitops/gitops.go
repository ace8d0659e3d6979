// Package gitops reads from an object who keeps it as Git says. The Kubernetes
// drivers share it: an entrance has an owner, and an owner may have one too.
package gitops

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/driver"
)

// InstanceLabel is Argo CD's way of old to track an object, and a label that
// Helm sets as well.
const InstanceLabel = "app.kubernetes.io/instance"

const trackingAnnotation = "argocd.argoproj.io/tracking-id"

// What Flux writes on the objects that it applies. The key of the last one
// means the same as an annotation and as a label.
// Source: https://fluxcd.io/flux/components/kustomize/kustomizations/ and
// internal/controller/kustomization_controller.go of fluxcd/kustomize-controller;
// https://fluxcd.io/flux/components/helm/helmreleases/.
const (
	kustomizeGroup = "kustomize.toolkit.fluxcd.io"
	helmGroup      = "helm.toolkit.fluxcd.io"
	leaveAlone     = kustomizeGroup + "/reconcile"
)

// Kinds of owner in Flux.
const (
	Kustomization = "Kustomization"
	HelmRelease   = "HelmRelease"
)

// OwnerOf is who keeps an object of a kind as Git says, nil if nobody is known.
// Signs that nothing but their system writes come before the label that others
// set too; then the owner is guessed.
func OwnerOf(o metav1.Object, kind string) *driver.Owner {
	if owner := tracked(o, kind); owner != nil {
		return owner
	}
	if owner := fluxOwner(o); owner != nil {
		return owner
	}
	if app := o.GetLabels()[InstanceLabel]; app != "" && !fluxLabelled(o) {
		owner := application(app)
		owner.Guessed = true
		return owner
	}
	return nil
}

// tracked is the Argo CD Application of an object. The tracking id is
// "app:group/kind:namespace/name", and app is "namespace_app" for an
// Application outside Argo CD's own namespace. Source: argoproj/argo-cd
// docs/user-guide/resource_tracking.md, docs/operator-manual/app-any-namespace.md.
func tracked(o metav1.Object, kind string) *driver.Owner {
	app, rest, found := strings.Cut(o.GetAnnotations()[trackingAnnotation], ":")
	// A copy of another object's annotations carries that object's id.
	if !found || !strings.HasSuffix(rest, "/"+kind+":"+o.GetNamespace()+"/"+o.GetName()) {
		return nil
	}
	return application(app)
}

// application is the Application that a tracking id or label names. Without a
// namespace in it, it is in Argo CD's own, which the driver argocd knows.
func application(app string) *driver.Owner {
	if namespace, name, ok := strings.Cut(app, "_"); ok {
		return &driver.Owner{System: "argocd", Namespace: namespace, Name: name}
	}
	return &driver.Owner{System: "argocd", Name: app}
}

// fluxOwner is the object of Flux's that applies this one. An object that Flux
// was told to leave alone has none; and one that applies itself, as Flux does
// that installs itself, is not its own.
func fluxOwner(o metav1.Object) *driver.Owner {
	for _, of := range []struct{ group, kind string }{{kustomizeGroup, Kustomization}, {helmGroup, HelmRelease}} {
		name, namespace := o.GetLabels()[of.group+"/name"], o.GetLabels()[of.group+"/namespace"]
		if name == "" || namespace == "" || of.kind == Kustomization && LeftAlone(o) {
			continue
		}
		return &driver.Owner{System: "flux", Kind: of.kind, Namespace: namespace, Name: name}
	}
	return nil
}

func fluxLabelled(o metav1.Object) bool {
	return o.GetLabels()[kustomizeGroup+"/name"] != "" || o.GetLabels()[helmGroup+"/name"] != ""
}

// LeftAlone tells whether Flux was told, on the object in the cluster, not to
// apply it: by an annotation or a label.
func LeftAlone(o metav1.Object) bool {
	return o.GetAnnotations()[leaveAlone] == "disabled" || o.GetLabels()[leaveAlone] == "disabled"
}

type editor struct{ prefix, name string }

// editors are tools that keep objects as their own sources say, by the names
// under which they write. Source: metadata.managedFields of objects written by
// them.
var editors = [...]editor{
	{"kustomize-controller", "Flux (kustomize-controller)"},
	{"helm-controller", "Flux (helm-controller)"},
	{"helm", "Helm"},
	{"Terraform", "Terraform"}, {"HashiCorp", "Terraform"}, {"terraform", "Terraform"},
	{"pulumi", "Pulumi"}, {"crossplane", "Crossplane"},
}

// Editors names the tools beside its owner that wrote the object and may write
// it again. Flux is none where it is the owner, or was told to leave it alone.
func Editors(o metav1.Object, owner *driver.Owner) []string {
	fluxRests := LeftAlone(o) || owner != nil && owner.System == "flux"
	var out []string
	for _, m := range o.GetManagedFields() {
		i := slices.IndexFunc(editors[:], func(e editor) bool { return strings.HasPrefix(m.Manager, e.prefix) })
		if i < 0 || fluxRests && strings.HasPrefix(editors[i].name, "Flux ") || slices.Contains(out, editors[i].name) {
			continue
		}
		out = append(out, editors[i].name)
	}
	return out
}

// Guess says that an owner is one, and by which sign; "" of one that is known.
// object is as a person would say it: "Ingress shop/web".
func Guess(object string, owner *driver.Owner) string {
	if owner == nil || !owner.Guessed {
		return ""
	}
	return fmt.Sprintf("%s is taken to belong to the Argo CD Application %q by its label %s, which Helm sets as well.", object, owner.Name, InstanceLabel)
}

// Writes tells whether a manager's manifests hold a field of the object, as
// far as the API server knows: "spec", "suspend".
// Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
func Writes(o metav1.Object, manager string, field ...string) bool {
	for _, m := range o.GetManagedFields() {
		if m.Manager != manager || m.Subresource != "" || m.FieldsV1 == nil {
			continue
		}
		var fields map[string]any
		if json.Unmarshal(m.FieldsV1.Raw, &fields) != nil {
			continue
		}
		found := true
		for i, f := range field {
			at, ok := fields["f:"+f]
			if !ok {
				found = false
				break
			}
			if fields, ok = at.(map[string]any); !ok && i < len(field)-1 {
				found = false
				break
			}
		}
		if found {
			return true
		}
	}
	return false
}
