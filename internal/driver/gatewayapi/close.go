package gatewayapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/gatewayapi/gw"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient/gitops"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
	"github.com/noren-dev/noren/internal/kubeclient/kubepage"
	"github.com/noren-dev/noren/internal/pageserver/pageapi"
)

// Close implements driver.Entrance.
func (e *routeEntrance) Close(s *driver.Survey, c edge.Closing) (*driver.Proposal, error) {
	r, ok := s.Seen.(*reading)
	if !ok {
		return nil, fmt.Errorf("%s %s: Close needs what Survey of the same session returned", kindRoute, e.key())
	}
	if err := wholeRoute(e.key(), r.hosts, c.Hosts); err != nil {
		return nil, err
	}
	x := &closer{entrance: e, r: r, c: c, params: InsertParams{Namespace: e.namespace, Name: e.name}}
	x.params.Tolerated, _ = badAlready(r.route.object)
	if r.native != nil && (!s.LargePages || len(c.Page.Body) <= r.native.limit) {
		return x.byAnswer()
	}
	return x.byServer()
}

// wholeRoute refuses to close some hosts of a route: rules do not tell hosts
// apart.
func wholeRoute(key string, own, asked []string) error {
	for _, h := range asked {
		if !slices.Contains(own, h) {
			f := invalid("host is not served here", "%s does not serve %s. It serves: %s.", key, h, some(own))
			if near := fault.Nearest(h, own); near != "" {
				f.Detail += fmt.Sprintf(" Did you mean %s?", near)
			}
			return f
		}
	}
	if len(asked) > 0 && len(asked) < len(own) {
		return invalid("route closes for all its hosts", "The rules of %s are for all of its hosts (%s): it cannot be closed for some of them.", key, some(own))
	}
	return nil
}

// A closer makes a proposal.
type closer struct {
	entrance *routeEntrance
	r        *reading
	c        edge.Closing
	params   InsertParams
	calls    []driver.Call
	objects  objects // that the calls create
}

// byAnswer closes with an object from which the implementation answers.
func (x *closer) byAnswer() (*driver.Proposal, error) {
	e, m := x.entrance, x.r.native
	if err := m.checkPage(x.c.Page); err != nil {
		return nil, err
	}
	object := kubeobject.Name(e.name, partAnswer)
	x.params.Signs = []string{object}
	x.objects = objects{}
	if err := x.create(object, m.spec(x.c.Page, x.r.headers)); err != nil {
		return nil, err
	}
	d := x.drawing(map[string]any{"filters": []any{m.filter(object)}})
	if m.sources {
		d.sources = func(n int, cidrs []string) (map[string]any, string, any) {
			name := sourceName(e.name, n)
			return m.filter(name), name, sourceSpec(cidrs)
		}
	}
	d.values, d.hosts = m.values, len(x.r.route.Hostnames)
	why := fmt.Sprintf("HTTPRoute %s is on a Gateway of %s, which answers by itself: rules of noren's at the head of the route do, and yours stay as they are.", e.key(), m.people)
	if e.options.Strategy == strategyNative {
		why = "The catalog asks for it."
	}
	p, err := x.propose(d, strategyNative, why)
	if err != nil {
		return nil, err
	}
	if m.values > 0 {
		p.Budgets = append(p.Budgets, x.listenerRules()...)
	}
	return p, nil
}

// listenerRules are how many rules each Gateway's load balancer has and would
// have: one for each match on each listener. Source:
// model_build_listener.go buildListenerRules of the AWS Load Balancer Controller.
func (x *closer) listenerRules() []driver.Budget {
	added := 0
	for _, raw := range x.params.Rules {
		var rule gw.Rule
		_ = json.Unmarshal(raw, &rule) // it was made a moment ago
		added += len(rule.Takes())
	}
	var out []driver.Budget
	for _, g := range x.r.gateways {
		before, here := 0, 0
		for _, r := range x.r.routes {
			on, _ := gw.Attach(r, []gw.Gateway{g})
			for _, rule := range r.Rules {
				before += len(on) * len(rule.Takes())
			}
			if r.Key() == x.entrance.key() {
				here = len(on)
			}
		}
		out = append(out, driver.Budget{What: "listener rules", Of: "the load balancer of Gateway " + g.Key(), Before: before, Used: before + here*added, Limit: x.entrance.conn.quota,
			Raise: "If AWS raised the quota of rules per load balancer, say so in noren.yaml, in the environment's section gatewayapi: rule_quota: 200"})
	}
	return out
}

