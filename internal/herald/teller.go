package herald

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// A teller tells of one run. Its channels work side by side, so that a slow one
// holds up no other.
type teller struct {
	herald *Herald
	id     string

	mu       sync.Mutex // guards what follows
	begun    time.Time
	run      *run.Run
	events   []run.Event
	notices  []driver.Notice
	channels []*channel

	cancel context.CancelFunc
	group  sync.WaitGroup
}

// A channel is one of a teller's.
type channel struct {
	teller *teller
	ear    driver.Ear
	wake   chan struct{} // of one place: there is something new
	upto   int64
	handle string
	begun  bool
	again  bool
	given  bool // given up
}

// look reads what is new. It tells whether the run has ended and all is told, or
// given up.
func (t *teller) look(ctx context.Context) (over bool) {
	if t.run == nil && !t.begin(ctx) {
		return false
	}
	t.mu.Lock()
	last := t.run.Last
	t.mu.Unlock()
	fresh, err := t.herald.Records.Events(ctx, t.id, last)
	if err != nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(fresh) > 0 || t.notices == nil {
		for _, e := range fresh {
			t.run.Fold(e)
		}
		t.events = append(t.events, fresh...)
		t.notices = noticesOf(t.run, t.events)
	}
	told := true
	for _, c := range t.channels {
		if c.behind() && !c.given {
			told = false
			select {
			case c.wake <- struct{}{}:
			default:
			}
		}
	}
	now := t.herald.Now()
	return t.run.Status.Ended() && (told || now.Sub(t.run.LastAt) > patience && now.Sub(t.begun) > patience)
}

func (t *teller) begin(ctx context.Context) bool {
	r, err := t.herald.Records.Run(ctx, t.id)
	if err != nil {
		return false
	}
	ctx, t.cancel = context.WithCancel(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begun = t.herald.Now()
	t.run = run.New(r.ID, r.Plan, r.Digest, r.Actor, r.Created)
	for _, ear := range r.Plan.Ears {
		heard := r.Heard[ear.Driver]
		c := &channel{teller: t, ear: ear, wake: make(chan struct{}, 1), upto: heard.Upto, handle: heard.Handle, begun: heard.Begun, again: heard.Begun}
		t.channels = append(t.channels, c)
		t.group.Go(func() { c.work(ctx) })
	}
	return true
}

// end stops the channels and waits for them.
func (t *teller) end() {
	if t.cancel != nil {
		t.cancel()
		t.group.Wait()
	}
}

// behind is called with the teller's lock held.
func (c *channel) behind() bool {
	n := c.teller.notices
	return len(n) > 0 && n[len(n)-1].Seq > c.upto
}

func (c *channel) work(ctx context.Context) {
	session := c.session()
	pause := firstWait
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		}
		for {
			hearing, ok, err := c.hearing(ctx)
			if err == nil && !ok {
				break
			}
			if err == nil {
				err = c.hear(ctx, session, hearing)
			}
			if err == nil {
				c.again, pause = false, firstWait
				continue
			}
			if ctx.Err() != nil {
				return
			}
			c.again = true
			c.teller.herald.fail(c.teller.id, c.ear.Driver, brief(err))
			if !errors.Is(err, action.ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded) {
				c.giveUp()
				return
			}
			session = c.session() // a connection that failed stays failed
			if !wait(ctx, later(err, pause)) {
				return
			}
			pause = min(2*pause, longest)
		}
	}
}

func (c *channel) session() *driver.Session {
	t := c.teller
	env := t.run.Plan.Environment
	configs := map[string]json.RawMessage{c.ear.Driver: env.Drivers[c.ear.Driver]}
	return t.herald.Registry.Open(driver.Env{Name: env.Name, Now: t.herald.Now}, configs)
}

// hearing is what there is to tell, if there is something.
func (c *channel) hearing(ctx context.Context) (driver.Hearing, bool, error) {
	t := c.teller
	h, ok := c.untold()
	if !ok {
		return h, false, nil
	}
	r, err := t.herald.Records.Run(ctx, t.id)
	if err == nil {
		h.Story, err = t.herald.story(ctx, r)
	}
	if err == nil && r.Plan.Kind == plan.Open && r.Status == run.Done {
		h.Earlier, err = c.earlier(ctx, r.Plan.Closing)
	}
	if err != nil {
		return h, false, errors.Join(action.ErrUnavailable, err)
	}
	return h, true, nil
}

// untold is a hearing with the notices that are not told yet, if there are any.
func (c *channel) untold() (h driver.Hearing, ok bool) {
	t := c.teller
	t.mu.Lock()
	defer t.mu.Unlock()
	h = driver.Hearing{Handle: c.handle, Again: c.again, Keep: c.keep}
	for _, n := range t.notices {
		if n.Seq > c.upto {
			h.Notices = append(h.Notices, n)
		}
	}
	return h, c.behind()
}

// earlier is what this channel told of the closing.
func (c *channel) earlier(ctx context.Context, closing string) (*driver.Earlier, error) {
	h := c.teller.herald
	r, err := h.Records.Run(ctx, closing)
	if err != nil || r.Heard[c.ear.Driver].Handle == "" {
		return nil, err
	}
	s, err := h.story(ctx, r)
	return &driver.Earlier{Handle: r.Heard[c.ear.Driver].Handle, Story: s}, err
}

// hear tells once. That it begins is recorded before its first call, so that
// whoever carries on knows.
func (c *channel) hear(ctx context.Context, session *driver.Session, h driver.Hearing) error {
	t := c.teller
	if !c.begun {
		if _, err := t.herald.Records.Append(ctx, run.Event{Run: t.id, Type: run.Telling, Data: run.Data{Channel: c.ear.Driver}}); err != nil {
			return errors.Join(action.ErrUnavailable, err)
		}
		c.begun = true
	}
	t.herald.point("telling " + c.ear.Driver)
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	if err := session.Hear(ctx, c.ear.Driver, h); err != nil {
		return err
	}
	return c.keep(ctx, h.Last(), c.handle)
}

// keep records how far the channel has told.
func (c *channel) keep(ctx context.Context, upto int64, handle string) error {
	t := c.teller
	if upto == c.upto && handle == c.handle {
		return nil
	}
	t.herald.point("told " + c.ear.Driver)
	_, err := t.herald.Records.Append(ctx, run.Event{Run: t.id, Type: run.Told, Data: run.Data{Channel: c.ear.Driver, Upto: upto, Handle: handle}})
	if err != nil {
		return errors.Join(action.ErrUnavailable, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	c.upto, c.handle = upto, handle
	return nil
}

func (c *channel) giveUp() {
	c.teller.mu.Lock()
	defer c.teller.mu.Unlock()
	c.given = true
}

// later is how long to wait before another try.
func later(err error, pause time.Duration) time.Duration {
	var asked driver.Later
	if errors.As(err, &asked) {
		return max(pause, asked.RetryAfter())
	}
	return pause
}

func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// brief is an error in one line.
func brief(err error) string {
	if all := fault.Of(err); len(all) > 0 && all[0].Detail != "" {
		return all[0].Detail
	}
	return err.Error()
}
