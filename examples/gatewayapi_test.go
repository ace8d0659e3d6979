package examples_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/all"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/testkube"
)

// exampleGateways are those that the example's routes are on.
const exampleGateways = `
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: example-NS}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public, namespace: NS}
spec: {gatewayClassName: example-NS, listeners: [{name: web, port: 80, protocol: HTTP}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: NS}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
`

// TestGatewayAPI puts the example's routes on a real API server, and asks how
// the example's catalog would have each closed.
func TestGatewayAPI(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("gateway-api/routes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	server := testkube.Start(t)
	server.InstallCRDs(t, testkube.GatewayAPI)
	server.InstallCRDs(t, testkube.EnvoyGateway)
	server.InstallCRDs(t, testkube.Istio, "virtualservices.networking.istio.io", "gateways.networking.istio.io")
	namespace := server.Namespace(t)
	server.Apply(t, strings.ReplaceAll(exampleGateways, "NS", namespace))
	server.Apply(t, strings.NewReplacer("namespace: shop", "namespace: "+namespace, "namespace: infra", "namespace: "+namespace, "infra/", namespace+"/").Replace(string(text)))
	raw, err := json.Marshal(map[string]string{"kubeconfig": server.Kubeconfig, "context": testkube.Admin})
	if err != nil {
		t.Fatal(err)
	}
	c := parse(t, "gateway-api/noren.yaml")
	session := all.Registry().Open(driver.Env{Name: "prod", Now: time.Now}, map[string]json.RawMessage{"gatewayapi": raw})
	services, err := c.Services("prod")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range services {
		for _, entrance := range s.Entrances {
			name := strings.Replace(entrance.Name, "shop/", namespace+"/", 1)
			e, err := session.Entrance(t.Context(), entrance.Kind, name, entrance.Options.JSON)
			if err != nil {
				t.Fatal(err)
			}
			survey, err := e.Survey(t.Context())
			if err != nil {
				t.Fatalf("%s %s: %v", entrance.Kind, name, err)
			}
			p, err := e.Close(survey, edge.Closing{Mode: edge.Closed, Mark: "m-1", Hosts: survey.Hosts, KeepOpen: s.KeepOpen, Bypass: edge.Bypass{Pass: "s3cret"},
				Page: edge.Response{Status: 503, ContentType: "text/html", Body: "closed"}})
			if err != nil {
				t.Fatalf("%s %s: %v", entrance.Kind, name, err)
			}
			if p.Strategy != "native" {
				t.Errorf("%s %s is closed by strategy %s", entrance.Kind, name, p.Strategy)
			}
		}
	}
}