// create adds a call that creates an object of the implementation.
func (x *closer) create(object string, spec any) error {
	p, err := x.r.native.answerParams(x.entrance.namespace, object, spec)
	if err != nil {
		return err
	}
	plain, _ := kubeobject.Plain(spec).(map[string]any)
	x.objects[objectKey(p.Kind, p.Namespace, p.Name)] = plain
	x.calls = append(x.calls, driver.Call{Action: actionAnswer, Params: p})
	return nil
}

// byServer closes by leading requests to noren's page server.
func (x *closer) byServer() (*driver.Proposal, error) {
	e, server := x.entrance, x.entrance.server()
	if !x.r.granted {
		return nil, grantMissing(e.namespace, server)
	}
	x.params.Signs = []string{serviceSign(server.Namespace, server.Name)}
	d := x.drawing(map[string]any{"backendRefs": []any{server.backend(e.namespace)}})
	shown := pageapi.Page{Hosts: named(x.r.hosts), Paths: d.prefixes(), Response: x.c.Page}
	name := e.name
	if server.Namespace != e.namespace {
		name = e.namespace + "-" + e.name
	}
	page, err := kubepage.NewParams(server.Namespace, kubeobject.Name(name, partPage), shown)
	if err != nil {
		return nil, err
	}
	x.calls = []driver.Call{{Action: actionPage, Params: page}}
	why := fmt.Sprintf("HTTPRoute %s is on a Gateway of %s, which noren cannot make answer by itself: rules of noren's at the head of the route lead to its page server (service %s).", e.key(), x.r.people, server)
	switch {
	case e.options.Strategy == strategyBackend:
		why = fmt.Sprintf("The catalog asks for it. Rules of noren's at the head of the route lead to its page server (service %s).", server)
	case x.r.native != nil:
		why = fmt.Sprintf("The page is larger than %s sends, so rules of noren's at the head of the route lead to its page server (service %s).", x.r.people, server)
	}
	p, err := x.propose(d, strategyBackend, why)
	if err != nil {
		return nil, err
	}
	if x.r.people == awsLoadBalancer().people {
		p.Notes = append(p.Notes, driver.Note{Text: "The load balancer makes a target group for the page server now: customers get a 503 of its own until the first health checks have passed."})
	}
	p.Checks = append(p.Checks, driver.Call{Action: checkServer, Params: kubepage.ServerParams{Namespace: server.Namespace, Service: server.Name, Port: server.Port}})
	return p, nil
}

func named(hosts []string) []string {
	return slices.DeleteFunc(slices.Clone(hosts), func(h string) bool { return h == "" })
}

// drawing begins the curtain.
func (x *closer) drawing(page map[string]any) *drawing {
	raw, read := x.r.user()
	return &drawing{rules: raw, read: read, closing: x.c, page: page}
}

// prefixes are the paths of the route's matches, none where that is any: by
// them a page server tells the pages of two routes of one host apart.
func (d *drawing) prefixes() []string {
	var out []string
	for _, k := range d.every() {
		if k.regex || k.place.path == "" {
			return nil
		}
		if !slices.Contains(out, k.place.path) {
			out = append(out, k.place.path)
		}
	}
	return out
}

