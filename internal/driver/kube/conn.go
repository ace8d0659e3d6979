package kube

import (
	"context"
	"fmt"
	"slices"
	"sync"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/kubeclient"
)

// A conn is a connection to one cluster, with what a session has read of it.
type conn struct {
	client  *kubeclient.Client
	env     driver.Env
	page    pageServer // of the environment
	cluster kubeclient.Once[*cluster]
	again   kubeclient.Lately[*cluster] // read anew for each batch
	objects kubeclient.Objects[networkingv1.Ingress]
	// ruleQuota is of listener rules per load balancer, 0 for the default.
	ruleQuota int

	mu       sync.Mutex
	services map[string]*kubeclient.Once[map[string]lbc.Service] // by namespace
	heard    map[string]*kubeclient.Lately[map[string]report]    // by namespace
}

func newConn(client *kubeclient.Client, env driver.Env) *conn {
	c := &conn{client: client, env: env, services: map[string]*kubeclient.Once[map[string]lbc.Service]{},
		heard: map[string]*kubeclient.Lately[map[string]report]{}}
	c.objects.One, c.objects.Page = c.readIngress, c.pageOfIngresses
	return c
}

// target names an object of this environment: "kube:prod/shop/ingress/web".
func (c *conn) target(namespace, kind, name string) string {
	return fmt.Sprintf("kube:%s/%s/%s/%s", c.env.Name, namespace, kind, name)
}

// A cluster is every Ingress and IngressClass, as read at one moment.
type cluster struct {
	ingresses []*networkingv1.Ingress
	classes   lbc.Classes

	once    sync.Once
	byGroup map[lbc.Group][]*networkingv1.Ingress
	byKey   map[string]*networkingv1.Ingress
}

// index makes byGroup and byKey, of the Ingresses that are not being deleted.
func (c *cluster) index() {
	c.byGroup, c.byKey = c.classes.Groups(c.ingresses), map[string]*networkingv1.Ingress{}
	for _, ing := range c.ingresses {
		if ing.DeletionTimestamp == nil {
			c.byKey[lbc.Key(ing)] = ing
		}
	}
}

// members are the Ingresses of a group, in the controller's order.
func (c *cluster) members(g lbc.Group) []*networkingv1.Ingress {
	c.once.Do(c.index)
	return slices.Clip(c.byGroup[g]) // a caller may append
}

// find returns an Ingress that is not being deleted, nil if there is none.
func (c *cluster) find(namespace, name string) *networkingv1.Ingress {
	c.once.Do(c.index)
	return c.byKey[namespace+"/"+name]
}

// read reads the cluster anew, lately so that the batch that asks finds it new
// enough, seen once per session.
func (c *conn) lately(ctx context.Context) (*cluster, error) { return c.again.Do(ctx, c.read) }

func (c *conn) seen(ctx context.Context) (*cluster, error) {
	return c.cluster.Do(func() (*cluster, error) { return c.read(ctx) })
}

func (c *conn) read(ctx context.Context) (*cluster, error) {
	ingresses, err := c.listIngresses(ctx)
	if err != nil {
		return nil, err
	}
	classes, err := c.readClasses(ctx)
	if err != nil {
		return nil, err
	}
	return &cluster{ingresses: ingresses, classes: classes}, nil
}

func (c *conn) listIngresses(ctx context.Context) ([]*networkingv1.Ingress, error) {
	var all []*networkingv1.Ingress
	opts := metav1.ListOptions{Limit: kubeclient.PageSize}
	for {
		list, err := c.client.Typed.NetworkingV1().Ingresses(metav1.NamespaceAll).List(ctx, opts)
		if err != nil {
			return nil, kubeclient.Classify(err, "list the ingresses of all namespaces")
		}
		for i := range list.Items {
			all = append(all, &list.Items[i])
		}
		if opts.Continue = list.Continue; opts.Continue == "" {
			return all, nil
		}
	}
}

func (c *conn) readClasses(ctx context.Context) (lbc.Classes, error) {
	list, err := c.client.Typed.NetworkingV1().IngressClasses().List(ctx, metav1.ListOptions{})
	if err != nil {
		return lbc.Classes{}, kubeclient.Classify(err, "list the ingress classes")
	}
	out := lbc.Classes{ByName: map[string]lbc.Class{}}
	for _, ic := range list.Items {
		class := lbc.Class{Name: ic.Name, Controller: ic.Spec.Controller}
		if err := c.readParams(ctx, ic.Spec.Parameters, &class); err != nil {
			return lbc.Classes{}, err
		}
		out.ByName[ic.Name] = class
		if ic.Annotations[lbc.DefaultClass] == "true" {
			out.Default = ic.Name
		}
	}
	return out, nil
}

