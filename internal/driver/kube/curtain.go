package kube

import (
	"fmt"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
)

// The parts of the curtain, in the order of package edge's Curtain. They name
// the actions, and so appear in who-sees.
const (
	partProbe   = "probe"
	partAddress = "staff-by-address"
	partPass    = "staff-by-pass"
	partCookie  = "staff-by-cookie"
	partOpen    = "kept-open"
	partClosed  = "closed"
	partWrites  = "closed-to-writes"
	partPaths   = "closed-paths"
)

// A piece is one rule of the curtain in the terms of an Ingress.
type piece struct {
	part       string
	host       string // "" for any
	path       string // as in the Ingress it is copied from; "" for any
	pathType   networkingv1.PathType
	conditions []lbc.Condition
	action     lbc.Action
	transforms string
	regex      bool // path is a regular expression of the Ingress copied from
}

// A curtain is the pieces in order: probe, staff and kept open, closed.
type curtain struct {
	probe, through, closed []piece
	services               []string // behind the closed entries
	unserved               []string // paths to keep open that the Ingress does not serve
	ownPaths               bool     // only the Ingress's own paths are closed
}

func (c curtain) all() []piece { return slices.Concat(c.probe, c.through, c.closed) }

// draw makes the curtain for the hosts, with the action that shows the page.
// shared tells for a host whether rules of other Ingresses can serve it, too.
func draw(r *reading, c edge.Closing, page lbc.Action, hosts []string, shared func(host string) bool) (curtain, error) {
	out := curtain{services: servicesBehind(r.ing, hosts)}
	d := drawing{r.ing, c, page}
	for _, host := range hosts {
		out.ownPaths = out.ownPaths || shared(host)
	}
	plain := c.Mode == edge.Closed && c.Bypass.IsZero() && len(c.KeepOpen) == 0 && !out.ownPaths
	for _, host := range hosts {
		if !plain {
			out.probe = append(out.probe, piece{part: partProbe, host: host, action: page,
				conditions: []lbc.Condition{header(edge.ProbeHeader, "*")}})
		}
	}
	for _, v := range d.variants() {
		for _, host := range hosts {
			pieces, err := d.through(v, host)
			if err != nil {
				return out, err
			}
			out.through = append(out.through, pieces...)
		}
	}
	for _, pattern := range c.KeepOpen {
		pieces, err := d.keptOpen(hosts, pattern)
		if err != nil {
			return out, err
		}
		if len(pieces) == 0 {
			out.unserved = append(out.unserved, pattern)
		}
		out.through = append(out.through, pieces...)
	}
	for _, host := range hosts {
		out.closed = append(out.closed, d.closed(host, shared(host))...)
	}
	var err error
	for _, part := range []*[]piece{&out.probe, &out.through, &out.closed} {
		if *part, err = fitAll(*part); err != nil {
			return out, err
		}
	}
	return out, nil
}

type drawing struct {
	ing  *networkingv1.Ingress
	c    edge.Closing
	page lbc.Action
}

// A variant is one way for staff to be known.
type variant struct {
	part string
	cond lbc.Condition
}

func (d drawing) variants() []variant {
	var out []variant
	if len(d.c.Bypass.Sources) > 0 {
		var cidrs []string
		for _, p := range d.c.Bypass.Sources {
			cidrs = append(cidrs, p.String())
		}
		out = append(out, variant{partAddress, lbc.Condition{Field: lbc.FieldSource, Source: &lbc.Values{Values: cidrs}}})
	}
	if pass := d.c.Bypass.Pass; pass != "" {
		out = append(out, variant{partPass, header(edge.PassHeader, pass)},
			variant{partCookie, header("Cookie", "*"+edge.PassCookie+"="+pass+"*")})
	}
	return out
}

func header(name, value string) lbc.Condition {
	return lbc.Condition{Field: lbc.FieldHeader, Header: &lbc.HeaderValues{Name: name, Values: []string{value}}}
}

// through copies the Ingress's entries for a host behind a further condition.
func (d drawing) through(v variant, host string) ([]piece, error) {
	var out []piece
	for _, e := range entriesOf(d.ing, host) {
		if e.err != nil {
			return nil, unclear(d.ing, e.err)
		}
		for _, c := range e.conditions {
			if c.Field == v.cond.Field && c.Field == lbc.FieldSource {
				return nil, &fault.Fault{Code: fault.Invalid, Summary: "staff cannot be let through by address here",
					Detail: fmt.Sprintf("Ingress %s has rules with a source-ip condition of their own, and a listener rule can have only one. A pass (header or cookie) lets staff through here.", lbc.Key(d.ing))}
			}
		}
		p := pieceOf(v.part, host, e)
		p.conditions = append([]lbc.Condition{v.cond}, p.conditions...)
		out = append(out, p)
	}
	return out, nil
}

// pieceOf copies an entry. A path that matches every path is left out: it
// would cost a value and a wildcard of the rule's limits.
func pieceOf(part, host string, e entry) piece {
	p := piece{part: part, host: host, conditions: slices.Clone(e.conditions), action: e.action, transforms: e.transforms}
	every := slices.Contains(e.patterns, "/*") || slices.Contains(e.patterns, "*")
	switch {
	case len(e.patterns) == 0, every && !e.regex:
		return p
	case e.regex, fromPath(e):
		p.path, p.pathType, p.regex = e.path.Path, typeOf(e.path), e.regex
	}
	if extra := e.patterns[countFromPath(e):]; len(extra) > 0 {
		v := &lbc.Values{Values: extra}
		if e.regex {
			v = &lbc.Values{RegexValues: extra}
		}
		p.conditions = append(p.conditions, lbc.Condition{Field: lbc.FieldPath, Path: v})
	}
	return p
}

