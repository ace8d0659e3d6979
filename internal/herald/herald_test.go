package herald_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/herald"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// records are those of a store, in memory.
type records struct {
	mu     sync.Mutex
	plans  map[string]*plan.Plan
	events []run.Event
}

func (r *records) Append(_ context.Context, e run.Event) (run.Event, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.Seq, e.At = int64(len(r.events)+1), time.Now()
	r.events = append(r.events, e)
	return e, nil
}

func (r *records) Events(_ context.Context, id string, after int64) ([]run.Event, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.events), func(e run.Event) bool { return e.Run != id || e.Seq <= after }), nil
}

func (r *records) Run(ctx context.Context, id string) (*run.Run, error) {
	events, err := r.Events(ctx, id, 0)
	out := run.New(id, r.plans[id], "", "ann@ops1", time.Now())
	for _, e := range events {
		out.Fold(e)
	}
	return out, err
}

func (r *records) Unfinished(context.Context) ([]string, error) { return nil, nil }

func (r *records) On(context.Context, string, plan.Kind) ([]string, error) { return nil, nil }

func (r *records) RunIDs(context.Context, int) ([]string, error) {
	var all []string
	for id := range r.plans {
		all = append(all, id)
	}
	return all, nil
}

// A bench is a state directory with one closing that is done.
type bench struct {
	*records
	mu   sync.Mutex
	told map[string][]string // by channel
	lock chan struct{}       // of one place
	hear map[string]func(ctx context.Context) error
}

type config struct{}

func newBench(t *testing.T, channels ...string) *bench {
	t.Helper()
	p := &plan.Plan{Kind: plan.Close, Environment: plan.Environment{Name: "prod", Drivers: driver.Configs{}}, Services: []plan.Service{{Name: "shop"}}, Zone: "Asia/Tokyo", Pass: "s3cret", Reason: "with s3cret"}
	for _, name := range channels {
		p.Ears = append(p.Ears, driver.Ear{Driver: name, Who: name})
	}
	b := &bench{records: &records{plans: map[string]*plan.Plan{"close-1": p}}, told: map[string][]string{}, lock: make(chan struct{}, 1), hear: map[string]func(context.Context) error{}}
	for _, e := range []run.Event{{Type: run.RunStarted}, {Type: run.StageStarted, Data: run.Data{Stage: plan.StageClose}}, {Type: run.RunEnded, Data: run.Data{Status: run.Done}}} {
		e.Run = "close-1"
		if _, err := b.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// herald is one process.
func (b *bench) herald(t *testing.T) *herald.Herald {
	t.Helper()
	var drivers []*driver.Driver
	for _, ear := range b.plans["close-1"].Ears {
		name := ear.Driver
		drivers = append(drivers, driver.New(name, "", func(context.Context, config, driver.Env) (int, error) { return 0, nil },
			driver.Hears(func(ctx context.Context, _ int, h driver.Hearing) error {
				if f := b.hear[name]; f != nil {
					if err := f(ctx); err != nil {
						return err
					}
				}
				b.mu.Lock()
				defer b.mu.Unlock()
				for _, n := range h.Notices {
					b.told[name] = append(b.told[name], fmt.Sprintf("%s %s", n.Kind, n.Text))
				}
				b.told[name] = append(b.told[name], fmt.Sprint(h.Story.Facts))
				return nil
			})))
	}
	h := herald.New(herald.Options{Records: b.records, Registry: driver.NewRegistry(drivers...), Now: time.Now, Lock: func() (func() error, bool, error) {
		select {
		case b.lock <- struct{}{}:
			return func() error { <-b.lock; return nil }, true, nil
		default:
			return nil, false, nil
		}
	}})
	t.Cleanup(h.Stop)
	return h
}

func (b *bench) heard(name string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.told[name], "\n")
}

func (b *bench) watch(t *testing.T, h *herald.Herald) {
	t.Helper()
	r, err := b.Run(t.Context(), "close-1")
	if err != nil {
		t.Fatal(err)
	}
	h.Watch(t.Context(), r)
}

// TestHangingChannel holds up neither the others nor the end, and is noted.
func TestHangingChannel(t *testing.T) {
	t.Parallel()
	b := newBench(t, "quick", "hangs")
	b.hear["hangs"] = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	h := b.herald(t)
	b.watch(t, h)
	missed, err := h.Settle(t.Context(), "close-1", 500*time.Millisecond)
	if err != nil || len(missed) != 1 || missed[0].Driver != "hangs" || missed[0].Why == "" {
		t.Errorf("missed %+v, %v; want the one that hangs", missed, err)
	}
	if got := b.heard("quick"); !strings.Contains(got, "ended Closed: shop in prod") || strings.Contains(got, "s3cret") {
		t.Errorf("the other heard %q", got)
	}
	r, err := b.Run(t.Context(), "close-1")
	if err != nil || r.Heard["hangs"].Missed == "" || r.Heard["quick"].Upto != 3 || r.Status != run.Done {
		t.Errorf("recorded %+v, %s, %v", r.Heard, r.Status, err)
	}
}

// TestRefusedForGood is not waited for, nor tried again.
func TestRefusedForGood(t *testing.T) {
	t.Parallel()
	b := newBench(t, "wrong")
	calls := 0
	b.hear["wrong"] = func(context.Context) error {
		calls++
		return &fault.Fault{Code: fault.Denied, Summary: "refused", Detail: "The token is wrong."}
	}
	h := b.herald(t)
	b.watch(t, h)
	missed, err := h.Settle(t.Context(), "close-1", time.Hour)
	if err != nil || len(missed) != 1 || missed[0].Why != "The token is wrong." {
		t.Errorf("missed %+v, %v", missed, err)
	}
	h.Stop()
	if calls != 1 {
		t.Errorf("%d calls, want 1", calls)
	}
}

// TestTriedAgain has a channel that is down for two calls.
func TestTriedAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, "down")
	calls := 0
	b.hear["down"] = func(context.Context) error {
		if calls++; calls <= 2 {
			return errors.Join(action.ErrUnavailable)
		}
		return nil
	}
	h := b.herald(t)
	b.watch(t, h)
	if missed, err := h.Settle(t.Context(), "close-1", time.Minute); err != nil || len(missed) > 0 {
		t.Errorf("missed %+v, %v", missed, err)
	}
	if got := strings.Count(b.heard("down"), "ended "); got != 1 {
		t.Errorf("told %d times", got)
	}
}

// TestOneTells has two processes watch one run: it is told once, and both know.
func TestOneTells(t *testing.T) {
	t.Parallel()
	b := newBench(t, "quick")
	first, second := b.herald(t), b.herald(t)
	b.watch(t, first)
	b.watch(t, second)
	for _, h := range []*herald.Herald{first, second} {
		if missed, err := h.Settle(t.Context(), "close-1", time.Minute); err != nil || len(missed) > 0 {
			t.Errorf("missed %+v, %v", missed, err)
		}
	}
	if got := strings.Count(b.heard("quick"), "ended "); got != 1 {
		t.Errorf("told %d times:\n%s", got, b.heard("quick"))
	}
}
