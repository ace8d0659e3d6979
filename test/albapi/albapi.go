// Package albapi stands, in tests, for the Elastic Load Balancing API of AWS
// and for the load balancers behind it. It speaks the wire format, so that the
// SDK's own client is used, and enforces what AWS does and moto does not: the
// range of priorities, unique priorities in the final order (a swap in one call
// is fine), five condition values and wildcards in a rule, the quota of rules,
// the size of a body, tags, page sizes, rules that are gone. Real HTTP requests
// go through the rules to real servers.
//
// It does not know TLS, logins, transforms, weights of several target groups, or
// listener attributes.
package albapi

import (
	"encoding/json"
	"fmt"

	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/noren-dev/noren/internal/driver/aws/alb/albrules"
)

// Region and Account are where everything is.
const (
	Region  = "ap-northeast-1"
	Account = "123456789012"
)

// Prefix begins every ARN.
const Prefix = "arn:aws:elasticloadbalancing:" + Region + ":" + Account + ":"

// A Server is a running API with its load balancers.
type Server struct {
	// Endpoint is the address of the API.
	Endpoint string

	t  testing.TB
	mu sync.Mutex

	balancers []*balancer
	groups    []*group
	tags      map[string]map[string]string // by ARN
	quota     int
	page      int
	made      int
	delay     time.Duration

	writes  int
	calls   map[string]int
	lose    int // answers to be lost from the next write on
	before  func(call string)
	buckets map[bool]*rate.Limiter // by whether it writes; nil: unlimited
	denied  map[string]bool
}

type balancer struct {
	arn, name, kind string
	listeners       []*listener
}

type listener struct {
	arn, protocol string
	port          int
	fallback      []albrules.Action
	rules         []albrules.Placed
	history       []moment
	server        *httptest.Server
}

// A moment is what the data plane serves from a time on.
type moment struct {
	from time.Time
	l    albrules.Listener
}

type group struct {
	arn, name, health, address string
	healthy                    func() bool
}

// Start runs a server until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t, tags: map[string]map[string]string{}, quota: albrules.MaxRules, page: smallPage, calls: map[string]int{}, denied: map[string]bool{}}
	api := httptest.NewUnstartedServer(s)
	api.Config.SetKeepAlivesEnabled(false) // a lost answer takes no other call with it
	api.Start()
	t.Cleanup(api.Close)
	s.Endpoint = api.URL
	return s
}

// Section is the section aws of an environment that is this server, as YAML.
func (s *Server) Section() string {
	return fmt.Sprintf("{region: %s, endpoint: %q}", Region, s.Endpoint)
}

func (s *Server) id() string {
	s.made++
	return fmt.Sprintf("%016x", s.made)
}

// AddLoadBalancer makes a load balancer of a type (application, network,
// gateway) and returns its ARN.
func (s *Server) AddLoadBalancer(name, kind string, tags map[string]string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &balancer{arn: fmt.Sprintf("%sloadbalancer/%s/%s/%s", Prefix, short(kind), name, s.id()), name: name, kind: kind}
	s.balancers = append(s.balancers, b)
	s.tags[b.arn] = tags
	return b.arn
}

func short(kind string) string {
	return map[string]string{"application": "app", "network": "net", "gateway": "gwy"}[kind]
}

// AddListener makes a listener, which listens on a port of this machine, and
// returns its ARN and port.
func (s *Server) AddListener(name string, fallback albrules.Action) (arn string, port int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.balancer(name)
	l := &listener{arn: fmt.Sprintf("%s/%s", strings.Replace(b.arn, ":loadbalancer/", ":listener/", 1), s.id()), protocol: "HTTP",
		fallback: albrules.Rule{Actions: []albrules.Action{fallback}}.Canonical().Actions}
	l.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(l, w, r) }))
	s.t.Cleanup(l.server.Close)
	l.port = l.server.Listener.Addr().(*net.TCPAddr).Port
	b.listeners = append(b.listeners, l)
	s.changed(l)
	return l.arn, l.port
}

func (s *Server) balancer(name string) *balancer {
	i := slices.IndexFunc(s.balancers, func(b *balancer) bool { return b.name == name })
	if i < 0 {
		s.t.Fatalf("albapi: no load balancer %s", name)
	}
	return s.balancers[i]
}

// AddRule makes a rule, as a user does, and returns its ARN.
func (s *Server) AddRule(listener string, priority int, r albrules.Rule, tags map[string]string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, _ := s.listener(listener)
	return s.insert(l, priority, r.Canonical(), tags)
}

func (s *Server) insert(l *listener, priority int, r albrules.Rule, tags map[string]string) string {
	arn := fmt.Sprintf("%s/%s", strings.Replace(l.arn, ":listener/", ":listener-rule/", 1), s.id())
	l.rules = append(l.rules, albrules.Placed{ARN: arn, Priority: priority, Rule: r})
	s.tags[arn] = tags
	s.changed(l)
	return arn
}

// SetDefault replaces a listener's default action, as a user does.
func (s *Server) SetDefault(listener string, a albrules.Action) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, _ := s.listener(listener)
	l.fallback = albrules.Rule{Actions: []albrules.Action{a}}.Canonical().Actions
	s.changed(l)
}

