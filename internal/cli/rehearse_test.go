package cli_test

import (
	"bytes"
	"context"
	"fmt"
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

// rehearsedObjects are an Ingress of any class over TLS, which a page server
// behind it closes, and one alone on its load balancer.
const rehearsedObjects = `
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: plain-NS}
spec: {controller: example.com/controller}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: NS}
spec:
  ingressClassName: plain-NS
  tls: [{hosts: [shop.example.com], secretName: shop}]
  rules:
  - host: shop.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: NS}
spec: {clusterIP: None, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: noren-page, namespace: NS, labels: {app.kubernetes.io/name: noren-page}}
spec: {clusterIP: None, ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: noren-page-1, namespace: NS, labels: {kubernetes.io/service-name: noren-page}}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints: [{addresses: [10.0.0.1], conditions: {ready: true}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: NS, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{port: 8080, protocol: TCP}]
endpoints: [{addresses: [10.0.0.1], conditions: {ready: true}}]
`

const rehearsedCatalog = `version: 1
zone: Asia/Tokyo
environments:
  prod:
    protected: true
    kube: {kubeconfig: %s, context: admin, page_service: noren-page}
services:
  shop:
    kind: web
    entrances:
    - {kind: kube/ingress, name: %s/web}
    - {kind: gate/door, name: shop}
    health: ["https://shop.example.com/healthz"]
`

// rehearse runs a rehearsal on a copy in this process. at is told of each point
// of its runs.
func rehearse(ctx context.Context, t *testing.T, at func(point string)) (stdout, stderr string, code int) {
	t.Helper()
	server := testkube.Start(t)
	namespace := server.Namespace(t)
	server.Apply(t, strings.ReplaceAll(rehearsedObjects, "NS", namespace))
	dir, temporary := t.TempDir(), t.TempDir()
	t.Setenv("NOREN_STATE_DIR", filepath.Join(dir, "state"))
	t.Setenv("TMPDIR", temporary)
	file := filepath.Join(dir, "noren.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, rehearsedCatalog, server.Kubeconfig, namespace), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, problems bytes.Buffer
	code = cli.Main(ctx, cli.World{Args: []string{"rehearse", "shop", "--copy", "-f", file}, Stdout: &out, Stderr: &problems, Registry: all.Registry(), Version: "v0", Now: time.Now, Hook: at})
	for _, left := range []string{filepath.Join(dir, "state"), temporary} {
		if entries, err := os.ReadDir(left); len(entries) > 0 {
			t.Errorf("left in %s: %v %v", left, entries, err)
		}
	}
	return out.String(), problems.String(), code
}

// TestRehearseBehindTLS proves, through the stand-in for the front door, a page
// that a page server sends, over TLS. What has no copy is told.
func TestRehearseBehindTLS(t *testing.T) {
	out, problems, code := rehearse(t.Context(), t, func(string) {})
	if code != fault.ExitDone {
		t.Fatalf("exit code %d\n%s%s", code, out, problems)
	}
	mustContain(t, "the report", out, "Prove closed: https://shop.example.com/", "https://shop.example.com/healthz", "page 503 → service",
		"byte for byte as before", "Not rehearsed", "shop: gate/door shop, of which no copy can be made")
}

// TestRehearsalInterrupted: whoever presses Ctrl-C in the middle of a rehearsal
// is rid of it.
func TestRehearsalInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	interrupted := false
	out, problems, code := rehearse(ctx, t, func(point string) {
		if strings.HasPrefix(point, "applied close") {
			interrupted = true
			cancel()
		}
	})
	if !interrupted || code != fault.ExitInterrupted || strings.Contains(out, "Who sees what") {
		t.Errorf("interrupted: %t, exit code %d\n%s%s", interrupted, code, out, problems)
	}
}
