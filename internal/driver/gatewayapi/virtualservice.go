package gatewayapi

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/kubeclient/gitops"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

// openVirtualService opens gatewayapi/virtualservice.insert.
func openVirtualService(c *conn, p InsertParams) (driver.Typed[Inserted], error) {
	return &insertion{conn: c, p: p, on: virtualServiceList()}, nil
}

// virtualServiceList is the list of a VirtualService's HTTP entries. Nobody
// reports on it: Istio's status field is off unless asked for.
// Source: https://istio.io/latest/docs/reference/config/config-status/
func virtualServiceList() listed {
	return listed{
		resource: virtualServices(), path: []string{"spec", "http"},
		ours: func(item map[string]any, _ InsertParams) bool {
			entry, _ := item["name"].(string)
			return strings.HasPrefix(entry, oursPrefix)
		},
		page: entryPage, repage: withPage,
		asked: func(*insertion, *unstructured.Unstructured) string {
			return "; no controller reports on it, so the probe decides"
		},
	}
}

// VirtualServiceOptions are none: there is one way to close a VirtualService.
type VirtualServiceOptions struct{}

// PageLimit implements driver.PageLimiter.
func (*VirtualServiceOptions) PageLimit() int { return envoyGateway().limit }

// A virtualServiceEntrance is a VirtualService of Istio's.
type virtualServiceEntrance struct {
	conn            *conn
	namespace, name string
}

func openVirtualServiceEntrance(c *conn, key string, _ VirtualServiceOptions) (driver.Entrance, error) {
	namespace, service, err := kubeobject.SplitKey(key)
	if err != nil {
		return nil, malformed(kindVirtualService, key, err)
	}
	return &virtualServiceEntrance{c, namespace, service}, nil
}

func (e *virtualServiceEntrance) key() string { return e.namespace + "/" + e.name }

// Requires lists what surveying, closing and opening need.
func (e *virtualServiceEntrance) Requires() []action.Permission {
	change, _ := openVirtualService(e.conn, InsertParams{Namespace: e.namespace, Name: e.name})
	need := []action.Permission{
		{System: name, Verb: "list", Resource: virtualServices().String(), Why: "see every VirtualService on the Gateway"},
		{System: name, Verb: "list", Resource: istioGateways().String(), Why: "see which ports a VirtualService is on"},
	}
	if r, ok := change.(action.Requirer); ok {
		need = append(need, r.Requires()...)
	}
	return need
}

// A vsReading is what Close needs of what Survey read.
type vsReading struct {
	mesh    *mesh
	service *virtualService
	bound   []bound
	hosts   []string
	user    []map[string]any // entries that are not noren's
	parsed  []istioEntry     // the same, read
}

// Survey implements driver.Entrance.
func (e *virtualServiceEntrance) Survey(ctx context.Context) (*driver.Survey, error) {
	m, err := e.conn.istioSeen(ctx)
	if err != nil {
		return nil, err
	}
	v := m.find(e.namespace, e.name)
	if v == nil {
		return nil, e.missing(ctx, m)
	}
	r := &vsReading{mesh: m, service: v}
	for i, entry := range v.entries {
		if !virtualServiceList().ours(entry, InsertParams{}) {
			r.user, r.parsed = append(r.user, entry), append(r.parsed, v.HTTP[i])
		}
	}
	var problems []string
	r.bound, problems = m.bind(v)
	switch {
	case len(r.user) == 0:
		return nil, invalid("virtualservice serves no HTTP", "VirtualService %s has no entries in spec.http: TCP and TLS routes carry no page.", e.key())
	case len(r.bound) == 0:
		why := strings.Join(problems, "; ")
		if why == "" {
			why = "it names no Gateway, so it is for the inside of the mesh only"
		}
		f := invalid("virtualservice is on no gateway", "VirtualService %s is served by no Gateway, so there is no front door to close: %s.", e.key(), why)
		f.Try = []string{kubeobject.Show("virtualservice " + e.key())}
		return nil, f
	}
	for _, b := range r.bound {
		r.hosts = distinct(append(r.hosts, b.hosts...))
	}
	front, unread := r.front(nil)
	s := &driver.Survey{
		Target: e.conn.target(e.namespace, virtualServices().word, e.name), Hosts: r.hosts, URLs: r.urls(), Front: front,
		Owner: gitops.OwnerOf(v.object, "VirtualService"), PageLimit: envoyGateway().limit, Headers: true, Seen: r,
	}
	s.Notes = e.notes(r, s, append(problems, unread...))
	return s, nil
}

