package alb

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/aws/alb/albrules"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
)

// Options say which part of a load balancer is the service's.
type Options struct {
	// Port of the one listener to close; by default every listener that does more
	// than send visitors elsewhere.
	Port int `json:"port,omitempty"`
	// Hosts and Paths of the service, as a listener rule writes them; without
	// either, the whole listener is closed.
	Hosts []string `json:"hosts,omitempty"`
	Paths []string `json:"paths,omitempty"`
	// URLs at which customers reach the service; by default they are made of the
	// hosts, the first path and the listeners.
	URLs []string `json:"urls,omitempty"`
	// RuleQuota is how many rules the load balancer may have; by default as AWS
	// says.
	RuleQuota int `json:"rule_quota,omitempty"`
}

// Validate says what is wrong.
func (o Options) Validate() error {
	for _, h := range o.Hosts {
		if h == "" || len(h) > albrules.MaxLength || strings.ContainsAny(h, "/: ") {
			return fmt.Errorf("hosts: %q is not a host such as shop.example.com or *.example.com", h)
		}
	}
	for _, p := range o.Paths {
		if !strings.HasPrefix(p, "/") || len(p) > albrules.MaxLength {
			return fmt.Errorf("paths: %q must begin with / and have at most %d characters, for example /cart/*", p, albrules.MaxLength)
		}
	}
	for _, u := range o.URLs {
		if p, err := url.Parse(u); err != nil || p.Host == "" || p.Scheme != "http" && p.Scheme != "https" {
			return fmt.Errorf("urls: %q is no http or https URL", u)
		}
	}
	switch {
	case o.Port < 0 || o.Port > 65535:
		return fmt.Errorf("port %d is no port", o.Port)
	case o.RuleQuota < 0 || o.RuleQuota > 0 && o.RuleQuota < albrules.MaxRules:
		return fmt.Errorf("rule_quota %d is less than the %d rules that every load balancer may have", o.RuleQuota, albrules.MaxRules)
	}
	return nil
}

// Shared says that services share a load balancer by hosts and paths.
func (Options) Shared() {}

// PageLimit is what a fixed response carries.
func (Options) PageLimit() int { return albrules.MaxBody }

type entrance struct {
	account *account
	place   place
	options Options
}

func openEntrance(c *awsclient.Conn, name string, o Options) (driver.Entrance, error) {
	p, err := placeIn(name, c.Region())
	if err != nil {
		return nil, err
	}
	if p.listener != "" && o.Port != 0 {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "listener named twice", Detail: fmt.Sprintf("The entrance %s names a listener already: leave port out.", name)}
	}
	return &entrance{accountOf(c), p, o}, nil
}

// Requires implements action.Requirer.
func (e *entrance) Requires() []action.Permission {
	listener := e.place.listener
	if listener == "" {
		listener = fmt.Sprintf("arn:aws:elasticloadbalancing:%s:*:listener/app/%s/*", e.account.conn.Region(), e.place.name)
	}
	return (&closeChange{account: e.account, p: CloseParams{LoadBalancer: e.place.name, Listener: listener}}).Requires()
}

// scope is the service's part of a listener.
func (e *entrance) scope() albrules.Scope {
	return albrules.Scope{Hosts: e.options.Hosts, Paths: e.options.Paths}
}

// service is the scope for people, "" for whole listeners.
func (e *entrance) service() string {
	return strings.Join(slices.DeleteFunc([]string{strings.Join(e.options.Hosts, ","), strings.Join(e.options.Paths, ",")}, func(s string) bool { return s == "" }), " ")
}

// A reading is what Close needs of what Survey read.
type reading struct {
	lb        loadBalancer
	listeners []albrules.Listener // all of the load balancer
	closed    []albrules.Listener // those to be closed
	quota     int
}

