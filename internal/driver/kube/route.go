package kube

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/kube/plainingress"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

// RouteParams say which paths of an Ingress are to lead to another Service of
// its namespace. A path is known by its host, path and type and not by its
// place: others may add rules meanwhile.
type RouteParams struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Service   string `json:"service"`
	Port      int32  `json:"port"`
	Paths     []Path `json:"paths"`
}

// A Path is one path of an Ingress by name, or its default backend.
type Path struct {
	Host    string `json:"host,omitempty"`
	Path    string `json:"path,omitempty"`
	Type    string `json:"type,omitempty"`
	Default bool   `json:"default,omitempty"`
}

func (p Path) String() string {
	if p.Default {
		return "the default backend"
	}
	host := p.Host
	if host == "" {
		host = "any host"
	}
	return fmt.Sprintf("%s%s (%s)", host, p.Path, p.Type)
}

// Validate says what is missing.
func (p RouteParams) Validate() error {
	if p.Namespace == "" || p.Name == "" || p.Service == "" || p.Port == 0 || len(p.Paths) == 0 {
		return errors.New("namespace, name, service, port and paths are needed")
	}
	return nil
}

func (p RouteParams) backend() networkingv1.IngressBackend {
	return networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: p.Service, Port: networkingv1.ServiceBackendPort{Number: p.Port}}}
}

// Routed is the state: where each of the paths leads, in the order of the
// parameters. Everything else of the Ingress is the user's and is not in it.
type Routed struct {
	Paths []RoutedPath `json:"paths"`
}

// A RoutedPath is a path with its backends: one, or several where the Ingress
// names the path more than once, in their order. None: the path is not there.
type RoutedPath struct {
	Path     Path                          `json:"path"`
	Backends []networkingv1.IngressBackend `json:"backends,omitempty"`
}

type route struct {
	conn *conn
	p    RouteParams
	mark *action.Mark
}

func openRoute(c *conn, p RouteParams) (driver.Typed[Routed], error) {
	return &route{conn: c, p: p}, nil
}

func (c *route) Target() string { return c.conn.target(c.p.Namespace, "ingress", c.p.Name) }

func (c *route) name() string { return "ingress " + c.p.Namespace + "/" + c.p.Name }

func (c *route) Marked(m action.Mark) driver.Typed[Routed] {
	marked := *c
	marked.mark = &m
	return &marked
}

func (c *route) Requires() []action.Permission {
	own := func(verb, why string) action.Permission {
		return action.Permission{System: Name, Verb: verb, Resource: ingresses, Namespace: c.p.Namespace, Why: why}
	}
	return []action.Permission{own("get", "see where the Ingress leads"), own("patch", "lead it to the page server and back")}
}

func (c *route) Observe(ctx context.Context) (*Routed, error) {
	ing, err := c.conn.getIngress(ctx, c.p.Namespace, c.p.Name)
	if err != nil || ing == nil {
		return nil, err
	}
	return c.stateOf(ing), nil
}

// A spot is where one backend stands in an Ingress.
type spot struct {
	pointer string // to what holds the backend
	test    any    // what is there, as read
	field   string // of the backend in it, "" if it is the backend itself
	host    string // of its rule
	rule    int    // of its rule, -1 for the default backend
	backend networkingv1.IngressBackend
}

// spots are where the backends of a path stand, in their order.
func spots(ing *networkingv1.Ingress, p Path) []spot {
	if p.Default {
		if ing.Spec.DefaultBackend == nil {
			return nil
		}
		return []spot{{pointer: "/spec/defaultBackend", test: *ing.Spec.DefaultBackend, rule: -1, backend: *ing.Spec.DefaultBackend}}
	}
	var out []spot
	for i, r := range ing.Spec.Rules {
		if r.HTTP == nil || r.Host != p.Host {
			continue
		}
		for j, have := range r.HTTP.Paths {
			if pathOf(r.Host, have) == p {
				at := kubeclient.Pointer("spec", "rules", strconv.Itoa(i), "http", "paths", strconv.Itoa(j))
				out = append(out, spot{pointer: at, test: have, field: "/backend", host: r.Host, rule: i, backend: have.Backend})
			}
		}
	}
	return out
}

func pathOf(host string, p networkingv1.HTTPIngressPath) Path {
	return Path{Host: host, Path: p.Path, Type: string(typeOf(p))}
}

