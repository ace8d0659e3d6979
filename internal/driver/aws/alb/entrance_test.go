package alb

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/aws/alb/albrules"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/test/albapi"
)

// redirects sends visitors to TLS.
var redirects = albrules.Action{Type: albrules.TypeRedirect, Redirect: &albrules.Redirect{Protocol: "HTTPS", Port: "443", Status: "HTTP_301"}}

// TestSurvey reads what is served where.
func TestSurvey(t *testing.T) {
	s := newScene(t, 10, 20, 30)
	_, redirecting := s.api.AddListener("front", redirects)
	said := func(notes []driver.Note, words string) bool {
		return slices.ContainsFunc(notes, func(n driver.Note) bool { return strings.Contains(n.Text, words) })
	}
	survey, p, err := s.propose(t.Context(), "front", Options{}, closing())
	must(t, err)
	want := []string{fmt.Sprintf("http://blog.localhost:%d/", s.port), fmt.Sprintf("http://shop.localhost:%d/", s.port)}
	if !slices.Equal(survey.URLs, want) || !slices.Contains(survey.Hosts, "") || survey.PageLimit != 1024 || len(p.Calls) != 1 {
		t.Errorf("%v %q %d, %d calls", survey.URLs, survey.Hosts, survey.PageLimit, len(p.Calls))
	}
	if survey.Target != fmt.Sprintf("aws:prod/alb/front:%d", s.port) {
		t.Error(survey.Target)
	}
	if !said(survey.Notes, fmt.Sprintf("port %d only sends visitors elsewhere and is left alone", redirecting)) || !said(survey.Notes, "everything on port") ||
		!said(p.Notes, "also closes what other rules serve there: shop.localhost, blog.localhost") {
		t.Errorf("%v %v", survey.Notes, p.Notes)
	}
	d, err := survey.Front.Decide(edge.Request{Scheme: "http", Port: s.port, Method: "GET", Host: "shop.localhost", Path: "/api/x"})
	if err != nil || d.Rule != fmt.Sprintf("rule 10 on port %d", s.port) || d.Action.Backend != "target group api" {
		t.Errorf("%+v, %v", d, err)
	}
	d, err = p.Front.Decide(edge.Request{Scheme: "http", Port: s.port, Method: "GET", Host: "shop.localhost", Path: "/api/x"})
	if err != nil || d.Rule != "noren: closed" || d.Action.Response.Mark != "m-1" {
		t.Errorf("%+v, %v", d, err)
	}
	if b := p.Budgets[0]; b.Before != 3 || b.Used != 4 || b.Limit != 100 || b.Of != "the load balancer front" {
		t.Errorf("%+v", b)
	}
	survey, p, err = s.propose(t.Context(), s.listener, Options{Hosts: []string{"shop.localhost"}, Paths: []string{"/api/*"}}, closing())
	must(t, err)
	if len(survey.URLs) != 1 || survey.URLs[0] != fmt.Sprintf("http://shop.localhost:%d/api/", s.port) || said(p.Notes, "also closes") {
		t.Errorf("%v %v", survey.URLs, p.Notes)
	}
	ready := p.Ready[0].Params.(HealthyParams)
	if !slices.Equal(ready.Groups, []string{s.groups["api"]}) {
		t.Errorf("%v", ready)
	}
	if _, p, err = s.propose(t.Context(), "front", Options{Port: redirecting}, closing()); err != nil || len(p.Calls) != 1 {
		t.Errorf("a port that is named is closed: %v", err)
	}
}

// Who keeps the load balancer as files say is told, and weights.
func TestKeepersAreTold(t *testing.T) {
	for tags, want := range map[string]string{
		"aws:cloudformation:stack-name=shop": "CloudFormation", "Terraform=true": "Terraform", "managed_by=terraform": "Terraform", "ManagedBy=Terraform": "Terraform",
		"elasticbeanstalk:environment-name=x": "Elastic Beanstalk", "terraform=false": "", "team=shop": "",
	} {
		key, value, _ := strings.Cut(tags, "=")
		if got := keptBy(map[string]string{key: value}); got != want {
			t.Errorf("%s: kept by %q, want %q", tags, got, want)
		}
	}
	s := newScene(t, 10, 20, 30)
	two := albapi.Forward(s.groups["web"])
	two.Forward.Groups = append(two.Forward.Groups, albrules.Group{ARN: s.groups["api"], Weight: 5})
	s.api.AddRule(s.listener, 50, albapi.Host("new.localhost", "", two), nil)
	survey, _, err := s.propose(t.Context(), "front", Options{}, closing())
	must(t, err)
	if !slices.ContainsFunc(survey.Notes, func(n driver.Note) bool {
		return n.Warn && strings.Contains(n.Text, "Rule 50 on port") && strings.Contains(n.Text, "blue/green")
	}) {
		t.Errorf("%v", survey.Notes)
	}
}