// paramsResource is where the IngressClassParams of a class live.
// Source: apis/elbv2/v1beta1 of the controller; for EKS Auto Mode
// https://docs.aws.amazon.com/eks/latest/userguide/auto-configure-alb.html
func paramsResource(group string) (schema.GroupVersionResource, bool) {
	switch group {
	case "elbv2.k8s.aws":
		return schema.GroupVersionResource{Group: group, Version: "v1beta1", Resource: "ingressclassparams"}, true
	case "eks.amazonaws.com":
		return schema.GroupVersionResource{Group: group, Version: "v1", Resource: "ingressclassparams"}, true
	}
	return schema.GroupVersionResource{}, false
}

// readParams fills in what the IngressClassParams of a class of ours say.
func (c *conn) readParams(ctx context.Context, ref *networkingv1.IngressClassParametersReference, class *lbc.Class) error {
	if ref == nil || ref.APIGroup == nil || class.Controller != lbc.ControllerLBC && class.Controller != lbc.ControllerEKS {
		return nil
	}
	gvr, known := paramsResource(*ref.APIGroup)
	if !known {
		class.Broken = fmt.Sprintf("references parameters of the unknown API group %s", *ref.APIGroup)
		return nil
	}
	params, err := c.client.Dynamic.Resource(gvr).Get(ctx, ref.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		class.Broken = fmt.Sprintf("the IngressClassParams %s do not exist", ref.Name)
		return nil
	}
	if err != nil {
		return kubeclient.Classify(err, "read the IngressClassParams "+ref.Name)
	}
	class.HasParams = true
	class.Group, _, _ = unstructured.NestedString(params.Object, "spec", "group", "name")
	class.CertificateARNs, _, _ = unstructured.NestedStringSlice(params.Object, "spec", "certificateArn")
	class.SSLRedirectPort, _, _ = unstructured.NestedString(params.Object, "spec", "sslRedirectPort")
	return nil
}

// servicesOf reads the Services of a namespace once per session. Where noren
// may not, every Service is taken to exist: nil.
func (c *conn) servicesOf(ctx context.Context, namespace string) (map[string]lbc.Service, error) {
	c.mu.Lock()
	once := c.services[namespace]
	if once == nil {
		once = &kubeclient.Once[map[string]lbc.Service]{}
		c.services[namespace] = once
	}
	c.mu.Unlock()
	return once.Do(func() (map[string]lbc.Service, error) {
		list, err := c.client.Typed.CoreV1().Services(namespace).List(ctx, metav1.ListOptions{})
		if apierrors.IsForbidden(err) {
			return nil, nil
		}
		if err != nil {
			return nil, kubeclient.Classify(err, "list the services of namespace "+namespace)
		}
		out := map[string]lbc.Service{}
		for _, s := range list.Items {
			service := lbc.Service{State: lbc.Found, Annotations: s.Annotations}
			for _, p := range s.Spec.Ports {
				service.Ports = append(service.Ports, fmt.Sprint(p.Port))
				if p.Name != "" {
					service.Ports = append(service.Ports, p.Name)
				}
			}
			out[s.Name] = service
		}
		return out, nil
	})
}

// lookup returns a look-up of Services for the namespaces of members.
func (c *conn) lookup(ctx context.Context, members []*networkingv1.Ingress) (func(namespace, name string) lbc.Service, error) {
	known := map[string]map[string]lbc.Service{}
	for _, m := range members {
		if _, done := known[m.Namespace]; done {
			continue
		}
		services, err := c.servicesOf(ctx, m.Namespace)
		if err != nil {
			return nil, err
		}
		known[m.Namespace] = services
	}
	return func(namespace, name string) lbc.Service {
		services := known[namespace]
		if services == nil {
			return lbc.Service{}
		}
		if s, ok := services[name]; ok {
			return s
		}
		return lbc.Service{State: lbc.Missing}
	}, nil
}

// getIngress reads an Ingress, nil if it does not exist; in a batch, of a list.
func (c *conn) getIngress(ctx context.Context, namespace, name string) (*networkingv1.Ingress, error) {
	return c.objects.Get(ctx, namespace, name)
}

func (c *conn) pageOfIngresses(ctx context.Context, namespace string, opts metav1.ListOptions) (map[string]*networkingv1.Ingress, metav1.ListMeta, error) {
	list, err := c.client.Typed.NetworkingV1().Ingresses(namespace).List(ctx, opts)
	if err != nil {
		return nil, metav1.ListMeta{}, err
	}
	page := make(map[string]*networkingv1.Ingress, len(list.Items))
	for i := range list.Items {
		page[list.Items[i].Name] = lean(&list.Items[i])
	}
	return page, list.ListMeta, nil
}

// lean leaves out what the API server keeps of who owns which field, which is
// most of many objects, and keeps who wrote when.
func lean(ing *networkingv1.Ingress) *networkingv1.Ingress {
	for i := range ing.ManagedFields {
		ing.ManagedFields[i].FieldsV1 = nil
	}
	return ing
}

func (c *conn) readIngress(ctx context.Context, namespace, name string) (*networkingv1.Ingress, error) {
	ing, err := c.client.Typed.NetworkingV1().Ingresses(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, kubeclient.Classify(err, fmt.Sprintf("read ingress %s/%s", namespace, name))
	}
	return ing, nil
}
