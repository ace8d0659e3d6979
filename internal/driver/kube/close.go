package kube

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/kube/lbc"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/kubeclient/kubeobject"
	"github.com/noren-dev/noren/internal/kubeclient/kubepage"
	"github.com/noren-dev/noren/internal/pageserver/pageapi"
)

// Close implements driver.Entrance.
func (e *entrance) Close(s *driver.Survey, c edge.Closing) (*driver.Proposal, error) {
	if plain, ok := s.Seen.(*plainReading); ok {
		return e.closePlain(plain, c)
	}
	r, ok := s.Seen.(*reading)
	if !ok {
		return nil, fmt.Errorf("%s %s: Close needs what Survey of the same session returned", KindIngress, e.key())
	}
	served := e.outgrown(c.Page)
	if !served {
		if err := checkPage(c.Page); err != nil {
			return nil, err
		}
	}
	if err := checkPatterns(c); err != nil {
		return nil, err
	}
	hosts, err := closedHosts(r, c)
	if err != nil {
		return nil, err
	}
	page := pageAction(c.Page)
	if served {
		page = e.pageServer().forward()
	}
	cur, err := draw(r, c, page, hosts, func(host string) bool { return len(othersOn(r, host)) > 0 })
	if err != nil {
		return nil, err
	}
	p, after, err := e.strategy(r, cur)
	if err != nil {
		return nil, err
	}
	opts := r.opts
	opts.Mark = func(body string) string {
		if c.Mark != "" && strings.Contains(body, c.Mark) {
			return c.Mark
		}
		return markIn(body)
	}
	front, problems := lbc.Build(after, opts)
	if err := e.newProblems(r, problems); err != nil {
		return nil, err
	}
	p.Checks = append(e.checks(r, p), p.Checks...)
	if served {
		if front, err = e.serve(r, c, hosts, front, p); err != nil {
			return nil, err
		}
	}
	p.Front = front
	if len(cur.services) > 0 {
		p.Ready = []driver.Call{{Action: CheckBackends, Params: BackendParams{Namespace: e.namespace, Services: cur.services}}}
	}
	p.Budgets = append(p.Budgets, budgets(r, cur, front)...)
	p.Notes = append(p.Notes, e.closingNotes(r, c, cur, hosts, front)...)
	p.Unprovable = e.behindLogin(r, s.URLs, c, front)
	return p, nil
}

// serve adds to a proposal what it takes for its rules to lead to the page
// server, and returns the front with what that answers.
func (e *entrance) serve(r *reading, c edge.Closing, hosts []string, front edge.Front, p *driver.Proposal) (edge.Front, error) {
	c.Page.Mark = c.Mark
	shown := pageapi.Page{Hosts: hosts, Response: c.Page}
	page, err := kubepage.NewParams(e.namespace, kubeobject.Name(e.name, overlayPage), shown)
	if err != nil {
		return front, err
	}
	server := e.pageServer()
	p.Calls = append([]driver.Call{{Action: ActionPage, Params: page}}, p.Calls...)
	p.Checks = append(p.Checks, driver.Call{Action: CheckPageServer, Params: kubepage.ServerParams{Namespace: e.namespace, Service: server.service, Port: server.port}})
	p.Budgets = append(p.Budgets, pageBudget(shown))
	p.Why += fmt.Sprintf(" The page is larger than a load balancer sends, so its rules lead to noren's page server (service %s).", server.service)
	if e.options.Strategy == StrategyBackend {
		p.Why = strings.Replace(p.Why, "The page is larger than a load balancer sends, so its", "The catalog asks for strategy backend: your own rules are not led elsewhere, since the controller would delete their target groups; noren's", 1)
	}
	note := "The load balancer makes a target group for the page server now: customers get a 503 of its own until the first health checks have passed."
	if p.Strategy == StrategyOverlay && len(p.Calls) > 2 {
		note += " The rule for noren's probe has a target group of its own, so that its proof may come a moment before customers see the page."
	}
	p.Notes = append(p.Notes, driver.Note{Text: note})
	return pages{server, r.pages.known}.with(e.namespace, shown).shownOn(front), nil
}

