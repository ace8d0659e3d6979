package argotest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// A Manifest is one object as Git says it.
type Manifest struct {
	Resource schema.GroupVersionResource
	Object   *unstructured.Unstructured
}

// Manifests is a [Repository] that compares real objects on the API server with
// manifests kept in memory. An object is in sync when it holds all that its
// manifest says; what it holds beside is nobody's, as for Argo CD.
type Manifests struct {
	Client dynamic.Interface

	mu   sync.Mutex
	apps map[string]commit
}

type commit struct {
	revision  string
	manifests []Manifest
}

// Commit puts a revision into Git for an Application, named "namespace/name".
func (m *Manifests) Commit(app, revision string, manifests ...Manifest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.apps == nil {
		m.apps = map[string]commit{}
	}
	m.apps[app] = commit{revision, manifests}
}

func (m *Manifests) head(app *unstructured.Unstructured) commit {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.apps[app.GetNamespace()+"/"+app.GetName()]
}

// Compare tells whether every object holds what its manifest says.
func (m *Manifests) Compare(ctx context.Context, app *unstructured.Unstructured) (Comparison, error) {
	head := m.head(app)
	found := Comparison{Revision: head.revision, Synced: true}
	for _, manifest := range head.manifests {
		live, err := m.client(manifest).Get(ctx, manifest.Object.GetName(), metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			found.Synced, found.Health = false, "Missing"
		case err != nil:
			return found, err
		case !holds(live.Object, manifest.Object.Object):
			found.Synced = false
		}
	}
	return found, nil
}

// Sync creates what is missing, and writes what differs.
func (m *Manifests) Sync(ctx context.Context, app *unstructured.Unstructured) error {
	var errs []error
	for _, manifest := range m.head(app).manifests {
		errs = append(errs, m.apply(ctx, manifest))
	}
	return errors.Join(errs...)
}

func (m *Manifests) apply(ctx context.Context, manifest Manifest) error {
	name := manifest.Object.GetName()
	raw, err := json.Marshal(manifest.Object)
	if err != nil {
		return err
	}
	opts := metav1.PatchOptions{FieldManager: "argocd-controller"}
	_, err = m.client(manifest).Patch(ctx, name, types.MergePatchType, raw, opts)
	if apierrors.IsNotFound(err) {
		_, err = m.client(manifest).Create(ctx, manifest.Object.DeepCopy(), metav1.CreateOptions{FieldManager: "argocd-controller"})
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", manifest.Object.GetKind(), name, err)
	}
	return nil
}

func (m *Manifests) client(manifest Manifest) dynamic.ResourceInterface {
	return m.Client.Resource(manifest.Resource).Namespace(manifest.Object.GetNamespace())
}

// holds tells whether live has all that want has. Lists must have the same
// length: an item more is a difference.
func holds(live, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		live, ok := live.(map[string]any)
		if !ok {
			return false
		}
		for k, v := range want {
			if !holds(live[k], v) {
				return false
			}
		}
		return true
	case []any:
		live, ok := live.([]any)
		if !ok || len(live) != len(want) {
			return false
		}
		for i := range want {
			if !holds(live[i], want[i]) {
				return false
			}
		}
		return true
	default:
		return fmt.Sprint(live) == fmt.Sprint(want) // int64 and float64 of one number
	}
}
