package e2e

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/driver/aws/alb/albrules"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/test/albapi"
)

// A market is a load balancer without Kubernetes, with a shop and a blog behind
// it, and a directory with the catalog that names the shop.
type market struct {
	api      *albapi.Server
	dir      string
	listener string
	port     int
	shop     string // ARN of its target group
	endpoint string // of AWS, if not api itself
	env      []string
}

// newMarket makes rules at these priorities: for the shop's API, the shop and
// the blog.
func newMarket(t testing.TB, first int, entrance string) *market {
	t.Helper()
	m := &market{api: albapi.Start(t), dir: t.TempDir(), env: []string{"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=/nonexistent", "AWS_SHARED_CREDENTIALS_FILE=/nonexistent", "AWS_PROFILE=", "AWS_REGION="}}
	m.api.AddLoadBalancer("front", "application", nil)
	groups := map[string]string{}
	for _, name := range []string{"shop", "api", "blog"} {
		backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, name) }))
		t.Cleanup(backend.Close)
		groups[name] = m.api.AddTargetGroup(name, "/healthz", backend.URL)
	}
	m.shop = groups["shop"]
	m.listener, m.port = m.api.AddListener("front", albrules.Action{Type: albrules.TypeFixed, Fixed: &albrules.Fixed{Status: "404", Type: "text/plain", Body: "nothing"}})
	m.api.AddRule(m.listener, first+2, albapi.Host("blog.example.com", "", albapi.Forward(groups["blog"])), nil)
	m.api.AddRule(m.listener, first, albapi.Host("shop.example.com", "/api/*", albapi.Forward(groups["api"])), nil)
	m.api.AddRule(m.listener, first+1, albapi.Host("shop.example.com", "", albapi.Forward(groups["shop"])), nil)
	m.write(t, entrance)
	return m
}

