package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/noren-dev/noren/internal/driver/argocd/argotest"
	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/testkube"
	"github.com/noren-dev/noren/test/albsim"
)

var (
	ingresses    = schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "ingresses"}
	applications = schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "applications"}
)

// A shop is a namespace with applications behind load balancers, and a
// directory with the catalog that names them:
//
//	web    shop.example.com     in the group, overlay
//	api    api.example.com      in the group, overlay, JSON
//	other  other.example.com    in the group, another team's: must not notice
//	solo   solo.example.com     alone on its load balancer, patch, owned by Argo CD
type shop struct {
	server *testkube.Server
	ns     string
	dir    string
	sim    *albsim.Sim
	addr   map[string]string // host → where its load balancer listens
}

func newShop(t *testing.T) *shop {
	t.Helper()
	server := testkube.Start(t)
	server.InstallCRDs(t, testkube.ArgoCDCurrent)
	s := &shop{server: server, ns: server.Namespace(t), dir: t.TempDir(), addr: map[string]string{}}
	class := "alb-" + s.ns
	s.sim = albsim.Start(t, server.Config(testkube.Admin), lbc.Classes{ByName: map[string]lbc.Class{class: {Name: class, Controller: lbc.ControllerLBC}}})
	server.Apply(t, fmt.Sprintf("apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: %s}\nspec: {controller: ingress.k8s.aws/alb}\n", class))
	for _, name := range []string{"web", "api", "other", "solo"} {
		s.application(t, name)
		server.Apply(t, s.manifest(name, class))
	}
	server.Apply(t, fmt.Sprintf(argoApplication, s.ns))
	s.argo(t)
	for host, group := range map[string]string{"shop": "group " + s.group(), "api": "group " + s.group(), "other": "group " + s.group(),
		"solo": "ingress " + s.ns + "/solo alone"} {
		s.addr[s.host(host)] = s.sim.Address(t, group, 80)
	}
	s.writeCatalog(t)
	return s
}

func (s *shop) group() string { return "g-" + s.ns }

func (s *shop) host(name string) string { return name + "." + s.ns + ".example.com" }

// application starts a real HTTP server and tells the cluster and the
// simulator where it is.
func (s *shop) application(t *testing.T, name string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s answers %s %s\n", name, r.Method, r.URL.Path)
	}))
	t.Cleanup(server.Close)
	s.sim.Backend(s.ns+"/"+name+":80", server.Listener.Addr().String())
	s.server.Apply(t, fmt.Sprintf(service, name, s.ns))
}

const service = `
apiVersion: v1
kind: Service
metadata: {name: %[1]s, namespace: %[2]s}
spec:
  ports: [{port: 80, targetPort: 8080}]
  selector: {app: %[1]s}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: %[1]s-1
  namespace: %[2]s
  labels: {kubernetes.io/service-name: %[1]s}
addressType: IPv4
ports: [{name: "", port: 8080, protocol: TCP}]
endpoints: [{addresses: [10.0.0.1], conditions: {ready: true}}]
`

func (s *shop) manifest(name, class string) string {
	host, more := s.host(name), fmt.Sprintf("    alb.ingress.kubernetes.io/group.name: %s\n", s.group())
	switch name {
	case "web":
		host = s.host("shop")
	case "solo":
		more = fmt.Sprintf("    argocd.argoproj.io/tracking-id: solo:networking.k8s.io/Ingress:%s/solo\n", s.ns)
	}
	return fmt.Sprintf(`
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: %[1]s
  namespace: %[2]s
  annotations:
    alb.ingress.kubernetes.io/listen-ports: '[{"HTTP":80}]'
    alb.ingress.kubernetes.io/target-type: ip
    alb.ingress.kubernetes.io/healthcheck-path: /healthz
%[5]sspec:
  ingressClassName: %[3]s
  rules:
    - host: %[4]s
      http:
        paths:
          - path: /
            pathType: Prefix
            backend: {service: {name: %[1]s, port: {number: 80}}}
`, name, s.ns, class, host, more)
}