func (e *virtualServiceEntrance) missing(ctx context.Context, m *mesh) error {
	if v, err := e.conn.version(ctx, virtualServices()); err == nil && v == "" {
		return e.conn.notInstalled(virtualServices())
	}
	var have []string
	for _, v := range m.services {
		have = append(have, v.key())
	}
	return kubeobject.Absent("VirtualService", e.key(), e.conn.env.Name, "virtualservices", have)
}

// front is the door: the curtain, if there is one, and every VirtualService on
// the same ports, those for the most specific hosts first.
func (r *vsReading) front(curtain []edge.Rule) (front edge.Front, notes []string) {
	for _, b := range r.bound {
		l := edge.Listener{Scheme: b.scheme, Port: b.port, Rules: slices.Clone(curtain),
			Default: edge.Action{Kind: edge.Respond, Response: &edge.Response{Status: 404, ContentType: "text/plain"}}}
		entries := r.service.HTTP
		if curtain != nil {
			entries = r.parsed
		}
		rules, unread := r.service.rules(entries, b.hosts)
		l.Rules, notes = append(l.Rules, rules...), distinct(append(notes, unread...))
		for _, other := range r.mesh.services {
			if other == r.service {
				continue
			}
			bounds, _ := r.mesh.bind(other)
			for _, ob := range bounds {
				if ob.scheme == b.scheme && ob.port == b.port {
					more, _ := other.rules(other.HTTP, ob.hosts)
					l.Rules = append(l.Rules, more...)
				}
			}
		}
		front.Listeners = append(front.Listeners, l)
	}
	return front, notes
}

func (r *vsReading) urls() []string {
	path, ok := r.firstPath()
	var out []string
	for _, b := range r.bound {
		for _, host := range b.hosts {
			if !ok || host == "" || strings.Contains(host, "*") {
				continue
			}
			url := fmt.Sprintf("%s://%s:%d%s", b.scheme, host, b.port, path)
			if b.scheme == "http" && b.port == 80 || b.scheme == "https" && b.port == 443 {
				url = b.scheme + "://" + host + path
			}
			out = append(out, url)
		}
	}
	return distinct(out)
}

// firstPath is a path that an entry of the user's serves to a plain GET.
func (r *vsReading) firstPath() (string, bool) {
	first := ""
	for _, e := range r.parsed {
		if e.Redirect != nil {
			continue
		}
		if len(e.Match) == 0 {
			return "/", true
		}
		for _, m := range e.Match {
			if len(m.Headers)+len(m.Query)+len(m.Without) > 0 || m.Method != nil && m.Method.Exact != http.MethodGet {
				continue
			}
			if m.URI == nil || m.URI.Prefix == "/" || m.URI.Exact == "/" {
				return "/", true
			}
			if path := m.URI.Prefix + m.URI.Exact; first == "" && strings.HasPrefix(path, "/") {
				first = path
			}
		}
	}
	return first, first != ""
}

