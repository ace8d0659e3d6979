package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/testkube"
	"github.com/noren-dev/noren/test/ingresssim"
)

// A stall is a further service of a shop, behind an ingress controller that
// sends no page itself, and noren's page server in the same namespace:
//
//	stall     stall.example.com     / and /api of a class of its own, owned by Argo CD
//	nextdoor  nextdoor.example.com  of the same class, another team's: must not notice
type stall struct {
	sim    *ingresssim.Sim
	server *command
}

// pageRights binds the role that the manifest makes to the user as whom the
// page server runs in tests: it may do that and nothing else.
const pageRights = `
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: page-server-in-tests, namespace: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: noren-page}
subjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: limited}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: noren-page-1
  namespace: %[1]s
  labels: {kubernetes.io/service-name: noren-page}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints: [{addresses: [10.0.0.9], conditions: {ready: true}}]
`

const stallIngress = `
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: plain-%[1]s}
spec: {controller: example.com/plain}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: stall, namespace: %[1]s, annotations: {team: storefront%[2]s}}
spec:
  ingressClassName: plain-%[1]s
  rules:
    - host: stall.%[1]s.example.com
      http:
        paths:
          - {path: /, pathType: Prefix, backend: {service: {name: stall, port: {number: 80}}}}
          - {path: /api, pathType: Prefix, backend: {service: {name: stallapi, port: {number: 80}}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: nextdoor, namespace: %[1]s}
spec:
  ingressClassName: plain-%[1]s
  rules:
    - host: nextdoor.%[1]s.example.com
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: nextdoor, port: {number: 80}}}}]}
`

const stallService = `  stall:
    team: storefront
    kind: web
    entrances: [{kind: kube/ingress, name: %[1]s/stall}]
    health: [http://stall.%[1]s.example.com/healthz]
    page: {message: {en: "%[2]s"}, languages: [en]}
`

// longMessage makes a page larger than a load balancer sends.
var longMessage = strings.Repeat("We are moving to a larger stall, and everything comes with us. ", 40)

// withStall makes a shop with a stall. An Ingress cannot let staff through, so
// nobody is let through by default.
func withStall(o *shopOptions) { o.stall, o.bypass = true, "{}" }

func (s *shop) openStall(t testing.TB) {
	config := s.server.Config(testkube.Admin)
	s.market = &stall{sim: ingresssim.Start(t, config, s.ns, "plain-"+s.ns)}
	owner := fmt.Sprintf(`, argocd.argoproj.io/tracking-id: "stall:networking.k8s.io/Ingress:%s/stall"`, s.ns)
	if s.byHand {
		owner = ""
	}
	s.server.Apply(t, fmt.Sprintf(stallIngress, s.ns, owner))
	if !s.byHand {
		s.argo(t, "stall")
	}
	for _, name := range []string{"stall", "stallapi", "nextdoor"} {
		s.market.sim.Backend(s.ns+"/"+name+":80", s.application(t, name))
		s.addr[s.host(name)] = s.market.sim.Address()
	}
	manifest := noren(t, t.TempDir(), t.TempDir(), nil, "page", "manifest", "--namespace", s.ns, "--image", "registry.example.com/noren:test", "--network-policy")
	s.server.Apply(t, manifest.must(t, 0).out)
	s.server.Apply(t, fmt.Sprintf(pageRights, s.ns))
	s.servePages(t)
	s.market.sim.CatchUp(t)
}

// servePages starts the stall's page server.
func (s *shop) servePages(t testing.TB) {
	var listen string
	s.market.server, listen = s.pageServer(t)
	s.market.sim.Backend(s.ns+"/noren-page:80", listen)
	s.sim.Backend(s.ns+"/noren-page:80", listen)
}

// pageServer starts a page server for the shop's namespace, as a process of its
// own, and returns where it listens.
func (s *shop) pageServer(t testing.TB) (server *command, listen string) {
	server = start(t, t.TempDir(), t.TempDir(), nil, "page", "serve", "--namespace", s.ns, "--listen", "127.0.0.1:0", "--health", "127.0.0.1:0",
		"--kubeconfig", s.server.Kubeconfig, "--context", testkube.Limited)
	server.says(t, "pages ")
	text, _ := server.out.soFar()
	at := func(what string) string {
		_, rest, _ := strings.Cut(text, what)
		address, _, _ := strings.Cut(strings.TrimSpace(rest), "\n")
		return strings.TrimPrefix(strings.TrimSpace(address), "http://")
	}
	until(t, "the page server is ready", func() bool {
		res, err := http.Get("http://" + at("health") + "/-/ready")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		_, _ = io.Copy(io.Discard, res.Body)
		return res.StatusCode == http.StatusOK
	})
	return server, at("listen")
}
