// Package kube closes and opens Ingresses of the AWS Load Balancer Controller.
//
// Two strategies: "overlay" puts further Ingresses in front of the explicit
// IngressGroup and touches nothing of the user's; "patch" inserts rules at the
// head of an Ingress that is alone on its load balancer. What either makes of
// the front door is computed by package lbc, whose front package edge
// evaluates.
package kube

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/kubeclient"
)

// Names of the driver's parts.
const (
	Name            = "kube"
	KindIngress     = "kube/ingress"
	ActionOverlay   = "kube/ingress.overlay"
	ActionPatch     = "kube/ingress.patch"
	CheckGroup      = "kube/group.healthy"
	CheckUnchanged  = "kube/ingress.unchanged"
	CheckBackends   = "kube/backend.ready"
	StrategyAuto    = "auto"
	StrategyOverlay = "overlay"
	StrategyPatch   = "patch"
)

// Config says which cluster an environment is.
type Config struct {
	// Kubeconfig is a file; by default $KUBECONFIG or ~/.kube/config.
	Kubeconfig string `json:"kubeconfig,omitempty"`
	// Context is a context in it; by default the current one.
	Context string `json:"context,omitempty"`
	// RuleQuota is how many listener rules a load balancer of this account may
	// have, where AWS raised the quota; by default 100.
	RuleQuota int `json:"rule_quota,omitempty"`
}

// Validate says what is wrong.
func (c Config) Validate() error {
	if c.RuleQuota < 0 || c.RuleQuota > 0 && c.RuleQuota < lbc.MaxRules {
		return fmt.Errorf("rule_quota %d is less than the %d rules that every load balancer may have", c.RuleQuota, lbc.MaxRules)
	}
	return nil
}

// Pin makes the path absolute and names the current context.
func (c *Config) Pin(dir string) error { return kubeclient.Pin(dir, &c.Kubeconfig, &c.Context) }

// Driver is the driver of Kubernetes Ingresses.
func Driver() *driver.Driver {
	return driver.New(Name, "Ingresses of the AWS Load Balancer Controller", connect,
		driver.Changes("kube/ingress.overlay", "Put an Ingress of noren's in front of an IngressGroup", openOverlay),
		driver.Changes("kube/ingress.patch", "Insert rules of noren's at the head of an Ingress", openPatch),
		driver.Checks("kube/group.healthy", "No Ingress on the load balancer keeps the controller from working", openGroupCheck),
		driver.Checks("kube/ingress.unchanged", "The Ingress is as it was when the plan was made", openUnchanged),
		driver.Checks("kube/backend.ready", "Every Service behind the Ingress has a ready endpoint", openBackends),
		driver.Closes(KindIngress, "An Ingress of the AWS Load Balancer Controller, as namespace/name", openEntrance),
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
	c := newConn(client, env)
	c.ruleQuota = cfg.RuleQuota
	return c, nil
}

// splitKey splits "namespace/name".
func splitKey(key string) (namespace, name string, err error) {
	namespace, name, ok := strings.Cut(key, "/")
	if !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
		return "", "", errors.New("write it as namespace/name, for example shop/web")
	}
	return namespace, name, nil
}
