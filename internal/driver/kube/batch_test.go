package kube

import (
	"errors"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
)

// TestPatchFromAnOldList: a write that was prepared from a list for many loses
// nobody's work. What changed since the list makes the server refuse it, beside
// what is written too; the next try looks for itself.
func TestPatchFromAnOldList(t *testing.T) {
	t.Parallel()
	for name, ours := range map[string]bool{"a colleague writes beside it": false, "a colleague writes our fields": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := patchTarget(t, webIngress("web", "shop.example.com"))
			many := driver.WithBatch(t.Context(), driver.Batch{Since: time.Now(), Size: 100})
			from, err := target.Change.Observe(many)
			must(t, err)
			to, err := target.Change.Propose(from)
			must(t, err)
			if ours {
				target.Meddle(t)
			} else {
				target.MeddleBeside(t)
			}
			beside, writes := target.Beside(t), target.Writes(t)
			if err := target.Change.Apply(many, from, to); !errors.Is(err, driver.ErrOutdated) || !errors.Is(err, action.ErrUnavailable) {
				t.Errorf("from the old list: %v, want outdated", err)
			}
			if got := target.Writes(t); got != writes {
				t.Errorf("%d writes from an old list", got-writes)
			}
			err = target.Change.Apply(driver.Alone(many), from, to)
			if ours != errors.Is(err, action.ErrDrift) || !ours && err != nil {
				t.Errorf("from a look of its own: %v", err)
			}
			if got := target.Beside(t); got != beside {
				t.Errorf("beside it: %s, want %s", got, beside)
			}
		})
	}
}

// TestDoneAlreadyIsSeenByItself: a list that shows the state wanted is not
// believed where somebody took it back since.
func TestDoneAlreadyIsSeenByItself(t *testing.T) {
	t.Parallel()
	target := patchTarget(t, webIngress("web", "shop.example.com"))
	from, err := target.Change.Observe(t.Context())
	must(t, err)
	to, err := target.Change.Propose(from)
	must(t, err)
	must(t, target.Change.Apply(t.Context(), from, to))
	many := driver.WithBatch(t.Context(), driver.Batch{Since: time.Now(), Size: 100})
	if seen, err := target.Change.Observe(many); err != nil || !seen.Equal(to) {
		t.Fatalf("the list shows %s, %v", seen.Fields, err)
	}
	must(t, target.Change.Apply(t.Context(), to, from))
	must(t, target.Change.Apply(many, from, to))
	if now, err := target.Change.Observe(t.Context()); err != nil || !now.Equal(to) {
		t.Errorf("an Apply said that it is done already, by an old list: %s, %v", now.Fields, err)
	}
}
