package flux

import (
	"errors"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/gitops"
)

// Config is the configuration of the driver "flux". What it leaves out comes
// from the driver "kube" of the same environment: Flux mostly runs in the
// cluster that it applies to.
type Config struct {
	Kubeconfig string `json:"kubeconfig,omitempty"`
	Context    string `json:"context,omitempty"`
}

// Pin makes the path absolute. The context is left to be inherited from the
// driver kube, which pins it, unless only a kubeconfig is given here.
func (c *Config) Pin(dir string) error {
	if c.Kubeconfig == "" {
		return nil
	}
	return kubeclient.Pin(dir, &c.Kubeconfig, &c.Context)
}

// Ref names a Kustomization or HelmRelease.
type Ref struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// Validate checks the names without I/O.
func (r Ref) Validate() error {
	if r.Namespace == "" || r.Name == "" {
		return errors.New("namespace, name: both are needed")
	}
	return nil
}

func (r Ref) String() string { return r.Namespace + "/" + r.Name }

// A kind is one of the two that apply objects and can be suspended.
type kind struct {
	name     string // "Kustomization"
	word     string // in targets and in commands of Flux's own tool
	resource schema.GroupVersionResource
}

// The kinds, in the version that every Flux since 2.3 serves.
// Source: https://github.com/fluxcd/flux2/releases/tag/v2.3.0.
func kustomizations() kind {
	return kind{gitops.Kustomization, "kustomization", schema.GroupVersionResource{Group: "kustomize.toolkit.fluxcd.io", Version: "v1", Resource: "kustomizations"}}
}

func helmReleases() kind {
	return kind{gitops.HelmRelease, "helmrelease", schema.GroupVersionResource{Group: "helm.toolkit.fluxcd.io", Version: "v2", Resource: "helmreleases"}}
}

func kindOf(name string) kind {
	if name == gitops.HelmRelease {
		return helmReleases()
	}
	return kustomizations()
}
