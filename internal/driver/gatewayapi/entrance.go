package gatewayapi

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/gatewayapi/gw"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient/gitops"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

// A routeEntrance is an HTTPRoute.
type routeEntrance struct {
	conn            *conn
	namespace, name string
	options         Options
}

func openRouteEntrance(c *conn, key string, o Options) (driver.Entrance, error) {
	namespace, route, err := kubeobject.SplitKey(key)
	if err != nil {
		return nil, malformed(kindRoute, key, err)
	}
	return &routeEntrance{c, namespace, route, o}, nil
}

func (e *routeEntrance) key() string { return e.namespace + "/" + e.name }

// server is the page server that the route would lead to.
func (e *routeEntrance) server() pageServer {
	return e.options.server().or(e.conn.server).or(usual(e.namespace))
}

// Requires lists what any implementation needs: which one it is, is known once
// the route has been read.
func (e *routeEntrance) Requires() []action.Permission {
	all := func(r resource, why string) action.Permission {
		return action.Permission{System: name, Verb: "list", Resource: r.String(), Why: why}
	}
	need := []action.Permission{
		all(httpRoutes(), "see every route on the Gateway"),
		all(gateways(), "see which listeners a route is on"),
		all(gatewayClasses(), "tell which implementation a Gateway belongs to"),
	}
	change, _ := openRoute(e.conn, InsertParams{Namespace: e.namespace, Name: e.name})
	if r, ok := change.(action.Requirer); ok {
		need = append(need, r.Requires()...)
	}
	need = append(need, backendPermission(e.namespace))
	if e.options.Strategy != strategyBackend {
		need = append(need, answerPermissions(awsLoadBalancer(), e.namespace)...)
		need = append(need, answerPermissions(envoyGateway(), e.namespace)...)
	}
	if e.options.Strategy == strategyBackend || e.options.LargePages() {
		need = append(need, serverPermissions(e.conn, e.server())...)
	}
	return need
}

// A reading is what Close needs of what Survey read.
type reading struct {
	route    *route
	standing InsertParams // noren's rules that are on the route
	attached []gw.Attachment
	hosts    []string
	gateways []gw.Gateway
	routes   []gw.Route
	objects  objects
	native   *implementation // nil where it is none, or not to be used
	headers  bool            // native sends headers
	people   string          // the implementation's name
	granted  bool            // the route may lead to the page server
}

// Survey implements driver.Entrance.
func (e *routeEntrance) Survey(ctx context.Context) (*driver.Survey, error) {
	all, err := e.conn.seen(ctx)
	if err != nil {
		return nil, err
	}
	found := all.find(e.namespace, e.name)
	if found == nil {
		return nil, e.missing(ctx, all)
	}
	r := &reading{route: found, standing: standing(found.object, kubeobject.Name(e.name, partAnswer), serviceSign(e.server().Namespace, e.server().Name))}
	var problems []string
	if r.attached, problems = gw.Attach(found.Route, all.gateways); len(r.attached) == 0 {
		return nil, e.detached(found, problems)
	}
	r.gateways, r.routes = all.around(r.attached)
	if err := e.implementation(ctx, all, r); err != nil {
		return nil, err
	}
	if r.objects, err = e.conn.readObjects(ctx, r.routes); err != nil {
		return nil, err
	}
	for _, a := range r.attached {
		for _, h := range a.Hosts {
			if !slices.Contains(r.hosts, h) {
				r.hosts = append(r.hosts, h)
			}
		}
	}
	front, unread := gw.Front(r.gateways, r.routes, r.reader(r.standing, found.rules, nil))
	s := &driver.Survey{
		Target: e.conn.target(e.namespace, httpRoutes().word, e.name),
		Hosts:  r.hosts, URLs: r.urls(), Front: front,
		Owner: gitops.OwnerOf(found.object, "HTTPRoute"), Seen: r,
	}
	if r.native != nil {
		s.PageLimit, s.Headers = r.native.limit, r.headers
		s.LargePages = e.options.Strategy != strategyNative && (e.options.LargePages() || e.conn.server.Name != "")
	}
	s.Notes = e.notes(r, s, append(problems, unread...))
	return s, nil
}

