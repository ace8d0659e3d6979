package albapi

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/noren-dev/noren/internal/driver/aws/alb/albrules"
)

// smallPage is how much a page has at most unless a test says otherwise, so that a
// client that does not page is found out.
const smallPage = 7

var handlers = map[string]func(*Server, *node) ([]element, *refusal){
	"GetCallerIdentity": func(*Server, *node) ([]element, *refusal) {
		return []element{text("Arn", "arn:aws:iam::"+Account+":user/night"), text("UserId", "AIDA"), text("Account", Account)}, nil
	},
	"DescribeLoadBalancers": (*Server).describeLoadBalancers,
	"DescribeListeners":     (*Server).describeListeners,
	"DescribeRules":         (*Server).describeRules,
	"DescribeTags":          (*Server).describeTags,
	"DescribeTargetGroups":  (*Server).describeTargetGroups,
	"DescribeTargetHealth":  (*Server).describeTargetHealth,
	"DescribeAccountLimits": (*Server).describeAccountLimits,
	"CreateRule":            (*Server).createRule,
	"ModifyRule":            (*Server).modifyRule,
	"DeleteRule":            (*Server).deleteRule,
	"SetRulePriorities":     (*Server).setRulePriorities,
	"AddTags":               (*Server).addTags,
	"RemoveTags":            (*Server).removeTags,
}

func (s *Server) describeLoadBalancers(n *node) ([]element, *refusal) {
	names, arns := n.texts("Names"), n.texts("LoadBalancerArns")
	var all []element
	for _, b := range s.balancers {
		if len(names) > 0 && !slices.Contains(names, b.name) || len(arns) > 0 && !slices.Contains(arns, b.arn) {
			continue
		}
		all = append(all, of("", text("LoadBalancerArn", b.arn), text("LoadBalancerName", b.name), text("Type", b.kind), text("DNSName", b.name+"-1.elb.localhost")))
	}
	if len(all) < len(names)+len(arns) {
		return nil, refuse("LoadBalancerNotFound", "One or more load balancers not found")
	}
	some, next, refused := page(n, all, s.page)
	return append([]element{many("LoadBalancers", some)}, next...), refused
}

func (s *Server) describeListeners(n *node) ([]element, *refusal) {
	var all []element
	found := false
	for _, b := range s.balancers {
		if b.arn != n.at("LoadBalancerArn").text {
			continue
		}
		found = true
		for _, l := range b.listeners {
			all = append(all, of("", text("ListenerArn", l.arn), text("LoadBalancerArn", b.arn), text("Port", strconv.Itoa(l.port)), text("Protocol", l.protocol), many("DefaultActions", actionElements(l.fallback))))
		}
	}
	if !found {
		return nil, refuse("LoadBalancerNotFound", "Load balancer not found")
	}
	some, next, refused := page(n, all, s.page)
	return append([]element{many("Listeners", some)}, next...), refused
}

func (s *Server) describeRules(n *node) ([]element, *refusal) {
	l, _ := s.listener(n.at("ListenerArn").text)
	if l == nil {
		return nil, refuse("ListenerNotFound", "Listener not found")
	}
	var all []element
	for _, p := range l.rules { // in no order
		all = append(all, ruleElement(p))
	}
	all = append(all, of("", text("RuleArn", strings.Replace(l.arn, ":listener/", ":listener-rule/", 1)+"/default"), text("Priority", "default"), text("IsDefault", "true"), many("Actions", actionElements(l.fallback))))
	some, next, refused := page(n, all, s.page)
	return append([]element{many("Rules", some)}, next...), refused
}

func (s *Server) describeTags(n *node) ([]element, *refusal) {
	arns := n.texts("ResourceArns")
	if len(arns) > 20 || len(arns) == 0 {
		return nil, refuse("ValidationError", "ResourceArns must have 1 to 20 members, has %d", len(arns))
	}
	var all []element
	for _, arn := range arns {
		tags, refused := s.tagged(arn)
		if refused != nil {
			return nil, refused
		}
		var list []element
		for k, v := range tags {
			list = append(list, of("", text("Key", k), text("Value", v)))
		}
		all = append(all, of("", text("ResourceArn", arn), many("Tags", list)))
	}
	return []element{many("TagDescriptions", all)}, nil
}

