package kube

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient/gitops"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
	"github.com/noren-dev/noren/internal/pageserver/pageapi"
)

// Options choose how an Ingress is closed.
type Options struct {
	// Strategy is auto (the default), overlay, patch or backend.
	Strategy string `json:"strategy,omitempty"`
	// PageService is the Service of noren's page server in the Ingress's
	// namespace; by default that of the environment, or noren-page.
	PageService string `json:"page_service,omitempty"`
	// PagePort is its port; by default that of the environment, or 80.
	PagePort int32 `json:"page_port,omitempty"`
}

// Validate says what is wrong.
func (o Options) Validate() error {
	switch o.Strategy {
	case "", StrategyAuto, StrategyOverlay, StrategyPatch, StrategyBackend:
		return checkPageService(o.PageService, o.PagePort)
	}
	return fmt.Errorf("strategy %q is none of auto, overlay, patch, backend", o.Strategy)
}

type entrance struct {
	conn            *conn
	namespace, name string
	options         Options
}

func openEntrance(c *conn, name string, o Options) (driver.Entrance, error) {
	namespace, ingress, err := kubeobject.SplitKey(name)
	if err != nil {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "malformed entrance name",
			Detail: fmt.Sprintf("%s %q: %v.", KindIngress, name, err), Err: err}
	}
	return &entrance{c, namespace, ingress, o}, nil
}

func (e *entrance) key() string { return e.namespace + "/" + e.name }

// Requires lists what either strategy needs: which one it will be is known
// once the Ingress has been read.
func (e *entrance) Requires() []action.Permission {
	members := []string{e.key()}
	need := (&groupCheck{e.conn, GroupParams{Namespace: e.namespace, Name: e.name}}).Requires()
	need = append(need, (&unchanged{e.conn, UnchangedParams{Namespace: e.namespace, Name: e.name}}).Requires()...)
	need = append(need, (&backends{e.conn, BackendParams{Namespace: e.namespace}}).Requires()...)
	if page := e.pageServer(); page.known() {
		need = append(need, page.permissions(e.conn, e.namespace)...)
		need = append(need, (&route{conn: e.conn, p: RouteParams{Namespace: e.namespace, Name: e.name}}).Requires()...)
	}
	if e.options.Strategy != StrategyPatch {
		need = append(need, (&overlay{conn: e.conn, p: OverlayParams{Namespace: e.namespace, Members: members}}).Requires()...)
	}
	if e.options.Strategy != StrategyOverlay {
		need = append(need, (&patch{conn: e.conn, p: PatchParams{Namespace: e.namespace, Members: members}}).Requires()...)
	}
	return need
}

// A reading is what Close needs of what Survey read of an Ingress of the AWS
// Load Balancer Controller.
type reading struct {
	ing     *networkingv1.Ingress
	group   lbc.Group
	members []*networkingv1.Ingress
	opts    lbc.Options
	owner   *driver.Owner
	pages   pages // that the page server has now
}

// Survey implements driver.Entrance.
func (e *entrance) Survey(ctx context.Context) (*driver.Survey, error) {
	all, err := e.conn.seen(ctx)
	if err != nil {
		return nil, err
	}
	ing := all.find(e.namespace, e.name)
	if ing == nil {
		return nil, e.missing(all.ingresses)
	}
	group, err := all.classes.Group(ing)
	if errors.Is(err, lbc.ErrUnmanaged) && e.byBackend() {
		return e.surveyPlain(ctx, ing, all)
	}
	if err != nil {
		return nil, e.unmanaged(ing, all.classes, err)
	}
	r := &reading{ing: ing, group: group, members: all.members(group)}
	lookup, err := e.conn.lookup(ctx, r.members)
	if err != nil {
		return nil, err
	}
	r.opts = lbc.Options{Classes: all.classes, Service: lookup, Mark: markIn, Rules: e.conn.ruleQuota}
	r.owner = gitops.OwnerOf(ing, "Ingress")
	if r.pages, err = e.readPages(ctx, r.members); err != nil {
		return nil, err
	}
	front, problems := lbc.Build(r.members, r.opts)
	front = r.pages.shownOn(front)
	s := &driver.Survey{
		Target: e.conn.target(e.namespace, "ingress", e.name),
		Hosts:  hostsOf(ing), URLs: urls(ing, r, front), Front: front, Owner: r.owner, PageLimit: lbc.MaxBody, LargePages: e.pageServer().known(), Seen: r,
	}
	if e.options.Strategy == StrategyBackend {
		s.PageLimit = 0
	}
	s.Notes, err = e.notes(ctx, r, s, problems)
	return s, err
}

func (e *entrance) missing(all []*networkingv1.Ingress) error {
	var have []string
	for _, ing := range all {
		have = append(have, lbc.Key(ing))
	}
	return kubeobject.Absent("ingress", e.key(), e.conn.env.Name, "ingress", have)
}

