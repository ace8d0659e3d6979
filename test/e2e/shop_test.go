package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/util/retry"

	"github.com/noren-dev/noren/internal/driver/argocd/argotest"
	"github.com/noren-dev/noren/internal/driver/flux/fluxtest"
	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/testkube"
	"github.com/noren-dev/noren/test/albsim"
)

var (
	ingresses    = schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "ingresses"}
	configMaps   = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
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
	class  string
	dir    string
	sim    *albsim.Sim
	addr   map[string]string // host → where its load balancer listens
	client dynamic.Interface // as admin
	market *stall            // nil without a stall
	git    *argotest.Manifests
	kinds  []schema.GroupVersionResource // more that noren may touch
	flux   *fluxtest.Controller
	shopOptions
}

// shopOptions are what a test wants to be other than usual.
type shopOptions struct {
	server     *testkube.Server // the shared one if nil
	crds       string
	kubeconfig string
	context    string
	automated  string                        // solo's spec.syncPolicy.automated as YAML, "" for none
	deaf       bool                          // Argo CD's controller misses what happens
	byHand     bool                          // solo belongs to nobody
	bypass     string                        // of the environment
	web        string                        // more of the service shop
	paths      string                        // of the Ingress web, as YAML
	kinds      []schema.GroupVersionResource // that noren may touch beside Ingresses and Applications
	env        []string
	working    bool // the service shop has workloads; see working_test.go
	stall      bool // there is one, and a page server
}

func newShop(t testing.TB, change ...func(*shopOptions)) *shop {
	t.Helper()
	s := &shop{dir: t.TempDir(), addr: map[string]string{}, shopOptions: shopOptions{crds: testkube.ArgoCDCurrent,
		context: testkube.Admin, automated: "{prune: true, selfHeal: true}", bypass: "{sources: [203.0.113.0/24]}"}}
	for _, f := range change {
		f(&s.shopOptions)
	}
	if s.server = s.shopOptions.server; s.server == nil {
		s.server = testkube.Start(t)
	}
	if s.kubeconfig == "" {
		s.kubeconfig = s.server.Kubeconfig
	}
	s.server.InstallCRDs(t, s.crds)
	s.ns = s.server.Namespace(t)
	s.class = "alb-" + s.ns
	var err error
	if s.client, err = dynamic.NewForConfig(s.server.Config(testkube.Admin)); err != nil {
		t.Fatal(err)
	}
	s.sim = albsim.Start(t, s.server.Config(testkube.Admin), s.ns, lbc.Classes{ByName: map[string]lbc.Class{s.class: {Name: s.class, Controller: lbc.ControllerLBC}}})
	s.server.Apply(t, fmt.Sprintf("apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: %s}\nspec: {controller: ingress.k8s.aws/alb}\n", s.class))
	for _, name := range []string{"web", "api", "other", "solo"} {
		s.application(t, name)
		s.server.Apply(t, s.manifest(name))
	}
	if !s.byHand {
		s.argo(t, "solo")
	}
	for host, group := range map[string]string{"shop": "group " + s.group(), "api": "group " + s.group(), "other": "group " + s.group(),
		"solo": "ingress " + s.ns + "/solo alone"} {
		s.addr[s.host(host)] = s.sim.Address(t, group, 80)
	}
	if s.working {
		s.work(t)
	}
	s.sim.CatchUp(t) // every member is in its group, all finalizers are there
	for host := range s.addr {
		s.settled(t, question{host: host}) // later members' targets register first
	}
	if s.stall {
		s.openStall(t)
	}
	s.writeCatalog(t)
	return s
}

func (s *shop) syncPolicy() string {
	if s.automated == "" {
		return "    syncOptions: [CreateNamespace=false]"
	}
	return "    automated: " + s.automated + "\n    syncOptions: [CreateNamespace=false]"
}

func (s *shop) group() string { return "g-" + s.ns }

func (s *shop) host(name string) string { return name + "." + s.ns + ".example.com" }

// application starts a real HTTP server, tells the cluster and the simulator
// where it is, and returns that.
func (s *shop) application(t testing.TB, name string) string {
	address := s.serve(t, name)
	s.sim.Backend(s.ns+"/"+name+":80", address)
	return address
}