// write writes the catalog, with an entrance as YAML.
func (m *market) write(t testing.TB, entrance string) {
	t.Helper()
	text := fmt.Sprintf(`version: 1
zone: Asia/Tokyo
environments:
  prod:
    protected: true
    aws: %s
    http:
      resolve:
        "shop.example.com:%[2]d": 127.0.0.1:%[2]d
    bypass: {sources: [127.0.0.9/32]}
teams:
  storefront: {contact: "#storefront"}
services:
  shop:
    team: storefront
    kind: web
    entrances: [%s]
    health: ["http://shop.example.com:%[2]d/healthz"]
`, fmt.Sprintf("{region: %s, endpoint: %q}", albapi.Region, cmp.Or(m.endpoint, m.api.Endpoint)), m.port, strings.ReplaceAll(entrance, "PORT", fmt.Sprint(m.port)))
	if err := os.WriteFile(filepath.Join(m.dir, "noren.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

const shopOfMarket = "{kind: aws/alb, name: front, hosts: [shop.example.com]}"

func (m *market) noren(t testing.TB, state string, env []string, args ...string) result {
	t.Helper()
	return noren(t, m.dir, state, append(append([]string{}, m.env...), env...), args...)
}

// get asks the load balancer.
func (m *market) get(t testing.TB, from, host, path string, header ...string) (int, string) {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, fmt.Sprintf("127.0.0.1:%d", m.port))
	}}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

func (m *market) same(t testing.TB, before string) {
	t.Helper()
	if after := m.api.Drawing(m.listener); after != before {
		t.Fatalf("the listener was\n%s\nand is\n%s", before, after)
	}
}

// TestALBWithoutKubernetes: a shop behind an Application Load Balancer is closed
// and opened, with customers and staff asking; there is no room in front of its
// rules, and rules take a while to reach the load balancer's nodes.
func TestALBWithoutKubernetes(t *testing.T) {
	t.Parallel()
	m := newMarket(t, 1, shopOfMarket)
	m.api.SetDelay(300 * time.Millisecond)
	before, state := m.api.Drawing(m.listener), t.TempDir()
	m.noren(t, state, nil, "check", "--live").must(t, 0).says(t, "permissions not asked about in aws")
	m.noren(t, state, nil, "plan", "close", "--env", "prod").must(t, 0).
		says(t, "front:", "listener rules: at most ", " of 100 on the load balancer front, which has 3 now", "they stand 1000 further back", "condition values of one rule")
	m.same(t, before)
	m.noren(t, state, nil, "who-sees", "http://shop.example.com:"+fmt.Sprint(m.port)+"/", "--env", "prod").says(t, "noren: closed")
	m.noren(t, state, nil, "close", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 0).says(t, "Closed: shop")
	if code, body := m.get(t, "127.0.0.1", "shop.example.com", "/api/x"); code != http.StatusServiceUnavailable || !strings.Contains(body, "noren") {
		t.Errorf("closed, and a customer gets %d %s", code, body)
	}
	for _, staff := range []struct{ from, host, path, want string }{
		{"127.0.0.9", "shop.example.com", "/", "shop"}, {"127.0.0.9", "shop.example.com", "/api/x", "api"}, {"127.0.0.1", "blog.example.com", "/", "blog"},
	} {
		if code, body := m.get(t, staff.from, staff.host, staff.path); code != http.StatusOK || body != staff.want {
			t.Errorf("%s%s from %s: %d %s, want %s", staff.host, staff.path, staff.from, code, body, staff.want)
		}
	}
	if code, _ := m.get(t, "127.0.0.9", "shop.example.com", "/", edge.ProbeHeader, "x"); code != http.StatusServiceUnavailable {
		t.Errorf("a probe from the office gets %d", code)
	}
	m.noren(t, state, nil, "status").must(t, 0).says(t, "shop")
	m.noren(t, t.TempDir(), nil, "leftovers", "--env", "prod").says(t, "front:")
	m.noren(t, state, nil, "extend", "--env", "prod", "--for", "1h", "--confirm", "prod").must(t, 0)

	m.api.SetHealthy(m.shop, false)
	m.noren(t, state, []string{patience + "=300ms"}, "open", "--env", "prod", "--confirm", "prod").must(t, 10).says(t, "target group shop has no healthy target")
	m.api.SetHealthy(m.shop, true)
	m.noren(t, state, nil, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
	m.same(t, before)
	if code, body := m.get(t, "127.0.0.1", "shop.example.com", "/"); code != http.StatusOK || body != "shop" {
		t.Errorf("open, and a customer gets %d %s", code, body)
	}
	m.noren(t, t.TempDir(), nil, "leftovers", "--env", "prod").must(t, 0)
}

// mortal is the market as a world in which noren is killed. Customers then meet
// the shop open or closed, and never half.
func (m *market) mortal() *mortal {
	status := func(t testing.TB, path string) int {
		t.Helper()
		code, _ := m.get(t, "127.0.0.1", "shop.example.com", path)
		return code
	}
	return &mortal{
		dir: m.dir, env: m.env, before: m.api.Before,
		snapshot: func(testing.TB) string { return m.api.Drawing(m.listener) },
		rests: func(t testing.TB) {
			t.Helper()
			if code := status(t, "/"); code != http.StatusServiceUnavailable {
				t.Fatalf("closed, and a customer gets %d", code)
			}
		},
		died: func(t testing.TB, r result) {
			t.Helper()
			if shop, api := status(t, "/"), status(t, "/api/x"); shop != api {
				t.Fatalf("half open: / answers %d, /api/x %d\n%s\n%s", shop, api, r.err, m.api.Drawing(m.listener))
			}
		},
	}
}

// TestALBKilled kills noren at each recorded point, and at each call that writes,
// of a closing and of its opening.
func TestALBKilled(t *testing.T) {
	t.Parallel()
	for name, entrance := range map[string]string{"one rule closes": shopOfMarket, "several rules close": several} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everyDeath(t, func(t testing.TB) *mortal { return newMarket(t, 1, entrance).mortal() }, 15, 4)
		})
	}
}

// several is the shop with four hosts and two paths: more values than one rule can
// hold, so that several close.
const several = "{kind: aws/alb, name: front, hosts: [shop.example.com, a.example.com, b.example.com, c.example.com], paths: [\"/*\", /pay], urls: [\"http://shop.example.com:PORT/\"]}"

