package driver_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/noren-dev/noren/internal/driver"
)

// TestIdentities asks systems of which some cannot say who noren is to them.
func TestIdentities(t *testing.T) {
	t.Parallel()
	type config struct{}
	system := func(name, identity string, refused error) *driver.Driver {
		return driver.New(name, "", func(context.Context, config, driver.Env) (string, error) { return identity, refused },
			driver.Identifies(func(ctx context.Context, conn string) (string, error) {
				if conn == "slow" {
					<-ctx.Done()
					return "", ctx.Err()
				}
				return conn, nil
			}))
	}
	mute := driver.New("mute", "", func(context.Context, config, driver.Env) (string, error) { return "", nil })
	registry := driver.NewRegistry(system("one", "system:admin", nil), system("two", "noren@there", nil), system("unsure", "", nil),
		system("down", "x", errors.New("connection refused")), system("unused", "nobody", nil), system("late", "slow", nil), mute)
	configs := map[string]json.RawMessage{}
	for _, name := range []string{"one", "two", "unsure", "down", "late", "mute"} {
		configs[name] = json.RawMessage(`{}`)
	}
	synctest.Test(t, func(t *testing.T) { // its clock does not make us wait for what is late
		got := registry.Open(driver.Env{}, configs).Identities(t.Context())
		if d := cmp.Diff(map[string]string{"one": "system:admin", "two": "noren@there"}, got); d != "" {
			t.Errorf("identities (-want +got):\n%s", d)
		}
		clusters := map[string]driver.Configs{"osaka": {"two": json.RawMessage(`{}`)}, "tokyo": {"two": json.RawMessage(`{}`)}}
		got = registry.OpenClusters(driver.Env{}, driver.Configs{"one": json.RawMessage(`{}`)}, clusters).Identities(t.Context())
		if d := cmp.Diff(map[string]string{"one": "system:admin", "osaka/two": "noren@there", "tokyo/two": "noren@there"}, got); d != "" {
			t.Errorf("identities of clusters (-want +got):\n%s", d)
		}
	})
}
