package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/noren-dev/noren/internal/testaws/strict"
	"github.com/noren-dev/noren/internal/testaws/wire"
)

// An account is a catalog whose production is a strict AWS of this test's own,
// and the wire by which noren reaches it.
type account struct {
	*strict.Server
	wire *wire.Wire
	dir  string
}

const (
	fleetSize = 35
)

// newAccount makes an account with ECS services, each scaled by the load.
func newAccount(t testing.TB, services int, more string) *account {
	t.Helper()
	a := &account{Server: strict.Start(t), dir: t.TempDir()}
	a.wire = wire.New(t, a.Endpoint)
	a.Endpoint = a.wire.Endpoint
	var workloads strings.Builder
	for i := range services {
		name := fmt.Sprintf("s%02d", i)
		a.AddService(strict.Service{Cluster: "shop", Name: name, Desired: int32(1 + i%3), Tags: map[string]string{"team": "cart"}})
		a.AddTarget("shop/"+name, strict.Target{Min: 1, Max: 4, Scheduled: i%5 == 0})
		fmt.Fprintf(&workloads, "      - {kind: aws/ecs, name: shop/%s}\n", name)
	}
	a.catalog(t, fmt.Sprintf(`
environments:
  prod:
    protected: true
    aws: %s
teams:
  storefront: {contact: "#storefront"}
services:
  shop:
    team: storefront
    workloads:
%s%s`, a.Section(), workloads.String(), more))
	return a
}

