package gatewayapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/driver/gatewayapi/gw"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/page"
)

// An implementation is one that can answer by itself, by an object that a
// rule's filter of the type ExtensionRef names.
type implementation struct {
	resource
	// people is its name in sentences.
	people string
	// limit is how many bytes a body may have.
	limit int
	// types are the content types that it can send; any if there are none.
	types []string
	// sources tells whether rules can look at the client's address.
	sources bool
	// values is how many values the conditions of a rule may have in all, 0
	// where there is no limit.
	values int
	// spec makes the object's spec of a response; headers where they can be sent.
	spec func(r edge.Response, headers bool) any
	// response reads such a spec, nil if it answers nothing.
	response func(spec map[string]any) *edge.Response
	// header is the field of the schema that is there where headers can be sent.
	header []string
}

// implementations are those that noren knows, by the controller's name.
//
// Sources: docs/guide/gateway/l7gateway.md and listenerruleconfig.md of the AWS
// Load Balancer Controller; site/content/en/latest/tasks/traffic/direct-response.md
// of Envoy Gateway.
func implementationOf(controller string) *implementation {
	switch {
	case controller == "gateway.k8s.aws/alb":
		return awsLoadBalancer()
	case strings.HasPrefix(controller, "gateway.envoyproxy.io/"):
		return envoyGateway()
	}
	return nil
}

func awsLoadBalancer() *implementation {
	return &implementation{
		resource: resource{group: "gateway.k8s.aws", plural: "listenerruleconfigurations", kind: "ListenerRuleConfiguration",
			word: "listenerruleconfiguration", versions: []string{"v1", "v1beta1"}},
		people:  "the AWS Load Balancer Controller",
		limit:   1024, // https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_FixedResponseActionConfig.html
		types:   []string{"text/plain", "text/css", "text/html", "application/javascript", "application/json"},
		sources: true,
		values:  5, // https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
		spec: func(r edge.Response, _ bool) any {
			return map[string]any{"actions": []any{map[string]any{"type": "fixed-response", "fixedResponseConfig": map[string]any{
				"statusCode": r.Status, "contentType": r.ContentType, "messageBody": r.Body}}}}
		},
		response: fixedResponse,
	}
}

func envoyGateway() *implementation {
	return &implementation{
		resource: resource{group: "gateway.envoyproxy.io", plural: "httproutefilters", kind: "HTTPRouteFilter",
			word: "httproutefilter", versions: []string{"v1", "v1alpha1"}},
		people: "Envoy Gateway",
		limit:  4096, // https://gateway.envoyproxy.io/docs/tasks/traffic/direct-response/
		spec: func(r edge.Response, headers bool) any {
			direct := map[string]any{"statusCode": r.Status, "contentType": r.ContentType,
				"body": map[string]any{"type": "Inline", "inline": r.Body}}
			if headers {
				direct["header"] = map[string]any{"set": headerList(pageHeaders(r))}
			}
			return map[string]any{"directResponse": direct}
		},
		response: directResponse,
		header:   []string{"spec", "directResponse", "header"},
	}
}

// pageHeaders are the headers of a page that a gateway answers by itself: no
// cache may keep it, and scripts of any origin may read it. A gateway cannot
// repeat a request's origin, so that a request with credentials stays unread.
// Source: https://fetch.spec.whatwg.org/#http-cors-protocol
func pageHeaders(r edge.Response) map[string]string {
	all := map[string]string{
		"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After",
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
	}
	maps.Copy(all, r.Header)
	return all
}

func headerList(header map[string]string) []any {
	var out []any
	for _, key := range slices.Sorted(maps.Keys(header)) {
		out = append(out, map[string]any{"name": key, "value": header[key]})
	}
	return out
}

