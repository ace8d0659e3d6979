package lbc_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/edge"
)

// repo is where the sources of the cases below are, at commit 225f445.
const repo = "https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/225f445/"

// A buildCase is a statement about the controller, with its source.
type buildCase struct {
	name   string
	source string
	in     string // Ingresses as YAML, short form: see ingress
	opts   lbc.Options
	want   string // the front, as text writes it
	// problems are "ingress: event: reason", each a part of the real one.
	problems []string
}

func TestBuild(t *testing.T) {
	for _, c := range slices.Concat(ruleCases(), actionCases(), conditionCases(), listenerCases(), limitCases()) {
		t.Run(c.name, func(t *testing.T) {
			if c.source == "" {
				t.Fatal("the case has no source")
			}
			if c.opts.Classes.ByName == nil {
				c.opts.Classes = classes()
			}
			front, problems := lbc.Build(parse(t, c.in), c.opts)
			if diff := cmp.Diff(strings.TrimSpace(c.want), text(front)); c.want != "*" && diff != "" {
				t.Errorf("front (-want +got), see %s\n%s", c.source, diff)
			}
			checkProblems(t, c.problems, problems)
		})
	}
}

func checkProblems(t *testing.T, want []string, got []lbc.Problem) {
	t.Helper()
	if len(want) != len(got) {
		t.Fatalf("problems %q, want %q", got, want)
	}
	for i, w := range want {
		have := fmt.Sprintf("%s: %s: %s", got[i].Ingress, got[i].Event, got[i].Reason)
		for part := range strings.SplitSeq(w, " … ") {
			if !strings.Contains(have, part) {
				t.Errorf("problem %q, want one with %q", have, part)
			}
		}
	}
}

func classes() lbc.Classes {
	return lbc.Classes{ByName: map[string]lbc.Class{
		"alb":   {Name: "alb", Controller: lbc.ControllerLBC},
		"nginx": {Name: "nginx", Controller: "k8s.io/ingress-nginx"},
		"auto":  {Name: "auto", Controller: lbc.ControllerEKS, HasParams: true, Group: "auto-shared"},
		"tls":   {Name: "tls", Controller: lbc.ControllerLBC, HasParams: true, CertificateARNs: []string{"arn:class"}, SSLRedirectPort: "443"},
		"eks":   {Name: "eks", Controller: lbc.ControllerEKS},
	}}
}

// parse reads Ingresses, separated by ---. Keys under "a:" are annotations
// without their prefix.
func parse(t *testing.T, text string) []*networkingv1.Ingress {
	t.Helper()
	var out []*networkingv1.Ingress
	for doc := range strings.SplitSeq(text, "---\n") {
		var short struct {
			Name string            `json:"name"`
			A    map[string]string `json:"a"`
			networkingv1.IngressSpec
			Class string `json:"class"`
		}
		if err := yaml.UnmarshalStrict([]byte(doc), &short); err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		ing := &networkingv1.Ingress{Spec: short.IngressSpec}
		ing.Namespace, ing.Name, _ = strings.Cut(short.Name, "/")
		class := short.Class
		if class == "" {
			class = "alb"
		}
		ing.Spec.IngressClassName = &class
		ing.Annotations = map[string]string{}
		for k, v := range short.A {
			ing.Annotations[lbc.Prefix+k] = v
		}
		out = append(out, ing)
	}
	return out
}

// text writes a front one rule a line, the rule's name shortened.
func text(f edge.Front) string {
	var b strings.Builder
	for _, l := range f.Listeners {
		fmt.Fprintf(&b, "%s %d\n", l.Scheme, l.Port)
		for _, r := range l.Rules {
			var conds []string
			for _, c := range r.Conditions {
				conds = append(conds, c.String())
			}
			fmt.Fprintf(&b, "  %s => %s  # %s\n", strings.Join(conds, " & "), actionText(r.Action), r.Name)
		}
		fmt.Fprintf(&b, "  else => %s\n", actionText(l.Default))
	}
	return strings.TrimSpace(b.String())
}

func actionText(a edge.Action) string {
	s := a.String()
	if a.Kind == edge.Respond && a.Response.Body != "" {
		s += " " + fmt.Sprintf("%q", a.Response.Body)
	}
	return s
}

