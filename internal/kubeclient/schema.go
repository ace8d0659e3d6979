package kubeclient

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Knows reads whether the schema of a kind, as the API server publishes it,
// has the field at path. A server drops fields silently that a kind does not
// have. Every signed-in user may read these schemas (the cluster role
// system:discovery), which is not so for CRDs.
// Source: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v3
func (c *Client) Knows(ctx context.Context, kind schema.GroupVersionKind, path ...string) (bool, error) {
	from := "/openapi/v3/apis/" + kind.Group + "/" + kind.Version
	raw, err := c.Typed.Discovery().RESTClient().Get().AbsPath(from).SetHeader("Accept", "application/json").Do(ctx).Raw()
	if err != nil {
		return false, err
	}
	var doc struct {
		Components struct {
			Schemas map[string]property `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return false, fmt.Errorf("%s: %w", from, err)
	}
	for _, s := range doc.Components.Schemas {
		if s.is(kind) {
			return s.has(path), nil
		}
	}
	return false, fmt.Errorf("%s has no schema of %s", from, kind.Kind)
}

type property struct {
	Kinds      []schema.GroupVersionKind `json:"x-kubernetes-group-version-kind"`
	Properties map[string]property       `json:"properties"`
}

func (p property) is(kind schema.GroupVersionKind) bool {
	for _, k := range p.Kinds {
		if k == kind {
			return true
		}
	}
	return false
}

func (p property) has(path []string) bool {
	for _, name := range path {
		next, ok := p.Properties[name]
		if !ok {
			return false
		}
		p = next
	}
	return true
}
