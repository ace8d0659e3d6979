package testmonitors

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/action/actiontest"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/mute"
)

// A Bench is a driver's system before a server that Counter counts for.
type Bench[W any] struct {
	System  *mute.System[W]
	Counter *Counter
	// What is muted by noren, and Other by a colleague beside it.
	What, Other W
	// Marks tells whether there is room for a mark.
	Marks bool
}

// Harness holds the change of a driver to the contract: New is called for each
// obligation, and its server may be the same each time.
func Harness[W any](fresh func(t testing.TB, n int64) Bench[W]) actiontest.Harness {
	var made atomic.Int64
	return actiontest.Harness{New: func(t testing.TB) actiontest.Target {
		n := made.Add(1)
		b := fresh(t, n)
		now := b.System.Now()
		p := mute.Params[W]{Name: fmt.Sprintf("checkout-%d", n), Service: "shop", Mark: fmt.Sprintf("mark%d", n), Reason: "new shelves @home",
			What: b.What, Until: now.Add(time.Hour).Truncate(time.Minute)}
		in := driver.Bare(driver.Typed[mute.State[W]](b.System.Open(p)))
		list := func(t testing.TB, w W) []mute.Entry[W] {
			t.Helper()
			all, err := b.System.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return slices.DeleteFunc(all, func(e mute.Entry[W]) bool { return !mute.Alike(e.What, w) })
		}
		target := actiontest.Target{
			Name:   "monitor " + p.Name,
			Change: in.Change,
			// A colleague moves the end of noren's mute; where there is none, she made
			// one out of noren's words.
			Meddle: func(t testing.TB) {
				want := mute.Entry[W]{What: p.What, Since: now, Until: now.Add(3 * time.Hour).Truncate(time.Minute),
					Text: fmt.Sprintf("[noren:%s:%s:%s]", b.System.Env, p.Mark, p.Name)}
				if mine := list(t, p.What); len(mine) > 0 {
					want.Text = mine[0].Text
					must(t, b.System.Change(t.Context(), mine[0], want))
					return
				}
				must(t, b.System.Create(t.Context(), want))
			},
			MeddleBeside: func(t testing.TB) {
				must(t, b.System.Create(t.Context(), mute.Entry[W]{What: b.Other, Text: "hers", Since: now, Until: now.Add(2 * time.Hour).Truncate(time.Minute)}))
			},
			Beside: func(t testing.TB) string {
				text := ""
				for _, e := range list(t, b.Other) {
					text += e.ID + e.Text
				}
				return text
			},
			LoseNextAnswer: func(testing.TB) { b.Counter.LoseNext() },
			Writes:         func(testing.TB) int { return b.Counter.Writes() },
		}
		if b.Marks {
			target.Marked = in.Marker.Marked
			target.Mark = func(t testing.TB) *action.Mark {
				mine := list(t, p.What)
				if len(mine) == 0 {
					return nil
				}
				m, err := mute.MarkIn(mine[0].Text)
				must(t, err)
				return m
			}
		}
		return target
	}}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