func (c *route) stateOf(ing *networkingv1.Ingress) *Routed {
	s := &Routed{}
	for _, p := range c.p.Paths {
		routed := RoutedPath{Path: p}
		for _, at := range spots(ing, p) {
			routed.Backends = append(routed.Backends, at.backend)
		}
		s.Paths = append(s.Paths, routed)
	}
	return s
}

func (c *route) Propose(from *Routed) (*Routed, error) {
	if from == nil {
		return nil, &fault.Fault{Code: fault.NotFound, Summary: "ingress does not exist",
			Detail: fmt.Sprintf("There is no %s in environment %s.", c.name(), c.conn.env.Name)}
	}
	to := &Routed{}
	ours := c.p.backend()
	led := 0
	for _, p := range from.Paths {
		next := RoutedPath{Path: p.Path}
		for _, b := range p.Backends {
			if kubeobject.Same(&b, &ours) {
				led++
			}
			next.Backends = append(next.Backends, ours)
		}
		if len(p.Backends) == 0 {
			return nil, &fault.Fault{Code: fault.NotFound, Summary: "path is not there any more",
				Detail: fmt.Sprintf("On %s there is no %s any more, for which this was planned. Make a new plan.", c.name(), p.Path)}
		}
		to.Paths = append(to.Paths, next)
	}
	if led > 0 && !kubeobject.Same(from, to) {
		return nil, kubeobject.Occupied(c.name())
	}
	return to, nil
}

// alike tells whether an Ingress as it is agrees with a state. A path that
// somebody took out meanwhile is nobody's any more: it is neither missed nor
// put back.
func alike(now, state *Routed) bool {
	if now == nil || state == nil {
		return now == state
	}
	want := map[Path][]networkingv1.IngressBackend{}
	for _, p := range state.Paths {
		want[p.Path] = p.Backends
	}
	for _, p := range now.Paths {
		wanted := RoutedPath{p.Path, want[p.Path]}
		if len(p.Backends) > 0 && !kubeobject.Same(&p, &wanted) {
			return false
		}
	}
	return true
}

func (c *route) Apply(ctx context.Context, from, to *Routed) error {
	ctx = driver.Alone(ctx)
	ing, err := c.conn.getIngress(ctx, c.p.Namespace, c.p.Name)
	if err != nil {
		return err
	}
	var now *Routed
	if ing != nil {
		now = c.stateOf(ing)
	}
	switch {
	case now != nil && alike(now, to):
		return c.tidy(ctx, ing, to)
	case now == nil || !alike(now, from):
		return kubeobject.Drifted(c.name(), from, now)
	case to == nil:
		return fmt.Errorf("%s: noren does not delete it; its receipt is not one of this action", c.name())
	}
	p := &kubeclient.Patch{}
	p.Test("/metadata/uid", ing.UID)
	if err := c.markAs(p, ing, to); err != nil {
		return err
	}
	c.move(p, ing, to)
	return c.write(ctx, p)
}

// move makes the paths lead to where the state says. Each is tested by value at
// its place, its host too: whoever moves or edits one in between makes the
// server refuse, and the next try reads again.
func (c *route) move(p *kubeclient.Patch, ing *networkingv1.Ingress, to *Routed) {
	for _, want := range to.Paths {
		for i, at := range spots(ing, want.Path) {
			if i >= len(want.Backends) || kubeobject.Same(&at.backend, &want.Backends[i]) {
				continue
			}
			if at.rule >= 0 {
				var host any
				if at.host != "" {
					host = at.host
				}
				p.Test(kubeclient.Pointer("spec", "rules", strconv.Itoa(at.rule), "host"), host)
			}
			p.Test(at.pointer, at.test).Add(at.pointer+at.field, want.Backends[i])
		}
	}
}

// led tells whether any path of a state leads to the page server.
func (c *route) led(s *Routed) bool {
	ours := c.p.backend()
	if s == nil {
		return false
	}
	for _, p := range s.Paths {
		for _, b := range p.Backends {
			if kubeobject.Same(&b, &ours) {
				return true
			}
		}
	}
	return false
}

