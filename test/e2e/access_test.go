package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/noren-dev/noren/internal/testkube"
)

// grantIn cuts the RBAC YAML out of what a command printed.
func grantIn(r result) string {
	var yaml []string
	indent := ""
	for line := range strings.Lines(r.out + r.err) {
		begins := strings.HasPrefix(strings.TrimSpace(line), "apiVersion: rbac.authorization.k8s.io/v1")
		if begins && yaml == nil {
			indent = line[:strings.Index(line, "apiVersion")]
		}
		rest, same := strings.CutPrefix(line, indent)
		switch {
		case yaml == nil && !begins:
			continue
		case !same || strings.TrimSpace(rest) == "":
			return strings.Join(yaml, "")
		}
		yaml = append(yaml, rest)
	}
	return strings.Join(yaml, "")
}

// TestMissingPermissions: each command says what it may not do, and prints the
// YAML that grants it. Applying what check --live prints is enough to close:
// twice at most, since who owns an Ingress is known once it may be read.
func TestMissingPermissions(t *testing.T) {
	t.Parallel()
	server := testkube.Start(t, testkube.Dedicated()) // the YAML has cluster roles
	s := newShop(t, func(o *shopOptions) { o.server, o.context = server, testkube.Limited })
	before, state := s.objects(t), t.TempDir()
	for _, args := range [][]string{
		{"check", "--live"}, {"plan", "close", "--env", "prod"}, {"close", "--env", "prod", "--confirm", "prod"}, {"who-sees", "http://" + s.host("shop") + "/"},
	} {
		s.noren(t, state, args...).must(t, 1).says(t, "list ingresses", "kind: ClusterRole", "rbac.authorization.k8s.io/v1")
	}
	s.same(t, before)

	rounds := 0
	for ; rounds < 6; rounds++ {
		r := s.noren(t, state, "check", "--live")
		if r.code == 0 {
			break
		}
		yaml := grantIn(r)
		server.Apply(t, yaml)
	}
	s.noren(t, state, "close", "--env", "prod", "--confirm", "prod").must(t, 0)
	if code, _ := s.get(t, "solo", "/"); code != 503 {
		t.Errorf("solo answers %d, want the page", code)
	}
	s.recovered(t).must(t, 0) // it is enough to find the marks, too
	s.same(t, before)
	s.noren(t, state, "open", "--confirm", "prod").must(t, 0)
	s.same(t, before)
	if rounds > 2 {
		t.Errorf("what check --live printed had to be applied %d times", rounds)
	}
}

// TestExampleRBAC: what examples/kubernetes/rbac.yaml grants is enough for every
// command, with Argo CD and with Flux.
func TestExampleRBAC(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../examples/kubernetes/rbac.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func(testing.TB, ...func(*shopOptions)) *shop{"argocd": newShop, "flux": newFluxShop} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := testkube.Start(t, testkube.Dedicated()) // it has cluster roles
			s := open(t, func(o *shopOptions) { o.server, o.context, o.working = server, testkube.Limited, name == "argocd" })
			example := regexp.MustCompile(`namespace: \S+`).ReplaceAllString(string(raw), "namespace: "+s.ns)
			server.Apply(t, strings.ReplaceAll(example, "kind: Group, name: noren-operators", "kind: User, name: "+testkube.Limited))
			before, state := s.objects(t), t.TempDir()
			s.noren(t, state, "check", "--live").must(t, 0)
			s.noren(t, state, "close", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 0)
			s.noren(t, state, "extend", "--env", "prod", "--for", "1h", "--confirm", "prod").must(t, 0)
			if found := s.noren(t, state, "leftovers", "--env", "prod").must(t, 0); strings.Contains(found.out, "may not list") {
				t.Errorf("some marks are not seen:\n%s", found.out)
			}
			s.recovered(t).must(t, 0)
			s.same(t, before)
		})
	}
}

// proxy puts a server in front of the API server, which acts as admin, and
// writes a kubeconfig for it.
func proxy(t testing.TB, server *testkube.Server, wrap func(http.Handler) http.Handler) (kubeconfig string) {
	t.Helper()
	config := server.Config(testkube.Admin)
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	through := httputil.NewSingleHostReverseProxy(target)
	through.Transport, through.FlushInterval = transport, -1
	front := httptest.NewServer(wrap(through))
	t.Cleanup(front.Close)
	return writeKubeconfig(t, front.URL)
}

func writeKubeconfig(t testing.TB, url string) string {
	t.Helper()
	s := &shop{dir: t.TempDir()}
	s.write(t, "kubeconfig", fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: %q}}]