// TestChecks: rules that changed since the plan, and targets that are not well.
func TestChecks(t *testing.T) {
	s := newScene(t, 10, 20, 30)
	_, p, err := s.propose(t.Context(), "front", Options{Hosts: []string{"shop.localhost"}}, closing())
	must(t, err)
	unchanged, err := openUnchanged(s.conn, p.Checks[0].Params.(UnchangedParams))
	must(t, err)
	healthy, err := openHealthy(s.conn, p.Ready[0].Params.(HealthyParams))
	must(t, err)
	verdict := func(c action.Check, ok bool, words string) {
		t.Helper()
		v, err := c.Check(t.Context())
		if err != nil || v.OK != ok || !strings.Contains(v.Summary+strings.Join(v.Findings, " "), words) {
			t.Errorf("%+v, %v: want %t, %q", v, err, ok, words)
		}
	}
	verdict(unchanged, true, "3 rules")
	verdict(healthy, true, "2 healthy targets in 2 target groups")
	s.api.SetHealthy(s.groups["web"], false)
	verdict(healthy, false, "target group web has no healthy target: 10.0.0.7 is unhealthy (Health checks failed)")
	s.api.SetDefault(s.listener, albapi.Forward(s.groups["blog"]))
	verdict(unchanged, false, "make a new plan")
}

// Marks and what has none are found, each once, with what to do.
func TestTraces(t *testing.T) {
	s := newScene(t, 1, 2, 3)
	find := func() *driver.Traces {
		t.Helper()
		found, err := FindTraces(t.Context(), s.conn)
		must(t, err)
		return found
	}
	if found := find(); len(found.Marks)+len(found.Unmarked) > 0 || found.Seen[1].Count != 3 {
		t.Errorf("%+v", found)
	}
	in, params := s.change(t, Options{Hosts: []string{"shop.localhost"}}, closing(staff))
	from, err := in.Change.Observe(t.Context())
	must(t, err)
	to, err := in.Change.Propose(from)
	must(t, err)
	raw, err := action.Mark{Receipt: action.Receipt{Run: "r", Step: "s", Action: ActionClose, Target: in.Target, From: from, To: to, TakenAt: time.Unix(1, 0)}, Params: rawJSON(t, params)}.Sealed()
	must(t, err)
	must(t, in.Marker.Fits(t.Context(), raw))
	must(t, in.Marker.Marked(raw).Apply(t.Context(), from, to))
	found := find()
	if len(found.Marks) != 1 || found.Marks[0].On != in.Target || found.Marks[0].Wrong != "" || len(found.Unmarked) != 0 {
		t.Fatalf("%+v", found)
	}
	must(t, in.Change.Apply(t.Context(), to, from))
	must(t, in.Change.Apply(t.Context(), from, to)) // without a mark
	s.api.AddRule(s.listener, 900, albapi.Host("old.localhost", "", albapi.Forward(s.groups["web"])), nil)
	found = find()
	if len(found.Marks) != 0 || len(found.Unmarked) != 1 || !found.Unmarked[0].Ours || !strings.Contains(strings.Join(found.Unmarked[0].Advice, "\n"), "shifted by 1000") {
		t.Fatalf("%+v", found)
	}
	must(t, in.Change.Apply(t.Context(), to, from))
	byHand := albapi.Host("", "/*", albrules.Action{Type: albrules.TypeFixed, Fixed: &albrules.Fixed{Status: "503", Type: "text/plain", Body: "sorry"}})
	other, _ := s.api.AddListener("front", albapi.Forward(s.groups["web"]))
	s.api.AddRule(other, 5, byHand, nil)
	if found = find(); len(found.Unmarked) != 1 || found.Unmarked[0].Ours || !strings.Contains(found.Unmarked[0].What, "(priority 5) answers 503 by itself") {
		t.Errorf("%+v", found.Unmarked)
	}
}

// A quota that is reached after the plan, and a missing right, are said as such.
func TestRefusedByAWS(t *testing.T) {
	s := newScene(t, 10, 20, 30)
	in, _ := s.change(t, Options{Hosts: []string{"shop.localhost"}}, closing(staff))
	from, err := in.Change.Observe(t.Context())
	must(t, err)
	to, err := in.Change.Propose(from)
	must(t, err)
	s.api.SetQuota(4)
	var f *fault.Fault
	if err := in.Change.Apply(t.Context(), from, to); !errors.As(err, &f) || f.Summary != "no rules left on the load balancer" {
		t.Errorf("%v", err)
	}
	must(t, in.Change.Apply(t.Context(), to, from))
	s.api.Deny("CreateRule")
	if err := in.Change.Apply(t.Context(), from, to); !errors.As(err, &f) || f.Code != fault.Denied || !strings.Contains(f.Detail, "elasticloadbalancing:CreateRule on "+s.listener) {
		t.Errorf("%v", err)
	}
}

