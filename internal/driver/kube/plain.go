package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/driver/kube/plainingress"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient/gitops"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
	"github.com/noren-dev/noren/internal/kubeclient/kubepage"
	"github.com/noren-dev/noren/internal/pageserver/pageapi"
)

// A plainReading is what Close needs of what Survey read of an Ingress whose
// controller sends no page.
type plainReading struct {
	ing     *networkingv1.Ingress
	class   string                  // for people: `class "nginx"`
	members []*networkingv1.Ingress // of the same class, this one included
	owner   *driver.Owner
	pages   pages
}

// surveyPlain reads an Ingress of any class.
func (e *entrance) surveyPlain(ctx context.Context, ing *networkingv1.Ingress, all *cluster) (*driver.Survey, error) {
	class, _ := all.classes.Of(ing)
	r := &plainReading{ing: ing, class: "no class"}
	if class.Name != "" {
		r.class = fmt.Sprintf("class %q", class.Name)
	}
	for _, m := range all.ingresses {
		if of, ours := all.classes.Of(m); !ours && of.Name == class.Name && m.DeletionTimestamp == nil {
			r.members = append(r.members, m)
		}
	}
	r.owner = gitops.OwnerOf(ing, "Ingress")
	var err error
	if r.pages, err = e.readPages(ctx, r.members); err != nil {
		return nil, err
	}
	s := &driver.Survey{
		Target: e.conn.target(e.namespace, "ingress", e.name), Hosts: plainHosts(ing), URLs: plainURLs(ing, allPaths(ing, nil)),
		Front: plainingress.Build(r.members, r.pages.shown), Owner: r.owner, Seen: r,
	}
	s.Notes = e.plainNotes(r, s)
	return s, nil
}

// plainHosts are the hosts of an Ingress, "" where a rule or the default
// backend serves any.
func plainHosts(ing *networkingv1.Ingress) []string {
	var hosts []string
	for _, p := range allPaths(ing, nil) {
		if !slices.Contains(hosts, p.Host) {
			hosts = append(hosts, p.Host)
		}
	}
	return hosts
}

