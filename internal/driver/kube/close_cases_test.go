package kube

import (
	"strings"

	"github.com/noren-dev/noren/internal/edge"
)

const webInGroup = `
metadata:
  name: web
  namespace: shop
  uid: 7d1f
  annotations:
    alb.ingress.kubernetes.io/group.name: shared
    alb.ingress.kubernetes.io/listen-ports: '[{"HTTP":80},{"HTTPS":443}]'
    alb.ingress.kubernetes.io/ssl-redirect: "443"
    alb.ingress.kubernetes.io/certificate-arn: arn:shop
    alb.ingress.kubernetes.io/tags: team=shop
    alb.ingress.kubernetes.io/healthcheck-path: /healthz
    alb.ingress.kubernetes.io/target-type: ip
    argocd.argoproj.io/tracking-id: shop:networking.k8s.io/Ingress:shop/web
  labels: {app.kubernetes.io/instance: shop}
spec:
  ingressClassName: alb
  rules:
  - host: shop.example.com
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
      - {path: /cart, pathType: Prefix, backend: {service: {name: cart, port: {name: http}}}}
  - host: www.example.com
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
`

const teamInGroup = `
---
metadata:
  name: admin
  namespace: team
  annotations:
    alb.ingress.kubernetes.io/group.name: shared
    alb.ingress.kubernetes.io/group.order: "-10"
    alb.ingress.kubernetes.io/listen-ports: '[{"HTTPS":443}]'
    alb.ingress.kubernetes.io/certificate-arn: arn:team
spec:
  ingressClassName: alb
  rules:
  - host: admin.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: admin, port: {number: 80}}}}]}
`

const auth = `
    alb.ingress.kubernetes.io/auth-type: oidc
    alb.ingress.kubernetes.io/auth-idp-oidc: '{"issuer":"https://login.example.com","secretName":"oidc"}'
`

const webAlone = `
metadata:
  name: web
  namespace: shop
  uid: 7d1f
  annotations:
    alb.ingress.kubernetes.io/listen-ports: '[{"HTTPS":443}]'
    alb.ingress.kubernetes.io/actions.old: '{"type":"redirect","redirectConfig":{"path":"/new","statusCode":"HTTP_301"}}'
    alb.ingress.kubernetes.io/conditions.beta: '[{"field":"http-header","httpHeaderConfig":{"httpHeaderName":"X-Beta","values":["1"]}}]'
    alb.ingress.kubernetes.io/transforms.beta: '[{"type":"url-rewrite","urlRewriteConfig":{"rewrites":[{"regex":"^/b","replace":"/"}]}}]'
spec:
  ingressClassName: alb
  rules:
  - host: shop.example.com
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
      - {path: /old, pathType: Exact, backend: {service: {name: old, port: {name: use-annotation}}}}
      - {path: /beta, pathType: Prefix, backend: {service: {name: beta, port: {name: http}}}}
`

const anyHost = `
metadata: {name: web, namespace: shop, uid: 7d1f}
spec:
  ingressClassName: alb
  defaultBackend: {service: {name: web, port: {number: 80}}}
status: {loadBalancer: {ingress: [{hostname: k8s-shop-web-1.elb.example.com}]}}
`

// first comes before shop/web by its name alone.
const first = `
---
metadata:
  name: first
  namespace: a
  annotations: {alb.ingress.kubernetes.io/group.name: shared, alb.ingress.kubernetes.io/listen-ports: '[{"HTTPS":443}]'}
spec:
  ingressClassName: alb
  rules:
  - host: shop.example.com
    http: {paths: [{path: /blog, pathType: Prefix, backend: {service: {name: blog, port: {number: 80}}}}]}
`

const sharesHost = `
---
metadata:
  name: api
  namespace: team
  annotations: {alb.ingress.kubernetes.io/group.name: shared, alb.ingress.kubernetes.io/group.order: "-5", alb.ingress.kubernetes.io/listen-ports: '[{"HTTPS":443}]'}
spec:
  ingressClassName: alb
  rules:
  - host: www.example.com
    http: {paths: [{path: /api, pathType: Prefix, backend: {service: {name: api, port: {number: 80}}}}]}
`

func closeCases() []closeCase {
	hq := edge.Bypass{Sources: prefixList("203.0.113.0/24", "198.51.100.7/32", "2001:db8::/48", "192.0.2.0/28", "10.0.0.0/8"), Pass: testPass}
	team := []string{"https://admin.example.com/users"}
	return []closeCase{
		{name: "group", members: webInGroup + teamInGroup, closing: edge.Closing{Mode: edge.Closed}, others: team},
		{name: "group-one-host", members: webInGroup + teamInGroup, others: append(team, "https://www.example.com/"),
			closing: edge.Closing{Mode: edge.Closed, Hosts: []string{"shop.example.com"}}},
		{name: "group-bypass-auth", members: strings.Replace(webInGroup, "\n    argocd", auth+"    argocd", 1) + teamInGroup,
			closing: edge.Closing{Mode: edge.Closed, Bypass: hq}, others: team},
		{name: "group-read-only", members: webInGroup + teamInGroup, closing: edge.Closing{Mode: edge.ReadOnly}, others: team},
		{name: "group-paths-kept-open", members: webInGroup + teamInGroup, others: append(team, "https://shop.example.com/about"),
			closing: edge.Closing{Mode: edge.Paths, Paths: []string{"/cart/*", "/checkout/*"}, KeepOpen: []string{"/cart/webhook", "/.well-known/acme-challenge/*"}}},
		{name: "group-shared-host", members: webInGroup + sharesHost + first, closing: edge.Closing{Mode: edge.Closed}, others: []string{"https://www.example.com/api/v1"}},
		{name: "group-patch", members: webInGroup + teamInGroup, strategy: StrategyPatch, closing: edge.Closing{Mode: edge.Closed}, others: team},
		{name: "alone", members: webAlone, closing: edge.Closing{Mode: edge.Closed}},
		{name: "alone-bypass", members: webAlone, closing: edge.Closing{Mode: edge.Closed, Bypass: hq}},
		{name: "alone-auth", members: strings.Replace(webAlone, "\nspec:", auth[:len(auth)-1]+"\nspec:", 1), closing: edge.Closing{Mode: edge.Closed}, unclosed: true},
		{name: "group-patch-auth", members: strings.Replace(webInGroup, "\n    argocd", auth+"    argocd", 1) + teamInGroup, strategy: StrategyPatch,
			closing: edge.Closing{Mode: edge.Closed}, others: team, unclosed: true},
		{name: "alone-any-host", members: anyHost, closing: edge.Closing{Mode: edge.Closed, KeepOpen: []string{"/healthz"}}},
	}
}
