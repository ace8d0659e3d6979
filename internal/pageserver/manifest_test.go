package pageserver

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/noren-dev/noren/internal/pageserver/pageapi"
)

// TestManifestIsAsKubernetesKnowsIt reads every object strictly: a key that
// Kubernetes does not know would be dropped in silence.
func TestManifestIsAsKubernetesKnowsIt(t *testing.T) {
	text, err := Manifest{Namespace: "shop", Name: "noren-page", Image: "registry.example.com/noren:1", Replicas: 2, NetworkPolicy: true, GKE: true}.YAML()
	if err != nil {
		t.Fatal(err)
	}
	var deployment appsv1.Deployment
	var service corev1.Service
	var role rbacv1.Role
	kinds := map[string]any{"ServiceAccount": &corev1.ServiceAccount{}, "Role": &role, "RoleBinding": &rbacv1.RoleBinding{}, "Deployment": &deployment,
		"PodDisruptionBudget": &policyv1.PodDisruptionBudget{}, "Service": &service, "NetworkPolicy": &networkingv1.NetworkPolicy{}, "BackendConfig": nil}
	seen := 0
	for doc := range strings.SplitSeq(text, "\n---\n") {
		var kind struct{ Kind string }
		if err := yaml.Unmarshal([]byte(doc), &kind); err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		into, known := kinds[kind.Kind]
		if !known {
			t.Errorf("unknown kind %s", kind.Kind)
		}
		seen++
		if into == nil {
			continue
		}
		if err := yaml.UnmarshalStrict([]byte(doc), into); err != nil {
			t.Errorf("%s: %v", kind.Kind, err)
		}
	}
	if seen != len(kinds) {
		t.Errorf("%d objects, want %d", seen, len(kinds))
	}
	for _, r := range role.Rules {
		if strings.Join(r.Resources, ",") != "configmaps" || strings.Join(r.Verbs, ",") != "get,list,watch" {
			t.Errorf("the page server may %v %v", r.Verbs, r.Resources)
		}
	}
	pod := deployment.Spec.Template.Spec
	c := pod.Containers[0]
	if !*c.SecurityContext.ReadOnlyRootFilesystem || *c.SecurityContext.AllowPrivilegeEscalation || !*pod.SecurityContext.RunAsNonRoot {
		t.Errorf("it may do more than it needs: %+v %+v", c.SecurityContext, pod.SecurityContext)
	}
	if c.ReadinessProbe.HTTPGet.Path != pageapi.ReadyPath || service.Spec.Ports[0].Port != pageapi.DefaultPort || service.Spec.Ports[0].TargetPort.StrVal != c.Ports[0].Name {
		t.Errorf("probe %+v, service %+v", c.ReadinessProbe, service.Spec.Ports)
	}
}
