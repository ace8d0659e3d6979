package alertmanager

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action/actiontest"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/mute"
	"github.com/noren-dev/noren/internal/testmonitors"
)

// served is the Alertmanager of all tests here; each works on silences of its own.
var served *testmonitors.Alertmanager

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "noren-alertmanager-")
	if err != nil {
		log.Print(err)
		return 1
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if served, err = testmonitors.StartAlertmanager(ctx, dir); err != nil {
		log.Print(err)
		return 1
	}
	defer func() { _ = served.Stop() }()
	return m.Run()
}

// newConn is a connection to the Alertmanager through a counter.
func newConn(t testing.TB) (*mute.System[What], *testmonitors.Counter) {
	t.Helper()
	u, err := url.Parse(served.URL)
	if err != nil {
		t.Fatal(err)
	}
	counter := testmonitors.Count(httputil.NewSingleHostReverseProxy(u), nil)
	s := httptest.NewServer(counter)
	t.Cleanup(s.Close)
	env := driver.Env{Name: "prod", Now: time.Now}
	b, err := openBook(Config{URL: s.URL}, env)
	if err != nil {
		t.Fatal(err)
	}
	return kind().System(b, env), counter
}

// TestContract holds alertmanager/silence.mute to the contract, on the real server.
func TestContract(t *testing.T) {
	actiontest.Exercise(t, testmonitors.Harness(func(t testing.TB, n int64) testmonitors.Bench[What] {
		c, counter := newConn(t)
		return testmonitors.Bench[What]{System: c, Counter: counter, Marks: true,
			What:  What{Matchers: []string{fmt.Sprintf(`service="shop-%d"`, n), `severity=~"page|ticket"`}},
			Other: What{Matchers: []string{fmt.Sprintf(`beside="%d"`, n)}}}
	}))
}
