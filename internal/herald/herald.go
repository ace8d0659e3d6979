// Package herald tells people of runs through the channels of their environment:
// it follows the events of runs, and hands each channel a run as it is now with
// what the channel has not told yet.
//
// No run ever waits for it. Who is authoritative: the plan names the channels,
// and the events say how far each has told. What a channel told is an event of
// the run, recorded when the outside has answered, so that a process that carries
// on after another died tells what is left. Between an answer and its record the
// same can be told twice; a channel is told so ([driver.Hearing].Again) and looks
// for what it left.
//
// One process tells at a time: it holds a lock of the state directory, which the
// kernel lets go of when the process dies. Others wait their turn.
package herald

import (
	"context"
	"sync"
	"time"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// Records are what a herald needs of the store.
type Records interface {
	Run(ctx context.Context, id string) (*run.Run, error)
	Events(ctx context.Context, id string, after int64) ([]run.Event, error)
	Append(ctx context.Context, e run.Event) (run.Event, error)
	Unfinished(ctx context.Context) ([]string, error)
	RunIDs(ctx context.Context, limit int) ([]string, error)
	// On lists the runs of a kind about a closing.
	On(ctx context.Context, closing string, kind plan.Kind) ([]string, error)
}

// Options are what a Herald is made of.
type Options struct {
	Records  Records
	Registry *driver.Registry
	Now      func() time.Time
	// Lock takes the place of the one process that tells; ok is false while
	// another has it.
	Lock func() (release func() error, ok bool, err error)
	// Hook, if not nil, is called at the points at which tests kill the process.
	Hook func(point string)
}

const (
	lookEvery = 100 * time.Millisecond // at the events
	callLimit = 15 * time.Second       // of one call to a channel
	firstWait = 500 * time.Millisecond // before what failed is tried again; it doubles
	longest   = 30 * time.Second
	// patience is how long a channel that does not answer is tried after a run's
	// last event.
	patience = 2 * time.Minute
	// recent is how old the last event of a run can be for which a process that
	// died had no time; recents is how many runs are looked at.
	recent  = 24 * time.Hour
	recents = 20
)

// A Herald tells people of the runs that it watches, and of those that others
// began and left untold. It is safe for concurrent use.
type Herald struct {
	Options

	mu      sync.Mutex
	watched map[string]*teller
	failed  map[string]string // by run and channel: why it is given up
	cancel  context.CancelFunc
	done    chan struct{} // nil while it rests
}

// New makes a herald that rests.
func New(o Options) *Herald {
	return &Herald{Options: o, watched: map[string]*teller{}, failed: map[string]string{}}
}

// Watch tells of a run from now on, if it has channels. The herald works in the
// background, also when ctx is done, until nothing is left to tell, or
// [Herald.Stop].
func (h *Herald) Watch(ctx context.Context, r *run.Run) {
	if len(r.Plan.Ears) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watched[r.ID] != nil {
		return
	}
	h.watched[r.ID] = &teller{herald: h, id: r.ID}
	if h.done != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	h.cancel, h.done = cancel, make(chan struct{})
	go h.work(ctx, h.done)
}

// Stop ends its work. What is untold is told by the next process.
func (h *Herald) Stop() {
	h.mu.Lock()
	cancel, done := h.cancel, h.done
	h.mu.Unlock()
	if done != nil {
		cancel()
		<-done
	}
}

// work waits for its turn and tells until nothing is left.
func (h *Herald) work(ctx context.Context, done chan struct{}) {
	defer close(done)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var release func() error
	for {
		if release == nil {
			var ok bool
			var err error
			if release, ok, err = h.Lock(); err != nil || !ok {
				release = nil
			} else {
				h.leftover(ctx)
			}
		}
		if release != nil {
			h.look(ctx)
		} else {
			h.forgetTold(ctx)
		}
		if ctx.Err() != nil || h.idle() {
			break
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	if ctx.Err() != nil {
		h.endTellers()
	}
	if release != nil {
		_ = release() // the kernel does it at the latest when the process ends
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.done = nil
	if len(h.watched) > 0 && ctx.Err() == nil { // watched in this last moment
		again, cancel := context.WithCancel(context.WithoutCancel(ctx))
		h.cancel, h.done = cancel, make(chan struct{})
		go h.work(again, h.done)
	}
}

// idle tells whether there is nothing left to watch.
func (h *Herald) idle() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.watched) == 0
}

// leftover watches what others left untold.
func (h *Herald) leftover(ctx context.Context) {
	ids, err := h.Records.RunIDs(ctx, recents)
	if err != nil {
		return
	}
	for _, id := range ids {
		r, err := h.Records.Run(ctx, id)
		if err != nil || len(r.Plan.Ears) == 0 || h.Now().Sub(r.LastAt) > recent {
			continue
		}
		h.mu.Lock()
		if h.watched[id] == nil {
			h.watched[id] = &teller{herald: h, id: id}
		}
		h.mu.Unlock()
	}
}

// look gives every teller what is new, and lets go of those that are done.
func (h *Herald) look(ctx context.Context) {
	if ids, err := h.Records.Unfinished(ctx); err == nil {
		for _, id := range ids {
			h.mu.Lock()
			known := h.watched[id] != nil
			h.mu.Unlock()
			if known {
				continue
			}
			if r, err := h.Records.Run(ctx, id); err == nil && len(r.Plan.Ears) > 0 {
				h.mu.Lock()
				h.watched[id] = &teller{herald: h, id: id}
				h.mu.Unlock()
			}
		}
	}
	for _, t := range h.tellers() {
		if t.look(ctx) {
			h.forget(t)
		}
	}
}

// forgetTold lets go of what another process has told meanwhile.
func (h *Herald) forgetTold(ctx context.Context) {
	for _, t := range h.tellers() {
		r, err := h.Records.Run(ctx, t.id)
		if err != nil || !r.Status.Ended() {
			continue
		}
		events, err := h.Records.Events(ctx, t.id, 0)
		if err == nil && len(untold(r, noticesOf(r, events))) == 0 {
			h.forget(t)
		}
	}
}

func (h *Herald) tellers() []*teller {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []*teller
	for _, t := range h.watched {
		all = append(all, t)
	}
	return all
}

func (h *Herald) forget(t *teller) {
	t.end()
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watched, t.id)
}

func (h *Herald) endTellers() {
	for _, t := range h.tellers() {
		t.end()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.watched)
}

// point is where tests kill the process.
func (h *Herald) point(name string) {
	if h.Hook != nil {
		h.Hook(name)
	}
}

func (h *Herald) fail(id, channel, why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failed[id+" "+channel] = why
}

func (h *Herald) why(id, channel string) (string, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	why, ok := h.failed[id+" "+channel]
	return why, ok
}

// untold lists the channels that have not told all of the notices.
func untold(r *run.Run, notices []driver.Notice) []driver.Ear {
	var all []driver.Ear
	if len(notices) == 0 {
		return nil
	}
	for _, ear := range r.Plan.Ears {
		if r.Heard[ear.Driver].Upto < notices[len(notices)-1].Seq {
			all = append(all, ear)
		}
	}
	return all
}
