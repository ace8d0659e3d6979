package control

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/catalog"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/edge"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// closedIn are services closed in an environment by a run of that status.
func closedIn(env, id string, status run.Status, names ...string) []ClosedService {
	r := &run.Run{ID: id, Actor: "ann@host", Status: status, Plan: &plan.Plan{Kind: plan.Close}}
	var all []ClosedService
	for _, name := range names {
		all = append(all, ClosedService{Environment: env, Service: name, Run: r})
	}
	return all
}

// TestContentionWithAClosingOfThisState: recover would be refused until that is
// open, so it is not what comes first.
func TestContentionWithAClosingOfThisState(t *testing.T) {
	t.Parallel()
	look := EnvironmentLook{Environment: "prod", env: plan.Environment{Name: "prod"}}
	mark, err := plan.MarkOf(&plan.Plan{Services: []plan.Service{{Name: "shop", Entrances: []plan.Entrance{{Target: "k:prod/web"}}}},
		Stages: []plan.Stage{{Name: plan.StageClose, Steps: []plan.Step{{ID: "close-1", Track: "k:prod/web", Service: "shop", Target: "k:prod/web"}}}}},
		action.Receipt{Run: "close-0101-othr", Step: "close-1", Action: "k/close", Target: "k:prod/web"}, nil, "ann@host")
	if err != nil {
		t.Fatal(err)
	}
	look.Leftovers = []Leftover{{Environment: "prod", Target: "k:prod/web", Cause: UnknownRun, Run: "close-0101-othr", Service: "shop", Ours: true, mark: mark}}
	held := newHoldings()
	held.targets["k:prod/web"] = true
	if err := look.contend(held, func(string) (driver.Pause, bool) { return driver.Pause{}, false }); err != nil {
		t.Fatal(err)
	}
	var f *fault.Fault
	if !errors.As(contention(look.Leftovers), &f) || len(f.Try) != 2 || !strings.HasPrefix(f.Try[0], "noren status") || !strings.HasSuffix(f.Try[1], "# afterwards") {
		t.Errorf("tries %q", f.Try)
	}
}

func TestPick(t *testing.T) {
	t.Parallel()
	done := slices.Concat(closedIn("prod", "c1", run.Done, "shop", "api"), closedIn("qa", "c2", run.Done, "shop"))
	busy := slices.Concat(done, closedIn("qa", "c3", run.Waiting, "solo"))
	for _, c := range []struct {
		name   string
		closed []ClosedService
		req    OpenRequest
		want   string // environment/service, or the fault
		says   string
	}{
		{"all", done, OpenRequest{}, "prod/shop prod/api qa/shop", ""},
		{"an environment", done, OpenRequest{Environment: "qa"}, "qa/shop", ""},
		{"a service, wherever it is closed", done, OpenRequest{Services: []string{"shop"}}, "prod/shop qa/shop", ""},
		{"a service of an environment", done, OpenRequest{Environment: "prod", Services: []string{"api"}}, "prod/api", ""},
		{"nothing is closed", nil, OpenRequest{}, "", ""},
		{"a slip of the hand", done, OpenRequest{Services: []string{"shpo"}}, string(fault.NotFound), `Did you mean "shop"`},
		{"closed elsewhere", done, OpenRequest{Environment: "qa", Services: []string{"api"}}, string(fault.NotFound), "in qa"},
		{"one of two", done, OpenRequest{Services: []string{"shop", "nothing"}}, string(fault.NotFound), `"nothing"`},
		{"under way", busy, OpenRequest{}, string(fault.Locked), "c3"},
		{"under way, and not asked for", busy, OpenRequest{Environment: "prod"}, "prod/shop prod/api", ""},
	} {
		got, err := pick(c.closed, c.req)
		var names []string
		for _, s := range got {
			names = append(names, s.Environment+"/"+s.Service)
		}
		said := strings.Join(names, " ")
		if f := (*fault.Fault)(nil); errors.As(err, &f) {
			said = string(f.Code)
		}
		if said != c.want || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %q (%v), want %q that says %q", c.name, said, err, c.want, c.says)
		}
	}
}

func TestUnneeded(t *testing.T) {
	t.Parallel()
	closed := slices.Concat(closedIn("prod", "c1", run.Done, "shop", "api", "solo"), closedIn("prod", "c2", run.Done, "other"))
	opening := &run.Run{ID: "o1", Status: run.Undone, Plan: &plan.Plan{Kind: plan.Open, Closing: "c1"}}
	halfOpen := []ClosedService{{Service: "shop", Run: opening}, closed[1]}
	app := func(id string, services ...string) plan.Step { return plan.Step{ID: id, Services: services} }
	for _, c := range []struct {
		name   string
		closed []ClosedService // all, still
		opens  []string
		resume []plan.Step
		want   string
	}{
		{"the only one that needs it", closed, []string{"solo"}, []plan.Step{app("p", "solo")}, "p"},
		{"one that needs none", closed, []string{"shop"}, []plan.Step{app("p", "solo")}, ""},
		{"the first of two that share it", closed, []string{"shop"}, []plan.Step{app("p", "shop", "api")}, ""},
		{"the last of two that share it", closed[1:], []string{"api"}, []plan.Step{app("p", "shop", "api")}, "p"},
		{"both at once", closed, []string{"shop", "api"}, []plan.Step{app("p", "shop", "api")}, "p"},
		{"over since the other opened", closed[:1], []string{"shop"}, []plan.Step{app("p", "solo")}, ""},
		{"each its own", closed, []string{"shop", "api", "solo"}, []plan.Step{app("p", "shop"), app("q", "solo")}, "p q"},
		{"the other's opening failed", halfOpen, []string{"api"}, []plan.Step{app("p", "shop", "api")}, ""},
		{"an old plan, others stay closed", closed, []string{"solo"}, []plan.Step{app("p")}, ""},
		{"an old plan, the last", closed[:1], []string{"shop"}, []plan.Step{app("p")}, "p"},
		{"an old plan, only another closing stays", closed[2:], []string{"solo"}, []plan.Step{app("p")}, "p"},
	} {
		var opens []ClosedService
		for _, s := range c.closed {
			if slices.Contains(c.opens, s.Service) {
				opens = append(opens, s)
			}
		}
		var got []string
		for _, s := range unneeded(c.resume, "c1", opens, c.closed) {
			got = append(got, s.ID)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %q", c.name, got, c.want)
		}
	}
}

