package argocd

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/noren-dev/noren/internal/kubeclient"
)

// knowsEnabled reads whether the installed CRD has
// spec.syncPolicy.automated.enabled. Argo CD has it since 3.1.0; an older CRD
// lets the API server drop it silently, and automated sync would stay on.
// Source: pkg/apis/application/v1alpha1/types.go at the tags v3.0.0 and v3.1.0.
func knowsEnabled(ctx context.Context, client *kubeclient.Client) (bool, error) {
	return client.Knows(ctx, schema.GroupVersionKind{Group: group, Version: version, Kind: "Application"},
		"spec", "syncPolicy", "automated", "enabled")
}
