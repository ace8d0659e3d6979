package argocd

import (
	"errors"

	"github.com/noren-dev/noren/internal/kubeclient"
)

// defaultNamespace is where Argo CD keeps its Applications unless it was told
// to look elsewhere, and where its manifests install it.
// Source: https://argo-cd.readthedocs.io/en/stable/getting_started/
const defaultNamespace = "argocd"

// Config is the configuration of the driver "argocd". What it leaves out of
// kubeconfig and context comes from the driver "kube" of the same environment.
type Config struct {
	Kubeconfig string `json:"kubeconfig,omitempty"`
	Context    string `json:"context,omitempty"`
	// Namespace is that of Argo CD itself, "argocd" by default. Applications
	// may live in others: actions name theirs.
	Namespace string `json:"namespace,omitempty"`
}

// Pin makes the path absolute. The context is left to be inherited from the
// driver kube, which pins it, unless only a kubeconfig is given here.
func (c *Config) Pin(dir string) error {
	if c.Kubeconfig == "" {
		return nil
	}
	return kubeclient.Pin(dir, &c.Kubeconfig, &c.Context)
}

func (c Config) namespace() string {
	if c.Namespace == "" {
		return defaultNamespace
	}
	return c.Namespace
}

// Ref names an Application.
type Ref struct {
	// Namespace is Argo CD's own by default.
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// Validate checks the name without I/O.
func (r Ref) Validate() error {
	if r.Name == "" {
		return errors.New("name: the name of the Application is missing")
	}
	return nil
}

func (r Ref) String() string { return r.Namespace + "/" + r.Name }

func (r Ref) in(namespace string) Ref {
	if r.Namespace == "" {
		r.Namespace = namespace
	}
	return r
}
