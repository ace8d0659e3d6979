package testkube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
)

// testAnnotation holds the name of the test on the namespace made for it.
const testAnnotation = "noren.dev/test"

var namespaces = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}

// Namespace makes a namespace for the test and returns its name. It is not
// removed: without controllers, the deletion of a namespace never ends.
func (s *Server) Namespace(t testing.TB) string {
	t.Helper()
	namespace := &unstructured.Unstructured{}
	namespace.SetAPIVersion("v1")
	namespace.SetKind("Namespace")
	namespace.SetGenerateName("test-")
	namespace.SetAnnotations(map[string]string{testAnnotation: t.Name()})
	created, err := s.client.Resource(namespaces).Create(t.Context(), namespace, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("testkube: make a namespace: %v", err)
	}
	return created.GetName()
}

// Apply creates the objects of a YAML text of one or more documents as
// [Admin], and replaces those that exist. A namespaced object must name its
// namespace. Like any server without strict field validation, this one drops
// fields that it does not know.
func (s *Server) Apply(t testing.TB, yamlText string) {
	t.Helper()
	objects, err := decode(strings.NewReader(yamlText))
	if err != nil {
		t.Fatalf("testkube: apply: %v", err)
	}
	for _, object := range objects {
		if err := s.applyObject(t.Context(), object); err != nil {
			t.Fatalf("testkube: apply %s %s: %v", object.GetKind(), object.GetName(), err)
		}
	}
}

func (s *Server) applyObject(ctx context.Context, object *unstructured.Unstructured) error {
	client, err := s.clientFor(object)
	if err != nil {
		return err
	}
	_, err = client.Create(ctx, object, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	existing, err := client.Get(ctx, object.GetName(), metav1.GetOptions{})
	if err != nil {
		return err
	}
	object.SetResourceVersion(existing.GetResourceVersion())
	_, err = client.Update(ctx, object, metav1.UpdateOptions{})
	return err
}

// clientFor returns a client for the resource, and the namespace if it has
// one, to which the object belongs.
func (s *Server) clientFor(object *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	mapping, err := s.mapping(object.GroupVersionKind())
	if err != nil {
		return nil, err
	}
	resource := s.client.Resource(mapping.Resource)
	switch namespaced := mapping.Scope.Name() == meta.RESTScopeNameNamespace; {
	case !namespaced:
		return resource, nil
	case object.GetNamespace() == "":
		return nil, errors.New("no metadata.namespace: name one that Namespace returned")
	default:
		return resource.Namespace(object.GetNamespace()), nil
	}
}

// mapping returns the resource of a kind. It asks the server anew about a kind
// it does not know, since a CRD may have brought it.
func (s *Server) mapping(kind schema.GroupVersionKind) (*meta.RESTMapping, error) {
	mapping, err := s.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if meta.IsNoMatchError(err) {
		s.mapper.Reset()
		return s.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	}
	return mapping, err
}

// Snapshot returns all objects of the given resources in the cluster, so that
// a test can compare what is there before and after. Keys have the form
// group/version/resource/namespace/name, without the parts that are empty;
// values are indented JSON with sorted keys and without managedFields,
// resourceVersion, generation and creationTimestamp. The uid and the
// deletionTimestamp stay: an object that was replaced or is being deleted has
// changed.
//
// On the shared server it also sees the objects of tests that run at the same
// time; [Server.SnapshotNamespace] does not.
func (s *Server) Snapshot(t testing.TB, gvrs ...schema.GroupVersionResource) map[string]string {
	t.Helper()
	return s.SnapshotNamespace(t, metav1.NamespaceAll, gvrs...)
}

// SnapshotNamespace is [Server.Snapshot] for one namespace.
func (s *Server) SnapshotNamespace(t testing.TB, namespace string, gvrs ...schema.GroupVersionResource) map[string]string {
	t.Helper()
	snapshot := map[string]string{}
	for _, gvr := range gvrs {
		list, err := s.client.Resource(gvr).Namespace(namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatalf("testkube: snapshot of %s: %v", gvr.GroupResource(), err)
		}
		for _, object := range list.Items {
			key := path.Join(gvr.Group, gvr.Version, gvr.Resource, object.GetNamespace(), object.GetName())
			snapshot[key] = normalise(t, &object)
		}
	}
	return snapshot
}

// normalise returns the object as JSON without the fields that say when and
// how it was written rather than what it is. It changes the object.
func normalise(t testing.TB, object *unstructured.Unstructured) string {
	t.Helper()
	for _, field := range []string{"managedFields", "resourceVersion", "generation", "creationTimestamp"} {
		unstructured.RemoveNestedField(object.Object, "metadata", field)
	}
	text, err := json.MarshalIndent(object.Object, "", "  ")
	if err != nil {
		t.Fatalf("testkube: encode %s %s: %v", object.GetKind(), object.GetName(), err)
	}
	return string(text)
}

// decode reads the objects of a YAML text of one or more documents.
func decode(text io.Reader) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(text, 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		switch {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, fmt.Errorf("decode YAML document %d: %w", len(objects)+1, err)
		case len(object.Object) > 0:
			objects = append(objects, object)
		}
	}
}