// TestALBKilledWhileExtending kills noren at each call that writes of an extension.
// Customers meet a page of noren's all the while; with the records, the same command
// carries on, and without them it is opened.
func TestALBKilledWhileExtending(t *testing.T) {
	t.Parallel()
	extendArgs := []string{"extend", "--env", "prod", "--for", "1h", "--confirm", "prod"}
	for _, lost := range []bool{false, true} {
		t.Run(fmt.Sprintf("records lost %t", lost), func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n++ {
				m := newMarket(t, 1, several)
				w, before, state := m.mortal(), m.api.Drawing(m.listener), t.TempDir()
				w.noren(t, state, closeArgs()...).must(t, 0)
				r := w.atCall(t, n, state, extendArgs...)
				w.rests(t)
				if lost {
					w.noren(t, t.TempDir(), "recover", "--env", "prod", "--confirm", "prod").must(t, 0)
				} else {
					w.noren(t, state, extendArgs...).must(t, 0)
					w.rests(t)
					w.noren(t, state, openArgs()...).must(t, 0)
				}
				w.same(t, before, r)
				if r.code != -1 {
					if n < 4 {
						t.Errorf("only %d calls", n)
					}
					return
				}
			}
		})
	}
}

// TestALBRecover opens from the marks on the rules alone.
func TestALBRecover(t *testing.T) {
	t.Parallel()
	m := newMarket(t, 1, shopOfMarket)
	before := m.api.Drawing(m.listener)
	m.noren(t, t.TempDir(), nil, "close", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 0)
	m.noren(t, t.TempDir(), nil, "recover", "--env", "prod", "--confirm", "prod").must(t, 0)
	m.same(t, before)
}

// TestALBRecoverAsks: what noren left in the middle of its work is taken away. Not so
// where somebody edited it since: that is shown, and a person says whose is right.
func TestALBRecoverAsks(t *testing.T) {
	t.Parallel()
	for _, edited := range []bool{false, true} {
		m := newMarket(t, 1, several)
		before, state := m.api.Drawing(m.listener), t.TempDir()
		m.mortal().atCall(t, 3, t.TempDir(), closeArgs()...).must(t, -1)
		if !edited {
			m.noren(t, state, nil, "recover", "--env", "prod", "--confirm", "prod", "--keep-closed").must(t, 0)
			m.noren(t, state, nil, "plan", "open", "--env", "prod").must(t, 0).says(t, "cut off in the middle: what is there of noren's is taken away")
			m.noren(t, state, nil, "recover", "--env", "prod", "--confirm", "prod").must(t, 0)
			m.same(t, before)
			continue
		}
		rules, _ := m.api.Rules(m.listener)
		for _, r := range rules {
			if strings.Contains(fmt.Sprint(r.Conditions), "a.example.com") {
				m.api.Edit(r.ARN, func(p *albrules.Placed) { p.Conditions[0].Values = []string{"z.example.com"} })
			}
		}
		after := m.api.Drawing(m.listener)
		m.noren(t, state, nil, "recover", "--env", "prod", "--confirm", "prod").must(t, 11).says(t, "unfinished: ", "noren open --env prod --ours")
		m.same(t, after)
		m.noren(t, state, nil, "open", "--env", "prod", "--ours", "--confirm", "prod").must(t, 0)
		m.same(t, before)
	}
}

