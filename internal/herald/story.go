package herald

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/noren-dev/noren/internal/driver"
	"github.com/noren-dev/noren/internal/plan"
	"github.com/noren-dev/noren/internal/run"
)

// story tells a run as it is now: of a closing, also that it was opened.
func (h *Herald) story(ctx context.Context, r *run.Run) (driver.Story, error) {
	s := storyOf(r)
	if r.Plan.Kind != plan.Close || r.Status != run.Done {
		return s, nil
	}
	ids, err := h.Records.On(ctx, r.ID, plan.Open)
	if err != nil {
		return s, err
	}
	closed, last := names(r.Plan), r
	for _, id := range ids {
		o, err := h.Records.Run(ctx, id)
		if err != nil {
			return s, err
		}
		if o.Status == run.Done {
			last = o
			closed = slices.DeleteFunc(closed, func(name string) bool { return slices.Contains(names(o.Plan), name) })
		}
	}
	if len(closed) == 0 {
		v := voiceOf(r.Plan.Lang)
		s.Sign, s.Title = sign(last, false), fmt.Sprintf(v.done[plan.Open], strings.Join(names(r.Plan), v.separator), s.Environment)
		s.Facts = append(s.Facts, driver.Fact{Name: v.opened, Value: last.Actor + ", " + last.ID})
	}
	return s, nil
}

// storyOf tells a run by itself.
func storyOf(r *run.Run) driver.Story {
	v := voiceOf(r.Plan.Lang)
	late := len(r.Reminders) > 0 && !r.Until.IsZero() && isLate(r.Reminders[len(r.Reminders)-1], r)
	s := driver.Story{Run: r.ID, Closing: cmp.Or(r.Plan.Closing, r.ID), Kind: string(r.Plan.Kind), Status: string(r.Status),
		Environment: r.Plan.Environment.Name, Services: names(r.Plan), By: r.Actor, Reason: r.Plan.Reason, Since: r.Created, Until: r.Until,
		Lang: r.Plan.Lang, Sign: sign(r, late), Title: v.title(r, late)}
	fact := func(name, value string) {
		if value != "" {
			s.Facts = append(s.Facts, driver.Fact{Name: name, Value: hide(r, value)})
		}
	}
	fact(v.services, strings.Join(s.Services, v.separator))
	fact(v.environment, s.Environment)
	fact(v.since, v.clock(r.Created, r.Plan))
	switch {
	case !r.Until.IsZero():
		fact(v.until, v.clock(r.Until, r.Plan))
	case r.Plan.Kind == plan.Close:
		fact(v.until, v.unknown)
	}
	fact(v.by, r.Actor)
	fact(v.reason, r.Plan.Reason)
	if p := r.Problem; p != nil {
		fact(v.why, strings.TrimSpace(p.Summary+": "+p.Detail))
		fact(v.left, p.Left)
	}
	if r.Status == run.Done {
		fact(v.unproved, strings.Join(r.Unproved(), "\n"))
		fact(v.untold, strings.Join(r.Untold(), "\n"))
	}
	fact(v.run, r.ID)
	s.Reason = hide(r, s.Reason)
	return s
}

// isLate tells whether a reminder says that the closing is late for its end.
func isLate(m run.Reminder, r *run.Run) bool {
	return m.Topic != run.Opened && m.Offset > 0 && !m.Until.Before(r.Until)
}

// hide takes the pass out of a text.
func hide(r *run.Run, text string) string {
	if r.Plan.Pass == "" {
		return text
	}
	return strings.ReplaceAll(text, r.Plan.Pass, run.Hidden)
}

// noticeOf is an event as people are told of it, given the run after it; nil if
// they are not.
func noticeOf(e run.Event, r *run.Run, started bool) *driver.Notice {
	v := voiceOf(r.Plan.Lang)
	n := &driver.Notice{Seq: e.Seq, At: e.At}
	switch e.Type {
	case run.RunStarted:
		n.Kind, n.Text = driver.NoticeStarted, v.title(r, false)
		if started {
			n.Kind, n.Text = driver.NoticeResumed, v.again
		}
	case run.StageStarted:
		n.Kind, n.Text = driver.NoticeStage, fmt.Sprintf(v.stage, e.Data.Stage)
	case run.RunWaiting:
		n.Kind, n.Loud, n.Text = driver.NoticeWaiting, true, v.title(r, false)+problem(e.Data.Problem)
		for _, s := range []run.Signal{run.SignalRetry, run.SignalSkip, run.SignalUndo, run.SignalStop} {
			n.Try = append(n.Try, fmt.Sprintf("noren %s %s", s, r.ID))
		}
	case run.Signalled:
		n.Kind, n.Text = driver.NoticeAnswered, fmt.Sprintf(v.answered, e.Data.Actor, e.Data.Signal)
	case run.RunUndoing:
		n.Kind, n.Loud, n.Text = driver.NoticeUndoing, true, v.title(r, false)+problem(e.Data.Problem)
	case run.Extended:
		n.Kind, n.Loud, n.Text = driver.NoticeExtended, true, fmt.Sprintf(v.extended, v.clock(e.Data.Until, r.Plan), e.Data.Actor)
		if e.Data.Text != "" {
			n.Text += ": " + e.Data.Text
		}
	case run.Reminded:
		m := r.Reminders[len(r.Reminders)-1] // the event has just been folded
		n.Kind, n.Text = driver.NoticeReminded, v.reminder(m, r.Plan)
		if isLate(m, r) {
			n.Kind, n.Loud = driver.NoticeLate, true
			services := strings.Join(e.Data.Services, " ")
			n.Try = []string{"noren extend " + services + " --env " + r.Plan.Environment.Name + " --for 30m", "noren open " + services + " --env " + r.Plan.Environment.Name}
		}
	case run.RunEnded:
		n.Kind, n.Text = driver.NoticeEnded, v.title(r, false)
		n.Loud = r.Status == run.Stranded || r.Status == run.Stopped
		if p := r.Problem; p != nil {
			n.Text += problem(p)
			n.Try = p.Try
		}
	default:
		return nil
	}
	n.Text = hide(r, n.Text)
	return n
}

func problem(p *run.Problem) string {
	if p == nil {
		return ""
	}
	text := ": " + p.Summary
	if p.Detail != "" {
		text += ". " + p.Detail
	}
	return text
}

// noticesOf lists what people are told of a run. An extension that goes well is
// told once, as an event of its closing.
func noticesOf(r *run.Run, events []run.Event) []driver.Notice {
	now := run.New(r.ID, r.Plan, r.Digest, r.Actor, r.Created)
	var all []driver.Notice
	loud := false
	for _, e := range events {
		started := !now.Started.IsZero()
		ended := now.Status.Ended()
		now.Fold(e)
		if ended && e.Type == run.RunEnded {
			continue
		}
		if n := noticeOf(e, now, started); n != nil {
			all = append(all, *n)
			loud = loud || n.Loud
		}
	}
	if r.Plan.Kind == plan.Extend && !loud {
		return nil
	}
	return all
}