// fixedResponse reads a ListenerRuleConfiguration.
func fixedResponse(spec map[string]any) *edge.Response {
	var s struct {
		Actions []struct {
			Type  string `json:"type"`
			Fixed struct {
				Status      int    `json:"statusCode"`
				ContentType string `json:"contentType"`
				Body        string `json:"messageBody"`
			} `json:"fixedResponseConfig"`
		} `json:"actions"`
	}
	if convert(spec, &s) != nil {
		return nil
	}
	for _, a := range s.Actions {
		if a.Type == "fixed-response" {
			return answered(a.Fixed.Status, a.Fixed.ContentType, a.Fixed.Body, nil)
		}
	}
	return nil
}

// directResponse reads an HTTPRouteFilter.
func directResponse(spec map[string]any) *edge.Response {
	var s struct {
		Direct *struct {
			Status      int    `json:"statusCode"`
			ContentType string `json:"contentType"`
			Body        struct {
				Inline string `json:"inline"`
			} `json:"body"`
			Header struct {
				Set []struct{ Name, Value string } `json:"set"`
			} `json:"header"`
		} `json:"directResponse"`
	}
	if convert(spec, &s) != nil || s.Direct == nil {
		return nil
	}
	if s.Direct.Status == 0 {
		s.Direct.Status = 200
	}
	header := map[string]string{}
	for _, h := range s.Direct.Header.Set {
		header[h.Name] = h.Value
	}
	return answered(s.Direct.Status, s.Direct.ContentType, s.Direct.Body.Inline, header)
}

func answered(status int, contentType, body string, header map[string]string) *edge.Response {
	mark, _ := page.MarkIn([]byte(body))
	return &edge.Response{Status: status, ContentType: contentType, Body: body, Header: header, Mark: mark}
}

// sourceSpec is a ListenerRuleConfiguration that limits a rule to addresses.
func sourceSpec(cidrs []string) any {
	return map[string]any{"conditions": []any{map[string]any{"field": "source-ip", "sourceIPConfig": map[string]any{"values": cidrs}}}}
}

// sourcesIn reads the addresses that such an object limits a rule to.
func sourcesIn(spec map[string]any) []string {
	var s struct {
		Conditions []struct {
			Source struct {
				Values []string `json:"values"`
			} `json:"sourceIPConfig"`
		} `json:"conditions"`
	}
	if convert(spec, &s) != nil {
		return nil
	}
	var out []string
	for _, c := range s.Conditions {
		out = append(out, c.Source.Values...)
	}
	return out
}

// filter is the filter of a rule that names an object of the implementation.
func (m *implementation) filter(object string) map[string]any {
	return map[string]any{"type": "ExtensionRef",
		"extensionRef": map[string]any{"group": m.group, "kind": m.kind, "name": object}}
}

// names returns the objects of the implementation that a rule's filters name.
func (m *implementation) names(r gw.Rule) []string {
	var out []string
	for _, f := range r.Filters {
		if e := f.Extension; f.Type == "ExtensionRef" && e != nil && e.Group == m.group && e.Kind == m.kind {
			out = append(out, e.Name)
		}
	}
	return out
}

// checkPage says what the implementation would refuse, or the load balancer
// behind it.
func (m *implementation) checkPage(r edge.Response) error {
	if n := len(r.Body); n > m.limit {
		f := invalid("page does not fit the implementation", "The closed page has %d bytes; %s sends at most %d.", n, m.people, m.limit)
		f.Try = []string{"noren page check", "strategy: " + strategyBackend}
		return f
	}
	if len(m.types) > 0 && !slices.Contains(m.types, r.ContentType) {
		return invalid("page does not fit the implementation", "%s cannot send the content type %q; it can send %s.", m.people, r.ContentType, some(m.types))
	}
	return nil
}

// answerParams are the object that answers with a response.
func (m *implementation) answerParams(namespace, object string, spec any) (AnswerParams, error) {
	raw, err := json.Marshal(spec)
	if err != nil {
		return AnswerParams{}, fmt.Errorf("%s %s/%s: %w", m.word, namespace, object, err)
	}
	return AnswerParams{Kind: m.kind, Namespace: namespace, Name: object, Spec: raw}, nil
}
