package gatewayapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/noren-dev/noren/internal/driver/gatewayapi/gw"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
)

// routeOf is a route with these rules, on a Gateway of its own.
func routeOf(rules []map[string]any) *reading {
	r := &route{Route: gw.Route{Namespace: "shop", Name: "web", Created: time.Unix(1, 0), Hostnames: []string{"shop.example.com"}, Parents: []gw.Parent{{Name: "public"}}}, rules: rules}
	if err := convert(rules, &r.Rules); err != nil {
		panic(err)
	}
	g := gw.Gateway{Namespace: "shop", Name: "public", Listeners: []gw.Listener{{Name: "web", Port: 80, Protocol: "HTTP"}}}
	return &reading{route: r, gateways: []gw.Gateway{g}, routes: []gw.Route{r.Route}, native: awsLoadBalancer(), objects: objects{}}
}

// closer closes the reading's route on an implementation that answers itself.
func (r *reading) closer(c edge.Closing) *closer {
	return &closer{entrance: &routeEntrance{conn: &conn{quota: defaultRuleQuota}, namespace: "shop", name: "web"}, r: r, c: c,
		params: InsertParams{Namespace: "shop", Name: "web"}}
}

// fronts are the doors before and after.
func (r *reading) fronts(t interface{ Fatal(...any) }, c edge.Closing) (before, after edge.Front, err error) {
	before, _ = gw.Front(r.gateways, r.routes, r.reader(InsertParams{}, r.route.rules, nil))
	x := r.closer(c)
	object := "noren-web-closed"
	x.params.Signs = []string{object}
	x.objects = objects{}
	if err := x.create(object, r.native.spec(c.Page, false)); err != nil {
		t.Fatal(err)
	}
	d := x.drawing(map[string]any{"filters": []any{r.native.filter(object)}})
	d.sources = func(n int, cidrs []string) (map[string]any, string, any) {
		return r.native.filter(sourceName("web", n)), sourceName("web", n), sourceSpec(cidrs)
	}
	cur, err := d.draw()
	if err != nil {
		return before, after, err
	}
	for object, spec := range cur.sources {
		if err := x.create(object, spec); err != nil {
			t.Fatal(err)
		}
	}
	for _, rule := range cur.all() {
		raw, err := json.Marshal(rule)
		if err != nil {
			t.Fatal(err)
		}
		x.params.Rules = append(x.params.Rules, raw)
	}
	after, err = x.front(cur, d.rules)
	return before, after, err
}

func rulesIn(t *testing.T, text string) []map[string]any {
	t.Helper()
	var rules []map[string]any
	must(t, yaml.Unmarshal([]byte(text), &rules))
	return rules
}

const shopRules = `
- matches: [{path: {type: PathPrefix, value: /}}]
  backendRefs: [{name: web, port: 80}]
- matches: [{path: {type: PathPrefix, value: /api}}, {path: {type: Exact, value: /v2}, method: GET}]
  backendRefs: [{name: api, port: 80}]
- matches: [{path: {type: PathPrefix, value: /api}, headers: [{name: X-Beta, value: "1"}]}]
  backendRefs: [{name: beta, port: 80}]
`

