package aws

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/driver/aws/alb/albrules"
	"github.com/noren-dev/noren/internal/testaws"
	"github.com/noren-dev/noren/internal/testaws/rights"
	"github.com/noren-dev/noren/internal/testaws/strict"
	"github.com/noren-dev/noren/test/albapi"
)

// A street has a load balancer with a shop and a blog, and ECS.
type street struct {
	albs   *albapi.Server
	ecs    *strict.Server
	gate   *rights.Gate
	groups map[string]string // ARNs by name
}

func newStreet(t *testing.T) *street {
	t.Helper()
	testaws.Isolate(t)
	s := &street{albs: albapi.Start(t), ecs: strict.Start(t), groups: map[string]string{}}
	s.gate = rights.Split(t, s.albs.Endpoint, s.ecs.Endpoint)
	for _, name := range []string{"shop", "api", "blog", "rest", "inner"} {
		s.groups[name] = s.albs.AddTargetGroup(name, "/healthz", "http://127.0.0.1:1")
	}
	s.albs.AddLoadBalancer("front", "application", nil)
	listener, _ := s.albs.AddListener("front", albapi.Forward(s.groups["rest"]))
	s.albs.AddRule(listener, 1, albapi.Host("shop.example.com", "/api/*", albapi.Forward(s.groups["api"])), nil)
	s.albs.AddRule(listener, 2, albapi.Host("shop.example.com", "", albapi.Forward(s.groups["shop"])), nil)
	s.albs.AddRule(listener, 3, albapi.Host("blog.example.com", "", albapi.Forward(s.groups["blog"])), nil)
	return s
}

func (s *street) add(name string, more strict.Service, groups ...string) {
	more.Cluster, more.Name, _ = strings.Cut(name, "/")
	more.Desired = 2
	for _, g := range groups {
		more.Groups = append(more.Groups, s.groups[g])
	}
	s.ecs.AddService(more)
}

