package gatewayapi

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/pageserver/pageapi"
)

// Config is the configuration of the driver "gatewayapi". What it leaves out of
// kubeconfig and context comes from the driver "kube" of the same environment.
type Config struct {
	Kubeconfig string `json:"kubeconfig,omitempty"`
	Context    string `json:"context,omitempty"`
	// RuleQuota is how many listener rules a load balancer of the AWS Load
	// Balancer Controller may have, 100 by default; AWS raises it on request.
	RuleQuota int `json:"rule_quota,omitempty"`
	// PageService is the Service of noren's page server, noren-page by default.
	PageService string `json:"page_service,omitempty"`
	// PagePort is its port, 80 by default.
	PagePort int32 `json:"page_port,omitempty"`
	// PageNamespace is its namespace; by default, each route's own.
	PageNamespace string `json:"page_namespace,omitempty"`
}

// LargePages implements driver.LargePager.
func (c *Config) LargePages() bool { return c.PageService != "" }

// LargePages implements driver.LargePager.
func (o *Options) LargePages() bool {
	return o.PageService != "" || o.Strategy == strategyBackend
}

// PageLimit implements driver.PageLimiter: which implementation it is, and so
// whether it is more, is known once the route has been read.
func (o *Options) PageLimit() int {
	if o.Strategy == strategyBackend {
		return 0
	}
	return awsLoadBalancer().limit
}

// Pin makes the path absolute. The context is left to be inherited from the
// driver kube, which pins it, unless only a kubeconfig is given here.
func (c *Config) Pin(dir string) error {
	if c.Kubeconfig == "" {
		return nil
	}
	return kubeclient.Pin(dir, &c.Kubeconfig, &c.Context)
}

// Validate says what is wrong.
func (c Config) Validate() error {
	if c.RuleQuota < 0 {
		return fmt.Errorf("rule_quota: %d is less than none", c.RuleQuota)
	}
	return c.server().validate()
}

// defaultRuleQuota is of rules per load balancer, default rules not counted.
// Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
const defaultRuleQuota = 100

func (c Config) server() pageServer {
	return pageServer{Namespace: c.PageNamespace, Name: c.PageService, Port: c.PagePort}
}

// Options choose how a route is closed.
type Options struct {
	// Strategy is auto (the default), native or backend.
	Strategy string `json:"strategy,omitempty"`
	// PageService, PagePort and PageNamespace say where noren's page server is,
	// for strategy backend; by default as the environment says.
	PageService   string `json:"page_service,omitempty"`
	PagePort      int32  `json:"page_port,omitempty"`
	PageNamespace string `json:"page_namespace,omitempty"`
}

// Validate says what is wrong.
func (o Options) Validate() error {
	switch o.Strategy {
	case "", strategyAuto, strategyNative, strategyBackend:
		return o.server().validate()
	}
	return fmt.Errorf("strategy %q is none of auto, native, backend", o.Strategy)
}

func (o Options) server() pageServer {
	return pageServer{Namespace: o.PageNamespace, Name: o.PageService, Port: o.PagePort}
}

// A pageServer is the Service of noren's page server.
type pageServer struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Port      int32  `json:"port"`
}

func (p pageServer) validate() error {
	if p.Name != "" && len(validation.IsDNS1035Label(p.Name)) > 0 {
		return fmt.Errorf("page_service: %q is no name of a Service", p.Name)
	}
	if p.Namespace != "" && len(validation.IsDNS1123Label(p.Namespace)) > 0 {
		return fmt.Errorf("page_namespace: %q is no name of a namespace", p.Namespace)
	}
	if p.Port < 0 || p.Port > 65535 {
		return fmt.Errorf("page_port: %d is not a port", p.Port)
	}
	return nil
}

// or fills in what p leaves out.
func (p pageServer) or(more pageServer) pageServer {
	if p.Namespace == "" {
		p.Namespace = more.Namespace
	}
	if p.Name == "" {
		p.Name = more.Name
	}
	if p.Port == 0 {
		p.Port = more.Port
	}
	return p
}

// usual is where the page server of a namespace is unless somebody says
// otherwise.
func usual(namespace string) pageServer {
	return pageServer{Namespace: namespace, Name: pageapi.DefaultService, Port: pageapi.DefaultPort}
}

// backend is the page server as a rule leads to it, every default written out.
func (p pageServer) backend(route string) map[string]any {
	b := map[string]any{"group": "", "kind": "Service", "name": p.Name, "port": int64(p.Port), "weight": int64(1)}
	if p.Namespace != route {
		b["namespace"] = p.Namespace
	}
	return b
}

// String is the Service as a target is named.
func (p pageServer) String() string { return fmt.Sprintf("%s/%s:%d", p.Namespace, p.Name, p.Port) }
