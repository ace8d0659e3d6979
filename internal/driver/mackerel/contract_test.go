package mackerel

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action/actiontest"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/mute"
	"github.com/noren-dev/noren/internal/testmonitors"
)

// newConn is a connection to a fake of our own.
func newConn(t testing.TB, now func() time.Time) (*mute.System[What], *testmonitors.Counter) {
	t.Helper()
	counter := testmonitors.Count(testmonitors.Mackerel(), nil)
	s := httptest.NewServer(counter)
	t.Cleanup(s.Close)
	t.Setenv("MACKEREL_APIKEY", testmonitors.Key)
	env := driver.Env{Name: "prod", Now: now}
	b, err := openBook(Config{URL: s.URL}, env)
	if err != nil {
		t.Fatal(err)
	}
	return kind().System(b, env), counter
}

// TestContract holds mackerel/downtime.mute to the contract.
func TestContract(t *testing.T) {
	actiontest.Exercise(t, testmonitors.Harness(func(t testing.TB, _ int64) testmonitors.Bench[What] {
		c, counter := newConn(t, time.Now)
		return testmonitors.Bench[What]{System: c, Counter: counter, What: What{Services: []string{"shop"}, Roles: []string{"shop: worker"}},
			Other: What{Monitors: []string{"2cSZzK3XfmG"}}}
	}))
}

// TestMinutes makes downtimes that go on at once and end to the second.
func TestMinutes(t *testing.T) {
	now := time.Date(2026, 11, 25, 17, 0, 30, 0, time.UTC)
	c, _ := newConn(t, func() time.Time { return now })
	until := time.Date(2026, 11, 25, 18, 30, 0, 0, time.UTC)
	w := What{Services: []string{"shop"}}
	if err := c.Create(t.Context(), mute.Entry[What]{What: w, Until: until}); err != nil {
		t.Fatal(err)
	}
	all, err := c.List(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("%v %v", all, err)
	}
	if e := all[0]; !e.Until.Equal(until) || e.Since.After(now) || now.Sub(e.Since) >= time.Minute {
		t.Errorf("from %s until %s", e.Since, e.Until)
	}
	later := all[0]
	later.Until = until.Add(time.Hour)
	if err := c.Change(t.Context(), all[0], later); err != nil {
		t.Fatal(err)
	}
	if all, err = c.List(t.Context()); err != nil || len(all) != 1 || !all[0].Until.Equal(later.Until) || !all[0].Since.Equal(later.Since) {
		t.Errorf("%v %v, want %v", all, err, later)
	}
	now = now.Add(3 * time.Hour)
	if all, err = c.List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("after its end: %v %v", all, err)
	}
}

func TestWhatDoesNotExist(t *testing.T) {
	c, _ := newConn(t, time.Now)
	for want, o := range map[string]Options{`Did you mean "shop"`: {Services: []string{"shpo"}}, `role "shop: web"`: {Roles: []string{"shop:web"}}, `monitor "x"`: {Monitors: []string{"x"}}} {
		m, err := kind().Open(c, "checkout", o)
		if err == nil {
			_, err = m.Mute(t.Context(), driver.Muting{Mark: "m", Service: "shop", Until: time.Now().Add(time.Hour)})
		}
		if !errors.Is(err, &fault.Fault{Code: fault.NotFound}) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
	m, err := kind().Open(c, "checkout", Options{Monitors: []string{"2cSZzK3XfmG"}})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := m.(driver.Ringer).Ringing(t.Context()); err != nil || len(got) != 1 || got[0].What != "CRITICAL 2cSZzK3XfmG 503" {
		t.Errorf("rings %v (%v)", got, err)
	}
}

func TestOptions(t *testing.T) {
	for want, o := range map[string]Options{"whole organisation": {}, "is no role": {Roles: []string{"worker"}}} {
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
	if err := (Config{URL: "http://proxy.example"}).Validate(); err == nil {
		t.Error("a key would travel unencrypted")
	}
}
