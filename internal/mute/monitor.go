package mute

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/driver"
)

// A monitor is one monitor of noren.yaml.
type monitor[W any] struct {
	system *System[W]
	name   string
	what   W
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
	if f, ok := m.system.Book.(Finder[W]); ok {
		if err := f.Exist(ctx, m.what); err != nil {
			return nil, err
		}
	}
	all, err := m.system.List(ctx)
	if err != nil {
		return nil, err
	}
	q := &driver.Quiet{Calls: []driver.Call{{Action: m.system.action(), Params: Params[W]{Name: m.name, Service: asked.Service, Mark: asked.Mark,
		Reason: asked.Reason, What: m.what, Until: asked.Until}}}}
	for _, e := range all {
		if !Alike(e.What, m.what) || e.Recurring {
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
			s.trace(found, t, e)
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

func (s *System[W]) trace(found *driver.Traces, t tag, e Entry[W]) {
	target := s.target(t.name)
	m, err := MarkIn(e.Text)
	if m != nil {
		f := driver.FoundMark{On: target, Mark: *m}
		if err != nil {
			f.Wrong = err.Error()
		}
		found.Marks = append(found.Marks, f)
		return
	}
	found.Unmarked = append(found.Unmarked, driver.Unmarked{Target: target, Ours: true, By: e.By, Since: e.Since,
		What: fmt.Sprintf("noren keeps %s quiet, %s", t.name, untilWords(e.Until)), Advice: []string{s.ByHand(e)}})
}