// tagged are the tags of something that exists.
func (s *Server) tagged(arn string) (map[string]string, *refusal) {
	switch l, _ := s.rule(arn); {
	case strings.Contains(arn, ":listener-rule/") && l == nil:
		return nil, refuse("RuleNotFound", "One or more rules not found")
	case s.tags[arn] == nil:
		s.tags[arn] = map[string]string{}
	}
	return s.tags[arn], nil
}

func (s *Server) describeTargetGroups(n *node) ([]element, *refusal) {
	arns := n.texts("TargetGroupArns")
	var all []element
	for _, g := range s.groups {
		if len(arns) > 0 && !slices.Contains(arns, g.arn) {
			continue
		}
		all = append(all, of("", text("TargetGroupArn", g.arn), text("TargetGroupName", g.name), text("HealthCheckPath", g.health), text("HealthCheckEnabled", "true"), text("TargetType", "ip")))
	}
	some, next, refused := page(n, all, s.page)
	return append([]element{many("TargetGroups", some)}, next...), refused
}

func (s *Server) describeTargetHealth(n *node) ([]element, *refusal) {
	for _, g := range s.groups {
		if g.arn == n.at("TargetGroupArn").text {
			state := of("TargetHealth", text("State", "healthy"))
			if !g.healthy() {
				state = of("TargetHealth", text("State", "unhealthy"), text("Reason", "Target.FailedHealthChecks"), text("Description", "Health checks failed"))
			}
			return []element{many("TargetHealthDescriptions", []element{of("", of("Target", text("Id", "10.0.0.7"), text("Port", "80")), state)})}, nil
		}
	}
	return nil, refuse("TargetGroupNotFound", "One or more target groups not found")
}

func (s *Server) describeAccountLimits(*node) ([]element, *refusal) {
	return []element{many("Limits", []element{of("", text("Name", "rules-per-application-load-balancer"), text("Max", strconv.Itoa(s.quota)))})}, nil
}

func (s *Server) createRule(n *node) ([]element, *refusal) {
	l, b := s.listener(n.at("ListenerArn").text)
	if l == nil {
		return nil, refuse("ListenerNotFound", "Listener not found")
	}
	priority, _ := n.number("Priority")
	rule := albrules.Rule{Conditions: conditions(n), Actions: s.actions(n)}
	tags := map[string]string{}
	for _, t := range n.list("Tags") {
		tags[t.at("Key").text] = t.at("Value").text
	}
	rules := 0
	for _, o := range b.listeners {
		rules += len(o.rules)
	}
	switch {
	case priority < 1 || priority > 50000:
		return nil, refuse("ValidationError", "Priority %d must be between 1 and 50000", priority)
	case slices.ContainsFunc(l.rules, func(p albrules.Placed) bool { return p.Priority == priority }):
		return nil, refuse("PriorityInUse", "Priority '%d' is currently in use", priority)
	case rules >= s.quota:
		return nil, refuse("TooManyRules", "The maximum number of rules on the load balancer has been reached")
	case len(rule.Conditions) == 0:
		return nil, refuse("ValidationError", "A condition must be specified")
	}
	for _, refused := range []*refusal{checkConditions(rule.Conditions), s.checkActions(rule.Actions), checkTags(tags)} {
		if refused != nil {
			return nil, refused
		}
	}
	arn := s.insert(l, priority, rule.Canonical(), tags)
	at, i := s.rule(arn)
	return []element{many("Rules", []element{ruleElement(at.rules[i])})}, nil
}

