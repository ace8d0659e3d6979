package kube

import (
	"context"
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
	"github.com/noren-dev/noren/internal/kubeclient/gitops"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
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
	ing := (&cluster{ingresses: all, classes: classes}).find("shop", "web")
	group, err := classes.Group(ing)
	must(t, err)
	r := &reading{ing: ing, group: group, members: classes.Members(all, group), opts: lbc.Options{Classes: classes, Mark: markIn}}
	r.owner = gitops.OwnerOf(ing, "Ingress")
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
	if got := len(p.Unprovable) > 0; got != c.unclosed {
		t.Errorf("it cannot be proved closed: %t, want %t", got, c.unclosed)
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
		raw, err := kubeobject.JSON(call.Params)
		must(t, err)
		fmt.Fprintf(&b, "check: %s %s\n", call.Action, raw)
	}
	for _, x := range p.Budgets {
		fmt.Fprintf(&b, "budget: %s %d of %d%s\n", x.What, x.Used, x.Limit, map[bool]string{true: fmt.Sprintf(" on %s (%d before)", x.Of, x.Before)}[x.Of != ""])
	}
	for _, n := range p.Notes {
		fmt.Fprintf(&b, "note: %s%s\n", map[bool]string{true: "(!) "}[n.Warn], n.Text)
	}
	for _, u := range p.Unprovable {
		fmt.Fprintf(&b, "unprovable: %s: %s\n", u.URL, u.Why)
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
		raw, err := kubeobject.JSON([]any{ing.UID, ing.Annotations, ing.Labels, ing.Spec})
		must(t, err)
		out[ing.Name] = raw
	}
	return out
}