// propose draws the curtain and puts the proposal together.
func (x *closer) propose(d *drawing, strategy, why string) (*driver.Proposal, error) {
	e := x.entrance
	cur, err := d.draw()
	if err != nil {
		return nil, on("HTTPRoute "+e.key(), err)
	}
	for _, object := range slices.Sorted(maps.Keys(cur.sources)) {
		if err := x.create(object, cur.sources[object]); err != nil {
			return nil, err
		}
		x.params.Signs = append(x.params.Signs, object)
	}
	for _, rule := range cur.all() {
		raw, err := json.Marshal(rule)
		if err != nil {
			return nil, fmt.Errorf("httproute %s: %w", e.key(), err)
		}
		x.params.Rules = append(x.params.Rules, raw)
	}
	for _, rule := range d.rules {
		x.params.Closed = append(x.params.Closed, matchDigests(rule)...)
	}
	front, err := x.front(cur, d.rules)
	if err != nil {
		return nil, err
	}
	p := &driver.Proposal{
		Strategy: strategy, Why: why, EditsOwned: true, Front: front,
		Checks:  []driver.Call{{Action: checkUnchanged, Params: unchangedParams(httpRoutes(), x.r.route.object, d.rules)}},
		Calls:   append(x.calls, driver.Call{Action: actionRoute, Params: x.params}),
		Budgets: []driver.Budget{{What: "rules of the route", Used: len(cur.all()) + len(d.rules), Limit: maxRules}},
		Notes:   x.notes(),
	}
	if services := d.services(e.namespace); len(services) > 0 {
		p.Ready = []driver.Call{{Action: checkBackends, Params: BackendParams{Namespace: e.namespace, Services: services}}}
	}
	return p, nil
}

// on says of which route a fault about drawing is.
func on(route string, err error) error {
	var f *fault.Fault
	if errors.As(err, &f) {
		f.Detail = route + ": " + f.Detail
	}
	return err
}

// front is the door as it would be.
func (x *closer) front(cur curtain, user []map[string]any) (edge.Front, error) {
	all := slices.Concat(cur.all(), user)
	closed := x.r.route.Route
	closed.Rules = nil
	if err := convert(all, &closed.Rules); err != nil {
		return edge.Front{}, fmt.Errorf("httproute %s: %w", x.entrance.key(), err)
	}
	routes := slices.Clone(x.r.routes)
	for i := range routes {
		if routes[i].Key() == closed.Key() {
			routes[i] = closed
		}
	}
	r := *x.r
	r.objects = maps.Clone(x.r.objects)
	maps.Copy(r.objects, x.objects)
	front, _ := gw.Front(r.gateways, routes, r.reader(x.params, all, &x.c.Page))
	return front, nil
}

// services are the Services of the namespace behind the user's rules.
func (d *drawing) services(namespace string) []string {
	var out []string
	for _, rule := range d.read {
		for _, b := range rule.Backends {
			if b.IsService() && b.In(namespace) == namespace && (b.Weight == nil || *b.Weight > 0) && !slices.Contains(out, b.Name) {
				out = append(out, b.Name)
			}
		}
	}
	slices.Sort(out)
	return out
}

// notes are what the reader of a plan should know of this closing.
func (x *closer) notes() []driver.Note {
	var notes []driver.Note
	say := func(warn bool, format string, args ...any) {
		notes = append(notes, driver.Note{Warn: warn, Text: fmt.Sprintf(format, args...)})
	}
	key := x.entrance.key()
	if x.c.Bypass.Pass != "" {
		say(false, "Staff pass httproute %s by the header %s; the cookie does not work there, since a route compares a cookie as a whole.", key, edge.PassHeader)
	}
	if len(x.c.KeepOpen) > 0 || x.c.Mode == edge.Paths {
		for _, p := range slices.Concat(x.c.KeepOpen, x.c.Paths) {
			if path, below := strings.CutSuffix(p, "/*"); below && path != "" {
				say(false, "%s stands for %s too on httproute %s: a route cannot tell them apart.", p, path, key)
			}
		}
	}
	for _, editor := range gitops.Editors(x.r.route.object, gitops.OwnerOf(x.r.route.object, "HTTPRoute")) {
		say(true, "HTTPRoute %s is also written by %s, which would take the page away at its next run: pause it meanwhile.", key, editor)
	}
	return notes
}