// AWS's buckets are kept to: closing and opening one listener after the other is
// never throttled for good.
func TestThrottled(t *testing.T) {
	s := newScene(t, 1, 2, 3)
	s.api.Throttle(50, 3, 50, 2)
	before := s.api.Drawing(s.listener)
	_, p, err := func() (*driver.Survey, *driver.Proposal, error) {
		for {
			survey, p, err := s.propose(t.Context(), "front", Options{Hosts: []string{"shop.localhost"}}, closing(staff))
			if err == nil || !errors.Is(err, action.ErrUnavailable) {
				return survey, p, err
			}
		}
	}()
	must(t, err)
	typed, err := openClose(s.conn, p.Calls[0].Params.(CloseParams))
	must(t, err)
	change := driver.Bare(typed).Change
	again := func(f func() error) {
		t.Helper()
		for {
			err := f()
			if err == nil {
				return
			}
			if !errors.Is(err, action.ErrUnavailable) {
				t.Fatal(err)
			}
		}
	}
	var from, to action.State
	again(func() error { from, err = change.Observe(t.Context()); return err })
	to, err = change.Propose(from)
	must(t, err)
	again(func() error { return change.Apply(t.Context(), from, to) })
	if got := s.customer(t, "shop.localhost", "/"); got != "page 503" {
		t.Error(got)
	}
	again(func() error { return change.Apply(t.Context(), to, from) })
	if after := s.api.Drawing(s.listener); after != before {
		t.Errorf("the listener was\n%s\nand is\n%s", before, after)
	}
}

// Discover proposes services by their hosts, with health checks.
func TestDiscover(t *testing.T) {
	s := newScene(t, 10, 20, 30)
	s.api.AddListener("front", redirects)
	s.api.AddLoadBalancer("wires", "network", nil)
	d, err := Discover(t.Context(), s.conn)
	must(t, err)
	if len(d.Entrances) != 2 || len(d.Notes) != 1 || !strings.Contains(d.Notes[0], "wires") {
		t.Fatalf("%+v", d)
	}
	shop := d.Entrances[0]
	if shop.Service != "shop" || shop.Name != "front" || shop.Team != "shop" || fmt.Sprint(shop.Options["hosts"]) != "[shop.localhost]" ||
		!slices.Equal(shop.Health, []string{fmt.Sprintf("http://shop.localhost:%d/healthz", s.port)}) {
		t.Errorf("%+v", shop)
	}
}

// Permissions name the rules of the one load balancer.
func TestRequires(t *testing.T) {
	s := newScene(t, 10, 20, 30)
	e, err := openEntrance(s.conn, "front", Options{})
	must(t, err)
	policy := awsclient.Policy(e.(action.Requirer).Requires())
	for _, words := range []string{`"elasticloadbalancing:SetRulePriorities"`, `listener-rule/app/front/`, `"elasticloadbalancing:DescribeRules"`} {
		if !strings.Contains(policy, words) {
			t.Errorf("the policy lacks %s: %s", words, policy)
		}
	}
}

// Credentials of another account than the configuration says read and write
// nothing there, be it to close, to open or to look for leftovers.
func TestAnotherAccount(t *testing.T) {
	s := newScene(t, 10, 20, 30)
	_, params := s.change(t, Options{Hosts: []string{"shop.localhost"}}, closing())
	s.conn = s.connect(t, awsclient.Config{Account: "999999999999"})
	typed, err := openClose(s.conn, params)
	must(t, err)
	writes, reads := s.api.Writes(), s.api.Calls("DescribeRules")
	_, _, surveying := s.propose(t.Context(), "front", Options{}, closing())
	_, tracing := FindTraces(t.Context(), s.conn)
	for what, err := range map[string]error{"survey": surveying, "traces": tracing, "apply": typed.Apply(t.Context(), &State{}, &State{Rules: params.Curtain.Rules})} {
		var f *fault.Fault
		if !errors.As(err, &f) || f.Summary != "another AWS account" {
			t.Errorf("%s: %v", what, err)
		}
	}
	if s.api.Writes() != writes || s.api.Calls("DescribeRules") != reads {
		t.Error("something was read or written there")
	}
}