// argoApplication owns solo. It lives in the test's own namespace, as Argo CD
// allows.
const argoApplication = `
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: solo, namespace: %[1]s}
spec:
  project: default
  source: {repoURL: https://example.com/git, path: solo, targetRevision: main}
  destination: {server: https://kubernetes.default.svc, namespace: %[1]s}
  syncPolicy:
    automated: {prune: true, selfHeal: true}
    syncOptions: [CreateNamespace=false]
`

// argo starts a stand-in for Argo CD's controller, whose Git says what solo's
// Ingress is: while automated sync is on, it reverts every edit.
func (s *shop) argo(t *testing.T) {
	client, err := dynamic.NewForConfig(s.server.Config(testkube.Admin))
	if err != nil {
		t.Fatal(err)
	}
	live, err := client.Resource(ingresses).Namespace(s.ns).Get(t.Context(), "solo", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	git := &argotest.Manifests{Client: client}
	desired := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
		"metadata": map[string]any{"name": "solo", "namespace": s.ns}, "spec": live.Object["spec"]}}
	git.Commit(s.ns+"/solo", "rev-1", argotest.Manifest{Resource: ingresses, Object: desired})
	controller := &argotest.Controller{Client: client, Repository: git, Namespace: s.ns, Managed: []schema.GroupVersionResource{ingresses}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- controller.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && ctx.Err() == nil {
			t.Errorf("argotest: %v", err)
		}
	})
}

func (s *shop) writeCatalog(t *testing.T) {
	var resolve strings.Builder
	for host, addr := range s.addr {
		fmt.Fprintf(&resolve, "        \"%s:80\": %s\n", host, addr)
	}
	s.write(t, "noren.yaml", fmt.Sprintf(`version: 1
zone: Asia/Tokyo
environments:
  prod:
    protected: true
    kube: {kubeconfig: %[1]s, context: admin}
    argocd: {namespace: %[2]s}
    http:
      resolve:
%[3]s    bypass: {sources: [203.0.113.0/24]}
teams:
  storefront: {contact: "#storefront"}
services:
  shop:
    team: storefront
    kind: web
    entrances: [{kind: kube/ingress, name: %[2]s/web}]
    health: [http://shop.%[2]s.example.com/healthz]
  api:
    team: storefront
    kind: api
    entrances: [{kind: kube/ingress, name: %[2]s/api}]
    health: [http://api.%[2]s.example.com/healthz]
  solo:
    team: storefront
    kind: web
    entrances: [{kind: kube/ingress, name: %[2]s/solo}]
    health: [http://solo.%[2]s.example.com/healthz]
`, s.server.Kubeconfig, s.ns, resolve.String()))
}

func (s *shop) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// noren runs a command in the shop's directory.
func (s *shop) noren(t testing.TB, state string, args ...string) result {
	t.Helper()
	return noren(t, s.dir, state, nil, args...)
}

// get sends a request to a host's load balancer.
func (s *shop) get(t testing.TB, host, path string, header ...string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.host(host)+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, s.addr[s.host(host)])
	}}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatalf("GET %s%s: %v", host, path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// objects is everything of the namespace that noren may touch, without what
// the simulator writes.
func (s *shop) objects(t testing.TB) map[string]string {
	t.Helper()
	all := s.server.SnapshotNamespace(t, s.ns, ingresses, applications)
	for key, text := range all {
		var object map[string]any
		if err := json.Unmarshal([]byte(text), &object); err != nil {
			t.Fatal(err)
		}
		delete(object, "status")
		unstructured.RemoveNestedField(object, "metadata", "annotations", "argocd.argoproj.io/refresh")
		raw, err := json.MarshalIndent(object, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		all[key] = string(raw)
	}
	return all
}

// same fails the test unless the objects are as they were.
func (s *shop) same(t testing.TB, before map[string]string) {
	t.Helper()
	if d := cmp.Diff(before, maps.Clone(s.objects(t))); d != "" {
		t.Fatalf("objects are not as they were (-before +after):\n%s", d)
	}
}
