package catalog

import (
	"strings"
	"testing"
)

const monitored = `version: 1
zone: UTC
environments: {prod: {}, qa: {}}
services:
  shop:
    entrances: [{kind: kube/ingress, name: shop/web}]
    monitors:
      - {kind: alertmanager/silence, name: checkout, on_ring: the on-call looks, matchers: [service=shop]}
      - {kind: alertmanager/silence, name: load}
    environments:
      qa: {monitors: []}
`

func TestMonitors(t *testing.T) {
	t.Parallel()
	c, err := Parse("noren.yaml", []byte(monitored), known())
	if err != nil {
		t.Fatal(err)
	}
	for env, want := range map[string]int{"prod": 2, "qa": 0} {
		all, err := c.Services(env)
		if err != nil || len(all[0].Monitors) != want {
			t.Errorf("%s has %d monitors, want %d (%v)", env, len(all[0].Monitors), want, err)
		}
	}
	all, _ := c.Services("prod")
	m := all[0].Monitors[0]
	if m.OnRing != "the on-call looks" || string(m.Options.JSON) != `{"matchers":["service=shop"]}` || m.At.Line != 8 {
		t.Errorf("monitor %+v with options %s", m, m.Options.JSON)
	}
	if left, _ := c.Without(func(kind string) bool { return kind == "alertmanager/silence" }).Services("prod"); len(left[0].Monitors) != 0 {
		t.Errorf("left are %v", left[0].Monitors)
	}
}

func TestMonitorsRefused(t *testing.T) {
	t.Parallel()
	for change, want := range map[[2]string]string{
		{"kind: alertmanager/silence, name: load", "kind: alertmanager/silense, name: load"}:       `Did you mean "alertmanager/silence"`,
		{"kind: alertmanager/silence, name: load", "kind: alertmanager/silence"}:                   "name",
		{"name: load", "name: checkout"}:                                                           "monitor is listed twice",
		{"name: load", "name: load, cluster: osaka"}:                                               "unknown cluster",
		{"on_ring: the on-call looks", "on_ring: [the on-call, looks]"}:                            "What is done when it rings",
		{"monitors: []", "monitors: none"}:                                                         "Monitors must be a list",
		{"matchers: [service=shop]}\n", "matchers: [service=shop], on_ring: twice is too much}\n"}: "on_ring",
	} {
		text := strings.Replace(monitored, change[0], change[1], 1)
		_, err := Parse("noren.yaml", []byte(text), known())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q for %q: %v; want %q", change[1], change[0], err, want)
		}
	}
}
