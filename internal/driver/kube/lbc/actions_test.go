package lbc_test

import (
	"fmt"
	"strings"

	"github.com/noren-dev/noren/internal/driver/kube/lbc"
)

// useAction is an Ingress whose one path leads to the action of the name x.
func useAction(annotations string) string {
	return "name: shop/web\na: {listen-ports: '[{\"HTTP\":80},{\"HTTPS\":443}]'" + annotations + "}\n" +
		"rules: [{http: {paths: [{path: /x, pathType: Exact, backend: {service: {name: x, port: {name: use-annotation}}}}]}}]\n"
}

// both is the front of useAction: the same rule on both ports, with what is
// only on the second in front of its action.
func both(action, onHTTPS string) string {
	rule := "  path /x => %s%s  # ingress shop/web rules[0].paths[0]\n  else => 404 text/plain\n"
	return "http 80\n" + fmt.Sprintf(rule, "", action) + "https 443\n" + fmt.Sprintf(rule, onHTTPS, action)
}

const empty = "http 80\n  else => 404 text/plain\nhttps 443\n  else => 404 text/plain"

func actionCases() []buildCase {
	const config = repo + "pkg/ingress/config_types.go "
	const builder = repo + "pkg/ingress/enhanced_backend_builder.go "
	action := func(json string) string { return useAction(", actions.x: '" + json + "'") }
	services := func(namespace, name string) lbc.Service {
		switch name {
		case "web":
			return lbc.Service{State: lbc.Found, Ports: []string{"80", "http"}, Annotations: map[string]string{
				lbc.AuthType: "cognito", lbc.Prefix + "auth-idp-cognito": "{}"}}
		case "gone":
			return lbc.Service{State: lbc.Missing}
		}
		return lbc.Service{}
	}
	toService := func(name, port string) string {
		return "name: shop/web\na: {listen-ports: '[{\"HTTP\":80},{\"HTTPS\":443}]'}\n" +
			"rules: [{http: {paths: [{path: /x, pathType: Exact, backend: {service: {name: " + name + ", port: {number: " + port + "}}}}]}}]\n"
	}
	return []buildCase{{
		name: "fixed-response", source: config + "FixedResponseActionConfig; docs/guide/ingress/annotations.md actions",
		in:   action(`{"type":"fixed-response","fixedResponseConfig":{"contentType":"text/html","statusCode":"503","messageBody":"closed"}}`),
		want: both(`503 text/html "closed"`, ""),
	}, {
		name: "keys in any case, unknown keys ignored", source: config + "(encoding/json); docs/guide/ingress/annotations.md",
		in:   action(`{"Type":"fixed-response","FixedResponseConfig":{"ContentType":"text/plain","StatusCode":"503","MessageBody":"old"},"extra":1}`),
		want: both(`503 text/plain "old"`, ""),
	}, {
		name: "a statusCode that is a number freezes the group", source: config + "FixedResponseActionConfig.StatusCode is a string",
		in:   action(`{"type":"fixed-response","fixedResponseConfig":{"statusCode":503}}`),
		want: empty, problems: []string{"shop/web: FailedBuildModel: … failed to parse json annotation"},
	}, {
		name: "a list is not an action", source: builder + "buildActionViaAnnotation",
		in:   action(`[{"type":"fixed-response"}]`),
		want: empty, problems: []string{"FailedBuildModel: … failed to parse json annotation"},
	}, {
		name: "what validation finds", source: config + "Action.validate",
		in:   action(`{"type":"fixed-response"}`),
		want: empty, problems: []string{"actions.x: missing FixedResponseConfig"},
	}, {
		name: "an unknown type", source: config + "Action.validate",
		in:   action(`{"type":"respond"}`),
		want: empty, problems: []string{"unknown action type: respond"},
	}, {
		name: "redirect", source: config + "RedirectActionConfig",
		in:   action(`{"type":"redirect","redirectConfig":{"host":"new.example.com","path":"/#{path}","statusCode":"HTTP_302"}}`),
		want: both(`302 to #{protocol}://new.example.com:#{port}/#{path}?#{query}`, ""),
	}, {
		name: "forward with weights", source: config + "ForwardActionConfig; docs/guide/ingress/annotations.md actions.forward-multiple-tg",
		in:   action(`{"type":"forward","forwardConfig":{"targetGroups":[{"serviceName":"blue","servicePort":"80","weight":90},{"serviceName":"green","servicePort":80,"weight":10}]}}`),
		want: both(`service shop/blue:80 (weight 90) or service shop/green:80 (weight 10)`, ""),
	}, {
		name: "forward by ARN, simplified schema", source: builder + "normalizeSimplifiedSchemaForwardAction",
		in:   action(`{"type":"forward","targetGroupARN":"arn:tg"}`),
		want: both(`target group arn:tg`, ""),
	}, {
		name: "weights are needed with several target groups", source: config + "ForwardActionConfig.validate",
		in:   action(`{"type":"forward","forwardConfig":{"targetGroups":[{"serviceName":"a","servicePort":80},{"serviceName":"b","servicePort":80}]}}`),
		want: empty, problems: []string{"weight must be set"},
	}, {
		name: "an action that is missing answers 503", source: builder + "build503ResponseAction; docs/deploy/configurations.md --tolerate-non-existent-backend-action",
		in:   useAction(""),
		want: both(`503 text/plain "Backend action does not exist"`, ""),
	}, {
		name: "a Service that is missing answers 503", source: builder + "loadBackendServices; docs/deploy/configurations.md --tolerate-non-existent-backend-service",
		in: toService("gone", "80"), opts: lbc.Options{Service: services},
		want: both(`503 text/plain "Backend service does not exist"`, ""),
	}, {
		name: "one missing among several freezes the group", source: builder + "loadBackendServices (forwardToSingleSvc)",
		in:   action(`{"type":"forward","forwardConfig":{"targetGroups":[{"serviceName":"gone","servicePort":80,"weight":1},{"serviceName":"b","servicePort":80,"weight":1}]}}`),
		opts: lbc.Options{Service: services}, want: empty, problems: []string{`services "gone" not found`},
	}, {
		name: "a port that the Service does not have freezes the group", source: repo + "pkg/k8s/service_utils.go LookupServicePort",
		in: toService("web", "81"), opts: lbc.Options{Service: services},
		want: empty, problems: []string{"unable to find port 81 on service shop/web"},
	}, {
		name: "auth-type asks for a login, on HTTPS only", source: repo + "pkg/ingress/model_build_actions.go buildActions; docs/guide/ingress/annotations.md Authentication",
		in:   useAction(`, auth-type: oidc, auth-idp-oidc: '{"secretName":"s"}', actions.x: '{"type":"fixed-response","fixedResponseConfig":{"statusCode":"503"}}'`),
		want: both("503 ", "login, then "),
	}, {
		name: "auth annotations of the one Service count", source: builder + "buildAuthConfig",
		in: toService("web", "80"), opts: lbc.Options{Service: services},
		want: both("service shop/web:80", "login, then "),
	}, {
		name: "auth-on-unauthenticated-request allow lets everybody in", source: repo + "docs/guide/ingress/annotations.md auth-on-unauthenticated-request",
		in:   useAction(`, auth-type: cognito, auth-idp-cognito: '{}', auth-on-unauthenticated-request: allow`),
		want: both(`503 text/plain "Backend action does not exist"`, ""),
	}, {
		name: "an unknown auth-type freezes the group", source: repo + "pkg/ingress/auth_config_builder.go buildAuthType",
		in:   useAction(`, auth-type: saml`),
		want: empty, problems: []string{"unknown authType: saml"},
	}, {
		name: "jwt-validation must be passed first, too", source: repo + "pkg/ingress/model_build_actions.go buildJwtValidationAction",
		in:   useAction(`, jwt-validation: '{"jwksEndpoint":"https://i/jwks","issuer":"https://i"}'`),
		want: both(`503 text/plain "Backend action does not exist"`, "login, then "),
	}, {
		name: "noren's own rules are named as such", source: "noren: edge.Rule.OfCurtain",
		in: `
name: shop/noren-web-closed
a: {actions.noren-closed: '{"type":"fixed-response","fixedResponseConfig":{"contentType":"text/html","statusCode":"503","messageBody":"x"}}'}
rules: [{host: a.example.com, http: {paths: [{pathType: ImplementationSpecific, backend: {service: {name: noren-closed, port: {name: use-annotation}}}}]}}]
`,
		want: `
http 80
  host a.example.com => 503 text/html "x"  # noren: closed (ingress shop/noren-web-closed rules[0].paths[0])
  else => 404 text/plain`,
	}}
}

