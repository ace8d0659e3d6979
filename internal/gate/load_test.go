package gate

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// TestClosingUnderLoadDropsNothing closes and opens a door 50 times while
// clients keep sending. Each answer is the application's or the closed page,
// none is lost, and requests that were with the application when the door
// closed finish there.
func TestClosingUnderLoadDropsNothing(t *testing.T) {
	const clients, turns, want = 8, 50, 30
	release, arrived := make(chan struct{}), make(chan struct{}, turns)
	finish := sync.OnceFunc(func() { close(release) })
	r := start(t, Config{Doors: []Door{{Name: "web", Backend: app(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/long" {
			arrived <- struct{}{}
			<-release
		}
		_, _ = io.Copy(io.Discard, r.Body)
		hello(w, r)
	})}}})

	t.Cleanup(finish)

	seen, stop := make(chan string), make(chan struct{})
	var load sync.WaitGroup
	for range clients {
		load.Go(func() { keepSending(r.url, seen, stop) })
	}
	var long sync.WaitGroup
	for range turns {
		long.Go(func() {
			if got := see(http.DefaultClient, r.url+"/long"); got != "open" {
				t.Errorf("a request under way ended with: %s", got)
			}
		})
		drainUntil(arrived, seen)
		r.mustTurn(t, "web", closing())
		if got := see(http.DefaultClient, r.url); got != "closed" {
			t.Errorf("the gate said that the door is closed; a customer saw: %s", got)
		}
		until(t, seen, "closed", want)
		r.mustTurn(t, "web", nil)
		if got := see(http.DefaultClient, r.url); got != "open" {
			t.Errorf("the gate said that the door is open; a customer saw: %s", got)
		}
		until(t, seen, "open", want)
	}
	if d, _ := r.door(t, "web"); d.Counts.InFlight < turns || d.Counts.Failed != 0 {
		t.Errorf("counts are %+v, want at least %d in flight and none failed", d.Counts, turns)
	}
	close(stop)
	go func() { load.Wait(); close(seen) }()
	for got := range seen {
		if got != "open" {
			t.Errorf("a customer saw: %s", got)
		}
	}
	r.mustTurn(t, "web", closing())
	finish()
	long.Wait()
}

// until waits for answers of a kind. The one unfinished request of each client
// may still have the other kind.
func until(t *testing.T, seen <-chan string, kind string, want int) {
	t.Helper()
	for n := 0; n < want; {
		switch got := <-seen; got {
		case kind:
			n++
		case "open", "closed":
		default:
			t.Errorf("a customer saw: %s", got)
			n++
		}
	}
}

// drainUntil takes answers until something has happened, so that the clients
// do not wait meanwhile.
func drainUntil(happened <-chan struct{}, seen <-chan string) {
	for {
		select {
		case <-happened:
			return
		case <-seen:
		}
	}
}

func keepSending(url string, seen chan<- string, stop <-chan struct{}) {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for {
		select {
		case <-stop:
			return
		case seen <- see(client, url):
		}
	}
}

// see sends a request with a body and says what came back.
func see(client *http.Client, url string) string {
	res, err := client.Post(url, "text/plain", strings.NewReader("an order")) //nolint:noctx // ends with the test
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	switch a := (answered{res.StatusCode, res.Header, string(raw)}); {
	case err != nil:
		return err.Error()
	case a.isClosed():
		return "closed"
	case a.status == http.StatusOK && strings.Contains(a.body, "hello"):
		return "open"
	default:
		return fmt.Sprintf("%d %s", a.status, a.body)
	}
}

func BenchmarkProxied(b *testing.B) { benchmark(b, false, http.StatusOK) }

func BenchmarkClosed(b *testing.B) { benchmark(b, true, http.StatusServiceUnavailable) }

func benchmark(b *testing.B, closed bool, status int) {
	r := start(b, Config{Doors: []Door{{Name: "web", Backend: app(b, hello)}}})
	if closed {
		r.mustTurn(b, "web", closing())
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	b.Cleanup(client.CloseIdleConnections)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			res, err := client.Get(r.url)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if res.StatusCode != status {
				b.Errorf("status %d", res.StatusCode)
				return
			}
		}
	})
}