// notes are what the reader of a plan should know of the entrance.
func (e *virtualServiceEntrance) notes(r *vsReading, s *driver.Survey, problems []string) []driver.Note {
	var notes []driver.Note
	say := func(warn bool, format string, args ...any) {
		notes = append(notes, driver.Note{Warn: warn, Text: fmt.Sprintf(format, args...)})
	}
	for _, p := range problems {
		say(false, "VirtualService %s: %s.", e.key(), p)
	}
	if slices.Contains(r.service.Gateways, inMesh) {
		say(true, "VirtualService %s is for the inside of the mesh too: other services will get the page as well.", e.key())
	}
	for _, other := range r.mesh.services {
		if other != r.service && slices.ContainsFunc(other.Hosts, func(h string) bool { return slices.Contains(r.service.Hosts, h) }) {
			say(true, "VirtualService %s is for a host of %s too. Istio joins the two in an order of its own: what the other serves may stay open.", other.key(), e.key())
		}
	}
	if guess := gitops.Guess("VirtualService "+e.key(), s.Owner); guess != "" {
		say(false, "%s", guess)
	}
	say(false, "The page is put before every entry that VirtualService %s has. An entry that someone puts in front of it while it is closed is open.", e.key())
	say(false, "WebSockets and other long streams that are open when virtualservice %s closes stay open: an entry is chosen when a request begins.", e.key())
	return notes
}

// Close implements driver.Entrance.
func (e *virtualServiceEntrance) Close(s *driver.Survey, c edge.Closing) (*driver.Proposal, error) {
	r, ok := s.Seen.(*vsReading)
	if !ok {
		return nil, fmt.Errorf("%s %s: Close needs what Survey of the same session returned", kindVirtualService, e.key())
	}
	if err := wholeRoute("VirtualService "+e.key(), r.hosts, c.Hosts); err != nil {
		return nil, err
	}
	entries, err := drawEntries(c)
	if err != nil {
		return nil, on("VirtualService "+e.key(), err)
	}
	params := InsertParams{Namespace: e.namespace, Name: e.name}
	for _, entry := range entries {
		raw, err := json.Marshal(entry)
		if err != nil {
			return nil, fmt.Errorf("virtualservice %s: %w", e.key(), err)
		}
		params.Rules = append(params.Rules, raw)
	}
	c.Hosts = named(r.hosts)
	if slices.Contains(r.hosts, "") {
		c.Hosts = nil
	}
	front, _ := r.front(edge.Curtain(c))
	p := &driver.Proposal{
		Strategy: strategyNative, EditsOwned: true, Front: front,
		Why:    fmt.Sprintf("Istio answers by itself: an entry at the head of VirtualService %s does, since the first that matches wins, and yours stay as they are.", e.key()),
		Checks: []driver.Call{{Action: checkUnchanged, Params: unchangedParams(virtualServices(), r.service.object, r.user)}},
		Calls:  []driver.Call{{Action: actionVirtualService, Params: params}},
	}
	for _, editor := range gitops.Editors(r.service.object, gitops.OwnerOf(r.service.object, "VirtualService")) {
		p.Notes = append(p.Notes, driver.Note{Warn: true, Text: fmt.Sprintf("VirtualService %s is also written by %s, which would take the page away at its next run: pause it meanwhile.", e.key(), editor)})
	}
	return p, nil
}

// drawEntries are the entries to insert. The page is for requests without the
// pass, so that nothing of the user's has to be copied for staff.
// Source: HTTPMatchRequest.without_headers and HTTPDirectResponse of
// networking/v1alpha3/virtual_service.proto; header names are in lower case.
func drawEntries(c edge.Closing) ([]map[string]any, error) {
	switch {
	case len(c.Page.Body) > envoyGateway().limit:
		return nil, tooLargeForIstio(c.Page)
	case len(c.Bypass.Sources) > 0:
		return nil, addressless()
	case len(c.KeepOpen) > 0:
		f := invalid("paths cannot be kept open here", "An entry of a VirtualService cannot be for all paths but some (%s). Keep them open on an Ingress, an HTTPRoute or noren's gate, or close the paths that are to be closed.", some(c.KeepOpen))
		f.Try = []string{"mode: paths   # of the service in the catalog, with the paths to close"}
		return nil, f
	}
	matches, err := istioMatches(c)
	if err != nil {
		return nil, err
	}
	var out []map[string]any
	if c.Mode != edge.Closed {
		out = append(out, pageEntry("noren-probe", c.Page, []any{map[string]any{"headers": map[string]any{
			strings.ToLower(edge.ProbeHeader): map[string]any{"exact": probeValue}}}}))
	}
	if pass := c.Bypass.Pass; pass != "" {
		for _, m := range matches {
			m.(map[string]any)["withoutHeaders"] = map[string]any{
				strings.ToLower(edge.PassHeader): map[string]any{"exact": pass},
				"cookie":                         map[string]any{"regex": ".*" + edge.PassCookie + "=" + pass + ".*"},
			}
		}
	}
	if c.Mode == edge.Closed && c.Bypass.Pass == "" {
		matches = nil // every request
	}
	return append(out, pageEntry("noren-closed", c.Page, matches)), nil
}

