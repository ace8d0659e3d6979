package kube

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
)

var update = flag.Bool("update", false, "write the golden files anew")

const testPass = "s3cr3tpass"

// A closeCase is one closing of ingress shop/web.
type closeCase struct {
	name     string
	members  string // Ingresses as YAML, shop/web among them
	strategy string
	closing  edge.Closing
	others   []string // URLs of other teams, which nothing may change
	unclosed bool     // the page cannot be proved at the URLs, and a note says so
}

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
		{name: "alone-any-host", members: anyHost, closing: edge.Closing{Mode: edge.Closed, KeepOpen: []string{"/healthz"}}},
	}
}

func TestClose(t *testing.T) {
	for _, c := range closeCases() {
		t.Run(c.name, func(t *testing.T) {
			e, s := surveyed(t, c.members, c.strategy)
			p, err := e.Close(s, withPage(c.closing, testPage()))
			if err != nil {
				t.Fatal(err)
			}
			golden(t, c.name, proposalText(t, s, p, c.closing))
			checkWhoSees(t, c, s, p)
			again, err := e.Close(s, withPage(c.closing, testPage()))
			if diff := cmp.Diff(p, again); err != nil || diff != "" {
				t.Errorf("a second Close differs (%v):\n%s", err, diff)
			}
		})
	}
}

// surveyed is an entrance and a survey of it without a cluster.
func surveyed(t *testing.T, members, strategy string) (*entrance, *driver.Survey) {
	t.Helper()
	classes := lbc.Classes{ByName: map[string]lbc.Class{"alb": {Name: "alb", Controller: lbc.ControllerLBC}}}
	all := parseIngresses(t, members)
	e := &entrance{conn: newConn(nil, driver.Env{Name: "prod"}), namespace: "shop", name: "web", options: Options{Strategy: strategy}}
	ing := find(all, "shop", "web")
	group, err := classes.Group(ing)
	must(t, err)
	r := &reading{ing: ing, group: group, members: classes.Members(all, group), opts: lbc.Options{Classes: classes, Mark: markIn}}
	r.owner, _ = ownerOf(ing)
	front, problems := lbc.Build(r.members, r.opts)
	for _, p := range problems {
		if p.Freezes() {
			t.Fatalf("the case itself is wrong: %s", p)
		}
	}
	return e, &driver.Survey{Hosts: hostsOf(ing), URLs: urls(ing, r, front), Front: front, Owner: r.owner, Seen: r}
}

func parseIngresses(t testing.TB, text string) []*networkingv1.Ingress {
	t.Helper()
	var out []*networkingv1.Ingress
	for doc := range strings.SplitSeq(text, "\n---\n") {
		ing := &networkingv1.Ingress{}
		must(t, yaml.UnmarshalStrict([]byte(doc), ing))
		out = append(out, ing)
	}
	return out
}

func prefixList(cidrs ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, c := range cidrs {
		out = append(out, netip.MustParsePrefix(c))
	}
	return out
}

func withPage(c edge.Closing, page edge.Response) edge.Closing {
	c.Mark, c.Page = testMark, page
	return c
}

// A visitor is somebody at the door.
type visitor struct {
	who    string
	method string
	header http.Header
	from   string
}

func visitors() []visitor {
	return []visitor{
		{"customer", "GET", nil, "1.2.3.4"},
		{"customer who writes", "POST", nil, "1.2.3.4"},
		{"probe", "GET", http.Header{edge.ProbeHeader: {"1"}}, "203.0.113.7"},
		{"staff by address", "GET", nil, "10.1.2.3"},
		{"staff by pass", "GET", http.Header{edge.PassHeader: {testPass}}, "1.2.3.4"},
		{"staff by cookie", "POST", http.Header{"Cookie": {"a=b; " + edge.PassCookie + "=" + testPass + "; c=d"}}, "1.2.3.4"},
		{"somebody with a wrong pass", "GET", http.Header{edge.PassHeader: {"guess"}}, "1.2.3.4"},
	}
}

