package gatewayapi

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/noren-dev/noren/internal/driver/gatewayapi/gw"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
)

// The kinds of Istio. Source: https://istio.io/latest/docs/reference/config/networking/
func istioResource(plural, kind, word string) resource {
	return resource{group: "networking.istio.io", plural: plural, kind: kind, word: word, versions: []string{"v1", "v1beta1", "v1alpha3"}}
}

func virtualServices() resource {
	return istioResource("virtualservices", "VirtualService", "virtualservice")
}

func istioGateways() resource { return istioResource("gateways", "Gateway", "gateway") }

// inMesh is the name that stands for all sidecars in spec.gateways, and for
// spec.gateways that is not there.
const inMesh = "mesh"

// A mesh is every VirtualService and Gateway of Istio's, as read at one moment.
type mesh struct {
	services []*virtualService
	gateways map[string]istioGateway
}

// A virtualService is what routing depends on, and entries, the items of
// spec.http with every field that they have.
type virtualService struct {
	object   *unstructured.Unstructured
	Hosts    []string     `json:"hosts"`
	Gateways []string     `json:"gateways"`
	HTTP     []istioEntry `json:"http"`
	entries  []map[string]any
}

func (v *virtualService) key() string { return kubeobject.Key(v.object) }

// An istioEntry is an item of spec.http.
type istioEntry struct {
	Name  string       `json:"name"`
	Match []istioMatch `json:"match"`
	Route []struct {
		Destination struct {
			Host string `json:"host"`
			Port struct {
				Number int `json:"number"`
			} `json:"port"`
		} `json:"destination"`
	} `json:"route"`
	Redirect *struct {
		URI       string `json:"uri"`
		Authority string `json:"authority"`
		Scheme    string `json:"scheme"`
		Status    int    `json:"redirectCode"`
	} `json:"redirect"`
	Direct *struct {
		Status int `json:"status"`
		Body   struct {
			String string `json:"string"`
		} `json:"body"`
	} `json:"directResponse"`
}

type istioMatch struct {
	URI     *istioString           `json:"uri"`
	Method  *istioString           `json:"method"`
	Headers map[string]istioString `json:"headers"`
	Query   map[string]istioString `json:"queryParams"`
	Without map[string]istioString `json:"withoutHeaders"`
}

type istioString struct {
	Exact  string `json:"exact"`
	Prefix string `json:"prefix"`
	Regex  string `json:"regex"`
}

// An istioGateway is a Gateway of Istio's.
type istioGateway struct {
	Servers []struct {
		Hosts []string `json:"hosts"`
		Port  struct {
			Number   int    `json:"number"`
			Protocol string `json:"protocol"`
		} `json:"port"`
		TLS *struct {
			Redirect bool `json:"httpsRedirect"`
		} `json:"tls"`
	} `json:"servers"`
}

// istioSeen reads Istio's kinds once per session.
func (c *conn) istioSeen(ctx context.Context) (*mesh, error) {
	return c.istio.Do(func() (*mesh, error) {
		out := &mesh{gateways: map[string]istioGateway{}}
		services, err := c.list(ctx, virtualServices(), "")
		if err != nil {
			return nil, err
		}
		for _, u := range services {
			v := &virtualService{object: u}
			if err := decode(u, v, "spec"); err != nil {
				return nil, err
			}
			if v.entries, err = items(u, "spec", "http"); err != nil {
				return nil, err
			}
			out.services = append(out.services, v)
		}
		gateways, err := c.list(ctx, istioGateways(), "")
		if err != nil {
			return nil, err
		}
		for _, u := range gateways {
			var g istioGateway
			if err := decode(u, &g, "spec"); err != nil {
				return nil, err
			}
			out.gateways[kubeobject.Key(u)] = g
		}
		return out, nil
	})
}

func (m *mesh) find(namespace, name string) *virtualService {
	i := slices.IndexFunc(m.services, func(v *virtualService) bool {
		return v.object.GetNamespace() == namespace && v.object.GetName() == name && v.object.GetDeletionTimestamp() == nil
	})
	if i < 0 {
		return nil
	}
	return m.services[i]
}

// A bound is a VirtualService on a port of a Gateway.
type bound struct {
	scheme string
	port   int
	hosts  []string
}

// bind finds the ports on which a VirtualService is served, and says why a
// Gateway that it names does not serve it.
func (m *mesh) bind(v *virtualService) (out []bound, problems []string) {
	for _, name := range v.Gateways {
		if name == inMesh {
			continue
		}
		key := name
		if !strings.Contains(name, "/") {
			key = v.object.GetNamespace() + "/" + name
		}
		g, there := m.gateways[key]
		if !there {
			problems = append(problems, "there is no Gateway "+key)
			continue
		}
		before := len(out)
		for _, s := range g.Servers {
			b := bound{scheme: schemeOf(s.Port.Protocol), port: s.Port.Number}
			if b.scheme == "" || s.TLS != nil && s.TLS.Redirect {
				continue
			}
			for _, host := range s.Hosts {
				_, bare, qualified := strings.Cut(host, "/")
				if !qualified {
					bare = host
				}
				for _, h := range gw.Common(anyHost(bare), v.Hosts) {
					if !slices.Contains(b.hosts, h) {
						b.hosts = append(b.hosts, h)
					}
				}
			}
			if len(b.hosts) > 0 {
				out = append(out, b)
			}
		}
		if len(out) == before {
			problems = append(problems, fmt.Sprintf("no HTTP server of Gateway %s is for %s", key, some(v.Hosts)))
		}
	}
	return out, problems
}

