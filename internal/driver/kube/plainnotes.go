package kube

import (
	"fmt"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/kubeclient/gitops"
)

// A habit is what an annotation makes a controller do before, or instead of,
// leading a request to the page server.
type habit struct {
	// key is an annotation, or the beginning of one where it ends in *.
	key string
	// value is what it must hold to count, in part and in any case; "" is any
	// but false.
	value string
	// hides is set where nobody would see the page, which refuses the closing.
	hides bool
	// does goes after "its annotation …: ".
	does string
}

// Sources of the habits, by prefix:
//
//	nginx.ingress.kubernetes.io     https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/
//	nginx.org                       https://docs.nginx.com/nginx-ingress-controller/configuration/ingress-resources/advanced-configuration-with-annotations/
//	traefik.ingress.kubernetes.io   https://doc.traefik.io/traefik/reference/routing-configuration/kubernetes/ingress/
//	haproxy.org                     https://github.com/haproxytech/kubernetes-ingress/blob/master/documentation/annotations.md
//	haproxy-ingress.github.io       https://haproxy-ingress.github.io/docs/configuration/keys/
//	projectcontour.io, ingress.kubernetes.io   https://projectcontour.io/docs/main/config/annotations/
func habits() []habit {
	const (
		redirected = "visitors are redirected elsewhere and never see the page"
		encrypted  = "the controller speaks another protocol than HTTP to what it leads to, which the page server does not understand"
		login      = "visitors log in before they see the page, and so must noren's probe, which cannot: it may not be proved closed"
		snippet    = "configuration of yours may answer before the page does"
		denied     = "addresses that it does not let in get the controller's refusal, not the page"
	)
	const nginx, haproxy, haproxyIngress = "nginx.ingress.kubernetes.io/", "haproxy.org/", "haproxy-ingress.github.io/"
	return []habit{
		{nginx + "permanent-redirect", "", true, redirected},
		{nginx + "temporal-redirect", "", true, redirected},
		{nginx + "backend-protocol", "https", true, encrypted},
		{nginx + "backend-protocol", "grpc", true, encrypted},
		{nginx + "backend-protocol", "fcgi", true, encrypted},
		{nginx + "custom-http-errors", "503", true, "it puts an error page of its own in place of every 503, the page's too"},
		{nginx + "auth-url", "", false, login},
		{nginx + "auth-type", "", false, login},
		{nginx + "auth-tls-secret", "", false, "visitors need a certificate before they see the page, and so does noren's probe"},
		{nginx + "server-snippet", "", false, snippet},
		{nginx + "configuration-snippet", "", false, snippet},
		{nginx + "whitelist-source-range", "", false, denied},
		{nginx + "allowlist-source-range", "", false, denied},
		{nginx + "denylist-source-range", "", false, denied},
		{nginx + "app-root", "", false, "visitors of / are redirected there first, and then see the page"},
		{nginx + "upstream-vhost", "", false, "the page server is told another host, and finds the page by X-Forwarded-Host"},
		{nginx + "canary", "true", false, "it takes a share of another Ingress's requests: close that one"},
		{"nginx.org/ssl-services", "", false, "it makes the controller speak TLS to the Services that it names: the page server must not be one"},
		{"nginx.org/location-snippets", "", false, snippet},
		{"nginx.org/server-snippets", "", false, snippet},
		{"traefik.ingress.kubernetes.io/router.middlewares", "", false, "its middlewares come before the page: a redirect or a login among them, or error pages for 503, would be seen in its place"},
		{haproxy + "request-redirect", "", true, redirected},
		{haproxy + "server-ssl", "", true, encrypted},
		{haproxy + "check-http", "", true, "the controller asks the page server itself whether it is well, hears 503, and answers in its place"},
		{haproxy + "auth-type", "", false, login},
		{haproxy + "backend-config-snippet", "", false, snippet},
		{haproxy + "allow-list", "", false, denied},
		{haproxy + "whitelist", "", false, denied},
		{haproxyIngress + "redirect-to", "", true, redirected},
		{haproxyIngress + "secure-backends", "", true, encrypted},
		{haproxyIngress + "backend-protocol", "ssl", true, encrypted},
		{haproxyIngress + "backend-protocol", "grpc", true, encrypted},
		{haproxyIngress + "health-check-uri", "", true, "the controller asks the page server itself whether it is well, hears 503, and answers in its place"},
		{haproxyIngress + "auth-url", "", false, login},
		{haproxyIngress + "auth-secret", "", false, login},
		{haproxyIngress + "config-backend", "", false, snippet},
		{haproxyIngress + "allowlist-source-range", "", false, denied},
	}
}

