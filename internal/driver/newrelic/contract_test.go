package newrelic

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
func newConn(t testing.TB, account int) (*mute.System[What], *testmonitors.Counter) {
	t.Helper()
	counter := testmonitors.Count(testmonitors.NewRelic(), testmonitors.NerdGraphReads)
	s := httptest.NewServer(counter)
	t.Cleanup(s.Close)
	t.Setenv("NEW_RELIC_API_KEY", testmonitors.Key)
	env := driver.Env{Name: "prod", Now: time.Now}
	b, err := openBook(Config{Account: account, URL: s.URL}, env)
	if err != nil {
		t.Fatal(err)
	}
	return kind().System(b, env), counter
}

func of(policy string) What {
	w, _ := Options{Conditions: []Condition{{Attribute: "policyName", Values: []string{policy}}}}.what() // never fails
	return w
}

// TestContract holds newrelic/rule.mute to the contract.
func TestContract(t *testing.T) {
	actiontest.Exercise(t, testmonitors.Harness(func(t testing.TB, _ int64) testmonitors.Bench[What] {
		c, counter := newConn(t, 12345)
		return testmonitors.Bench[What]{System: c, Counter: counter, What: of("Shop"), Other: of("API")}
	}))
}

// TestErrorsWithStatus200 tells them apart.
func TestErrorsWithStatus200(t *testing.T) {
	c, _ := newConn(t, 1)
	if _, err := c.List(t.Context()); !errors.Is(err, &fault.Fault{Code: fault.Denied}) {
		t.Errorf("another account: %v", err)
	}
	c, _ = newConn(t, 12345)
	if err := c.Remove(t.Context(), mute.Entry[What]{ID: "77"}); err != nil {
		t.Errorf("a rule that is gone: %v", err)
	}
	err := c.Create(t.Context(), mute.Entry[What]{What: of("Shop"), Since: time.Now(), Until: time.Now().Add(-time.Hour)})
	if !errors.Is(err, &fault.Fault{Code: fault.Invalid}) {
		t.Errorf("an end that has passed: %v", err)
	}
}

func TestScheduleInAnotherZone(t *testing.T) {
	start := "2026-11-25T02:00:00"
	s := schedule{StartTime: &start, TimeZone: "Asia/Tokyo"}
	if got, want := s.at(s.StartTime), time.Date(2026, 11, 24, 17, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestOptions(t *testing.T) {
	for want, o := range map[string]Options{
		"conditions are missing": {}, "none of all, any": {Match: "some", Conditions: []Condition{{Attribute: "a", Values: []string{"b"}}}},
		"attribute is missing": {Conditions: []Condition{{Values: []string{"b"}}}}, "values are missing": {Conditions: []Condition{{Attribute: "a"}}},
		"none of New Relic's": {Conditions: []Condition{{Attribute: "a", Operator: "IS", Values: []string{"b"}}}},
		"at most 20":          {Conditions: make([]Condition, 21)},
	} {
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
	for want, c := range map[string]Config{"account is needed": {}, "none of us, eu": {Account: 1, Region: "jp"}, "unencrypted": {Account: 1, URL: "http://proxy.example"}} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", c, err, want)
		}
	}
}
