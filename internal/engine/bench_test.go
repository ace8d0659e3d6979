package engine_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/engine"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// BenchmarkClose300 closes 300 things that answer at once: what is measured is
// the engine and its records.
func BenchmarkClose300(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		r := newRig(b)
		things := &memory{values: map[string]string{}}
		var err error
		r.engine, err = engine.Open(b.Context(), engine.Options{Store: r.store, Registry: driver.NewRegistry(things.driver()), Dir: r.dir, Now: time.Now, Hook: r.hook})
		if err != nil {
			b.Fatal(err)
		}
		var steps []plan.Step
		for i := range 300 {
			name := fmt.Sprintf("t%d", i)
			things.values[name] = "open"
			steps = append(steps, changes("memory/thing", name, "open", "closed"))
		}
		p := closing(plan.Undo, stage(plan.StageClose, steps...))
		b.StartTimer()
		r.create("c1", p)
		r.reach("ended", 1)
		b.StopTimer()
		if got := r.read("c1"); got.Status != run.Done {
			b.Fatalf("%s: %+v", got.Status, got.Problem)
		}
		r.stop()
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N)/300, "ms/change")
}

// BenchmarkOpen starts an executor in a directory that was used before.
func BenchmarkOpen(b *testing.B) {
	r := newRig(b)
	r.start().stop()
	for b.Loop() {
		r.start()
		b.StopTimer()
		r.stop()
		b.StartTimer()
	}
}

type memory struct {
	mu     sync.Mutex
	values map[string]string
}

func (m *memory) driver() *driver.Driver {
	return driver.New("memory", "Things in memory.", func(context.Context, struct{}, driver.Env) (*memory, error) { return m, nil },
		driver.Changes("memory/thing", "Sets a value.", func(m *memory, p thingParams) (driver.Typed[thingState], error) {
			return memoryChange{m, p}, nil
		}))
}

type memoryChange struct {
	*memory
	thingParams
}

func (c memoryChange) Target() string { return "memory:" + c.Name }

func (c memoryChange) Observe(context.Context) (*thingState, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &thingState{c.values[c.Name]}, nil
}

func (c memoryChange) Propose(*thingState) (*thingState, error) { return stateOf(c.To), nil }

func (c memoryChange) Apply(_ context.Context, _, to *thingState) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.values[c.Name] = to.Value
	return nil
}