func ruleCases() []buildCase {
	return []buildCase{{
		name:   "one host, Prefix /",
		source: repo + "pkg/ingress/model_build_listener_rules.go buildPathPatternsForPrefixPathType",
		in: `
name: shop/web
rules:
- {host: shop.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}
`,
		want: `
http 80
  host shop.example.com & path /* => service shop/web:80  # ingress shop/web rules[0].paths[0]
  else => 404 text/plain`,
	}, {
		name:   "Prefix /foo and /foo/ both become /foo and /foo/*",
		source: repo + "pkg/ingress/model_build_listener_rules.go buildPathPatternsForPrefixPathType; docs/guide/ingress/spec.md",
		in: `
name: shop/web
rules:
- {http: {paths: [{path: /foo, pathType: Prefix, backend: {service: {name: a, port: {number: 80}}}}]}}
- {http: {paths: [{path: /bar/, pathType: Prefix, backend: {service: {name: b, port: {name: http}}}}]}}
`,
		want: `
http 80
  path /foo or /foo/* => service shop/a:80  # ingress shop/web rules[0].paths[0]
  path /bar or /bar/* => service shop/b:http  # ingress shop/web rules[1].paths[0]
  else => 404 text/plain`,
	}, {
		name:   "Exact, then Prefix by length, then ImplementationSpecific as written",
		source: repo + "pkg/ingress/model_build_listener_rules.go sortIngressPaths",
		in: `
name: shop/web
rules:
- http:
    paths:
    - {path: /z*, pathType: ImplementationSpecific, backend: {service: {name: z, port: {number: 80}}}}
    - {path: /a, pathType: Prefix, backend: {service: {name: short, port: {number: 80}}}}
    - {path: /a/long, pathType: Prefix, backend: {service: {name: long, port: {number: 80}}}}
    - {path: /y, backend: {service: {name: yy, port: {number: 80}}}}
    - {path: /x, pathType: Exact, backend: {service: {name: x, port: {number: 80}}}}
`,
		want: `
http 80
  path /x => service shop/x:80  # ingress shop/web rules[0].paths[4]
  path /a/long or /a/long/* => service shop/long:80  # ingress shop/web rules[0].paths[2]
  path /a or /a/* => service shop/short:80  # ingress shop/web rules[0].paths[1]
  path /z* => service shop/z:80  # ingress shop/web rules[0].paths[0]
  path /y => service shop/yy:80  # ingress shop/web rules[0].paths[3]
  else => 404 text/plain`,
	}, {
		name:   "rules in the order of the manifest, whatever their hosts",
		source: repo + "pkg/ingress/model_build_listener_rules.go buildListenerRules",
		in: `
name: shop/web
rules:
- {host: "*.example.com", http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: any, port: {number: 80}}}}]}}
- {host: shop.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}]}}
`,
		want: `
http 80
  host *.example.com & path /* => service shop/any:80  # ingress shop/web rules[0].paths[0]
  host shop.example.com & path /* => service shop/shop:80  # ingress shop/web rules[1].paths[0]
  else => 404 text/plain`,
	}, {
		name:   "an empty path has no path condition; without a host the rule is /*",
		source: repo + "pkg/ingress/model_build_listener_rules.go buildRuleConditions",
		in: `
name: shop/web
rules:
- {host: shop.example.com, http: {paths: [{pathType: ImplementationSpecific, backend: {service: {name: a, port: {number: 80}}}}]}}
- {http: {paths: [{pathType: ImplementationSpecific, backend: {service: {name: b, port: {number: 80}}}}]}}
`,
		want: `
http 80
  host shop.example.com => service shop/a:80  # ingress shop/web rules[0].paths[0]
  path /* => service shop/b:80  # ingress shop/web rules[1].paths[0]
  else => 404 text/plain`,
	}, {
		name:   "wildcards in Exact and Prefix paths freeze the group",
		source: repo + "pkg/ingress/model_build_listener_rules.go buildPathPatternsForExactPathType, …PrefixPathType",
		in: `
name: shop/web
rules:
- {http: {paths: [{path: "/a*", pathType: Exact, backend: {service: {name: a, port: {number: 80}}}}, {path: "/b*", pathType: Prefix, backend: {service: {name: b, port: {number: 80}}}}]}}
`,
		want:     "http 80\n  else => 404 text/plain",
		problems: []string{"shop/web: FailedBuildModel: … exact path shouldn't contain wildcards: /a*", "prefix path shouldn't contain wildcards: /b*"},
	}, {
		name:   "use-regex-path-match strips the slash; noren does not evaluate it",
		source: repo + "pkg/ingress/model_build_listener_rules.go buildPathPatternsForImplementationSpecificPathType",
		in: `
name: shop/web
a: {use-regex-path-match: "true"}
rules:
- {http: {paths: [{path: "/^/v[0-9]+/", pathType: ImplementationSpecific, backend: {service: {name: a, port: {number: 80}}}}, {path: /b, pathType: Prefix, backend: {service: {name: b, port: {number: 80}}}}]}}
`,
		want: `
http 80
  path /b or /b/* => service shop/b:80  # ingress shop/web rules[0].paths[1]
  path regex ^/v[0-9]+/ => service shop/a:80  # ingress shop/web rules[0].paths[0]
  else => 404 text/plain`,
		problems: []string{"shop/web: : … regular expression, which noren does not evaluate"},
	}, {
		name:   "members in the order of group.order, then namespace/name",
		source: repo + "pkg/ingress/group_loader.go sortGroupMembers; docs/guide/ingress/annotations.md group.order",
		in: `
name: shop/web
a: {group.name: shared}
rules: [{http: {paths: [{path: /3, pathType: Exact, backend: {service: {name: a, port: {number: 80}}}}]}}]
---
name: cart/zzz
a: {group.name: shared}
rules: [{http: {paths: [{path: /2, pathType: Exact, backend: {service: {name: a, port: {number: 80}}}}]}}]
---
name: zoo/first
a: {group.name: shared, group.order: "-5"}
rules: [{http: {paths: [{path: /1, pathType: Exact, backend: {service: {name: a, port: {number: 80}}}}]}}]
---
name: aaa/last
a: {group.name: shared, group.order: "1000"}
rules: [{http: {paths: [{path: /4, pathType: Exact, backend: {service: {name: a, port: {number: 80}}}}]}}]
`,
		want: `
http 80
  path /1 => service zoo/a:80  # ingress zoo/first rules[0].paths[0]
  path /2 => service cart/a:80  # ingress cart/zzz rules[0].paths[0]
  path /3 => service shop/a:80  # ingress shop/web rules[0].paths[0]
  path /4 => service aaa/a:80  # ingress aaa/last rules[0].paths[0]
  else => 404 text/plain`,
	}, {
		name:   "a group.order that is no number or out of range freezes the group",
		source: repo + "pkg/ingress/group_loader.go sortGroupMembers",
		in: `
name: a/a
a: {group.order: first}
---
name: b/b
a: {group.order: "1001"}
`,
		want:     "*",
		problems: []string{`a/a: FailedBuildModel: group.order "first"`, "b/b: FailedBuildModel: group.order 1001 is not within -1000 to 1000"},
	}, {
		name:   "a resource backend freezes the group",
		source: repo + "pkg/ingress/enhanced_backend_builder.go Build",
		in: `
name: shop/web
rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {resource: {kind: Bucket, name: b}}}]}}]
`,
		want:     "*",
		problems: []string{`missing required "service" field`},
	}}
}

