package gitops_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/kubeclient/gitops"
)

func TestOwnerOf(t *testing.T) {
	t.Parallel()
	const tracking = "argocd.argoproj.io/tracking-id"
	tracked := func(id string) map[string]string { return map[string]string{tracking: id} }
	instance := map[string]string{gitops.InstanceLabel: "app"}
	applied := func(group, name string) map[string]string {
		return map[string]string{group + "/name": name, group + "/namespace": "flux-system", gitops.InstanceLabel: "app"}
	}
	const kustomize, helm = "kustomize.toolkit.fluxcd.io", "helm.toolkit.fluxcd.io"
	kustomization := &driver.Owner{System: "flux", Kind: gitops.Kustomization, Namespace: "flux-system", Name: "shop"}
	for name, tt := range map[string]struct {
		annotations, labels map[string]string
		want                *driver.Owner
	}{
		"nobody":             {nil, nil, nil},
		"tracked":            {tracked("app:gateway.networking.k8s.io/HTTPRoute:shop/web"), nil, &driver.Owner{System: "argocd", Name: "app"}},
		"of a namespace":     {tracked("apps_app:gateway.networking.k8s.io/HTTPRoute:shop/web"), nil, &driver.Owner{System: "argocd", Namespace: "apps", Name: "app"}},
		"a copied id":        {tracked("app:gateway.networking.k8s.io/HTTPRoute:shop/other"), nil, nil},
		"an id of its kind":  {tracked("app:networking.k8s.io/Ingress:shop/web"), nil, nil},
		"a label":            {nil, instance, &driver.Owner{System: "argocd", Name: "app", Guessed: true}},
		"a Kustomization":    {nil, applied(kustomize, "shop"), kustomization},
		"a HelmRelease":      {nil, applied(helm, "shop"), &driver.Owner{System: "flux", Kind: gitops.HelmRelease, Namespace: "flux-system", Name: "shop"}},
		"left alone by Flux": {map[string]string{kustomize + "/reconcile": "disabled"}, applied(kustomize, "shop"), nil},
		"tracked and Flux's": {tracked("app:gateway.networking.k8s.io/HTTPRoute:shop/web"), applied(kustomize, "shop"), &driver.Owner{System: "argocd", Name: "app"}},
	} {
		got := gitops.OwnerOf(&metav1.ObjectMeta{Namespace: "shop", Name: "web", Annotations: tt.annotations, Labels: tt.labels}, "HTTPRoute")
		if (got == nil) != (tt.want == nil) || got != nil && *got != *tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}

// TestEditorsBesideTheOwner: a tool that is known to be the owner, or was told
// to leave the object alone, is not warned of.
func TestEditorsBesideTheOwner(t *testing.T) {
	t.Parallel()
	o := &metav1.ObjectMeta{Name: "web", ManagedFields: []metav1.ManagedFieldsEntry{
		{Manager: "kustomize-controller"}, {Manager: "helm-controller"}, {Manager: "Terraform"}, {Manager: "helm"}, {Manager: "terraform-provider"}}}
	count := func(want int, owner *driver.Owner) {
		t.Helper()
		if got := gitops.Editors(o, owner); len(got) != want {
			t.Errorf("%v, want %d", got, want)
		}
	}
	count(4, nil)
	count(4, &driver.Owner{System: "argocd", Name: "shop"})
	count(2, &driver.Owner{System: "flux", Kind: gitops.Kustomization, Name: "shop"})
	o.Annotations = map[string]string{"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}
	count(2, nil)
}