// Edit changes a rule, as a user does.
func (s *Server) Edit(arn string, change func(*albrules.Placed)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, i := s.rule(arn)
	if l == nil {
		s.t.Fatalf("albapi: no rule %s", arn)
	}
	change(&l.rules[i])
	s.writes++
	s.changed(l)
}

// Remove deletes a rule, as a user does.
func (s *Server) Remove(arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, i := s.rule(arn)
	l.rules = slices.Delete(l.rules, i, i+1)
	delete(s.tags, arn)
	s.changed(l)
}

// AddTargetGroup makes a target group whose one target is at an address, and
// returns its ARN.
func (s *Server) AddTargetGroup(name, health, address string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := &group{arn: fmt.Sprintf("%stargetgroup/%s/%s", Prefix, name, s.id()), name: name, health: health, address: address, healthy: func() bool { return true }}
	s.groups = append(s.groups, g)
	return g.arn
}

// SetHealthy says whether the target of a group is.
func (s *Server) SetHealthy(arn string, healthy bool) {
	s.SetHealth(arn, func() bool { return healthy })
}

// SetHealth asks whether the target of a group is healthy, each time.
func (s *Server) SetHealth(arn string, healthy func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.groups {
		if g.arn == arn {
			g.healthy = healthy
		}
	}
}

// Forward is the action that forwards to a target group.
func Forward(arn string) albrules.Action {
	return albrules.Action{Type: albrules.TypeForward, Forward: &albrules.Forward{Groups: []albrules.Group{{ARN: arn, Weight: 1}}}}
}

// Host is a rule for a host and, if it is not empty, a path.
func Host(host, path string, a albrules.Action) albrules.Rule {
	r := albrules.Rule{Actions: []albrules.Action{a}}
	if host != "" {
		r.Conditions = append(r.Conditions, albrules.Condition{Field: albrules.FieldHost, Values: []string{host}})
	}
	if path != "" {
		r.Conditions = append(r.Conditions, albrules.Condition{Field: albrules.FieldPath, Values: []string{path}})
	}
	return r
}

// Rules are a listener's rules in order, with their tags.
func (s *Server) Rules(listener string) (rules []albrules.Placed, tags []map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, _ := s.listener(listener)
	rules = slices.Clone(l.rules)
	slices.SortFunc(rules, func(a, b albrules.Placed) int { return a.Priority - b.Priority })
	for _, r := range rules {
		tags = append(tags, s.tags[r.ARN])
	}
	return rules, tags
}

// Drawing is a listener's rules as text, for comparing.
func (s *Server) Drawing(listener string) string {
	rules, tags := s.Rules(listener)
	var out strings.Builder
	for i, r := range rules {
		fmt.Fprintf(&out, "%d %s %s %v\n", r.Priority, r.ARN, asText(r.Canonical()), tags[i])
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l, _ := s.listener(listener)
	fmt.Fprintf(&out, "default %s\n", asText(l.fallback))
	return out.String()
}

func asText(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// SetQuota sets how many rules a load balancer may have.
func (s *Server) SetQuota(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quota = n
}

// SetPage sets how much a page has at most. AWS's have 400.
func (s *Server) SetPage(most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.page = most
}

// SetDelay lets rules take effect a while after their call.
func (s *Server) SetDelay(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = d
}

// Throttle enforces token buckets: for calls that read, and for those that
// write. Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/elb-api-throttling.html
// for reading; what AWS allows writers is not documented.
func (s *Server) Throttle(readRate rate.Limit, readBurst int, writeRate rate.Limit, writeBurst int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buckets = map[bool]*rate.Limiter{false: rate.NewLimiter(readRate, readBurst), true: rate.NewLimiter(writeRate, writeBurst)}
}

// Deny refuses a call for want of permission.
func (s *Server) Deny(call string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied[call] = true
}

// LoseNextAnswer lets the next write happen and its answer get lost.
func (s *Server) LoseNextAnswer() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lose++
}

// Before is called before each call that writes is carried out.
func (s *Server) Before(f func(call string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = f
}

// Writes counts the writes that were carried out.
func (s *Server) Writes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

// Calls counts the calls of a name, such as DescribeRules.
func (s *Server) Calls(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[name]
}

func (s *Server) listener(arn string) (*listener, *balancer) {
	for _, b := range s.balancers {
		for _, l := range b.listeners {
			if l.arn == arn {
				return l, b
			}
		}
	}
	return nil, nil
}

func (s *Server) rule(arn string) (*listener, int) {
	for _, b := range s.balancers {
		for _, l := range b.listeners {
			if i := slices.IndexFunc(l.rules, func(p albrules.Placed) bool { return p.ARN == arn }); i >= 0 {
				return l, i
			}
		}
	}
	return nil, -1
}

// changed lets the data plane know.
func (s *Server) changed(l *listener) {
	now := albrules.Listener{ARN: l.arn, Port: l.port, Protocol: l.protocol, Default: l.fallback, Rules: slices.Clone(l.rules)}
	now.Sorted()
	l.history = append(l.history, moment{time.Now().Add(s.delay), now})
}
