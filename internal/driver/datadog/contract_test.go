package datadog

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
	f := testmonitors.Datadog()
	counter := testmonitors.Count(f, nil)
	s := httptest.NewServer(counter)
	t.Cleanup(s.Close)
	t.Setenv("DD_API_KEY", testmonitors.Key)
	t.Setenv("DD_APP_KEY", testmonitors.Key)
	env := driver.Env{Name: "prod", Now: time.Now}
	b, err := openBook(Config{URL: s.URL}, env)
	if err != nil {
		t.Fatal(err)
	}
	return kind().System(b, env), f, counter
}

// TestContract holds datadog/downtime.mute to the contract.
func TestContract(t *testing.T) {
	for name, w := range map[string]What{"by id": {MonitorID: 4711, Scope: "*"}, "by tags": {MonitorTags: []string{"service:shop", "team:web"}, Scope: "env:prod"}} {
		t.Run(name, func(t *testing.T) {
			actiontest.Exercise(t, testmonitors.Harness(func(t testing.TB, _ int64) testmonitors.Bench[What] {
				c, _, counter := newConn(t)
				return testmonitors.Bench[What]{System: c, Counter: counter, Marks: true, What: w, Other: What{MonitorID: 4712, Scope: "env:qa"}}
			}))
		})
	}
}

// TestManyDowntimes reads more than a page of them.
func TestManyDowntimes(t *testing.T) {
	c, _, _ := newConn(t)
	hers := mute.Entry[What]{What: What{MonitorID: 4712, Scope: "*"}, Text: "hers", Until: time.Now().Add(time.Hour)}
	for range 70 {
		if err := c.Create(t.Context(), hers); err != nil {
			t.Fatal(err)
		}
	}
	all, err := c.List(t.Context())
	if err != nil || len(all) != 70 {
		t.Errorf("%d downtimes: %v", len(all), err)
	}
}

func TestMonitorsThatDoNotExist(t *testing.T) {
	c, _, _ := newConn(t)
	for _, o := range []Options{{MonitorID: 1}, {MonitorTags: []string{"service:shpo"}}} {
		m, err := kind().Open(c, "checkout", o)
		if err == nil {
			_, err = m.Mute(t.Context(), driver.Muting{Mark: "m", Service: "shop", Until: time.Now().Add(time.Hour)})
		}
		if !errors.Is(err, &fault.Fault{Code: fault.NotFound}) || !strings.Contains(err.Error(), "no such monitor") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// TestRings tells which of the monitors are in alert.
func TestRings(t *testing.T) {
	c, _, _ := newConn(t)
	for _, o := range []struct {
		options Options
		want    int
	}{{Options{MonitorID: 4711}, 1}, {Options{MonitorID: 4712}, 0}, {Options{MonitorTags: []string{"service:shop"}}, 1}} {
		m, err := kind().Open(c, "checkout", o.options)
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.(driver.Ringer).Ringing(t.Context())
		if err != nil || len(got) != o.want {
			t.Errorf("%+v rings %v (%v), want %d", o.options, got, err, o.want)
		}
	}
}

func TestOptions(t *testing.T) {
	for want, o := range map[string]Options{
		"say which monitors": {}, "keep one": {MonitorID: 1, MonitorTags: []string{"a:b"}}, "every monitor": {MonitorTags: []string{"*"}}, "number": {MonitorID: -1},
	} {
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
	for want, c := range map[string]Config{
		"no http or https": {URL: "ftp://x"}, "unencrypted": {URL: "http://proxy.example"}, "keep one": {Site: "datadoghq.eu", URL: "https://x"},
		"no site": {Site: "https://app.datadoghq.eu"},
	} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", c, err, want)
		}
	}
	if err := (Config{Site: "datadoghq.eu"}).Validate(); err != nil {
		t.Error(err)
	}
}
