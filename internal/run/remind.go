package run

import "time"

// A Topic is what a person is told of a closing that is done.
type Topic string

// The topics. Ending counts down to the end of the closing and on from it;
// what follows it is about opening at the end, and is told once for each end.
const (
	Ending  Topic = "ending"
	Unready Topic = "unready" // the application behind the curtain is not ready
	Drifted Topic = "drifted" // someone else changed a target; a side must be chosen
	Failed  Topic = "failed"  // it was opened, did not pass, and was closed again
	Opened  Topic = "opened"
)

// A Reminder is something that a person was told of a closing.
type Reminder struct {
	At       time.Time
	Topic    Topic
	Until    time.Time     // the end it was about
	Offset   time.Duration // of its moment from that end; of Ending alone
	Services []string
	Text     string
}

func (r *Run) reminded(e Event) {
	d := e.Data
	r.Reminders = append(r.Reminders, Reminder{At: e.At, Topic: d.Topic, Until: d.Until, Offset: d.Offset, Services: d.Services, Text: d.Text})
}

// Told returns the last reminder of a topic about an end, nil if there was
// none. Of Ending it is the one nearest to, or farthest past, the end.
func (r *Run) Told(topic Topic, until time.Time) *Reminder {
	var last *Reminder
	for i, m := range r.Reminders {
		if m.Topic == topic && m.Until.Equal(until) && (last == nil || m.Offset >= last.Offset) {
			last = &r.Reminders[i]
		}
	}
	return last
}
