package gatewaysim

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A route is an HTTPRoute's spec.
type route struct {
	name      string
	created   time.Time
	Hostnames []string
	Rules     []struct {
		Matches []match
		Filters []struct {
			Type      string
			Extension *struct{ Kind, Name string } `json:"extensionRef"`
		}
		Backends []struct {
			Name string
			Port int
		} `json:"backendRefs"`
	}
}

type match struct {
	Path        struct{ Type, Value string }
	Method      string
	Headers     []struct{ Name, Value string }
	QueryParams []struct{ Name, Value string }
}

// An object is a ListenerRuleConfiguration's or an HTTPRouteFilter's spec.
type object struct {
	Actions []struct {
		Fixed struct {
			Status      int    `json:"statusCode"`
			ContentType string `json:"contentType"`
			Body        string `json:"messageBody"`
		} `json:"fixedResponseConfig"`
	}
	Conditions []struct {
		Source struct{ Values []string } `json:"sourceIPConfig"`
	}
	Direct *struct {
		Status      int    `json:"statusCode"`
		ContentType string `json:"contentType"`
		Body        struct{ Inline string }
		Header      struct {
			Set []struct{ Name, Value string }
		}
	} `json:"directResponse"`
}

// A virtualService is a VirtualService's spec.
type virtualService struct {
	Hosts []string
	HTTP  []struct {
		Match []struct {
			URI            *text
			Method         *text
			Headers        map[string]text
			WithoutHeaders map[string]text
		}
		Route  []struct{ Destination struct{ Host string } }
		Direct *struct {
			Status int
			Body   struct{ String string }
		} `json:"directResponse"`
		Headers struct {
			Response struct{ Set map[string]string }
		}
	}
}

type text struct{ Exact, Prefix, Regex string }

func (t text) takes(s string) bool {
	switch {
	case t.Exact != "":
		return s == t.Exact
	case t.Prefix != "":
		return strings.HasPrefix(s, t.Prefix)
	case t.Regex != "":
		ok, _ := regexp.MatchString("^(?:"+t.Regex+")$", s)
		return ok
	}
	return s != ""
}

type answer struct {
	status int
	header map[string]string
	body   string
}

// A candidate is a match that takes a request.
type candidate struct {
	host        string
	m           match
	route       route
	rule, match int
}

// choose finds what answers a request: a direct answer, or "service:port".
// The caller holds the lock.
func (s *Sim) choose(r *http.Request) (*answer, string) {
	var all []candidate
	for _, rt := range s.routes {
		for i, rule := range rt.Rules {
			for j, m := range rule.Matches {
				if host, ok := hostOf(rt.Hostnames, r.Host); ok && m.takes(r) && s.from(rt, i, r) {
					all = append(all, candidate{host, m, rt, i, j})
				}
			}
		}
	}
	if len(all) == 0 {
		return s.istio(r)
	}
	best := slices.MinFunc(all, precedence)
	rule := best.route.Rules[best.rule]
	for _, f := range rule.Filters {
		if f.Extension == nil {
			continue
		}
		o := s.objects[f.Extension.Kind+" "+f.Extension.Name]
		if d := o.Direct; d != nil {
			a := &answer{d.Status, map[string]string{"Content-Type": d.ContentType}, d.Body.Inline}
			for _, h := range d.Header.Set {
				a.header[h.Name] = h.Value
			}
			return a, ""
		}
		for _, action := range o.Actions {
			return &answer{action.Fixed.Status, map[string]string{"Content-Type": action.Fixed.ContentType}, action.Fixed.Body}, ""
		}
	}
	if len(rule.Backends) == 0 {
		return &answer{status: http.StatusInternalServerError}, ""
	}
	return nil, fmt.Sprintf("%s:%d", rule.Backends[0].Name, rule.Backends[0].Port)
}

// precedence is that of the specification, with the AWS controller's and Envoy
// Gateway's first rule for ties.
func precedence(a, b candidate) int {
	kind := map[string]int{"Exact": 0, "PathPrefix": 1, "RegularExpression": 2}
	method := func(m match) int { return min(1, len(m.Method)) }
	return cmp.Or(
		cmp.Compare(strings.Count(a.host, "*"), strings.Count(b.host, "*")),
		cmp.Compare(len(b.host), len(a.host)),
		cmp.Compare(kind[a.m.Path.Type], kind[b.m.Path.Type]),
		cmp.Compare(len(b.m.Path.Value), len(a.m.Path.Value)),
		cmp.Compare(method(b.m), method(a.m)),
		cmp.Compare(len(b.m.Headers), len(a.m.Headers)),
		cmp.Compare(len(b.m.QueryParams), len(a.m.QueryParams)),
		a.route.created.Compare(b.route.created),
		cmp.Compare(a.route.name, b.route.name),
		cmp.Compare(a.rule, b.rule),
		cmp.Compare(a.match, b.match),
	)
}

func hostOf(hostnames []string, host string) (string, bool) {
	host, _, _ = strings.Cut(host, ":")
	for _, h := range hostnames {
		if h == host || strings.HasPrefix(h, "*.") && strings.HasSuffix(host, h[1:]) {
			return h, true
		}
	}
	return "", len(hostnames) == 0
}

func (m match) takes(r *http.Request) bool {
	switch v := m.Path.Value; m.Path.Type {
	case "Exact":
		if r.URL.Path != v {
			return false
		}
	case "PathPrefix":
		v = strings.TrimSuffix(v, "/")
		if r.URL.Path != v && !strings.HasPrefix(r.URL.Path, v+"/") {
			return false
		}
	default:
		return false
	}
	if m.Method != "" && m.Method != r.Method {
		return false
	}
	for _, h := range m.Headers {
		if r.Header.Get(h.Name) != h.Value {
			return false
		}
	}
	for _, q := range m.QueryParams {
		if r.URL.Query().Get(q.Name) != q.Value {
			return false
		}
	}
	return true
}

// from tells whether the rule is for the visitor's address.
func (s *Sim) from(rt route, rule int, r *http.Request) bool {
	for _, f := range rt.Rules[rule].Filters {
		if f.Extension == nil {
			continue
		}
		for _, c := range s.objects[f.Extension.Kind+" "+f.Extension.Name].Conditions {
			in := func(cidr string) bool {
				p, err := netip.ParsePrefix(cidr)
				return err == nil && p.Contains(source(r))
			}
			if !slices.ContainsFunc(c.Source.Values, in) {
				return false
			}
		}
	}
	return true
}

// istio serves VirtualServices: the first entry that matches.
func (s *Sim) istio(r *http.Request) (*answer, string) {
	for _, v := range s.services {
		if _, ok := hostOf(v.Hosts, r.Host); !ok {
			continue
		}
		for _, e := range v.HTTP {
			taken := len(e.Match) == 0
			for _, m := range e.Match {
				ok := (m.URI == nil || m.URI.takes(r.URL.Path)) && (m.Method == nil || m.Method.takes(r.Method))
				for name, want := range m.Headers {
					ok = ok && want.takes(r.Header.Get(name))
				}
				for name, not := range m.WithoutHeaders {
					ok = ok && !not.takes(r.Header.Get(name))
				}
				taken = taken || ok
			}
			switch {
			case taken && e.Direct != nil:
				return &answer{e.Direct.Status, e.Headers.Response.Set, e.Direct.Body.String}, ""
			case taken:
				return nil, e.Route[0].Destination.Host + ":80"
			}
		}
	}
	return &answer{status: http.StatusNotFound, body: "no route"}, ""
}
