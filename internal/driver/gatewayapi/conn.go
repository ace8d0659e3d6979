package gatewayapi

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient"
)

// A conn is a connection to one cluster, with what a session has read of it.
type conn struct {
	client  *kubeclient.Client
	env     driver.Env
	server  pageServer // as the environment says
	quota   int        // of rules of a load balancer
	cluster kubeclient.Once[*cluster]
	istio   kubeclient.Once[*mesh]

	mu     sync.Mutex
	served map[string]*kubeclient.Once[string] // version by group/resource
}

func newConn(client *kubeclient.Client, env driver.Env, cfg Config) *conn {
	return &conn{client: client, env: env, server: cfg.server(), quota: cmp.Or(cfg.RuleQuota, defaultRuleQuota), served: map[string]*kubeclient.Once[string]{}}
}

// target names an object of this environment:
// "gatewayapi:prod/shop/httproute/web".
func (c *conn) target(namespace, kind, object string) string {
	return fmt.Sprintf("%s:%s/%s/%s/%s", name, c.env.Name, namespace, kind, object)
}

// A resource is one kind of object that noren knows.
type resource struct {
	group, plural, kind string
	word                string   // in targets and sentences
	versions            []string // that noren can read, the best first
}

// String is the resource as kubectl writes it.
func (r resource) String() string { return r.plural + "." + r.group }

func (r resource) at(version string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: r.group, Version: version, Resource: r.plural}
}

func gatewayResource(plural, kind, word string) resource {
	return resource{group: "gateway.networking.k8s.io", plural: plural, kind: kind, word: word, versions: []string{"v1", "v1beta1"}}
}

// The kinds of Gateway API. Source: https://gateway-api.sigs.k8s.io/reference/spec/
func httpRoutes() resource { return gatewayResource("httproutes", "HTTPRoute", "httproute") }
func grpcRoutes() resource { return gatewayResource("grpcroutes", "GRPCRoute", "grpcroute") }
func gateways() resource   { return gatewayResource("gateways", "Gateway", "gateway") }
func gatewayClasses() resource {
	return gatewayResource("gatewayclasses", "GatewayClass", "gatewayclass")
}
func referenceGrants() resource {
	return gatewayResource("referencegrants", "ReferenceGrant", "referencegrant")
}

// version is the first version of a resource that noren can read and the
// server serves, "" if there is none.
func (c *conn) version(ctx context.Context, r resource) (string, error) {
	c.mu.Lock()
	once := c.served[r.String()]
	if once == nil {
		once = &kubeclient.Once[string]{}
		c.served[r.String()] = once
	}
	c.mu.Unlock()
	return once.Do(func() (string, error) {
		for _, v := range r.versions {
			if err := ctx.Err(); err != nil {
				return "", err
			}
			list, err := c.client.Typed.Discovery().ServerResourcesForGroupVersion(r.group + "/" + v)
			if apierrors.IsNotFound(err) {
				continue
			}
			if err != nil {
				return "", kubeclient.Classify(err, "ask which versions of "+r.String()+" the server has")
			}
			if slices.ContainsFunc(list.APIResources, func(have metav1.APIResource) bool { return have.Name == r.plural }) {
				return v, nil
			}
		}
		return "", nil
	})
}

// api is where the objects of a resource are, in a namespace; "" is all.
func (c *conn) api(ctx context.Context, r resource, namespace string) (dynamic.ResourceInterface, error) {
	v, err := c.version(ctx, r)
	if err != nil {
		return nil, err
	}
	if v == "" {
		return nil, c.notInstalled(r)
	}
	if namespace == "" {
		return c.client.Dynamic.Resource(r.at(v)), nil
	}
	return c.client.Dynamic.Resource(r.at(v)).Namespace(namespace), nil
}

func (c *conn) notInstalled(r resource) error {
	return &fault.Fault{Code: fault.NotFound, Summary: "kind is not installed in the cluster",
		Detail: fmt.Sprintf("The cluster of environment %s has no %s of the API group %s, in none of the versions %v that noren knows.", c.env.Name, r.kind, r.group, r.versions),
		Try:    []string{"kubectl api-resources --api-group=" + r.group}}
}

// get reads an object, nil if it does not exist.
func (c *conn) get(ctx context.Context, r resource, namespace, object string) (*unstructured.Unstructured, error) {
	api, err := c.api(ctx, r, namespace)
	if err != nil {
		return nil, err
	}
	u, err := api.Get(ctx, object, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, kubeclient.Classify(err, fmt.Sprintf("read %s %s/%s", r.word, namespace, object))
	}
	return u, nil
}

// list reads all objects of a resource; none where it is not installed.
func (c *conn) list(ctx context.Context, r resource, namespace string) ([]*unstructured.Unstructured, error) {
	v, err := c.version(ctx, r)
	if err != nil || v == "" {
		return nil, err
	}
	api, err := c.api(ctx, r, namespace)
	if err != nil {
		return nil, err
	}
	var all []*unstructured.Unstructured
	if err := kubeclient.EachListed(ctx, api, func(u *unstructured.Unstructured) { all = append(all, u) }); err != nil {
		in := "all namespaces"
		if namespace != "" {
			in = "namespace " + namespace
		}
		return nil, kubeclient.Classify(err, fmt.Sprintf("list the %s of %s", r.plural, in))
	}
	return all, nil
}