func (s *Server) modifyRule(n *node) ([]element, *refusal) {
	l, i := s.rule(n.at("RuleArn").text)
	if l == nil {
		return nil, refuse("RuleNotFound", "One or more rules not found")
	}
	changed := l.rules[i]
	if n.at("Conditions").is() {
		changed.Conditions = conditions(n)
	}
	if n.at("Actions").is() {
		changed.Actions = s.actions(n)
	}
	for _, refused := range []*refusal{checkConditions(changed.Conditions), s.checkActions(changed.Actions)} {
		if refused != nil {
			return nil, refused
		}
	}
	changed.Rule = changed.Canonical()
	l.rules[i] = changed
	s.changed(l)
	return []element{many("Rules", []element{ruleElement(changed)})}, nil
}

func (s *Server) deleteRule(n *node) ([]element, *refusal) {
	arn := n.at("RuleArn").text
	if strings.HasSuffix(arn, "/default") {
		return nil, refuse("OperationNotPermitted", "Default rule '%s' cannot be deleted", arn)
	}
	l, i := s.rule(arn)
	if l == nil {
		return nil, refuse("RuleNotFound", "One or more rules not found")
	}
	l.rules = slices.Delete(l.rules, i, i+1)
	delete(s.tags, arn)
	s.changed(l)
	return nil, nil
}

// setRulePriorities looks at the order as it would be: swaps are fine.
func (s *Server) setRulePriorities(n *node) ([]element, *refusal) {
	wanted := map[string]int{}
	var of *listener
	for _, pair := range n.list("RulePriorities") {
		arn := pair.at("RuleArn").text
		priority, _ := pair.number("Priority")
		l, i := s.rule(arn)
		switch {
		case strings.HasSuffix(arn, "/default"):
			return nil, refuse("OperationNotPermitted", "The priority of a default rule cannot be set")
		case i < 0 || of != nil && l != of:
			return nil, refuse("RuleNotFound", "One or more rules not found")
		case priority < 1 || priority > 50000:
			return nil, refuse("ValidationError", "Priority %d must be between 1 and 50000", priority)
		case wanted[arn] != 0:
			return nil, refuse("ValidationError", "A rule is named twice")
		}
		wanted[arn], of = priority, l
	}
	if of == nil {
		return nil, refuse("ValidationError", "RulePriorities must be specified")
	}
	after := slices.Clone(of.rules)
	seen := map[int]bool{}
	for i, p := range after {
		if priority, ok := wanted[p.ARN]; ok {
			after[i].Priority = priority
		}
		if seen[after[i].Priority] {
			return nil, refuse("PriorityInUse", "Priority '%d' is currently in use", after[i].Priority)
		}
		seen[after[i].Priority] = true
	}
	of.rules = after
	s.changed(of)
	return nil, nil
}

func (s *Server) addTags(n *node) ([]element, *refusal) {
	for _, arn := range n.texts("ResourceArns") {
		have, refused := s.tagged(arn)
		if refused != nil {
			return nil, refused
		}
		after := map[string]string{}
		for k, v := range have {
			after[k] = v
		}
		for _, t := range n.list("Tags") {
			after[t.at("Key").text] = t.at("Value").text
		}
		if refused := checkTags(after); refused != nil {
			return nil, refused
		}
		s.tags[arn] = after
	}
	return nil, nil
}

func (s *Server) removeTags(n *node) ([]element, *refusal) {
	for _, arn := range n.texts("ResourceArns") {
		have, refused := s.tagged(arn)
		if refused != nil {
			return nil, refused
		}
		for _, key := range n.texts("TagKeys") {
			delete(have, key)
		}
	}
	return nil, nil
}

var tagForm = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

func checkTags(tags map[string]string) *refusal {
	if len(tags) > 50 {
		return refuse("TooManyTags", "You've reached the limit on the number of tags per load balancer")
	}
	for k, v := range tags {
		if k == "" || len(k) > 128 || len(v) > 256 || !tagForm.MatchString(k) || !tagForm.MatchString(v) || strings.HasPrefix(k, "aws:") {
			return refuse("ValidationError", "Tag %s=%s is not valid", k, v)
		}
	}
	return nil
}