// closedHosts are the hosts to close: all that the Ingress serves, or those
// asked for. A rule without a host would close every host of the listener, so
// it is made only where nobody else is on the load balancer.
func closedHosts(r *reading, c edge.Closing) ([]string, error) {
	own := hostsOf(r.ing)
	hosts := c.Hosts
	if len(hosts) == 0 {
		hosts = own
	}
	for _, h := range hosts {
		if h == "" && !alone(r) {
			return nil, &fault.Fault{Code: fault.Invalid, Summary: "closing any host would close others",
				Detail: fmt.Sprintf("Ingress %s serves requests to any host, on a load balancer that it shares (%s): a page for any host would shut out the hosts of %s.",
					lbc.Key(r.ing), r.group, strings.Join(neighbours(r), ", ")),
				Try: []string{"hosts: [" + strings.Join(named(own), ", ") + "]"}}
		}
		if h != "" && !servesHost(own, h) {
			f := &fault.Fault{Code: fault.Invalid, Summary: "host is not served here",
				Detail: fmt.Sprintf("Ingress %s does not serve %s. It serves: %s.", lbc.Key(r.ing), h, strings.Join(named(own), ", "))}
			if near := fault.Nearest(h, named(own)); near != "" {
				f.Detail += fmt.Sprintf(" Did you mean %s?", near)
			}
			return nil, f
		}
	}
	if len(hosts) == 0 {
		return nil, &fault.Fault{Code: fault.Invalid, Summary: "ingress serves nothing",
			Detail: fmt.Sprintf("Ingress %s has neither rules nor a default backend: there is nothing to close.", lbc.Key(r.ing))}
	}
	return hosts, nil
}

func named(hosts []string) []string {
	return slices.DeleteFunc(slices.Clone(hosts), func(h string) bool { return h == "" })
}

// alone tells whether no Ingress but this one, and noren's, is on the load
// balancer.
func alone(r *reading) bool { return len(neighbours(r)) == 0 }

func neighbours(r *reading) []string {
	var out []string
	for _, m := range r.members {
		if lbc.Key(m) != lbc.Key(r.ing) && !createdByUs(m) {
			out = append(out, lbc.Key(m))
		}
	}
	return out
}

// othersOn are the members, other than the Ingress and noren's, with rules
// that can serve requests to the host.
func othersOn(r *reading, host string) []*networkingv1.Ingress {
	var out []*networkingv1.Ingress
	for _, m := range r.members {
		if lbc.Key(m) == lbc.Key(r.ing) || createdByUs(m) {
			continue
		}
		for _, rule := range m.Spec.Rules {
			if rule.HTTP == nil {
				continue
			}
			meets := slices.ContainsFunc(rule.HTTP.Paths, func(p networkingv1.HTTPIngressPath) bool {
				return slices.ContainsFunc(pathHosts(m, rule, p), func(h string) bool { return hostsMeet(h, host) })
			})
			if meets {
				out = append(out, m)
				break
			}
		}
	}
	return out
}

// checkPage says what the load balancer would refuse, before it freezes the
// group: the controller passes it on unread.
func checkPage(page edge.Response) error {
	limits := pageAction(page).FixedResponse.Limits()
	if len(limits) == 0 {
		return nil
	}
	f := &fault.Fault{Code: fault.Invalid, Summary: "page does not fit the load balancer",
		Detail: fmt.Sprintf("The closed page cannot be put into a listener rule: %s.", strings.Join(limits, "; "))}
	if utf8.RuneCountInString(page.Body) > lbc.MaxBody {
		f.Try = []string{"noren page check", "page_service: " + pageapi.DefaultService + "   # a page server sends it: docs/how-to/page-server.md"}
	}
	return f
}