// markAs puts the mark where the state is that of its receipt's To, and takes
// it away otherwise.
func (c *route) markAs(p *kubeclient.Patch, ing *networkingv1.Ingress, to *Routed) error {
	var wanted *string
	raw := lookUp(ing.Annotations, kubeclient.MarkAnnotation)
	foreign := raw != nil && c.mark != nil && foreignMark(*raw, c.mark.Receipt)
	switch {
	case foreign && c.led(to):
		return kubeobject.Occupied(c.name())
	case foreign: // another run's, for other paths
		return nil
	}
	if c.mark != nil && c.led(to) {
		raw, err := c.mark.Text()
		if err != nil {
			return err
		}
		wanted = &raw
	}
	if len(ing.Annotations) == 0 {
		if wanted == nil {
			return nil
		}
		p.Test("/metadata/annotations", nil).Add("/metadata/annotations", map[string]string{})
	}
	move(p, kubeclient.Annotation(kubeclient.MarkAnnotation), raw, wanted)
	return nil
}

// foreignMark tells whether a mark is that of another run. One that cannot be
// read is nobody's.
func foreignMark(raw string, r action.Receipt) bool {
	left, _ := action.ParseMark(raw) // what of it can be read
	return left.Receipt.Run != "" && left.Receipt.Run != r.Run
}

// tidy takes this run's mark away where somebody else led the paths back by
// hand and left it.
func (c *route) tidy(ctx context.Context, ing *networkingv1.Ingress, to *Routed) error {
	raw := lookUp(ing.Annotations, kubeclient.MarkAnnotation)
	if c.mark == nil || c.led(to) || raw == nil || !kubeobject.SameReceipt(*raw, c.mark.Receipt) {
		return nil
	}
	p := &kubeclient.Patch{}
	p.Test("/metadata/uid", ing.UID)
	move(p, kubeclient.Annotation(kubeclient.MarkAnnotation), raw, nil)
	return c.write(ctx, p)
}

func (c *route) write(ctx context.Context, p *kubeclient.Patch) error {
	body, err := p.JSON()
	if err != nil {
		return err
	}
	_, err = c.conn.client.Typed.NetworkingV1().Ingresses(c.p.Namespace).
		Patch(ctx, c.p.Name, types.JSONPatchType, body, metav1.PatchOptions{FieldManager: kubeclient.FieldManager})
	err = kubeclient.Classify(err, "patch "+c.name())
	if errors.Is(err, kubeclient.ErrTestFailed) {
		// The object changed between the read and the write. Nothing was
		// written: the next try reads again, and knows whether it is drift.
		return fmt.Errorf("%w: %w", action.ErrUnavailable, err)
	}
	return err
}

// Settled: the Ingress leads where it should. Controllers of the usual classes
// report nothing that could be waited for: the probe through the public URL has
// the last word.
func (c *route) Settled(ctx context.Context, want *Routed) (action.Verdict, error) {
	now, err := c.Observe(ctx)
	if err != nil {
		return action.Verdict{}, err
	}
	v := action.Verdict{OK: now != nil && alike(now, want), Summary: c.name() + " leads to its own Services"}
	if c.led(want) {
		v.Summary = fmt.Sprintf("%s leads to the page server (service %s)", c.name(), c.p.Service)
	}
	if !v.OK {
		v.Summary, v.Findings = c.name()+" is not as noren left it", []string{"someone changed it since"}
	}
	return v, nil
}

func (c *route) Describe(from, to *Routed) action.Description {
	d := action.Description{Line: "leave " + c.name() + " as it is", Before: c.manifest(from), After: c.manifest(to)}
	paths := "its path"
	if n := len(c.p.Paths); n > 1 {
		paths = fmt.Sprintf("%d paths of it", n)
	}
	switch was, will := c.led(from), c.led(to); {
	case will && !was:
		d.Line = fmt.Sprintf("lead %s to the page server: %s", c.name(), paths)
	case was && !will:
		d.Line = fmt.Sprintf("lead %s back to its own Services: %s", c.name(), paths)
	}
	return d
}

// manifest shows where each path leads, a line for each: the rest of the rules
// is not noren's to show as changed.
func (c *route) manifest(s *Routed) string {
	if s == nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n", c.name())
	for _, p := range s.Paths {
		for _, backend := range p.Backends {
			fmt.Fprintf(&b, "%s -> %s\n", p.Path, plainingress.Backend(c.p.Namespace, backend))
		}
	}
	return b.String()
}
