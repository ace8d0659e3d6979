package mute

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/fault"
)

// A monitor is one monitor of noren.yaml.
type monitor[W any] struct {
	system  *System[W]
	name    string
	what    W
	overlap func(a, b W) bool
}

// A ringing monitor can tell what rings.
type ringing[W any] struct {
	monitor[W]
	ringer Ringer[W]
}

// Ringing implements driver.Ringer.
func (m *ringing[W]) Ringing(ctx context.Context) ([]driver.Ring, error) {
	return m.ringer.Rings(ctx, m.what)
}

// Requires implements action.Requirer.
func (m *monitor[W]) Requires() []action.Permission { return m.system.requires(m.what) }

// Mute implements driver.Monitor.
func (m *monitor[W]) Mute(ctx context.Context, asked driver.Muting) (*driver.Quiet, error) {
	q := &driver.Quiet{Calls: []driver.Call{{Action: m.system.action(), Params: Params[W]{Name: m.name, Service: asked.Service, Mark: asked.Mark,
		Reason: asked.Reason, What: m.what, Until: asked.Until}}}}
	if l, ok := m.system.Book.(Looker[W]); ok {
		notes, err := l.Look(ctx, m.what)
		if err != nil {
			return nil, err
		}
		q.Notes = notes
	}
	if err := m.system.tooLong(asked.Until); err != nil {
		return nil, err
	}
	all, err := m.system.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		over := !e.Until.IsZero() && !e.Until.After(m.system.Now())
		if e.Recurring || over || !m.overlap(e.What, m.what) {
			continue
		}
		q.Notes = append(q.Notes, driver.Note{Warn: e.Until.IsZero() || e.Until.After(asked.Until), Text: fmt.Sprintf(
			"It is muted already, %s%s. That one stays as it is, also after the opening; noren's own stands beside it.", untilWords(e.Until), by(e))})
	}
	return q, nil
}

// tooLong refuses an end that no mute of the system can have.
func (s *System[W]) tooLong(until time.Time) error {
	if s.Longest == 0 || until.Sub(s.Now()) <= s.Longest {
		return nil
	}
	return &fault.Fault{Code: fault.Invalid, Summary: "closed for longer than a mute lasts",
		Detail: fmt.Sprintf("The %s would have to last until %s, and it lasts for %d days at most.", s.called(), clock(until), s.Longest/(24*time.Hour))}
}

func untilWords(t time.Time) string {
	if t.IsZero() {
		return "without an end"
	}
	return "until " + clock(t)
}

func by[W any](e Entry[W]) string {
	return " by " + cmp.Or(e.By, "somebody") + " (" + e.ID + ")"
}

// forgotten is how old a mute of somebody else's is before leftovers tells of it.
const forgotten = 7 * 24 * time.Hour

// Traces finds the mutes that noren made in this environment, and those of others
// that look forgotten: without an end, or older than a week. Those that come again
// and again are meant so.
func (s *System[W]) Traces(ctx context.Context) (*driver.Traces, error) {
	all, err := s.List(ctx)
	if err != nil {
		return nil, err
	}
	found := &driver.Traces{Seen: []driver.Seen{{Kind: s.Seen, Count: len(all)}}}
	seen := map[tag]bool{}
	for _, e := range all {
		t, ours := tagOf(e.Text)
		switch {
		case ours && t.env == s.Env && !seen[t]:
			seen[t] = true
			if err := s.trace(found, t, e); err != nil {
				return nil, err
			}
		case ours: // another environment's, which looks for itself
		case s.looksForgotten(e):
			found.Unmarked = append(found.Unmarked, driver.Unmarked{Target: fmt.Sprintf("%s:%s/%s/id:%s", s.Driver, s.Env, s.Word, e.ID),
				What: "it mutes " + untilWords(e.Until) + ", and nobody may know any more", By: e.By, Since: e.Since, Advice: []string{s.ByHand(e)}})
		}
	}
	return found, nil
}

func (s *System[W]) looksForgotten(e Entry[W]) bool {
	return !e.Recurring && (e.Until.IsZero() || !e.Since.IsZero() && s.Now().Sub(e.Since) > forgotten)
}

func (s *System[W]) trace(found *driver.Traces, t tag, e Entry[W]) error {
	target := s.target(t.name)
	m, err := MarkIn(e.Text)
	if m != nil {
		f := driver.FoundMark{On: target, Mark: *m}
		if err != nil {
			f.Wrong = err.Error()
		}
		found.Marks = append(found.Marks, f)
		return nil
	}
	u := driver.Unmarked{Target: target, Ours: true, By: e.By, Since: e.Since,
		What: fmt.Sprintf("noren keeps %s quiet, %s", t.name, untilWords(e.Until)), Advice: []string{s.ByHand(e)}}
	if until := second(e.Until); !until.IsZero() { // one of noren's has an end
		now, err := driver.StateOf(&State[W]{e.What, until})
		if err != nil {
			return fmt.Errorf("%s: %w", target, err)
		}
		u.Made = &driver.Made{Token: t.mark, Monitor: t.name, Now: now, Call: driver.Call{Action: s.action(), Params: Params[W]{Name: t.name, Mark: t.mark, What: e.What, Until: until}}}
	}
	found.Unmarked = append(found.Unmarked, u)
	return nil
}
