package run

import (
	"slices"
	"time"
)

// A Topic is what a person is told of a closing that is done.
type Topic string

// The topics. Ending counts down to the end of the closing and on from it; the
// others are about opening at the end, and are told once for each end.
const (
	Ending  Topic = "ending"
	Unready Topic = "unready" // the application behind the curtain is not ready
	Drifted Topic = "drifted" // someone else changed a target; a side must be chosen
	Failed  Topic = "failed"  // an opening was undone
	Opened  Topic = "opened"
)

// A Reminder is something that a person was told of a closing.
type Reminder struct {
	At       time.Time
	Topic    Topic
	Until    time.Time     // the end it was about
	Offset   time.Duration // of its moment from that end
	Services []string
	Text     string
	// Why is the part of Text that tells what came of the end, as it was said;
	// whoever tells it in another language says the rest himself.
	Why string
}

func (r *Run) reminded(e Event) {
	d := e.Data
	r.Reminders = append(r.Reminders, Reminder{At: e.At, Topic: d.Topic, Until: d.Until, Offset: d.Offset, Services: d.Services, Text: d.Text, Why: d.Why})
}

// Told tells whether people were told of a topic about an end.
func (r *Run) Told(topic Topic, until time.Time) bool {
	return slices.ContainsFunc(r.Reminders, func(m Reminder) bool { return m.Topic == topic && m.Until.Equal(until) })
}

// RemindedAt returns the last moment at which people were told of an end, as
// its offset from that end.
func (r *Run) RemindedAt(until time.Time) (offset time.Duration, ok bool) {
	for _, m := range r.Reminders {
		if m.Until.Equal(until) && (!ok || m.Offset > offset) {
			offset, ok = m.Offset, true
		}
	}
	return offset, ok
}
