package e2e

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"testing"
	"time"
)

// byHand keeps the shop there for a person who wants to try noren on it.
var byHand = flag.Duration("by-hand", 0, "keep the shop of TestByHand there for so long, to try noren on it")

// TestByHand is the world of these tests for a person: `make sandbox`. Without
// one, it sees that noren finds the shop in order.
func TestByHand(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.noren(t, t.TempDir(), "check", "--live").must(t, 0).says(t, "shop", "api", "solo")
	if *byHand == 0 {
		return
	}
	fmt.Printf("\nA shop on a real Kubernetes API server, behind simulated load balancers. In another terminal:\n\n  cd %s\n  export KUBECONFIG=%s NOREN_STATE_DIR=%s/state\n  noren plan close --env prod --for 30m\n\nCustomers:\n\n", s.dir, s.kubeconfig, s.dir)
	for _, host := range slices.Sorted(maps.Keys(s.addr)) {
		fmt.Printf("  curl -i --connect-to %[1]s:80:%[2]s http://%[1]s/\n", host, s.addr[host])
	}
	stay()
}

// TestECSByHand is the example's shop on ECS for a person: `make sandbox-ecs`.
// Without one, it sees that noren finds it in order.
func TestECSByHand(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.noren(t, t.TempDir(), "check", "--live", "--env", "prod").must(t, 0).says(t, "shop", "feeds", "stores")
	if *byHand == 0 {
		return
	}
	fmt.Printf("\nA shop on an AWS of this machine. In another terminal:\n\n  cd %s\n  export NOREN_STATE_DIR=%s/state", f.dir, f.dir)
	for _, pair := range credentials("test") {
		fmt.Printf(" %s", pair)
	}
	fmt.Printf("\n  noren plan close --env prod --for 30m\n\nCustomers, for example:\n\n")
	for _, e := range f.Endpoints[:6] {
		fmt.Printf("  curl -i --connect-to ::127.0.0.1: http://%s:%d%s\n", e.Host, f.Ports[e.Balancer], e.Page())
	}
	stay()
}

// stay waits until the person has had enough.
func stay() {
	fmt.Printf("\nIt is there for %s; Ctrl-C ends it.\n", *byHand)
	enough := make(chan os.Signal, 1)
	signal.Notify(enough, os.Interrupt)
	defer signal.Stop(enough)
	select {
	case <-enough:
	case <-time.After(*byHand):
	}
}
