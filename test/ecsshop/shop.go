package ecsshop

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/driver/aws/alb/albrules"
	"github.com/noren-dev/noren/internal/testaws/strict"
	"github.com/noren-dev/noren/test/albapi"
)

// A Shop is a layout that is there.
type Shop struct {
	Layout
	// Balancing is the load balancers, ECS the services.
	Balancing *albapi.Server
	ECS       *strict.Server
	// Endpoint is the address of every service of AWS.
	Endpoint string
	// Ports are those of the load balancers, by name.
	Ports map[string]int

	// Listeners are the ARNs of their listeners, by the load balancer's name.
	Listeners map[string]string

	limits limits
}

// Start builds the example's shop, which serves until the test ends. Its rules
// have priorities from first on.
func Start(t testing.TB, first int) *Shop {
	t.Helper()
	s := &Shop{Layout: Read(t, Example()), Balancing: albapi.Start(t), ECS: strict.Start(t), Ports: map[string]int{}, Listeners: map[string]string{}}
	s.Balancing.SetPage(400)
	s.ECS.Region = albapi.Region
	for _, name := range s.Balancers() {
		s.Balancing.AddLoadBalancer(name, "application", nil)
		s.Listeners[name], s.Ports[name] = s.Balancing.AddListener(name, albrules.Action{Type: albrules.TypeFixed, Fixed: &albrules.Fixed{Status: "404", Type: "text/plain", Body: "nothing here"}})
	}
	groups := map[string][]string{} // by the service whose tasks are in them
	for i, e := range s.Endpoints {
		application := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, e.Service) }))
		t.Cleanup(application.Close)
		group := s.Balancing.AddTargetGroup(e.Service, e.Health, application.URL)
		groups[e.Task] = append(groups[e.Task], group)
		s.Balancing.SetHealth(group, func() bool {
			_, running := s.ECS.Service(e.Task)
			return running > 0
		})
		s.Balancing.AddRule(s.Listeners[e.Balancer], first+i, albapi.Host(e.Host, e.Path, albapi.Forward(group)), map[string]string{"Name": e.Service})
	}
	for _, name := range s.Services {
		cluster, service, _ := strings.Cut(name, "/")
		s.ECS.AddService(strict.Service{Cluster: cluster, Name: service, Desired: s.Desired(name), Groups: groups[name]})
		s.ECS.AddTarget(name, strict.Target{Min: 1, Max: 6})
	}
	s.front(t)
	return s
}

// front gives both servers one address, as emulators have it: load balancing is
// asked in the query protocol, all the rest in others.
func (s *Shop) front(t testing.TB) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case s.limits.refused(w, r):
		case strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
			s.Balancing.ServeHTTP(w, r)
		default:
			s.ECS.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	s.Endpoint = server.URL
}

// Catalog is the example's catalog for this shop.
func (s *Shop) Catalog(t testing.TB) string {
	t.Helper()
	return s.Layout.Catalog(t, fmt.Sprintf("{region: %s, account: %q, endpoint: %q}", albapi.Region, albapi.Account, s.Endpoint), s.Ports)
}

// Drawing is all that is set up, as text, for comparing.
func (s *Shop) Drawing() string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s.Listeners)) {
		fmt.Fprintf(&out, "%s\n%s", name, s.Balancing.Drawing(s.Listeners[name]))
	}
	return out.String() + s.ECS.Snapshot()
}

// An Answer is what somebody gets at an endpoint.
type Answer struct {
	Status int
	Body   string
	// NoTarget tells that the load balancer had nobody to send the request to:
	// the answer that no customer should ever see.
	NoTarget bool
}

// Client asks from an address of this machine, each time on a connection of its
// own.
func Client(from string) *http.Client {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		return dialer.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
	}}}
}

// Ask asks an endpoint for its page.
func (s *Shop) Ask(ctx context.Context, client *http.Client, e Endpoint) (Answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s:%d%s", e.Host, s.Ports[e.Balancer], e.Page()), nil)
	if err != nil {
		return Answer{}, err
	}
	answer, err := client.Do(r)
	if err != nil {
		return Answer{}, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return Answer{answer.StatusCode, string(body), answer.Header.Get(albapi.NoTarget) != ""}, err
}
