package lbc

import (
	"encoding/json"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/util/intstr"
)

// The JSON of the annotations. Source: pkg/ingress/config_types.go. Like the
// controller, noren decodes it with encoding/json, which takes the keys in any
// case and ignores those it does not know.

// An Action is the value of actions.<name>.
type Action struct {
	Type            string         `json:"type"`
	TargetGroupARN  *string        `json:"targetGroupARN,omitempty"`
	TargetGroupName *string        `json:"targetGroupName,omitempty"`
	FixedResponse   *FixedResponse `json:"fixedResponseConfig,omitempty"`
	Redirect        *Redirect      `json:"redirectConfig,omitempty"`
	Forward         *Forward       `json:"forwardConfig,omitempty"`
}

// The types of action.
const (
	TypeFixedResponse = "fixed-response"
	TypeRedirect      = "redirect"
	TypeForward       = "forward"
)

// A FixedResponse is answered by the load balancer itself.
type FixedResponse struct {
	ContentType *string `json:"contentType,omitempty"`
	StatusCode  string  `json:"statusCode"`
	MessageBody *string `json:"messageBody,omitempty"`
}

// A Redirect sends the visitor elsewhere. #{host} and the like stand for the
// request's own parts.
type Redirect struct {
	Host       *string `json:"host,omitempty"`
	Path       *string `json:"path,omitempty"`
	Port       *string `json:"port,omitempty"`
	Protocol   *string `json:"protocol,omitempty"`
	Query      *string `json:"query,omitempty"`
	StatusCode string  `json:"statusCode"`
}

// A Forward sends the request to target groups.
type Forward struct {
	TargetGroups []TargetGroup   `json:"targetGroups"`
	Stickiness   json.RawMessage `json:"targetGroupStickinessConfig,omitempty"`
}

// A TargetGroup is a Service's port, or a target group that exists in AWS.
type TargetGroup struct {
	ServiceName     *string             `json:"serviceName,omitempty"`
	ServicePort     *intstr.IntOrString `json:"servicePort,omitempty"`
	TargetGroupARN  *string             `json:"targetGroupARN,omitempty"`
	TargetGroupName *string             `json:"targetGroupName,omitempty"`
	Weight          *int32              `json:"weight,omitempty"`
}

// A Condition is one element of conditions.<name>.
type Condition struct {
	Field  string        `json:"field"`
	Host   *Values       `json:"hostHeaderConfig,omitempty"`
	Path   *Values       `json:"pathPatternConfig,omitempty"`
	Header *HeaderValues `json:"httpHeaderConfig,omitempty"`
	Method *Values       `json:"httpRequestMethodConfig,omitempty"`
	Query  *QueryValues  `json:"queryStringConfig,omitempty"`
	Source *Values       `json:"sourceIPConfig,omitempty"`
}

// The fields of a condition.
const (
	FieldHost   = "host-header"
	FieldPath   = "path-pattern"
	FieldHeader = "http-header"
	FieldMethod = "http-request-method"
	FieldQuery  = "query-string"
	FieldSource = "source-ip"
)

// Values are alternatives: globs, or regular expressions, never both.
type Values struct {
	RegexValues []string `json:"regexValues,omitempty"`
	Values      []string `json:"values,omitempty"`
}

// HeaderValues are alternatives for the header of a name.
type HeaderValues struct {
	Name        string   `json:"httpHeaderName"`
	RegexValues []string `json:"regexValues,omitempty"`
	Values      []string `json:"values,omitempty"`
}

// QueryValues are alternatives for a parameter of the query.
type QueryValues struct {
	Values []QueryValue `json:"values"`
}

// A QueryValue is a parameter's value, of any key if Key is nil.
type QueryValue struct {
	Key   *string `json:"key,omitempty"`
	Value string  `json:"value"`
}

// values are those of the condition's own field, for counting and checking.
func (c Condition) values() []string {
	switch {
	case c.Field == FieldHost && c.Host != nil:
		return append(c.Host.Values[:len(c.Host.Values):len(c.Host.Values)], c.Host.RegexValues...)
	case c.Field == FieldPath && c.Path != nil:
		return append(c.Path.Values[:len(c.Path.Values):len(c.Path.Values)], c.Path.RegexValues...)
	case c.Field == FieldHeader && c.Header != nil:
		return append(c.Header.Values[:len(c.Header.Values):len(c.Header.Values)], c.Header.RegexValues...)
	case c.Field == FieldMethod && c.Method != nil:
		return c.Method.Values
	case c.Field == FieldSource && c.Source != nil:
		return c.Source.Values
	case c.Field == FieldQuery && c.Query != nil:
		var all []string
		for _, v := range c.Query.Values {
			all = append(all, v.Value)
		}
		return all
	}
	return nil
}

