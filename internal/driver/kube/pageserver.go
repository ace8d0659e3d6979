package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/driver/kube/plainingress"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
	"github.com/noren-dev/noren/internal/kubeclient/kubepage"
	"github.com/noren-dev/noren/internal/pageserver/pageapi"
)

// A pageServer is the Service of noren's page server in namespaces with
// Ingresses. Without a name there is none.
type pageServer struct {
	service string
	port    int32
}

func (p pageServer) known() bool { return p.service != "" }

func (p pageServer) backend() networkingv1.IngressBackend {
	return networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: p.service, Port: networkingv1.ServiceBackendPort{Number: p.port}}}
}

// forward is the action of a listener rule that leads there.
func (p pageServer) forward() lbc.Action {
	port := intstr.FromInt32(p.port)
	return lbc.Action{Type: lbc.TypeForward, Forward: &lbc.Forward{TargetGroups: []lbc.TargetGroup{{ServiceName: &p.service, ServicePort: &port}}}}
}

// permissions are what the page and the check of the server need.
func (p pageServer) permissions(c *conn, namespace string) []action.Permission {
	page, _ := openPage(c, kubepage.Params{Namespace: namespace})
	check, _ := openPageServer(c, kubepage.ServerParams{Namespace: namespace, Service: p.service, Port: p.port})
	need := check.Requires()
	if r, ok := page.(action.Requirer); ok {
		need = append(need, r.Requires()...)
	}
	return append(need, action.Permission{System: Name, Verb: "list", Resource: "configmaps", Namespace: namespace, Why: "tell who sees which page"})
}

func openPage(c *conn, p kubepage.Params) (driver.Typed[kubepage.State], error) {
	return kubepage.Open(c.client, Name, c.env, p)
}

func openPageServer(c *conn, p kubepage.ServerParams) (*kubepage.ServerCheck, error) {
	return kubepage.OpenServerCheck(c.client, Name, c.env, p)
}

var serviceForm = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)

func checkPageService(name string, port int32) error {
	switch {
	case name != "" && !serviceForm.MatchString(name):
		return fmt.Errorf("page_service %q is no name of a Service: small letters, digits and hyphens, at most 63, a letter first", name)
	case port < 0 || port > 65535:
		return fmt.Errorf("page_port %d is no port", port)
	}
	return nil
}

// LargePages implements driver.LargePager.
func (c *Config) LargePages() bool { return c.PageService != "" }

// LargePages implements driver.LargePager.
func (o *Options) LargePages() bool {
	return o.PageService != "" || o.Strategy == StrategyBackend
}

// PageLimit implements driver.PageLimiter.
func (o *Options) PageLimit() int {
	if o.Strategy == StrategyBackend {
		return 0
	}
	return lbc.MaxBody
}

// pageServer is the one of this entrance.
func (e *entrance) pageServer() pageServer {
	p := pageServer{cmp.Or(e.options.PageService, e.conn.page.service), cmp.Or(e.options.PagePort, e.conn.page.port, pageapi.DefaultPort)}
	if e.options.Strategy == StrategyBackend {
		p.service = cmp.Or(p.service, pageapi.DefaultService)
	}
	return p
}

// byBackend tells whether an Ingress whose controller sends no page may be
// closed by leading it to the page server.
func (e *entrance) byBackend() bool {
	s := e.options.Strategy
	return e.pageServer().known() && s != StrategyOverlay && s != StrategyPatch
}

// outgrown tells whether a page must come from the page server because the
// load balancer could not send it, or because the catalog asks for it.
func (e *entrance) outgrown(p edge.Response) bool {
	return e.pageServer().known() && (e.options.Strategy == StrategyBackend || len(pageAction(p).FixedResponse.Limits()) > 0)
}

// pages are those that page servers have, by namespace, and the Service that
// leads to one.
type pages struct {
	server pageServer
	known  map[string][]pageapi.Page
}

// readPages reads the pages in the namespaces of Ingresses that lead to a page
// server. Where noren may not, none is known and the page server's neutral
// answer is taken for what is seen.
func (e *entrance) readPages(ctx context.Context, members []*networkingv1.Ingress) (pages, error) {
	p := pages{e.pageServer(), map[string][]pageapi.Page{}}
	if !p.server.known() {
		return p, nil
	}
	for _, m := range members {
		if _, done := p.known[m.Namespace]; done || !p.leadsThere(m) {
			continue
		}
		found, err := kubepage.List(ctx, e.conn.client, m.Namespace)
		if errors.Is(err, &fault.Fault{Code: fault.Denied}) {
			err = nil
		}
		if err != nil {
			return p, err
		}
		p.known[m.Namespace] = found
	}
	return p, nil
}

// leadsThere tells whether an Ingress names the page server, as a backend or in
// an action.
func (p pages) leadsThere(ing *networkingv1.Ingress) bool {
	is := func(b networkingv1.IngressBackend) bool {
		return b.Service != nil && b.Service.Name == p.server.service
	}
	for key, value := range ing.Annotations {
		if strings.HasPrefix(key, lbc.ActionAnnotation(lbc.OursPrefix)) && strings.Contains(value, `"`+p.server.service+`"`) {
			return true
		}
	}
	for _, r := range ing.Spec.Rules {
		if r.HTTP != nil && slices.ContainsFunc(r.HTTP.Paths, func(path networkingv1.HTTPIngressPath) bool { return is(path.Backend) }) {
			return true
		}
	}
	return ing.Spec.DefaultBackend != nil && is(*ing.Spec.DefaultBackend)
}

// with are the pages with one more in a namespace, before the others.
func (p pages) with(namespace string, page pageapi.Page) pages {
	known := map[string][]pageapi.Page{}
	for ns, all := range p.known {
		known[ns] = all
	}
	known[namespace] = append([]pageapi.Page{page}, known[namespace]...)
	return pages{p.server, known}
}

// shown is what the page server answers, nil where a backend is none.
func (p pages) shown(namespace string, b networkingv1.IngressBackend, host, path string) *edge.Response {
	if ours := p.server.backend(); !p.server.known() || !kubeobject.Same(&b, &ours) {
		return nil
	}
	return p.answer(namespace, host, path)
}

func (p pages) answer(namespace, host, path string) *edge.Response {
	if page := pageapi.Choose(p.known[namespace], strings.Replace(host, "*", "any", 1), path); page != nil {
		return &page.Response
	}
	return &edge.Response{Status: 503, ContentType: "text/plain; charset=utf-8", Body: pageapi.Neutral}
}

// shownOn is a front of a load balancer on which rules that forward to the page
// server answer what that answers.
func (p pages) shownOn(front edge.Front) edge.Front {
	if !p.server.known() {
		return front
	}
	for namespace := range p.known {
		backend := plainingress.Backend(namespace, p.server.backend())
		for i := range front.Listeners {
			for j, r := range front.Listeners[i].Rules {
				if r.Action.Kind != edge.Forward || r.Action.Backend != backend {
					continue
				}
				host, path := sampleOf(r)
				front.Listeners[i].Rules[j].Action = edge.Action{Kind: edge.Respond, Login: r.Action.Login, Response: p.answer(namespace, host, path)}
			}
		}
	}
	return front
}

// sampleOf is a host and path that a rule is for.
func sampleOf(r edge.Rule) (host, path string) {
	path = "/"
	for _, c := range r.Conditions {
		switch c.Field {
		case edge.Host:
			host = c.Values[0]
		case edge.Path:
			path = strings.TrimSuffix(c.Values[0], "*")
		}
	}
	return host, path
}
