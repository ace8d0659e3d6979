package lbc

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/noren-dev/noren/internal/edge"
)

// Answers that the controller gives where a backend is missing, with its
// default flags --tolerate-non-existent-backend-action and …-service.
// Source: enhanced_backend_builder.go, docs/deploy/configurations.md.
const (
	missingAction  = "Backend action does not exist"
	missingService = "Backend service does not exist"
)

// A backend is what a path leads to.
type backend struct {
	action     Action
	conditions []Condition
	login      bool // on HTTPS only
	namespace  string
}

// backend resolves a backend as the controller does.
// Source: enhanced_backend_builder.go Build.
func (b *builder) backend(ing *networkingv1.Ingress, be networkingv1.IngressBackend) (backend, error) {
	if be.Service == nil {
		return backend{}, errors.New(`missing required "service" field`)
	}
	out := backend{namespace: ing.Namespace}
	var err error
	if out.conditions, err = ConditionsOf(ing, be.Service.Name); err != nil {
		return out, err
	}
	if raw, ok := ing.Annotations[TransformsAnnotation(be.Service.Name)]; ok && !json.Valid([]byte(raw)) {
		return out, fmt.Errorf("failed to parse json annotation, %s: %s", TransformsAnnotation(be.Service.Name), raw)
	}
	if out.action, err = ActionOf(ing, be); err != nil {
		return out, err
	}
	single, err := b.loadServices(ing, &out.action)
	if err != nil {
		return out, err
	}
	out.login, err = b.login(ing, single)
	return out, err
}

// ActionOf returns what an Ingress does at a backend: the action annotation it
// names, or forwarding to a Service. Source: buildActionViaAnnotation,
// buildActionViaServiceAndServicePort, normalizeSimplifiedSchemaForwardAction.
func ActionOf(ing *networkingv1.Ingress, be networkingv1.IngressBackend) (Action, error) {
	port := intstr.FromInt32(be.Service.Port.Number)
	if be.Service.Port.Name != "" {
		port = intstr.FromString(be.Service.Port.Name)
	}
	if be.Service.Port.Name != UseAnnotation {
		return forwardTo(be.Service.Name, port), nil
	}
	key := ActionAnnotation(be.Service.Name)
	raw, ok := ing.Annotations[key]
	if !ok {
		return answer503(missingAction), nil
	}
	var a Action
	if err := json.Unmarshal([]byte(raw), &a); err != nil {
		return a, fmt.Errorf("failed to parse json annotation, %s: %s: %w", key, raw, err)
	}
	if err := a.validate(); err != nil {
		return a, fmt.Errorf("%s: %w", key, err)
	}
	if a.Type == TypeForward && a.Forward == nil {
		a.Forward = &Forward{TargetGroups: []TargetGroup{{TargetGroupARN: a.TargetGroupARN, TargetGroupName: a.TargetGroupName}}}
		a.TargetGroupARN, a.TargetGroupName = nil, nil
	}
	return a, nil
}

