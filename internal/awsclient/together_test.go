package awsclient

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/driver"
)

// A counter is a source that says how it is read.
type counter struct {
	mu    sync.Mutex
	reads []string
	fails error
}

func (c *counter) read(_ context.Context, names []string) (map[string]*string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads = append(c.reads, strings.Join(names, " "))
	if c.fails != nil {
		return nil, c.fails
	}
	all := map[string]*string{}
	for _, n := range names {
		if n != "absent" {
			all[n] = &n
		}
	}
	return all, nil
}

// TestTogether: those who ask side by side are answered by few reads, each as new
// as its batch demands.
func TestTogether(t *testing.T) {
	var c counter
	together := &Together[string]{Most: 4, Read: c.read}
	for i := range 10 {
		together.Expect(fmt.Sprint("n", i))
	}
	ask := func(ctx context.Context) {
		t.Helper()
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				name := fmt.Sprint("n", i)
				if got, err := together.Get(ctx, name); err != nil || got == nil || *got != name {
					t.Errorf("%s: %v %v", name, got, err)
				}
			})
		}
		all.Wait()
	}
	many := driver.WithBatch(t.Context(), driver.Batch{Since: time.Now(), Size: 10})
	ask(many)
	ask(many)
	if len(c.reads) != 3 {
		t.Errorf("read %q", c.reads)
	}
	ask(driver.WithBatch(t.Context(), driver.Batch{Since: time.Now(), Size: 10}))
	if len(c.reads) != 6 {
		t.Errorf("a newer batch read %q", c.reads)
	}
	if got, err := together.Get(t.Context(), "n1"); err != nil || *got != "n1" || c.reads[6] != "n1" {
		t.Errorf("alone: %v %v %q", got, err, c.reads)
	}
	if got, err := together.Get(many, "absent"); err != nil || got != nil {
		t.Errorf("%v %v", got, err)
	}
}

// TestTogetherFails: an error is told to those who asked and not remembered, a
// panic fails no more than they, and who gives up does not wait.
func TestTogetherFails(t *testing.T) {
	c := counter{fails: errors.New("throttled")}
	together := &Together[string]{Most: 4, Read: c.read}
	many := func() context.Context {
		return driver.WithBatch(t.Context(), driver.Batch{Since: time.Now(), Size: 10})
	}
	if _, err := together.Get(many(), "a"); err == nil {
		t.Error("no error")
	}
	c.fails = nil
	if got, err := together.Get(many(), "a"); err != nil || got == nil {
		t.Errorf("%v %v", got, err)
	}
	broken := &Together[string]{Most: 4, Read: func(context.Context, []string) (map[string]*string, error) { panic("nil map") }}
	if _, err := broken.Get(many(), "a"); err == nil || !strings.Contains(err.Error(), "bug in noren") {
		t.Errorf("%v", err)
	}
	hold := make(chan struct{})
	slow := &Together[string]{Most: 4, Read: func(context.Context, []string) (map[string]*string, error) { <-hold; return nil, nil }}
	done, cancel := context.WithCancel(many())
	time.AfterFunc(time.Millisecond, cancel)
	if _, err := slow.Get(done, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	close(hold)
}

// TestSlots: two marks on one thing do not see each other.
func TestSlots(t *testing.T) {
	tags := map[string]string{"team": "cart", TagRun: "a", markPrefix + "00": "x", "noren:suspend:run": "b", "noren:suspend:mark:00": "y"}
	in := MarkTagsIn("suspend", tags)
	if in[TagRun] != "b" || in[markPrefix+"00"] != "y" || in["team"] != "cart" || len(in) != len(tags) || len(MarkKeys(in)) != 2 {
		t.Errorf("%v", in)
	}
	if keys := MarkKeys(tags); len(keys) != 2 {
		t.Errorf("%v", keys)
	}
}
