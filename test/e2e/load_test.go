package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// TestUnderLoad closes and opens the shop three times while customers use it
// and its neighbours. The neighbours notice nothing; customers of the shop see
// it or our page, and nothing else.
func TestUnderLoad(t *testing.T) {
	t.Parallel()
	for _, service := range []string{"shop", "solo"} { // overlay, patch
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			before := s.objects(t)
			ctx, stop := context.WithCancel(t.Context())
			counts := map[string]*tally{}
			var visitors sync.WaitGroup
			for _, host := range []string{"other", "api", service} {
				counts[host] = &tally{}
				for range 3 {
					visitors.Go(func() { s.visit(ctx, host, counts[host]) })
				}
			}
			for range 3 {
				state := s.closed(t, service)
				s.noren(t, state, "open", "--confirm", "prod").must(t, 0)
			}
			stop()
			visitors.Wait()
			s.same(t, before)
			for host, n := range counts {
				t.Logf("%s: %d served, %d saw the page, %d else, %d failed", host, n.served.Load(), n.page.Load(), n.other.Load(), n.failed.Load())
				if n.failed.Load() > 0 || n.other.Load() > 0 {
					t.Errorf("%s: something else was answered: %v", host, n.odd.Load())
				}
				if closed := host == service; closed != (n.page.Load() > 0) || n.served.Load() == 0 {
					t.Errorf("%s: %d served and %d saw the page", host, n.served.Load(), n.page.Load())
				}
			}
		})
	}
}

// TestWhyRulesAreNotReplaced does what a naive script does, and shows what that
// costs: the last rule that led to the application is gone, the controller
// deletes its target group, and after opening customers meet errors until the
// targets have registered again.
func TestWhyRulesAreNotReplaced(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *shopOptions) { o.byHand = true })
	git := s.read(t, ingresses, "solo")
	s.edit(t, ingresses, "solo", func(o map[string]any) {
		annotate(t, o, "alb.ingress.kubernetes.io/actions.down", `{"type":"fixed-response","fixedResponseConfig":{"statusCode":"503","contentType":"text/plain","messageBody":"down"}}`)
		set(t, o, []any{map[string]any{"host": s.host("solo"), "http": map[string]any{"paths": []any{map[string]any{"path": "/", "pathType": "Prefix",
			"backend": map[string]any{"service": map[string]any{"name": "down", "port": map[string]any{"name": "use-annotation"}}}}}}}}, "spec", "rules")
	})
	until(t, "the naive page is up", func() bool { _, body := s.get(t, "solo", "/"); return body == "down" })
	s.edit(t, ingresses, "solo", func(o map[string]any) { set(t, o, rules(git), "spec", "rules") })
	failed := 0
	until(t, "solo is open again", func() bool {
		a, err := s.ask(t.Context(), question{host: s.host("solo")})
		if err == nil && a.noTarget {
			failed++
		}
		return err == nil && a.code == 200
	})
	if failed == 0 {
		t.Error("the target group survived: the simulator does not imitate what noren avoids")
	}

	closed := s.closed(t, "solo")
	s.noren(t, closed, "open", "--confirm", "prod").must(t, 0)
	if a, err := s.ask(t.Context(), question{host: s.host("solo")}); err != nil || a.code != 200 {
		t.Errorf("after noren's opening the first customer gets %d %q, %v", a.code, a.body, err)
	}
}

// crowd is how many Ingresses the benchmark closes.
const crowd = 300

// BenchmarkCloseAndOpenMany closes and opens 300 Ingresses at once: five groups
// of 50, and 50 with a load balancer each.
func BenchmarkCloseAndOpenMany(b *testing.B) {
	s := newShop(b, func(o *shopOptions) { o.bypass = "{}" }) // staff would need more rules than a load balancer has
	var services, resolve strings.Builder
	for i := range crowd {
		name, group := fmt.Sprintf("crowd%03d", i), fmt.Sprintf("    alb.ingress.kubernetes.io/group.name: crowd-%s-%d\n", s.ns, i/50)
		where := fmt.Sprintf("group crowd-%s-%d", s.ns, i/50)
		if i >= 250 {
			group, where = "", "ingress "+s.ns+"/"+name+" alone"
		}
		s.application(b, name)
		s.server.Apply(b, strings.Replace(s.manifest(name), fmt.Sprintf("    alb.ingress.kubernetes.io/group.name: %s\n", s.group()), group, 1))
		s.addr[s.host(name)] = where
		fmt.Fprintf(&services, "  %s: {team: storefront, entrances: [{kind: kube/ingress, name: %s/%s}]}\n", name, s.ns, name)
	}
	var names []string
	for i := range crowd {
		name := fmt.Sprintf("crowd%03d", i)
		names = append(names, name)
		s.addr[s.host(name)] = s.sim.Address(b, s.addr[s.host(name)], 80)
		fmt.Fprintf(&resolve, "        \"%s:80\": %s\n", s.host(name), s.addr[s.host(name)])
	}
	s.rewrite(b, "services:\n", "services:\n"+services.String())
	s.rewrite(b, "      resolve:\n", "      resolve:\n"+resolve.String())
	s.sim.CatchUp(b)
	before := s.objects(b)
	for b.Loop() {
		state := b.TempDir()
		closed := s.noren(b, state, append([]string{"close", "--env", "prod", "--confirm", "prod"}, names...)...).must(b, 0)
		opened := s.noren(b, state, "open", "--confirm", "prod").must(b, 0)
		for _, r := range []result{closed, opened} {
			if text := strings.ToLower(r.out + r.err); strings.Contains(text, "throttl") {
				b.Errorf("client-go throttled itself:\n%s", r.err)
			}
			_, last, _ := strings.Cut(r.out, "in prod in ")
			b.Logf("in %s", strings.TrimSpace(strings.SplitN(last, "\n", 2)[0]))
		}
		b.StopTimer()
		s.same(b, before)
		b.StartTimer()
	}
}