func see(f edge.Front, v visitor, rawURL string) edge.Decision {
	scheme, rest, _ := strings.Cut(rawURL, "://")
	host, path, _ := strings.Cut(rest, "/")
	d, err := f.Decide(edge.Request{Scheme: scheme, Method: v.method, Host: host, Path: "/" + path, Header: v.header, Source: netip.MustParseAddr(v.from)})
	if err != nil {
		return edge.Decision{Rule: err.Error()}
	}
	return d
}

// checkWhoSees holds every proposal to what a closing means.
func checkWhoSees(t *testing.T, c closeCase, s *driver.Survey, p *driver.Proposal) {
	t.Helper()
	for _, u := range c.others {
		for _, v := range visitors() {
			if v.who == "probe" {
				continue // sees the page on every closed host, other paths included
			}
			if before, after := see(s.Front, v, u), see(p.Front, v, u); before.Action.String() != after.Action.String() {
				t.Errorf("%s at %s saw %s, and would see %s", v.who, u, before.Action, after.Action)
			}
		}
	}
	noted := false
	for _, n := range p.Notes {
		noted = noted || n.Warn && strings.Contains(n.Text, "log in before")
	}
	if noted != c.unclosed {
		t.Errorf("a note that it cannot be proved closed: %t, want %t", noted, c.unclosed)
	}
	for _, u := range s.URLs {
		if len(c.closing.Hosts) > 0 && !strings.Contains(u, c.closing.Hosts[0]) {
			continue
		}
		for _, v := range visitors() {
			d := see(p.Front, v, u)
			page := d.Action.Response != nil && d.Action.Response.Mark == testMark
			if want := c.closed(v, u); page != want {
				t.Errorf("%s at %s: the page %t, want %t (%s)", v.who, u, page, want, d.Action)
			}
			if page && !c.unclosed && d.Action.Login {
				t.Errorf("%s at %s must log in to see the page", v.who, u)
			}
			if before := see(s.Front, v, u); !page && before.Action.String() != d.Action.String() {
				t.Errorf("%s at %s saw %s and would see %s, without being shown the page", v.who, u, before.Action, d.Action)
			}
		}
	}
}

// closed says who is to see the page at a URL of the Ingress's own.
func (c closeCase) closed(v visitor, u string) bool {
	switch {
	case v.who == "probe":
		return true
	case strings.HasPrefix(v.who, "staff by address") && len(c.closing.Bypass.Sources) > 0,
		strings.HasPrefix(v.who, "staff by") && v.from == "1.2.3.4" && c.closing.Bypass.Pass != "":
		return false
	case c.closing.Mode == edge.ReadOnly:
		return v.method == "POST"
	case c.closing.Mode == edge.Paths:
		return strings.Contains(u, "/cart/")
	}
	return true
}

func proposalText(t *testing.T, s *driver.Survey, p *driver.Proposal, c edge.Closing) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "strategy: %s, edits owned: %t\nwhy: %s\nurls: %s\n", p.Strategy, p.EditsOwned, p.Why, strings.Join(s.URLs, " "))
	for _, call := range append(p.Checks, p.Ready...) {
		raw, err := jsonText(call.Params)
		must(t, err)
		fmt.Fprintf(&b, "check: %s %s\n", call.Action, raw)
	}
	for _, x := range p.Budgets {
		fmt.Fprintf(&b, "budget: %s %d of %d\n", x.What, x.Used, x.Limit)
	}
	for _, n := range p.Notes {
		fmt.Fprintf(&b, "note: %s%s\n", map[bool]string{true: "(!) "}[n.Warn], n.Text)
	}
	for _, call := range p.Calls {
		d := describe(t, call)
		fmt.Fprintf(&b, "--- %s: %s\n%s", call.Action, d.Line, d.After)
	}
	fmt.Fprintf(&b, "--- who sees\n")
	for _, u := range s.URLs {
		for _, v := range visitors() {
			if c.Bypass.IsZero() && strings.Contains(v.who, "pass") || c.Bypass.IsZero() && strings.Contains(v.who, "staff") {
				continue
			}
			before, after := see(s.Front, v, u), see(p.Front, v, u)
			fmt.Fprintf(&b, "%s, %s: %s => %s  # %s\n", u, v.who, before.Action, after.Action, after.Rule)
		}
	}
	return b.String()
}