// countFromPath is how many of an entry's patterns its path made; the others
// are its backend's conditions.
func countFromPath(e entry) int {
	switch {
	case e.path.Path == "":
		return 0
	case typeOf(e.path) == networkingv1.PathTypePrefix && e.path.Path != "/":
		return 2
	}
	return 1
}

func fromPath(e entry) bool { return countFromPath(e) > 0 }

func typeOf(p networkingv1.HTTPIngressPath) networkingv1.PathType {
	if p.PathType == nil {
		return networkingv1.PathTypeImplementationSpecific
	}
	return *p.PathType
}

// keptOpen finds the entries that serve a path to be kept open now.
func (d drawing) keptOpen(hosts []string, pattern string) ([]piece, error) {
	var out []piece
	for _, host := range hosts {
		pieces, err := d.keep(host, pattern)
		if err != nil {
			return nil, err
		}
		out = append(out, pieces...)
	}
	return out, nil
}

func (d drawing) keep(host, pattern string) ([]piece, error) {
	var out []piece
	add := func(e entry, pattern string) {
		out = append(out, piece{part: partOpen, host: host, action: e.action, transforms: e.transforms,
			conditions: append([]lbc.Condition{paths(pattern)}, e.conditions...)})
	}
	for _, e := range entriesOf(d.ing, host) {
		if e.err != nil {
			return nil, unclear(d.ing, e.err)
		}
		if e.regex {
			return nil, inexpressible(d.ing, pattern, "its paths are regular expressions")
		}
		if len(e.patterns) == 0 {
			add(e, pattern)
			if len(e.conditions) == 0 {
				return out, nil
			}
			continue
		}
		for _, own := range e.patterns {
			switch relate(own, pattern) {
			case inside:
				add(e, pattern)
				if len(e.conditions) == 0 {
					return out, nil
				}
			case around:
				add(e, own)
			case unknowns:
				return nil, inexpressible(d.ing, pattern, fmt.Sprintf("whether it meets the path %s cannot be told", own))
			}
		}
	}
	return out, nil
}

func inexpressible(ing *networkingv1.Ingress, pattern, why string) error {
	return &fault.Fault{Code: fault.Invalid, Summary: "path cannot be kept open",
		Detail: fmt.Sprintf("Ingress %s cannot keep %s open: %s. Name a path as the Ingress itself writes it, or close in mode paths.", lbc.Key(ing), pattern, why)}
}

func unclear(ing *networkingv1.Ingress, err error) error {
	return &fault.Fault{Code: fault.Invalid, Summary: "ingress is not valid for its controller",
		Detail: fmt.Sprintf("Ingress %s cannot be copied for staff: %v.", lbc.Key(ing), err), Err: err}
}

// closed are the rules that customers meet. Where others' rules serve the same
// host, only the Ingress's own paths are closed.
func (d drawing) closed(host string, shared bool) []piece {
	switch d.c.Mode {
	case edge.Paths:
		return []piece{{part: partPaths, host: host, action: d.page, conditions: []lbc.Condition{paths(d.c.Paths...)}}}
	case edge.ReadOnly:
		writes := lbc.Condition{Field: lbc.FieldMethod, Method: &lbc.Values{Values: writeMethods()}}
		return d.closedEntries(partWrites, host, shared, writes)
	default:
		return d.closedEntries(partClosed, host, shared)
	}
}

func (d drawing) closedEntries(part, host string, shared bool, more ...lbc.Condition) []piece {
	if !shared {
		return []piece{{part: part, host: host, action: d.page, conditions: more}}
	}
	var out []piece
	for _, e := range entriesOf(d.ing, host) {
		if e.fallback || e.err != nil {
			continue
		}
		p := pieceOf(part, host, e)
		p.action, p.transforms = d.page, ""
		// A condition on the method of its own would clash with ours; the page
		// then covers the path whatever the method, which is what closed means.
		if len(more) > 0 {
			p.conditions = slices.DeleteFunc(p.conditions, func(c lbc.Condition) bool { return c.Field == lbc.FieldMethod })
		}
		p.conditions = append(p.conditions, more...)
		out = append(out, p)
	}
	return out
}

// writeMethods are refused in read-only mode: those of package edge.
func writeMethods() []string {
	for _, r := range edge.Curtain(edge.Closing{Mode: edge.ReadOnly}) {
		for _, c := range r.Conditions {
			if c.Field == edge.Method {
				return c.Values
			}
		}
	}
	return nil
}

func paths(patterns ...string) lbc.Condition {
	return lbc.Condition{Field: lbc.FieldPath, Path: &lbc.Values{Values: patterns}}
}

func pageAction(r edge.Response) lbc.Action {
	contentType, _, _ := strings.Cut(r.ContentType, ";") // no charset parameter: see lbc.ContentTypes
	contentType = strings.TrimSpace(contentType)
	return lbc.Action{Type: lbc.TypeFixedResponse, FixedResponse: &lbc.FixedResponse{
		ContentType: &contentType, StatusCode: fmt.Sprint(r.Status), MessageBody: &r.Body}}
}

// servicesBehind are the Services to which the Ingress forwards the hosts.
func servicesBehind(ing *networkingv1.Ingress, hosts []string) []string {
	var out []string
	for _, host := range hosts {
		for _, e := range entriesOf(ing, host) {
			if e.action.Forward == nil {
				continue
			}
			for _, t := range e.action.Forward.TargetGroups {
				if t.ServiceName != nil && !slices.Contains(out, *t.ServiceName) {
					out = append(out, *t.ServiceName)
				}
			}
		}
	}
	slices.Sort(out)
	return out
}
