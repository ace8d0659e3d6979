package alb

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/aws/alb/albrules"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/testaws"
	"github.com/noren-dev/noren/test/albapi"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A scene is a load balancer with a listener in front of three servers.
type scene struct {
	api      *albapi.Server
	conn     *awsclient.Conn
	listener string
	port     int
	groups   map[string]string // ARNs by name
}

// newScene makes a listener with rules at these priorities: for the shop's API,
// for the shop, and for a blog.
func newScene(t testing.TB, api, shop, blog int) *scene {
	t.Helper()
	testaws.Isolate(t)
	s := &scene{api: albapi.Start(t), groups: map[string]string{}}
	s.api.AddLoadBalancer("front", "application", map[string]string{"team": "shop"})
	for _, name := range []string{"web", "api", "blog"} {
		backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, name) }))
		t.Cleanup(backend.Close)
		s.groups[name] = s.api.AddTargetGroup(name, "/healthz", backend.URL)
	}
	s.listener, s.port = s.api.AddListener("front", albrules.Action{Type: albrules.TypeFixed, Fixed: &albrules.Fixed{Status: "404", Type: "text/plain", Body: "nothing here"}})
	s.api.AddRule(s.listener, blog, albapi.Host("blog.localhost", "", albapi.Forward(s.groups["blog"])), nil)
	s.api.AddRule(s.listener, shop, albapi.Host("shop.localhost", "", albapi.Forward(s.groups["web"])), nil)
	s.api.AddRule(s.listener, api, albapi.Host("shop.localhost", "/api/*", albapi.Forward(s.groups["api"])), nil)
	s.conn = s.connect(t, awsclient.Config{})
	return s
}

func (s *scene) connect(t testing.TB, cfg awsclient.Config) *awsclient.Conn {
	t.Helper()
	cfg.Endpoint = s.api.Endpoint
	if cfg.Region == "" {
		cfg.Region = albapi.Region
	}
	c, err := awsclient.Open(t.Context(), cfg, driver.Env{Name: "prod", Now: time.Now})
	must(t, err)
	return c
}

const pageBody = `<!doctype html><meta name=noren content=m-1><p>closed`

func closing(change ...func(*edge.Closing)) edge.Closing {
	c := edge.Closing{Mark: "m-1", Mode: edge.Closed, Page: edge.Response{Status: http.StatusServiceUnavailable, ContentType: "text/html", Body: pageBody, Mark: "m-1"}}
	for _, f := range change {
		f(&c)
	}
	return c
}

func staff(c *edge.Closing) {
	c.Bypass = edge.Bypass{Pass: "s3cret", Sources: []netip.Prefix{netip.MustParsePrefix("127.0.0.9/32")}}
}

// propose surveys an entrance and proposes its closing.
func (s *scene) propose(ctx context.Context, name string, o Options, c edge.Closing) (*driver.Survey, *driver.Proposal, error) {
	e, err := openEntrance(s.conn, name, o)
	if err != nil {
		return nil, nil, err
	}
	survey, err := e.Survey(ctx)
	if err != nil {
		return nil, nil, err
	}
	if len(o.Hosts) > 0 {
		c.Hosts = o.Hosts
	}
	p, err := e.Close(survey, c)
	return survey, p, err
}

// change opens the change that an entrance's closing is.
func (s *scene) change(t testing.TB, o Options, c edge.Closing) (*driver.Instance, CloseParams) {
	t.Helper()
	_, p, err := s.propose(t.Context(), "front", o, c)
	must(t, err)
	params := p.Calls[0].Params.(CloseParams)
	typed, err := openClose(s.conn, params)
	must(t, err)
	return driver.Bare(typed), params
}

// get asks the load balancer, from an address, and returns what it says.
func (s *scene) get(t testing.TB, from, method, host, path string, header ...string) string {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, fmt.Sprintf("127.0.0.1:%d", s.port))
	}}}
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+host+path, nil)
	must(t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := client.Do(r)
	must(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	must(t, err)
	if strings.Contains(string(body), "content=m-1") {
		return fmt.Sprintf("page %d", answer.StatusCode)
	}
	return string(body)
}

func (s *scene) customer(t testing.TB, host, path string) string {
	t.Helper()
	return s.get(t, "127.0.0.1", http.MethodGet, host, path)
}

// mark reads the mark on noren's rules, nil if there is none.
func (s *scene) mark(t testing.TB, listener string) *action.Mark {
	t.Helper()
	_, tags := s.api.Rules(listener)
	for _, have := range tags {
		if found, ok := awsclient.MarkIn("rule", have); ok {
			if found.Wrong != "" {
				t.Fatal(found.Wrong)
			}
			return &found.Mark
		}
	}
	return nil
}

func rawJSON(t testing.TB, v any) json.RawMessage {
	t.Helper()
	raw, err := json.Marshal(v)
	must(t, err)
	return raw
}
