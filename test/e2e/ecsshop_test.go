package e2e

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/time/rate"

	"github.com/noren-dev/noren/test/albapi"
	"github.com/noren-dev/noren/test/ecsshop"
)

// fleet is the example's shop on ECS, with its catalog in a directory.
type fleet struct {
	*ecsshop.Shop
	dir string
}

func newFleet(t testing.TB) *fleet {
	t.Helper()
	f := &fleet{ecsshop.Start(t, 1), t.TempDir()}
	if err := os.WriteFile(filepath.Join(f.dir, "noren.yaml"), []byte(f.Catalog(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fleet) noren(t testing.TB, state string, args ...string) result {
	t.Helper()
	return noren(t, f.dir, state, credentials("test"), args...)
}

// each asks every endpoint once.
func (f *fleet) each(t testing.TB, from string, look func(ecsshop.Endpoint, ecsshop.Answer)) {
	t.Helper()
	client := ecsshop.Client(from)
	for _, e := range f.Endpoints {
		a, err := f.Ask(t.Context(), client, e)
		if err != nil {
			t.Fatalf("%s: %v", e.Rule(), err)
		}
		look(e, a)
	}
}

// TestECSShopFromInit: init finds the example's services behind their endpoints, and
// the workers as comments, for a person to place.
func TestECSShopFromInit(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	dir := t.TempDir()
	env := append(credentials("test"), "AWS_ENDPOINT_URL="+f.Endpoint)
	noren(t, dir, t.TempDir(), env, "init", "--aws", albapi.Region, "--env", "prod").must(t, 0)
	text, err := os.ReadFile(filepath.Join(dir, "noren.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"kind: aws/ecs", "shop/checkout", "shop/members"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("it does not find %s:\n%s", want, text)
		}
	}
	if n := strings.Count(string(text), "behind no load balancer"); n == 0 || n > 5 {
		t.Errorf("%d services are said to be behind no load balancer:\n%s", n, text)
	}
	noren(t, dir, t.TempDir(), env, "check").must(t, 0)
}

// visitors are customers who ask all endpoints in turn, again and again.
type visitors struct {
	stop context.CancelFunc
	done sync.WaitGroup
	seen [][]ecsshop.Answer // by endpoint
	err  error
}

// visitorsAtOnce and visits a second leave some of the machine to noren.
const (
	visitorsAtOnce = 5
	visits         = 300
)

func (f *fleet) visit(t testing.TB) *visitors {
	ctx, stop := context.WithCancel(t.Context())
	v := &visitors{stop: stop, seen: make([][]ecsshop.Answer, len(f.Endpoints))}
	pace := rate.NewLimiter(visits, 1)
	var mu sync.Mutex
	for first := range visitorsAtOnce {
		v.done.Go(func() {
			client := ecsshop.Client("127.0.0.1")
			for i := first; pace.Wait(ctx) == nil; i = (i + visitorsAtOnce) % len(f.Endpoints) {
				a, err := f.Ask(ctx, client, f.Endpoints[i])
				if ctx.Err() != nil {
					return
				}
				mu.Lock()
				v.seen[i] = append(v.seen[i], a)
				if err != nil {
					v.err = err
				}
				mu.Unlock()
			}
		})
	}
	t.Cleanup(v.end)
	return v
}

func (v *visitors) end() {
	v.stop()
	v.done.Wait()
}

// TestECSShop closes and opens the example: 35 services and 30 endpoints on 5
// load balancers, with customers at each. A customer gets the shop or the page,
// turns from one to the other once a closing and once an opening, and never meets
// a load balancer without targets.
func TestECSShop(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	if len(f.Endpoints) != 30 || len(f.Services) != 35 || len(f.Balancers()) != 5 {
		t.Fatalf("the example has %d endpoints, %d services, %d load balancers", len(f.Endpoints), len(f.Services), len(f.Balancers()))
	}
	before, state := f.Drawing(), t.TempDir()
	f.noren(t, state, "check", "--live", "--env", "prod").must(t, 0)
	f.noren(t, state, "plan", "close", "--env", "prod", "--for", "30m").must(t, 0).says(t, "public:", "media:", "shop/orders-worker")
	if now := f.Drawing(); now != before {
		t.Fatalf("planning wrote:\n%s", now)
	}
	customers := f.visit(t)
	f.noren(t, state, "close", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 0)
	f.each(t, "127.0.0.1", func(e ecsshop.Endpoint, a ecsshop.Answer) {
		if a.Status != http.StatusServiceUnavailable || a.NoTarget {
			t.Errorf("closed, and a customer gets %d at %s", a.Status, e.Rule())
		}
	})
	for _, name := range f.Services {
		if s, running := f.ECS.Service(name); s.Desired != 0 || running != 0 {
			t.Errorf("%s has %d tasks, and %d run", name, s.Desired, running)
		}
	}
	f.noren(t, state, "status").must(t, 0).says(t, "shop/feeds")
	f.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
	if now := f.Drawing(); now != before {
		t.Errorf("it is not as it was:\n%s\nwas\n%s", now, before)
	}
	f.each(t, "127.0.0.1", func(e ecsshop.Endpoint, a ecsshop.Answer) {
		if a.Status != http.StatusOK || a.Body != e.Service {
			t.Errorf("open, and a customer gets %d %s at %s", a.Status, a.Body, e.Rule())
		}
	})
	customers.end()
	if customers.err != nil {
		t.Error(customers.err)
	}
	served := 0
	for i, e := range f.Endpoints {
		turns, last := 0, http.StatusOK
		for _, a := range customers.seen[i] {
			switch {
			case a.NoTarget, a.Status != http.StatusOK && a.Status != http.StatusServiceUnavailable, a.Status == http.StatusOK && a.Body != e.Service:
				t.Errorf("a customer of %s got %d %s (no target: %v)", e.Rule(), a.Status, a.Body, a.NoTarget)
			case a.Status != last:
				turns++
			}
			last = a.Status
		}
		if turns > 2 || len(customers.seen[i]) == 0 {
			t.Errorf("customers of %s met %d turns in %d visits", e.Rule(), turns, len(customers.seen[i]))
		}
		served += len(customers.seen[i])
	}
	t.Logf("%d visits", served)
}

// TestECSShopKilled kills noren -9 in the middle of closing the example and of
// opening it, with the page up at some doors and not at others, and the same
// command brings it to its end.
func TestECSShopKilled(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	before, state := f.Drawing(), t.TempDir()
	for _, c := range []struct {
		args []string
		want int
	}{
		{[]string{"close", "--env", "prod", "--for", "30m", "--confirm", "prod"}, http.StatusServiceUnavailable},
		{[]string{"open", "--env", "prod", "--confirm", "prod"}, http.StatusOK},
	} {
		if r := noren(t, f.dir, state, append(credentials("test"), killAt+"=150"), c.args...); r.code != -1 {
			t.Fatalf("%v was not killed: %d", c.args, r.code)
		}
		f.noren(t, state, c.args...).must(t, 0)
		f.each(t, "127.0.0.1", func(e ecsshop.Endpoint, a ecsshop.Answer) {
			if a.Status != c.want || a.NoTarget {
				t.Errorf("after %s a customer gets %d at %s", c.args[0], a.Status, e.Rule())
			}
		})
	}
	if now := f.Drawing(); now != before {
		t.Errorf("it is not as it was:\n%s\nwas\n%s", now, before)
	}
}