// allPaths are the paths of an Ingress by name, each once, its default backend
// last; of the hosts given, or of all.
func allPaths(ing *networkingv1.Ingress, hosts []string) []Path {
	var out []Path
	for _, r := range ing.Spec.Rules {
		if r.HTTP == nil || len(hosts) > 0 && !slices.Contains(hosts, r.Host) {
			continue
		}
		for _, have := range r.HTTP.Paths {
			if p := pathOf(r.Host, have); !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	if ing.Spec.DefaultBackend != nil && len(hosts) == 0 {
		out = append(out, Path{Default: true})
	}
	return out
}

// plainURLs are where customers come in at the paths given: one for each host,
// over TLS where the Ingress has it for that host.
func plainURLs(ing *networkingv1.Ingress, paths []Path) []string {
	var hosts, out []string
	for _, p := range paths {
		name := p.Host
		if name == "" {
			name = address(ing)
		}
		if name == "" || strings.ContainsAny(name, "*?") || slices.Contains(hosts, name) {
			continue
		}
		hosts = append(hosts, name)
		scheme := "http://"
		if slices.ContainsFunc(ing.Spec.TLS, func(t networkingv1.IngressTLS) bool { return len(t.Hosts) == 0 || servesHost(t.Hosts, name) }) {
			scheme = "https://"
		}
		out = append(out, scheme+name+shortest(paths, p.Host))
	}
	return out
}

// shortest is the path nearest to the root among those of a host.
func shortest(paths []Path, host string) string {
	best := ""
	for _, p := range paths {
		path := p.Path
		if path == "" {
			path = "/"
		}
		if p.Host == host && strings.HasPrefix(path, "/") && !strings.ContainsAny(path, `*?()[]\|+^$`) && (best == "" || len(path) < len(best)) {
			best = path
		}
	}
	if best == "" {
		return "/"
	}
	return best
}

// closePlain proposes to lead the Ingress's paths to the page server.
func (e *entrance) closePlain(r *plainReading, c edge.Closing) (*driver.Proposal, error) {
	if err := checkPatterns(c); err != nil {
		return nil, err
	}
	if err := e.inexpressible(r, c); err != nil {
		return nil, err
	}
	paths, unserved, err := closedPaths(r.ing, c)
	if err != nil {
		return nil, err
	}
	if wrong := hindrances(r.ing); len(wrong) > 0 {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "the page would not be seen",
			Detail: fmt.Sprintf("Ingress %s leads nobody to the page: %s. noren does not change annotations of yours: put these paths into an Ingress without it, or let noren's gate stand before them.", e.key(), strings.Join(wrong, "; "))}
	}
	server := e.pageServer()
	c.Page.Mark = c.Mark
	shown := pageapi.Page{Hosts: hostsOfPaths(paths), Paths: pathsOfPage(paths), Response: c.Page}
	page, err := kubepage.NewParams(e.namespace, kubeobject.Name(e.name, overlayPage), shown)
	if err != nil {
		return nil, err
	}
	led := RouteParams{Namespace: e.namespace, Name: e.name, Service: server.service, Port: server.port, Paths: paths}
	after := withRoutes(r.members, r.ing, led)
	p := &driver.Proposal{
		Strategy: StrategyBackend, EditsOwned: true,
		Why: fmt.Sprintf("Ingress %s is of %s, whose controller sends no page: noren's page server (service %s) does.", e.key(), r.class, server.service),
		Checks: []driver.Call{
			{Action: CheckUnchanged, Params: UnchangedParams{Namespace: e.namespace, Name: e.name, UID: string(r.ing.UID), Digest: digest(r.ing)}},
			{Action: CheckPageServer, Params: kubepage.ServerParams{Namespace: e.namespace, Service: server.service, Port: server.port}},
		},
		Calls: []driver.Call{{Action: ActionPage, Params: page}, {Action: ActionRoute, Params: led}},
		Front: plainingress.Build(after, r.pages.with(e.namespace, shown).shown),
		URLs:  plainURLs(r.ing, paths),
	}
	if services := servicesOfPaths(r.ing, paths); len(services) > 0 {
		p.Ready = []driver.Call{{Action: CheckBackends, Params: BackendParams{Namespace: e.namespace, Services: services}}}
	}
	p.Budgets = []driver.Budget{pageBudget(shown)}
	p.Notes = e.plainClosingNotes(r, unserved)
	return p, nil
}

func pageBudget(p pageapi.Page) driver.Budget {
	files, err := p.Files()
	if err != nil {
		return driver.Budget{}
	}
	return driver.Budget{What: "bytes of a page's ConfigMap", Used: pageapi.Size(files), Limit: pageapi.MaxSize}
}

// inexpressible refuses what the rules of an Ingress have no words for, and
// says what has.
func (e *entrance) inexpressible(r *plainReading, c edge.Closing) error {
	var asked []string
	if len(c.Bypass.Sources) > 0 {
		asked = append(asked, "staff by address (bypass: sources, --allow)")
	}
	if c.Bypass.Pass != "" {
		asked = append(asked, "staff by pass (--pass)")
	}
	if c.Mode == edge.ReadOnly {
		asked = append(asked, "read-only mode (--read-only)")
	}
	if len(asked) == 0 {
		return nil
	}
	return &fault.Fault{Code: fault.Invalid, Summary: "strategy backend cannot do that",
		Detail: fmt.Sprintf("Ingress %s is of %s and is closed by strategy backend. Rules of an Ingress know hosts and paths alone, neither addresses nor headers nor methods, so it cannot have: %s. The strategies overlay and patch can (load balancers of the AWS Load Balancer Controller), and so can noren's gate.",
			e.key(), r.class, strings.Join(asked, "; ")),
		Try: []string{"close it without them, or put the service into an environment without bypass"}}
}

// hostsOfPaths are the hosts for which the page is, "" for any.
func hostsOfPaths(paths []Path) []string {
	var hosts []string
	for _, p := range paths {
		if !slices.Contains(hosts, p.Host) {
			hosts = append(hosts, p.Host)
		}
	}
	return hosts
}

// pathsOfPage tell the page server which of several pages of a host a request
// is for. None are needed where a page is for all of a host.
func pathsOfPage(paths []Path) []string {
	var out []string
	for _, p := range paths {
		if p.Default || p.Path == "" || p.Path == "/" {
			return nil
		}
		if !slices.Contains(out, p.Path) {
			out = append(out, p.Path)
		}
	}
	return out
}

// withRoutes are the members as they would be.
func withRoutes(members []*networkingv1.Ingress, ing *networkingv1.Ingress, p RouteParams) []*networkingv1.Ingress {
	led := ing.DeepCopy()
	is := func(host string, have networkingv1.HTTPIngressPath) bool {
		return slices.Contains(p.Paths, pathOf(host, have))
	}
	for i, r := range led.Spec.Rules {
		for j := range httpPaths(r) {
			if is(r.Host, r.HTTP.Paths[j]) {
				led.Spec.Rules[i].HTTP.Paths[j].Backend = p.backend()
			}
		}
	}
	if slices.Contains(p.Paths, Path{Default: true}) {
		ours := p.backend()
		led.Spec.DefaultBackend = &ours
	}
	out := slices.Clone(members)
	for i, m := range out {
		if lbc.Key(m) == lbc.Key(ing) {
			out[i] = led
		}
	}
	return out
}

func httpPaths(r networkingv1.IngressRule) []networkingv1.HTTPIngressPath {
	if r.HTTP == nil {
		return nil
	}
	return r.HTTP.Paths
}

// servicesOfPaths are the Services to which paths lead now.
func servicesOfPaths(ing *networkingv1.Ingress, paths []Path) []string {
	var out []string
	for _, p := range paths {
		for _, at := range spots(ing, p) {
			if s := at.backend.Service; s != nil && !slices.Contains(out, s.Name) {
				out = append(out, s.Name)
			}
		}
	}
	slices.Sort(out)
	return out
}