// TestWhoSeesWhat is of what people ask.
func TestWhoSeesWhat(t *testing.T) {
	t.Parallel()
	closed := edge.Closing{Mark: "m-1", Mode: edge.Closed, Page: closedPage}
	with := func(f func(*edge.Closing)) edge.Closing {
		c := closed
		f(&c)
		return c
	}
	pass := with(func(c *edge.Closing) { c.Bypass.Pass = "s3cret" })
	open := with(func(c *edge.Closing) { c.KeepOpen = []string{"/api/hook", "/.well-known/*"}; c.Bypass.Pass = "s3cret" })
	readOnly := with(func(c *edge.Closing) { c.Mode = edge.ReadOnly; c.Bypass.Pass = "s3cret" })
	paths := with(func(c *edge.Closing) { c.Mode, c.Paths = edge.Paths, []string{"/api/cart/*", "/exact"} })
	office := with(func(c *edge.Closing) { c.Bypass.Sources = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")} })
	tests := []struct {
		name    string
		closing edge.Closing
		request string // method, path, headers, source
		rule    string
		backend string
	}{
		{"a customer", closed, "GET /", labelClosed, ""},
		{"of the api", closed, "GET /api/x", labelClosed, ""},
		{"of an exact path", closed, "GET /v2", labelClosed, ""},
		{"staff", pass, "GET / X-Noren-Pass=s3cret", labelPass, "service shop/web:80"},
		{"staff at the api", pass, "POST /api X-Noren-Pass=s3cret", labelPass, "service shop/api:80"},
		{"staff at the beta", pass, "GET /api/x X-Noren-Pass=s3cret X-Beta=1", labelPass, "service shop/beta:80"},
		{"a wrong pass", pass, "GET / X-Noren-Pass=secret", labelClosed, ""},
		{"the cookie does not work", pass, "GET / Cookie=noren_pass=s3cret", labelClosed, ""},
		{"kept open", open, "POST /api/hook", labelOpen, "service shop/api:80"},
		{"kept open for the beta", open, "POST /api/hook X-Beta=1", labelOpen, "service shop/beta:80"},
		{"below what is kept open", open, "POST /api/hook/x", labelClosed, ""},
		{"ACME", open, "GET /.well-known/acme-challenge/x", labelOpen, "service shop/web:80"},
		{"the api beside it", open, "GET /api", labelClosed, ""},
		{"reading", readOnly, "GET /api", "httproute shop/web rules[1].matches[0]", "service shop/api:80"},
		{"writing", readOnly, "POST /api", labelClosed, ""},
		{"writing, staff", readOnly, "DELETE /api X-Noren-Pass=s3cret", labelPass, "service shop/api:80"},
		{"reading, the probe", readOnly, "GET /api X-Noren-Probe=1", labelProbe, ""},
		{"a closed path", paths, "GET /api/cart/1", labelClosed, ""},
		{"a closed path of the beta", paths, "GET /api/cart X-Beta=1", labelClosed, ""},
		{"a path like it", paths, "GET /api/cartoon", "httproute shop/web rules[1].matches[0]", "service shop/api:80"},
		{"an exact path of another rule", paths, "POST /exact", labelClosed, ""},
		{"the probe", paths, "GET / X-Noren-Probe=1", labelProbe, ""},
		{"the office", office, "GET /api from 203.0.113.9", labelAddress, "service shop/api:80"},
		{"the office, probing", office, "GET /api X-Noren-Probe=1 from 203.0.113.9", labelProbe, ""},
		{"from elsewhere", office, "GET /api from 203.0.114.9", labelClosed, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, after, err := routeOf(rulesIn(t, shopRules)).fronts(t, tt.closing)
			must(t, err)
			d, err := after.Decide(request(tt.request))
			must(t, err)
			name := d.Rule
			if !strings.HasPrefix(name, "noren") { // its place has moved behind noren's
				name = tt.rule
			}
			if name != tt.rule || d.Action.Backend != tt.backend {
				t.Errorf("taken by %q to %q, want %q to %q", d.Rule, d.Action.Backend, tt.rule, tt.backend)
			}
			if page := d.Action.Response != nil && d.Action.Response.Mark == "m-1"; page != (tt.backend == "") {
				t.Errorf("the page: %t", page)
			}
		})
	}
}

// request reads "GET /path Header=value from address".
func request(text string) edge.Request {
	words := strings.Fields(text)
	r := edge.Request{Scheme: "http", Host: "shop.example.com", Method: words[0], Path: words[1], Header: http.Header{}, Source: netip.MustParseAddr("198.51.100.1")}
	for i := 2; i < len(words); i++ {
		if words[i] == "from" {
			r.Source = netip.MustParseAddr(words[i+1])
			break
		}
		key, value, _ := strings.Cut(words[i], "=")
		r.Header.Set(key, value)
	}
	return r
}

// TestTheCurtainIsItsDefinition compares what the rules do with what is asked
// of them, for routes and requests of all sorts.
func TestTheCurtainIsItsDefinition(t *testing.T) {
	t.Parallel()
	paths := []string{"/", "/a", "/a/b", "/a/b/c", "/b", "/ab"}
	drawMatch := rapid.Custom(func(t *rapid.T) map[string]any {
		m := map[string]any{"path": map[string]any{"type": rapid.SampledFrom([]string{gw.Prefix, gw.Prefix, gw.Exact}).Draw(t, "type"), "value": rapid.SampledFrom(paths).Draw(t, "path")}}
		if method := rapid.SampledFrom([]string{"", "", "GET", "POST"}).Draw(t, "method"); method != "" {
			m["method"] = method
		}
		if rapid.Bool().Draw(t, "header") {
			m["headers"] = []any{map[string]any{"name": "X-A", "type": gw.Exact, "value": rapid.SampledFrom([]string{"1", "2"}).Draw(t, "value")}}
		}
		return m
	})
	patterns := []string{"/a", "/a/*", "/a/b", "/a/b/*", "/b/*", "/"}
	refused, all := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		var rules []map[string]any
		for i := range rapid.IntRange(1, 3).Draw(t, "rules") {
			var matches []any
			for _, m := range rapid.SliceOfN(drawMatch, 1, 2).Draw(t, "matches") {
				matches = append(matches, m)
			}
			rules = append(rules, map[string]any{"matches": matches, "backendRefs": []any{map[string]any{"name": fmt.Sprint("s", i), "port": int64(80)}}})
		}
		c := edge.Closing{Mark: "m-1", Page: closedPage, Mode: rapid.SampledFrom([]edge.Mode{edge.Closed, edge.ReadOnly, edge.Paths}).Draw(t, "mode"),
			KeepOpen: rapid.SliceOfN(rapid.SampledFrom(patterns), 0, 2).Draw(t, "open"), Bypass: edge.Bypass{Pass: "s3cret"}}
		if c.Mode == edge.Paths {
			c.Paths = rapid.SliceOfN(rapid.SampledFrom(patterns), 1, 2).Draw(t, "closed")
		}
		before, after, err := routeOf(rules).fronts(t, c)
		if all++; err != nil {
			refused++
			return
		}
		for range 8 {
			r := request(rapid.SampledFrom([]string{"GET", "HEAD", "POST"}).Draw(t, "method") + " " + rapid.SampledFrom(append(paths, "/a/x", "/c")).Draw(t, "path"))
			for _, h := range rapid.SliceOfN(rapid.SampledFrom([]string{"X-A=1", "X-A=2", "X-Noren-Pass=s3cret", "X-Noren-Pass=no"}), 0, 2).Draw(t, "headers") {
				key, value, _ := strings.Cut(h, "=")
				r.Header.Set(key, value)
			}
			was, _ := before.Decide(r)
			is, _ := after.Decide(r)
			if got, want := shown(is), wanted(c, r, was); got != want {
				t.Fatalf("%s %s %v sees %s (rule %s), want %s; before: %s", r.Method, r.Path, r.Header, got, is.Rule, want, was.Rule)
			}
		}
	})
	if refused*2 > all {
		t.Errorf("%d of %d closings were refused", refused, all)
	}
}