users: [{name: u, user: {token: abc}}]
contexts: [{name: admin, context: {cluster: c, user: u}}]
current-context: admin
`, url))
	return filepath.Join(s.dir, "kubeconfig")
}

// TestShakyAPIServer: of the requests to the API server every fifth is refused,
// lost on the way there, or answered into the void. Closing and opening do not
// fail, and nothing is done twice.
func TestShakyAPIServer(t *testing.T) {
	t.Parallel()
	server := testkube.Start(t)
	var n, writes atomic.Int64
	kubeconfig := proxy(t, server, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && strings.Contains(r.URL.Path, "/ingresses") {
				writes.Add(1)
			}
			i := n.Add(1)
			if i%5 != 0 {
				next.ServeHTTP(w, r)
				return
			}
			switch i / 5 % 5 {
			case 0:
				w.Header().Set("Retry-After", "1")
				http.Error(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"TooManyRequests","code":429}`, http.StatusTooManyRequests)
			case 1:
				http.Error(w, "etcdserver: leader changed", http.StatusInternalServerError)
			case 2:
				panic(http.ErrAbortHandler) // the connection is reset
			case 3:
				next.ServeHTTP(httptest.NewRecorder(), r) // done, and the answer is lost
				panic(http.ErrAbortHandler)
			case 4:
				select {
				case <-time.After(500 * time.Millisecond):
				case <-r.Context().Done():
				}
				next.ServeHTTP(w, r)
			}
		})
	})
	s := newShop(t, func(o *shopOptions) { o.kubeconfig = kubeconfig })
	before := s.objects(t)
	for range 3 {
		state := s.closed(t)
		for _, host := range []string{"shop", "api", "solo"} {
			if code, _ := s.get(t, host, "/"); code != 503 {
				t.Errorf("%s answers %d, want the page", host, code)
			}
		}
		s.noren(t, state, "open", "--confirm", "prod").must(t, 0)
		s.same(t, before)
	}
	t.Logf("%d requests, %d creations of Ingresses", n.Load(), writes.Load())
}

// TestNoAPIServer: what cannot be reached is said so, quickly, and nothing is
// left behind.
func TestNoAPIServer(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	address := gone.URL
	gone.Close()
	expired := proxy(t, testkube.Start(t), func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Unauthorized", "code": 401, "message": "Unauthorized"})
		})
	})
	for _, c := range []struct {
		name, kubeconfig, context string
		code                      int
		words                     []string
	}{
		{"unreachable", writeKubeconfig(t, address), "admin", 1, []string{"the API server did not answer", "connection refused"}},
		{"wrong context", testkube.Start(t).Kubeconfig, "amdin", 2, []string{`There is no context "amdin"`, `Did you mean "admin"?`}},
		{"expired", expired, "admin", 1, []string{"does not accept these credentials", "expired"}},
		{"no kubeconfig", filepath.Join(t.TempDir(), "none"), "admin", 2, []string{"kubeconfig"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t, func(o *shopOptions) { o.kubeconfig, o.context = c.kubeconfig, c.context })
			for _, args := range [][]string{{"check", "--live"}, {"plan", "close", "--env", "prod"}, {"close", "--env", "prod", "--confirm", "prod"}} {
				begun := time.Now()
				s.noren(t, t.TempDir(), args...).must(t, c.code).says(t, c.words...)
				if took := time.Since(begun); took > 20*time.Second {
					t.Errorf("%v took %s", args, took)
				}
			}
		})
	}
}

// TestInit finds the shop, and what it writes can be checked and closed with.
func TestInit(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *shopOptions) { o.server = testkube.Start(t, testkube.Dedicated()) }) // init looks at the whole cluster
	before, state := s.objects(t), t.TempDir()
	s.write(t, "old.yaml", "")
	s.noren(t, state, "init", "--kubeconfig", s.kubeconfig, "--context", "admin", "--env", "prod", "--out", "found.yaml", "--zone", "Asia/Tokyo").must(t, 0).
		says(t, "web", "api", "other", "solo")
	found := s.text(t, "found.yaml")
	for _, want := range []string{s.ns + "/web", s.ns + "/api", s.ns + "/other", s.ns + "/solo", "http://" + s.host("shop") + "/healthz", "kind: api", "protected: true",
		"Argo CD", s.host("solo")} {
		if !strings.Contains(found, want) {
			t.Errorf("what was found does not have %q:\n%s", want, found)
		}
	}
	s.noren(t, state, "check", "-f", "found.yaml").must(t, 0)
	s.noren(t, state, "init", "--kubeconfig", s.kubeconfig, "--context", "admin", "--out", "found.yaml").must(t, 2)
	// Names of this test are not in DNS, and Argo CD does not live in "argocd" here.
	var resolve strings.Builder
	for host, addr := range s.addr {
		fmt.Fprintf(&resolve, "        \"%s:80\": %s\n", host, addr)
	}
	text := strings.Replace(found, "  prod:\n", "  prod:\n    http:\n      resolve:\n"+resolve.String(), 1)
	text = strings.Replace(text, "argocd: {}", "argocd: {namespace: "+s.ns+"}", 1)
	s.write(t, "found.yaml", text)
	s.noren(t, state, "check", "-f", "found.yaml", "--live").must(t, 0)
	s.noren(t, state, "close", "-f", "found.yaml", "--env", "prod", "--confirm", "prod").must(t, 0)
	for _, host := range []string{"shop", "api", "other", "solo"} {
		if code, _ := s.get(t, host, "/"); code != 503 {
			t.Errorf("%s answers %d, want the page", host, code)
		}
	}
	s.noren(t, state, "open", "--confirm", "prod").must(t, 0)
	s.same(t, before)
}

// A tally counts what visitors got.
type tally struct {
	served, page, other, failed atomic.Int64
	odd                         atomic.Value // one of the others, for the message
}

// visit asks again and again until ctx is done.
func (s *shop) visit(ctx context.Context, host string, n *tally) {
	for ctx.Err() == nil {
		a, err := s.ask(context.WithoutCancel(ctx), question{host: s.host(host), path: "/cart"})
		switch {
		case err != nil:
			n.failed.Add(1)
			n.odd.Store(err.Error())
		case a.code == 200:
			n.served.Add(1)
		case a.code == 503 && strings.Contains(a.body, "noren"):
			n.page.Add(1)
		default:
			n.other.Add(1)
			n.odd.Store(fmt.Sprintf("%d %.100s", a.code, a.body))
		}
	}
}
