package bench

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/testkube"
	"github.com/noren-dev/noren/test/faultproxy"
)

// TestFaults measures how long closing and opening take where requests are
// spoiled or limited, beside what that allows at best: without faults, times
// the requests that have to be made again; under a limit, the requests that the
// server did, at its rate. A run that fails fails the test.
func TestFaults(t *testing.T) {
	n, times := 3, 1
	if *compare != "" {
		n, times = 100, *rounds
	}
	proxy := faultproxy.Start(t, testkube.Start(t).Config(testkube.Admin))
	w := newWorld(t, n)
	w.kubeconfig = proxy.Kubeconfig(t, testkube.Admin)
	w.writeCatalog(t, w.door(t))
	noren := norenWay(t)
	kinds := faultproxy.All()
	moods := []faultproxy.Mood{{}, {Share: .05, Faults: kinds}, {Share: .1, Faults: kinds}, {Share: .2, Faults: kinds},
		{Share: .2, Faults: []faultproxy.Fault{faultproxy.Internal, faultproxy.Reset, faultproxy.Lost, faultproxy.Conflict}}, {Limit: 100}, {Limit: 50}}
	if *compare == "" {
		moods = moods[3:4]
	}
	var b strings.Builder
	b.WriteString("| between noren and the API server | close, s | requests | allowed, s | ratio | open, s | failed runs |\n|---|---|---|---|---|---|---|\n")
	var calm time.Duration
	for _, m := range moods {
		var closing, opening []time.Duration
		var passed, spoiled int
		for range times {
			proxy.Be(m)
			closing = append(closing, noren.close(t, w).wall)
			done, bad := proxy.Counts()
			passed, spoiled = done, 0
			for _, k := range bad {
				spoiled += k
			}
			proxy.Be(m)
			opening = append(opening, noren.open(t, w).wall)
		}
		closed := middle(closing)
		if m.Share == 0 && m.Limit == 0 {
			calm = closed
		}
		allowed := time.Duration(float64(calm) / (1 - m.Share))
		if m.Limit > 0 {
			allowed = max(calm, time.Duration(float64(passed)/float64(m.Limit)*float64(time.Second)))
		}
		fmt.Fprintf(&b, "| %s | %s | %d and %d spoiled | %.2f | %.2f | %s | 0 of %d |\n", moodWords(m), seconds(closed), passed, spoiled,
			allowed.Seconds(), closed.Seconds()/allowed.Seconds(), seconds(middle(opening)), 2*times)
	}
	publish(t, "faults", fmt.Sprintf("%d Ingresses and %d Applications", n, n), b.String())
}

func moodWords(m faultproxy.Mood) string {
	switch {
	case m.Limit > 0:
		return fmt.Sprintf("%d requests a second, else 429 with Retry-After: 1", m.Limit)
	case m.Share == 0:
		return "nothing"
	}
	var names []string
	for _, f := range m.Faults {
		names = append(names, string(f))
	}
	return fmt.Sprintf("%.0f%% spoiled: %s", m.Share*100, strings.Join(names, ", "))
}