func (e *entrance) unmanaged(ing *networkingv1.Ingress, classes lbc.Classes, err error) error {
	if !errors.Is(err, lbc.ErrUnmanaged) {
		return &fault.Fault{Code: fault.Invalid, Summary: "ingress is not valid for its controller",
			Detail: fmt.Sprintf("Ingress %s: %v. The controller cannot tell which load balancer it is on.", e.key(), err), Err: err}
	}
	return &fault.Fault{Code: fault.Invalid, Summary: "ingress class needs a page server",
		Detail: fmt.Sprintf("Ingress %s %s. Only load balancers of the AWS Load Balancer Controller (controller %s, or the annotation %s: alb) and of EKS Auto Mode (%s) send a page themselves. Of any other class an Ingress is closed by leading it to noren's page server (strategy: backend): let one run in namespace %s, and name its Service in the environment's kube section.",
			e.key(), classWords(ing, classes), lbc.ControllerLBC, lbc.ClassAnnotation, lbc.ControllerEKS, e.namespace),
		Try: []string{"noren page manifest --namespace " + e.namespace, "page_service: " + pageapi.DefaultService}, Err: err}
}

// classWords say of what class an Ingress is, after its name.
func classWords(ing *networkingv1.Ingress, classes lbc.Classes) string {
	class, _ := classes.Of(ing)
	switch {
	case class.Name == "":
		return "has no class and no finalizer of a controller that noren knows"
	case class.Controller == "" && ing.Annotations[lbc.ClassAnnotation] != "":
		return fmt.Sprintf("is of class %q", class.Name)
	case class.Controller == "":
		return fmt.Sprintf("is of class %q, which no IngressClass of this cluster defines", class.Name)
	}
	return fmt.Sprintf("is of class %q (controller %s)", class.Name, class.Controller)
}

// hostsOf are the hosts that an Ingress serves, in its order; "" where a rule
// or the default backend serves any.
func hostsOf(ing *networkingv1.Ingress) []string {
	var hosts []string
	add := func(h string) {
		if !slices.Contains(hosts, h) {
			hosts = append(hosts, h)
		}
	}
	for _, r := range ing.Spec.Rules {
		if r.HTTP == nil {
			continue
		}
		for _, p := range r.HTTP.Paths {
			for _, h := range pathHosts(ing, r, p) {
				add(h)
			}
		}
	}
	if ing.Spec.DefaultBackend != nil {
		add("")
	}
	return hosts
}

// pathHosts are the hosts of one path: that of its rule and those that its
// backend's conditions add as alternatives.
func pathHosts(ing *networkingv1.Ingress, r networkingv1.IngressRule, p networkingv1.HTTPIngressPath) []string {
	var hosts []string
	if r.Host != "" {
		hosts = append(hosts, r.Host)
	}
	if p.Backend.Service != nil {
		conds, _ := lbc.ConditionsOf(ing, p.Backend.Service.Name) // a mistake in them is lbc.Build's to report
		for _, c := range conds {
			if c.Field == lbc.FieldHost && c.Host != nil {
				hosts = append(hosts, c.Host.Values...)
			}
		}
	}
	if len(hosts) == 0 {
		return []string{""}
	}
	return hosts
}

// urls are where customers come in: one for each host and each listener of the
// Ingress that does more than redirect to another.
func urls(ing *networkingv1.Ingress, r *reading, front edge.Front) []string {
	ports, err := r.opts.Classes.Ports(ing)
	if err != nil {
		return nil
	}
	var out []string
	for _, host := range hostsOf(ing) {
		name := host
		if host == "" {
			name = address(ing)
		}
		if name == "" || strings.ContainsAny(name, "*?") {
			continue
		}
		for _, port := range slices.Sorted(maps.Keys(ports)) {
			if onlyRedirects(front, port) {
				continue
			}
			out = append(out, ports[port]+"://"+name+portSuffix(ports[port], port)+firstPath(ing, host))
		}
	}
	return out
}

// address is the load balancer's own name. Source: updateIngressStatus of
// controllers/ingress/group_controller.go.
func address(ing *networkingv1.Ingress) string {
	for _, lb := range ing.Status.LoadBalancer.Ingress {
		if lb.Hostname != "" {
			return lb.Hostname
		}
		if lb.IP != "" {
			return lb.IP
		}
	}
	return ""
}

// onlyRedirects tells whether a listener is there for ssl-redirect alone.
func onlyRedirects(front edge.Front, port int) bool {
	for _, l := range front.Listeners {
		if l.Port == port {
			return len(l.Rules) == 0 && l.Default.Kind == edge.Redirect
		}
	}
	return false
}

func portSuffix(scheme string, port int) string {
	if scheme == "http" && port == 80 || scheme == "https" && port == 443 {
		return ""
	}
	return fmt.Sprintf(":%d", port)
}

// firstPath is a path that the Ingress itself serves for the host, so that a
// probe meets its rules and not another's.
func firstPath(ing *networkingv1.Ingress, host string) string {
	first := ""
	for _, e := range entriesOf(ing, host) {
		if len(e.patterns) == 0 {
			return "/"
		}
		for _, p := range e.patterns {
			path := strings.TrimRight(p, "*")
			if e.regex || strings.ContainsAny(path, "*?") || !strings.HasPrefix(path, "/") {
				continue
			}
			if path == "/" {
				return "/"
			}
			if first == "" {
				first = path
			}
		}
	}
	if first == "" {
		return "/"
	}
	return first
}