func describe(t *testing.T, call driver.Call) (d struct{ Line, After string }) {
	t.Helper()
	c := newConn(nil, driver.Env{Name: "prod"})
	switch p := call.Params.(type) {
	case OverlayParams:
		must(t, p.Validate())
		o, _ := openOverlay(c, p)
		to, err := o.Propose(nil)
		must(t, err)
		got := o.(driver.TypedDescriber[Overlay]).Describe(nil, to)
		return struct{ Line, After string }{got.Line, got.After}
	case PatchParams:
		must(t, p.Validate())
		o, _ := openPatch(c, p)
		to, err := o.Propose(&Patched{})
		must(t, err)
		got := o.(driver.TypedDescriber[Patched]).Describe(&Patched{}, to)
		return struct{ Line, After string }{got.Line, got.After}
	}
	t.Fatalf("unknown call %s", call.Action)
	return d
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if strings.Contains(got, testPass) {
		t.Error("the pass is shown")
	}
	path := filepath.Join("testdata", "close", name+".yaml")
	if *update {
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got); go test -update writes it anew\n%s", path, diff)
	}
}

// TestProposalsAreAccepted applies every proposal on the API server, takes it
// back, and compares what the user has with what they had.
func TestProposalsAreAccepted(t *testing.T) {
	for _, c := range closeCases() {
		t.Run(c.name, func(t *testing.T) {
			e, s := surveyed(t, c.members, c.strategy)
			p, err := e.Close(s, withPage(c.closing, testPage()))
			must(t, err)
			conn, _, namespace := connectTest(t)
			api := conn.client.Typed.NetworkingV1().Ingresses(namespace)
			web := parseIngresses(t, c.members)[0]
			web.Namespace, web.UID = namespace, ""
			_, err = api.Create(t.Context(), web, metav1.CreateOptions{})
			must(t, err)
			before := currentSpecs(t, conn, namespace)
			for _, undo := range applyAll(t, conn, namespace, p.Calls) {
				must(t, undo(t.Context()))
			}
			if diff := cmp.Diff(before, currentSpecs(t, conn, namespace)); diff != "" {
				t.Errorf("after opening (-before +after)\n%s", diff)
			}
		})
	}
}

// applyAll applies calls in a namespace and returns what takes them back, last
// first.
func applyAll(t *testing.T, c *conn, namespace string, calls []driver.Call) []func(context.Context) error {
	t.Helper()
	var undo []func(context.Context) error
	for _, call := range calls {
		var in *driver.Instance
		switch p := call.Params.(type) {
		case OverlayParams:
			p.Namespace = namespace
			o, err := openOverlay(c, p)
			must(t, err)
			in = driver.Bare(o)
		case PatchParams:
			p.Namespace = namespace
			o, err := openPatch(c, p)
			must(t, err)
			in = driver.Bare(o)
		}
		from, err := in.Change.Observe(t.Context())
		must(t, err)
		to, err := in.Change.Propose(from)
		must(t, err)
		must(t, in.Change.Apply(t.Context(), from, to))
		undo = append([]func(context.Context) error{func(ctx context.Context) error { return in.Change.Apply(ctx, to, from) }}, undo...)
	}
	return undo
}

func currentSpecs(t *testing.T, c *conn, namespace string) map[string]string {
	t.Helper()
	list, err := c.client.Typed.NetworkingV1().Ingresses(namespace).List(t.Context(), metav1.ListOptions{})
	must(t, err)
	out := map[string]string{}
	for _, ing := range list.Items {
		raw, err := jsonText([]any{ing.UID, ing.Annotations, ing.Labels, ing.Spec})
		must(t, err)
		out[ing.Name] = raw
	}
	return out
}