func shown(d edge.Decision) string {
	if d.Action.Response != nil && d.Action.Response.Mark != "" {
		return "the page"
	}
	return d.Action.String()
}

// wanted is what a request is to see, by what it saw before.
func wanted(c edge.Closing, r edge.Request, was edge.Decision) string {
	in := func(patterns []string) bool {
		return slices.ContainsFunc(patterns, func(pattern string) bool {
			p, _ := placeIn(pattern)
			return place{true, r.Path}.within(p)
		})
	}
	switch {
	case was.Index < 0, r.Header.Get(edge.PassHeader) == c.Bypass.Pass, in(c.KeepOpen):
		return shown(was)
	case c.Mode == edge.ReadOnly && !slices.Contains(writes[:], r.Method), c.Mode == edge.Paths && !in(c.Paths):
		return shown(was)
	}
	return "the page"
}

// TestWhatCannotBeExpressedIsRefused names what can.
func TestWhatCannotBeExpressedIsRefused(t *testing.T) {
	t.Parallel()
	many := strings.Repeat("- {matches: [{path: {type: PathPrefix, value: /x}}], backendRefs: [{name: x, port: 80}]}\n", 12)
	for name, tt := range map[string]struct {
		rules string
		with  func(*edge.Closing)
		says  string
	}{
		"a pattern": {shopRules, func(c *edge.Closing) { c.KeepOpen = []string{"*.png"} }, "must begin with /"},
		"a glob":    {shopRules, func(c *edge.Closing) { c.KeepOpen = []string{"/a*"} }, "one path, or a path with all below it"},
		"a regular expression": {"- {matches: [{path: {type: RegularExpression, value: /a.*}}]}",
			func(c *edge.Closing) { c.Mode, c.Paths = edge.Paths, []string{"/a"} }, "regular expression"},
		"a path that nobody serves": {"- {matches: [{path: {type: PathPrefix, value: /a}}]}",
			func(c *edge.Closing) { c.Mode, c.Paths = edge.Paths, []string{"/b"} }, "None of the rules"},
		"too many rules": {many, func(c *edge.Closing) { c.Bypass.Pass = "s3cret" }, "would have 25 rules"},
		"a rewritten prefix": {"- {matches: [{path: {type: PathPrefix, value: /a}}], filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]}",
			func(c *edge.Closing) { c.KeepOpen = []string{"/a/hook"} }, "replaces the prefix"},
		"condition values": {"- {matches: [{path: {type: PathPrefix, value: /a}, method: GET, headers: [{name: A, value: a}]}]}",
			func(c *edge.Closing) {
				c.Bypass.Sources = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
			}, "at most 5 condition values"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := edge.Closing{Mode: edge.Closed, Page: closedPage}
			tt.with(&c)
			x := routeOf(rulesIn(t, tt.rules)).closer(c)
			x.r.route.Hostnames = []string{"shop.example.com"}
			x.entrance.options.Strategy = strategyNative
			x.r.route.object = webObject()
			_, err := x.byAnswer()
			var f *fault.Fault
			if !asFault(err, &f) || !strings.Contains(f.Detail, tt.says) {
				t.Errorf("got %v, want a fault with %q", err, tt.says)
			}
		})
	}
}