func conditionCases() []buildCase {
	const source = repo + "pkg/ingress/model_build_listener_rules.go buildRuleConditions; docs/guide/ingress/annotations.md conditions"
	with := func(host, conditions string) string {
		return "name: shop/web\na: {conditions.web: '" + conditions + "'}\n" +
			"rules: [{" + host + "http: {paths: [{path: /x, pathType: Exact, backend: {service: {name: web, port: {number: 80}}}}]}}]\n"
	}
	rule := func(conditions string) string {
		return "http 80\n  " + conditions + " => service shop/web:80  # ingress shop/web rules[0].paths[0]\n  else => 404 text/plain"
	}
	none := "http 80\n  else => 404 text/plain"
	redirect := func(config string) string {
		return `
name: shop/web
a:
  listen-ports: '[{"HTTP":80},{"HTTPS":443}]'
  actions.ssl-redirect: '{"type":"redirect","redirectConfig":` + config + `}'
rules:
- {http: {paths: [{path: /*, pathType: ImplementationSpecific, backend: {service: {name: ssl-redirect, port: {name: use-annotation}}}}, {path: /a, pathType: ImplementationSpecific, backend: {service: {name: web, port: {number: 80}}}}]}}
`
	}
	return []buildCase{{
		name: "hosts and paths of conditions are alternatives", source: source,
		in:   with("host: a.example.com, ", `[{"field":"host-header","hostHeaderConfig":{"values":["b.example.com"]}},{"field":"path-pattern","pathPatternConfig":{"values":["/y*"]}}]`),
		want: rule("host a.example.com or b.example.com & path /x or /y*"),
	}, {
		name: "the other fields must hold as well", source: source,
		in:   with("", `[{"field":"http-header","httpHeaderConfig":{"httpHeaderName":"X-A","values":["1","2"]}},{"field":"http-request-method","httpRequestMethodConfig":{"values":["GET"]}}]`),
		want: rule("path /x & header X-A 1 or 2 & method GET"),
	}, {
		name: "query strings and source addresses", source: source,
		in:   with("", `[{"field":"query-string","queryStringConfig":{"values":[{"key":"v","value":"1"},{"value":"all"}]}},{"field":"source-ip","sourceIPConfig":{"values":["203.0.113.0/24"]}}]`),
		want: rule("path /x & query v=1 or *=all & source 203.0.113.0/24"),
	}, {
		name: "an unknown field is ignored", source: repo + "pkg/ingress/config_types.go RuleCondition.Validate (no default case)",
		in: with("", `[{"field":"cookie"}]`), want: rule("path /x"),
	}, {
		name: "conditions must be a list", source: repo + "pkg/ingress/enhanced_backend_builder.go buildConditions",
		in: with("", `{"field":"source-ip"}`), want: none, problems: []string{"FailedBuildModel: … failed to parse json annotation"},
	}, {
		name: "a field without its configuration freezes the group", source: repo + "pkg/ingress/config_types.go RuleCondition.Validate",
		in: with("", `[{"field":"source-ip","sourceIpConfigs":{"values":["10.0.0.0/8"]}}]`), want: none, problems: []string{"missing sourceIPConfig"},
	}, {
		name: "globs and regular expressions do not mix", source: source,
		in: with("host: a.example.com, ", `[{"field":"host-header","hostHeaderConfig":{"regexValues":["^b"]}}]`), want: none,
		problems: []string{"host condition must specify exactly one of Values and RegexValues"},
	}, {
		name: "a redirect that loops is left out, and nothing behind it", source: repo + "pkg/ingress/rule_optimizer.go omitInfiniteRedirectRules, omitOvershadowedRulesAfterRedirectRules",
		in: redirect(`{"protocol":"HTTPS","port":"443","statusCode":"HTTP_301"}`),
		want: `
http 80
  path /* => 301 to https://#{host}:443/#{path}?#{query}  # ingress shop/web rules[0].paths[0]
  else => 404 text/plain
https 443
  path /a => service shop/web:80  # ingress shop/web rules[0].paths[1]
  else => 404 text/plain`,
	}, {
		name: "a redirect elsewhere shadows on every listener", source: repo + "pkg/ingress/rule_optimizer.go isInfiniteRedirectRule, isSupersetConditions",
		in: redirect(`{"host":"new.example.com","statusCode":"HTTP_301"}`),
		want: `
http 80
  path /* => 301 to #{protocol}://new.example.com:#{port}/#{path}?#{query}  # ingress shop/web rules[0].paths[0]
  else => 404 text/plain
https 443
  path /* => 301 to #{protocol}://new.example.com:#{port}/#{path}?#{query}  # ingress shop/web rules[0].paths[0]
  else => 404 text/plain`,
	}, {
		name: "a fixed-response shadows nothing: the rules behind stay", source: repo + "pkg/ingress/rule_optimizer.go (redirects only)",
		in: `
name: shop/web
a: {actions.closed: '{"type":"fixed-response","fixedResponseConfig":{"statusCode":"503","contentType":"text/plain"}}'}
rules:
- {http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: closed, port: {name: use-annotation}}}}]}}
- {http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}
`,
		want: `
http 80
  path /* => 503 text/plain  # ingress shop/web rules[0].paths[0]
  path /* => service shop/web:80  # ingress shop/web rules[1].paths[0]
  else => 404 text/plain`,
	}}
}