// TestALBWrongInput says what is wrong, before anything is touched.
func TestALBWrongInput(t *testing.T) {
	t.Parallel()
	m := newMarket(t, 10, shopOfMarket)
	m.api.AddLoadBalancer("wires", "network", nil)
	m.api.AddLoadBalancer("k8s-shop", "application", map[string]string{"elbv2.k8s.aws/cluster": "prod", "ingress.k8s.aws/stack": "shop/web"})
	m.api.AddLoadBalancer("plain", "application", nil)
	m.api.AddListener("plain", albrules.Action{Type: albrules.TypeRedirect, Redirect: &albrules.Redirect{Protocol: "HTTPS", Port: "443", Status: "HTTP_301"}})
	before := m.api.Drawing(m.listener)
	many := []string{}
	for i := range 450 {
		many = append(many, "--allow", fmt.Sprintf("198.51.%d.%d", i/200, i%200))
	}
	for name, tt := range map[string]struct {
		entrance string
		args     []string
		code     int
		says     []string
	}{
		"a slip in the name":    {"{kind: aws/alb, name: frunt}", nil, 1, []string{"load balancer does not exist", "Did you mean front?", "ap-northeast-1"}},
		"a network one":         {"{kind: aws/alb, name: wires}", nil, 2, []string{"wires in ap-northeast-1 is a Network Load Balancer"}},
		"a controller's":        {"{kind: aws/alb, name: k8s-shop}", nil, 2, []string{"AWS Load Balancer Controller", "{kind: kube/ingress, name: shop/web}"}},
		"only redirects":        {"{kind: aws/alb, name: plain}", nil, 2, []string{"only sends visitors elsewhere"}},
		"no such port":          {"{kind: aws/alb, name: front, port: 8443}", nil, 1, []string{"no listener on port 8443", fmt.Sprint(m.port)}},
		"an ARN of a region":    {`{kind: aws/alb, name: "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/front/1/2"}`, nil, 2, []string{"ARN of another region", "us-east-1"}},
		"an ARN of an account":  {`{kind: aws/alb, name: "arn:aws:elasticloadbalancing:ap-northeast-1:999999999999:listener/app/front/1/2"}`, nil, 2, []string{"of account 999999999999", "123456789012", "role/noren"}},
		"no ARN of one":         {`{kind: aws/alb, name: "arn:aws:s3:::shop"}`, nil, 2, []string{"not the ARN of a load balancer"}},
		"a host that is none":   {"{kind: aws/alb, name: front, hosts: [\"https://shop\"]}", nil, 2, []string{"is not a host"}},
		"too many rules":        {shopOfMarket, many, 2, []string{"listener rules", "the limit is 100", "rule_quota: 200"}},
		"a path that is none":   {"{kind: aws/alb, name: front, hosts: [shop.example.com], paths: [/cart/*]}", []string{"--path", "/blog/*"}, 2, []string{"path is not served here", "/cart/*"}},
		"a path that is in two": {"{kind: aws/alb, name: front, hosts: [shop.example.com], paths: [/cart/*]}", []string{"--path", "/*/pay"}, 2, []string{"rules cannot say this", "some of /cart/* is also /*/pay"}},
	} {
		t.Run(name, func(t *testing.T) {
			m.write(t, tt.entrance)
			m.noren(t, t.TempDir(), nil, append([]string{"plan", "close", "--env", "prod"}, tt.args...)...).must(t, tt.code).says(t, tt.says...)
		})
	}
	m.write(t, shopOfMarket)
	t.Run("no permission", func(t *testing.T) {
		m.api.Deny("CreateRule")
		m.noren(t, t.TempDir(), nil, "close", "--env", "prod", "--confirm", "prod").says(t, "permission missing in AWS", "elasticloadbalancing:CreateRule", `"Effect": "Allow"`)
	})
	m.same(t, before)
}