func tooLargeForIstio(page edge.Response) error {
	return invalid("page does not fit the implementation", "The closed page has %d bytes; Istio's Envoy sends at most %d by itself.", len(page.Body), envoyGateway().limit)
}

func istioMatches(c edge.Closing) ([]any, error) {
	var out []any
	switch c.Mode {
	case edge.ReadOnly:
		for _, method := range writes {
			out = append(out, map[string]any{"method": map[string]any{"exact": method}})
		}
	case edge.Paths:
		for _, pattern := range c.Paths {
			prefix, below := strings.CutSuffix(pattern, "*")
			if !strings.HasPrefix(pattern, "/") || strings.ContainsAny(prefix, "*?") {
				return nil, invalid("path pattern cannot be expressed", "A VirtualService matches one path, or a path with what begins with it. The pattern %q is neither.", pattern)
			}
			kind := "exact"
			if below {
				kind = "prefix"
			}
			out = append(out, map[string]any{"uri": map[string]any{kind: prefix}})
		}
	default:
		out = append(out, map[string]any{})
	}
	return out, nil
}

func pageEntry(entry string, page edge.Response, matches []any) map[string]any {
	set := map[string]any{"content-type": page.ContentType}
	for key, value := range pageHeaders(page) {
		set[strings.ToLower(key)] = value
	}
	out := map[string]any{
		"name":           entry,
		"directResponse": map[string]any{"status": page.Status, "body": map[string]any{"string": page.Body}},
		"headers":        map[string]any{"response": map[string]any{"set": set}},
	}
	if len(matches) > 0 {
		out["match"] = matches
	}
	return out
}

// entryPage is the page of an entry that pageEntry made, nil of any other.
func entryPage(entry map[string]any) *edge.Response {
	body, ok, _ := unstructured.NestedString(entry, "directResponse", "body", "string")
	if !ok {
		return nil
	}
	return answered(0, "", body, nil)
}

// withPage is the entry with another page, for the same requests.
func withPage(entry map[string]any, page edge.Response) map[string]any {
	out := maps.Clone(entry)
	for key, value := range pageEntry("", page, nil) {
		if key != "name" {
			out[key] = value
		}
	}
	return out
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// discoverVirtualServices finds the VirtualServices that noren can close.
func (c *conn) discoverVirtualServices(ctx context.Context, d *driver.Discovery, taken map[string]bool) error {
	m, err := c.istioSeen(ctx)
	if err != nil {
		return err
	}
	for _, v := range m.services {
		on, problems := m.bind(v)
		if len(on) == 0 || len(v.HTTP) == 0 {
			if len(problems) > 0 {
				d.Notes = append(d.Notes, fmt.Sprintf("VirtualService %s was left out: %s.", v.key(), strings.Join(problems, "; ")))
			}
			continue
		}
		var hosts []string
		for _, b := range on {
			hosts = append(hosts, named(b.hosts)...)
		}
		hosts = distinct(hosts)
		d.Entrances = append(d.Entrances, driver.Found{
			Kind: kindVirtualService, Name: v.key(), Service: kubeobject.ServiceName(v.object, strings.TrimSuffix(v.object.GetName(), "-vs"), taken),
			Team: kubeobject.Team(v.object), Hosts: hosts, API: kubeobject.LooksLikeAPI(v.object, hosts),
			Owner: gitops.OwnerOf(v.object, "VirtualService"), Class: "Istio (Gateway " + v.Gateways[0] + ")",
		})
	}
	return nil
}
