package alertmanager

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action"
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

// made counts what must have names of its own.
var made atomic.Int64

// A bench is a connection to the Alertmanager through a counter, and one of a
// colleague's past it.
type bench struct {
	conn      *conn
	colleague *book
	counter   *testmonitors.Counter
	url       string
}

func newBench(t testing.TB, env string) *bench {
	t.Helper()
	u, err := url.Parse(served.URL)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{counter: testmonitors.Count(httputil.NewSingleHostReverseProxy(u), nil)}
	s := httptest.NewServer(b.counter)
	t.Cleanup(s.Close)
	b.url = s.URL
	if b.conn, err = connect(t.Context(), Config{URL: s.URL}, driver.Env{Name: env, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	b.colleague = b.conn.book
	return b
}

// TestContract holds alertmanager/silence.mute to the contract, on the real server.
func TestContract(t *testing.T) {
	actiontest.Exercise(t, actiontest.Harness{New: func(t testing.TB) actiontest.Target {
		b := newBench(t, "prod")
		n := made.Add(1)
		p := mute.Params[What]{Name: fmt.Sprintf("checkout-%d", n), Service: "shop", Mark: fmt.Sprintf("mark%d", n), Reason: "new shelves",
			What: What{Matchers: []string{fmt.Sprintf("service=%q", fmt.Sprintf("shop-%d", n)), `severity=~"page|ticket"`}}, Until: time.Now().Add(time.Hour)}
		change := b.conn.system.Open(p)
		in := driver.Bare(driver.Typed[mute.State[What]](change))
		find := func(t testing.TB) *mute.Entry[What] {
			all, err := b.colleague.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(all, func(e mute.Entry[What]) bool { return mute.Alike(e.What, p.What) })
			if i < 0 {
				return nil
			}
			return &all[i]
		}
		other := What{Matchers: []string{fmt.Sprintf("beside=%q", fmt.Sprint(n))}}
		return actiontest.Target{
			Name:   "monitor " + p.Name,
			Change: in.Change,
			Marked: in.Marker.Marked,
			Mark: func(t testing.TB) *action.Mark {
				e := find(t)
				if e == nil {
					return nil
				}
				m, err := mute.MarkIn(e.Text)
				if err != nil {
					t.Fatal(err)
				}
				return m
			},
			// A colleague moves the end of noren's silence; where there is none, she
			// made one out of noren's words.
			Meddle: func(t testing.TB) {
				e := find(t)
				if e == nil {
					e = &mute.Entry[What]{What: p.What, Since: time.Now(), Text: fmt.Sprintf("[noren:prod:%s:%s]", p.Mark, p.Name)}
				}
				e.Until = time.Now().Add(3 * time.Hour)
				if err := b.colleague.post(t.Context(), *e); err != nil {
					t.Fatal(err)
				}
			},
			MeddleBeside: func(t testing.TB) {
				if err := b.colleague.Create(t.Context(), mute.Entry[What]{What: other, Text: "hers", Since: time.Now(), Until: time.Now().Add(time.Hour)}); err != nil {
					t.Fatal(err)
				}
			},
			Beside: func(t testing.TB) string {
				all, err := b.colleague.List(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				text := ""
				for _, e := range all {
					if mute.Alike(e.What, other) {
						text += e.ID + e.Text
					}
				}
				return text
			},
			LoseNextAnswer: func(testing.TB) { b.counter.LoseNext() },
			Writes:         func(testing.TB) int { return b.counter.Writes() },
		}
	}})
}