// Survey implements driver.Entrance.
func (e *entrance) Survey(ctx context.Context) (*driver.Survey, error) {
	r, err := e.read(ctx)
	if err != nil {
		return nil, err
	}
	what := r.lb.name
	if len(r.closed) == 1 {
		what = fmt.Sprintf("%s:%d", r.lb.name, r.closed[0].Port)
	}
	s := &driver.Survey{
		Target:    target(e.account.conn.Env.Name, what, e.service()),
		Hosts:     e.hosts(r),
		URLs:      e.urls(r),
		Front:     front(r.listeners),
		PageLimit: albrules.MaxBody,
		Seen:      r,
	}
	s.Notes = e.notes(r, s)
	return s, nil
}

// hosts are the service's; "" is among them where the whole listener is closed.
func (e *entrance) hosts(r *reading) []string {
	if len(e.options.Hosts) > 0 {
		return e.options.Hosts
	}
	hosts := []string{""}
	for _, l := range r.closed {
		for _, h := range l.Hosts() {
			if !slices.Contains(hosts, h) {
				hosts = append(hosts, h)
			}
		}
	}
	return hosts
}

// urls are where customers come in: one for each host and each listener to be
// closed. The load balancer's own name stands for any host, and only without
// TLS, since no certificate is for it.
func (e *entrance) urls(r *reading) []string {
	if len(e.options.URLs) > 0 {
		return e.options.URLs
	}
	var out []string
	for _, l := range r.closed {
		hosts := e.options.Hosts
		if len(hosts) == 0 {
			hosts = l.Hosts()
		}
		for _, h := range hosts {
			if h == "" && l.Scheme() == "http" {
				h = r.lb.dns
			}
			if h == "" || strings.ContainsAny(h, "*?") {
				continue
			}
			out = append(out, l.Scheme()+"://"+strings.ToLower(h)+portSuffix(l.Scheme(), l.Port)+e.firstPath())
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// firstPath is a path of the service, so that a probe meets its rules.
func (e *entrance) firstPath() string {
	for _, p := range e.options.Paths {
		if !strings.ContainsAny(strings.TrimSuffix(p, "*"), "*?") {
			return strings.TrimSuffix(p, "*")
		}
	}
	return "/"
}

func portSuffix(scheme string, port int) string {
	if scheme == "http" && port == 80 || scheme == "https" && port == 443 {
		return ""
	}
	return fmt.Sprintf(":%d", port)
}

func front(listeners []albrules.Listener) edge.Front {
	var f edge.Front
	for _, l := range listeners {
		f.Listeners = append(f.Listeners, l.Edge(markIn))
	}
	return f
}

// Close implements driver.Entrance.
func (e *entrance) Close(s *driver.Survey, c edge.Closing) (*driver.Proposal, error) {
	r, ok := s.Seen.(*reading)
	if !ok {
		return nil, errors.New("alb: the survey is of another kind of entrance")
	}
	if limits := albrules.Page(c.Page).Limits(); len(limits) > 0 {
		return nil, pageRefused(limits)
	}
	if err := checkClosing(c); err != nil {
		return nil, err
	}
	scope, err := e.narrowed(c)
	if err != nil {
		return nil, err
	}
	p := &driver.Proposal{Strategy: strategyRules, Why: "Rules in front of the listener's own answer with the page; your own rules stay, and behind the page they keep their targets healthy."}
	after := slices.Clone(r.listeners)
	added, spare, values := 0, 0, 0
	var groups []string
	for _, l := range r.closed {
		drawn, err := albrules.Draw(l, scope, c)
		if err != nil {
			return nil, err
		}
		curtain := albrules.Curtain{ID: curtainID(l.ARN, scope), Rules: drawn.Bare().Rules}
		if !curtain.Roomy(l) {
			curtain.Rules = drawn.Rules
		}
		if curtain, err = curtain.Known(l); err != nil {
			return nil, err
		}
		params := CloseParams{LoadBalancer: r.lb.name, Listener: l.ARN, Port: l.Port, Protocol: l.Protocol, Service: e.service(), Curtain: curtain}
		p.Calls = append(p.Calls, driver.Call{Action: ActionClose, Params: params})
		p.Checks = append(p.Checks, driver.Call{Action: CheckUnchanged, Params: UnchangedParams{LoadBalancer: r.lb.name, Listener: l.ARN, Port: l.Port, Digest: digest(l)}})
		at := slices.IndexFunc(after, func(o albrules.Listener) bool { return o.ARN == l.ARN })
		after[at] = curtain.Shown(l)
		added, spare = added+len(curtain.Rules), max(spare, curtain.Spare())
		for _, rule := range curtain.Rules {
			n, _ := albrules.Count(rule.Conditions)
			values = max(values, n)
		}
		groups = append(groups, drawn.Groups...)
		p.Notes = append(p.Notes, closingNotes(l, curtain, drawn, scope)...)
	}
	p.Front = front(after)
	p.Notes = append(p.Notes, e.bypassNotes(c)...)
	slices.Sort(groups)
	if groups = slices.Compact(groups); len(groups) > 0 {
		p.Ready = []driver.Call{{Action: CheckHealthy, Params: HealthyParams{LoadBalancer: r.lb.name, Groups: groups}}}
	}
	p.Budgets = []driver.Budget{
		{What: "listener rules", Of: "the load balancer " + r.lb.name, Before: rules(r.listeners), Used: rules(r.listeners) + added + spare, Limit: r.quota,
			Raise: "If AWS raised the quota of rules per load balancer, say so in noren.yaml, at the entrance: rule_quota: 200"},
		{What: "condition values of one rule", Used: values, Limit: albrules.MaxValues},
	}
	return p, nil
}

func rules(listeners []albrules.Listener) int {
	n := 0
	for _, l := range listeners {
		n += len(l.Rules)
	}
	return n
}

// narrowed is the scope with the hosts that are to be closed.
func (e *entrance) narrowed(c edge.Closing) (albrules.Scope, error) {
	scope := e.scope()
	for _, h := range c.Hosts {
		if len(scope.Hosts) > 0 && !slices.Contains(scope.Hosts, h) {
			f := &fault.Fault{Code: fault.Invalid, Summary: "host is not served here",
				Detail: fmt.Sprintf("%s is none of the hosts of this entrance: %s.", h, strings.Join(scope.Hosts, ", "))}
			if near := fault.Nearest(h, scope.Hosts); near != "" {
				f.Detail += fmt.Sprintf(" Did you mean %s?", near)
			}
			return scope, f
		}
	}
	if len(c.Hosts) > 0 {
		scope.Hosts = c.Hosts
	}
	return scope, nil
}

func checkClosing(c edge.Closing) error {
	for _, p := range slices.Concat(c.Paths, c.KeepOpen) {
		if !strings.HasPrefix(p, "/") && !strings.HasPrefix(p, "*") {
			return &fault.Fault{Code: fault.Invalid, Summary: "malformed path pattern", Detail: fmt.Sprintf("The path pattern %q must begin with / (or *), for example /checkout/*.", p)}
		}
		if len([]rune(p)) > albrules.MaxLength {
			return &fault.Fault{Code: fault.Invalid, Summary: "path pattern too long", Detail: fmt.Sprintf("The path pattern %q has more than %d characters, which the load balancer refuses.", p, albrules.MaxLength)}
		}
	}
	if c.Mode == edge.Paths && len(c.Paths) == 0 {
		return &fault.Fault{Code: fault.Invalid, Summary: "no paths to close", Detail: "Mode paths closes the paths named, and none is."}
	}
	if strings.ContainsAny(c.Bypass.Pass, `*?"\`) {
		return &fault.Fault{Code: fault.Invalid, Summary: "malformed pass", Detail: "A pass must not contain * ? \" or \\: the load balancer would take them for wildcards."}
	}
	return nil
}

// curtainID names the curtain of a service on a listener, the same each time.
func curtainID(listener string, s albrules.Scope) string {
	sum := sha256.Sum256([]byte(listener + "\n" + strings.Join(s.Hosts, ",") + "\n" + strings.Join(s.Paths, ",")))
	return hex.EncodeToString(sum[:6])
}
