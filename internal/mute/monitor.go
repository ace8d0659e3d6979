package mute

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/noren-dev/noren/internal/driver"
)

// A Monitor is one monitor of noren.yaml.
type Monitor[W any] struct {
	System *System[W]
	Name   string
	What   W
	// Exists fails where what is to be muted does not exist; nil where the system
	// cannot tell.
	Exists func(ctx context.Context) error
}

// A RingingMonitor is a Monitor that can tell what rings.
type RingingMonitor[W any] struct {
	Monitor[W]
	Rings func(ctx context.Context) ([]driver.Ring, error)
}

// Ringing implements driver.Ringer.
func (m *RingingMonitor[W]) Ringing(ctx context.Context) ([]driver.Ring, error) { return m.Rings(ctx) }

// Mute implements driver.Monitor.
func (m *Monitor[W]) Mute(ctx context.Context, asked driver.Muting) (*driver.Quiet, error) {
	if m.Exists != nil {
		if err := m.Exists(ctx); err != nil {
			return nil, err
		}
	}
	all, err := m.System.List(ctx)
	if err != nil {
		return nil, err
	}
	q := &driver.Quiet{Calls: []driver.Call{{Action: m.System.Action, Params: Params[W]{Name: m.Name, Service: asked.Service, Mark: asked.Mark,
		Reason: asked.Reason, What: m.What, Until: asked.Until}}}}
	for _, e := range all {
		if !Alike(e.What, m.What) || e.Recurring {
			continue
		}
		q.Notes = append(q.Notes, driver.Note{Warn: e.Until.IsZero() || e.Until.After(asked.Until), Text: fmt.Sprintf(
			"It is muted already, %s%s. That one stays as it is, also after the opening; noren's own stands beside it.", untilWords(e.Until), by(e))})
	}
	return q, nil
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
				What: "it mutes " + untilWords(e.Until) + ", and nobody may know any more", By: e.By, Since: e.Since, Advice: s.advice(e)})
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
		What: fmt.Sprintf("noren keeps %s quiet, %s", t.name, untilWords(e.Until)), Advice: s.advice(e)}
	if until := second(e.Until); !until.IsZero() { // one of noren's has an end
		now, err := driver.StateOf(&State[W]{e.What, until})
		if err != nil {
			return fmt.Errorf("%s: %w", target, err)
		}
		u.Made = &driver.Made{Token: t.mark, Monitor: t.name, Now: now, Call: driver.Call{Action: s.Action, Params: Params[W]{Name: t.name, Mark: t.mark, What: e.What, Until: until}}}
	}
	found.Unmarked = append(found.Unmarked, u)
	return nil
}

func (s *System[W]) advice(e Entry[W]) []string {
	if s.ByHand == nil {
		return nil
	}
	return []string{s.ByHand(e)}
}
