// Package kube closes and opens Ingresses.
//
// Of the AWS Load Balancer Controller, by two strategies: "overlay" puts
// further Ingresses in front of the explicit IngressGroup and touches nothing
// of the user's; "patch" inserts rules at the head of an Ingress that is alone
// on its load balancer. Of any other class by "backend": the paths of the
// Ingress lead to noren's page server meanwhile, which is also where the rules
// of overlay and patch lead if the page is too large for a load balancer.
//
// What is made of the front door is computed by the packages lbc and
// plainingress, whose fronts package edge evaluates.
package kube

import (
	"cmp"
	"context"
	"fmt"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/pageserver/pageapi"
)

// Names of the driver's parts.
const (
	Name            = "kube"
	KindIngress     = "kube/ingress"
	ActionOverlay   = "kube/ingress.overlay"
	ActionPatch     = "kube/ingress.patch"
	ActionRoute     = "kube/ingress.backend"
	ActionPage      = "kube/page"
	CheckGroup      = "kube/group.healthy"
	CheckUnchanged  = "kube/ingress.unchanged"
	CheckBackends   = "kube/backend.ready"
	CheckPageServer = "kube/page.server"
	StrategyAuto    = "auto"
	StrategyOverlay = "overlay"
	StrategyPatch   = "patch"
	StrategyBackend = "backend"
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
	// PageService is the Service of noren's page server, of this name in each
	// namespace with Ingresses. Without it, pages are only sent by doors that
	// can send one themselves.
	PageService string `json:"page_service,omitempty"`
	// PagePort is its port; by default 80.
	PagePort int32 `json:"page_port,omitempty"`
}

// Validate says what is wrong.
func (c Config) Validate() error {
	if c.RuleQuota < 0 || c.RuleQuota > 0 && c.RuleQuota < lbc.MaxRules {
		return fmt.Errorf("rule_quota %d is less than the %d rules that every load balancer may have", c.RuleQuota, lbc.MaxRules)
	}
	return checkPageService(c.PageService, c.PagePort)
}

// Pin makes the path absolute and names the current context.
func (c *Config) Pin(dir string) error { return kubeclient.Pin(dir, &c.Kubeconfig, &c.Context) }

// Driver is the driver of Kubernetes Ingresses.
func Driver() *driver.Driver {
	return driver.New(Name, "Ingresses of the AWS Load Balancer Controller and of any other class", connect,
		driver.Changes("kube/ingress.overlay", "Put an Ingress of noren's in front of an IngressGroup", openOverlay),
		driver.Changes("kube/ingress.patch", "Insert rules of noren's at the head of an Ingress", openPatch),
		driver.Changes("kube/ingress.backend", "Lead paths of an Ingress to noren's page server", openRoute),
		driver.Changes("kube/page", "Give the page server a page", openPage),
		driver.Checks("kube/group.healthy", "No Ingress on the load balancer keeps the controller from working", openGroupCheck),
		driver.Checks("kube/ingress.unchanged", "The Ingress is as it was when the plan was made", openUnchanged),
		driver.Checks("kube/backend.ready", "Every Service behind the Ingress has a ready endpoint", openBackends),
		driver.Changes(ActionScale, "Give a workload another number of replicas", openScale),
		driver.Changes(ActionSuspendJobs, "Let a CronJob begin no more Jobs", openSuspend),
		driver.Changes(ActionPin, "Keep a HorizontalPodAutoscaler at a number of replicas", openPin),
		driver.Changes(ActionPauseKEDA, "Pause a ScaledObject of KEDA at a number of replicas", openPause),
		driver.Rests(KindDeployment, "A Deployment, as namespace/name", opensScaled("deployment")),
		driver.Rests(KindStatefulSet, "A StatefulSet, as namespace/name", opensScaled("statefulset")),
		driver.Rests(KindRollout, "A Rollout of Argo Rollouts, as namespace/name", opensScaled("rollout")),
		driver.Rests(KindCronJob, "A CronJob, as namespace/name", openCronJob),
		driver.Checks("kube/page.server", "The page server is there and has a ready endpoint", openPageServer),
		driver.Closes(KindIngress, "An Ingress of any class, as namespace/name", openEntrance),
		driver.Discovers(discover),
		driver.FindsTraces(findTraces),
		driver.AsksPermission(func(ctx context.Context, c *conn, need []action.Permission) ([]driver.Refusal, error) {
			return c.client.Refusals(ctx, need)
		}),
		driver.Identifies(func(ctx context.Context, c *conn) (string, error) { return c.client.User(ctx) }),
	)
}

func connect(_ context.Context, cfg Config, env driver.Env) (*conn, error) {
	client, err := kubeclient.New(kubeclient.Config{Kubeconfig: cfg.Kubeconfig, Context: cfg.Context})
	if err != nil {
		return nil, err
	}
	c := newConn(client, env)
	c.ruleQuota = cfg.RuleQuota
	c.page = pageServer{cfg.PageService, cmp.Or(cfg.PagePort, pageapi.DefaultPort)}
	return c, nil
}