// parse reads a catalog of the services shop and api in prod.
func parse(t *testing.T) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Parse("noren.yaml", []byte(`version: 1
zone: Asia/Tokyo
environments: {prod: {}}
services:
  shop: {entrances: [{kind: door, name: shop}]}
  api: {mode: read-only, entrances: [{kind: door, name: api}]}
`), catalog.Known{EntranceKinds: []string{"door"}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOtherwise(t *testing.T) {
	t.Parallel()
	office := netip.MustParsePrefix("203.0.113.0/24")
	all := []plan.Service{{Name: "shop"}, {Name: "api", Mode: "read-only"}}
	for _, c := range []struct {
		name string
		have plan.Plan
		req  CloseRequest
		says string // "": the same
	}{
		{"the same", plan.Plan{Services: all}, CloseRequest{}, ""},
		{"until when is no difference", plan.Plan{Services: all}, CloseRequest{Reason: "other", Pass: true}, ""},
		{"one of them", plan.Plan{Services: all[:1]}, CloseRequest{Services: []string{"shop"}}, ""},
		{"all of one that is closed for writes", plan.Plan{Services: all}, CloseRequest{Mode: edge.Closed}, "closes api: read-only; asked for is: " + plan.All},
		{"writes of one that is closed", plan.Plan{Services: all}, CloseRequest{Mode: edge.ReadOnly}, "closes shop: " + plan.All},
		{"other paths", plan.Plan{Services: []plan.Service{{Name: "shop", Mode: "paths", Paths: []string{"/a"}}}},
			CloseRequest{Services: []string{"shop"}, Mode: edge.Paths, Paths: []string{"/b"}}, "only /a; asked for is: only /b"},
		{"others pass", plan.Plan{Services: all}, CloseRequest{Sources: []netip.Prefix{office}}, "--allow"},
		{"nobody passes", plan.Plan{Services: all, Allow: []string{office.String()}}, CloseRequest{}, "--allow"},
		{"the same pass", plan.Plan{Services: all, Allow: []string{office.String()}}, CloseRequest{Sources: []netip.Prefix{office}}, ""},
	} {
		req := c.req
		req.Environment = "prod"
		ctl := &Control{Options: Options{Catalog: parse(t)}}
		err := ctl.Otherwise(&run.Run{ID: "c1", Plan: &c.have}, req)
		if (err == nil) != (c.says == "") || err != nil && (!errors.Is(err, &fault.Fault{Code: fault.Locked}) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.says)
		}
	}
}

func TestJoined(t *testing.T) {
	t.Parallel()
	a, again, b := errors.New("a"), fmt.Errorf("a"), &fault.Fault{Code: fault.Denied, Summary: "b"}
	for want, errs := range map[string][]error{"": {nil, nil}, "a": {a, nil, again}, "a\nb": {nil, a, b, again, b}} {
		got := joined(errs)
		if said := fmt.Sprint(got); got == nil && want != "" || got != nil && said != want {
			t.Errorf("joined %v: %v, want %q", errs, got, want)
		}
	}
	if got := joined([]error{a, b}); !errors.Is(got, a) || !errors.Is(got, &fault.Fault{Code: fault.Denied}) {
		t.Errorf("%v has lost what it holds", got)
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	health := []string{"http://shop.example.com/healthz"}
	front := []string{"http://shop.example.com/", "http://www.example.com/"}
	for _, c := range []struct{ survey, health, want []string }{
		{front, health, front},
		{front, nil, front},
		{nil, health, health},
		{nil, nil, nil},
	} {
		p := &place{service: catalog.Service{Health: c.health}, survey: &driver.Survey{URLs: c.survey}}
		if got := (&builder{}).urls(p); !slices.Equal(got, c.want) {
			t.Errorf("%v and health %v: %v, want %v", c.survey, c.health, got, c.want)
		}
	}
	for want, names := range map[string][]string{"": nil, "a": {"a"}, "a and 1 more": {"a", "b"}} {
		if got := some(names); got != want {
			t.Errorf("some %v: %q, want %q", names, got, want)
		}
	}
}

func TestHostsToClose(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ hosts, want []string }{
		{[]string{"a", "b"}, []string{"a", "b"}},
		{[]string{"a", ""}, nil}, // rules without a host answer any
		{nil, nil},
	} {
		if got := hostsToClose(&driver.Survey{Hosts: c.hosts}); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.hosts, got, c.want)
		}
	}
}

func TestSameServices(t *testing.T) {
	t.Parallel()
	p := &plan.Plan{Services: []plan.Service{{Name: "shop"}, {Name: "api"}}}
	for names, want := range map[string]bool{"api shop": true, "shop api shop": true, "shop": false, "shop api solo": false, "": false} {
		if got := sameServices(p, strings.Fields(names)); got != want {
			t.Errorf("%q: %t, want %t", names, got, want)
		}
	}
}
