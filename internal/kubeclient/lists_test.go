package kubeclient_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/kubeclient"
)

type thing struct{ name string }

// shelf is a namespace of things, and counts how it is read.
type shelf struct {
	size        int
	refusal     error // of a list
	ones, pages atomic.Int64
	listing     chan struct{} // if not nil, a list waits for it
}

func (s *shelf) objects() *kubeclient.Objects[thing] {
	return &kubeclient.Objects[thing]{
		One: func(_ context.Context, _, name string) (*thing, error) {
			s.ones.Add(1)
			return &thing{name}, nil
		},
		Page: func(_ context.Context, _ string, opts metav1.ListOptions) (map[string]*thing, metav1.ListMeta, error) {
			s.pages.Add(1)
			if s.listing != nil {
				<-s.listing
			}
			if s.refusal != nil {
				return nil, metav1.ListMeta{}, s.refusal
			}
			page, meta := map[string]*thing{}, metav1.ListMeta{}
			from, _ := strconv.Atoi(opts.Continue) // "" is the beginning
			to := min(s.size, from+int(opts.Limit))
			for i := from; i < to; i++ {
				page[fmt.Sprint("t", i)] = &thing{fmt.Sprint("t", i)}
			}
			if rest := int64(s.size - to); rest > 0 {
				meta.Continue, meta.RemainingItemCount = fmt.Sprint(to), &rest
			}
			return page, meta, nil
		},
	}
}

func TestObjects(t *testing.T) {
	t.Parallel()
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "things"}, "", errors.New("no"))
	broken := &apierrors.StatusError{ErrStatus: metav1.Status{Code: http.StatusInternalServerError}}
	for _, c := range []struct {
		name        string
		shelf       *shelf
		asked       int
		ones, pages int64
	}{
		{"few are read one by one", &shelf{size: 100}, 8, 8, 0},
		{"many are listed once", &shelf{size: 100}, 100, 0, 1},
		{"a long list has pages", &shelf{size: 1200}, 1000, 0, 3},
		{"what may not be listed is read one by one", &shelf{size: 100, refusal: forbidden}, 100, 100, 1},
		{"a list that fails fails nobody, and is tried again", &shelf{size: 100, refusal: broken}, 20, 20, 20},
		{"a list of far more than is asked for is given up", &shelf{size: 5000}, 20, 20, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			objects := c.shelf.objects()
			ctx := driver.WithBatch(t.Context(), driver.Batch{Since: time.Now(), Size: c.asked})
			for i := range c.asked {
				name := fmt.Sprint("t", i)
				got, err := objects.Get(ctx, "shop", name)
				if err != nil || got == nil || got.name != name {
					t.Fatalf("%s: %v, %v", name, got, err)
				}
			}
			if ones, pages := c.shelf.ones.Load(), c.shelf.pages.Load(); ones != c.ones || pages != c.pages {
				t.Errorf("%d read alone and %d pages, want %d and %d", ones, pages, c.ones, c.pages)
			}
			if c.ones > 0 {
				return
			}
			if got, err := objects.Get(ctx, "shop", "nowhere"); got != nil || err != nil {
				t.Errorf("what does not exist: %v, %v", got, err)
			}
		})
	}
}

// TestListIsNewEnough: a list answers those alone who asked before it was begun.
func TestListIsNewEnough(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var reads int
		lately := &kubeclient.Lately[int]{}
		ask := func(since time.Time) int {
			got, err := lately.Do(driver.WithBatch(t.Context(), driver.Batch{Since: since, Size: 100}), func(context.Context) (int, error) {
				reads++
				return reads, nil
			})
			if err != nil {
				t.Error(err)
			}
			return got
		}
		first := time.Now()
		if got := []int{ask(first), ask(first)}; got[0] != 1 || got[1] != 1 {
			t.Errorf("answers to the same batch are %v, want one", got)
		}
		<-time.After(time.Second)
		written := time.Now()
		if got := ask(written); got != 2 {
			t.Errorf("after a write, the answer of before it was given: %d", got)
		}
		if got := ask(first); got != 2 {
			t.Errorf("the older batch got %d, want the newest", got)
		}
	})
}

// TestListIsShared: those who ask while a list is under way wait for it.
func TestListIsShared(t *testing.T) {
	t.Parallel()
	s := &shelf{size: 100, listing: make(chan struct{})}
	objects := s.objects()
	ctx := driver.WithBatch(t.Context(), driver.Batch{Since: time.Now(), Size: 100})
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			if got, err := objects.Get(ctx, "shop", fmt.Sprint("t", i)); err != nil || got == nil {
				t.Error(got, err)
			}
		})
	}
	close(s.listing)
	all.Wait()
	if pages, ones := s.pages.Load(), s.ones.Load(); pages != 1 || ones != 0 {
		t.Errorf("%d lists and %d reads, want 1 and 0", pages, ones)
	}
}

// TestStopOfOne: the read goes on for the others when one of those who wait is
// told to stop, and ends with the last.
func TestStopOfOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lately := &kubeclient.Lately[int]{}
		ended := make(chan error, 1)
		read := func(ctx context.Context) (int, error) {
			<-ctx.Done()
			ended <- ctx.Err()
			return 0, ctx.Err()
		}
		batch := driver.WithBatch(t.Context(), driver.Batch{Since: time.Now(), Size: 100})
		stops := make([]context.CancelFunc, 2)
		for i := range stops {
			var ctx context.Context
			ctx, stops[i] = context.WithCancel(batch)
			go func() {
				if _, err := lately.Do(ctx, read); !errors.Is(err, context.Canceled) {
					t.Errorf("who was told to stop got %v", err)
				}
			}()
		}
		synctest.Wait()
		stops[0]()
		synctest.Wait()
		select {
		case err := <-ended:
			t.Error("the read ended though one waits for it:", err)
		default:
		}
		stops[1]()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// TestImpatient: who gives up waiting and asks again waits for the same read.
func TestImpatient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lately := &kubeclient.Lately[int]{}
		reads := 0
		read := func(context.Context) (int, error) {
			reads++
			<-time.After(10 * time.Second)
			return 7, nil
		}
		batch := driver.WithBatch(t.Context(), driver.Batch{Since: time.Now(), Size: 100})
		hurried, cancel := context.WithTimeout(batch, time.Second)
		defer cancel()
		if _, err := lately.Do(hurried, read); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v after a second", err)
		}
		if n, err := lately.Do(batch, read); n != 7 || err != nil || reads != 1 {
			t.Errorf("got %d, %v after %d reads", n, err, reads)
		}
	})
}

// TestBrokenRead: a read that panics fails those who wait, not the process.
func TestBrokenRead(t *testing.T) {
	t.Parallel()
	_, err := (&kubeclient.Lately[int]{}).Do(t.Context(), func(context.Context) (int, error) { panic("broken") })
	if err == nil || !strings.Contains(err.Error(), "bug in noren") {
		t.Errorf("got %v", err)
	}
}