// implementation finds out who makes the route's Gateways real, and how it can
// be closed.
func (e *routeEntrance) implementation(ctx context.Context, all *cluster, r *reading) error {
	controllers := map[string]bool{}
	for _, g := range r.gateways {
		class, known := all.classes[g.Class]
		if !known {
			return &fault.Fault{Code: fault.Invalid, Summary: "gateway class does not exist",
				Detail: fmt.Sprintf("HTTPRoute %s is on Gateway %s, whose class %q no GatewayClass of this cluster defines: nothing serves it.", e.key(), g.Key(), g.Class),
				Try:    []string{"kubectl get gatewayclass"}}
		}
		controllers[class.Controller] = true
	}
	names := slices.Sorted(maps.Keys(controllers))
	r.people = some(names)
	if len(names) == 1 {
		r.native = implementationOf(names[0])
	}
	if r.native != nil {
		r.people = r.native.people
	}
	switch {
	case e.options.Strategy == strategyBackend:
		r.native = nil
	case r.native == nil && e.options.Strategy == strategyNative:
		f := invalid("implementation does not answer by itself", "HTTPRoute %s is on a Gateway of %s. noren knows how to make two answer by themselves: the AWS Load Balancer Controller and Envoy Gateway.", e.key(), r.people)
		f.Try = []string{"strategy: " + strategyBackend}
		return f
	case r.native != nil:
		return e.served(ctx, r)
	}
	var err error
	r.granted, err = e.conn.granted(ctx, e.namespace, e.server())
	return err
}

// served reads whether the implementation's kind is installed, and what it can
// send. It reads the grant too, where pages may outgrow it.
func (e *routeEntrance) served(ctx context.Context, r *reading) error {
	version, err := e.conn.version(ctx, r.native.resource)
	if err != nil {
		return err
	}
	if version == "" {
		return e.conn.notInstalled(r.native.resource)
	}
	if r.native.header != nil {
		// Where the schema cannot be read, headers are left out: the page says
		// the same.
		r.headers, _ = e.conn.client.Knows(ctx, r.native.at(version).GroupVersion().WithKind(r.native.kind), r.native.header...)
	}
	if !e.options.LargePages() && e.conn.server.Name == "" {
		return nil
	}
	r.granted, err = e.conn.granted(ctx, e.namespace, e.server())
	return err
}

// missing says that there is no such route, and what there is.
func (e *routeEntrance) missing(ctx context.Context, all *cluster) error {
	if v, err := e.conn.version(ctx, httpRoutes()); err == nil && v == "" {
		return e.conn.notInstalled(httpRoutes())
	}
	if u, err := e.conn.get(ctx, grpcRoutes(), e.namespace, e.name); err == nil && u != nil {
		return invalid("GRPCRoute cannot be closed", "%s is a GRPCRoute. A gRPC client reads its errors from trailers of the application's own protocol, which a closed page is not. Of routes, HTTPRoutes can be closed.", e.key())
	}
	var have []string
	for _, r := range all.routes {
		have = append(have, r.Key())
	}
	return kubeobject.Absent("HTTPRoute", e.key(), e.conn.env.Name, "httproutes", have)
}

// detached says why no listener serves the route: to close it would change
// nothing that customers see.
func (e *routeEntrance) detached(r *route, problems []string) error {
	_, said := badAlready(r.object)
	f := invalid("route is attached to no listener", "HTTPRoute %s is served by nobody, so there is nothing to close: %s.", e.key(), strings.Join(append(problems, said...), "; "))
	f.Try = []string{kubeobject.Show("httproute " + e.key()), "kubectl get gateways --all-namespaces"}
	return f
}

// urls are where customers come in: one for each listener and host.
func (r *reading) urls() []string {
	path, ok := r.firstPath()
	if !ok {
		return nil
	}
	var out []string
	for _, a := range r.attached {
		for _, host := range a.Hosts {
			if host == "" && len(a.Gateway.Addresses) > 0 {
				host = a.Gateway.Addresses[0]
			}
			if host == "" || strings.Contains(host, "*") {
				continue
			}
			scheme, port := a.Listener.Scheme(), ""
			if (scheme != "http" || a.Listener.Port != 80) && (scheme != "https" || a.Listener.Port != 443) {
				port = fmt.Sprintf(":%d", a.Listener.Port)
			}
			if url := scheme + "://" + host + port + path; !slices.Contains(out, url) {
				out = append(out, url)
			}
		}
	}
	return out
}

// firstPath is a path that the route serves to a plain GET, so that a probe
// meets its rules and not another's: / where that is one.
func (r *reading) firstPath() (string, bool) {
	first := ""
	_, rules := r.user()
	for _, rule := range rules {
		for _, m := range rule.Takes() {
			p, ok := placeOf(m)
			if !ok || rule.Redirects() || len(m.Headers)+len(m.Query) > 0 || m.Method != "" && m.Method != http.MethodGet {
				continue
			}
			if p.path == "" || p.path == "/" {
				return "/", true
			}
			if first == "" {
				first = p.path
			}
		}
	}
	return first, first != ""
}

// user are the route's rules that are not noren's.
func (r *reading) user() ([]map[string]any, []gw.Rule) {
	i := &insertion{p: r.standing, on: routeList()}
	return userRules(r.route, i.isOurs)
}