// ConditionsOf returns the further conditions at a backend of the name, be it
// a Service or an action. Source: enhanced_backend_builder.go buildConditions.
func ConditionsOf(ing *networkingv1.Ingress, name string) ([]Condition, error) {
	key := ConditionsAnnotation(name)
	raw, ok := ing.Annotations[key]
	if !ok {
		return nil, nil
	}
	var all []Condition
	if err := json.Unmarshal([]byte(raw), &all); err != nil {
		return nil, fmt.Errorf("failed to parse json annotation, %s: %s: %w", key, raw, err)
	}
	for _, c := range all {
		if err := c.validate(); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	return all, nil
}

func forwardTo(service string, port intstr.IntOrString) Action {
	return Action{Type: TypeForward, Forward: &Forward{TargetGroups: []TargetGroup{{ServiceName: &service, ServicePort: &port}}}}
}

func answer503(body string) Action {
	plain := "text/plain"
	return Action{Type: TypeFixedResponse, FixedResponse: &FixedResponse{ContentType: &plain, StatusCode: "503", MessageBody: &body}}
}

// loadServices replaces a forward to one Service that does not exist by a 503,
// and fails where one of several is missing or a port is not the Service's. It
// returns the single Service that is forwarded to, whose annotations count.
// Source: loadBackendServices, buildAuthConfig; pkg/k8s LookupServicePort.
func (b *builder) loadServices(ing *networkingv1.Ingress, a *Action) (*Service, error) {
	if a.Type != TypeForward || a.Forward == nil || b.Service == nil {
		return nil, nil
	}
	var single *Service
	for _, t := range a.Forward.TargetGroups {
		if t.ServiceName == nil {
			continue
		}
		s := b.Service(ing.Namespace, *t.ServiceName)
		alone := len(a.Forward.TargetGroups) == 1
		port := intstr.Parse(t.ServicePort.String()) // as normalizeServicePortForBackwardsCompatibility
		switch {
		case s.State == Missing && alone:
			*a = answer503(missingService)
			return nil, nil
		case s.State == Missing:
			return nil, fmt.Errorf("services %q not found", *t.ServiceName)
		case s.State == Found && !slices.Contains(s.Ports, port.String()):
			return nil, fmt.Errorf("unable to find port %s on service %s/%s", port.String(), ing.Namespace, *t.ServiceName)
		case alone:
			single = &s
		}
	}
	return single, nil
}

// login tells whether visitors must log in first: auth annotations of the
// Ingress before those of the one Service forwarded to.
// Source: auth_config_builder.go buildAuthType, model_build_actions.go
// buildAuthAction, docs/guide/ingress/annotations.md "Authentication".
func (b *builder) login(ing *networkingv1.Ingress, single *Service) (bool, error) {
	get := func(key string) string {
		if v, ok := ing.Annotations[key]; ok || single == nil {
			return v
		}
		return single.Annotations[key]
	}
	if raw, ok := ing.Annotations[JWTValidation]; ok {
		if !json.Valid([]byte(raw)) {
			return false, fmt.Errorf("failed to parse json annotation, %s: %s", JWTValidation, raw)
		}
		return true, nil
	}
	kind := get(AuthType)
	switch kind {
	case "", "none":
		return false, nil
	case "cognito", "oidc":
	default:
		return false, fmt.Errorf("unknown authType: %s", kind)
	}
	raw := get(Prefix + "auth-idp-" + kind)
	if raw == "" {
		return false, fmt.Errorf("auth-type is %s, but auth-idp-%s is missing", kind, kind)
	}
	if !json.Valid([]byte(raw)) {
		return false, fmt.Errorf("failed to parse json annotation, auth-idp-%s", kind)
	}
	return get(Prefix+"auth-on-unauthenticated-request") != "allow", nil
}

// edgeAction puts a backend in the words of package edge. Authentication
// exists on HTTPS only. Source: model_build_actions.go buildActions.
func (b *builder) edgeAction(back backend, scheme string) edge.Action {
	login := back.login && scheme == "https"
	switch a := back.action; a.Type {
	case TypeFixedResponse:
		r := &edge.Response{Status: status(a.FixedResponse.StatusCode), ContentType: value(a.FixedResponse.ContentType), Body: value(a.FixedResponse.MessageBody)}
		if b.Mark != nil {
			r.Mark = b.Mark(r.Body)
		}
		return edge.Action{Kind: edge.Respond, Response: r, Login: login}
	case TypeRedirect:
		code := 301
		if a.Redirect.StatusCode == "HTTP_302" {
			code = 302
		}
		return edge.Action{Kind: edge.Redirect, Status: code, Location: location(*a.Redirect), Login: login}
	default:
		return edge.Action{Kind: edge.Forward, Backend: backendName(back.namespace, *a.Forward), Login: login}
	}
}

func location(r Redirect) string {
	part := func(p *string, otherwise string) string {
		if p == nil {
			return otherwise
		}
		return *p
	}
	return fmt.Sprintf("%s://%s:%s%s?%s", strings.ToLower(part(r.Protocol, "#{protocol}")), part(r.Host, "#{host}"),
		part(r.Port, "#{port}"), part(r.Path, "/#{path}"), part(r.Query, "#{query}"))
}

func backendName(namespace string, f Forward) string {
	var names []string
	for _, t := range f.TargetGroups {
		name := "target group " + value(t.TargetGroupARN) + value(t.TargetGroupName)
		if t.ServiceName != nil {
			name = fmt.Sprintf("service %s/%s:%s", namespace, *t.ServiceName, t.ServicePort.String())
		}
		if t.Weight != nil && len(f.TargetGroups) > 1 {
			name += fmt.Sprintf(" (weight %d)", *t.Weight)
		}
		names = append(names, name)
	}
	return strings.Join(names, " or ")
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
