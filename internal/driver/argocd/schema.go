package argocd

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/client-go/rest"
)

// schemaPath is where an API server publishes the schemas of its CRDs. Every
// signed-in user may read it (the cluster role system:discovery), which is not
// so for the CRD itself.
// Source: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v3
const schemaPath = "/openapi/v3/apis/" + group + "/" + version

// knowsEnabled reads whether the installed CRD has
// spec.syncPolicy.automated.enabled. Argo CD has it since 3.1.0; an older CRD
// lets the API server drop it silently, and automated sync would stay on.
// Source: pkg/apis/application/v1alpha1/types.go at the tags v3.0.0 and v3.1.0.
func knowsEnabled(ctx context.Context, client rest.Interface) (bool, error) {
	raw, err := client.Get().AbsPath(schemaPath).SetHeader("Accept", "application/json").Do(ctx).Raw()
	if err != nil {
		return false, err
	}
	var doc struct {
		Components struct {
			Schemas map[string]property `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return false, fmt.Errorf("%s: %w", schemaPath, err)
	}
	for _, s := range doc.Components.Schemas {
		if s.isApplication() {
			_, ok := s.at("spec", "syncPolicy", "automated").Properties["enabled"]
			return ok, nil
		}
	}
	return false, fmt.Errorf("%s has no schema of Application", schemaPath)
}

type property struct {
	Kinds []struct {
		Group   string `json:"group"`
		Kind    string `json:"kind"`
		Version string `json:"version"`
	} `json:"x-kubernetes-group-version-kind"`
	Properties map[string]property `json:"properties"`
}

func (p property) isApplication() bool {
	for _, k := range p.Kinds {
		if k.Group == group && k.Version == version && k.Kind == "Application" {
			return true
		}
	}
	return false
}

func (p property) at(path ...string) property {
	for _, name := range path {
		p = p.Properties[name]
	}
	return p
}