func checkPatterns(c edge.Closing) error {
	for _, p := range slices.Concat(c.Paths, c.KeepOpen) {
		if !strings.HasPrefix(p, "/") && !strings.HasPrefix(p, "*") {
			return &fault.Fault{Code: fault.Invalid, Summary: "malformed path pattern",
				Detail: fmt.Sprintf("The path pattern %q must begin with / (or *), for example /checkout/*.", p)}
		}
		if utf8.RuneCountInString(p) > lbc.MaxLength {
			return &fault.Fault{Code: fault.Invalid, Summary: "path pattern too long",
				Detail: fmt.Sprintf("The path pattern %q has more than %d characters, which the load balancer refuses.", p, lbc.MaxLength)}
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

// newProblems refuses a proposal that would freeze the group. What is wrong
// already is said elsewhere, and by the check that the group is healthy.
func (e *entrance) newProblems(r *reading, after []lbc.Problem) error {
	_, before := lbc.Build(r.members, r.opts)
	had := map[lbc.Problem]bool{}
	for _, p := range before {
		had[withoutPlace(p)] = true
	}
	var reasons []string
	for _, p := range after {
		if p.Freezes() && !had[withoutPlace(p)] {
			reasons = append(reasons, p.Reason)
		}
	}
	if len(reasons) == 0 {
		return nil
	}
	return &fault.Fault{Code: fault.Invalid, Summary: "closing does not fit the load balancer",
		Detail: fmt.Sprintf("Closing ingress %s this way would freeze its load balancer (%s) for everybody on it: %s.", e.key(), r.group, strings.Join(reasons, "; ")),
		Try:    []string{"close it whole: without --path, --read-only, --allow and --pass, fewer rules are needed"}}
}

// place is a rule's place in its Ingress, which moves when rules are inserted.
var place = regexp.MustCompile(`rules\[\d+\]`)

// withoutPlace makes a problem comparable before and after. One of the load
// balancer as a whole is its number of rules: where that is over the default
// quota already, the quota has been raised.
func withoutPlace(p lbc.Problem) lbc.Problem {
	if p.Ingress == "" {
		return lbc.Problem{Event: p.Event}
	}
	p.Reason = place.ReplaceAllString(p.Reason, "rules[]")
	return p
}

// checks come before any write.
func (e *entrance) checks(r *reading, p *driver.Proposal) []driver.Call {
	group := GroupParams{Namespace: e.namespace, Name: e.name}
	if p.Strategy == StrategyOverlay {
		for _, call := range p.Calls {
			if o, ok := call.Params.(OverlayParams); ok {
				if order := orderIn(o.Annotations); group.Before == nil || order > *group.Before {
					group.Before = &order
				}
			}
		}
		for _, m := range r.members {
			if order, _ := lbc.Order(m); group.Before != nil && order <= *group.Before && !createdByUs(m) {
				group.InFront = append(group.InFront, lbc.Key(m))
			}
		}
	}
	return []driver.Call{
		{Action: CheckUnchanged, Params: UnchangedParams{Namespace: e.namespace, Name: e.name, UID: string(r.ing.UID), Digest: digest(r.ing)}},
		{Action: CheckGroup, Params: group},
	}
}

func orderIn(annotations map[string]string) int {
	order, _ := lbc.Order(&networkingv1.Ingress{ObjectMeta: metaAnnotations(annotations)})
	return order
}

// budgets are how much of the load balancer's limits the proposal uses.
func budgets(r *reading, cur curtain, after edge.Front) []driver.Budget {
	before, _ := lbc.Build(r.members, r.opts)
	values := 0
	for _, p := range cur.all() {
		v, _ := p.count()
		values = max(values, v)
	}
	return []driver.Budget{
		{What: "listener rules", Of: "the load balancer of " + r.group.String(), Before: rulesOf(before), Used: rulesOf(after), Limit: r.opts.RuleQuota(),
			Raise: "If AWS raised the quota of rules per load balancer, say so in noren.yaml, in the environment's section kube: rule_quota: 200"},
		{What: "condition values of one rule", Used: values, Limit: lbc.MaxValues},
	}
}

func rulesOf(front edge.Front) int {
	rules := 0
	for _, l := range front.Listeners {
		rules += len(l.Rules)
	}
	return rules
}
