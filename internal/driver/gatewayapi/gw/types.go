// Package gw computes what Gateway API makes of Gateways and HTTPRoutes: which
// listeners a route is attached to, for which hosts, and which rule serves a
// request. It is pure: what it reads was read before.
//
// Source: https://gateway-api.sigs.k8s.io/reference/spec/ (HTTPRouteRule.matches
// for the precedence, HTTPRouteSpec.hostnames, ParentReference, AllowedRoutes).
package gw

import (
	"slices"
	"time"
)

// Group is the API group of Gateway API.
const Group = "gateway.networking.k8s.io"

// A Class is a GatewayClass: Controller says which implementation makes its
// Gateways real.
type Class struct {
	Name       string
	Controller string
}

// A Gateway is a place where requests come in.
type Gateway struct {
	Namespace string
	Name      string
	Class     string     `json:"gatewayClassName"`
	Listeners []Listener `json:"listeners"`
	// Addresses are those of its status.
	Addresses []string
}

// Key is "namespace/name".
func (g Gateway) Key() string { return g.Namespace + "/" + g.Name }

// A Listener is one port of a Gateway, perhaps for some hosts only.
type Listener struct {
	Name          string `json:"name"`
	Hostname      string `json:"hostname"`
	Port          int    `json:"port"`
	Protocol      string `json:"protocol"`
	AllowedRoutes struct {
		Namespaces struct {
			From string `json:"from"`
		} `json:"namespaces"`
		Kinds []struct {
			Group string `json:"group"`
			Kind  string `json:"kind"`
		} `json:"kinds"`
	} `json:"allowedRoutes"`
}

// Scheme is how customers ask the listener, "" where it takes no HTTP.
func (l Listener) Scheme() string {
	switch l.Protocol {
	case "HTTP":
		return "http"
	case "HTTPS", "TLS":
		return "https"
	}
	return ""
}

// takes tells whether HTTPRoutes may be attached to the listener.
func (l Listener) takes() bool {
	if l.Scheme() == "" || l.Protocol == "TLS" {
		return false
	}
	kinds := l.AllowedRoutes.Kinds
	if len(kinds) == 0 {
		return true
	}
	for _, k := range kinds {
		if k.Kind == "HTTPRoute" && (k.Group == "" || k.Group == Group) {
			return true
		}
	}
	return false
}

// A Route is an HTTPRoute, as far as routing depends on it.
type Route struct {
	Namespace string
	Name      string
	Created   time.Time
	Hostnames []string `json:"hostnames"`
	Parents   []Parent `json:"parentRefs"`
	Rules     []Rule   `json:"rules"`
}

// Key is "namespace/name".
func (r Route) Key() string { return r.Namespace + "/" + r.Name }

// A Parent is what a route asks to be attached to.
type Parent struct {
	Group       *string `json:"group"`
	Kind        *string `json:"kind"`
	Namespace   *string `json:"namespace"`
	Name        string  `json:"name"`
	SectionName *string `json:"sectionName"`
	Port        *int    `json:"port"`
}

// IsGateway tells a Gateway from a Service (of a mesh) and others.
func (p Parent) IsGateway() bool {
	return (p.Group == nil || *p.Group == Group) && (p.Kind == nil || *p.Kind == "Gateway")
}

// A Rule is one rule of a route.
type Rule struct {
	Name     string    `json:"name"`
	Matches  []Match   `json:"matches"`
	Filters  []Filter  `json:"filters"`
	Backends []Backend `json:"backendRefs"`
}

// Redirects tells whether the rule answers with a redirect.
func (r Rule) Redirects() bool {
	return slices.ContainsFunc(r.Filters, func(f Filter) bool { return f.Type == "RequestRedirect" })
}

// Takes returns the matches of the rule; without any, it matches every request.
func (r Rule) Takes() []Match {
	if len(r.Matches) == 0 {
		return []Match{{}}
	}
	return r.Matches
}

// A Match holds when all of its parts do.
type Match struct {
	Path    *Path        `json:"path"`
	Method  string       `json:"method"`
	Headers []NamedMatch `json:"headers"`
	Query   []NamedMatch `json:"queryParams"`
}

// The types of a path.
const (
	Exact  = "Exact"
	Prefix = "PathPrefix"
	Regex  = "RegularExpression"
)

// A Path matches the path of a request; by default any.
type Path struct {
	Type  *string `json:"type"`
	Value *string `json:"value"`
}

// At returns the type and the value of the match's path.
func (m Match) At() (kind, value string) {
	kind, value = Prefix, "/"
	if m.Path != nil && m.Path.Type != nil {
		kind = *m.Path.Type
	}
	if m.Path != nil && m.Path.Value != nil {
		value = *m.Path.Value
	}
	return kind, value
}

// A NamedMatch is of a header or a query parameter.
type NamedMatch struct {
	Type  *string `json:"type"`
	Name  string  `json:"name"`
	Value string  `json:"value"`
}

func (n NamedMatch) exact() bool { return n.Type == nil || *n.Type == Exact }

// A Filter changes a request or an answer, or answers itself.
type Filter struct {
	Type      string `json:"type"`
	Extension *struct {
		Group string `json:"group"`
		Kind  string `json:"kind"`
		Name  string `json:"name"`
	} `json:"extensionRef"`
	Redirect *struct {
		Scheme   *string `json:"scheme"`
		Hostname *string `json:"hostname"`
		Port     *int    `json:"port"`
		Status   *int    `json:"statusCode"`
		Path     *struct {
			Full   *string `json:"replaceFullPath"`
			Prefix *string `json:"replacePrefixMatch"`
		} `json:"path"`
	} `json:"requestRedirect"`
	Rewrite *struct {
		Path *struct {
			Full   *string `json:"replaceFullPath"`
			Prefix *string `json:"replacePrefixMatch"`
		} `json:"path"`
	} `json:"urlRewrite"`
}

// A Backend is where a rule sends requests.
type Backend struct {
	Group     *string `json:"group"`
	Kind      *string `json:"kind"`
	Namespace *string `json:"namespace"`
	Name      string  `json:"name"`
	Port      *int    `json:"port"`
	Weight    *int    `json:"weight"`
}

// IsService tells a Service from other kinds of backend.
func (b Backend) IsService() bool {
	return (b.Group == nil || *b.Group == "") && (b.Kind == nil || *b.Kind == "Service")
}

// In is the namespace of a backend of a route in the namespace given.
func (b Backend) In(namespace string) string {
	if b.Namespace != nil {
		return *b.Namespace
	}
	return namespace
}