func listenerCases() []buildCase {
	const web = "rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]\n"
	const onWeb = "  path /* => service shop/web:80  # ingress shop/web rules[0].paths[0]\n  else => 404 text/plain"
	return []buildCase{{
		name:   "HTTPS 443 by default where there is a certificate-arn",
		source: repo + "pkg/ingress/model_build_listener.go computeIngressListenPorts; docs/guide/ingress/annotations.md listen-ports",
		in:     "name: shop/web\na: {certificate-arn: 'arn:1, arn:2'}\n" + web,
		want:   "https 443\n" + onWeb,
	}, {
		name:   "a class's certificateArn counts as well, and its sslRedirectPort",
		source: repo + "pkg/ingress/model_build_listener.go computeIngressExplicitTLSCertARNs; model_builder.go buildSSLRedirectConfig",
		in:     "name: shop/web\nclass: tls\n" + web,
		want:   "https 443\n" + onWeb,
	}, {
		name:   "listen-ports are merged, rules go on a member's own ports",
		source: repo + "pkg/ingress/model_builder.go run; docs/guide/ingress/annotations.md listen-ports (Merge)",
		in: "name: shop/web\na: {listen-ports: '[{\"HTTP\":80},{\"HTTPS\":443}]'}\n" + web +
			"---\nname: team/admin\na: {listen-ports: '[{\"HTTPS\": 8443},{\"HTTPS\": 443}]'}\n" + strings.ReplaceAll(web, "/,", "/admin,"),
		want: "http 80\n" + onWeb + "\nhttps 443\n  path /* => service shop/web:80  # ingress shop/web rules[0].paths[0]\n" +
			"  path /admin or /admin/* => service team/web:80  # ingress team/admin rules[0].paths[0]\n  else => 404 text/plain\n" +
			"https 8443\n  path /admin or /admin/* => service team/web:80  # ingress team/admin rules[0].paths[0]\n  else => 404 text/plain",
	}, {
		name:     "broken, empty and impossible listen-ports",
		source:   repo + "pkg/ingress/model_build_listener.go computeIngressListenPorts",
		in:       "name: a/a\na: {listen-ports: '{}'}\n---\nname: b/b\na: {listen-ports: '[]'}\n---\nname: c/c\na: {listen-ports: '[{\"TCP\":80}]'}\n---\nname: d/d\na: {listen-ports: '[{\"HTTP\":0}]'}\n",
		want:     "*",
		problems: []string{"a/a: FailedBuildModel: failed to parse listen-ports", "b/b: FailedBuildModel: empty listen-ports", "must be within [HTTP, HTTPS]: TCP", "must be within [1, 65535]: 0"},
	}, {
		name:     "one port with two protocols freezes the group",
		source:   repo + "pkg/ingress/model_builder.go mergeListenPortConfigs",
		in:       "name: a/a\na: {listen-ports: '[{\"HTTP\":80}]'}\n---\nname: b/b\na: {listen-ports: '[{\"HTTPS\":80}]'}\n",
		want:     "*",
		problems: []string{"b/b: FailedBuildModel: conflicting protocol on port 80"},
	}, {
		name:   "ssl-redirect: HTTP listeners only redirect, for the whole group",
		source: repo + "pkg/ingress/model_build_listener_rules.go buildListenerRules (first lines), model_build_listener.go buildSSLRedirectAction",
		in: "name: shop/web\na: {listen-ports: '[{\"HTTP\":80},{\"HTTPS\":443}]', ssl-redirect: '443'}\n" + web +
			"---\nname: team/plain\n" + strings.ReplaceAll(web, "/,", "/plain,"),
		want: "http 80\n  else => 301 to https://#{host}:443/#{path}?#{query}\nhttps 443\n" + onWeb,
	}, {
		name:   "ssl-redirect must be one HTTPS port of the group",
		source: repo + "pkg/ingress/model_builder.go buildSSLRedirectConfig",
		in: "name: a/a\na: {listen-ports: '[{\"HTTPS\":443}]', ssl-redirect: '443'}\n---\nname: b/b\na: {ssl-redirect: '8443'}\n" +
			"---\nname: c/c\na: {ssl-redirect: 'https'}\n",
		want:     "*",
		problems: []string{"b/b: FailedBuildModel: conflicting sslRedirect port", `c/c: FailedBuildModel: ssl-redirect "https" is not a port`},
	}, {
		name:     "ssl-redirect to a port nobody listens on",
		source:   repo + "pkg/ingress/model_builder.go buildSSLRedirectConfig",
		in:       "name: a/a\na: {ssl-redirect: '443'}\n",
		want:     "http 80\n  else => 404 text/plain",
		problems: []string{"a/a: FailedBuildModel: listener does not exist for SSLRedirect port: 443"},
	}, {
		name:     "ssl-redirect to an HTTP port",
		source:   repo + "pkg/ingress/model_builder.go buildSSLRedirectConfig",
		in:       "name: a/a\na: {ssl-redirect: '80'}\n",
		want:     "http 80\n  else => 404 text/plain",
		problems: []string{"a/a: FailedBuildModel: listener protocol non-SSL for SSLRedirect port: 80"},
	}, {
		name:   "a defaultBackend is the listener's default action",
		source: repo + "pkg/ingress/model_build_listener.go buildListenerDefaultActions",
		in:     "name: shop/web\ndefaultBackend: {service: {name: web, port: {number: 80}}}\n",
		want:   "http 80\n  else => service shop/web:80",
	}, {
		name:     "two defaultBackends freeze the group",
		source:   repo + "pkg/ingress/model_build_listener.go buildListenerDefaultActions",
		in:       "name: a/a\ndefaultBackend: {service: {name: web, port: {number: 80}}}\n---\nname: b/b\ndefaultBackend: {service: {name: web, port: {number: 80}}}\n",
		want:     "*",
		problems: []string{"multiple ingress defined default backend: a/a and b/b"},
	}}
}