func (a *account) catalog(t testing.TB, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(a.dir, "noren.yaml"), []byte("version: 1\nzone: Asia/Tokyo\n"+strings.TrimPrefix(text, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
}

// credentials are those of a process: a key, and nobody else's files.
func credentials(key string) []string {
	return []string{"AWS_ACCESS_KEY_ID=" + key, "AWS_SECRET_ACCESS_KEY=test", "AWS_SESSION_TOKEN=", "AWS_PROFILE=", "AWS_REGION=", "AWS_DEFAULT_REGION=",
		"AWS_CONFIG_FILE=/nonexistent", "AWS_SHARED_CREDENTIALS_FILE=/nonexistent", "AWS_EC2_METADATA_DISABLED=true"}
}

func (a *account) noren(t testing.TB, state string, args ...string) result {
	t.Helper()
	return noren(t, a.dir, state, credentials("test"), args...)
}

// same fails unless the account is as it was.
func (a *account) same(t testing.TB, before string) {
	t.Helper()
	if now := a.Snapshot(); now != before {
		t.Fatalf("the account is not as it was:\n%s\nwas\n%s", now, before)
	}
}

// resting fails unless every service is at rest, and nothing would scale it.
func (a *account) resting(t testing.TB, services int) {
	t.Helper()
	for i := range services {
		name := fmt.Sprintf("shop/s%02d", i)
		if svc, running := a.Service(name); svc.Desired != 0 || running != 0 {
			t.Fatalf("%s has %d tasks, and %d run", name, svc.Desired, running)
		}
		if a.Alarm(name) {
			t.Fatalf("an alarm started tasks of %s", name)
		}
	}
}

// TestECSServicesRest: 35 services come to rest together and work again, exactly
// as they were, in few requests.
func TestECSServicesRest(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fleetSize, "")
	state, before := t.TempDir(), a.Snapshot()
	a.noren(t, state, "plan", "close", "shop", "--env", "prod").must(t, 0).says(t,
		"scale ECS service shop/s00 from 1 task to 0 tasks", "suspend the autoscaling of ECS service shop/s34")
	a.same(t, before)
	if n := a.Calls()["ecs:DescribeServices"]; n > 25 {
		t.Errorf("%d requests to plan", n)
	}
	a.noren(t, state, "close", "shop", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 0)
	a.resting(t, fleetSize)
	a.noren(t, state, "status").must(t, 0).says(t, "at rest")
	a.noren(t, t.TempDir(), "leftovers", "--env", "prod").says(t, "aws:prod/ecs/shop/s00", "aws:prod/autoscaling/shop/s00")
	a.noren(t, state, "leftovers", "--env", "prod").must(t, 0)
	a.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
	a.same(t, before)
	t.Logf("requests: %v", a.Calls())
}

// fed is the UUID of an event source, and feeding the workload that it is.
const (
	fed     = "0a1b2c3d-0000-4000-8000-000000000001"
	feeding = "      - {kind: aws/lambda-source, name: orders/orders-queue}\n"
)

// newMortalAccount makes an account of two services and an event source, in which noren is
// killed.
func newMortalAccount(t testing.TB) *mortal {
	t.Helper()
	a := newAccount(t, 2, feeding)
	a.AddSource(fed, strict.Source{Function: "orders", Queue: "orders-queue", Enabled: true, Tags: map[string]string{"team": "cart"}})
	return &mortal{
		dir: a.dir, env: credentials("test"), before: a.wire.Before, snapshot: func(testing.TB) string { return a.Snapshot() },
		rests: func(t testing.TB) {
			t.Helper()
			a.resting(t, 2)
			if a.Source(fed).Enabled {
				t.Fatal("the event source feeds its function")
			}
		},
	}
}

// TestECSKilled kills noren at each recorded point, and at each call that writes,
// of a closing of ECS services and an event source of Lambda, and of its opening.
func TestECSKilled(t *testing.T) {
	t.Parallel()
	everyDeath(t, newMortalAccount, 20, 10)
}

// TestECSGoesBack: one service does not come to rest, so that all are put back.
func TestECSGoesBack(t *testing.T) {
	t.Parallel()
	a := newAccount(t, 3, "      - {kind: aws/ecs, name: shop/stuck}\n")
	a.AddService(strict.Service{Cluster: "shop", Name: "stuck", Desired: 2, Stuck: true})
	before := a.Snapshot()
	noren(t, a.dir, t.TempDir(), append(credentials("test"), patience+"=300ms"), "close", "shop", "--env", "prod", "--for", "30m", "--confirm", "prod").
		must(t, 10).says(t, "ECS service shop/stuck still runs 2 tasks, and shall run 0", "ECS says: (service stuck) was unable to place a task", "every change of this run was taken back")
	a.same(t, before)
}

// TestECSDrift: somebody scaled a service meanwhile, and a person says whose
// number counts.
func TestECSDrift(t *testing.T) {
	t.Parallel()
	a := newAccount(t, 1, "")
	state, before := t.TempDir(), a.Snapshot()
	a.noren(t, state, "close", "shop", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 0)
	a.Edit(func(s *strict.Server) { s.ECS("shop/s00").Desired = 3 })
	a.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 11).says(t, "desiredCount: 1", "desiredCount: 3", "--ours", "--theirs")
	a.noren(t, state, "open", "--env", "prod", "--confirm", "prod", "--ours").must(t, 0)
	a.same(t, before)
}

