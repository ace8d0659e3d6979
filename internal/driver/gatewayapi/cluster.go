package gatewayapi

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/noren-dev/noren/internal/driver/gatewayapi/gw"
)

// A cluster is every HTTPRoute, Gateway and GatewayClass, as read at one
// moment.
type cluster struct {
	classes  map[string]gw.Class
	gateways []gw.Gateway
	routes   []*route
}

// A route is an HTTPRoute: as it is stored, and what routing depends on. Rules
// are the items of spec.rules with every field that they have.
type route struct {
	gw.Route
	object *unstructured.Unstructured
	rules  []map[string]any
}

// seen reads the cluster once per session.
func (c *conn) seen(ctx context.Context) (*cluster, error) {
	return c.cluster.Do(func() (*cluster, error) { return c.read(ctx) })
}

func (c *conn) read(ctx context.Context) (*cluster, error) {
	out := &cluster{classes: map[string]gw.Class{}}
	routes, err := c.list(ctx, httpRoutes(), "")
	if err != nil {
		return nil, err
	}
	for _, u := range routes {
		r, err := readRoute(u)
		if err != nil {
			return nil, err
		}
		out.routes = append(out.routes, r)
	}
	gateways, err := c.list(ctx, gateways(), "")
	if err != nil {
		return nil, err
	}
	for _, u := range gateways {
		g, err := readGateway(u)
		if err != nil {
			return nil, err
		}
		out.gateways = append(out.gateways, g)
	}
	classes, err := c.list(ctx, gatewayClasses(), "")
	if err != nil {
		return nil, err
	}
	for _, u := range classes {
		controller, _, _ := unstructured.NestedString(u.Object, "spec", "controllerName")
		out.classes[u.GetName()] = gw.Class{Name: u.GetName(), Controller: controller}
	}
	return out, nil
}

func readRoute(u *unstructured.Unstructured) (*route, error) {
	r := &route{object: u}
	if err := decode(u, &r.Route, "spec"); err != nil {
		return nil, err
	}
	r.Namespace, r.Name, r.Created = u.GetNamespace(), u.GetName(), u.GetCreationTimestamp().Time
	var err error
	r.rules, err = items(u, "spec", "rules")
	return r, err
}

func readGateway(u *unstructured.Unstructured) (gw.Gateway, error) {
	var g gw.Gateway
	if err := decode(u, &g, "spec"); err != nil {
		return g, err
	}
	g.Namespace, g.Name = u.GetNamespace(), u.GetName()
	addresses, _, _ := unstructured.NestedSlice(u.Object, "status", "addresses")
	for _, a := range addresses {
		if fields, ok := a.(map[string]any); ok {
			if value, ok := fields["value"].(string); ok {
				g.Addresses = append(g.Addresses, value)
			}
		}
	}
	return g, nil
}

// decode reads the part of an object at path into a Go value.
func decode(u *unstructured.Unstructured, into any, path ...string) error {
	part, _, err := unstructured.NestedFieldNoCopy(u.Object, path...)
	if err == nil {
		err = convert(part, into)
	}
	if err != nil {
		return fmt.Errorf("%s %s/%s: %w", u.GetKind(), u.GetNamespace(), u.GetName(), err)
	}
	return nil
}

// convert reads plain JSON data into a Go value.
func convert(from, into any) error {
	raw, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

// items are the objects of the list at path, with every field that they have.
func items(u *unstructured.Unstructured, path ...string) ([]map[string]any, error) {
	list, _, err := unstructured.NestedSlice(u.Object, path...)
	if err != nil {
		return nil, fmt.Errorf("%s %s/%s: %w", u.GetKind(), u.GetNamespace(), u.GetName(), err)
	}
	out := make([]map[string]any, 0, len(list))
	for _, item := range list {
		fields, ok := item.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s %s/%s: an item of %v is no object", u.GetKind(), u.GetNamespace(), u.GetName(), path)
		}
		out = append(out, fields)
	}
	return out, nil
}

func (c *cluster) find(namespace, name string) *route {
	i := slices.IndexFunc(c.routes, func(r *route) bool {
		return r.Namespace == namespace && r.Name == name && r.object.GetDeletionTimestamp() == nil
	})
	if i < 0 {
		return nil
	}
	return c.routes[i]
}

// around are the Gateways of a route's attachments, and every route on them.
func (c *cluster) around(attached []gw.Attachment) (gateways []gw.Gateway, routes []gw.Route) {
	for _, a := range attached {
		if !slices.ContainsFunc(gateways, func(g gw.Gateway) bool { return g.Key() == a.Gateway.Key() }) {
			gateways = append(gateways, a.Gateway)
		}
	}
	for _, r := range c.routes {
		if on, _ := gw.Attach(r.Route, gateways); len(on) > 0 {
			routes = append(routes, r.Route)
		}
	}
	return gateways, routes
}
