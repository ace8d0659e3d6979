package vendorhttp

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/noren-dev/noren/internal/action"
)

// TestPace lets many ask at once: no span of a minute has more calls than are
// taken, all get their turn, and none waits that need not. The clock is the
// bubble's: nobody sleeps.
func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &Client{system: "Slowpage", turns: &turns{pace: Pace{60, time.Minute}}}
		began := time.Now()
		var mu sync.Mutex
		var made []time.Duration
		var all sync.WaitGroup
		for range 150 {
			all.Go(func() {
				if err := c.turn(t.Context(), Request{What: "x"}); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				made = append(made, time.Since(began))
			})
		}
		all.Wait()
		count := map[time.Duration]int{}
		for _, at := range made {
			count[at]++
		}
		if count[0] != 60 || count[time.Minute] != 60 || count[2*time.Minute] != 30 {
			t.Errorf("calls at %v", count)
		}
		<-time.After(10 * time.Minute) // of the bubble
		now := time.Now()
		if err := c.turn(t.Context(), Request{}); err != nil || !time.Now().Equal(now) {
			t.Errorf("after a rest: %v, waited %s", err, time.Since(now))
		}
	})
}

// TestCrowded waits longer after a refusal as too many where the system says so in
// no header: others ask it, too.
func TestCrowded(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]time.Duration{420: 10 * time.Second, http.StatusTooManyRequests: 10 * time.Second, http.StatusBadGateway: 0} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		t.Cleanup(server.Close)
		c, err := New(Options{System: "Slowpage", Base: server.URL, Pace: Pace{60, time.Minute}})
		if err != nil {
			t.Fatal(err)
		}
		err = c.Call(t.Context(), Request{Method: http.MethodGet, Path: "/"}, nil)
		var later interface{ RetryAfter() time.Duration }
		if !errors.Is(err, action.ErrUnavailable) || !errors.As(err, &later) || later.RetryAfter() != want {
			t.Errorf("status %d: %v", status, err)
		}
	}
}

// TestTurnTooLate tells one that cannot wait so long when to come again, and takes
// no turn from others.
func TestTurnTooLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &Client{system: "Slowpage", turns: &turns{pace: Pace{1, time.Minute}}}
		if err := c.turn(t.Context(), Request{}); err != nil {
			t.Fatal(err)
		}
		<-time.After(20 * time.Second)
		soon, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		err := c.turn(soon, Request{What: "x"})
		var later interface{ RetryAfter() time.Duration }
		if !errors.Is(err, action.ErrUnavailable) || !errors.As(err, &later) || later.RetryAfter() != 40*time.Second {
			t.Errorf("got %v", err)
		}
		began := time.Now()
		if err := c.turn(t.Context(), Request{}); err != nil || time.Since(began) != 40*time.Second {
			t.Errorf("the next waited %s: %v", time.Since(began), err)
		}
	})
}