func TestCloseRefuses(t *testing.T) {
	hostless := strings.Replace(webInGroup, "  - host: www.example.com\n    http:", "  - http:", 1)
	long := testPage()
	long.Body = strings.Repeat("x", 1025)
	for _, c := range []struct {
		name, members, strategy string
		closing                 edge.Closing
		page                    *edge.Response
		want                    []string
	}{
		{name: "hostless in a shared group", members: hostless + teamInGroup,
			want: []string{"closing any host would close others", "team/admin", "hosts: [shop.example.com]"}},
		{name: "no room in front", members: webInGroup + strings.Replace(teamInGroup, `"-10"`, `"-1000"`, 1),
			want: []string{"no room in front of the group", "team/admin has group.order -1000"}},
		{name: "room for one, not for three", members: webInGroup + strings.Replace(teamInGroup, `"-10"`, `"-999"`, 1),
			closing: edge.Closing{Bypass: edge.Bypass{Pass: testPass}}, want: []string{"needs 3 places"}},
		{name: "overlay without a group", members: webAlone, strategy: StrategyOverlay, want: []string{"overlay needs an explicit group", "strategy: patch"}},
		{name: "a host of nobody", members: webInGroup, closing: edge.Closing{Hosts: []string{"shop.example.con"}},
			want: []string{"host is not served here", "Did you mean shop.example.com?"}},
		{name: "a page too long", members: webInGroup, page: &long, want: []string{"page does not fit", "1025 characters, 1 more", "noren page check"}},
		{name: "no paths", members: webInGroup, closing: edge.Closing{Mode: edge.Paths}, want: []string{"no paths to close"}},
		{name: "a path without a slash", members: webInGroup, closing: edge.Closing{KeepOpen: []string{"healthz"}}, want: []string{"must begin with /"}},
		{name: "a pass with a wildcard", members: webInGroup, closing: edge.Closing{Bypass: edge.Bypass{Pass: "a*"}}, want: []string{"malformed pass"}},
		{name: "kept open among regular expressions",
			members: strings.NewReplacer("path: /cart, pathType: Prefix", "path: /^/c, pathType: ImplementationSpecific",
				"{path: /, pathType: Prefix", "{path: /shop, pathType: Prefix",
				"healthcheck-path: /healthz", "use-regex-path-match: \"true\"").Replace(webInGroup),
			closing: edge.Closing{KeepOpen: []string{"/healthz"}}, want: []string{"path cannot be kept open", "regular expressions"}},
		{name: "staff by address where addresses count already",
			members: strings.Replace(webAlone, `"http-header","httpHeaderConfig":{"httpHeaderName":"X-Beta","values":["1"]}`, `"source-ip","sourceIPConfig":{"values":["10.0.0.0/8"]}`, 1),
			closing: edge.Closing{Bypass: edge.Bypass{Sources: prefixList("203.0.113.0/24")}}, want: []string{"staff cannot be let through by address", "A pass"}},
		{name: "more rules than there may be", members: manyPaths(60), closing: edge.Closing{Bypass: edge.Bypass{Pass: testPass}},
			want: []string{"closing does not fit the load balancer", "listener rules"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			page := testPage()
			if c.page != nil {
				page = *c.page
			}
			if c.closing.Mode == "" {
				c.closing.Mode = edge.Closed
			}
			e, s := surveyed(t, c.members, c.strategy)
			_, err := e.Close(s, withPage(c.closing, page))
			var f *fault.Fault
			if !errors.As(err, &f) {
				t.Fatalf("no fault: %v", err)
			}
			said := f.Error() + " " + strings.Join(f.Try, "\n")
			for _, w := range c.want {
				if !strings.Contains(said, w) {
					t.Errorf("%q does not say %q", said, w)
				}
			}
		})
	}
}

// manyPaths is an Ingress with n paths.
func manyPaths(n int) string {
	var b strings.Builder
	b.WriteString("metadata: {name: web, namespace: shop}\nspec:\n  ingressClassName: alb\n  rules:\n  - host: shop.example.com\n    http:\n      paths:\n")
	for i := range n {
		fmt.Fprintf(&b, "      - {path: /%d, pathType: Exact, backend: {service: {name: web, port: {number: 80}}}}\n", i)
	}
	return b.String()
}
