// Package gatewayapi closes and opens HTTPRoutes of Gateway API and
// VirtualServices of Istio.
//
// Closing inserts rules at the head of the route's own list and replaces
// nothing: the user's rules stay, with all that refers to their backends, and
// to open is to take the inserted ones out. A rule that is inserted answers by
// itself where the implementation can do that (strategy native), and leads to
// noren's page server where it cannot (strategy backend). Which rule takes a
// request is computed by package gw.
package gatewayapi

import (
	"context"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/kubepage"
)

// Names of the driver's parts.
const (
	name               = "gatewayapi"
	kindRoute          = "gatewayapi/httproute"
	kindVirtualService = "gatewayapi/virtualservice"

	actionRoute          = "gatewayapi/httproute.insert"
	actionVirtualService = "gatewayapi/virtualservice.insert"
	actionAnswer         = "gatewayapi/answer.create"
	actionPage           = "gatewayapi/page"
	checkUnchanged       = "gatewayapi/object.unchanged"
	checkBackends        = "gatewayapi/backend.ready"
	checkServer          = "gatewayapi/page.server"

	strategyAuto    = "auto"
	strategyNative  = "native"
	strategyBackend = "backend"
)

// Driver returns the driver "gatewayapi".
func Driver() *driver.Driver {
	return driver.New(name, "closes HTTPRoutes of Gateway API, and VirtualServices of Istio", connect,
		driver.Inherits[*conn]("kube", "kubeconfig", "context", "rule_quota", "page_service", "page_port"),
		driver.Changes("gatewayapi/httproute.insert", "Insert rules of noren's at the head of an HTTPRoute", openRoute),
		driver.Changes("gatewayapi/virtualservice.insert", "Insert entries of noren's at the head of a VirtualService", openVirtualService),
		driver.Changes("gatewayapi/answer.create", "Create the object from which an implementation answers by itself", openAnswer),
		driver.Changes("gatewayapi/page", "A page server has the closed page", func(c *conn, p kubepage.Params) (driver.Typed[kubepage.State], error) {
			return kubepage.Open(c.client, name, c.env, p)
		}),
		driver.Checks("gatewayapi/object.unchanged", "The route is as it was when the plan was made", openUnchanged),
		driver.Checks("gatewayapi/backend.ready", "Every Service behind the route has a ready endpoint", openBackends),
		driver.Checks("gatewayapi/page.server", "The page server has a ready endpoint", func(c *conn, p kubepage.ServerParams) (*kubepage.ServerCheck, error) {
			return kubepage.OpenServerCheck(c.client, name, c.env, p)
		}),
		driver.Closes(kindRoute, "An HTTPRoute of Gateway API, as namespace/name", openRouteEntrance),
		driver.Closes(kindVirtualService, "A VirtualService of Istio, as namespace/name", openVirtualServiceEntrance),
		driver.Discovers(discover),
		driver.FindsTraces(findTraces),
		driver.AsksPermission(func(ctx context.Context, c *conn, need []action.Permission) ([]driver.Refusal, error) {
			return c.client.Refusals(ctx, need)
		}),
	)
}

func connect(_ context.Context, cfg Config, env driver.Env) (*conn, error) {
	client, err := kubeclient.New(kubeclient.Config{Kubeconfig: cfg.Kubeconfig, Context: cfg.Context})
	if err != nil {
		return nil, err
	}
	return newConn(client, env, cfg), nil
}
