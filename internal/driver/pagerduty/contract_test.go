package pagerduty

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
func newConn(t testing.TB) (*mute.System[What], *testmonitors.Fake, *testmonitors.Counter) {
	t.Helper()
	f := testmonitors.PagerDuty()
	counter := testmonitors.Count(f, nil)
	s := httptest.NewServer(counter)
	t.Cleanup(s.Close)
	t.Setenv("PAGERDUTY_TOKEN", testmonitors.Key)
	env := driver.Env{Name: "prod", Now: time.Now}
	b, err := openBook(Config{URL: s.URL, From: "ops@example.com"}, env)
	if err != nil {
		t.Fatal(err)
	}
	return kind().System(b, env), f, counter
}

// TestContract holds pagerduty/window.mute to the contract.
func TestContract(t *testing.T) {
	actiontest.Exercise(t, testmonitors.Harness(func(t testing.TB, _ int64) testmonitors.Bench[What] {
		c, _, counter := newConn(t)
		return testmonitors.Bench[What]{System: c, Counter: counter, What: What{[]string{"PAPI", "PSHOP"}}, Other: What{[]string{"PSHOP"}}}
	}))
}

// TestManyWindows reads more than a page of them.
func TestManyWindows(t *testing.T) {
	c, _, _ := newConn(t)
	for range 60 {
		if err := c.Create(t.Context(), mute.Entry[What]{What: What{[]string{"PAPI"}}, Text: "hers", Since: time.Now(), Until: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := c.List(t.Context()); err != nil || len(all) != 60 {
		t.Errorf("%d windows: %v", len(all), err)
	}
}

// TestEndedWindow ends one that has ended meanwhile.
func TestEndedWindow(t *testing.T) {
	c, f, _ := newConn(t)
	e := mute.Entry[What]{What: What{[]string{"PAPI"}}, Text: "hers", Since: time.Now(), Until: time.Now().Add(time.Hour)}
	if err := c.Create(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	all, err := c.List(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("%d windows: %v", len(all), err)
	}
	f.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	if err := c.Remove(t.Context(), all[0]); err != nil {
		t.Errorf("a window that has ended: %v", err)
	}
}

func TestServiceThatDoesNotExist(t *testing.T) {
	c, _, _ := newConn(t)
	m, err := kind().Open(c, "checkout", Options{Services: []string{"PSHOP", "PNONE"}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Mute(t.Context(), driver.Muting{Mark: "m", Service: "shop", Until: time.Now().Add(time.Hour)})
	if !errors.Is(err, &fault.Fault{Code: fault.NotFound}) || !strings.Contains(err.Error(), "PNONE") {
		t.Errorf("%v", err)
	}
	got, err := m.(driver.Ringer).Ringing(t.Context())
	if err != nil || len(got) != 1 || got[0].What != "Checkout is slow (Shop)" {
		t.Errorf("rings %v (%v)", got, err)
	}
}

func TestConfig(t *testing.T) {
	for want, c := range map[string]Config{"from is needed": {}, "unencrypted": {From: "a@b", URL: "http://proxy.example"}} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", c, err, want)
		}
	}
	for want, o := range map[string]Options{"services are missing": {}, "is no id": {Services: []string{"Shop"}}} {
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
}