// TestAWSRefuses: what is wrong with a catalog or credentials is said before
// anything is written.
func TestAWSRefuses(t *testing.T) {
	t.Parallel()
	a := newAccount(t, 1, "")
	good, err := os.ReadFile(filepath.Join(a.dir, "noren.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	before := a.Snapshot()
	plan := []string{"plan", "close", "shop", "--env", "prod"}
	for name, c := range map[string]struct {
		old, new, key string
		code          int
		says          []string
	}{
		"expired credentials":   {key: strict.ExpiredKey, code: 1, says: []string{"expired", "the keys in the environment (AWS_ACCESS_KEY_ID)", "export AWS_ACCESS_KEY_ID="}},
		"no such profile":       {old: "{region: us-east-1,", new: "{region: us-east-1, profile: nihgt,", code: 2, says: []string{"nihgt", "aws configure list-profiles"}},
		"no region":             {old: "region: us-east-1, ", new: "", code: 2, says: []string{"no AWS region"}},
		"another account":       {old: "{region:", new: `{account: "999999999999", region:`, code: 2, says: []string{"another AWS account", "999999999999", strict.Account}},
		"unknown service":       {old: "shop/s00", new: "shop/s0o", code: 1, says: []string{"There is no ECS service shop/s0o", "Did you mean shop/s00?"}},
		"unknown cluster":       {old: "shop/s00", new: "shup/s00", code: 1, says: []string{"There is no ECS cluster shup", "Did you mean shop?"}},
		"negative":              {old: "name: shop/s00}", new: "name: shop/s00, to: -1}", code: 2, says: []string{"to: -1 is less than none", "noren.yaml:"}},
		"option of other kinds": {old: "name: shop/s00}", new: "name: shop/s00, replicas: 1}", code: 2, says: []string{"replicas", "noren.yaml:"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir, key := t.TempDir(), "test"
			if c.key != "" {
				key = c.key
			}
			text := strings.Replace(string(good), c.old, c.new, 1)
			if err := os.WriteFile(filepath.Join(dir, "noren.yaml"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			r := noren(t, dir, t.TempDir(), credentials(key), plan...)
			if r.code != c.code {
				t.Errorf("exit code %d, want %d\n%s%s", r.code, c.code, r.out, r.err)
			}
			r.says(t, c.says...)
		})
	}
	a.same(t, before)
}

// TestECSTwoRegions: regions are clusters of one environment, closed and opened
// in one run, and recovered from the tags in each.
func TestECSTwoRegions(t *testing.T) {
	t.Parallel()
	a, b := newAccount(t, 1, ""), newAccount(t, 1, "")
	a.catalog(t, fmt.Sprintf(`
environments:
  prod:
    protected: true
    clusters:
      tokyo: {aws: %s}
      osaka: {aws: %s}
teams:
  storefront: {contact: "#storefront"}
services:
  shop:
    team: storefront
    workloads:
      - {kind: aws/ecs, name: shop/s00, cluster: tokyo}
      - {kind: aws/ecs, name: shop/s00, cluster: osaka}
`, a.Section(), b.Section()))
	beforeA, beforeB := a.Snapshot(), b.Snapshot()
	a.noren(t, t.TempDir(), "check", "--live", "--env", "prod").must(t, 0)
	a.noren(t, t.TempDir(), "close", "shop", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 0).says(t, "aws:prod/tokyo/ecs/shop/s00", "aws:prod/osaka/ecs/shop/s00")
	a.resting(t, 1)
	b.resting(t, 1)
	a.noren(t, t.TempDir(), "recover", "--env", "prod", "--confirm", "prod").must(t, 0)
	a.same(t, beforeA)
	b.same(t, beforeB)
}

// TestAWSDenied: a right that is missing is named, with what grants it; nothing
// is written.
func TestAWSDenied(t *testing.T) {
	t.Parallel()
	a := newAccount(t, 2, "")
	before := a.Snapshot()
	a.Deny("ecs:UpdateService")
	a.noren(t, t.TempDir(), "close", "shop", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 1).says(t, "permission missing in AWS", "ecs:UpdateService", `"Effect": "Allow"`)
	a.same(t, before)
}

// TestAWSCredentialsExpireMeanwhile: credentials end in the middle of a closing,
// so that nothing more can be changed, and nothing taken back. What is changed is
// said, and once there are new ones everything is as it was.
func TestAWSCredentialsExpireMeanwhile(t *testing.T) {
	t.Parallel()
	a := newAccount(t, 3, "")
	state, before := t.TempDir(), a.Snapshot()
	a.ExpireAfter(4)
	a.noren(t, state, "close", "shop", "--env", "prod", "--for", "30m", "--confirm", "prod").must(t, 20).
		says(t, "AWS credentials have expired", "changed now: aws:prod/", "export AWS_ACCESS_KEY_ID=", "\n    noren open shop --env prod")
	if a.Snapshot() == before {
		t.Error("nothing was changed, so that this tests nothing")
	}
	a.ExpireAfter(0)
	a.noren(t, state, "open", "--env", "prod", "--confirm", "prod").must(t, 0)
	a.same(t, before)
}