// TestALBFromInit finds the shop, writes the catalog, and closes by it.
func TestALBFromInit(t *testing.T) {
	t.Parallel()
	m := newMarket(t, 1, shopOfMarket)
	m.api.AddLoadBalancer("wires", "network", nil)
	before := m.api.Drawing(m.listener)
	m.noren(t, t.TempDir(), nil, "init", "--profile", "shop", "--out", "found.yaml").must(t, 2).says(t, "--aws is missing")
	m.noren(t, t.TempDir(), nil, "init", "--aws", albapi.Region, "--aws-endpoint", m.api.Endpoint, "--env", "qa", "--out", "found.yaml", "--zone", "Asia/Tokyo").must(t, 0).
		says(t, "shop", "blog", "wires was left out")
	raw, err := os.ReadFile(filepath.Join(m.dir, "found.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"kind: aws/alb", "hosts: [shop.example.com]", fmt.Sprintf("http://shop.example.com:%d/healthz", m.port), "region: ap-northeast-1"} {
		if !strings.Contains(string(raw), words) {
			t.Errorf("the catalog lacks %q:\n%s", words, raw)
		}
	}
	m.noren(t, t.TempDir(), nil, "plan", "close", "shop", "--env", "qa", "--file", "found.yaml").must(t, 0).says(t, "put 2 rules in front of listener front:")
	m.same(t, before)
}

// TestALBsOfTwoRegions: an environment of two accounts is closed and opened in
// one run.
func TestALBsOfTwoRegions(t *testing.T) {
	t.Parallel()
	tokyo, osaka := newMarket(t, 1, shopOfMarket), newMarket(t, 10, shopOfMarket)
	text := fmt.Sprintf(`version: 1
zone: Asia/Tokyo
environments:
  prod:
    clusters:
      tokyo: {aws: %s}
      osaka: {aws: %s}
    http: {resolve: {"shop.example.com:%[3]d": 127.0.0.1:%[3]d, "shop.example.com:%[4]d": 127.0.0.1:%[4]d}}
services:
  shop:
    kind: web
    entrances:
      - {kind: aws/alb, name: front, cluster: tokyo, hosts: [shop.example.com]}
      - {kind: aws/alb, name: front, cluster: osaka, hosts: [shop.example.com]}
`, tokyo.api.Section(), osaka.api.Section(), tokyo.port, osaka.port)
	if err := os.WriteFile(filepath.Join(tokyo.dir, "noren.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	var before []string
	both := []*market{tokyo, osaka}
	for _, m := range both {
		before = append(before, m.api.Drawing(m.listener))
	}
	tokyo.noren(t, state, nil, "close", "--env", "prod", "--for", "30m", "--yes").must(t, 0)
	for _, m := range both {
		if code, _ := m.get(t, "127.0.0.1", "shop.example.com", "/"); code != http.StatusServiceUnavailable {
			t.Errorf("a customer gets %d", code)
		}
	}
	tokyo.noren(t, t.TempDir(), nil, "leftovers", "--env", "prod").says(t, "aws:prod/tokyo/alb/front", "aws:prod/osaka/alb/front")
	tokyo.noren(t, state, nil, "open", "--env", "prod", "--yes").must(t, 0)
	for i, m := range both {
		m.same(t, before[i])
	}
}

// TestALBServicesSideBySide: several services of one load balancer are closed in
// one run, each by its own rules, and one of them is opened before the others.
func TestALBServicesSideBySide(t *testing.T) {
	t.Parallel()
	m := newMarket(t, 1, shopOfMarket)
	text := fmt.Sprintf(`version: 1
zone: Asia/Tokyo
environments:
  prod: {aws: %s, bypass: {sources: [127.0.0.9/32]}, http: {resolve: {"shop.example.com:%[2]d": 127.0.0.1:%[2]d, "blog.example.com:%[2]d": 127.0.0.1:%[2]d, "new.example.com:%[2]d": 127.0.0.1:%[2]d}}}
services:
  shop: {kind: web, entrances: [{kind: aws/alb, name: front, hosts: [shop.example.com]}]}
  blog: {kind: web, entrances: [{kind: aws/alb, name: front, hosts: [blog.example.com]}]}
`, m.api.Section(), m.port)
	if err := os.WriteFile(filepath.Join(m.dir, "noren.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	before, state := m.api.Drawing(m.listener), t.TempDir()
	m.noren(t, state, nil, "close", "shop", "blog", "--env", "prod", "--for", "30m", "--yes").must(t, 0)
	for _, host := range []string{"shop.example.com", "blog.example.com"} {
		if code, _ := m.get(t, "127.0.0.1", host, "/"); code != http.StatusServiceUnavailable {
			t.Errorf("a customer of %s gets %d", host, code)
		}
		if code, _ := m.get(t, "127.0.0.9", host, "/"); code != http.StatusOK {
			t.Errorf("staff of %s get %d", host, code)
		}
	}
	m.noren(t, state, nil, "open", "--env", "prod", "--yes").must(t, 0)
	m.same(t, before)
}