// serve starts the application and tells the cluster alone.
func (s *shop) serve(t testing.TB, name string) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s answers %s %s\n", name, r.Method, r.URL.Path)
	}))
	t.Cleanup(server.Close)
	s.server.Apply(t, fmt.Sprintf(service, name, s.ns))
	return server.Listener.Addr().String()
}

const service = `
apiVersion: v1
kind: Service
metadata: {name: %[1]s, namespace: %[2]s}
spec:
  clusterIP: None # the server has few addresses to give
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

func (s *shop) manifest(name string) string {
	paths := fmt.Sprintf("          - {path: /, pathType: Prefix, backend: {service: {name: %s, port: {number: 80}}}}\n", name)
	host, more := s.host(name), fmt.Sprintf("    alb.ingress.kubernetes.io/group.name: %s\n", s.group())
	switch name {
	case "web":
		host = s.host("shop")
		paths = cmp.Or(s.paths, paths)
	case "solo":
		if more = ""; s.byHand {
			break
		}
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
%[6]s`, name, s.ns, s.class, host, more, paths)
}

// argoApplication owns an Ingress. It lives in the test's own namespace, as Argo CD
// allows.
const argoApplication = `
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: %[3]s, namespace: %[1]s}
spec:
  project: default
  source: {repoURL: https://example.com/git, path: %[3]s, targetRevision: main}
  destination: {server: https://kubernetes.default.svc, namespace: %[1]s}
  syncPolicy:
%[2]s
`

// argo makes an Application that owns an Ingress, and starts a stand-in for
// Argo CD's controller if none runs, whose Git says what the Ingress is: while
// automated sync is on, it reverts every edit.
func (s *shop) argo(t testing.TB, name string) {
	live, err := s.client.Resource(ingresses).Namespace(s.ns).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	started := s.git != nil
	if !started {
		s.git = &argotest.Manifests{Client: s.client}
	}
	desired := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
		"metadata": map[string]any{"name": name, "namespace": s.ns}, "spec": live.Object["spec"]}}
	s.git.Commit(s.ns+"/"+name, "rev-1", argotest.Manifest{Resource: ingresses, Object: desired})
	s.server.Apply(t, fmt.Sprintf(argoApplication, s.ns, s.syncPolicy(), name))
	if started {
		return
	}
	controller := &argotest.Controller{Client: s.client, Repository: s.git, Namespace: s.ns, Deaf: s.deaf, Parents: true, Managed: []schema.GroupVersionResource{ingresses}}
	background(t, controller.Run)
}

// background runs a stand-in until the end of the test.
func background(t testing.TB, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	})
}

func (s *shop) writeCatalog(t testing.TB) {
	var resolve strings.Builder
	for host, addr := range s.addr {
		fmt.Fprintf(&resolve, "        \"%s:80\": %s\n", host, addr)
	}
	pages, more := "", ""
	if s.stall {
		pages, more = ", page_service: noren-page", fmt.Sprintf(stallService, s.ns, longMessage)
	}
	s.write(t, "noren.yaml", fmt.Sprintf(`version: 1
zone: Asia/Tokyo
environments:
  prod:
    protected: true
    kube: {kubeconfig: %[1]s, context: %[4]s%[7]s}
    argocd: {namespace: %[2]s}
    http:
      resolve:
%[3]s    bypass: %[5]s
teams:
  storefront: {contact: "#storefront"}
services:
  shop:
    team: storefront
    kind: web
    entrances: [{kind: kube/ingress, name: %[2]s/web}]
    health: [http://shop.%[2]s.example.com/healthz]
%[6]s  api:
    team: storefront
    kind: api
    entrances: [{kind: kube/ingress, name: %[2]s/api}]
    health: [http://api.%[2]s.example.com/healthz]
  solo:
    team: storefront
    kind: web
    entrances: [{kind: kube/ingress, name: %[2]s/solo}]
    health: [http://solo.%[2]s.example.com/healthz]
%[8]s`, s.kubeconfig, s.ns, resolve.String(), s.context, s.bypass, s.web, pages, more))
}

func (s *shop) write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// noren runs a command in the shop's directory.
func (s *shop) noren(t testing.TB, state string, args ...string) result {
	t.Helper()
	return noren(t, s.dir, state, s.env, args...)
}