// validate is what the controller checks before it builds its model.
// Source: config_types.go RuleCondition.Validate.
func (c Condition) validate() error {
	either := func(name string, v *Values) error {
		switch {
		case v == nil:
			return fmt.Errorf("missing %s", name)
		case len(v.Values) == 0 && len(v.RegexValues) == 0:
			return fmt.Errorf("invalid %s: values or regexValues must be specified", name)
		case len(v.Values) > 0 && len(v.RegexValues) > 0:
			return fmt.Errorf("invalid %s: precisely one of values and regexValues can be specified", name)
		}
		return nil
	}
	plain := func(name string, v *Values) error {
		if v == nil {
			return fmt.Errorf("missing %s", name)
		}
		if len(v.Values) == 0 {
			return fmt.Errorf("invalid %s: values cannot be empty", name)
		}
		return nil
	}
	switch c.Field {
	case FieldHost:
		return either("hostHeaderConfig", c.Host)
	case FieldPath:
		return either("pathPatternConfig", c.Path)
	case FieldHeader:
		if c.Header == nil {
			return errors.New("missing httpHeaderConfig")
		}
		return either("httpHeaderConfig", &Values{c.Header.RegexValues, c.Header.Values})
	case FieldMethod:
		return plain("httpRequestMethodConfig", c.Method)
	case FieldSource:
		return plain("sourceIPConfig", c.Source)
	case FieldQuery:
		return c.Query.validate()
	}
	return nil // an unknown field is ignored, see buildRuleConditions
}

func (q *QueryValues) validate() error {
	if q == nil {
		return errors.New("missing queryStringConfig")
	}
	if len(q.Values) == 0 {
		return errors.New("invalid queryStringConfig: values cannot be empty")
	}
	for _, v := range q.Values {
		if v.Value == "" {
			return errors.New("invalid queryStringConfig: value cannot be empty")
		}
	}
	return nil
}

// validate is what the controller checks. Source: config_types.go Action.validate.
func (a Action) validate() error {
	switch a.Type {
	case TypeFixedResponse:
		if a.FixedResponse == nil {
			return errors.New("missing FixedResponseConfig")
		}
		if a.FixedResponse.StatusCode == "" {
			return errors.New("invalid FixedResponseConfig: statusCode is required")
		}
	case TypeRedirect:
		if a.Redirect == nil {
			return errors.New("missing RedirectConfig")
		}
		if a.Redirect.StatusCode == "" {
			return errors.New("invalid RedirectConfig: statusCode is required")
		}
	case TypeForward:
		return a.validateForward()
	default:
		return fmt.Errorf("unknown action type: %s", a.Type)
	}
	return nil
}

func (a Action) validateForward() error {
	named := a.TargetGroupARN != nil || a.TargetGroupName != nil
	switch {
	case !named && a.Forward == nil:
		return errors.New("missing ForwardConfig or TargetGroupARN/TargetGroupName")
	case named && a.Forward != nil:
		return errors.New("either ForwardConfig or TargetGroupARN/TargetGroupName can be specified")
	case named:
		return nil
	}
	for _, t := range a.Forward.TargetGroups {
		external := t.TargetGroupARN != nil || t.TargetGroupName != nil
		switch {
		case !external && t.ServiceName == nil:
			return errors.New("invalid ForwardConfig: missing serviceName or targetGroupARN/targetGroupName")
		case external && t.ServiceName != nil:
			return errors.New("invalid ForwardConfig: either serviceName or targetGroupARN/targetGroupName can be specified")
		case t.ServiceName != nil && t.ServicePort == nil:
			return errors.New("invalid ForwardConfig: missing servicePort")
		case len(a.Forward.TargetGroups) > 1 && t.Weight == nil:
			return errors.New("invalid ForwardConfig: weight must be set when route to multiple target groups")
		}
	}
	return nil
}