func (s *street) discover(t *testing.T) (*driver.Discovery, error) {
	t.Helper()
	c, err := awsclient.Open(t.Context(), awsclient.Config{Region: albapi.Region, Endpoint: s.gate.Endpoint}, driver.Env{Name: "prod", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return discover(t.Context(), c)
}

// given are the workloads by the service that they were given to, and by "-"
// those that were given to none, with why.
func given(d *driver.Discovery) map[string]string {
	out := map[string]string{}
	for _, e := range d.Entrances {
		for _, w := range e.Workloads {
			out[w.Name] = e.Service + ": " + w.About
		}
	}
	for _, w := range d.Undecided {
		out[w.Name] = "-: " + w.About
	}
	return out
}

// TestDiscoverGivesServicesToEntrances: what is behind one entrance alone, and
// could rest, is its workload; everything else is left to a person, with why.
func TestDiscoverGivesServicesToEntrances(t *testing.T) {
	s := newStreet(t)
	full := map[string]string{}
	for i := range 49 {
		full[fmt.Sprintf("t%d", i)] = "x"
	}
	s.add("web/shop", strict.Service{}, "shop")
	s.add("web/api", strict.Service{}, "api")
	s.add("web/both", strict.Service{}, "shop", "blog")
	s.add("web/inner", strict.Service{}, "blog", "inner")
	s.add("web/default", strict.Service{}, "rest")
	s.add("web/alone", strict.Service{}, "inner")
	s.add("web/daemon", strict.Service{Daemon: true}, "shop")
	s.add("web/old", strict.Service{OldARN: true}, "shop")
	s.add("web/full", strict.Service{Tags: full}, "shop")
	s.add("web/outside", strict.Service{}, "shop")
	s.ecs.AddTarget("web/outside", strict.Target{Min: 5, Max: 9})
	s.add("batch/queue", strict.Service{})
	before := s.ecs.Snapshot()
	d, err := s.discover(t)
	if err != nil {
		t.Fatal(err)
	}
	got := given(d)
	for name, want := range map[string]string{
		"web/shop": "shop: ", "web/api": "shop: ",
		"web/inner":   "blog: also in target group inner, whose visitors lose it too",
		"web/both":    "-: behind each of shop, blog",
		"web/default": "-: behind the default action of front:",
		"web/alone":   "-: behind target group inner, to which no entrance above leads",
		"web/daemon":  "-: behind shop, but cannot rest as it is. ECS service web/daemon runs one task on each",
		"web/old":     "-: behind shop, but cannot rest as it is. ECS service web/old has an ARN of the old form",
		"web/full":    "-: behind shop, but cannot rest as it is. ECS service web/full has 49 tags",
		"web/outside": "-: behind shop, but cannot rest as it is. ECS service web/outside has 2 tasks, and its autoscaling keeps it between 5 and 9",
		"batch/queue": "-: behind no load balancer",
	} {
		if g, ok := got[name]; !ok || !strings.HasPrefix(g, want) || strings.HasSuffix(want, ": ") && g != want {
			t.Errorf("%s: got %q, want %q", name, g, want)
		}
	}
	if len(got) != 11 || s.ecs.Snapshot() != before || s.albs.Writes() != 0 {
		t.Errorf("%d services, or something was written: %v", len(got), got)
	}
}

// TestDiscoverOthersLeadThere: a service that a rule without a host leads to, too,
// would be missed by those who come that way.
func TestDiscoverOthersLeadThere(t *testing.T) {
	s := newStreet(t)
	s.albs.AddLoadBalancer("back", "application", nil)
	listener, _ := s.albs.AddListener("back", albapi.Forward(s.groups["inner"]))
	s.albs.AddRule(listener, 1, albapi.Host("", "/pay/*", albapi.Forward(s.groups["shop"])), nil)
	s.albs.AddRule(listener, 2, albapi.Host("pay.example.com", "", albapi.Forward(s.groups["shop"])), nil)
	s.add("web/shop", strict.Service{}, "shop")
	d, err := s.discover(t)
	if err != nil {
		t.Fatal(err)
	}
	if got := given(d)["web/shop"]; !strings.HasPrefix(got, "-: ") {
		t.Errorf("%q", got)
	}
}

// TestDiscoverWholeLoadBalancer: where no rule names a host, all that is behind
// is of the one service.
func TestDiscoverWholeLoadBalancer(t *testing.T) {
	s := newStreet(t)
	s.albs.AddLoadBalancer("plain", "application", nil)
	s.albs.AddListener("plain", albapi.Forward(s.groups["inner"]))
	s.albs.AddListener("plain", albrules.Action{Type: albrules.TypeRedirect, Redirect: &albrules.Redirect{Protocol: "HTTPS", Port: "443", Status: "HTTP_301"}})
	s.add("web/inner", strict.Service{}, "inner")
	d, err := s.discover(t)
	if err != nil {
		t.Fatal(err)
	}
	if got := given(d)["web/inner"]; got != "plain: " {
		t.Errorf("%q", got)
	}
}

// TestDiscoverManyServices: 230 services are read in pages, ten at once.
func TestDiscoverManyServices(t *testing.T) {
	s := newStreet(t)
	for i := range 230 {
		s.add(fmt.Sprintf("web/s%03d", i), strict.Service{}, "shop")
	}
	d, err := s.discover(t)
	if err != nil {
		t.Fatal(err)
	}
	if got := given(d); len(got) != 230 || got["web/s229"] != "shop: " {
		t.Errorf("%d services, the last %q", len(got), got["web/s229"])
	}
	calls := s.ecs.Calls()
	if calls["ecs:ListServices"] != 3 || calls["ecs:DescribeServices"] > 48 || calls["application-autoscaling:DescribeScalableTargets"] > 8 {
		t.Errorf("requests: %v", calls)
	}
}

// TestDiscoverSaysWhatItMayNotSee: a cluster that may not be listed hides no other.
func TestDiscoverSaysWhatItMayNotSee(t *testing.T) {
	for name, c := range map[string]struct{ action, resource, note, shop string }{
		"one cluster":   {"ecs:ListServices", "*cluster/secret", "The ECS services of cluster secret were not looked at. Cannot list the ECS services of cluster secret in ap-northeast-1: ", "shop: "},
		"its services":  {"ecs:DescribeServices", "*service/secret/*", "The ECS services of cluster secret were not looked at. ", "shop: "},
		"any cluster":   {"ecs:ListClusters", "*", "ECS services were not looked for. Cannot list the ECS clusters in ap-northeast-1: arn:aws:iam::123456789012:user/night may not ecs:ListClusters", ""},
		"what scales":   {"application-autoscaling:DescribeScalableTargets", "*", "It was not asked whether the ECS services could rest. ", "shop: "},
		"nothing hides": {"ecs:UpdateService", "*", "", "shop: "},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStreet(t)
			s.add("web/shop", strict.Service{}, "shop")
			s.add("secret/vault", strict.Service{})
			s.gate.Deny(c.action, c.resource)
			d, err := s.discover(t)
			if err != nil {
				t.Fatal(err)
			}
			notes := strings.Join(d.Notes, "\n")
			if !strings.Contains(notes, c.note) || c.note == "" && notes != "" || strings.Count(notes, "\n") > 0 {
				t.Errorf("notes %q, want %q", notes, c.note)
			}
			if got := given(d)["web/shop"]; got != c.shop {
				t.Errorf("shop: %q, want %q", got, c.shop)
			}
		})
	}
}
