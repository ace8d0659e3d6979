package e2e

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestRecordsNameWhoTheClusterSaw closes and opens on a real API server: the
// record says by which name it knew noren, the chain verifies, and the report
// has no pass in it.
func TestRecordsNameWhoTheClusterSaw(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	state := t.TempDir()
	s.noren(t, state, "close", "shop", "--env", "prod", "--for", "30m", "--pass", "--confirm", "prod").must(t, 0)
	status := s.noren(t, state, "status", "--pass", "--output", "json").must(t, 0).out
	var said struct{ Value struct{ Run, Pass string } }
	if err := json.Unmarshal([]byte(status), &said); err != nil || said.Value.Pass == "" {
		t.Fatalf("%v\n%s", err, status)
	}
	s.noren(t, state, "open", "shop", "--env", "prod", "--confirm", "prod").must(t, 0)

	shown := s.noren(t, state, "audit", "show").must(t, 0).out
	for _, want := range []string{"known to kube as ", "confirmed by --confirm", "$ noren close shop --env prod", "asked to open shop in prod", "receipt of kube:prod/"} {
		if !strings.Contains(shown, want) {
			t.Errorf("the record does not say %q:\n%s", want, shown)
		}
	}
	s.noren(t, state, "audit", "verify").must(t, 0)
	for _, args := range [][]string{{"audit", "show", "-o", "json"}, {"audit", "export"}, {"audit", "export", "--format", "csv"}, {"history", "-o", "json"},
		{"report", said.Value.Run}, {"report", said.Value.Run, "--format", "html"}, {"report", said.Value.Run, "--format", "json"}} {
		if out := s.noren(t, state, args...).must(t, 0).out; out == "" || strings.Contains(out, said.Value.Pass) {
			t.Errorf("noren %s shows the pass, or nothing", strings.Join(args, " "))
		}
	}
	report := s.noren(t, state, "report", said.Value.Run).must(t, 0).out
	for _, want := range []string{"shop is open again after", "known to kube as", "+kind: Ingress", "Prove closed: "} {
		if !strings.Contains(report, want) {
			t.Errorf("the report does not say %q:\n%s", want, report)
		}
	}
}