// start begins a command in the shop's directory.
func (s *shop) start(t testing.TB, state, env string, args ...string) *command {
	t.Helper()
	return start(t, s.dir, state, append(slices.Clone(s.env), env), args...)
}

// A question is a request to a load balancer.
type question struct {
	method, host, path string // by default GET of /
	from               string // an address of this machine, 127.0.0.0/8
	header             []string
}

// An answer is what a visitor sees.
type answer struct {
	code           int
	body           string
	kind, location string // Content-Type and Location
	noTarget       bool   // its target group has no healthy target
}

// ask sends a request, as a visitor with a new connection.
func (s *shop) ask(ctx context.Context, q question) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, cmp.Or(q.method, http.MethodGet), "http://"+q.host+cmp.Or(q.path, "/"), nil)
	if err != nil {
		return answer{}, err
	}
	for i := 0; i+1 < len(q.header); i += 2 {
		req.Header.Set(q.header[i], q.header[i+1])
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(cmp.Or(q.from, "127.0.0.1"))}}
	client := http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, s.addr[q.host])
		}}}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, string(body), resp.Header.Get("Content-Type"), resp.Header.Get("Location"), resp.Header.Get(albsim.NoTarget) != ""}, err
}

// get sends a GET to one of the shop's hosts.
func (s *shop) get(t testing.TB, host, path string, header ...string) (int, string) {
	t.Helper()
	a, err := s.ask(t.Context(), question{host: s.host(host), path: path, header: header})
	if err != nil {
		t.Fatalf("GET %s%s: %v", host, path, err)
	}
	return a.code, a.body
}

// edit changes an object of the shop, as a colleague does.
func (s *shop) edit(t testing.TB, gvr schema.GroupVersionResource, name string, change func(object map[string]any)) {
	t.Helper()
	objects := s.client.Resource(gvr).Namespace(s.ns)
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		object, err := objects.Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		change(object.Object)
		_, err = objects.Update(t.Context(), object, metav1.UpdateOptions{FieldManager: "kubectl-edit"})
		return err
	})
	if err != nil {
		t.Fatalf("edit %s %s: %v", gvr.Resource, name, err)
	}
}

// until asks again and again whether something is so, and fails the test if
// it does not come about.
func until(t testing.TB, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !so() {
		select {
		case <-deadline:
			t.Fatalf("it did not come about that %s", what)
		case <-tick.C:
		}
	}
}

// objects is everything of the namespace that noren may touch, without what
// the simulator writes.
func (s *shop) objects(t testing.TB) map[string]string {
	t.Helper()
	all := s.server.SnapshotNamespace(t, s.ns, slices.Concat(worked(), []schema.GroupVersionResource{ingresses, applications, configMaps}, s.kinds)...)
	for key, text := range all {
		var object map[string]any
		if err := json.Unmarshal([]byte(text), &object); err != nil {
			t.Fatal(err)
		}
		delete(object, "status")
		unstructured.RemoveNestedField(object, "metadata", "annotations", "argocd.argoproj.io/refresh")
		unstructured.RemoveNestedField(object, "metadata", "annotations", "reconcile.fluxcd.io/requestedAt")
		if notes, ok, _ := unstructured.NestedMap(object, "metadata", "annotations"); ok && len(notes) == 0 {
			unstructured.RemoveNestedField(object, "metadata", "annotations")
		}
		unstructured.RemoveNestedField(object, "metadata", "finalizers") // the simulator's, a moment after the write
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
	if d := gocmp.Diff(before, maps.Clone(s.objects(t))); d != "" {
		t.Fatalf("objects are not as they were (-before +after):\n%s", d)
	}
}

// unprovable sends noren's probes for solo to a server that is always open.
func (s *shop) unprovable(t testing.TB) {
	if _, there := s.addr["open"]; !there {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "always open") }))
		t.Cleanup(server.Close)
		s.addr["open"] = server.Listener.Addr().String()
	}
	s.rewrite(t, s.addr[s.host("solo")], s.addr["open"])
}

// rewrite replaces text in the catalog.
func (s *shop) rewrite(t testing.TB, old, text string) {
	t.Helper()
	s.write(t, "noren.yaml", strings.ReplaceAll(s.text(t, "noren.yaml"), old, text))
}

func (s *shop) text(t testing.TB, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func mustURL(t testing.TB, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse("http://x" + raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