func conditions(n *node) []albrules.Condition {
	var out []albrules.Condition
	for _, c := range n.list("Conditions") {
		one := albrules.Condition{Field: c.at("Field").text, Values: c.texts("Values")}
		for _, config := range []string{"HostHeaderConfig", "PathPatternConfig", "HttpHeaderConfig", "HttpRequestMethodConfig", "SourceIpConfig"} {
			if c.at(config).is() {
				one.Values, one.Regex, one.Name = c.at(config).texts("Values"), c.at(config).texts("RegexValues"), c.at(config, "HttpHeaderName").text
			}
		}
		for _, q := range c.at("QueryStringConfig").list("Values") {
			one.Query = append(one.Query, albrules.QueryValue{Key: q.at("Key").text, Value: q.at("Value").text})
		}
		out = append(out, one)
	}
	return out
}

// checkConditions is written anew here, so that a mistake in noren's own count
// is found.
func checkConditions(all []albrules.Condition) *refusal {
	values, wildcards := 0, 0
	fields := map[string]int{}
	for _, c := range all {
		fields[c.Field]++
		for _, v := range slices.Concat(c.Values, c.Regex) {
			values++
			if c.Field != "source-ip" && c.Field != "http-request-method" && len(c.Regex) == 0 {
				wildcards += strings.Count(v, "*") + strings.Count(v, "?")
			}
			if n := utf8.RuneCountInString(v); n < 1 || n > 128 {
				return refuse("ValidationError", "Condition value '%s' must have 1 to 128 characters", v)
			}
			if c.Field == "source-ip" {
				if p, err := netip.ParsePrefix(v); err != nil || p.Masked() != p {
					return refuse("ValidationError", "Condition value '%s' must be a CIDR block", v)
				}
			}
			if c.Field == "host-header" && !strings.Contains(v, ".") {
				return refuse("ValidationError", "Condition value '%s' contains a character that is not valid", v)
			}
		}
		for _, q := range c.Query {
			values++
			wildcards += strings.Count(q.Key+q.Value, "*") + strings.Count(q.Key+q.Value, "?")
		}
	}
	for _, field := range []string{"host-header", "path-pattern", "source-ip", "http-request-method"} {
		if fields[field] > 1 {
			return refuse("ValidationError", "A rule can only have one '%s' condition", field)
		}
	}
	switch {
	case values > 5:
		return refuse("ValidationError", "A rule can only have '5' condition values")
	case wildcards > 5:
		return refuse("ValidationError", "A rule can only have '5' condition wildcards")
	}
	return nil
}

func (s *Server) actions(n *node) []albrules.Action {
	var out []albrules.Action
	for _, a := range n.list("Actions") {
		one := albrules.Action{Type: a.at("Type").text}
		switch {
		case a.at("FixedResponseConfig").is():
			f := a.at("FixedResponseConfig")
			one.Fixed = &albrules.Fixed{Status: f.at("StatusCode").text, Type: f.at("ContentType").text, Body: f.at("MessageBody").text}
		case a.at("RedirectConfig").is():
			r := a.at("RedirectConfig")
			one.Redirect = &albrules.Redirect{Protocol: r.at("Protocol").text, Host: r.at("Host").text, Port: r.at("Port").text, Path: r.at("Path").text, Query: r.at("Query").text, Status: r.at("StatusCode").text}
		case a.at("AuthenticateOidcConfig").is():
			one.OIDC = a.at("AuthenticateOidcConfig", "Issuer").text
		case a.at("ForwardConfig").is():
			one.Forward = &albrules.Forward{}
			for _, g := range a.at("ForwardConfig").list("TargetGroups") {
				weight, given := g.number("Weight")
				if !given {
					weight = 1
				}
				one.Forward.Groups = append(one.Forward.Groups, albrules.Group{ARN: g.at("TargetGroupArn").text, Weight: int32(weight)})
			}
		}
		out = append(out, one)
	}
	return out
}