func (h habit) of(ing *networkingv1.Ingress) bool {
	value, there := ing.Annotations[h.key]
	value = strings.ToLower(strings.TrimSpace(value))
	return there && strings.Contains(value, h.value) && value != "" && value != "false" && value != `"false"`
}

// hindrances say what keeps everybody from seeing the page.
func hindrances(ing *networkingv1.Ingress) []string {
	var out []string
	for _, h := range habits() {
		if h.hides && h.of(ing) {
			out = append(out, fmt.Sprintf("its annotation %s: %s", h.key, h.does))
		}
	}
	return out
}

// plainNotes are what the reader of a plan should know of an Ingress of any
// class.
func (e *entrance) plainNotes(r *plainReading, s *driver.Survey) []driver.Note {
	var notes []driver.Note
	say := func(warn bool, format string, args ...any) {
		notes = append(notes, driver.Note{Warn: warn, Text: fmt.Sprintf(format, args...)})
	}
	for _, h := range habits() {
		if h.of(r.ing) {
			say(true, "Ingress %s has the annotation %s: %s.", e.key(), h.key, h.does)
		}
	}
	if guess := gitops.Guess("Ingress "+e.key(), r.owner); guess != "" {
		say(false, "%s", guess)
	}
	if skipped := wildcards(s.Hosts); len(skipped) > 0 {
		say(true, "%s cannot be probed: give the service a health-check URL under it.", strings.Join(skipped, ", "))
	}
	return notes
}

// plainClosingNotes are what the reader of a plan should know of this closing.
func (e *entrance) plainClosingNotes(r *plainReading, unserved []string) []driver.Note {
	var notes []driver.Note
	say := func(warn bool, format string, args ...any) {
		notes = append(notes, driver.Note{Warn: warn, Text: fmt.Sprintf(format, args...)})
	}
	for _, editor := range gitops.Editors(r.ing, r.owner) {
		say(true, "Ingress %s is also written by %s, which would lead it back at its next run: pause it meanwhile.", e.key(), editor)
	}
	for _, p := range unserved {
		say(true, "Ingress %s does not serve %s: keeping it open has no effect.", e.key(), p)
	}
	if others := othersOnHosts(r); len(others) > 0 {
		say(false, "Ingresses that serve other paths of the same hosts stay open: %s.", strings.Join(others, ", "))
	}
	if googles(r) {
		say(true, "Google's load balancer makes a backend for the page server now, which can take minutes; the Service needs what noren page manifest --gke prints, or the load balancer takes it for unhealthy.")
	}
	if slices.ContainsFunc(r.ing.Spec.Rules, func(rule networkingv1.IngressRule) bool {
		return slices.ContainsFunc(httpPaths(rule), func(p networkingv1.HTTPIngressPath) bool { return p.Backend.Resource != nil })
	}) {
		say(false, "Ingress %s leads to a resource that is no Service; whether that would answer is not checked before opening.", e.key())
	}
	say(false, "WebSockets and other long streams that are open when ingress %s closes may stay open: most controllers look at a rule only when a request begins.", e.key())
	return notes
}

// othersOnHosts are the other Ingresses of the class with rules for the hosts.
func othersOnHosts(r *plainReading) []string {
	hosts := plainHosts(r.ing)
	var out []string
	for _, m := range r.members {
		if lbc.Key(m) != lbc.Key(r.ing) && slices.ContainsFunc(plainHosts(m), func(h string) bool { return h != "" && slices.Contains(hosts, h) }) {
			out = append(out, lbc.Key(m))
		}
	}
	return out
}

// googles tells whether the Ingress is one of Google's load balancer.
// Source: https://cloud.google.com/kubernetes-engine/docs/how-to/ingress-configuration
// (class gce or gce-internal, or none; status annotation ingress.kubernetes.io/backends).
func googles(r *plainReading) bool {
	_, reported := r.ing.Annotations["ingress.kubernetes.io/backends"]
	return reported || strings.Contains(r.class, `"gce`)
}
