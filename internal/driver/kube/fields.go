package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

// A Fields is the state of some fields of an object: each by its path with
// dots, "spec.replicas", as JSON. A field that the object does not have is not
// in it, which is not the same as one that is null or zero.
type Fields map[string]json.RawMessage

// An object names one object of the cluster.
type object struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// Validate says what is missing.
func (o object) Validate() error {
	if o.Namespace == "" || o.Name == "" {
		return errors.New("namespace and name are needed")
	}
	return nil
}

// A resource is a kind of object whose fields noren sets.
type resource struct {
	word string // "deployment"
	gvr  schema.GroupVersionResource
}

// label is the resource as permissions name it: "deployments.apps".
func (r resource) label() string { return r.gvr.Resource + "." + r.gvr.Group }

// fields is a change that gives some fields of one object other values. It is
// embedded by the actions, which know what the fields mean.
type fields struct {
	conn     *conn
	resource resource
	object   object
	set      map[string]any // by path
	mark     *action.Mark
}

func (f *fields) Target() string {
	return f.conn.target(f.object.Namespace, f.resource.word, f.object.Name)
}

func (f *fields) name() string {
	return f.resource.word + " " + f.object.Namespace + "/" + f.object.Name
}

func (f *fields) api() dynamic.ResourceInterface {
	return f.conn.client.Dynamic.Resource(f.resource.gvr).Namespace(f.object.Namespace)
}

func (f *fields) requires(why string) []action.Permission {
	need := make([]action.Permission, 2)
	for i, verb := range []string{"get", "patch"} {
		need[i] = action.Permission{System: Name, Verb: verb, Resource: f.resource.label(), Namespace: f.object.Namespace, Name: f.object.Name, Why: why}
	}
	return need
}

// read reads the object, nil if it does not exist.
func (f *fields) read(ctx context.Context) (*unstructured.Unstructured, error) {
	u, err := f.api().Get(ctx, f.object.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return u, kubeclient.Classify(err, "read "+f.name())
}

func (f *fields) Observe(ctx context.Context) (*Fields, error) {
	u, err := f.read(ctx)
	if err != nil || u == nil {
		return nil, err
	}
	return f.stateOf(u)
}

func (f *fields) stateOf(u *unstructured.Unstructured) (*Fields, error) {
	s := Fields{}
	for path := range f.set {
		value, found, err := unstructured.NestedFieldNoCopy(u.Object, split(path)...)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", f.name(), path, err)
		}
		if !found {
			continue
		}
		if s[path], err = json.Marshal(value); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", f.name(), path, err)
		}
	}
	return &s, nil
}

func (f *fields) Propose(from *Fields) (*Fields, error) {
	if from == nil {
		return nil, f.missing()
	}
	to := Fields{}
	for path, value := range f.set {
		raw, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", f.name(), path, err)
		}
		to[path] = raw
	}
	return &to, nil
}

func (f *fields) missing() error {
	return &fault.Fault{Code: fault.NotFound, Summary: f.resource.word + " does not exist",
		Detail: fmt.Sprintf("There is no %s in environment %s.", f.name(), f.conn.env.Name),
		Try:    []string{fmt.Sprintf("kubectl -n %s get %s", f.object.Namespace, f.resource.gvr.Resource)}}
}

func (f *fields) Apply(ctx context.Context, from, to *Fields) error {
	u, err := f.read(ctx)
	if err != nil {
		return err
	}
	var now *Fields
	if u != nil {
		if now, err = f.stateOf(u); err != nil {
			return err
		}
	}
	switch {
	case to == nil:
		return fmt.Errorf("%s: noren does not delete it; its receipt is not one of this action", f.name())
	case kubeobject.Same(now, to):
		return f.write(ctx, u, now, to, true)
	case now == nil || !kubeobject.Same(now, from):
		return kubeobject.Drifted(f.name(), from, now)
	}
	return f.write(ctx, u, now, to, false)
}

