package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRulesAddUp: two closings on one load balancer, each of which has room
// for its rules, have not together. The load balancer would take no change of
// anybody's any more: the plan refuses, before anything is touched.
func TestRulesAddUp(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	before := s.objects(t)
	var staff []string
	for i := range 200 { // four to a rule, beside the host
		staff = append(staff, "--allow", fmt.Sprintf("198.51.100.%d", i))
	}
	planned := func(services ...string) result {
		t.Helper()
		return s.noren(t, t.TempDir(), append(append([]string{"plan", "close", "--env", "prod"}, staff...), services...)...)
	}
	for _, one := range []string{"shop", "api"} {
		planned(one).must(t, 0).says(t, "listener rules: at most ", " of 100 on the load balancer of group "+s.group()+", which has 3 now")
	}
	planned("shop", "api").must(t, 2).says(t, "closings do not fit together", "group "+s.group(), "3 listener rules are in use", "the limit is 100", "rule_quota: 200")
	s.same(t, before)

	file := filepath.Join(s.dir, "noren.yaml")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	raised := strings.ReplaceAll(string(raw), "kube: {", "kube: {rule_quota: 200, ")
	if raised == string(raw) {
		t.Fatalf("the catalog has no section kube to change:\n%s", raw)
	}
	if err := os.WriteFile(file, []byte(raised), 0o600); err != nil {
		t.Fatal(err)
	}
	planned("shop", "api").must(t, 0).says(t, " of 200 on the load balancer")
}