func (s *Server) checkActions(all []albrules.Action) *refusal {
	if len(all) == 0 {
		return refuse("ValidationError", "An action must be specified")
	}
	for _, a := range all {
		switch {
		case a.OIDC != "":
			return refuse("InvalidLoadBalancerAction", "A client secret must be specified")
		case a.Fixed != nil && utf8.RuneCountInString(a.Fixed.Body) > 1024:
			return refuse("ValidationError", "MessageBody must have at most 1024 characters")
		case a.Fixed != nil && !regexp.MustCompile(`^(2|4|5)\d\d$`).MatchString(a.Fixed.Status):
			return refuse("ValidationError", "StatusCode '%s' is not valid", a.Fixed.Status)
		case a.Fixed != nil && !slices.Contains([]string{"", "text/plain", "text/css", "text/html", "application/javascript", "application/json"}, a.Fixed.Type):
			return refuse("InvalidLoadBalancerAction", "The content type '%s' is not valid", a.Fixed.Type)
		case a.Forward != nil:
			for _, g := range a.Forward.Groups {
				if !slices.ContainsFunc(s.groups, func(have *group) bool { return have.arn == g.ARN }) {
					return refuse("TargetGroupNotFound", "One or more target groups not found")
				}
				if g.Weight < 0 || g.Weight > 999 {
					return refuse("ValidationError", "Weight %d is not valid", g.Weight)
				}
			}
		}
	}
	return nil
}

func ruleElement(p albrules.Placed) element {
	return of("", text("RuleArn", p.ARN), text("Priority", strconv.Itoa(p.Priority)), text("IsDefault", "false"),
		many("Conditions", conditionElements(p.Conditions)), many("Actions", actionElements(p.Actions)))
}

func textElements(values []string) []element {
	var out []element
	for _, v := range values {
		out = append(out, text("", v))
	}
	return out
}

// conditionElements returns both forms, as AWS does.
func conditionElements(all []albrules.Condition) []element {
	configs := map[string]string{"host-header": "HostHeaderConfig", "path-pattern": "PathPatternConfig", "http-header": "HttpHeaderConfig", "http-request-method": "HttpRequestMethodConfig", "source-ip": "SourceIpConfig"}
	var out []element
	for _, c := range all {
		kids := []element{text("Field", c.Field)}
		if c.Field == "host-header" || c.Field == "path-pattern" {
			kids = append(kids, many("Values", textElements(c.Values)))
		}
		if len(c.Query) > 0 {
			var values []element
			for _, q := range c.Query {
				values = append(values, of("", text("Key", q.Key), text("Value", q.Value)))
			}
			kids = append(kids, of("QueryStringConfig", many("Values", values)))
		} else {
			config := of(configs[c.Field], many("Values", textElements(c.Values)), many("RegexValues", textElements(c.Regex)))
			if c.Name != "" {
				config.kids = append(config.kids, text("HttpHeaderName", c.Name))
			}
			kids = append(kids, config)
		}
		out = append(out, of("", kids...))
	}
	return out
}

func actionElements(all []albrules.Action) []element {
	var out []element
	for i, a := range all {
		kids := []element{text("Type", a.Type), text("Order", fmt.Sprint(i+1))}
		switch {
		case a.Fixed != nil:
			kids = append(kids, of("FixedResponseConfig", text("StatusCode", a.Fixed.Status), text("ContentType", a.Fixed.Type), text("MessageBody", a.Fixed.Body)))
		case a.Redirect != nil:
			r := a.Redirect
			kids = append(kids, of("RedirectConfig", text("Protocol", r.Protocol), text("Host", r.Host), text("Port", r.Port), text("Path", r.Path), text("Query", r.Query), text("StatusCode", r.Status)))
		case a.OIDC != "":
			kids = append(kids, of("AuthenticateOidcConfig", text("Issuer", a.OIDC)))
		case a.Forward != nil:
			var groups []element
			for _, g := range a.Forward.Groups {
				groups = append(groups, of("", text("TargetGroupArn", g.ARN), text("Weight", fmt.Sprint(g.Weight))))
			}
			if len(groups) == 1 {
				kids = append(kids, text("TargetGroupArn", a.Forward.Groups[0].ARN))
			}
			kids = append(kids, of("ForwardConfig", many("TargetGroups", groups), of("TargetGroupStickinessConfig", text("Enabled", "false"))))
		}
		out = append(out, of("", kids...))
	}
	return out
}