// anyHost is a host in the words of package gw, in which "" is any.
func anyHost(host string) string {
	if host == "*" {
		return ""
	}
	return host
}

func schemeOf(protocol string) string {
	switch strings.ToUpper(protocol) {
	case "HTTP", "HTTP2", "GRPC":
		return "http"
	case "HTTPS":
		return "https"
	}
	return ""
}

// rules are the entries of a VirtualService for hosts, in their order: the
// first that matches wins. What regular expressions match is not known.
// Source: https://istio.io/latest/docs/reference/config/networking/virtual-service/
func (v *virtualService) rules(entries []istioEntry, hosts []string) (out []edge.Rule, notes []string) {
	for i, e := range entries {
		matches := e.Match
		if len(matches) == 0 {
			matches = []istioMatch{{}}
		}
		for j, m := range matches {
			conditions, ok := m.conditions()
			if !ok {
				notes = append(notes, fmt.Sprintf("virtualservice %s http[%d].match[%d] has a regular expression, which who-sees does not evaluate", v.key(), i, j))
				continue
			}
			r := edge.Rule{Name: fmt.Sprintf("virtualservice %s http[%d]", v.key(), i), Action: e.action()}
			if strings.HasPrefix(e.Name, oursPrefix) {
				r.Name = "noren: " + strings.TrimPrefix(e.Name, oursPrefix)
			}
			if !slices.Contains(hosts, "") {
				r.Conditions = append(r.Conditions, edge.Condition{Field: edge.Host, Values: hosts})
			}
			if r.OfCurtain() {
				out = append(out, m.passing(r.Conditions)...)
			}
			r.Conditions = append(r.Conditions, conditions...)
			out = append(out, r)
		}
	}
	return out, notes
}

// passing are the rules that let staff through noren's entry, which is for
// requests without the pass.
func (m istioMatch) passing(host []edge.Condition) []edge.Rule {
	var out []edge.Rule
	add := func(name, header, value string) {
		out = append(out, edge.Rule{Name: name, Action: edge.Action{Kind: edge.Pass},
			Conditions: append(slices.Clone(host), edge.Condition{Field: edge.Header, Name: header, Values: []string{value}})})
	}
	if pass := m.Without[strings.ToLower(edge.PassHeader)].Exact; pass != "" {
		add(labelPass, edge.PassHeader, pass)
	}
	if cookie := m.Without["cookie"].Regex; cookie != "" {
		add("noren: staff by cookie", "Cookie", strings.ReplaceAll(cookie, ".*", "*"))
	}
	return out
}

func (m istioMatch) conditions() ([]edge.Condition, bool) {
	var out []edge.Condition
	add := func(field edge.Field, name string, s istioString) bool {
		value := s.Exact
		switch {
		case s.Regex != "":
			return false
		case s.Prefix != "":
			value = s.Prefix + "*"
		case s.Exact == "":
			value = "*"
		}
		if field == edge.Query {
			value, name = name+"="+value, ""
		}
		out = append(out, edge.Condition{Field: field, Name: name, Values: []string{value}})
		return true
	}
	ok := true
	if m.URI != nil {
		ok = add(edge.Path, "", *m.URI)
	}
	if m.Method != nil {
		ok = ok && add(edge.Method, "", *m.Method)
	}
	for _, name := range sorted(m.Headers) {
		ok = ok && add(edge.Header, name, m.Headers[name])
	}
	for _, name := range sorted(m.Query) {
		ok = ok && add(edge.Query, name, m.Query[name])
	}
	return out, ok
}

func (e istioEntry) action() edge.Action {
	switch {
	case e.Direct != nil:
		return edge.Action{Kind: edge.Respond, Response: answered(e.Direct.Status, "", e.Direct.Body.String, nil)}
	case e.Redirect != nil:
		where := e.Redirect.Authority + e.Redirect.URI
		if e.Redirect.Scheme != "" {
			where = e.Redirect.Scheme + "://" + where
		}
		return edge.Action{Kind: edge.Redirect, Location: where, Status: cmp.Or(e.Redirect.Status, 301)}
	}
	var hosts []string
	for _, r := range e.Route {
		host := "service " + r.Destination.Host
		if r.Destination.Port.Number != 0 {
			host += fmt.Sprintf(":%d", r.Destination.Port.Number)
		}
		hosts = append(hosts, host)
	}
	return edge.Action{Kind: edge.Forward, Backend: strings.Join(hosts, " or ")}
}