// write brings the object, as it was just read, to a state, together with the
// mark. Where the state is right already, all that may be left to do is to take
// away the mark of an undo that somebody else was quicker with.
func (f *fields) write(ctx context.Context, u *unstructured.Unstructured, now, to *Fields, there bool) error {
	p := &kubeclient.Patch{}
	p.Test("/metadata/uid", u.GetUID())
	moved, err := f.moveMark(p, u, to, there)
	if err != nil || there && !moved {
		return err
	}
	for _, path := range slices.Sorted(maps.Keys(f.set)) {
		f.moveField(p, u, path, (*now)[path], (*to)[path])
	}
	body, err := p.JSON()
	if err != nil {
		return err
	}
	// Strict, so that a field which the server does not know is an error and
	// not silence.
	opts := metav1.PatchOptions{FieldManager: kubeclient.FieldManager, FieldValidation: metav1.FieldValidationStrict}
	_, err = f.api().Patch(ctx, f.object.Name, types.JSONPatchType, body, opts)
	err = kubeclient.Classify(err, "patch "+f.name())
	if errors.Is(err, kubeclient.ErrTestFailed) {
		return fmt.Errorf("%w: %w", action.ErrUnavailable, err) // the next try reads again, and knows whether it is drift
	}
	return err
}

// moveMark leaves the mark, or takes it away where to is the state before the
// marked change. Going forward it refuses where another run's mark stands: that
// run would not find what it has to restore.
func (f *fields) moveMark(p *kubeclient.Patch, u *unstructured.Unstructured, to *Fields, there bool) (moved bool, err error) {
	if f.mark == nil {
		return false, nil
	}
	annotations := u.GetAnnotations()
	old := lookUp(annotations, kubeclient.MarkAnnotation)
	mine := old != nil && kubeobject.SameReceipt(*old, f.mark.Receipt)
	at := kubeclient.Annotation(kubeclient.MarkAnnotation)
	var before Fields
	undoing := json.Unmarshal(f.mark.Receipt.From.Fields, &before) == nil && kubeobject.Same(&before, to)
	switch {
	case undoing && mine:
		p.Test(at, *old).Remove(at)
		return true, nil
	case undoing || there:
		return false, nil
	case old != nil && !mine:
		return false, kubeobject.Occupied(f.name())
	}
	text, err := f.mark.Text()
	if err != nil {
		return false, err
	}
	if annotations == nil {
		p.Test("/metadata/annotations", nil).Add("/metadata/annotations", map[string]string{})
	}
	move(p, at, old, &text)
	return true, nil
}

// moveField makes a field go from one value to another; nil is absent.
func (f *fields) moveField(p *kubeclient.Patch, u *unstructured.Unstructured, path string, from, to json.RawMessage) {
	if (from == nil) == (to == nil) && sameJSON(from, to) {
		return
	}
	segments := split(path)
	if parent := segments[:len(segments)-1]; from == nil {
		_, found, _ := unstructured.NestedFieldNoCopy(u.Object, parent...)
		if at := kubeclient.Pointer(parent...); !found && !(at == "/metadata/annotations" && f.mark != nil) {
			p.Test(at, nil).Add(at, map[string]any{})
		}
	}
	at := kubeclient.Pointer(segments...)
	if from == nil {
		p.Test(at, nil)
	} else {
		p.Test(at, from)
	}
	if to == nil {
		p.Remove(at)
		return
	}
	p.Add(at, to)
}

func sameJSON(a, b json.RawMessage) bool { return kubeobject.Same(&a, &b) }

// split splits a path at its dots. The key of an annotation, which has dots of
// its own, is the whole rest.
func split(path string) []string {
	if key, ok := strings.CutPrefix(path, annotationPath); ok {
		return []string{"metadata", "annotations", key}
	}
	return strings.Split(path, ".")
}

const annotationPath = "metadata.annotations."

func (f *fields) describe(from, to *Fields, line string) action.Description {
	return action.Description{Line: line, Before: f.manifest(from), After: f.manifest(to)}
}

// manifest shows the fields as YAML, where they stand in the object.
func (f *fields) manifest(s *Fields) string {
	if s == nil {
		return ""
	}
	shown := map[string]any{}
	for path, raw := range *s {
		var value any
		if json.Unmarshal(raw, &value) == nil {
			_ = unstructured.SetNestedField(shown, value, split(path)...)
		}
	}
	_ = unstructured.SetNestedField(shown, f.object.Namespace, "metadata", "namespace")
	_ = unstructured.SetNestedField(shown, f.object.Name, "metadata", "name")
	out, err := yaml.Marshal(shown)
	if err != nil {
		return err.Error()
	}
	return string(out)
}
