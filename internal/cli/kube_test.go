package cli_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/cli"
	"github.com/noren-dev/noren/internal/driver/all"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/testkube"
)

const kubeObjects = `
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: alb}
spec: {controller: ingress.k8s.aws/alb}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  namespace: NS
  labels: {app.kubernetes.io/name: shop, team: cart}
  annotations:
    alb.ingress.kubernetes.io/group.name: NS
    alb.ingress.kubernetes.io/healthcheck-path: /healthz
    argocd.argoproj.io/tracking-id: apps_shop:networking.k8s.io/Ingress:NS/web
spec:
  ingressClassName: alb
  rules:
  - host: shop.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: NS}
spec: {ports: [{port: 80}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: noren-reads}
rules:
- {apiGroups: [networking.k8s.io], resources: [ingresses, ingressclasses], verbs: [get, list, watch]}
- {apiGroups: ["", elbv2.k8s.aws, argoproj.io], resources: ["*"], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: noren-reads}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: noren-reads}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: limited}]
`

// noren runs one command in this process and returns what it printed.
func run(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, problems bytes.Buffer
	code = cli.Main(context.Background(), cli.World{Args: args, Stdout: &out, Stderr: &problems, Registry: all.Registry(), Version: "v0", Now: time.Now})
	return out.String(), problems.String(), code
}

func mustContain(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%s lacks %q:\n%s", what, p, text)
		}
	}
}

// TestInitAndCheckOnCluster finds an Ingress of a real API server, and says
// what a user who may only read lacks to close it.
func TestInitAndCheckOnCluster(t *testing.T) {
	server := testkube.Start(t)
	namespace := server.Namespace(t)
	server.Apply(t, strings.ReplaceAll(kubeObjects, "NS", namespace))
	dir := t.TempDir()
	t.Setenv("NOREN_STATE_DIR", filepath.Join(dir, "state"))
	file := filepath.Join(dir, "noren.yaml")

	out, problems, code := run(t, "init", "--kubeconfig", server.Kubeconfig, "--context", testkube.Limited, "--env", "prod", "--out", file)
	if code != fault.ExitDone {
		t.Fatalf("init: exit code %d\n%s", code, problems)
	}
	mustContain(t, "init's table", out, namespace+"/web", "shop.example.com", "argocd shop", "noren check --live")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	mustContain(t, "noren.yaml", string(text), "kind: kube/ingress", "name: "+namespace+"/web", "team: cart", "protected: true",
		"/healthz", "Argo CD: application ", "argocd: {}", "AWS Load Balancer Controller")

	if out, problems, code = run(t, "check", "-f", file); code != fault.ExitDone {
		t.Fatalf("check: exit code %d\n%s%s", code, out, problems)
	}
	closedDoor := strings.Replace(string(text), "    argocd: {}\n", "    argocd: {}\n    http: {resolve: {\"shop.example.com:80\": \"127.0.0.1:1\"}}\n", 1)
	if err := os.WriteFile(file, []byte(closedDoor), 0o600); err != nil {
		t.Fatal(err)
	}
	out, problems, code = run(t, "check", "--live", "-f", file)
	if code != fault.ExitCheckFailed {
		t.Errorf("check --live: exit code %d", code)
	}
	mustContain(t, "check --live", out, "✗ shop", "permission is missing", "health check fails", "kind: Role\n", "kind: RoleBinding", "verbs: [\"create\"", "name: \"limited\"")
	mustContain(t, "check --live's errors", problems, "limited may not", "create ingresses.networking.k8s.io", namespace)
	t.Logf("%s\n%s", out, problems)
}