func limitCases() []buildCase {
	const quotas = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html"
	const fixed = "https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_FixedResponseActionConfig.html"
	const condition = "https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_RuleCondition.html"
	body := func(text, contentType, status string) string {
		return useAction(`, actions.x: '{"type":"fixed-response","fixedResponseConfig":{"contentType":"` + contentType + `","statusCode":"` + status + `","messageBody":"` + text + `"}}'`)
	}
	conditions := func(json string) string {
		return "name: shop/web\na: {conditions.web: '" + json + "'}\n" +
			"rules: [{host: a.example.com, http: {paths: [{path: /x, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]\n"
	}
	many := "name: shop/web\nrules:\n"
	for i := range 101 {
		many += fmt.Sprintf("- {http: {paths: [{path: /%d, pathType: Exact, backend: {service: {name: web, port: {number: 80}}}}]}}\n", i)
	}
	hundred := many[:strings.LastIndex(many, "- {http")]
	return []buildCase{
		{name: "1024 characters of body fit", source: fixed, in: body(strings.Repeat("閉", 1024), "text/html", "503"), want: "*"},
		{name: "1025 do not", source: fixed, in: body(strings.Repeat("a", 1025), "text/html", "503"), want: "*",
			problems: []string{"FailedDeployModel: … 1025 characters, 1 more than the 1024"}},
		{name: "content type with a charset", source: fixed, in: body("x", "text/html; charset=utf-8", "503"), want: "*", problems: []string{"contentType"}},
		{name: "status 302", source: fixed, in: body("x", "text/html", "302"), want: "*", problems: []string{`statusCode "302" must be 2xx, 4xx or 5xx`}},
		{name: "five values fit", source: quotas, in: conditions(`[{"field":"source-ip","sourceIPConfig":{"values":["10.0.0.0/8","10.1.0.0/16"]}}]`), want: "*"},
		{name: "six do not", source: quotas, in: conditions(`[{"field":"source-ip","sourceIPConfig":{"values":["10.0.0.0/8","10.1.0.0/16","10.2.0.0/16"]}}]`), want: "*",
			problems: []string{"FailedDeployModel: … can only have 5 condition values, this one has 6"}},
		{name: "six wildcards", source: quotas, in: conditions(`[{"field":"http-header","httpHeaderConfig":{"httpHeaderName":"X","values":["*a*b*c*d*"]}}]`), want: "*",
			problems: []string{"can only have 5 wildcards, this one has 6"}},
		{name: "129 characters of a value", source: condition, in: conditions(`[{"field":"http-header","httpHeaderConfig":{"httpHeaderName":"X","values":["` + strings.Repeat("a", 129) + `"]}}]`), want: "*",
			problems: []string{"has 129 characters, at most 128"}},
		{name: "an address without a mask", source: condition, in: conditions(`[{"field":"source-ip","sourceIPConfig":{"values":["10.0.0.1"]}}]`), want: "*", problems: []string{"not a CIDR"}},
		{name: "100 rules fit", source: quotas, in: hundred, want: "*"},
		{name: "101 do not", source: quotas, in: many, want: "*", problems: []string{": FailedDeployModel: 101 listener rules"}},
	}
}
